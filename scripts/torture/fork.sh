#!/usr/bin/env bash
# Forks at random instants while eight threads trigger, authorize and publish: no child hangs, no connection is used by two processes,
# no nonce is repeated, and every event of a child is published once.
#
#   scripts/torture/fork.sh                    200 forks
#   scripts/torture/fork.sh --long             5,000, in parts
#   PUSHER_LIBRARY=file FAULT_SERVER=file …    uses these
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc /usr/include/cjson/cJSON.h=libcjson-dev
PART=200
case ${1:-} in
  '') parts=1 ;;
  --long) parts=25 ;;
  *) fail 'usage: scripts/torture/fork.sh [--long]' ;;
esac
out=build/torture/fork
rm -rf "$out"
mkdir -p "$out"
export RUST_BACKTRACE=0

build() {
  library "$out/libpusher.so.0"
  fault_server
  torture_program "$out" fork
}

# A lock that a thread held, a connection of two processes, and a nonce that is used twice must be found.
can_fail() {
  local code=0 what
  timeout 120 "$out/fork" 8 --planted >"$out/planted.log" 2>&1 || code=$?
  for what in 'a child hangs' 'connection 0 is used by processes' 'a nonce is repeated'; do
    if [ "$code" != 1 ] || ! grep -q "$what" "$out/planted.log"; then fail "not found: $what: $(cat "$out/planted.log")"; fi
  done
}

forks() {
  local part
  for ((part = 0; part < parts; part++)); do timeout 300 "$out/fork" $PART | tee -a "$out/fork.log"; done
}

# sum COLUMN
sum() { awk -v column="$1" '{ sum += $column } END { print sum }' "$out/fork.log"; }

step 'building' build
step 'planted faults are found' can_fail
step "$((parts * PART)) forks" forks
printf 'figure: %s forks during %s calls of 8 threads, %s events of children: 0 hung, 0 of %s connections shared, 0 of %s nonces repeated\n' \
  "$(sum 1)" "$(sum 3)" "$(sum 8)" "$(sum 12)" "$(sum 14)"
