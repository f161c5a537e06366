#!/usr/bin/env bash
# Checks the shared library: it exports exactly the symbols of abi/symbols.txt, has the right SONAME, is built with link-time
# optimisation, is small, and contains no asynchronous runtime. Compares pusher.h with the record in abi/ (docs/abi.md).
#
#   scripts/abi.sh            checks
#   scripts/abi.sh declared   checks only what pusher.h declares, which takes a second
#   scripts/abi.sh record     writes abi/ after an addition to pusher.h; refuses a change that would break programs
#
# The record is made from the header and not from the library, whose debug information describes Rust's types and half of Rust's
# standard library. tests/repository/header.rs and the symbols prove that the header is what Rust exports.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

need gcc cmake make nm=binutils abidiff=abigail-tools

MAX_BYTES=2400000
BUILD=$ROOT/build/abi
LIBRARY=$BUILD/libpusher.so
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/build/cargo}

# The bits of abidiff's exit status that mean that it could not compare.
readonly ABI_ERROR=3

# surface HEADER DIRECTORY: makes these files in the directory from a pusher.h:
#   surface.so      a library in C with each function of the header, and a function that takes each of its enums
#   functions.txt   the declarations of the functions, one per line. abidiff compares only types: it does not see that two
#                   parameters of one type changed places. Bindings use the names of parameters as keyword arguments
surface() {
  local header=$1 directory=$2
  rm -rf "$directory"
  mkdir -p "$directory"
  cp "$header" "$directory/pusher.h"
  (
    cd "$directory" || exit
    printf '#include "pusher.h"\n' >surface.c
    # The compiler lists the declarations and their files. The record must not depend on the folder.
    gcc -std=gnu17 -fsyntax-only -aux-info declared surface.c &&
      sed -n 's|^/\* [^ ]*pusher\.h:.* \*/ extern \(.*\);$|\1 { __builtin_trap(); }|p' declared >>surface.c &&
      sed -nE 's|^enum (Pusher\w+).*|void enum_\1(enum \1 value) { (void)value; }|p' pusher.h >>surface.c &&
      gcc -std=gnu17 -g -O0 -fPIC -shared -Wl,-soname,libpusher.so.0 -ffile-prefix-map="$PWD=." -o surface.so surface.c &&
      gcc -E -P -x c pusher.h | tr -s ' \n' ' ' | tr ';' '\n' |
      sed -nE 's/^ ?(extern )?([^(]*\bpusher_\w+ ?\(.*\))$/\2;/p' | LC_ALL=C sort >functions.txt
  ) >"$directory/log" 2>&1 || { cat "$directory/log" >&2; fail "cannot make a library from $header"; }
}

# compare OPTION… FILE FILE: runs abidiff, with its report in $BUILD/report. Returns whether there is no difference; exits if
# abidiff cannot compare.
compare() {
  local status=0
  # Sizes and calling conventions differ between machines, declarations do not.
  abidiff --no-architecture "$@" >"$BUILD/report" 2>&1 || status=$?
  [ $((status & ABI_ERROR)) = 0 ] || { cat "$BUILD/report" >&2; fail "abidiff failed ($status): $*"; }
  [ $status = 0 ]
}

# compatible DIRECTORY: returns whether programs compiled against the record run with the surface in the directory. New functions
# and new values of an enum are compatible.
compatible() {
  local lost
  compare --no-added-syms "$ROOT/abi/pusher.abi" "$1/surface.so" || return 1
  lost=$(LC_ALL=C comm -23 "$ROOT/abi/functions.txt" "$1/functions.txt")
  [ -z "$lost" ] || { printf 'Removed or changed declarations:\n%s\n' "$lost" >"$BUILD/report"; return 1; }
}

# on_record DIRECTORY: returns whether the surface is the record: compatible, with nothing added or made const.
on_record() {
  compatible "$1" || return 1
  compare --harmless "$ROOT/abi/pusher.abi" "$1/surface.so" || return 1
  diff -u "$ROOT/abi/functions.txt" "$1/functions.txt" >"$BUILD/report"
}

declared() {
  surface "$ROOT/include/pusher.h" "$BUILD/surface"
  # surface found the whole interface: a function that it missed would not be checked.
  diff -u "$ROOT/abi/symbols.txt" <(grep -oE 'pusher_\w+ ?\(' "$BUILD/surface/functions.txt" | tr -d ' (' | LC_ALL=C sort) ||
    fail "pusher.h and abi/symbols.txt do not have the same functions"
  diff -u "$ROOT/abi/symbols.txt" <(cut -d ' ' -f 1 "$ROOT/abi/since.txt") ||
    fail "abi/symbols.txt and abi/since.txt do not have the same functions"
  compatible "$BUILD/surface" || {
    cat "$BUILD/report" >&2
    fail "This breaks programs that were compiled before; see docs/abi.md."
  }
  on_record "$BUILD/surface" || {
    cat "$BUILD/report" >&2
    fail "An addition is not on record. If it is meant to stay forever: scripts/abi.sh record"
  }
}

# edited SCRIPT: makes the surface of a pusher.h that sed has changed.
edited() {
  sed -E "$1" "$ROOT/include/pusher.h" >"$BUILD/edited.h"
  ! cmp -s "$ROOT/include/pusher.h" "$BUILD/edited.h" || fail "the sed script changes nothing in pusher.h: $1"
  surface "$BUILD/edited.h" "$BUILD/edited"
}

