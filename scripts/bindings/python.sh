#!/usr/bin/env bash
# Tests the Python binding: its lints, and its tests against the wheels of libpusher and libpusher-as-pusher in a fresh environment.
#
#   scripts/bindings/python.sh                   runs the tests
#   scripts/bindings/python.sh bench             measures channel authorization and trigger against the official package instead
#   scripts/bindings/python.sh migration FILE    runs only the tests that tests/migration counts, and writes their results into FILE
#
# PUSHER_LIBRARY and FAULT_SERVER name a library and a fault server that are already built.
. "$(dirname "$0")/../lib.sh"
[ $# -lt 2 ] || results=$(realpath "$2")
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

wheels() {
  local folder
  python3 -m venv "$work/venv"
  for folder in python python-as-pusher; do
    # A copy, laid out as in a source distribution: a build writes into its sources.
    cp -rL "bindings/$folder" "$work/$folder"
    cp include/pusher.ffi.h "$work/$folder/"
    PUSHER_LIBRARY=$built PUSHER_TESTSERVER=$FAULT_SERVER "$work/venv/bin/pip" wheel --no-deps --wheel-dir "$work" "$work/$folder"
  done
}

install() { "$work/venv/bin/pip" install "$(echo "$work"/libpusher-*.whl)[$1]"; }

# In a folder of its own: the official package, with which the tests compare the binding, has the same module.
install_module() { "$work/venv/bin/pip" install --no-deps --target "$work/as-pusher" "$work"/libpusher_as_pusher-*.whl; }

# in_folder FOLDER ARGUMENTS…: runs Python with a time limit, so that a hang is reported and ends.
in_folder() { (cd "bindings/$1" && timeout --kill-after 10 900 "$work/venv/bin/python" "${@:2}"); }
python() { in_folder python "$@"; }
python_as_pusher() { PYTHONPATH=$work/as-pusher in_folder python-as-pusher "$@"; }

# The example of docs/testing-your-app.md, with the fixtures and the program of the wheel.
example() {
  mkdir "$work/example"
  timeout --kill-after 10 300 env -u FAULT_SERVER "$work/venv/bin/python" tests/applications/run.py python "$work/example" \
    "$work/venv/bin/python" -m pytest -q -p no:cacheprovider
}

tests=(-m pytest -q -p no:cacheprovider -o faulthandler_timeout=120)

migration() {
  local failed=0
  {
    python "${tests[@]}" -rpfE tests/test_migration.py || failed=1
    python_as_pusher "${tests[@]}" -rpfE || failed=1
  } >"$work/summary"
  sed -nE 's/^PASSED [^:]*::([a-z0-9_]+).*/pass \1/p; s/^(FAILED|ERROR) [^:]*::([a-z0-9_]+).*/fail \2/p' "$work/summary" | sort -u >"$results"
  if [ $failed = 1 ]; then
    cat "$work/summary"
    return 1
  fi
}

step 'the wheels' wheels
case ${1:-} in
  bench)
    step 'the official package' install benchmark
    python benchmark.py
    ;;
  migration)
    step 'pytest and others' install test
    step 'the module pusher' install_module
    step 'tests of official names' migration
    ;;
  *)
    step 'pytest and others' install test,benchmark
    step 'the module pusher' install_module
    for folder in python python-as-pusher; do
      step "format of $folder" in_folder "$folder" -m ruff format --no-cache --check --quiet .
      step "lints of $folder" in_folder "$folder" -m ruff check --no-cache --quiet .
    done
    step 'types' python -m mypy --cache-dir "$work/mypy"
    step 'types of the module pusher' python_as_pusher -m mypy --cache-dir "$work/mypy"
    step 'tests' python "${tests[@]}"
    step 'tests of the module pusher' python_as_pusher "${tests[@]}"
    step "the tests of an application" example
    ;;
esac
