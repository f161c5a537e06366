#!/usr/bin/env bash
# Counts the instructions of a trigger on a kept-alive connection with callgrind, and compares them with an older revision.
# Unlike times, they are the same in every run.
#
#   benches/instructions.sh             counts those of this tree
#   benches/instructions.sh REVISION    compares them with REVISION, which is checked out and built in build/
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cc=gcc valgrind git
out=build/instructions
mkdir -p "$out"
few=200 many=1200

# build TREE FOLDER: builds the library of a tree, and the program that uses it.
build() {
  local target=${CARGO_TARGET_DIR:-target}
  mkdir -p "$2"
  (
    cd "$1"
    # One crate type alone: with an rlib in the same run, cargo turns link-time optimisation off.
    CARGO_TARGET_DIR=$target cargo rustc --quiet --release --locked --lib --crate-type cdylib
  )
  case $target in /*) ;; *) target=$1/$target ;; esac
  cp -L "$target/release/libpusher.so" "$2/libpusher.so.0"
  # Both use the program of this tree: only the library differs.
  cc -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -pthread -Iinclude -o "$2/contract" tests/c/contract.c \
    "$2/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
}

# instructions FOLDER COUNT: the instructions of a process that triggers COUNT times, with the library in FOLDER.
instructions() {
  valgrind --tool=callgrind --callgrind-out-file="$1/callgrind.$2" "$1/contract" calls "$port" "$2" 2>"$1/valgrind.$2"
  sed -nE 's/^summary: ([0-9]+).*/\1/p' "$1/callgrind.$2"
}

each() { echo $((($(instructions "$1" $many) - $(instructions "$1" $few)) / (many - few))); }

step 'build this tree' build . "$out/this"
rm -f "$out/input" "$out/output"
mkfifo "$out/input" "$out/output"
"$out/this/contract" serve <"$out/input" >"$out/output" &
exec 9>"$out/input"
read -r -t 10 port <"$out/output" || fail 'the server did not start'

this=$(each "$out/this")
echo "this tree: $this instructions per trigger"
if [ $# -gt 0 ]; then
  git worktree remove --force "$out/tree" 2>/dev/null || true
  git worktree add --quiet --detach "$out/tree" "$1"
  trap 'git worktree remove --force "$out/tree"' EXIT
  step "build $1" build "$out/tree" "$out/other"
  other=$(each "$out/other")
  echo "$1: $other instructions per trigger"
  awk -v a="$this" -v b="$other" 'BEGIN { printf "this tree divided by the other: %.3f\n", a / b }'
fi
