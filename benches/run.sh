#!/usr/bin/env bash
# Measures the library beside its competitors, and prints tables and the targets (also build/bench/results.txt and results.json).
# A whole run, of all parts and with all peers, also writes docs/benchmarks.md with its pictures and a part of README.md.
#
#   benches/run.sh              measures all parts: about seven minutes after the build
#   benches/run.sh PART...      measures these parts only
#   BENCH_ROUNDS=2 BENCH_SECONDS=0.1 benches/run.sh PART...    is a quick try
#
# The parts:
#
#   trigger        requests on kept-alive connections, beside raw sockets and libcurl
#   tls            the same over TLS 1.3, beside raw sockets with OpenSSL and libcurl with OpenSSL
#   signatures     the calls that need no network, beside their minimum and a peer
#   growth         the time of calls by the size of the payload, of the webhook and of the queue
#   overflow       the time of publishing to a full queue, by its length, for each mode of overflow and each kind of event
#   outage         the requests that a host serves while the server is down, with and without a circuit breaker;
#                  BENCH_OUTAGE=30 measures a longer outage than 4 seconds
#   events         the publisher, also with co_await in C++, beside other libraries
#   allocations    the calls of malloc and their bytes, by call
#   memory         the bytes of the heap of a client and of a connection
#   size           the size of the library
#   calls          the system calls that create and free a client
#   languages      the bindings, beside the same work in their language
#
# BENCH_ROUNDS (21) is the number of rounds, BENCH_SECONDS (0.3) the time of a contender in each. PUSHER_LIBRARY=FILE measures that
# library instead of building one.
#
# benches/page.py build/bench/whole.json docs --readme README.md writes the page again from the last whole run.
#
# It measures only: the last table shows which targets are met, and the exit code is 0 in any case.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

ALL=(trigger tls signatures growth overflow outage events allocations memory size calls languages)
rounds=${BENCH_ROUNDS:-21} seconds=${BENCH_SECONDS:-0.3}
# These take longer in each round, so they get a third of the rounds.
few_rounds=$(((rounds + 2) / 3))
# Each of these fills twelve queues with a million events.
queue_rounds=$(((rounds + 20) / 21))
target=${CARGO_TARGET_DIR:-target}
out=build/bench
mkdir -p "$out"

