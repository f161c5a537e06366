#!/usr/bin/env bash
# Runs the Rust tests of make check, and prints which lines of src they execute: of the C functions (src/ffi) and of the core.
#
#   scripts/torture/coverage.sh            fails below the floors
#   scripts/torture/coverage.sh --lines    also prints the lines that no test executes
#
# The figures are those of llvm-cov, of the LLVM that rustc has.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

# Percent. src/ffi is measured through the C functions, the core also by its unit tests.
FFI_FLOOR=100 CORE_FLOOR=95
# Threads meet in another order in each run, and some lines are executed only in a rare one. So what is below a floor is tested again, and
# the counters of all runs are added up: a line that no test executes stays without one.
RUNS=3

llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
need cargo cc=gcc python3 "llvm-cov-$llvm=llvm-$llvm" "llvm-profdata-$llvm=llvm-$llvm"
out=$PWD/build/coverage
rm -rf "$out"
mkdir -p "$out"

# Cargo passes it the command line of rustc, for this project's crates only: the others need no counters. Only a planted panic
# (tests/abi/panics.rs) executes what catches panics.
printf '#!/bin/sh\nexec "$@" -C instrument-coverage --cfg pusher_failpoints\n' >"$out/rustc"
chmod +x "$out/rustc"
# Most tests wait for something most of the time.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}
export RUSTC_WORKSPACE_WRAPPER=$out/rustc CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/coverage
TESTS=(--lib --test abi --test network --test process --test publisher --test out_of_memory --test fault_server --test repository)

build() {
  # Our build script has counters, too.
  export LLVM_PROFILE_FILE=$out/build/%p.profraw
  cargo build --quiet --locked --example fault-server
  cargo test --quiet --locked --no-run --message-format json-render-diagnostics "${TESTS[@]}" |
    sed -n 's/.*"name":"\([a-z_]*\)".*"executable":"\([^"]*\)".*/\1 \2/p' >"$out/programs"
}

# Four files, into which the processes of the tests add up their counters, also those of earlier runs.
run() {
  LLVM_PROFILE_FILE=$out/%4m.profraw cargo test --quiet --locked "${TESTS[@]}"
  # Processes of tests without an environment write here.
  rm -f default_*.profraw
}

# A process that is killed while it writes may leave a file that ends early. What it had counted is missing then.
merge() { "llvm-profdata-$llvm" merge --sparse --failure-mode=all --output "$out/all.profdata" "$out"/*.profraw; }

# cov COMMAND PROGRAMS… -- FOLDER…: a report over these folders, without their tests.
cov() {
  local command=$1 name objects=()
  shift
  while [ "$1" != -- ]; do
    name=$(sed -n "s/^$1 //p" "$out/programs")
    objects+=(-object "$name")
    shift
  done
  "llvm-cov-$llvm" "$command" --instr-profile "$out/all.profdata" "${objects[@]:1}" \
    --ignore-filename-regex '(/tests|/reference)[./]' "${@:2}" 2>/dev/null
}

percent() { awk '/^TOTAL/ { sub("%", "", $10); print $10 }'; }

# check WHAT PERCENT FLOOR
check() {
  awk -v what="$1" -v percent="$2" -v floor="$3" 'BEGIN {
    printf "%-24s %6.2f %% of the lines, at least %d\n", what, percent, floor
    exit !(percent >= floor)
  }'
}

# measure: runs the tests, and sets the percentages of all runs until now.
measure() {
  step 'the tests' run
  step 'the counters of all processes' merge
  ffi=$(cov report abi network process publisher out_of_memory -- "$PWD/src/ffi" | tee "$out/ffi.txt" | percent)
  core=$(cov report pusher abi network process publisher out_of_memory -- "${others[@]}" | tee "$out/core.txt" | percent)
}

step 'the tests, built with counters' build
others=()
for path in src/*; do case $path in */ffi | */lib.rs) ;; *) others+=("$PWD/$path") ;; esac; done
verdict=0
for ((run = 1; run <= RUNS; run++)); do
  measure
  verdict=0
  check 'src/ffi' "$ffi" "$FFI_FLOOR" || verdict=1
  check 'the core' "$core" "$CORE_FLOOR" || verdict=1
  if [ $verdict = 0 ]; then break; fi
done
if [ "${1:-}" = --lines ]; then
  cov show abi network process publisher out_of_memory -- "$PWD/src/ffi" | grep -E '^/|^ +[0-9]+\| +0\|' || true
  cov show pusher abi network process publisher out_of_memory -- "${others[@]}" | grep -E '^/|^ +[0-9]+\| +0\|' || true
fi
printf 'figure: lines executed by the tests: src/ffi %s %%, the core %s %%\n' "$ffi" "$core"
[ "$verdict" = 0 ] || fail 'fewer lines than the floor: see build/coverage, and --lines'
