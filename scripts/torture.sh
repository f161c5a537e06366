#!/usr/bin/env bash
# Runs what is meant to break the library: fuzzing, sanitizers, failing allocations and system calls, forks, a soak, and more. Prints
# a figure for each (docs/testing.md).
#
#   scripts/torture.sh                the long forms: a day and more
#   scripts/torture.sh --short        the short forms, as make test runs them
#   scripts/torture.sh fork soak      only these, in their long forms; also with --short
#
# The figures are kept in build/torture/figures.txt.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

form=(--long)
if [ "${1:-}" = --short ]; then form=() && shift; fi
names=("$@")
if [ $# = 0 ]; then
  for file in scripts/torture/*.sh; do
    name=$(basename "$file" .sh)
    # `make test` has the lines that its tests execute from scripts/check.sh, and mutants have no short form.
    case ${form[*]-}/$name in /coverage | /mutants) ;; *) names+=("$name") ;; esac
  done
fi
out=$PWD/build/torture
mkdir -p "$out"

# One library and one fault server for all that take them.
build() {
  library "$out/libpusher.so"
  fault_server
}

# run NAME: prints what it does, and keeps its figure with its duration.
run() {
  local start=$SECONDS
  PUSHER_LIBRARY=$out/libpusher.so "scripts/torture/$1.sh" "${form[@]}" 2>&1 | tee "$out/$1.log"
  sed -n "s/^figure: /$1 ($((SECONDS - start)) s): /p" "$out/$1.log" >>"$out/figures.txt"
}

step 'library and fault server' build
: >"$out/figures.txt"
for name in "${names[@]}"; do step "$name" run "$name"; done
cat "$out/figures.txt"
