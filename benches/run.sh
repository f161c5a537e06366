#!/usr/bin/env bash
# Measures the library and its competitors, and prints a table (also build/bench/results.txt and results.json).
#
#   benches/run.sh                                  takes five minutes after the build
#   BENCH_ROUNDS=2 BENCH_SECONDS=0.1 benches/run.sh is a quick try
#
# It measures only: the table shows which targets are met, and the exit code is 0 in any case.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

rounds=${BENCH_ROUNDS:-21} seconds=${BENCH_SECONDS:-0.3}
target=${CARGO_TARGET_DIR:-target}
out=build/bench
mkdir -p "$out"

# shellcheck disable=SC2046 # nothing, or one word
need cc=gcc pkg-config strace python3 $(python3 -c 'import ensurepip' 2>/dev/null || echo ensurepip=python3-venv)
pkg-config --exists libcurl || need libcurl-headers=libcurl4-openssl-dev
pkg-config --exists libcrypto || need libcrypto-headers=libssl-dev

build_library() {
  # One crate type alone: with an rlib in the same run, cargo turns link-time optimisation off.
  cargo rustc --release --locked --lib --crate-type cdylib
  # A copy, so that another build does not change it during the measurement.
  cp "$target/release/libpusher.so" "$out/libpusher.so.0"
}

# A separate package with the peers, so that the library does not depend on them.
build_peers() {
  cargo build --release --locked --manifest-path benches/peers/Cargo.toml --target-dir "$target/peers"
  cp "$target/peers/release/libpeers.so" "$target/peers/release/rust-peers" "$out"
}

build_fault_server() {
  cargo build --profile no-lto --locked --example fault-server
  cp "$target/no-lto/examples/fault-server" "$out"
}

# The official libraries, in the same versions as in e2e/differential.
install_python() {
  python3 -m venv "$out/python" &&
    "$out/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
      --requirement e2e/differential/requirements.txt
}

install_node() {
  mkdir -p "$out/node" && cp e2e/differential/package.json e2e/differential/package-lock.json "$out/node" &&
    npm ci --prefix "$out/node" --ignore-scripts --no-audit --no-fund --loglevel=error
}

# peer NAME INSTALL: installs a peer. If that fails, the others are still measured, and the table gives the reason.
missing=()
peer() {
  say "install $1"
  if ! "$2" >"$out/$2.log" 2>&1; then
    missing+=("$1=$(grep . "$out/$2.log" | tail -n 1)")
    say "not available: ${missing[-1]}"
  fi
}

build_programs() {
  local flags=(-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -pthread -Ibenches -Ibenches/peers -Iinclude)
  cc "${flags[@]}" -o "$out/sink" benches/sink.c
  cc "${flags[@]}" -o "$out/events" benches/events.c benches/server.c "$out/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
  # shellcheck disable=SC2046  # pkg-config gives several words
  cc "${flags[@]}" -o "$out/bench" benches/{main,harness,server,raw,curl,pusher,signatures}.c \
    "$out/libpusher.so.0" "$out/libpeers.so" -Wl,-rpath,'$ORIGIN' $(pkg-config --cflags --libs libcurl libcrypto)
}

# "name: value" lines.
describe_machine() {
  local cpu commit
  cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
  echo "cpu: ${cpu:-$(uname -m)}, $(nproc) cores"
  echo "load: $(cut -d ' ' -f 1-3 /proc/loadavg)"
  echo "kernel: $(uname -sr)"
  echo "compiler: $(cc --version | head -n 1)"
  echo "rustc: $(rustc --version)"
  echo "libcurl: $(pkg-config --modversion libcurl), libcrypto $(pkg-config --modversion libcrypto)"
  commit=$(git rev-parse --short HEAD 2>/dev/null) || commit=none
  echo "libpusher: commit $commit, $(du -kL "$out/libpusher.so.0" | cut -f 1) KiB"
  echo "measured: $(date -u +%Y-%m-%dT%H:%MZ), $rounds rounds of $seconds s"
}

# count_calls CLIENTS FILE: writes the system calls of a program that creates and frees clients, as "name number" lines.
count_calls() {
  strace -f -c -U name,calls -o "$2.all" "$out/bench" life "$1"
  awk 'NF == 2 && $2 ~ /^[0-9]+$/ && $1 != "total"' "$2.all" >"$2"
}

# Prints the system calls that creating and freeing clients adds to those of the program.
print_calls() {
  local clients=1000 calls
  if ! strace -o /dev/null true 2>/dev/null; then
    echo "system calls of pusher_new + pusher_free: not counted, because strace cannot trace here"
    return
  fi
  count_calls 0 "$out/calls-none"
  count_calls "$clients" "$out/calls"
  calls=$(awk 'NR == FNR { before[$1] = $2; next } $2 > before[$1] { print $1, $2 - before[$1] }' \
    "$out/calls-none" "$out/calls")
  echo "system calls of $clients x pusher_new + pusher_free: $(paste -sd , <<<"${calls:-none}" | sed 's/,/, /g')"
  # Allocation and the process id concern neither files, nor network, nor threads.
  calls=$(awk '!/^(brk|mmap|munmap|mremap|madvise|mprotect|getpid|getrandom) / { print $1 }' <<<"$calls")
  echo "files, network, threads: $([ -z "$calls" ] && echo 'none, met' || echo "NOT MET: $(paste -sd ' ' <<<"$calls")")"
}

# Each language and its official library, or, where no registry here has that, the same work without libpusher.
print_languages() {
  local language
  for language in cpp go python ruby php; do
    say "$language"
    if PUSHER_LIBRARY="$PWD/$out/libpusher.so.0" FAULT_SERVER="$PWD/$out/fault-server" "scripts/bindings/$language.sh" bench >"$out/$language.log" 2>&1; then
      grep -v -E '^(== |   ok: )' "$out/$language.log"
    else
      echo "not measured: $(grep . "$out/$language.log" | tail -n 1)"
    fi
  done
}

write_json() {
  local machine
  machine=$(sed 's/[\\"]/\\&/g; s/^\([a-z]*\): \(.*\)/"\1":"\2"/' "$out/machine.txt" | paste -sd ,)
  {
    printf '{"machine":{%s},\n"results":' "$machine"
    cat "$out/measures.json"
    printf ',"events":'
    cat "$out/events.json"
    echo '}'
  } >"$out/results.json"
}

step "build the library with link-time optimisation" build_library
step "build the peers" build_peers
peer 'pusher (PyPI)' install_python
peer 'pusher (npm)' install_node
step "build the contenders" build_programs
step "build the fault server, for the languages" build_fault_server
# These run in programs of their own and take longer, so they get a third of the rounds.
event_rounds=$(((rounds + 2) / 3))
say "measure: $rounds rounds, about $(awk "BEGIN { printf \"%.0f\", $rounds * $seconds * 12.25 + $event_rounds * $seconds * 20 }") s"
describe_machine >"$out/machine.txt"
{
  cat "$out/machine.txt"
  "$out/bench" "$rounds" "$seconds" "$out/measures.json"
  NODE_PATH=$PWD/$out/node/node_modules python3 -B benches/events.py "$event_rounds" "$seconds" "$out" "${missing[@]}"
  print_calls
  print_languages
} | tee "$out/results.txt"
write_json
