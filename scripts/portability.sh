#!/usr/bin/env bash
# Builds the library, the C examples and the tests for other targets, and runs them: under qemu, under wine, or natively. Prints a table.
#
#   scripts/portability.sh                    all targets
#   scripts/portability.sh TARGET…            these, such as aarch64-unknown-linux-gnu
#   scripts/portability.sh --write [TARGET…]  also writes the table into docs/platforms.md; targets that did not run keep their rows
#   scripts/portability.sh --rust [TARGET…]   also the Rust suites of the C ABI and of the publisher, which take long to compile
#   scripts/portability.sh --short            only 64-bit ARM and Windows: the shared library, unoptimised, and the suites in C
#   scripts/portability.sh --build            only builds the library, the examples and the suites, for a next run with the same options
#   scripts/portability.sh --types            only checks the types of the library, for targets that nothing can be linked for here
#   BUILD=folder scripts/portability.sh       another build folder than build/portability, which is kept
#
# Rust 1.85 is Debian's, because Debian has its standard library for other architectures, and its sources for the rest.
# The fault server runs natively, on the loopback.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/targets.sh"
cd "$(dirname "$0")/.."

short='' write='' rust='' only_build='' types='' chosen=()
for argument in "$@"; do
  case $argument in
    --short) short=1 ;;
    --write) write=1 ;;
    --rust) rust=1 ;;
    --build) only_build=1 ;;
    --types) types=1 ;;
    *)
      [[ " ${TARGETS[*]} " = *" $argument "* ]] || fail "no such target: $argument. There are: ${TARGETS[*]}"
      chosen+=("$argument")
      ;;
  esac
