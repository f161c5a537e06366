#!/usr/bin/env bash
# Builds cargo-deny into the cache, and prints the path of the program. The first time it is compiled, at a low priority,
# which takes about 5 minutes on two cores.
. "$(dirname "$0")/../../scripts/lib.sh"
exec 3>&1 >&2 # only the path goes to standard output

VERSION=0.20.2
HERE=$CACHE/cargo-deny-$VERSION
PROGRAM=$HERE/bin/cargo-deny

finished() { [ -x "$PROGRAM" ]; }

# shellcheck disable=SC2329 # step runs it
install() {
  finished && return # another run was quicker
  need cargo cc=gcc
  # The build folder survives an interruption, and the next run goes on from there. Flags and configuration that are
  # meant for libpusher must not reach it.
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
  rm -rf "$HERE.part"
  (
    cd "$CACHE"
    CARGO_TARGET_DIR=$HERE.build CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=symbols nice -n 19 \
      cargo install cargo-deny --version "=$VERSION" --locked --debug --root "$HERE.part" --quiet
  )
  # Only a complete folder gets its final name.
  rm -rf "$HERE"
  mv "$HERE.part" "$HERE"
  rm -rf "$HERE.build"
}

if ! finished; then
  mkdir -p "$CACHE"
  exec 9>"$HERE.lock"
  flock 9
  step "compile cargo-deny $VERSION (some minutes; once)" install
fi
echo "$PROGRAM" >&3
