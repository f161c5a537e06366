#!/usr/bin/env bash
# Model-checks the publisher's queue and cancellations: small models in every schedule (loom), a large one in a hundred thousand schedules (shuttle).
# The models also run with dropped wake-ups and other faults, and must then fail.
#
#   scripts/models.sh          everything
#   scripts/models.sh NAME     only the small models whose names contain NAME; prints their numbers of schedules
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/../tests/models"

need cargo gcc
target=${CARGO_TARGET_DIR:-$PWD/../../target}

# The feature changes the locks, so each configuration has its own target directory.
loom() { cargo test --quiet --locked --target-dir "$target/models" --test every_schedule --test cancellation -- "$@"; }
shuttle() { cargo test --quiet --locked --features shuttle --target-dir "$target/models-shuttle" --test many_schedules -- "$@"; }

if [ $# -gt 0 ]; then
  loom "$1" --show-output
  exit
fi
step 'every schedule of small models' loom
step 'a hundred thousand schedules of a large one' shuttle
