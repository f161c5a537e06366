#!/usr/bin/env bash
# Tests the Go binding, including tests/conformance.json: vet, plain tests, the race detector, AddressSanitizer.
#
#   scripts/bindings/go.sh                                          builds the library and the fault server
#   PUSHER_LIBRARY=file FAULT_SERVER=file scripts/bindings/go.sh    uses these
#   scripts/bindings/go.sh bench                                    measures it against the same work in Go instead
#   scripts/bindings/go.sh migration FILE                           runs only the tests of tests/migration, and writes their results
[ "${1:-}" != migration ] || results=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need go=golang-go gcc pkg-config python3
root=$PWD
out=$root/build/bindings-go
rm -rf "$out"
mkdir -p "$out"

# As an installation lays it out.
as_installed "$out"
fault_server

export PUSHER_LIBRARY="$out/libpusher.so.0" PKG_CONFIG_PATH=$out LD_LIBRARY_PATH=$out CGO_ENABLED=1
# The module uses only the standard library, so nothing is fetched.
export GOPROXY=off GOFLAGS=-mod=mod GOTOOLCHAIN=local
export CGO_CFLAGS="-O2 -g -Wall -Wextra -Wno-unused-parameter -Werror"
cd bindings/go

formatted() {
  local files licence
  files=$(gofmt -l . ../go-as-pusher ../../tests/migration/samples/go ../../e2e/frameworks)
  [ -z "$files" ] || fail "not formatted by gofmt: $files"
  # A Go module cannot have symbolic links, so its licences are copies. Check that they are the same.
  for licence in LICENSE-APACHE LICENSE-MIT; do
    cmp "$root/$licence" "$licence"
    cmp "$root/$licence" "../go-as-pusher/$licence"
  done
}

# The example of docs/testing-your-app.md, in a module of its own.
example() {
  local module=github.com/libpusher/libpusher/bindings/go
  mkdir -p "$out/example" "$out/bin"
  ln -s "$FAULT_SERVER" "$out/bin/pusher-testserver"
  printf 'module shop\n\ngo 1.19\n\nrequire %s v0.0.0\n\nreplace %s => %s\n' $module $module "$root/bindings/go" >"$out/example/go.mod"
  env -u FAULT_SERVER -u PUSHER_TESTSERVER PATH="$out/bin:$PATH" python3 "$root/tests/applications/run.py" go "$out/example" go test -count=1 .
}

# The best of many short rounds in turn, because other programs only make a round slower; and the ratio to Go's own.
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

# Runs the benchmark once, so that it keeps working. The figures are not used.
benchmarks_work() { go test -run '^$' -bench . -benchtime 1x . >"$out/once" 2>&1 || { cat "$out/once" >&2; return 1; }; }

if [ "${1:-}" = bench ]; then
  step "Go: benchmarks" ratios
  exit
fi

# Writes "pass NAME" or "fail NAME" for each test.
migration() {
  go test -count=1 -v -run '^TestMigration' . >"$out/migration" || cat "$out/migration" >&2
  sed -n 's/^--- PASS: \([^ ]*\).*/pass \1/p; s/^--- FAIL: \([^ ]*\).*/fail \1/p' "$out/migration" >"$results"
}

if [ "${1:-}" = migration ]; then
  step "Go: tests of the migration" migration
  exit
fi

step "Go: gofmt" formatted
step "Go: vet" go vet ./...
export PUSHER_TESTSERVER=$FAULT_SERVER
step "Go: tests" go test -count=1 ./...
step "Go: the tests of an application" example
# Checks every pointer that is passed to C. Since Go 1.21 this is a compile-time option.
checked=GODEBUG=cgocheck=2
case $(go env GOVERSION) in go1.19* | go1.20*) ;; *) checked=GOEXPERIMENT=cgocheck2 ;; esac
step "Go: tests, the pointers checked" env "$checked" FAULTS=few go test -count=1 -run 'Conformance|Payload|Authorization|Reported' .
step "Go: tests with the race detector" env FAULTS=few go test -count=1 -race .
# LeakSanitizer would report Go's runtime. TestMemoryStaysFlat looks for our leaks.
step "Go: tests with AddressSanitizer" env FAULTS=few ASAN_OPTIONS=detect_leaks=0 go test -count=1 -asan .
step "Go: each benchmark, once" benchmarks_work
