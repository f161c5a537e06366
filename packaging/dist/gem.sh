#!/usr/bin/env bash
# Writes the Ruby gems: one for all platforms, which needs an installed library, and one for each platform that carries the library and
# pusher-testserver.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source packaging/dist/binaries.sh

# RubyGems' names. On musl its name needs RubyGems 3.3.22; earlier versions take the gem for glibc, and a system's library is used.
declare -A GEMS=([linux-x86_64]=x86_64-linux [linux-aarch64]=aarch64-linux [musl-x86_64]=x86_64-linux-musl
  [windows-x86_64]=x64-mingw-ucrt)

plain() { release_file "$("$CHECKOUT/packaging/gem.sh" "$WORK")"; }

platform() (
  binaries "$1"
  mkdir "$WORK/$1"
  file=$("$CHECKOUT/packaging/gem.sh" "$WORK" "${GEMS[$1]}" "$BINARIES")
  gem unpack --quiet --target "$WORK/$1" "$file" >/dev/null
  diff -r "$BINARIES" "$(echo "$WORK/$1"/*/vendor)"
  try_binaries "$WORK/$1"/*/vendor
  [ "$1" != linux-aarch64 ] || try_arm64 "$WORK/$1"/*
  release_file "$file"
)

# try_arm64 FOLDER: sends events by the unpacked gem, with Debian's Ruby for arm64.
try_arm64() {
  local folders
  arm64_root ruby3.1 libruby3.1 rubygems-integration ruby-ffi libffi8 libgmp10 libyaml-0-2 libcrypt1 zlib1g
  folders=$1/lib$(find "$ARM64_ROOT/usr" -type d -name '3.1.0' -path '*ruby*' -printf ':%p')
  packaging/dist/try.py "$VERSION" "$ARM64_ROOT/usr/bin/ruby3.1" packaging/dist/try-gem.rb "$1/vendor/$PROGRAM" \
    qemu-aarch64 -L "$ARM64_ROOT" -E "RUBYLIB=$folders"
}

# The gem in a system with Ruby, two other gems and no libpusher: an application's tests pass, and fail once it is wrong.
installed() {
  local root stage=$WORK/stage
  root=$(applications_root)
  mkdir -p "$stage/tests/applications" "$stage/docs" "$stage/shop"
  cp "$DIST/libpusher-$VERSION-x86_64-linux.gem" "$stage"
  cp "$CHECKOUT/tests/applications/run.py" "$stage/tests/applications/"
  cp "$CHECKOUT/docs/testing-your-app.md" "$stage/docs/"
  in_root "$root" "$stage" sh -c 'gem install --quiet --local --ignore-dependencies --no-document ./*.gem &&
    python3 tests/applications/run.py ruby shop ruby -w shop_test.rb'
}

step 'the gem for all platforms' plain
for platform in "${PLATFORMS[@]}"; do step "the gem for ${GEMS[$platform]}" platform "$platform"; done
[ ! -e "$DIST/libpusher-$VERSION-x86_64-linux.gem" ] || step 'an application with the gem for x86_64-linux' installed
