#!/usr/bin/env bash
# Fails each allocation of each scenario in turn: the call returns a clean error, or Rust aborts as SECURITY.md says. Nothing hangs,
# crashes elsewhere, leaks, or succeeds wrongly.
#
#   scripts/torture/allocations.sh             one allocation fails
#   scripts/torture/allocations.sh --long      also all that follow it, and the publisher, whose threads differ, twenty times
#   scripts/torture/allocations.sh --record    writes tests/torture/allocations.txt: the shares of clean errors, which only rise
#   PUSHER_LIBRARY=file FAULT_SERVER=file …    uses these
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc python3 /usr/include/cjson/cJSON.h=libcjson-dev /usr/include/openssl/hmac.h=libssl-dev
SHARES=tests/torture/allocations.txt
out=build/torture/allocations
rm -rf "$out"
mkdir -p "$out"
export RUST_BACKTRACE=0

build() {
  library "$out/libpusher.so.0"
  fault_server
  cc -std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pthread -shared -fPIC -o "$out/failing_allocations.so" \
    tests/torture/failing_allocations.c
  torture_program "$out" allocations -lcrypto
}

program() { LD_PRELOAD=$PWD/$out/failing_allocations.so timeout 600 "$out/allocations" "$@"; }

# Each scenario that is wrong on purpose must be found.
can_fail() {
  local wrong
  for wrong in $("$out/allocations" --list planted); do
    if program "$wrong" >"$out/planted.log" 2>&1; then fail "$wrong is not found"; fi
    grep -q ' are wrong$' "$out/planted.log" || fail "$wrong: $(cat "$out/planted.log")"
  done
}

every_one() {
  # shellcheck disable=SC2046 # one word for each scenario
  program "$@" $("$out/allocations" --list) >"$out/counts" || fail 'a failed allocation has a wrong end'
}

all_that_follow() { every_one --all-that-follow; }

often() {
  local i
  for i in {1..20}; do
    program publisher fan-out tls-trigger >>"$out/often" || fail "a failed allocation has a wrong end in run $i"
  done
}

# shares [record]: compares the shares of clean errors with the recorded ones, or raises these.
shares() {
  python3 - "$out/counts" "$SHARES" "${1:-}" <<'PYTHON'
import math, sys

counts, recorded, mode = sys.argv[1:]
# A publisher's threads allocate now here, now there.
TOLERANCE = {"publisher": 4, "tls-trigger": 2}
now, tried, clean = {}, 0, 0
with open(counts, encoding="utf-8") as file:
    for line in file:
        name, calls, returns, _aborts = line.split()
        now[name] = 100 * int(returns) / int(calls) if int(calls) else 100.0
        tried, clean = tried + int(calls), clean + int(returns)
header, then = [], {}
try:
    with open(recorded, encoding="utf-8") as file:
        for line in file:
            if line.startswith("#"):
                header.append(line)
            else:
                then[line.split()[0]] = int(line.split()[1])
except FileNotFoundError:
    assert mode == "record"
for name, share in now.items():
    print(f"   {name:<24} {share:5.1f} %, at least {then.get(name, 0)} %")
if mode == "record":
    with open(recorded, "w", encoding="utf-8") as file:
        file.writelines(header or ["# The share of failed allocations, in percent, after which the call returns; the others abort.\n"])
        for name, share in now.items():
            file.write(f"{name} {max(then.get(name, 0), math.floor(share))}\n")
else:
    missing = set(now) ^ set(then)
    assert not missing, f"{recorded}: {missing}"
    lower = [name for name in now if now[name] + TOLERANCE.get(name, 0) < then[name]]
    assert not lower, f"fewer clean errors than recorded in {recorded}: {lower}"
print(f"figure: {tried} failed allocations in {len(now)} scenarios, {100 * clean / tried:.1f} % end in a clean error, the others in the abort of SECURITY.md")
PYTHON
}

step 'building' build
step 'planted faults are found' can_fail
case ${1:-} in
  '') step 'each allocation fails' every_one ;;
  --record) step 'each allocation fails' every_one ;;
  --long)
    step 'each allocation and all that follow fail' all_that_follow
    step 'each allocation of those with threads fails, often' often
    step 'each allocation fails' every_one
    ;;
  *) fail 'usage: scripts/torture/allocations.sh [--long | --record]' ;;
esac
if [ "${1:-}" = --record ]; then shares record; else shares; fi
