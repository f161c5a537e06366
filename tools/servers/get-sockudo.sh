#!/bin/bash
# Puts sockudo, a Channels server written in Rust (MIT), into the cache, and prints the path of its program. It can share
# its state with other nodes through Redis.
#
# The first run compiles it at a low priority, which takes 4 to 10 minutes on two cores.
. "$(dirname "$0")/../../scripts/lib.sh"
exec 3>&1 >&2 # only the path goes to standard output

VERSION=5.2.0
FEATURES=local,redis
HERE=$CACHE/sockudo-$VERSION-${FEATURES//,/+}
BINARY=$HERE/bin/sockudo

finished() { [ -x "$BINARY" ]; }

install() {
  finished && return # another run was quicker
  need cargo cc=gcc pkg-config /usr/include/openssl/ssl.h=libssl-dev \
    protoc=protobuf-compiler /usr/include/google/protobuf/timestamp.proto=libprotobuf-dev
  # The build folder survives an interruption, and the next run goes on from there. Flags and configuration that are
  # meant for libpusher must not reach it.
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
  rm -rf "$HERE.part"
  (
    cd "$CACHE"
    CARGO_TARGET_DIR=$HERE.build CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=symbols nice -n 19 \
      cargo install sockudo --version "=$VERSION" --locked --debug --no-default-features --features "$FEATURES" \
      --root "$HERE.part" --quiet
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
  step "compile sockudo $VERSION (some minutes; once)" install
fi
echo "$BINARY" >&3
