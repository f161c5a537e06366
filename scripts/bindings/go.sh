#!/usr/bin/env bash
# The Go binding: vet, and its tests (tests/conformance.json among them) plain, with the race detector and with AddressSanitizer.
#
#   scripts/bindings/go.sh                                          builds the library and the fault server
#   PUSHER_LIBRARY=file FAULT_SERVER=file scripts/bindings/go.sh    takes these
#   scripts/bindings/go.sh bench                                    instead, measures it beside what Go itself does the same with
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need go=golang-go gcc pkg-config
root=$PWD
out=$root/build/bindings-go
rm -rf "$out"
mkdir -p "$out"

# As if it were installed.
as_installed "$out"
fault_server

export PUSHER_LIBRARY="$out/libpusher.so.0" PKG_CONFIG_PATH=$out LD_LIBRARY_PATH=$out CGO_ENABLED=1
# Nothing but the standard library: there is nothing to fetch.
export GOPROXY=off GOFLAGS=-mod=mod GOTOOLCHAIN=local
export CGO_CFLAGS="-O2 -g -Wall -Wextra -Wno-unused-parameter -Werror"
cd bindings/go

formatted() {
  local files licence
  files=$(gofmt -l .)
  [ -z "$files" ] || fail "not as gofmt has it: $files"
  # A module has no links: its licences are copies, which must not go their own way.
  for licence in LICENSE-APACHE LICENSE-MIT; do cmp "$root/$licence" "$licence"; done
}

# The best of many short rounds, in turn, since what else runs on the machine only makes them slower; and how many times as fast as Go's own each is.
ratios() {
  local round rounds=15
  go test -c -o "$out/benchmarks" .
  for ((round = 0; round < rounds; round++)); do
    "$out/benchmarks" -test.run '^$' -test.bench . -test.benchtime "${BENCHTIME:-50ms}"
  done >"$out/rounds" || { cat "$out/rounds"; return 1; }
  awk -v rounds="$rounds" '
      /^Benchmark/ {
        name = $1
        sub(/^Benchmark/, "", name)
        sub(/-[0-9]+$/, "", name)
        if (!(name in of) && name !~ /\/go$/) order[++names] = name
        if (!(name in of) || $3 < of[name]) of[name] = $3
      }
      END {
        printf "   %-40s %12s %12s %8s\n", "best of " rounds, "binding", "Go itself", "ratio"
        for (n = 1; n <= names; n++) {
          split(order[n], part, "/")
          label = part[1] (part[2] == "" || part[2] == "binding" ? "" : ", " substr(part[2], 9))
          gsub("_", " ", label)
          own = of[part[1] "/go"]
          if (own) printf "   %-40s %9d ns %9d ns %7.2fx\n", label, of[order[n]], own, own / of[order[n]]
          else printf "   %-40s %9d ns\n", label, of[order[n]]
        }
      }' "$out/rounds"
}

# What is never run stops to work; its figures say nothing.
benchmarks_work() { go test -run '^$' -bench . -benchtime 1x . >"$out/once" 2>&1 || { cat "$out/once" >&2; return 1; }; }

if [ "${1:-}" = bench ]; then
  step "Go: benchmarks" ratios
  exit
fi

step "Go: gofmt" formatted
step "Go: vet" go vet .
step "Go: tests" go test -count=1 .
# Every pointer that goes to C is looked at in full; since Go 1.21 that is decided when it is compiled.
checked=GODEBUG=cgocheck=2
case $(go env GOVERSION) in go1.19* | go1.20*) ;; *) checked=GOEXPERIMENT=cgocheck2 ;; esac
step "Go: tests, the pointers checked" env "$checked" FAULTS=few go test -count=1 -run 'Conformance|Payload|Authorization|Reported' .
step "Go: tests with the race detector" env FAULTS=few go test -count=1 -race .
# Its leaks are those of Go's runtime; TestMemoryStaysFlat looks for ours.
step "Go: tests with AddressSanitizer" env FAULTS=few ASAN_OPTIONS=detect_leaks=0 go test -count=1 -asan .
step "Go: each benchmark, once" benchmarks_work
