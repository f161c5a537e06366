# What the parts of `make dist` share. Each part is a script in this folder, which writes files of a release. Source this file from it.
#
#   DIST                  the folder with the files of the release; default: build/dist
#   WORK                  the scratch folder of this part, empty
#   OUT                   a folder that is kept between runs, for scripts/targets.sh
#   VERSION               the library's version
#   SOURCE_DATE_EPOCH     the date of the commit: no file has a later one
#   CHECKOUT              a clone of the commit, without anything that was built
#   tarball               sets TARBALL, the path of the source tarball, which packaging/dist/source.sh wrote. It makes one if there is none
#                         of this commit, by the cargo of this machine: call it before native_rust
#   unpacked FOLDER       unpacks it into a folder, without its first folder
#   release_file FILE…    moves finished files to DIST, and says how large they are
#   fixed FOLDER          sets FIXED, the beginning of a command that runs in this folder under the name HERE, which is /mnt where that is
#                         allowed: some tools write it into their files
#   native_rust           uses Debian's Rust 1.85 for this machine, as the Debian packages do
# shellcheck disable=SC2034 # for the scripts that source this file
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$ROOT/scripts/lib.sh"
cd "$ROOT"
. scripts/targets.sh

need git xz=xz-utils python3
DIST=$(realpath -m "${DIST:-$ROOT/build/dist}")
PART=$(basename "$0" .sh)
OUT=$(realpath -m "${DIST_BUILD:-$ROOT/build/dist-build}")
WORK=$OUT/$PART
rm -rf "$WORK"
mkdir -p "$DIST" "$WORK"
VERSION=$(version)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# The user's settings must not reach the files.
unset CMAKE_PREFIX_PATH PKG_CONFIG_PATH LD_LIBRARY_PATH CMAKE_GENERATOR CARGO_TARGET_DIR RUSTFLAGS CFLAGS CXXFLAGS LDFLAGS
umask 022

CHECKOUT=$OUT/checkout
checkout() {
  local commit
  commit=$(git rev-parse HEAD)
  [ "$(git -C "$CHECKOUT" rev-parse HEAD 2>/dev/null)" = "$commit" ] || {
    rm -rf "$CHECKOUT"
    git clone --quiet "$ROOT" "$CHECKOUT"
    git -C "$CHECKOUT" checkout --quiet --detach "$commit"
  }
}
[ -z "$(git status --porcelain)" ] || say 'the working tree differs from the commit: the files of the release have the commit'
checkout

# The file that says of which commit the tarball is, and its checksum.
TARBALL_OF=$OUT/tarball-of
tarball() {
  TARBALL=$DIST/libpusher-$VERSION.tar.xz
  # One of an earlier commit may be there.
  [ "$(cat "$TARBALL_OF" 2>/dev/null)" = "$(git rev-parse HEAD) $(sha256sum "$TARBALL" 2>/dev/null)" ] ||
    "$ROOT/packaging/dist/source.sh"
}

unpacked() {
  [ -n "${TARBALL:-}" ] || tarball
  mkdir -p "$1"
  tar -C "$1" --strip-components=1 -xf "$TARBALL"
}

release_file() {
  local file
  for file in "$@"; do
    mv "$file" "$DIST/"
    printf '   %s: %s bytes\n' "$(basename "$file")" "$(stat -c %s "$DIST/$(basename "$file")")"
  done
}

# Each build has a folder of its own.
native_rust() {
  target x86_64-unknown-linux-gnu
  # Sources must not find out that this compiler could do more than a stable one.
  unset RUSTC_BOOTSTRAP CARGO_TARGET_DIR
}

fixed() {
  # shellcheck disable=SC2016 # the shell inside expands it
  FIXED=(unshare --map-root-user --mount sh -c 'mount --bind "$1" /mnt && cd /mnt && shift && exec "$@"' -- "$1") HERE=/mnt
  if ! "${FIXED[@]}" true 2>/dev/null; then
    say 'no mount namespaces here: files name the folder of this build'
    FIXED=(env -C "$1") HERE=$1
  fi
}
