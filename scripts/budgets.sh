#!/usr/bin/env bash
# Checks the cost of calls against their budgets in tests/budgets.txt: instructions (by callgrind), allocations and
# their bytes. Unlike times, they differ by less than 0.1 % between runs: only the publisher's histogram of latencies
# depends on time.
#
#   scripts/budgets.sh                       fails if a call costs more than its budget, and tells if it costs less
#   scripts/budgets.sh --record              writes the costs of this tree as the budgets of this architecture
#   scripts/budgets.sh --against REVISION    compares the costs with those of REVISION, which is built in build/
#   scripts/budgets.sh --self-test           plants regressions, and expects them to be found
#
# A cost is the difference between many calls and few, divided by the difference in calls. The library is the released
# one, with link-time optimisation. Callgrind counts the instructions of the library, the C library and the program, and
# not those of the kernel. Waiting costs nothing: no thread spins. Valgrind's CPU has no SHA instructions, so
# hashing takes a greater share here than on most machines.
#
# An observer may add so many percent to a trigger, whatever its budget is: observer-percentage in tests/budgets.txt.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

BUDGETS=tests/budgets.txt

# Each call, with the few and the many times that it is made.
CALLS=(
  'authenticate 200 2200'
  'authenticate-user 200 2200'
  'validate-webhook 200 2200'
  'trigger-100-bytes 50 550'
  'trigger-10-kilobytes 20 120'
  # As trigger-100-bytes, with an observer that does nothing.
  'trigger-observed 50 550'
  'trigger-batch-of-10 20 120'
  # Between two powers of two, so that the queue does not grow.
  'publish 1100 2000'
  # With 20,000 events in the queue. Each call of publish-block waits for a millisecond.
  'publish-reject 200 1200'
  'publish-block 100 500'
  'publish-drop-oldest 200 1200'
  'deliver-batch-of-10 110 200'
)

need cargo cc=gcc valgrind git
out=build/budgets
mkdir -p "$out"
arch=$(uname -m)

# Prints the versions that instructions depend on.
toolchain() {
  local avx2=''
  # Valgrind passes AVX2 on if the machine has it, and string functions use it.
  if grep -qsw avx2 /proc/cpuinfo; then avx2=', AVX2'; fi
  printf '%s, %s, %s%s\n' "$(rustc --version)" "$(getconf GNU_LIBC_VERSION)" "$(valgrind --version)" "$avx2"
}

# library_of TREE FOLDER: builds the library of a tree, as it is released.
library_of() {
  local target=${CARGO_TARGET_DIR:-target}
  mkdir -p "$2"
  (
    cd "$1"
    # Flags of the caller would change the costs.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
    # One crate type alone: with an rlib in the same run, cargo turns link-time optimisation off.
    CARGO_TARGET_DIR=$target cargo rustc --quiet --release --locked --lib --crate-type cdylib
  )
  case $target in /*) ;; *) target=$1/$target ;; esac
  cp -L "$target/release/libpusher.so" "$2/libpusher.so.0"
}

# program FOLDER [SOURCE…]: compiles the program of this tree, which uses the library in a folder.
program() {
  local folder=$1 flags=(-std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -pthread -Ibenches -Iinclude)
  shift
  cc "${flags[@]}" -o "$folder/budgets" tests/c/budgets.c benches/allocations.c "$@" "$folder/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
}

build() {
  library_of "$1" "$2"
  program "$2"
}

# run FOLDER CALL COUNT: prints the instructions, allocations and bytes of a process that makes COUNT calls.
run() {
  local at=$1/$2.$3 instructions
  valgrind --tool=callgrind --callgrind-out-file="$at.callgrind" "$1/budgets" "$2" "$3" \
    >"$at.allocations" 2>"$at.log" ||
    fail "$2 ended with $?: $(cat "$at.log")"
  instructions=$(sed -nE 's/^summary: ([0-9]+).*/\1/p' "$at.callgrind")
  echo "${instructions:?callgrind counted nothing} $(cat "$at.allocations")"
}

