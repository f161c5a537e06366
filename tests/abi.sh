#!/usr/bin/env bash
# The shared library exports what abi/symbols.txt says and nothing else, under its name, built with link-time
# optimisation, small, and without a runtime inside.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

need gcc cmake make nm=binutils

MAX_BYTES=2300000
BUILD=$ROOT/build/abi
LIBRARY=$BUILD/libpusher.so
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/build/cargo}

build() {
  rm -rf "$BUILD"
  mkdir -p "$BUILD"
  {
    cmake -S "$ROOT" -B "$BUILD" -DPUSHER_BUILD_STATIC=OFF -DPUSHER_BUILD_EXAMPLES=OFF &&
      cmake --build "$BUILD"
  } >"$BUILD/log" 2>&1 || { cat "$BUILD/log" >&2; fail "the shared library does not build"; }
}

symbols() {
  nm -D --defined-only --format=just-symbols "$LIBRARY" | LC_ALL=C sort >"$BUILD/symbols.txt"
  ! grep -v '^pusher_' "$BUILD/symbols.txt" || fail "exported without the prefix pusher_"
  diff -u "$ROOT/abi/symbols.txt" "$BUILD/symbols.txt" ||
    fail "The exported symbols are not those of abi/symbols.txt. One that is missing breaks every program that uses it;
a new one is written there: cp build/abi/symbols.txt abi/symbols.txt"
}

dynamic() {
  local dynamic
  dynamic=$(readelf -dW "$LIBRARY")
  grep -q 'SONAME.*\[libpusher\.so\.0\]' <<<"$dynamic" || fail "the SONAME is not libpusher.so.0: $dynamic"
  grep -q 'FLAGS_1.*NODELETE' <<<"$dynamic" || fail "the library may be unloaded: $dynamic"
}

# Link-time optimisation makes one unit of all Rust code, and the symbol table names the units. (compiler_builtins never
# takes part.)
lto() {
  local units
  units=$(readelf -sW "$LIBRARY" | awk '$4 == "FILE" && $8 ~ /-cgu\./ && $8 !~ /^compiler_builtins\./ { print $8 }')
  [[ $units =~ ^pusher\.[0-9a-f]+-cgu\.0$ ]] ||
    fail "not built with link-time optimisation: Rust code of $(wc -l <<<"$units") units is in it, such as
$(head -n 5 <<<"$units")"
}

size() {
  local bytes
  strip --strip-unneeded -o "$BUILD/stripped.so" "$LIBRARY"
  bytes=$(stat -c %s "$BUILD/stripped.so")
  say "$bytes bytes, stripped"
  [ "$bytes" -le $MAX_BYTES ] || fail "larger than $MAX_BYTES bytes"
}

no_runtime() {
  local tree
  tree=$(cd "$ROOT" && cargo tree --locked -e normal --prefix none)
  ! grep -E '^(tokio|async-std|smol)\b' <<<"$tree" || fail "an asynchronous runtime is among the dependencies"
}

step "build the shared library" build
step "exported symbols" symbols
step "SONAME and NODELETE" dynamic
step "link-time optimisation" lto
step "size" size
step "no asynchronous runtime" no_runtime
