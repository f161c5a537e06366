#!/usr/bin/env bash
# System calls that fail once each, a signal every millisecond, a process that is stopped, and a clock that jumps: the reported
# delivery agrees with the ledger of the fault server, calls end in time, and the client works again.
#
#   scripts/torture/system-calls.sh            everything
#   scripts/torture/system-calls.sh --long     everything, five times
#   PUSHER_LIBRARY=file FAULT_SERVER=file …    uses these
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc /usr/include/cjson/cJSON.h=libcjson-dev
case ${1:-} in
  '') rounds=1 ;;
  --long) rounds=5 ;;
  *) fail 'usage: scripts/torture/system-calls.sh [--long]' ;;
esac
STOPPED_S=10
out=build/torture/system-calls
rm -rf "$out"
mkdir -p "$out"
export RUST_BACKTRACE=0

build() {
  library "$out/libpusher.so.0"
  fault_server
  cc -std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pthread -shared -fPIC -o "$out/jumping_clock.so" \
    tests/torture/jumping_clock.c
  torture_program "$out" system_calls
}

program() { timeout 300 "$out/system_calls" "$@"; }

# A program that calls everything delivered must be found.
can_fail() {
  local code=0
  program failures --planted >"$out/planted.log" 2>&1 || code=$?
  if [ "$code" != 1 ] || ! grep -q 'was reported as 4 and published 0 times' "$out/planted.log"; then
    fail "a wrong program is not found: $(cat "$out/planted.log")"
  fi
}

failures() { program failures | tee "$out/failures.log"; }
signals() { program signals | tee "$out/signals.log"; }
clock() { LD_PRELOAD=$PWD/$out/jumping_clock.so program clock | tee "$out/clock.log"; }

# Waits beside the other parts.
stopped() {
  wait "$stopping" || fail "$(cat "$out/stopped.log")"
  tail -n 1 "$out/stopped.log"
}

number() { sed -nE "s/.*$1 ([0-9]+).*/\1/p" "$out/$2.log" | tail -n 1; }

step 'building' build
step 'a planted fault is found' can_fail
for ((round = 1; round <= rounds; round++)); do
  program stopped "$STOPPED_S" >"$out/stopped.log" 2>&1 &
  stopping=$!
  step 'a signal every millisecond' signals
  step 'a clock that jumps both ways' clock
  step 'each system call fails once, with each errno' failures
  step "stopped for $STOPPED_S s" stopped
done
printf 'figure: %s failed system calls, %s signals, stopped for %s s, a clock that jumps: every delivery agrees with the ledger\n' \
  "$(number 'failed system calls' failures)" "$(number signals signals)" "$STOPPED_S"
