#!/usr/bin/env bash
# Runs what is meant to break the library: fuzzing, sanitizers, failing allocations and system calls, forks, a soak, and more. Prints
# a figure for each (docs/testing.md).
#
#   scripts/torture.sh                the long forms: a day and more
#   scripts/torture.sh --short        the short forms, as make test runs them
#   scripts/torture.sh fork soak      only these, in their long forms; also with --short
#   scripts/torture.sh --record …     also write the figures into docs/testing.md
#
# The figures are kept in build/torture/figures.tsv: name, form, seconds, figure.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

form=long record=
while :; do
  case ${1:-} in
    --short) form=short ;;
    --record) record=1 ;;
    *) break ;;
  esac
  shift
done
arguments=()
if [ "$form" = long ]; then arguments=(--long); fi
names=("$@")
if [ $# = 0 ]; then
  for file in scripts/torture/*.sh; do
    name=$(basename "$file" .sh)
    # `make test` has the lines that its tests execute from scripts/check.sh, and mutants have no short form.
    case $form/$name in short/coverage | short/mutants) ;; *) names+=("$name") ;; esac
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
  PUSHER_LIBRARY=$out/libpusher.so "scripts/torture/$1.sh" "${arguments[@]}" 2>&1 | tee "$out/$1.log"
  sed -n "s/^figure: /$1\t$form\t$((SECONDS - start))\t/p" "$out/$1.log" >>"$out/figures.tsv"
}

step 'library and fault server' build
: >"$out/figures.tsv"
for name in "${names[@]}"; do step "$name" run "$name"; done
cut -f 1,3,4 "$out/figures.tsv"
[ -z "$record" ] || scripts/torture/record.py "$out/figures.tsv"
