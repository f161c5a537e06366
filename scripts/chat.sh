#!/bin/bash
# Tests c_examples/chat, built with AddressSanitizer and UndefinedBehaviorSanitizer: two people in headless Chromium, on a real
# server.
#
#   PUSHER_WRITE_SCREENSHOT=1 scripts/chat.sh    also takes docs/chat.png
#   LIBPUSHER_SKIP_SERVERS=1                   skips the test, with a message, if a server is not available
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

build() {
  need cmake make cc=gcc pkg-config
  pkg-config --exists libmicrohttpd || need libmicrohttpd-headers=libmicrohttpd-dev
  pkg-config --exists libcjson || need libcjson-headers=libcjson-dev
  # The same build of the library as in the other end-to-end tests.
  cmake -S . -B build/chat -DPUSHER_CARGO_PROFILE=no-lto -DPUSHER_CARGO_TARGET_DIR="$PWD/build/cargo" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_FLAGS="-Werror -fsanitize=address,undefined -fno-sanitize-recover=all" >/dev/null
  cmake --build build/chat --target chat
}

for what in soketi pusher-js; do
  tools/servers/get-$what.sh >/dev/null && continue
  [ "${LIBPUSHER_SKIP_SERVERS:-}" = 1 ] || fail "$what is not available (LIBPUSHER_SKIP_SERVERS=1 skips the test)"
  say "skipped: the chat, because $what is not available: see above"
  exit
done

browser
export PROGRAMS="$PWD/build/chat"

step "build the chat" build
step "stale pictures are found" node --test e2e/browser/pictures.test.mjs
step "two people chat" node --test e2e/chat/chat.test.mjs
