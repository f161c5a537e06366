#!/bin/bash
# Tests c_examples/chat, built with AddressSanitizer and UndefinedBehaviorSanitizer: people in headless Chromium, on a real server.
#
#   PUSHER_WRITE_PICTURES=1 scripts/chat.sh    takes the pictures docs/pictures/chat-*.png instead of comparing them
#   scripts/chat.sh --self-test                plants a fault in the page for each test of the page, and expects it to be found
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
if [ "${1:-}" = --self-test ]; then
  step "the tests of the page find planted faults" node e2e/chat/faults.mjs
  exit
fi
# They wait for browsers and servers most of the time.
step "people chat" node --test --test-concurrency=3 e2e/chat/*.test.mjs e2e/browser/pictures.test.mjs
