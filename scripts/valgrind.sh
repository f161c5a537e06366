#!/usr/bin/env bash
# Runs the C contract and the C example under valgrind: no invalid access, and no definite leak.
#
#   scripts/valgrind.sh                          builds the library
#   PUSHER_LIB_DIR=folder scripts/valgrind.sh    uses libpusher.so from there
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cc=gcc valgrind
out=build/valgrind
mkdir -p "$out"

build() {
  library "$out/libpusher.so.0"
  local flags=(-std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pthread -Iinclude)
  cc "${flags[@]}" -o "$out/contract" tests/c/contract.c "$out/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
  cc "${flags[@]}" -o "$out/trigger" c_examples/trigger.c "$out/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
}

# run EXIT_CODE PROGRAM…: runs a program under valgrind. Valgrind's own exit code is 99, which no program uses.
run() {
  local expected=$1 code=0
  shift
  valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --child-silent-after-fork=yes "$@" </dev/null >"$out/output" 2>&1 || code=$?
  if [ "$code" != "$expected" ] || grep -q '^==[0-9]*==' "$out/output"; then
    cat "$out/output" >&2
    fail "$* ended with $code instead of $expected, or valgrind found an error"
  fi
}

# Valgrind must find a planted error, or its silence proves nothing.
can_fail() {
  printf '%s\n' '#include <stdlib.h>' 'int main(void) { volatile char *lost = malloc(9); return lost[9]; }' >"$out/wrong.c"
  cc -g -o "$out/wrong" "$out/wrong.c"
  if (run 0 "$out/wrong") 2>/dev/null; then fail "valgrind does not find a planted leak and read out of bounds"; fi
}

# A port without a listener: no program takes port 1.
REFUSED=http://k:canary@127.0.0.1:1/apps/1

example() {
  run 0 "$out/trigger" --help
  run 1 "$out/trigger"
  run 1 "$out/trigger" --no-such-option a b c
  run 1 "$out/trigger" channel event
  run 1 "$out/trigger" --config '{' channel event '{}'
  run 1 "$out/trigger" --config "$REFUSED" 'no channel' event '{}'
  run 1 "$out/trigger" --config "$REFUSED" channel event '{'
  run 1 "$out/trigger" --config "$REFUSED" --socket-id 1:2 channel event '{}'
  run 1 "$out/trigger" --config "$REFUSED" channel event -
  run 2 "$out/trigger" --config "$REFUSED" channel event '{}'
  run 2 "$out/trigger" --config "$REFUSED" --socket-id 1.2 --info user_count --timeout-ms 500 '["a","b"]' event '"text"'
}

step "building" build
step "valgrind finds planted faults" can_fail
step "the contract under valgrind" run 0 "$out/contract"
step "the example under valgrind" example
