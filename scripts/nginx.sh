#!/usr/bin/env bash
# Tests the library with real servers behind nginx: a Unix domain socket, and TLS with a required client certificate.
#
#   scripts/nginx.sh                          builds the library
#   PUSHER_LIB_DIR=folder scripts/nginx.sh    uses libpusher.so from there
#   LIBPUSHER_SKIP_SERVERS=1 skips a server that is not available, with the reason; without it that is a failure
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need node=nodejs openssl cc=gcc pkg-config /usr/sbin/nginx=nginx-light
out=$PWD/build/nginx
rm -rf "$out"
mkdir -p "$out"

build() {
  as_installed "$out"
  # shellcheck disable=SC2046 # several words
  cc -std=c99 -pedantic -Wall -Wextra -Werror -o "$out/call" e2e/call.c $(PKG_CONFIG_PATH=$out pkg-config --cflags --libs pusher)
}

step "build the library and the program" build

for server in soketi sockudo pusher-js; do
  "tools/servers/get-$server.sh" >/dev/null && continue
  [ "${LIBPUSHER_SKIP_SERVERS:-}" = 1 ] || fail "$server is not available (LIBPUSHER_SKIP_SERVERS=1 skips its tests)"
  reason="$server is not available: see above"
  say "skipped: $reason"
  case $server in
    soketi) export SKIP_SOKETI=$reason ;;
    sockudo) export SKIP_SOCKUDO=$reason ;;
    *) export SKIP_SOKETI=$reason SKIP_SOCKUDO=$reason ;;
  esac
done

PROGRAMS=$out step "behind nginx" node --test e2e/nginx/nginx.test.mjs
