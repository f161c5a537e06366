#!/usr/bin/env bash
# Triggers, authorizations, webhooks, errors and a publisher together, by four threads: memory, descriptors, threads and the p99 of a
# trigger do not grow.
#
#   scripts/torture/soak.sh              200,000 calls
#   scripts/torture/soak.sh --long       100,000,000, and memory grows by less than 1 MiB in an hour
#   PUSHER_LIBRARY=file …                uses this library
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc
# 16 bytes for each call, the least that malloc gives: the C library keeps some pages, which a short run has not used before. Planted are 40.
MOST_KIB_A_MILLION=16384
MOST_MIB_AN_HOUR=1
# A thread may meet the others in a call only late, and then opens its connection; so may the publisher start its second thread.
MOST_DESCRIPTORS=4
MOST_THREADS=1
PLANTED=20000
# What a loaded machine does to one run, it does not do to three: a leak grows in each.
tries=3
case ${1:-} in
  '') calls=200000 ;;
  --long) calls=100000000 tries=1 ;;
  *) fail 'usage: scripts/torture/soak.sh [--long]' ;;
esac
# Without the caches of each thread, which fill for tens of millions of calls. What the C library says is in use then stays the same.
export GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0
out=build/torture/soak
rm -rf "$out"
mkdir -p "$out"

build() {
  library "$out/libpusher.so.0"
  local flags=(-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -pthread -Ibenches -Iinclude)
  cc "${flags[@]}" -o "$out/sink" benches/sink.c
  cc "${flags[@]}" -o "$out/soak" tests/torture/soak.c benches/server.c "$out/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
}

# verdict FILE [long]: prints what grows.
verdict() {
  tail -n 1 "$1" | awk -v calls="$MOST_KIB_A_MILLION" -v hour="$MOST_MIB_AN_HOUR" -v descriptors="$MOST_DESCRIPTORS" \
    -v threads="$MOST_THREADS" -v long="${2:-}" '{
    if ($3 > calls || (long != "" && $4 >= hour)) print "memory"
    if ($5 > descriptors) print "descriptors"
    if ($6 > threads) print "threads"
    # A loaded machine delays calls.
    if ($8 > 4 * $7 + 1000) print "p99"
  }'
}

can_fail() {
  "$out/soak" $PLANTED --planted >"$out/planted.log"
  [ "$(verdict "$out/planted.log" | tr '\n' ' ')" = 'memory descriptors p99 ' ] ||
    fail "of memory, descriptors and p99, only these are found: $(verdict "$out/planted.log"): $(cat "$out/planted.log")"
}

soak() {
  local grown='memory descriptors threads p99' now what try
  for ((try = 1; try <= tries; try++)); do
    "$out/soak" "$calls" | tee "$out/soak.log"
    now=
    for what in $(verdict "$out/soak.log" "${1:-}"); do
      if [[ " $grown " = *" $what "* ]]; then now+="$what "; fi
    done
    grown=${now% }
    [ -n "$grown" ] || return 0
    echo "   this grows in run $try: $grown"
  done
  fail "this grows in each run: $grown"
}

step 'building' build
step 'planted leaks and delays are found' can_fail
step "$calls calls" soak "${1:-}"
tail -n 1 "$out/soak.log" | awk '{
  printf "figure: %s calls in %.0f s: resident memory grows by %.0f KiB in a million calls (%.2f MiB in an hour), %s descriptors, %s threads; p99 of a trigger %s us, then %s us\n", $1, $2, $3, $4, $5, $6, $7, $8
}'
