#!/usr/bin/env bash
# Writes an archive with the recipes of package managers for this release, and runs those that no other part runs: vcpkg's, Homebrew's and
# Alpine's by stand-ins for the functions that they call, Meson's by Meson.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need cmake gcc pkg-config meson ninja=ninja-build ruby xz=xz-utils busybox shellcheck
tarball
native_rust
NAME=libpusher-$VERSION-recipes
FOLDER=$WORK/$NAME
# All of them compile the same source, in the same folder.
SOURCE=$WORK/source
TESTS=$CHECKOUT/tests/packages

recipes() { quiet "$CHECKOUT/packaging/recipes.sh" "$TARBALL" "$FOLDER"; }

homebrew() {
  unpacked "$SOURCE"
  quiet offline ruby -w "$TESTS/formula.rb" "$FOLDER/homebrew/libpusher.rb" "$TARBALL" "$SOURCE" "$WORK/homebrew"
  publish_from "$WORK/homebrew" "$TESTS"
}

vcpkg() {
  quiet offline cmake -DPORT="$FOLDER/vcpkg" -DTARBALL="$TARBALL" -DSOURCE="$SOURCE" -DOUT="$WORK/vcpkg-$1" -DLINKAGE="$1" \
    -P "$TESTS/vcpkg.cmake"
  publish_from "$WORK/vcpkg-$1/packages" "$TESTS"
}

# Alpine's shell is BusyBox's. Debian has no linter of Alpine.
alpine() {
  local recipe=$FOLDER/alpine/APKBUILD made=$WORK/alpine
  shellcheck --shell=dash --exclude=SC2034,SC2154 "$recipe"
  quiet offline busybox sh "$TESTS/apkbuild.sh" "$recipe" "$SOURCE" "$made"
  publish_from "$made/libpusher/usr" "$TESTS"
  [ "$(find "$made" -name pusher-testserver)" = "$made/tools/usr/bin/pusher-testserver" ] || fail 'pusher-testserver is in another package'
  env -C "$SOURCE" packaging/copyright.py --full | cmp - "$made/libpusher/usr/share/licenses/libpusher/copyright"
}

# As in a project that has the wrap in subprojects. Meson takes the tarball from its cache of packages.
wrap() {
  local project=$WORK/wrap/meson
  mkdir -p "$project/subprojects/packagecache"
  cp "$CHECKOUT"/tests/consumers/{main.c,wrapper.cpp} "$WORK/wrap/"
  cp "$CHECKOUT/tests/consumers/meson/meson.build" "$project/"
  cp -r "$FOLDER/meson/." "$project/subprojects/"
  cp "$TARBALL" "$project/subprojects/packagecache/"
  quiet offline meson setup --wrap-mode=forcefallback "$WORK/wrap/build" "$project"
  quiet offline meson test -C "$WORK/wrap/build" --print-errorlogs
  ! readelf -dW "$WORK/wrap/build/consumer-c" | grep "NEEDED.*libpusher" || fail 'the program uses another libpusher'
}

pack() {
  tar -C "$WORK" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --mode='u=rwX,go=rX' --format=ustar \
    -cf - "$NAME" | xz -9 >"$WORK/$NAME.tar.xz"
}

step 'the recipes' recipes
# A cargo that has downloaded nothing.
export CARGO_HOME=$WORK/cargo-home CARGO_TARGET_DIR=$WORK/cargo
step 'Homebrew: install and test of the formula' homebrew
step 'vcpkg: the port, shared' vcpkg dynamic
step 'vcpkg: the port, static' vcpkg static
step 'Alpine: the functions of the APKBUILD' alpine
step 'Meson: a project with the wrap' wrap
step 'the archive' pack
release_file "$WORK/$NAME.tar.xz"
