#!/usr/bin/env bash
# Builds cargo-deny into the cache, and prints the path of the program. The first time it is compiled, at a low priority,
# which takes about 5 minutes on two cores.
. "$(dirname "$0")/../../scripts/lib.sh"
cargo_program cargo-deny 0.20.2
