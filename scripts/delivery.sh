#!/usr/bin/env bash
# Tests delivery under faults, with optimisation: the matrix, cuts at every byte, deliberately wrong clients, and 100,000 random
# events. `cargo nextest run` has all except the random events, and `make check` has none of it.
#
#   scripts/delivery.sh
#   DELIVERY_SEED=7 scripts/delivery.sh    repeats the events of a run; the seed is printed
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cargo cc=gcc
if ! cargo nextest --version >/dev/null 2>&1; then fail "Missing: cargo-nextest (cargo install cargo-nextest --locked)"; fi

build=(--cargo-profile no-lto --locked --test delivery)
step 'building' cargo nextest run "${build[@]}" --no-run
step 'building the fault server' cargo build --quiet --profile no-lto --locked --example fault-server
step 'delivery under faults' cargo nextest run "${build[@]}" --run-ignored all --success-output final
