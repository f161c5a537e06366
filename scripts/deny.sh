#!/usr/bin/env bash
# Checks the licences, the sources and the duplicates of all crates that the library and its tests use, against deny.toml.
#
#   scripts/deny.sh               that
#   scripts/deny.sh advisories    known vulnerabilities instead: fetches the database of RustSec from GitHub
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
need cargo

DENY=$(tools/lint/get-cargo-deny.sh)
if [ "${1:-}" = advisories ]; then
  exec "$DENY" --locked check --hide-inclusion-graph advisories
fi
# cargo-deny looks into the sources of the crates, and must find them without a network.
cargo fetch --locked --quiet
"$DENY" --locked --offline check --hide-inclusion-graph --deny warnings bans licenses sources
