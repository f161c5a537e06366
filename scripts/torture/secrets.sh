#!/usr/bin/env bash
# Searches the memory of processes, as core dumps have it, for the secret, the master key, the password of a proxy, the value of a
# header and the states of HMAC: after pusher_free() there is none, and in an idle client only what it needs.
#
#   scripts/torture/secrets.sh                 the same with --long
#   PUSHER_LIBRARY=file FAULT_SERVER=file …    uses these
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc /usr/include/cjson/cJSON.h=libcjson-dev /usr/include/openssl/sha.h=libssl-dev
out=build/torture/secrets
rm -rf "$out"
mkdir -p "$out"

build() {
  library "$out/libpusher.so.0"
  fault_server
  torture_program "$out" secrets -lcrypto
}

# The search must find what an idle client has, in each of its runs: so it can fail.
search() { timeout 120 "$out/secrets" | tee "$out/log"; }

step 'building' build
step 'the memory of idle clients, and after pusher_free()' search
printf 'figure: %s searches in the memory of %s processes: after pusher_free() no secret, no key, no keyed state\n' \
  "$(sed -nE 's/.*searches ([0-9]+)$/\1/p' "$out/log")" "$(sed -nE 's/^processes ([0-9]+),.*/\1/p' "$out/log")"
