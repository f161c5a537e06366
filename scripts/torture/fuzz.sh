#!/usr/bin/env bash
# Runs the fuzz targets of fuzz/ under AddressSanitizer: first the committed inputs, then new ones.
#
#   scripts/torture/fuzz.sh                    15 seconds each
#   scripts/torture/fuzz.sh --long             an hour each
#   scripts/torture/fuzz.sh --seconds N NAME…  N seconds each, these targets
#   scripts/torture/fuzz.sh --build            only builds them
#
# A failing input is left in build/fuzz/TARGET-crash-….
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

seconds=15 only_build=
case ${1:-} in
  --long) seconds=3600 && shift ;;
  --seconds) seconds=$2 && shift 2 ;;
  --build) only_build=1 && shift ;;
esac
targets=("$@")
if [ $# = 0 ]; then
  for file in fuzz/targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

need cc=gcc g++
CARGO_FUZZ=$(cargo_program cargo-fuzz 0.13.2)
out=$PWD/build/fuzz
target_dir=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
programs=$target_dir/x86_64-unknown-linux-gnu/release
mkdir -p "$out"
export ASAN_OPTIONS=detect_odr_violation=0

# The sanitizer's flag is not a stable one.
build() { RUSTC_BOOTSTRAP=1 "$CARGO_FUZZ" build --target-dir "$target_dir" >"$out/build.log" 2>&1 || fail "$(cat "$out/build.log")"; }

# fuzz TARGET SECONDS: an input that takes half a minute hangs. On a loaded machine, some that do not take seconds.
fuzz() {
  local found=$out/$1 log=$out/$1.log inputs=()
  mkdir -p "$found"
  [ ! -d "fuzz/corpus/$1" ] || inputs=("fuzz/corpus/$1")
  timeout $(($2 + 120)) "$programs/$1" -max_total_time="$2" -timeout=30 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$out/$1-" "$found" "${inputs[@]}" >"$log" 2>&1
}

planted_fault_is_found() {
  rm -f "$out"/planted-*
  # It ends as soon as it is found, which takes a second or two.
  if fuzz planted 300; then fail 'the planted fault is not found'; fi
  grep -q 'AddressSanitizer: heap-buffer-overflow' "$out/planted.log" || fail "$(tail -n 40 "$out/planted.log")"
}

# run TARGET: one line with its figures, or the end of its log.
run() {
  if ! fuzz "$1" "$seconds"; then
    tail -n 60 "$out/$1.log" >&2
    return 1
  fi
  awk -v name="$1" '
    /INFO: Loaded .* inline 8-bit counters/ { match($0, /\([0-9]+/); edges = substr($0, RSTART + 1, RLENGTH - 1) }
    /DONE/ { match($0, /cov: [0-9]+/); reached = substr($0, RSTART + 5, RLENGTH - 5) }
    /stat::number_of_executed_units/ { runs = $2 }
    END { printf "%-20s %9d runs, %5d of %6d edges\n", name, runs, reached, edges }' "$out/$1.log" | tee "$out/$1.figure"
}

all() {
  export -f run fuzz
  export out programs seconds
  rm -f "$out"/*.figure
  printf '%s\n' "${targets[@]}" | grep -v '^planted$' | xargs -P "$((2 * $(nproc)))" -I{} bash -c 'run {}'
}

step 'build the fuzz targets' build
if [ -n "$only_build" ]; then exit; fi
step 'a planted fault is found' planted_fault_is_found
step "$seconds s for each target" all
printf 'figure: %s\n' "$(cat "$out"/*.figure | awk '{ runs += $2; targets++ } END { print runs " inputs in " targets " targets, 0 failures" }')"
