#!/usr/bin/env bash
# Writes the Debian packages for amd64 and arm64, and tests them: on a bare Debian, and by qemu-user. They are built from the source
# tarball, without a network, by Rust 1.85 of Debian on both architectures. The machine is Debian 12 on x86-64.
#
#   DIST_PROFILE=no-lto      another profile of cargo for the shared library: quicker, to test these scripts and not for a release
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
. packaging/dist/root.sh

need cmake make file readelf=binutils dpkg-shlibdeps=dpkg-dev lintian /usr/lib/python3/dist-packages/debian/copyright.py=python3-debian \
  pkg-config
SOURCE=$WORK/source
PACKAGES=(libpusher0 libpusher-dev libpusher-tools)
ARCHITECTURES=(amd64 arm64)
declare -A TARGET_OF=([amd64]=x86_64-unknown-linux-gnu [arm64]=aarch64-unknown-linux-gnu)
ARM64=$(tools/rust/get-rust-web.sh --packages arm64 libc6 libgcc-s1)

# deb PACKAGE ARCHITECTURE: prints the path of a package.
deb() { echo "$WORK/deb/$1_$VERSION-1_$2.deb"; }

build() (
  arch=$1 options=()
  target "${TARGET_OF[$arch]}"
  # Sources must not find out that this compiler could do more than a stable one.
  unset RUSTC_BOOTSTRAP
  if [ "$arch" = arm64 ]; then
    toolchain_file "$WORK/$arch.cmake"
    options=(-DCMAKE_TOOLCHAIN_FILE="$WORK/$arch.cmake" -DCMAKE_INSTALL_LIBDIR=lib/aarch64-linux-gnu
      -DPUSHER_DEBIAN_LIBRARIES="$ARM64/libc6;$ARM64/libgcc-s1")
  fi
  # A cargo that has never downloaded anything.
  export CARGO_HOME=$WORK/cargo-home
  quiet offline cmake -S "$SOURCE" -B "$WORK/$arch" -DCMAKE_INSTALL_PREFIX=/usr -DPUSHER_CARGO="$CARGO" -DPUSHER_CARGO_FLAGS=--frozen \
    -DPUSHER_BUILD_TOOLS=ON -DPUSHER_BUILD_EXAMPLES=OFF -DPUSHER_DEBUG_INFO=ON -DPUSHER_CARGO_PROFILE="${DIST_PROFILE:-release}" \
    "${options[@]}"
  quiet offline cmake --build "$WORK/$arch"
  quiet offline env -C "$WORK/$arch" cpack -G DEB
  mkdir -p "$WORK/deb"
  # The documents are the same for all architectures.
  if [ -e "$(deb libpusher-doc all)" ]; then
    cmp "$(deb libpusher-doc all)" "$WORK/$arch/libpusher-doc_$VERSION-1_all.deb" || fail "libpusher-doc built for $arch differs"
  fi
  mv "$WORK/$arch"/*.deb "$WORK/deb/"
)

# --- what is in them ---

# lintian's hints (I) that are left, and why:
#   hardening-no-fortify-functions   ring's C code calls no function that has a fortified form, and Rust code calls none of C's
#   spelling-error-in-binary         a message of a crate has such a word
#   possible-documentation-but-no-doc-base-registration   the only page of HTML is that of an example, the chat
ACCEPTED=(hardening-no-fortify-functions spelling-error-in-binary possible-documentation-but-no-doc-base-registration)

check_lintian() {
  local tags
  # The changelog closes no bug report of Debian, because these packages are not part of Debian.
  lintian --allow-root --display-info --fail-on none --suppress-tags "initial-upload-closes-no-bugs,$(IFS=, && echo "${ACCEPTED[*]}")" \
    "$WORK"/deb/*.deb >"$WORK/lintian.log" 2>&1 || { cat "$WORK/lintian.log" >&2; fail 'lintian failed'; }
  tags=$(grep -v '^N:' "$WORK/lintian.log" || true)
  [ -z "$tags" ] || fail "lintian reports:
$tags"
}

check_copyright() {
  local package
  for package in "${PACKAGES[@]}" libpusher-doc; do
    dpkg-deb --fsys-tarfile "$(deb "$package" "$([ "$package" = libpusher-doc ] && echo all || echo amd64)")" |
      tar -xO "./usr/share/doc/$package/copyright" | /usr/bin/python3 -c '
import sys
from debian.copyright import Copyright

parsed = Copyright(sys.stdin.buffer.read().decode().splitlines(True), strict=True)
stanzas = list(parsed.all_files_paragraphs())
assert len(stanzas) > 20 and all(stanza.copyright and stanza.license.text for stanza in stanzas), len(stanzas)
assert parsed.find_files_paragraph("src/lib.rs").license.synopsis == "Expat or Apache-2.0"
' || fail "the copyright file of $package is not in the form of DEP-5"
  done
}

# prefix ARCHITECTURE: prints the beginning of the names of its tools.
prefix() (target "${TARGET_OF[$1]}" >&2 && echo "$PREFIX")

# No file names a folder in which it was built.
check_folders() {
  local arch file debug unpacked=$WORK/unpacked
  for arch in "${ARCHITECTURES[@]}"; do
    for file in "$WORK"/deb/*_{"$arch",all}.deb; do
      rm -rf "$unpacked"
      dpkg-deb -R "$file" "$unpacked"
      # Compressed sections hide it.
      for debug in "$unpacked"/usr/lib/debug/.build-id/*/*.debug; do
        [ ! -e "$debug" ] || "$(prefix "$arch")-objcopy" --decompress-debug-sections "$debug"
      done
      ! grep -rlaF -e "$ROOT/" -e "$OUT/" -e "$HOME/" "$unpacked" || fail "$(basename "$file") names a folder of this machine"
    done
  done
}

