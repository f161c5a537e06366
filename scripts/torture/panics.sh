#!/usr/bin/env bash
# Makes every exported function panic, at its beginning and with each lock held that it takes: it returns INTERNAL, the same handles
# work again, and nothing is printed.
#
#   scripts/torture/panics.sh              the same with --long
#   FAULT_SERVER=file …                    uses this
#
# The library is built with --cfg pusher_failpoints, which no build for use has: src/failpoint.rs.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc nm=binutils /usr/include/cjson/cJSON.h=libcjson-dev
out=build/torture/panics
rm -rf "$out"
mkdir -p "$out"
folder=${CARGO_TARGET_DIR:-target}/failpoints

build() {
  fault_server
  RUSTFLAGS='--cfg pusher_failpoints' CARGO_TARGET_DIR=$folder \
    cargo rustc --quiet --profile no-lto --locked --lib --crate-type cdylib
  cp "$folder/no-lto/libpusher.so" "$out/libpusher.so.0"
  torture_program "$out" panics
}

# A library for use has no failpoints.
not_for_use() {
  library "$out/for-use.so"
  nm -D --defined-only "$out/for-use.so" >"$out/symbols"
  if grep -q failpoint "$out/symbols"; then fail 'a library for use has failpoints'; fi
}

# listed: compares the functions of the two lists with those that a file names.
listed() { { "$out/panics" --list && "$out/panics" --still; } | cut -d' ' -f1 | sort | diff "$1" -; }

# Every function of the header and of the library panics, or the other list says why it cannot.
every_function() {
  echo '#include <pusher.h>' | cc -E -P -Iinclude - | grep -oE '\bpusher_[a-z_]+\(' | tr -d '(' | sort -u >"$out/functions"
  sort abi/symbols.txt | diff "$out/functions" - || fail 'include/pusher.h has other functions than abi/symbols.txt'
  listed "$out/functions" || fail 'tests/torture/panics.c has other functions than include/pusher.h'
  # A function more is found.
  { cat "$out/functions" && echo pusher_unlisted; } | sort >"$out/planted"
  if listed "$out/planted" >"$out/planted.log"; then fail 'a function in neither list is not found'; fi
  sed 's/^/   cannot panic: /' <("$out/panics" --still)
}

panics() { timeout 300 "$out/panics" | tee "$out/log"; }

step 'building' build
step 'a library for use has no failpoints' not_for_use
step 'every exported function is tried' every_function
step 'each function panics' panics
printf 'figure: %s of %s exported functions panicked in %s places: INTERNAL, usable again, nothing printed; the other %s cannot panic\n' \
  "$(sed -nE 's/functions ([0-9]+),.*/\1/p' "$out/log")" "$(wc -l <"$out/functions")" "$(sed -nE 's/.*panics ([0-9]+)$/\1/p' "$out/log")" \
  "$("$out/panics" --still | wc -l)"
