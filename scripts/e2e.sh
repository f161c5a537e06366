#!/bin/bash
# End-to-end tests: C programs that use libpusher, on two real servers and with the real client library. Events arrive, servers
# accept authorizations, webhooks are authentic, and refusals have the right status.
#
#   LIBPUSHER_SKIP_SERVERS=1 skips a server that is not available, with the reason; without it that is a failure
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

skip=${LIBPUSHER_SKIP_SERVERS:-}
if ! (need node=nodejs) || ! command -v node >/dev/null; then
  [ "$skip" = 1 ] || fail "The end-to-end tests need Node.js."
  say "skipped: the end-to-end tests, because Node.js is missing"
  exit
fi

build() {
  need cmake make cc=gcc pkg-config
  pkg-config --exists libcurl || need libcurl-headers=libcurl4-openssl-dev
  # Without link-time optimisation, which takes long and makes no difference here.
  cmake -S . -B build/e2e -DPUSHER_CARGO_PROFILE=no-lto -DPUSHER_CARGO_TARGET_DIR="$PWD/build/cargo" >/dev/null
  cmake --build build/e2e --target trigger authorize webhook publisher cancel libcurl_transport libcurl_multi epoll
  cc -std=c99 -pedantic -Wall -Wextra -Werror -Iinclude -o build/e2e/call e2e/call.c build/e2e/libpusher.so.0 \
    -Wl,-rpath,"$PWD/build/e2e"
}

step "build the library and the programs" build

# Puts a server into the cache. If that fails and may fail, `reason` says why its tests are skipped.
fetch() {
  "tools/servers/get-$1.sh" >/dev/null && return
  [ "$skip" = 1 ] || fail "$1 is not available (LIBPUSHER_SKIP_SERVERS=1 skips its tests)"
  reason="$1 is not available: see above"
  say "skipped: $reason"
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

# The tests without a server, under valgrind: a memory error shows as an exit code that no program has.
under_valgrind() {
  need valgrind
  WRAPPER="valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,possible" \
    node --test e2e/examples.test.mjs
}
step "run the examples under valgrind" under_valgrind