done
if [ ${#chosen[@]} = 0 ]; then
  chosen=("${TARGETS[@]}")
  if [ -n "$short" ]; then chosen=(aarch64-unknown-linux-gnu x86_64-pc-windows-gnu); fi
fi

mkdir -p "${BUILD:=build/portability}"
OUT=$(realpath "$BUILD")
# Each target's row of the table is in a file.
rows=$OUT/rows
mkdir -p "$rows"

# Compiles the C code of ring, and checks the types of the Rust code, of which it generates none.
types() (
  unlinked "$1"
  "$CARGO" check --quiet --locked --lib --target "$1" -Zbuild-std=std,panic_unwind
)
if [ -n "$types" ]; then
  for target in "${UNLINKED[@]}"; do step "the types for $target" types "$target"; done
  exit
fi

# The least numbers of cases and tests, so that a suite that runs nothing fails.
LEAST_CASES=300 LEAST_VECTORS=90 LEAST_SERVER=9 LEAST_ABI=200 LEAST_PUBLISHER=100

# --- building ---

# Only its source fits every target.
cjson() {
  local source
  source=$(tools/rust/get-rust-web.sh --source cjson)
  mkdir -p "$HERE/cjson/cjson"
  cp "$source/cJSON.h" "$HERE/cjson/cjson/"
  [ "$HERE/cjson/libcjson.a" -nt "$source/cJSON.c" ] || {
    "$PREFIX-gcc" -O1 -c -o "$HERE/cjson/cJSON.o" "$source/cJSON.c"
    ar rcs "$HERE/cjson/libcjson.a" "$HERE/cjson/cJSON.o"
  }
}

# logged NAME COMMAND…: runs a command, and prints its output only if it fails.
logged() {
  local log=$HERE/$1.log
  shift
  "$@" >"$log" 2>&1 || {
    tail -n 60 "$log" >&2
    fail "failed: $*"
  }
}

build() {
  local options=(-DPUSHER_BUILD_TESTS=ON -DPUSHER_BUILD_EXAMPLES=ON)
  toolchain_file "$HERE/toolchain.cmake"
  cjson
  if [ -n "$short" ]; then
    # Unoptimised, because it runs for a shorter time than optimising takes.
    options+=(-DPUSHER_BUILD_STATIC=OFF -DPUSHER_BUILD_CXX_TESTS=OFF -DPUSHER_CARGO_PROFILE=dev)
  else
    options+=(-DPUSHER_BUILD_STATIC=ON -DPUSHER_CARGO_PROFILE=no-lto)
  fi
  [ "$HOW" != 'natively, fully static' ] || options+=(-DPUSHER_BUILD_SHARED=OFF -DPUSHER_BUILD_CXX_TESTS=OFF "-DPUSHER_CARGO_BUILD_TARGET=$TARGET")
  logged configure cmake -S . -B "$HERE/build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$HERE/toolchain.cmake" -DPUSHER_CARGO="$CARGO" \
    -DPUSHER_CARGO_FLAGS=--locked -DPUSHER_FAULT_SERVER="$FAULT_SERVER" -DCJSON_INCLUDE_DIR="$HERE/cjson" \
    -DCJSON_LIBRARY="$HERE/cjson/libcjson.a" -DCMAKE_INSTALL_PREFIX="$HERE/prefix" "${options[@]}"
  logged build cmake --build "$HERE/build"
}

# --- running ---

# The last line of a test's output, which has its numbers.
count() { sed -nE "$1" "$HERE/$2.log" | tail -n 1; }

ctest_suites() {
  local all vectors passed
  # The header was checked by the host's compilers; these are the target's.
  local at_once=1
  if [ -n "$short" ]; then at_once=4; else export DELIVERY_WHOLE=1; fi
  logged ctest ctest --test-dir "$HERE/build" --parallel "$at_once" --no-tests=error --timeout 900 --output-on-failure -V
  # Without those that are skipped.
  all=$(($(count 's/.*[^0-9]([0-9]+) cases in C: 0 failed; ([0-9]+) skipped.*/\1 - \2/p' ctest)))
  [ "${all:-0}" -ge $LEAST_CASES ] || fail "only ${all:-0} cases ran"
  grep -q 'the contract is kept' "$HERE/ctest.log" || fail 'the contract did not run'
  vectors=$(count 's/.*[^0-9]([0-9]+) vectors in C: 0 failed; .*/\1/p' ctest)
  [ "${vectors:-0}" -ge $LEAST_VECTORS ] || fail "only ${vectors:-0} vectors ran"
  # The program itself knows how many calls are too few.
  delivery=$(count 's/.*[^0-9]([0-9]+) calls under faults in C: 0 failed.*/\1/p' ctest)
  [ -n "$delivery" ] || fail 'no calls under faults ran'
  passed=$(count 's/^100% tests passed, 0 tests failed out of ([0-9]+)$/\1/p' ctest)
  tests+=("$passed suites with $all shared cases, $vectors vectors and the contract")
}

# A program of the target with a real server, soketi, and a real subscriber, pusher-js; both run natively.
with_soketi() {
  local suffix=''
  [ "$SYSTEM" = Linux ] || suffix=.exe
  logged soketi env BINDINGS="$(node -p 'JSON.stringify({ [process.argv[1]]: process.argv.slice(2) })' -- "$TARGET" "${RUN[@]}" \
    "$HERE/build/test-with-server$suffix")" node --test e2e/bindings/bindings.test.mjs
  soketi=$(count 's/^[^ ]+ pass ([0-9]+)$/\1/p' soketi)
  [ "${soketi:-0}" -ge $LEAST_SERVER ] || fail "only ${soketi:-0} tests with soketi ran"
}

# rust_suite NAME LEAST [CARGO'S ARGUMENT…] [-- FILTER]: runs a suite in Rust.
rust_suite() {
  local name=$1 least=$2 passed
  shift 2
  logged "$name" "$CARGO" test --quiet --locked --target "$TARGET" --test "$name" "$@"
  passed=$(count 's/^test result: ok\. ([0-9]+) passed.*/\1/p' "$name")
  [ "${passed:-0}" -ge "$least" ] || fail "only ${passed:-0} tests of $name ran"
  tests+=("$passed of tests/$name")
}

# What another project finds where the library is installed.
installed() {
  local prefix=$HERE/prefix package components='shared;static' consumer=$HERE/consumer
  rm -rf "$prefix"
  logged install cmake --install "$HERE/build" --prefix "$prefix" --strip
  package=$(dirname "$(find "$prefix" -name pusher-config.cmake)")
  if [ "$HOW" = 'natively, fully static' ]; then
    # shellcheck disable=SC2046 # words
    logged consumer "$PREFIX-gcc" -o "$HERE/pkg-config-consumer" tests/consumers/main.c \
      $(PKG_CONFIG_LIBDIR=$(dirname "$package")/../pkgconfig pkg-config --static --cflags --libs pusher)
    logged consumer "$HERE/pkg-config-consumer"
  else
    [ -z "$short" ] || components=shared
    logged consumer cmake -S tests/consumers/find_package -B "$consumer" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$HERE/toolchain.cmake" \
      -DPusher_DIR="$package" -DCONSUMER_COMPONENTS="$components"
    logged consumer cmake --build "$consumer"
    # There is no path to a DLL in a program of Windows.
    if [ "$SYSTEM" = Windows ]; then cp "$prefix/bin/pusher.dll" "$consumer/"; fi
    logged consumer ctest --test-dir "$consumer" --no-tests=error --output-on-failure
  fi
  tests+=('consumers of the installed library')
}

# An event, and 50 of the publisher, by the examples.
examples() {
  local run=("${RUN[@]}") url suffix='' folder=$HERE/build
  [ "$SYSTEM" = Linux ] || suffix=.exe
  url=$(python3 - <<'PYTHON'
import json, os, urllib.parse, http.client
ready = json.loads(os.environ["FAULT_SERVER_READY"])
connection = http.client.HTTPConnection("127.0.0.1", ready["control"], timeout=60)
connection.request("POST", "/listen", '{"fault":"none"}')
port = json.loads(connection.getresponse().read())["port"]
print(f"http://{ready['key']}:{urllib.parse.quote(ready['secret'], safe='')}@127.0.0.1:{port}/apps/4711")
PYTHON
  )
  PUSHER_URL=$url logged trigger "${run[@]}" "$folder/trigger$suffix" my-channel my-event '{"hello":"world"}'
  PUSHER_URL=$url logged publisher-example "${run[@]}" "$folder/publisher$suffix" my-channel my-event 50
  grep -q '"delivered":50,' "$HERE/publisher-example.log" || fail "not all events were delivered: $(cat "$HERE/publisher-example.log")"
  tests+=('2 examples')
}

# The DLL exports the functions of the ABI and nothing else, needs no DLL of a compiler, has a version and names no folder.
dll() {
  local file=$HERE/build/pusher.dll
  x86_64-w64-mingw32-objdump -p "$file" >"$HERE/dll.log"
  sed -n '/Name Pointer. Table/,/^$/s/.* \([a-z_]*\)$/\1/p' "$HERE/dll.log" | sort | diff - <(sort abi/symbols.txt) ||
    fail 'pusher.dll exports other symbols than abi/symbols.txt'
  ! grep -E 'DLL Name: lib' "$HERE/dll.log" || fail 'pusher.dll needs a DLL of the compiler'
  strings -el "$file" | grep -A 1 ProductVersion | grep -xF "$(version)" >/dev/null || fail 'pusher.dll has no version'
  ! strings "$file" | grep -F -e "$PWD" -e "$HOME/" || fail 'pusher.dll names a folder of this machine'
}

thousands() { sed -E ':a; s/([0-9])([0-9]{3})($|,)/\1,\2\3/; ta' <<<"$1"; }

size() {
  local file
  for file in "$HERE/build/pusher.dll" "$HERE"/build/libpusher.so.*.*.* "$HERE/build/trigger"; do
    [ -e "$file" ] || continue
    "$STRIP" -o "$HERE/stripped" "$file"
    thousands "$(stat -c %s "$HERE/stripped")"
    return
  done
}

# Starts the fault server, which serves all targets, and keeps its first line.
start_fault_server() {
  coproc FAULTS { exec "$FAULT_SERVER"; }
  read -r FAULT_SERVER_READY <&"${FAULTS[0]}"
  export FAULT_SERVER_READY
}

one() (
  HERE=$OUT/$1
  tests=() delivery='' soketi=''
  mkdir -p "$HERE"
  target "$1"
  export TEST_EMULATOR="${RUN[*]}" CARGO_PROFILE_DEV_DEBUG=0
  # A program that wine runs starts others by itself.
  [ "$SYSTEM" = Linux ] || TEST_EMULATOR=''
  step "$TARGET: build" build
  [ -z "$only_build" ] || exit 0
  step "$TARGET: examples" examples
  step "$TARGET: the suites in C and C++" ctest_suites
  [ -n "$short" ] || step "$TARGET: with a real server" with_soketi
  [ "$SYSTEM" = Linux ] || step "$TARGET: what the DLL exports and needs" dll
  step "$TARGET: install, and use it from another project" installed
  if [ -n "$rust" ]; then
    step "$TARGET: the C ABI, in Rust" rust_suite abi $LEAST_ABI
    step "$TARGET: the publisher, in Rust" rust_suite publisher $LEAST_PUBLISHER
  fi
  list=$(printf '%s, ' "${tests[@]}")
  [ -n "$short" ] || echo "| \`$TARGET\` | $HOW | ${list%, } | $(thousands "$delivery") calls | $soketi tests | $(size) |" >"$rows/$TARGET"
)

servers() {
  need node=nodejs
  tools/servers/get-soketi.sh >/dev/null && tools/servers/get-pusher-js.sh >/dev/null
}

[ -n "$short$only_build" ] || step 'the real server and its subscriber' servers
step 'the fault server' fault_server
if [ -z "$only_build" ]; then
  start_fault_server
  # shellcheck disable=SC2034 # the trap closes it
  faults=${FAULTS[1]}
  trap 'exec {faults}>&-' EXIT
fi
number=0
for target in "${chosen[@]}"; do
  number=$((number + 1))
  step "$target, $number of ${#chosen[@]}" one "$target"
done

# The rows of the targets that ran, and those of docs/platforms.md for the others.
table() {
  echo '| target | run | tests that passed | under faults | with soketi | bytes |'
  echo '|---|---|---|---|---|---|'
  for target in "${TARGETS[@]}"; do
    if [[ " ${chosen[*]} " = *" $target "* ]]; then
      cat "$rows/$target"
    else
      grep -F "| \`$target\` |" docs/platforms.md || true
    fi
  done
}

if [ -z "$short$only_build" ]; then
  table | tee "$OUT/table"
  if [ -n "$write" ]; then
    # Prettier wants an empty line on both sides of the table.
    sed -e '/^<!-- written by /,/^<!-- end -->/ { /^<!--/!d }' -e "/^<!-- written by /r /dev/stdin" docs/platforms.md \
      < <(echo && cat "$OUT/table" && echo) >"$OUT/platforms.md"
    cp "$OUT/platforms.md" docs/platforms.md
  fi
fi
