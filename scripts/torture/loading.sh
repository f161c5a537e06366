#!/usr/bin/env bash
# The library in unusual processes: loaded again and in several copies, shared and static, used at the end of threads and of the
# process, on stacks of 64 KiB (as pusher.h says; each kind of call is measured), with few, many and no descriptors, under a filter of
# system calls, without /etc and /dev. As root, because of chroot().
#
#   scripts/torture/loading.sh                 the same with --long
#   PUSHER_LIBRARY=file FAULT_SERVER=file …    uses these; PUSHER_STATIC_LIBRARY=file, too
#
# The stack of a call depends on optimisation, so it is measured with the library as it is released.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc openssl /usr/include/cjson/cJSON.h=libcjson-dev /usr/include/openssl/hmac.h=libssl-dev
out=build/torture/loading
rm -rf "$out"
mkdir -p "$out/release"

build() {
  local flags=(-std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pthread -Iinclude) static=${PUSHER_STATIC_LIBRARY:-}
  library "$out/libpusher.so.0"
  fault_server
  cp "$out/libpusher.so.0" "$out/copy.so"
  cp "$out/libpusher.so.0" "$out/another.so"
  if [ -z "$static" ]; then
    quick_library staticlib
    static=$QUICK/libpusher.a
  fi
  torture_program "$out" loading -ldl
  cargo rustc --quiet --release --locked --lib --crate-type cdylib
  cp "${CARGO_TARGET_DIR:-target}/release/libpusher.so" "$out/release/libpusher.so.0"
  torture_program "$out/release" stacks -lcrypto
  cc "${flags[@]}" -o "$out/loading-static" tests/torture/loading.c "$static" -lcjson -lgcc_s -lm -ldl
}

# program FILE ARGUMENT…: as root, if need be in a namespace of its own.
program() {
  if [ "$(id -u)" = 0 ]; then timeout 200 "$@"; else timeout 200 unshare --user --map-root-user "$@"; fi
}

can_fail() {
  local code=0
  program "$out/loading" --planted 2>"$out/planted.log" || code=$?
  [ $code = 0 ] || fail "a planted fault is not found: $(cat "$out/planted.log")"
  [ "$(wc -l <"$out/planted.log")" -ge 2 ] || fail "a planted fault is not found: $(cat "$out/planted.log")"
}

cases() { program "$out/$1" "$PWD/$out/copy.so" "$PWD/$out/another.so" | tee "$out/$1.log"; }

# Starts the server of `stacks`, which asks for a certificate of the client. All keys have 4,096 bits.
rsa_server() {
  local name
  openssl req -x509 -newkey rsa:4096 -nodes -keyout "$out/key.pem" -out "$out/ca.pem" -subj /CN=ca -days 2 2>"$out/openssl.log"
  echo subjectAltName=IP:127.0.0.1 >"$out/extensions"
  for name in server client; do
    openssl req -new -key "$out/key.pem" -subj "/CN=$name" |
      openssl x509 -req -CA "$out/ca.pem" -CAkey "$out/key.pem" -days 2 -extfile "$out/extensions" -out "$out/$name.pem" 2>"$out/openssl.log"
  done
  openssl s_server -accept 127.0.0.1:0 -cert "$out/server.pem" -key "$out/key.pem" -CAfile "$out/ca.pem" -Verify 1 \
    -verify_return_error -www >"$out/server.log" 2>&1 </dev/null &
  SERVER=$!
  trap 'kill "$SERVER" 2>/dev/null || true' EXIT
}

stacks_number() { sed -nE "s/^kinds .*$1 ([0-9]+).*/\1/p" "$out/stacks.log"; }

stacks() {
  "$out/release/stacks" --planted
  PORT=
  for _ in {1..100}; do
    PORT=$(sed -nE 's/^ACCEPT .*:([0-9]+)$/\1/p' "$out/server.log")
    [ -z "$PORT" ] || break
    sleep 0.1
  done
  timeout 200 "$out/release/stacks" "$PORT" "$PWD/$out"/{ca.pem,client.pem,key.pem} | tee "$out/stacks.log"
  grep -qF "Stack: $(($(stacks_number stated) / 1024)) KiB" include/pusher.h || fail 'pusher.h names another stack'
}

step 'building' build
step 'a server with RSA' rsa_server
step 'the stack of each kind of call, and a thread with 64 KiB' stacks
step 'planted faults are found' can_fail
step 'the shared library, with two copies of it' cases loading
step 'the static library, with two copies of the shared one' cases loading-static
printf 'figure: %s kinds of processes, each with the shared and the static library: every event as reported; %s kinds of calls on a stack of 64 KiB, of which they use %s KiB at most\n' \
  "$(sed -nE 's/^cases ([0-9]+),.*/\1/p' "$out/loading.log")" "$(sed -nE 's/^kinds ([0-9]+),.*/\1/p' "$out/stacks.log")" \
  $((($(stacks_number most) + 1023) / 1024))
