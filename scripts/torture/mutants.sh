#!/usr/bin/env bash
# Changes one thing after the other in the code that signs, validates, classifies and retries, and in the boundary to C: a test must
# fail for each change, or tests/torture/mutants.txt says why none can.
#
#   scripts/torture/mutants.sh --long             all ten files
#   scripts/torture/mutants.sh src/signing.rs …   only these files
#   scripts/torture/mutants.sh --sum              only prints the sum of the results that are kept
#
# Stages, each with the mutants that the one before left: the unit tests of the module, tests of what the file does, for signing a
# search of memory with the optimized library (secrets.sh), and all other tests. A test that fails is run twice more, so that a slow
# machine catches no mutant. A test that does not end is stopped, and the mutant is printed.
#
# It may be interrupted: build/torture/mutants/results has the result of each mutant, and the next run goes on from there.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

case ${1:-} in
  --long) files=() ;;
  --sum) exec python3 scripts/torture/mutants.py build/torture/mutants ;;
  '') fail 'this has no short form: --long, --sum, or files' ;;
  *) files=("$@") ;;
esac
need cc=gcc python3
if ! cargo nextest --version >/dev/null 2>&1; then fail "Missing: cargo-nextest (cargo install cargo-nextest --locked)"; fi
out=$PWD/build/torture/mutants
tree=$out/tree
MUTANTS=$(cargo_program cargo-mutants 27.1.0)
mkdir -p "$tree"

# Only what has changed is compiled, and nothing for a debugger. Hashes and TLS are slow unless they are optimized. Settings that are
# meant for libpusher must not reach it.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0 NEXTEST_PROFILE=mutants
mkdir -p "$out/.cargo"
printf '[profile.dev.package."*"]\nopt-level = 1\n' >"$out/.cargo/config.toml"
# The first failure of a property is enough.
export PROPTEST_MAX_SHRINK_ITERS=0 PROPTEST_DISABLE_FAILURE_PERSISTENCE=true

# The mutants are made in a copy. Files keep their times, so that cargo compiles what has changed.
copy() {
  git ls-files -z --cached --others --exclude-standard | while IFS= read -rd '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
  done >"$out/sources"
  (cd "$tree" && find . -type f -print0) | sed -z 's|^\./||' | sort -z | comm -z -23 - <(sort -z "$out/sources") |
    (cd "$tree" && xargs -0r rm -f)
  while IFS= read -rd '' file; do
    if ! cmp -s "$file" "$tree/$file"; then printf '%s\0' "$file"; fi
  done <"$out/sources" | xargs -0r cp --parents -t "$tree"
}

step 'a copy to change' copy
scripts/torture/mutants.py "$out" "$MUTANTS" "${files[@]}"
