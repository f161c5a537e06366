#!/usr/bin/env bash
# Published vectors for the algorithms that the library uses: Wycheproof's and RFC 4231's for HMAC-SHA256, NIST's for SHA-256, RFC 1321's
# for MD5, NaCl's for secretbox, and those of other Channels libraries.
#
#   scripts/torture/vectors.sh            all of them; --long is the same
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cargo cc=gcc
case ${1:-} in '' | --long) ;; *) fail 'usage: scripts/torture/vectors.sh [--long]' ;; esac
FILES=tests/vectors
out=$PWD/build/torture/vectors
rm -rf "$out"
mkdir -p "$out"

build() { cargo test --quiet --locked --lib --test abi --no-run; }

unit() { cargo test --quiet --locked --lib -- "$@"; }
abi() { cargo test --quiet --locked --test abi -- "$@"; }

# run NUMBER COMMAND…: a filter that matches no test would pass.
run() {
  local number=$1
  shift
  "$@" >"$out/log" 2>&1 || { cat "$out/log"; return 1; }
  grep -q "^test result: ok. $number passed" "$out/log" || fail "not $number tests: $(cat "$out/log")"
}

core() { run 5 unit signing::tests::verifies_what signing::tests::agrees signing::tests::signs_like encryption::tests::agrees; }
through_c() { run 5 abi vectors::; }

# One digit of each file is another; the functions in C find the one of RFC 4231 as well.
can_fail() {
  local file
  for file in "$FILES"/*; do
    case $file in */peers.json) continue ;; esac
    rm -rf "$out/wrong"
    cp -r "$FILES" "$out/wrong"
    python3 - "$out/wrong/${file##*/}" <<'PYTHON'
import re, sys

text = open(sys.argv[1], encoding="utf-8").read()
# Of the second result, if there are several.
found = list(re.finditer(r'(?:MD = |"tag": "|"sealed": ")([0-9a-f])', text))[:2]
at = found[-1].start(1)
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write(text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :])
PYTHON
    if VECTORS=$out/wrong core >/dev/null 2>&1; then fail "a wrong digit in $file is not found"; fi
    case $file in
      */rfc4231*) if VECTORS=$out/wrong through_c >/dev/null 2>&1; then fail "a wrong digit in $file is not found by the C functions"; fi ;;
    esac
  done
}

count() { grep -c "$1" "$FILES/$2"; }

step 'building' build
step 'a wrong digit in each file is found' can_fail
step 'the core' core
step 'the C functions' through_c
printf 'figure: %s vectors of Wycheproof (HMAC-SHA256), %s of RFC 4231, %s of NIST (SHA-256), %s of RFC 1321 (MD5), 2 of NaCl, %s of other libraries\n' \
  "$(count '"tcId"' wycheproof-hmac-sha256.json)" "$(count '^MD = ' rfc4231-hmac-sha256.txt)" \
  $(($(count '^MD = ' nist-sha256-shortmsg.rsp) + $(count '^MD = ' nist-sha256-longmsg.rsp) + $(count '^MD = ' nist-sha256-monte.rsp))) \
  "$(count '^MD = ' rfc1321-md5.txt)" "$(count '^  "id"' peers.json)"
