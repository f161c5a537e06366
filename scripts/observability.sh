#!/usr/bin/env bash
# Runs the code of docs/observability.md: spans of OpenTelemetry in Python, spans in C++, and a real Prometheus that scrapes a client and a
# publisher and answers each query of docs/grafana-dashboard.json.
#
#   scripts/observability.sh                                           builds the library and the fault server
#   PUSHER_LIBRARY=file FAULT_SERVER=file scripts/observability.sh     uses these
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need g++ python3 dpkg
python3 -c 'import ensurepip' 2>/dev/null || need ensurepip=python3-venv
out=$PWD/build/observability
rm -rf "$out"
mkdir -p "$out"

TESTS=tests/observability
PYTHON=$(python_packages observability $TESTS/requirements.txt)

build() {
  as_installed "$out"
  fault_server
}

# Installs the binding beside the packages, in a folder of its own. The wheel has the library.
binding() {
  cp -rL bindings/python "$out/source"
  cp include/pusher.ffi.h "$out/source/"
  PUSHER_LIBRARY=$out/libpusher.so "$PYTHON/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --target "$out/python" "$out/source"
  export PYTHONPATH=$out/python:$PWD/tests/support PYTHONDONTWRITEBYTECODE=1
}

program() {
  python3 $TESTS/observability.py block cpp 1 >"$out/spans.cpp"
  g++ -std=c++17 -Wall -Wextra -Werror -Iinclude -o "$out/spans" "$out/spans.cpp" "$out/libpusher.so.0" -Wl,-rpath,"$out"
}

# Debian's program without its service: the package is unpacked into the cache and not installed.
get_prometheus() {
  PROMETHEUS=$(command -v prometheus || true)
  [ -z "$PROMETHEUS" ] || return 0
  local here=$CACHE/prometheus
  if [ ! -x "$here/usr/bin/prometheus" ]; then
    rm -rf "$here.part"
    mkdir -p "$here.part"
    (cd "$here.part" && { apt-get download -qq prometheus 2>&1 || { apt update && apt-get download -qq prometheus; }; } >download.log &&
      dpkg -x prometheus_*.deb .) || fail "prometheus: $(cat "$here.part/download.log")"
    rm -rf "$here"
    mv "$here.part" "$here"
  fi
  PROMETHEUS=$here/usr/bin/prometheus
}

bounded() { timeout --kill-after 10 240 "$@"; }

step 'the library and the fault server' build
step 'the binding of Python' binding
step 'spans of OpenTelemetry in Python' bounded "$PYTHON/bin/python" $TESTS/observability.py spans
step 'compile the program in C++' program
step 'spans in C++' bounded python3 $TESTS/observability.py cpp "$out/spans"
step 'Prometheus (once)' get_prometheus
step 'metrics and the dashboard in Prometheus' bounded "$PYTHON/bin/python" $TESTS/observability.py metrics "$PROMETHEUS" "$out"
