#!/usr/bin/env bash
# Checks the licences, the sources and the duplicates of all crates that the library and its tests use, against deny.toml.
# Advisories need a network: .github/workflows/deny.yml checks them.
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
need cargo

DENY=$(tools/lint/get-cargo-deny.sh)
# cargo-deny looks into the sources of the crates, and must find them without a network.
cargo fetch --locked --quiet
"$DENY" --locked --offline check --hide-inclusion-graph --deny warnings bans licenses sources
