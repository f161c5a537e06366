#!/usr/bin/env bash
# The publisher's queue, model-checked: small models in every schedule (loom), a large one in a hundred thousand (shuttle). Each of
# them is also run with wake-ups taken away, and has to find that.
#
#   scripts/models.sh          everything
#   scripts/models.sh NAME     the models whose names hold this, with their numbers of schedules
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/../tests/models"

need cargo gcc
target=${CARGO_TARGET_DIR:-$PWD/../../target}

# With and without the feature the locks are others, so each has a folder.
loom() { cargo test --quiet --locked --target-dir "$target/models" --test every_schedule -- "$@"; }
shuttle() { cargo test --quiet --locked --features shuttle --target-dir "$target/models-shuttle" --test many_schedules -- "$@"; }

if [ $# -gt 0 ]; then
  loom "$1" --show-output
  exit
fi
step 'every schedule of small models' loom
step 'a hundred thousand schedules of a large one' shuttle
