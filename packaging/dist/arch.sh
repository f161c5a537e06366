#!/usr/bin/env bash
# Builds the package of Arch Linux from the source tarball, by makepkg of Debian without a network, and uses it in a bare system.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
. packaging/dist/root.sh

need makepkg pacman=pacman-package-manager fakeroot bsdtar=libarchive-tools zstd shellcheck cmake gcc unshare=util-linux
tarball
native_rust
STAGE=$WORK/stage
PACKAGE=libpusher-$VERSION-1-$(uname -m).pkg.tar.zst

# Arch's own settings, as far as they reach the package.
configuration() {
  cat <<CONF
CARCH=$(uname -m)
CHOST=$(uname -m)-pc-linux-gnu
CFLAGS='-march=x86-64 -mtune=generic -O2 -pipe -fno-plt'
BUILDENV=(!distcc !color !ccache check !sign)
OPTIONS=(strip docs !libtool staticlibs emptydirs zipman purge !debug !lto)
INTEGRITY_CHECK=(sha256)
STRIP_BINARIES=--strip-all
STRIP_SHARED=--strip-unneeded
STRIP_STATIC=--strip-debug
MAN_DIRS=(usr/share/man)
DOC_DIRS=(usr/share/doc)
PURGE_TARGETS=()
COMPRESSZST=(zstd -c -T1 -19 -q -)
PKGEXT=.pkg.tar.zst
SRCEXT=.src.tar.gz
PACKAGER='The libpusher developers <nobody@libpusher.invalid>'
CONF
}

# makepkg refuses root, and the package names the folder that it was built in: it runs as another user of a namespace.
build() {
  local user=()
  quiet "$CHECKOUT/packaging/recipes.sh" "$TARBALL" "$WORK/recipes"
  mkdir -p "$STAGE"
  cp "$WORK/recipes/arch/PKGBUILD" "$TARBALL" "$STAGE/"
  configuration >"$STAGE/makepkg.conf"
  fixed "$STAGE"
  [ "$(id -u)" != 0 ] || user=(unshare --user --map-user=1000 --map-group=1000)
  # The database of pacman, which would say what is installed, is empty.
  CARGO_HOME=$WORK/cargo-home quiet offline "${FIXED[@]}" "${user[@]}" makepkg --nodeps --config makepkg.conf
  grep -q "^libpusher $VERSION: OK {}" "$WORK/quiet.log" || fail 'check() published nothing'
}

# What the package says of itself: the licences of all crates, with their texts, and nothing of this machine.
content() {
  local folder=$WORK/content info licences expected text
  mkdir "$folder"
  tar -C "$folder" -xf "$STAGE/$PACKAGE"
  info=$(cat "$folder/.PKGINFO")
  licences=$(sed -n 's/^license = //p' <<<"$info")
  expected=$("$CHECKOUT/packaging/license.py" && "$CHECKOUT/packaging/license.py" --program)
  [ "$licences" = "$expected" ] || fail "the package has the licences: $licences"
  text=$folder/usr/share/licenses/libpusher
  "$CHECKOUT/packaging/copyright.py" --full | cmp - "$text/copyright" || fail 'the licences are not complete'
  "$CHECKOUT/packaging/copyright.py" --full --program | cmp - "$text/copyright-of-pusher-testserver" || fail 'the licences are not complete'
  grep -q '^provides = libpusher.so=0-64$' <<<"$info" || fail "the package does not provide the library: $info"
  grep -qx "builddate = $SOURCE_DATE_EPOCH" <<<"$info" || fail "the package was built at another time: $info"
  if grep -rlF -e "$OUT/" -e "$HOME/" "$folder"; then fail 'these files name a folder of this machine'; fi
}

# Debian has no namcap.
lint() { shellcheck --shell=bash --exclude=SC2034,SC2154,SC2164 "$WORK/recipes/arch/PKGBUILD"; }

use() {
  use_packages "$(debian_root gcc libc6-dev pkg-config pacman-package-manager)" arch.sh "$STAGE/$PACKAGE"
}

step 'makepkg, with check()' build
step 'licences, and what the package says of the build' content
step 'shellcheck of PKGBUILD' lint
step 'install, use and remove it by pacman in a bare system' use
release_file "$STAGE/$PACKAGE"