# breaks WHAT SCRIPT: expects that the change is refused.
breaks() {
  edited "$2"
  ! compatible "$BUILD/edited" || fail "not found: $1"
}

# adds WHAT SCRIPT: expects that the change is allowed, and must be recorded.
adds() {
  edited "$2"
  compatible "$BUILD/edited" || { cat "$BUILD/report" >&2; fail "refused although it breaks nothing: $1"; }
  ! on_record "$BUILD/edited" || fail "not required to be recorded: $1"
}

# Tests the check itself with changes that are easily made.
guard() {
  breaks "a function removed" '/^const char \*pusher_version\(void\);/d'
  breaks "a function renamed" 's/^(void pusher_free)\(/\1_client(/'
  breaks "another type returned" 's/^int32_t (pusher_error_delivery)/int64_t \1/'
  breaks "a return value removed" 's/^PusherStatus (pusher_publisher_stats)/void \1/'
  breaks "a wider parameter" 's/^(const char \*pusher_status_name\()int32_t/\1int64_t/'
  breaks "another handle" 's/^(uint32_t pusher_request_timeout_ms\(const )PusherRequest/\1PusherResponse/'
  breaks "an additional parameter" 's/^(void pusher_string_free\(char \*text)/\1, int32_t flags/'
  breaks "two parameters of one type swapped" \
    's/(const char \*)key,/\1swapped,/; s/(const char \*)signature,/\1key,/; s/(const char \*)swapped,/\1signature,/'
  breaks "an enum's value changed" 's/(PUSHER_STATUS_FORKED =) 83/\1 84/'
  breaks "an enum's value removed" '/PUSHER_STATUS_FORKED = 83/d'
  breaks "an enum's value renamed" 's/PUSHER_DELIVERY_UNKNOWN =/PUSHER_DELIVERY_UNSURE =/'
  breaks "a wider status" 's/^typedef int32_t PusherStatus/typedef int64_t PusherStatus/'
  breaks "a callback with a return value" 's/^typedef void (\(\*PusherDropFn\))/typedef int32_t \1/'
  breaks "a callback with another parameter type" 's/^( +)int32_t level,/\1int64_t level,/'
  adds "a new function" 's/^(const char \*pusher_version\(void\);)/\1 int32_t pusher_new_function(void);/'
  adds "a new status" 's/(PUSHER_STATUS_FORKED = 83)/\1, PUSHER_STATUS_NEW = 84/'
}

record() {
  mkdir -p "$BUILD"
  surface "$ROOT/include/pusher.h" "$BUILD/surface"
  if [ -e "$ROOT/abi/pusher.abi" ]; then
    compatible "$BUILD/surface" || {
      cat "$BUILD/report" >&2
      fail "Not recorded: this breaks programs that were compiled before. If the SONAME changes with it (docs/abi.md), remove
abi/pusher.abi and abi/functions.txt first."
    }
  fi
  cp "$BUILD/surface/functions.txt" "$ROOT/abi/functions.txt"
  grep -oE 'pusher_\w+ ?\(' "$BUILD/surface/functions.txt" | tr -d ' (' | LC_ALL=C sort >"$ROOT/abi/symbols.txt"
  # What is new came with this version.
  touch "$ROOT/abi/since.txt"
  LC_ALL=C join -a 1 -e "$(cd "$ROOT" && version)" -o 0,2.2 "$ROOT/abi/symbols.txt" "$ROOT/abi/since.txt" >"$BUILD/since.txt"
  cp "$BUILD/since.txt" "$ROOT/abi/since.txt"
  abidw --no-show-locs --no-comp-dir-path --no-corpus-path --out-file "$ROOT/abi/pusher.abi" "$BUILD/surface/surface.so"
}

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
    fail "The exported symbols differ from abi/symbols.txt. A missing symbol breaks every program that uses it.
Record a new one with: scripts/abi.sh record"
}

dynamic() {
  local dynamic
  dynamic=$(readelf -dW "$LIBRARY")
  grep -q 'SONAME.*\[libpusher\.so\.0\]' <<<"$dynamic" || fail "the SONAME is not libpusher.so.0: $dynamic"
  grep -q 'FLAGS_1.*NODELETE' <<<"$dynamic" || fail "the library may be unloaded: $dynamic"
}

# Link-time optimisation merges all Rust code into one unit, and the symbol table names the units. compiler_builtins is always
# separate.
lto() {
  local units
  units=$(readelf -sW "$LIBRARY" | awk '$4 == "FILE" && $8 ~ /-cgu\./ && $8 !~ /^compiler_builtins\./ { print $8 }')
  [[ $units =~ ^pusher\.[0-9a-f]+-cgu\.0$ ]] ||
    fail "not built with link-time optimisation: it contains $(wc -l <<<"$units") units of Rust code, such as
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

if [ "${1:-}" = record ]; then
  step "record the interface in abi/" record
  exit
fi

if [ "${1:-}" = declared ]; then
  mkdir -p "$BUILD"
  step "the declarations of pusher.h" declared
  exit
fi

step "build the shared library" build
step "exported symbols" symbols
step "the declarations of pusher.h" declared
step "planted changes that break programs are found" guard
step "SONAME and NODELETE" dynamic
step "link-time optimisation" lto
step "size" size
step "no asynchronous runtime" no_runtime
