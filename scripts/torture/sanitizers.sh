#!/usr/bin/env bash
# Runs the cases of tests/conformance.json and the contract in C under valgrind, and with the library under AddressSanitizer. No report
# is permitted, and no suppression of ours is used.
#
#   scripts/torture/sanitizers.sh              this
#   scripts/torture/sanitizers.sh --long       also the Rust tests of the C ABI under AddressSanitizer, and those of the publisher and of
#                                              connections under ThreadSanitizer
#   PUSHER_LIBRARY=file FAULT_SERVER=file …    uses these under valgrind
#
# The stable compiler has the runtimes of the sanitizers, but not the sources of std, which ThreadSanitizer must instrument, too.
# Debian's compiler of Rust 1.85 has them, in rust-web-src, but no runtime: that of the stable compiler fits. Both are unpacked into the
# cache, and nothing is installed.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc valgrind python3 nm=binutils /usr/include/cjson/cJSON.h=libcjson-dev
case ${1:-} in
  '' | --long) ;;
  *) fail 'usage: scripts/torture/sanitizers.sh [--long]' ;;
esac
LEAST_CASES=300
TARGET=x86_64-unknown-linux-gnu
out=build/torture/sanitizers
rm -rf "$out"
mkdir -p "$out/asan"
runtimes=$(rustc --print sysroot)/lib/rustlib/$TARGET/lib
sanitized=${CARGO_TARGET_DIR:-target}/sanitizers
flags=(-std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pthread -Iinclude)
programs=(tests/c/conformance.c tests/c/contract.c tests/torture/planted.c)

# compile FOLDER FLAG…: compiles the C programs with the library of the folder.
compile() {
  local folder=$1 source
  shift
  for source in "${programs[@]}"; do
    cc "${flags[@]}" -o "$folder/$(basename "$source" .c)" "$source" "$@" "$folder/libpusher.so.0" -Wl,-rpath,"$PWD/$folder" -lcjson
  done
}

# cargo with AddressSanitizer. Its code has a folder of its own.
with_asan() { RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$sanitized cargo "$@"; }

build() {
  library "$out/libpusher.so.0"
  fault_server
  compile "$out"
  with_asan rustc --quiet --profile no-lto --locked --target $TARGET --lib --crate-type cdylib
  cp "$sanitized/$TARGET/no-lto/libpusher.so" "$out/asan/libpusher.so.0"
  # The program has the runtime, and exports it to the library.
  compile "$out/asan" -Wl,--whole-archive "$runtimes/librustc-stable_rt.asan.a" -Wl,--no-whole-archive -rdynamic -ldl -lm -lrt -lstdc++
}

# Valgrind sees in AES-GCM of ring, which is written in assembler, that unused parts of a key are read, and not that they have no
# effect. So it does not run the cases with TLS; AddressSanitizer does.
without_tls() {
  python3 - tests/conformance.json "$out/conformance.json" <<'PYTHON'
import json, sys

with open(sys.argv[1], encoding="utf-8") as file:
    whole = json.load(file)
cases = [case for case in whole["cases"] if not (isinstance(case.get("server"), dict) and case["server"].get("tls"))]
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(dict(whole, cases=cases), file)
PYTHON
}

# counted FILE: prints how many cases ran, at least LEAST_CASES and all successful.
counted() {
  local all failed skipped
  read -r all failed skipped < <(sed -nE 's/^([0-9]+) cases in C: ([0-9]+) failed; ([0-9]+) skipped.*/\1 \2 \3/p' "$1")
  if [ "${failed:-1}" != 0 ] || [ $((all - skipped)) -lt $LEAST_CASES ]; then fail "$(tail -n 50 "$1")"; fi
  echo $((all - skipped))
}

memcheck() {
  valgrind --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible \
    --errors-for-leak-kinds=definite,indirect,possible --child-silent-after-fork=yes "$@"
}

under_valgrind() {
  without_tls
  memcheck "$out/conformance" "$out/conformance.json" >"$out/valgrind.log" 2>&1 || fail "$(tail -n 60 "$out/valgrind.log")"
  grep -q 'ERROR SUMMARY: 0 errors.*(suppressed: 0 from 0)' "$out/valgrind.log" || fail "$(tail -n 60 "$out/valgrind.log")"
  valgrind_cases=$(counted "$out/valgrind.log")
  echo "   $valgrind_cases cases"
}

under_asan() {
  "$out/asan/conformance" tests/conformance.json >"$out/asan.log" 2>&1 || fail "$(tail -n 60 "$out/asan.log")"
  asan_cases=$(counted "$out/asan.log")
  echo "   $asan_cases cases"
  "$out/asan/contract" >"$out/contract.log" 2>&1 || fail "$(cat "$out/contract.log")"
}

