#!/bin/bash
# End-to-end tests: C programs that use libpusher, on two real servers and with the real client library: what is triggered
# arrives, what is authorized is accepted, webhooks are authentic, and each refusal is reported as what it is.
#
#   LIBPUSHER_SKIP_SERVERS=1 leaves out a server that can't be had, and says why; without it that is a failure
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

skip=${LIBPUSHER_SKIP_SERVERS:-}
if ! (need node=nodejs) || ! command -v node >/dev/null; then
  [ "$skip" = 1 ] || fail "The end-to-end tests need node."
  say "left out: the end-to-end tests, for lack of node"
  exit
fi

build() {
  need cmake make cc=gcc pkg-config
  pkg-config --exists libcurl || need libcurl-headers=libcurl4-openssl-dev
  # Without link-time optimisation: it takes long and changes nothing here.
  cmake -S . -B build/e2e -DPUSHER_CARGO_PROFILE=no-lto -DPUSHER_CARGO_TARGET_DIR="$PWD/build/cargo" >/dev/null
  cmake --build build/e2e --target trigger authorize webhook publisher libcurl_transport libcurl_multi
  cc -std=c99 -pedantic -Wall -Wextra -Werror -Iinclude -o build/e2e/call e2e/call.c build/e2e/libpusher.so.0 \
    -Wl,-rpath,"$PWD/build/e2e"
}

step "build the library and the programs" build

# Puts one of them into the cache. Where that fails and may fail, `reason` is why the tests that need it are left out.
fetch() {
  "tools/servers/get-$1.sh" >/dev/null && return
  [ "$skip" = 1 ] || fail "$1 can't be had (LIBPUSHER_SKIP_SERVERS=1 leaves its tests out)"
  reason="$1 can't be had: see above"
  say "left out: $reason"
  return 1
}

if fetch pusher-js; then
  fetch sockudo || export SKIP_SOCKUDO=$reason
  fetch soketi || export SKIP_SOKETI=$reason
else
  export SKIP_SOCKUDO=$reason SKIP_SOKETI=$reason
fi

if [ -z "${SKIP_SOCKUDO:-}" ] || [ -z "${SKIP_SOKETI:-}" ]; then need redis-server; fi

step "run the end-to-end tests" node --test e2e/*.test.mjs

# The same of what needs no server, with an eye on the memory: an error shows as an exit code that no program has.
under_valgrind() {
  need valgrind
  WRAPPER="valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,possible" \
    node --test e2e/examples.test.mjs
}
step "run the examples under valgrind" under_valgrind
