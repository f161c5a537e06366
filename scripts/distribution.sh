#!/usr/bin/env bash
# Tests what distributions and package managers use: builds the source tarball without a network; installs, uses and removes the
# Debian packages; creates and uses the Conan package. Each test ends with the same program, tests/packages/publish.c, which
# publishes an event with the installed library.
#
#   scripts/distribution.sh [DIRECTORY]      the build folder; default: build/packages; cargo's files are kept there between runs
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

need git gcc make cmake pkg-config xz=xz-utils file dpkg-shlibdeps=dpkg-dev lintian readelf=binutils \
  /usr/bin/python3=python3 /usr/share/doc/python3-venv=python3-venv

BUILD=$(realpath -m "${1:-$ROOT/build/packages}")
mkdir -p "$BUILD"
WORK=$(mktemp -d "$BUILD/run.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1)
SOURCE=$WORK/source/libpusher-$VERSION
CONAN_VERSION=2.34.0
# Other scripts use the same fault server, which becomes pusher-testserver. To build it again would take longer than all else here.
cd "$ROOT"
step "the fault server" fault_server
# All tests build the unpacked tarball, so its Rust code is compiled once. The builds of the working tree use another folder,
# because their crates come from elsewhere.
export CARGO_TARGET_DIR=$BUILD/cargo
SOURCE_DATE_EPOCH=$(git -C "$ROOT" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
unset CMAKE_PREFIX_PATH PKG_CONFIG_PATH LD_LIBRARY_PATH CMAKE_GENERATOR

# Builds with no network, and with a cargo that has never downloaded anything.
without_network() {
  CARGO_HOME=$WORK/cargo-home quiet offline "$@"
}

tarball() {
  quiet "$ROOT/packaging/tarball.sh" "$WORK/source"
  tar -C "$WORK/source" -xf "$SOURCE.tar.xz"
  [ ! -e "$SOURCE/target" ] && [ ! -e "$SOURCE/build" ] && [ ! -e "$SOURCE/.git" ] || fail "the tarball contains build results"
  grep -q '"bomFormat": "CycloneDX"' "$SOURCE/libpusher.cdx.json" || fail "the tarball has no bill of materials"
  say "$(stat -c %s "$SOURCE.tar.xz") bytes"
  # A second tarball of the same files in another folder is made in the background.
  mkdir "$WORK/tree"
  cp -r "$SOURCE/." "$WORK/tree"
  rm -rf "$WORK/tree"/{vendor,.cargo}
  (
    cd "$WORK/tree"
    git init --quiet
    git add --all --force
    git -c user.name=test -c user.email=test@localhost -c commit.gpgsign=false commit --quiet --message tree
    nice packaging/tarball.sh "$WORK/again"
  ) >"$WORK/again.log" 2>&1 &
  AGAIN=$!
}

tarball_again() {
  wait "$AGAIN" || { cat "$WORK/again.log" >&2; fail "cannot make the second tarball"; }
  cmp "$SOURCE.tar.xz" "$WORK/again/libpusher-$VERSION.tar.xz" || fail "a second tarball of the same files differs"
}

# The recipes of distributions name this tarball. Their shells can read them.
recipes() {
  quiet "$ROOT/packaging/recipes.sh" "$SOURCE.tar.xz" "$WORK/recipes"
  grep -qF "$(sha256sum <"$SOURCE.tar.xz" | cut -d ' ' -f 1)" "$WORK/recipes/arch/PKGBUILD" || fail "PKGBUILD has another checksum"
  grep -qF "$(sha512sum <"$SOURCE.tar.xz" | cut -d ' ' -f 1)" "$WORK/recipes/alpine/APKBUILD" || fail "APKBUILD has another checksum"
  grep -q "^Version: *$VERSION\$" "$WORK/recipes/rpm/libpusher.spec" || fail "libpusher.spec has another version"
  quiet bash -n "$WORK/recipes/arch/PKGBUILD"
  quiet sh -n "$WORK/recipes/alpine/APKBUILD"
}

build() {
  without_network cmake -S "$SOURCE" -B "$WORK/build" -DCMAKE_INSTALL_PREFIX=/usr -DPUSHER_CARGO_FLAGS=--frozen -DPUSHER_BUILD_TOOLS=ON \
    -DPUSHER_FAULT_SERVER="$FAULT_SERVER"
  without_network cmake --build "$WORK/build"
  [ -z "$(ls "$WORK/cargo-home/registry" 2>/dev/null)" ] || fail "cargo used the network"
}

install() {
  quiet cmake --install "$WORK/build" --prefix "$WORK/prefix"
  publish_from "$WORK/prefix" "$SOURCE/tests/packages"
}

debian_packages() {
  local arch package packages=()
  arch=$(dpkg --print-architecture)
  (cd "$WORK/build" && without_network cpack -G DEB)
  mkdir "$WORK/deb"
  mv "$WORK/build"/*.deb "$WORK/deb/"
  for package in libpusher-dev libpusher-doc libpusher-tools libpusher0; do
    packages+=("${package}_$VERSION-1_$([ $package = libpusher-doc ] && echo all || echo "$arch").deb")
  done
  [ "$(cd "$WORK/deb" && echo *)" = "${packages[*]}" ] || fail "the packages are not ${packages[*]}: $(ls "$WORK/deb")"
}

# field PACKAGE FIELD VALUE
field() {
  local value
  value=$(dpkg-deb -f "$WORK/deb/$1"_*.deb "$2")
  [[ $value =~ ^$3$ ]] || fail "$1 has $2: '$value', not $3"
}

debian_control() {
  local package materials
  field libpusher0 Section libs
  field libpusher-tools Section devel
  field libpusher-tools Depends 'libc6 \(>= [0-9.]+\), libgcc-s1 \(>= [0-9.]+\)'
  field libpusher-tools Multi-Arch foreign
  field libpusher-tools Architecture "$(dpkg --print-architecture)"
  field libpusher-dev Section libdevel
  field libpusher0 Depends 'libc6 \(>= [0-9.]+\), libgcc-s1 \(>= [0-9.]+\)'
  field libpusher-dev Depends "libpusher0 \(= $VERSION-1\)"
  for package in libpusher0 libpusher-dev; do
    field $package Multi-Arch same
    field $package Architecture "$(dpkg --print-architecture)"
  done
  for package in libpusher0 libpusher-dev; do
    dpkg-deb --fsys-tarfile "$WORK/deb/$package"_*.deb | tar -xO "./usr/share/doc/$package/libpusher.cdx.json" |
      cmp - "$SOURCE/libpusher.cdx.json" || fail "$package has another bill of materials than the tarball, or none"
  done
  # Those of pusher-testserver, one of which the library does not have.
  materials=$(dpkg-deb --fsys-tarfile "$WORK"/deb/libpusher-tools_*.deb |
    tar -xO ./usr/share/doc/libpusher-tools/pusher-testserver.cdx.json ./usr/share/doc/libpusher-tools/copyright)
  for package in '"name": "rcgen"' 'vendor/rcgen-[0-9.]*/'; do
    grep -q "$package" <<<"$materials" || fail "libpusher-tools has no bill of materials or no licences of its own"
  done
  # No file names a folder in which it was built. The program of libpusher-tools was built before, without cmake/rustc.sh.
  for package in libpusher0 libpusher-dev; do
    if dpkg-deb --fsys-tarfile "$WORK/deb/$package"_*.deb | grep -aF -e "$BUILD/" -e "$HOME/.cargo/" >/dev/null; then
      fail "$package names a folder of this machine"
    fi
  done
  # The dependency of a package that is built with libpusher.
  [ "$(dpkg-deb -I "$WORK"/deb/libpusher0_*.deb shlibs)" = "libpusher 0 libpusher0 (>= $VERSION)" ] || fail "wrong shlibs"
  diff <(dpkg-deb -I "$WORK"/deb/libpusher0_*.deb symbols | sed -n 's/^ \(.*\)@Base /\1 /p') "$SOURCE/abi/since.txt" || fail "wrong symbols"
  dpkg-deb -I "$WORK"/deb/libpusher0_*.deb triggers | grep -x 'activate-noawait ldconfig' >/dev/null || fail "ldconfig is not triggered"
  # The changelog closes no bug report of Debian, because these packages are not part of Debian.
  quiet lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$WORK"/deb/*.deb
}

# Tests the packages on this system, through a file system that keeps changes in memory until the shell exits. The folder is outside
# the project, and no variable names the library.
debian_system() {
  # shellcheck disable=SC2016
  quiet unshare --mount bash -euo pipefail -c '
    mount -t tmpfs -o size=1g tmpfs "$1"
    mkdir "$1"/{upper,work,merged}
    mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/merged"
    mount -t tmpfs tmpfs "$1/merged/tmp"
    for dir in proc dev sys; do mount --rbind "/$dir" "$1/merged/$dir"; done
    cp -r "$2"/. "$1/merged/tmp/"
    # Hide the project itself.
    mkdir -p "$1/merged$3"
    mount -t tmpfs tmpfs "$1/merged$3"
    exec chroot "$1/merged" bash -euo pipefail -x /tmp/system.sh
  ' _ "$WORK/system" "$WORK/stage" "$ROOT"
}

debian_use() {
  mkdir "$WORK/system" "$WORK/stage"
  cp "$WORK"/deb/*.deb "$SOURCE"/tests/packages/* "$WORK/stage/"
  if unshare --mount true 2>/dev/null; then
    debian_system
  elif [ "$(id -u)" = 0 ] && ! dpkg-query -W libpusher0 libpusher-dev libpusher-tools >/dev/null 2>&1; then
    # A container may not mount. There the packages are really installed, and removed at the end.
    say 'no mount namespaces here: the packages are installed on this system for the test'
    trap 'dpkg --purge libpusher-dev libpusher-tools libpusher0 >/dev/null 2>&1; rm -rf "$WORK"' EXIT
    (cd "$WORK/stage" && quiet bash -euo pipefail -x ./system.sh)
  else
    fail "installing Debian packages needs root"
  fi
  ! dpkg-query -W libpusher0 >/dev/null 2>&1 || fail "libpusher0 was left installed"
}

conan() {
  CONAN_HOME=$WORK/conan "$BUILD/venv/bin/conan" "$@"
}

conan_get() {
  "$BUILD/venv/bin/conan" --version 2>/dev/null | grep -F "$CONAN_VERSION" >/dev/null || {
    rm -rf "$BUILD/venv"
    quiet /usr/bin/python3 -m venv "$BUILD/venv"
    quiet "$BUILD/venv/bin/pip" install --quiet "conan==$CONAN_VERSION"
  }
  quiet conan profile detect
}

# conan_create True|False: creates the shared or the static package
conan_create() {
  CONAN_HOME=$WORK/conan without_network "$BUILD/venv/bin/conan" create "$SOURCE" --no-remote -o "libpusher/*:shared=$1"
  grep -F "libpusher $VERSION: OK {}" "$WORK/quiet.log" || { cat "$WORK/quiet.log" >&2; fail "Conan's test program published nothing"; }
}

step "source tarball" tarball
step "recipes of distributions" recipes
step "build the tarball without a network" build
step "install it, and publish" install
step "a second tarball is identical" tarball_again
step "Debian packages" debian_packages
step "their control information, and lintian" debian_control
step "install, use and remove them" debian_use
step "get Conan $CONAN_VERSION" conan_get
step "conan create, shared" conan_create True
step "conan create, static" conan_create False