# The library is instrumented, and a byte too far that it reads is found. So is a planted overflow in Rust.
can_fail() {
  local code=0
  nm "$out/asan/libpusher.so.0" >"$out/symbols"
  if ! grep -q '__asan_init$' "$out/symbols" || ! grep -q '__asan_report_load1$' "$out/symbols"; then
    fail 'the library is not instrumented'
  fi
  "$out/asan/planted" >"$out/planted.log" 2>&1 || code=$?
  if [ $code = 0 ] || ! grep -q 'AddressSanitizer: heap-buffer-overflow' "$out/planted.log"; then
    fail "AddressSanitizer does not find a planted fault: $(cat "$out/planted.log")"
  fi
  code=0
  memcheck "$out/planted" >"$out/planted.log" 2>&1 || code=$?
  if [ $code != 99 ] || ! grep -q 'Invalid read' "$out/planted.log"; then
    fail "valgrind does not find a planted fault: $(cat "$out/planted.log")"
  fi
  printf '%s\n' 'fn main() { let v = vec![7u8; 10]; let at = std::hint::black_box(10);' \
    'print!("{}", unsafe { *v.as_ptr().add(at) }); }' >"$out/overflow.rs"
  RUSTC_BOOTSTRAP=1 rustc -Zsanitizer=address --target $TARGET -o "$out/overflow" "$out/overflow.rs"
  if "$out/overflow" >"$out/planted.log" 2>&1; then fail 'AddressSanitizer does not find an overflow in Rust'; fi
  grep -q 'AddressSanitizer: heap-buffer-overflow' "$out/planted.log" || fail "$(cat "$out/planted.log")"
}

# Tests leak on purpose, what they pass to callbacks, so leaks are not looked for.
rust_under_asan() {
  with_asan test --quiet --locked --target $TARGET --test abi --no-run
  ASAN_OPTIONS=detect_leaks=0 RUST_BACKTRACE=0 with_asan test --quiet --locked --target $TARGET --test abi >"$out/abi.log" 2>&1 ||
    fail "$(tail -n 60 "$out/abi.log")"
  if grep -q 'ERROR: AddressSanitizer' "$out/abi.log"; then fail "$(grep -A 30 'ERROR: AddressSanitizer' "$out/abi.log")"; fi
  sed -nE 's/^test result: ok. ([0-9]+) passed.*/   \1 tests/p' "$out/abi.log"
}

# Debian's compiler and the sources of its std, with the runtime of the stable one.
old_rust() {
  old=$(tools/rust/get-rust-web.sh)
  local name
  for name in rustc-stable_rt rustc_rt; do
    cp "$runtimes/librustc-stable_rt.tsan.a" "$old/usr/lib/rustlib/$TARGET/lib/lib$name.tsan.a"
  done
}

with_tsan() (
  export PATH=$old/usr/bin:$PATH LD_LIBRARY_PATH=$old/lib/x86_64-linux-gnu:$old/usr/lib/x86_64-linux-gnu:$old/usr/lib
  export RUSTC=$old/usr/bin/rustc RUSTDOC=$old/usr/bin/rustdoc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=thread
  CARGO_TARGET_DIR=${TSAN_TARGET:-$sanitized-thread} cargo "$@"
)

tsan_can_fail() {
  mkdir -p "$out/race/src"
  printf '[package]\nname = "race"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n' >"$out/race/Cargo.toml"
  printf '%s\n' 'static mut X: u64 = 0;' 'fn main() { let t = std::thread::spawn(|| unsafe { X += 1 }); unsafe { X += 1 }; t.join().unwrap(); }' \
    >"$out/race/src/main.rs"
  with_tsan build --quiet -Zbuild-std --target $TARGET --manifest-path "$out/race/Cargo.toml" 2>"$out/race.log" || fail "$(cat "$out/race.log")"
  if "$sanitized-thread/$TARGET/debug/race" 2>"$out/race.log"; then fail 'ThreadSanitizer does not find a race'; fi
  grep -q 'ThreadSanitizer: data race' "$out/race.log" || fail "$(cat "$out/race.log")"
}

# Without those tests that preload a library, whose calls run before the runtime's, and those that measure time.
rust_under_tsan() {
  local test
  with_tsan test --quiet --locked -Zbuild-std --target $TARGET --test publisher --test network --no-run 2>"$out/tsan.log" ||
    fail "$(tail -n 40 "$out/tsan.log")"
  for test in publisher network; do
    with_tsan test --quiet --locked -Zbuild-std --target $TARGET --test $test -- --test-threads 2 --skip deadline:: \
      --skip a_success_whose_head_comes --skip signals_ >"$out/tsan-$test.log" 2>&1 || fail "$(tail -n 60 "$out/tsan-$test.log")"
    if grep -q 'WARNING: ThreadSanitizer' "$out/tsan-$test.log"; then
      fail "$(grep -A 40 'WARNING: ThreadSanitizer' "$out/tsan-$test.log")"
    fi
    sed -nE "s/^test result: ok. ([0-9]+) passed.*/   $test: \1 tests/p" "$out/tsan-$test.log"
  done
}

step 'building' build
step 'planted faults are found' can_fail
step 'the cases in C under valgrind' under_valgrind
step 'the cases and the contract in C, the library under AddressSanitizer' under_asan
if [ "${1:-}" = --long ]; then
  step 'the Rust tests of the C ABI under AddressSanitizer' rust_under_asan
  step "Debian's Rust 1.85 and the sources of its std" old_rust
  step 'ThreadSanitizer finds a race' tsan_can_fail
  step 'the publisher and connections under ThreadSanitizer' rust_under_tsan
fi
printf 'figure: %s cases in C under valgrind and %s under AddressSanitizer: 0 reports, no suppressions of ours\n' "$valgrind_cases" "$asan_cases"
