#!/usr/bin/env bash
# Compares the library's reader of responses with ureq, optimised: both read the same 200,000 generated and mutated responses.
# They may differ only where the table in src/http/response/reference/differences.rs says so. `make check` compares 5,000.
#
#   scripts/reference.sh
#   REFERENCE_SEED=7 scripts/reference.sh    repeats the responses of an earlier run, which printed this seed
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cargo
export REFERENCE_RESPONSES=${REFERENCE_RESPONSES:-200000}

run=(cargo test --quiet --profile no-lto --locked --lib reference)
step 'building' "${run[@]}" --no-run
step "ureq reads $REFERENCE_RESPONSES responses as the library does" "${run[@]}" -- --nocapture
