#!/usr/bin/env bash
# Tests the Python binding: its lints, and its tests against the wheel in a fresh environment.
#
#   scripts/bindings/python.sh            runs the tests
#   scripts/bindings/python.sh bench      measures channel authorization and trigger against the official package instead
#
# PUSHER_LIBRARY and FAULT_SERVER name a library and a fault server that are already built.
. "$(dirname "$0")/../lib.sh"
cd "$(dirname "$0")/../.."
need python3
python3 -c 'import ensurepip' 2>/dev/null || need ensurepip=python3-venv

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

built=$work/libpusher.so
step 'the library' library "$built"
# From here on the tests must find the library in the wheel.
unset PUSHER_LIBRARY
step 'the fault server' fault_server
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1

wheel() {
  # A copy, laid out as in a source distribution: a build writes into its sources.
  cp -rL bindings/python "$work/sources"
  cp include/pusher.ffi.h "$work/sources/"
  python3 -m venv "$work/venv"
  PUSHER_LIBRARY=$built "$work/venv/bin/pip" wheel --no-deps --wheel-dir "$work" "$work/sources"
}

install() { "$work/venv/bin/pip" install "$(echo "$work"/libpusher-*.whl)[$1]"; }

# A time limit, so that a hang is reported and ends.
python() { (cd bindings/python && timeout --kill-after 10 900 "$work/venv/bin/python" "$@"); }

step 'the wheel' wheel
if [ "${1:-}" = bench ]; then
  step 'the official package' install benchmark
  python benchmark.py
else
  step 'pytest and others' install test,benchmark
  step 'format' python -m ruff format --no-cache --check --quiet .
  step 'lints' python -m ruff check --no-cache --quiet .
  step 'types' python -m mypy --cache-dir "$work/mypy"
  step 'tests' python -m pytest -q -p no:cacheprovider -o faulthandler_timeout=120
fi