# measure FOLDER [CALL…]: writes the costs of these calls, or of all, to FOLDER/costs, as lines of "call instructions
# allocations bytes".
measure() {
  local folder=$1 line call few many
  shift
  : >"$folder/costs"
  for line in "${CALLS[@]}"; do
    read -r call few many <<<"$line"
    [ $# = 0 ] || [[ " $* " = *" $call "* ]] || continue
    # One after the other, because an assignment alone ends the script after a failure.
    few=$(run "$folder" "$call" "$few") && many=$(run "$folder" "$call" "$many") || exit 1
    awk -v call="$call" -v calls="$line" -v few="$few" -v many="$many" '
      # At most two decimals, and none of an integer: a queue that grows allocates once in many calls.
      function each(i) { return sprintf("%.2f", (b[i] - a[i]) / n) + 0 }
      BEGIN {
        split(calls, count, " "); n = count[3] - count[2]
        split(few, a, " "); split(many, b, " ")
        printf "%s %.0f %s %s\n", call, (b[1] - a[1]) / n, each(2), each(3)
      }' >>"$folder/costs"
  done
}

# judge COSTS BUDGETS [TOOLCHAIN]: compares costs with budgets, and fails if one is exceeded.
judge() {
  awk -v arch="$arch" -v toolchain="${3:-$(toolchain)}" '
    BEGIN {
      printf "%-22s %26s %7s %20s %22s\n", "per call", "instructions, budget", "ratio", "allocations, budget", \
        "bytes, budget"
    }
    /^#/ || NF == 0 { next }
    FILENAME == ARGV[1] && $1 == "tolerance" { same = $2; next }
    FILENAME == ARGV[1] && $1 == "other-toolchain-tolerance" { other = $2; next }
    FILENAME == ARGV[1] && $1 == "observer-percentage" { observer = $2; next }
    FILENAME == ARGV[1] && $1 == "toolchain" {
      if ($2 == arch) { recorded = $0; sub("^toolchain +[^ ]+ +", "", recorded) }
      next
    }
    FILENAME == ARGV[1] { if ($1 == arch) budget[$2] = $3 " " $4 " " $5; next }
    FNR == 1 {
      if (recorded == "") {
        printf "There is no budget for %s. Record those of a good revision: scripts/budgets.sh --record\n", arch
        exit wrong = 1
      }
      percent = recorded == toolchain ? same : other
      if (percent + 0 <= 0 || observer + 0 <= 0) { print "The file of budgets lacks a percentage."; exit wrong = 1 }
    }
    # compare NAME COST BUDGET TOLERANCE
    function compare(name, cost, limit, tolerance) {
      if (cost > limit * (1 + tolerance / 100)) {
        above = above sprintf("%s: %s %s, and the budget is %s", call, cost, name, limit)
        above = above (tolerance > 0 ? " plus " tolerance " %" : "") "\n"
      } else if (cost < limit * (1 - tolerance / 100)) {
        below = below sprintf("%s: %s %s, and the budget is %s\n", call, cost, name, limit)
      }
    }
    # The ratio of two costs of this tree hardly depends on the toolchain.
    function compare_observed(plain, observed) {
      printf "%-22s %13.2f %% of %8s %%\n", "an observer adds", (observed / plain - 1) * 100, observer
      if (observed > plain * (1 + observer / 100)) {
        above = above sprintf("trigger-observed: %s instructions, and %s without an observer", observed, plain)
        above = above " plus " observer " %\n"
      }
    }
    {
      call = $1
      instructions[call] = $2
      if (!(call in budget)) { above = above call ": no budget\n"; next }
      split(budget[call], b, " ")
      printf "%-22s %14d of %8d %7.3f %11s of %5s %12s of %7s\n", call, $2, b[1], $2 / b[1], $3, b[2], $4, b[3]
      compare("instructions", $2, b[1], percent)
      compare("allocations", $3, b[2], 0)
      compare("allocated bytes", $4, b[3], percent)
    }
    END {
      if (wrong) exit 1
      if ("trigger-observed" in instructions) {
        compare_observed(instructions["trigger-100-bytes"], instructions["trigger-observed"])
      }
      if (recorded != toolchain) {
        printf "NOTE: another toolchain recorded the budgets, so %s %% more is permitted, not %s %%.\n", other, same
        printf "  recorded: %s\n  this one: %s\n", recorded, toolchain
      }
      if (below != "") {
        printf "NOTE: less than the budget:\n%s", below
        print "To keep the gain, write the new budgets, and commit them: scripts/budgets.sh --record"
      }
      if (above != "") {
        printf "MORE than the budget:\n%s", above
        print "If the cost is intended, write the new budgets, and say why in the commit: scripts/budgets.sh --record"
        exit 1
      }
    }' "$2" "$1"
}

# Replaces the budgets of this architecture, and keeps the rest of the file.
record() {
  local new=$out/recorded
  awk -v arch="$arch" '$1 != arch && !($1 == "toolchain" && $2 == arch)' "$BUDGETS" >"$new"
  {
    echo "toolchain $arch $(toolchain)"
    sed "s/^/$arch /" "$1"
  } >>"$new"
  cp "$new" "$BUDGETS"
  cat "$1"
}

against() {
  local tree=$out/tree
  git worktree remove --force "$tree" 2>/dev/null || true
  git worktree add --quiet --detach "$tree" "$1"
  # shellcheck disable=SC2064 # the tree of now
  trap "git worktree remove --force '$tree'" EXIT
  step "build $1" build "$tree" "$out/other"
  step "measure $1" measure "$out/other"
  awk -v revision="$1" '
    BEGIN {
      printf "%-22s %26s %7s %20s %22s\n", "per call", "instructions, " revision, "ratio", "allocations", "bytes"
    }
    NR == FNR { costs[$1] = $2 " " $3 " " $4; next }
    {
      split(costs[$1], b, " ")
      printf "%-22s %14d    %8d %7.3f %11s    %5s %12s    %7s\n", $1, $2, b[1], $2 / b[1], $3, b[2], $4, b[3]
    }' "$out/other/costs" "$out/this/costs"
}

# expect RESULT WORDS COSTS BUDGETS [TOOLCHAIN]: the judgement passes or fails, and its report has these words.
expect() {
  local result=passes words=$2 report
  report=$(judge "${@:3}") || result=fails
  [ "$result" = "$1" ] || fail "The check $result, but it must not: $report"
  grep -qF -e "$words" <<<"$report" || fail "The report lacks \"$words\": $report"
}

# scaled CALL FACTOR: writes budgets that are the costs of this tree, with the instructions of one call multiplied.
scaled() {
  awk -v call="$1" -v factor="$2" -v arch="$arch" '
    BEGIN { print "tolerance 3\nother-toolchain-tolerance 10\nobserver-percentage 3" }
    { $2 = sprintf("%.0f", $1 == call ? $2 * factor : $2); print arch, $0 }' "$out/this/costs" >"$out/planted"
  echo "toolchain $arch $(toolchain)" >>"$out/planted"
}

planted_budgets() {
  local costs=$out/this/costs call=trigger-100-bytes
  scaled $call 1
  # Within its own tolerance, but not within that of an observer.
  awk '$1 == "trigger-observed" { $2 = sprintf("%.0f", $2 * 1.02) } { print }' "$costs" >"$out/dearer"
  expect fails 'trigger-observed: ' "$out/dearer" "$out/planted"
  expect passes "$call" "$costs" "$out/planted"
  scaled $call 0.96
  expect fails "$call: " "$costs" "$out/planted"
  expect passes 'NOTE: another toolchain ' "$costs" "$out/planted" 'rustc 0'
  scaled $call 0.89
  expect fails "$call: " "$costs" "$out/planted" 'rustc 0'
  scaled $call 1.04
  expect passes 'scripts/budgets.sh --record' "$costs" "$out/planted"
  sed "s/ $call / other-call /" "$out/planted" >"$out/without"
  expect fails "$call: no budget" "$costs" "$out/without"
  sed "s/^$arch /other-/; s/^toolchain $arch /toolchain other-arch /" "$out/planted" >"$out/without"
  expect fails "no budget for $arch" "$costs" "$out/without"
}

# slower ROUNDS ALLOCATIONS: measures two calls of a library that does more in them.
slower() {
  local folder=$out/slower
  mkdir -p "$folder"
  cp "$out/this/libpusher.so.0" "$folder"
  cc -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -fPIC -shared -Iinclude \
    -DADDED_ROUNDS="$1" -DADDED_ALLOCATIONS="$2" -o "$folder/slower.so" tests/c/slower.c
  program "$folder" "$folder/slower.so"
  measure "$folder" authenticate trigger-100-bytes
}

planted_library() {
  scaled none 1
  slower 0 0
  expect passes authenticate "$out/slower/costs" "$out/planted"
  # Three to four instructions each.
  slower 100 0
  expect fails 'authenticate: ' "$out/slower/costs" "$out/planted"
  # Few instructions more: only the allocations show it.
  slower 0 1
  expect fails ' allocations, and' "$out/slower/costs" "$out/planted"
}

case ${1:-} in
  '' | --record | --self-test) [ $# -le 1 ] ;;
  --against) [ $# = 2 ] ;;
  *) false ;;
esac || fail 'usage: scripts/budgets.sh [--record | --against REVISION | --self-test]'

step 'build' build . "$out/this"
if [ "${1:-}" = --self-test ]; then
  step 'measure three calls' measure "$out/this" authenticate trigger-100-bytes trigger-observed
  step 'budgets that are too low are found' planted_budgets
  step 'a slower library is found' planted_library
  exit
fi
step 'measure' measure "$out/this"
case ${1:-} in
  '') judge "$out/this/costs" "$BUDGETS" || fail 'A call costs more than its budget.' ;;
  --record) record "$out/this/costs" ;;
  --against) against "$2" ;;
esac
