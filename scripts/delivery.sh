#!/usr/bin/env bash
# Delivery under faults, in full and with optimisation: the matrix, the cuts at every byte, the wrong clients, and 100,000 events by
# chance. `cargo nextest run` has all but the last, and `make check` none of it.
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
