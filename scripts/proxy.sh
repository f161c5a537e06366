#!/usr/bin/env bash
# Tests the library through two real proxies, tinyproxy and squid, and through a scripted one; and which certificates TLS trusts.
#
#   scripts/proxy.sh                          builds the library
#   PUSHER_LIB_DIR=folder scripts/proxy.sh    uses libpusher.so from there
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need python3 openssl tinyproxy=tinyproxy-bin /usr/sbin/squid=squid
out=$PWD/build/proxy
rm -rf "$out"
mkdir -p "$out"

step "building" library "$out/libpusher.so"
# As root, squid changes to another user, who cannot enter every folder.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
step "through proxies" python3 e2e/proxy/proxy.py "$out/libpusher.so" "$scratch"
