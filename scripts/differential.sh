#!/usr/bin/env bash
# Compares libpusher, through its C ABI, with the official Python and Node.js libraries on random cases. Every difference must be
# in the list of intended differences (docs/differences.md).
#
#   scripts/differential.sh                          builds the library
#   PUSHER_LIB_DIR=folder scripts/differential.sh    uses libpusher.so from there
#   scripts/differential.sh --seed S [--cases N]     repeats a run; the seed is printed. PUSHER_SEED does the same
#   scripts/differential.sh --seed S --only KIND:N   runs one case of a run
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh
FROM=$PWD/e2e/differential

# shellcheck disable=SC2046 # nothing, or one word
need node=nodejs python3 $(python3 -c 'import ensurepip' 2>/dev/null || echo ensurepip=python3-venv)

PYTHON=$(python_packages differential "$FROM/requirements.txt")
# A change of the versions makes a new folder.
NODE=$CACHE/differential/node-$(cat "$FROM/package.json" "$FROM/package-lock.json" | sha256sum | cut -c1-12)

node_library() (
  finished() { [ -d "$NODE" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    need npm
    rm -rf "$NODE.part"
    mkdir "$NODE.part"
    cp "$FROM/package.json" "$FROM/package-lock.json" "$NODE.part"
    npm ci --prefix "$NODE.part" --ignore-scripts --no-audit --no-fund --loglevel=error
    # Only a complete folder gets its final name.
    mv "$NODE.part" "$NODE"
  }

  once "$NODE" "install the official Node.js library (once)"
)
node_library

LIBRARY=$PWD/build/differential.so
mkdir -p build
step "build the library" library "$LIBRARY"

say "compare with the official libraries"
NODE_PATH=$NODE/node_modules exec "$PYTHON/bin/python" -B -X faulthandler "$FROM/run.py" --library "$LIBRARY" \
  ${PUSHER_SEED:+--seed "$PUSHER_SEED"} "$@"
