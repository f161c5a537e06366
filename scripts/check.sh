#!/usr/bin/env bash
# The quick inner loop: layouts, lints, and the tests that need no real server.
#
#   scripts/check.sh            all of it
#   scripts/check.sh --tests    only the tests, such as for another Rust toolchain, which has other lints
#   scripts/check.sh --lines    all of it, and prints which lines of src the tests execute
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
need cargo gcc

# Without a terminal, cargo's progress would fill a log.
export CARGO_TERM_PROGRESS_WHEN=${CARGO_TERM_PROGRESS_WHEN:-auto}

if [ "${1:-}" != --tests ]; then
  scripts/lint.sh
  step 'the functions of the scripts' scripts/lib.test.sh
  step 'the page of the benchmarks' python3 -B tests/benches/page_test.py
  # Both tools are components of the toolchain, from Debian and from rustup.
  step 'Rust: layout' cargo fmt --all --check
  step 'Rust: layout of the fuzz targets' cargo fmt --manifest-path fuzz/Cargo.toml --check
  step 'Rust: lints' cargo clippy --locked --all-targets --quiet -- -D warnings
  step 'Rust: documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items --quiet
fi
if [ "${1:-}" = --lines ]; then
  scripts/torture/coverage.sh
elif cargo nextest --version >/dev/null 2>&1; then
  # The matrix of faults takes a minute or two: scripts/delivery.sh runs it, with optimisation.
  step 'tests' cargo nextest run --locked -E 'not binary(delivery)'
else
  step 'tests' cargo test --locked
fi
