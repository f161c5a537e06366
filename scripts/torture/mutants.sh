#!/usr/bin/env bash
# Changes one thing after the other in the code that signs, validates, classifies and retries, and in the boundary to C: a test must
# fail for each change, or tests/torture/mutants.txt says why none can. Hours.
#
#   scripts/torture/mutants.sh --long             all five
#   scripts/torture/mutants.sh src/signing.rs …   only these files
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

# Signing, validation, the classification of deliveries, retries, the boundary.
files=(src/signing.rs src/authorization.rs src/webhook.rs src/validation.rs src/api/interpret.rs src/http/failure.rs src/error.rs
  src/retry.rs src/client/attempts.rs src/ffi/boundary.rs)
case ${1:-} in
  --long) ;;
  '') fail 'this has no short form: --long, or files' ;;
  *) files=("$@") ;;
esac

need cc=gcc
MUTANTS=$(cargo_program cargo-mutants 27.1.0)
JUSTIFIED=tests/torture/mutants.txt
out=$PWD/build/torture/mutants
rm -rf "$out"
mkdir -p "$out"

# The quick tests. A mutant that hangs is caught, too.
mutate() {
  local file arguments=()
  for file in "${files[@]}"; do arguments+=(--file "$file"); done
  "$MUTANTS" mutants --output "$out" --timeout 180 --no-shuffle "${arguments[@]}" -- \
    --locked --lib --test abi --test network --test publisher --test process || [ $? = 2 ]
}

# A test that no longer ends counts as one that fails. A mutant is named by its file and its change; lines move.
compare() {
  sed -E 's/:[0-9]+:[0-9]+: /: /' "$out/mutants.out/missed.txt" | sort -u >"$out/missed" || true
  sed -e '/^#/d' -e '/^$/d' -e 's/ #.*//' "$JUSTIFIED" | sort -u >"$out/justified"
  comm -23 "$out/missed" "$out/justified" >"$out/unjustified"
  [ ! -s "$out/unjustified" ] || fail "no test fails for: $(cat "$out/unjustified")"
}

step "mutants of ${#files[@]} files" mutate
step 'each was caught, or is justified' compare
printf 'figure: %s mutants of %s files: %s caught, %s do not compile, %s justified\n' "$(cat "$out"/mutants.out/{caught,missed,timeout,unviable}.txt | wc -l)" \
  "${#files[@]}" "$(wc -l <"$out/mutants.out/caught.txt")" "$(wc -l <"$out/mutants.out/unviable.txt")" "$(wc -l <"$out/missed")"
