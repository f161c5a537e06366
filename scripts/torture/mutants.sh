#!/usr/bin/env bash
# Changes one thing after the other in the code that signs, validates, classifies and retries, and in the boundary to C: a test must
# fail for each change, or tests/torture/mutants.txt says why none can. An hour or two.
#
#   scripts/torture/mutants.sh --long             all ten files
#   scripts/torture/mutants.sh src/signing.rs …   only these files
#   scripts/torture/mutants.sh --again            only the mutants that the last run did not catch, after a change of the tests
#
# Three stages, each with the mutants that the one before left: the unit tests of the modules, all quick tests of the C functions,
# and the tests with connections and threads. A test that fails is run twice more, so that a slow machine catches no mutant. A test
# that does not end is stopped, and the mutant is printed.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

# Signing, validation, the classification of deliveries, retries, the boundary.
files=(src/signing.rs src/authorization.rs src/webhook.rs src/validation.rs src/api/interpret.rs src/http/failure.rs src/error.rs
  src/retry.rs src/client/attempts.rs src/ffi/boundary.rs)
JUSTIFIED=tests/torture/mutants.txt
out=$PWD/build/torture/mutants
tree=$out/tree
again=
case ${1:-} in
  --long) ;;
  --again) again=--iterate ;;
  '') fail 'this has no short form: --long, --again, or files' ;;
  *) files=("$@") ;;
esac

need cc=gcc
if ! cargo nextest --version >/dev/null 2>&1; then fail "Missing: cargo-nextest (cargo install cargo-nextest --locked)"; fi
MUTANTS=$(cargo_program cargo-mutants 27.1.0)
mkdir -p "$out"
rm -rf "$out"/stage*
if [ -z "$again" ]; then
  rm -rf "$out"/mutants.out*
  printf '%s\n' "${files[@]}" >"$out/files"
fi
mapfile -t files <"$out/files"

# A mutant takes seconds if cargo compiles only what has changed, and nothing for a debugger. Settings that are meant for libpusher
# must not reach it.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
export CARGO_TARGET_DIR=$out/target CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0 NEXTEST_PROFILE=mutants

# The mutants are made in a copy. Files keep their times, so that cargo compiles what has changed.
copy() {
  mkdir -p "$tree"
  git ls-files -z --cached --others --exclude-standard | while IFS= read -rd '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
  done >"$out/sources"
  (cd "$tree" && find . -type f -print0) | sed -z 's|^\./||' | sort -z | comm -z -23 - <(sort -z "$out/sources") |
    (cd "$tree" && xargs -0r rm -f)
  while IFS= read -rd '' file; do
    if ! cmp -s "$file" "$tree/$file"; then printf '%s\0' "$file"; fi
  done <"$out/sources" | xargs -0r cp --parents -t "$tree"
  # tests/publisher starts it.
  (cd "$tree" && cargo build --quiet --locked --example fault-server)
}

# stage NAME BEFORE ARGUMENT…: tests the mutants that the stage before has left with the tests that nextest selects by the arguments.
stage() {
  local name=$1 before=$2 arguments=() file code=0
  shift 2
  # cargo-mutants leaves its results alone if it has nothing to do.
  if [ -n "$before" ] && [ ! -s "$out/$before/missed.txt" ] && [ ! -s "$out/$before/timeout.txt" ]; then
    mkdir "$out/$name"
    touch "$out/$name/"{caught,missed,timeout,unviable}.txt
    return
  fi
  for file in "${files[@]}"; do arguments+=(--file "$file"); done
  (cd "$tree" && "$MUTANTS" mutants --in-place --test-tool nextest --iterate --output "$out" --timeout 900 --no-shuffle --colors never \
    "${arguments[@]}" -- --locked "$@") || code=$?
  # 2: some were missed. 3: cargo-mutants itself stopped tests.
  case $code in 0 | 2 | 3) ;; *) fail "cargo-mutants failed with $code" ;; esac
  cp -r "$out/mutants.out" "$out/$name"
}

# Prints the mutants that were caught only because a test did not end.
hanging() {
  local log
  for log in "$out"/stage*/log/*.log; do
    if grep -Eq '^ *(TRY [0-9] TMT|TIMEOUT) ' "$log" && ! grep -Eq '^ *(TRY 3 )?(FAIL|ABORT|SIG[A-Z]+) ' "$log"; then
      sed -n 's/^\*\*\* \(src\/\)/\1/p' "$log" | head -n 1
    fi
  done
  cat "$out"/stage*/timeout.txt
}

# A mutant is named by its file and its change, because lines move: two of one name need two lines in the list. A justified mutant
# that a test catches is an error as well, so that the list is never longer than necessary.
compare() {
  sed -E 's/:[0-9]+:[0-9]+: /: /' "$out/stage3/missed.txt" "$out/stage3/timeout.txt" | sort >"$out/missed"
  sed -e '/^#/d' -e '/^$/d' -e 's/ #.*//' "$JUSTIFIED" | grep -F "$(printf '%s: \n' "${files[@]}")" | sort >"$out/justified" || true
  comm -23 "$out/missed" "$out/justified" >"$out/unjustified"
  comm -13 "$out/missed" "$out/justified" >"$out/stale"
  [ ! -s "$out/unjustified" ] || fail "no test fails for: $(cat "$out/unjustified")"
  [ ! -s "$out/stale" ] || fail "$JUSTIFIED justifies what a test catches: $(cat "$out/stale")"
}

count() { cat "$@" | wc -l; }

step 'a copy to change' copy
step "mutants of ${#files[@]} files, against unit tests" stage stage1 '' --lib \
  -E 'test(/^(signing|authorization|webhook|validation|api|http|error|retry|client|ffi)::/) - test(/::reference::/)'
step 'those that are left, against all unit tests and those of the C functions' stage stage2 stage1 --lib --test abi
step 'those that are left, against connections, processes, threads and memory' \
  stage stage3 stage2 --test network --test publisher --test process --test out_of_memory
say 'caught only because a test did not end'
hanging
step 'each was caught, or is justified' compare
printf 'figure: %s mutants of %s files: %s do not compile; caught: %s by unit tests, %s by the C functions, %s by connections, processes, threads and memory; %s justified, %s only by a test that did not end\n' \
  "$(count "$out/stage1/"{caught,unviable,missed,timeout}.txt)" "${#files[@]}" "$(count "$out/stage1/unviable.txt")" \
  "$(count "$out/stage1/caught.txt")" "$(count "$out/stage2/caught.txt")" "$(count "$out/stage3/caught.txt")" \
  "$(count "$out/missed")" "$(hanging | wc -l)"
