#!/usr/bin/env bash
# Counts the tests of the official SDKs' suites that pass after one changed line, the import: tests/migration/README.md.
#
#   scripts/migration.sh            checks the table in docs/migrating.md
#   scripts/migration.sh --write    writes it
#
# PUSHER_LIBRARY and FAULT_SERVER name a library and a fault server that are already built.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need python3
results=$PWD/build/migration
rm -rf "$results"
mkdir -p "$results"

build() {
  library "$results/libpusher.so"
  fault_server
}

step 'the counts can fail' tests/migration/table.py --self-test
step 'library and fault server' build
export PUSHER_LIBRARY=$results/libpusher.so FAULT_SERVER
for language in python ruby php go; do
  step "$language" "scripts/bindings/$language.sh" migration "$results/$language.txt"
done
say 'the official tests that pass'
tests/migration/table.py "$results" "$@"
