#!/usr/bin/env bash
# Counts the instructions of a trigger on a kept-alive connection (callgrind), and compares them with those of an older
# revision. Unlike times they are the same on every run.
#
#   benches/instructions.sh             of this tree
#   benches/instructions.sh REVISION    beside those of REVISION, which is checked out and built in build/
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cc=gcc valgrind git
out=build/instructions
mkdir -p "$out"
few=200 many=1200

# The library of the tree $1, and the program that uses it, into $2.
build() {
  local target=${CARGO_TARGET_DIR:-target}
  mkdir -p "$2"
  (
    cd "$1"
    # One type by itself: with an rlib beside it, link-time optimisation is off.
    CARGO_TARGET_DIR=$target cargo rustc --quiet --release --locked --lib --crate-type cdylib
  )
  case $target in /*) ;; *) target=$1/$target ;; esac
  cp -L "$target/release/libpusher.so" "$2/libpusher.so.0"
  # The program is this tree's for both: only the library differs.
  cc -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -pthread -Iinclude -o "$2/contract" tests/c/contract.c \
    "$2/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
}

# All instructions of a process that triggers $2 times, with the library in $1.
instructions() {
  valgrind --tool=callgrind --callgrind-out-file="$1/callgrind.$2" "$1/contract" calls "$port" "$2" 2>"$1/valgrind.$2"
  sed -nE 's/^summary: ([0-9]+).*/\1/p' "$1/callgrind.$2"
}

each() { echo $((($(instructions "$1" $many) - $(instructions "$1" $few)) / (many - few))); }

step 'building this tree' build . "$out/this"
rm -f "$out/input" "$out/output"
mkfifo "$out/input" "$out/output"
"$out/this/contract" serve <"$out/input" >"$out/output" &
exec 9>"$out/input"
read -r -t 10 port <"$out/output" || fail 'the server did not start'

this=$(each "$out/this")
echo "this tree: $this instructions a trigger"
if [ $# -gt 0 ]; then
  git worktree remove --force "$out/tree" 2>/dev/null || true
  git worktree add --quiet --detach "$out/tree" "$1"
  trap 'git worktree remove --force "$out/tree"' EXIT
  step "building $1" build "$out/tree" "$out/other"
  other=$(each "$out/other")
  echo "$1: $other instructions a trigger"
  awk -v a="$this" -v b="$other" 'BEGIN { printf "this tree / the other: %.3f\n", a / b }'
fi
