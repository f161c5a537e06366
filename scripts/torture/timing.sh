#!/usr/bin/env bash
# The time in which a wrong webhook signature is refused does not depend on where it is wrong: |t| < 4.5, by dudect's test.
#
#   scripts/torture/timing.sh              1,000,000 samples of each pair of classes
#   scripts/torture/timing.sh --long       100,000,000
#   PUSHER_LIBRARY=file …                  uses this library
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc
case ${1:-} in
  '') samples=1000000 ;;
  --long) samples=100000000 ;;
  *) fail 'usage: scripts/torture/timing.sh [--long]' ;;
esac
PLANTED_SAMPLES=200000
out=build/torture/timing
rm -rf "$out"
mkdir -p "$out"

build() {
  library "$out/libpusher.so.0"
  cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -Iinclude -o "$out/timing" tests/torture/timing.c "$out/libpusher.so.0" \
    -Wl,-rpath,"$PWD/$out" -lm
}

# A comparison that ends at the first difference must be found. A machine that becomes slow in between may hide it once.
can_fail() {
  local code try
  for try in 1 2 3; do
    code=0
    "$out/timing" $PLANTED_SAMPLES --planted >"$out/planted.log" || code=$?
    cat "$out/planted.log"
    if [ "$code" = 1 ]; then return 0; fi
  done
  fail "a comparison that ends at the first difference is not found in $try runs"
}

test_library() {
  "$out/timing" "$samples" >"$out/timing.log" || { cat "$out/timing.log"; fail 'the time depends on where a signature is wrong'; }
  cat "$out/timing.log"
}

step 'building' build
step 'a planted comparison is found' can_fail
step "$samples samples of each pair" test_library
printf 'figure: %s samples of each of two pairs of classes: |t| = %s, below 4.5; with a planted comparison %s\n' \
  "$samples" "$(tail -n 1 "$out/timing.log")" "$(tail -n 1 "$out/planted.log")"