# debug_info ARCHITECTURE: from an address in the stripped file, the debug information finds the line.
debug_info() {
  local arch=$1 library address id line
  dpkg-deb -x "$(deb libpusher0 "$arch")" "$WORK/$arch-root"
  dpkg-deb -x "$(deb libpusher0-dbgsym "$arch")" "$WORK/$arch-root"
  library=$(echo "$WORK/$arch-root/usr/lib"/*/libpusher.so.*.*.*)
  address=$(nm -D "$library" | sed -n 's/ T pusher_trigger$//p')
  id=$(readelf -nW "$library" | sed -n 's/.*Build ID: //p')
  line=$("$(prefix "$arch")-addr2line" -e "$WORK/$arch-root/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" "0x$address")
  [[ $line =~ ^/libpusher/src/.*\.rs:[0-9]+ ]] || fail "no debug information for pusher_trigger of $arch: $line"
}

# --- their use ---

# With a compiler, the program is built; without, it runs.
use_amd64() {
  local stage=$WORK/stage
  mkdir "$stage"
  cp "$WORK"/deb/*_{amd64,all}.deb "$SOURCE/tests/packages/publish.c" "$stage/"
  in_root "$(debian_root gcc libc6-dev pkg-config)" "$stage" sh -exc '
    apt-get install -y --no-install-recommends ./libpusher0_*.deb ./libpusher-dev_*.deb
    gcc -std=c99 -Wall -Wextra -Werror publish.c $(pkg-config --cflags --libs pusher) -o publish
    gcc -std=c99 publish.c $(pkg-config --cflags pusher) $(pkg-config --static --libs pusher | sed "s/-lpusher/-l:libpusher.a/") -o static
    apt-get install -y ./libpusher-doc_*.deb
    gcc -std=c99 $(pkg-config --cflags pusher) /usr/share/doc/libpusher-doc/c_examples/trigger.c -o trigger -lpusher
  ' >"$WORK/use.log" 2>&1 || { cat "$WORK/use.log" >&2; fail 'the packages cannot be used on a bare Debian with gcc'; }
  in_root "$(debian_root)" "$stage" sh -exc '
    if ./publish; then exit 1; fi
    ./static
    apt-get install -y --no-install-recommends ./libpusher0_*.deb ./libpusher-tools_*.deb ./libpusher*-dbgsym_*.deb
    ./publish
    pusher-testserver -- ./trigger my-channel my-event "{}"
    dpkg --verify
    apt-get purge -y libpusher0 libpusher-tools
    if ./publish; then exit 1; fi
    [ -z "$(find / -xdev -name "*pusher*" -not -path "/stage/*" -not -path "/proc/*" -not -path "/var/log/*")" ]
  ' >"$WORK/use.log" 2>&1 || { cat "$WORK/use.log" >&2; fail 'the packages cannot be used on a bare Debian'; }
  grep -h '^libpusher ' "$WORK/use.log" | sort | uniq -c
}

# Not installed: a program of arm64 would have to run as dpkg's scripts. Their C library is that of the other packages.
use_arm64() (
  root=$WORK/arm64-root
  target "${TARGET_OF[arm64]}"
  for package in libpusher-dev libpusher-tools; do dpkg-deb -x "$(deb $package arm64)" "$root"; done
  for package in libc6 libgcc-s1; do cp -a "$ARM64/$package/." "$root/"; done
  export PKG_CONFIG_LIBDIR=$root/usr/lib/aarch64-linux-gnu/pkgconfig
  cd "$WORK"
  # shellcheck disable=SC2046 # words
  quiet "$PREFIX-gcc" -std=c99 "$SOURCE/tests/packages/publish.c" $(pkg-config --cflags --libs pusher) -o arm64-publish
  # shellcheck disable=SC2046 # words
  quiet "$PREFIX-gcc" -std=c99 "$SOURCE/c_examples/trigger.c" $(pkg-config --cflags --libs pusher) -o arm64-trigger
  qemu-aarch64 -L "$root" arm64-publish
  export QEMU_LD_PREFIX=$root
  quiet qemu-aarch64 "$root/usr/bin/pusher-testserver" -- qemu-aarch64 ./arm64-trigger my-channel my-event '{}'
)

unpacked "$SOURCE"
for arch in "${ARCHITECTURES[@]}"; do step "build for $arch" build "$arch"; done
step 'lintian' check_lintian
step 'copyright, for programs' check_copyright
step 'no folder of this machine' check_folders
for arch in "${ARCHITECTURES[@]}"; do step "debug information of $arch" debug_info "$arch"; done
step 'install and use them on a bare Debian' use_amd64
step 'use those of arm64 by qemu' use_arm64
release_file "$WORK"/deb/*.deb