parts=("$@")
[ $# -gt 0 ] || parts=("${ALL[@]}")
for part in "${parts[@]}"; do
  [[ " ${ALL[*]} " = *" $part "* ]] || fail "unknown part: $part. The parts are: ${ALL[*]}"
done

# wants PART...: succeeds if one of these parts is to be measured.
wants() {
  local part
  for part in "$@"; do
    if [[ " ${parts[*]} " = *" $part "* ]]; then return 0; fi
  done
  return 1
}

# shellcheck disable=SC2046 # nothing, or one word
need cc=gcc g++ /usr/include/boost/asio.hpp=libboost-dev pkg-config strip=binutils openssl strace python3 $(python3 -c 'import ensurepip' 2>/dev/null || echo ensurepip=python3-venv)
pkg-config --exists libcurl || need libcurl-headers=libcurl4-openssl-dev
pkg-config --exists libssl || need libssl-headers=libssl-dev

build_library() {
  if [ -n "${PUSHER_LIBRARY:-}" ]; then
    cp -L "$PUSHER_LIBRARY" "$out/libpusher.so.0"
    return
  fi
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

# The official libraries, in the same versions as in e2e/differential. The binding for Python is laid out beside them.
install_python() {
  python3 -m venv "$out/python" &&
    "$out/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
      --requirement e2e/differential/requirements.txt --requirement benches/peers/requirements.txt &&
    rm -rf "$out/binding" && cp -R bindings/python/src "$out/binding" &&
    PYTHONPATH=bindings/python "$out/python/bin/python" -B -c \
      "import cffi_build; cffi_build.ffi.emit_python_code('$out/binding/libpusher/_native.py')"
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
  local ours=("$out/libpusher.so.0" "$out/libpeers.so" '-Wl,-rpath,$ORIGIN')
  local theirs
  read -r -a theirs < <(pkg-config --cflags --libs libcurl libssl libcrypto)
  cc "${flags[@]}" -o "$out/sink" benches/sink.c
  cc "${flags[@]}" -o "$out/tls-sink" benches/tls_sink.c "${theirs[@]}"
  cc "${flags[@]}" -o "$out/events" benches/events.c benches/server.c "${ours[@]}"
  g++ -std=c++20 -O2 -Wall -Wextra -Werror -pthread -Ibenches -Iinclude -o "$out/asio" benches/asio.cpp "${ours[@]}"
  cc "${flags[@]}" -o "$out/bench" benches/{main,requests,offline,growth,overflow,outage}.c benches/{raw,curl,pusher,signatures}.c \
    benches/{report,harness,server}.c "${ours[@]}" "${theirs[@]}"
  cc "${flags[@]}" -o "$out/heap" benches/{heap,allocations,crowd,curl,pusher,signatures,report,harness,server}.c "${ours[@]}" "${theirs[@]}"
}

# For 127.0.0.1, and not an authority: rustls refuses one as the certificate of a server.
make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 \
    -keyout "$out/key.pem" -out "$out/certificate.pem" -extensions server -config <(
      printf '[req]\ndistinguished_name=name\n[name]\n[server]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n'
    ) 2>"$out/certificate.log"
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
  echo "libcurl: $(pkg-config --modversion libcurl), OpenSSL $(pkg-config --modversion libssl)"
  if wants languages; then
    echo "languages: $(go version | sed 's/.* go\([0-9.]*\) .*/Go \1/'), $(python3 --version)," \
      "Ruby $(ruby -e 'print RUBY_VERSION'), PHP $(php -r 'echo PHP_VERSION;')"
  fi
  echo "peers: $(sed -n 's/^\(pushers\|sockudo-http\) = .*"=\([^"]*\)".*/\1 \2 (Rust),/p' benches/peers/Cargo.toml | paste -sd ' ')" \
    "pusher $(sed -n 's/^pusher==//p' e2e/differential/requirements.txt) (PyPI)," \
    "pusher $(sed -n 's/^ *"pusher": "\(.*\)"/\1/p' e2e/differential/package.json) (npm)"
  commit=$(git rev-parse --short HEAD 2>/dev/null) || commit=none
  git diff --quiet HEAD -- src benches bindings include Cargo.toml Cargo.lock 2>/dev/null || commit+=' (changed)'
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
  local language measured=()
  for language in cpp go python ruby php; do
    say "$language"
    if PUSHER_LIBRARY="$PWD/$out/libpusher.so.0" FAULT_SERVER="$PWD/$out/fault-server" "scripts/bindings/$language.sh" bench >"$out/$language.log" 2>&1; then
      grep -v -E '^(== |   ok: )' "$out/$language.log"
      measured+=("$language")
    else
      echo "not measured: $(grep . "$out/$language.log" | tail -n 1)"
    fi
  done
  python3 -B benches/languages.py "$out" "${measured[@]}"
}

# Writes the size of the library without symbols.
measure_size() {
  local bytes
  strip --strip-unneeded -o "$out/stripped.so" "$out/libpusher.so.0"
  bytes=$(stat -c %s "$out/stripped.so")
  awk -v bytes="$bytes" 'BEGIN {
    value = sprintf("\"unit\":\"MB\",\"median\":%.6f,\"least\":%.6f,\"most\":%.6f", bytes / 1e6, bytes / 1e6, bytes / 1e6)
    printf "{\"part\":\"size\",\"rows\":[],\"targets\":[{\"name\":\"libpusher.so, stripped\",%s,\"at_most\":2.0}]}\n", value
  }' >"$out/size.json"
  printf '\nlibpusher.so without symbols: %d bytes\n' "$bytes"
}

# Prints about how many seconds a part takes.
seconds_of() {
  case $1 in
    trigger) awk "BEGIN { print $rounds * $seconds * 10.5 }" ;;
    tls) awk "BEGIN { print $rounds * $seconds * 6.5 }" ;;
    signatures) awk "BEGIN { print $rounds * $seconds * 2.5 }" ;;
    growth) awk "BEGIN { print $few_rounds * (2 + $seconds * 4) }" ;;
    overflow) echo $((queue_rounds * 90)) ;;
    outage) awk -v outage="${BENCH_OUTAGE:-4}" 'BEGIN { print 4 * (4.5 + outage) + 2 * outage / 3 }' ;;
    events) awk "BEGIN { print $few_rounds * $seconds * 44 }" ;;
    languages) echo 60 ;;
    *) echo 5 ;;
  esac
}

measure() {
  case $1 in
    trigger | tls | signatures) "$out/bench" "$1" "$rounds" "$seconds" "$out/$1.json" ;;
    growth) "$out/bench" "$1" "$few_rounds" "$seconds" "$out/$1.json" ;;
    overflow | outage) "$out/bench" "$1" "$queue_rounds" "$seconds" "$out/$1.json" ;;
    events)
      NODE_PATH=$PWD/$out/node/node_modules python3 -B benches/events.py "$few_rounds" "$seconds" "$out" "${missing[@]}"
      ;;
    allocations | memory) "$out/heap" "$1" "$out/$1.json" ;;
    size) measure_size ;;
    calls) print_calls ;;
    languages) print_languages ;;
  esac
}

# Measures each part, and says before it how much is left.
measure_all() {
  local part at=0 left
  left=$(for part in "${parts[@]}"; do seconds_of "$part"; done | awk '{ sum += $1 } END { print sum }')
  for part in "${parts[@]}"; do
    at=$((at + 1))
    printf '== part %d of %d: %s; about %.0f s left\n' "$at" "${#parts[@]}" "$part" "$left" >&2
    rm -f "$out/$part.json"
    measure "$part"
    left=$(seconds_of "$part" | awk -v left="$left" '{ print left - $1 }')
  done
  python3 -B benches/report.py "$out" "$out/results.json" "${parts[@]}"
}

step "build the library with link-time optimisation" build_library
step "build the peers" build_peers
if wants events; then
  peer 'pusher (PyPI)' install_python
  peer 'pusher (npm)' install_node
fi
step "make a certificate for TLS" make_certificate
step "build the contenders" build_programs
if wants languages; then
  need go=golang-go ruby php=php-cli
  step "build the fault server, for the languages" build_fault_server
fi
describe_machine >"$out/machine.txt"
{
  cat "$out/machine.txt"
  measure_all
} | tee "$out/results.txt"
if [ $# = 0 ] && python3 -B benches/page.py "$out/results.json" docs --readme README.md; then
  cp "$out/results.json" "$out/whole.json"
  say 'wrote docs/benchmarks.md, docs/bench-*.svg and a part of README.md'
fi
