#!/usr/bin/env bash
# Tests the publisher under load, optimised: a million events must arrive once each and in order; a hundred thousand must be
# reported correctly under faults.
#
#   scripts/publisher.sh
#   PUBLISHER_SEED=7 scripts/publisher.sh    repeats the faults of an earlier run, which printed this seed
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cargo
if ! cargo nextest --version >/dev/null 2>&1; then fail "Missing: cargo-nextest (cargo install cargo-nextest --locked)"; fi

run=(cargo nextest run --cargo-profile no-lto --locked --test publisher)
step 'building' "${run[@]}" --no-run
step 'many events' "${run[@]}" --run-ignored all --success-output final -E 'test(million) | test(crowd)'
