#!/bin/bash
# Puts Rust 1.85 of Debian and the sources of its standard library into the cache, and prints the folder that has usr/. Nothing is
# installed.
#
#   get-rust-web.sh                  the compiler, with the standard library of this machine
#   get-rust-web.sh arm64 s390x      also the standard libraries of these architectures of Debian
#   get-rust-web.sh riscv64gc-unknown-linux-gnu   also the standard library of this target of Rust, which Debian does not have: compiles
#                                    it from its sources, once. This needs the target's C compiler only to link programs
#   get-rust-web.sh --packages arm64 libc6 libgcc-s1   prints the folder with these packages of an architecture instead, each in a folder of
#                                    its own, unpacked with its control information
#   get-rust-web.sh --source cjson   prints the folder with the original source of a package of Debian instead
#
# The stable compiler comes without those sources (rust-src), and without a standard library for other targets. Debian has both for
# 1.85, which is also the oldest version that builds libpusher.
. "$(dirname "$0")/../../scripts/lib.sh"
exec 3>&1 >&2 # only the folder goes to standard output

RUST=$CACHE/debian-rust-1.85
MINGW=$(cd "$(dirname "$0")/mingw" && pwd)
VERSION_OF_RUST='1\.85\.'

# foreign_apt ARCHITECTURE…: runs apt-get for an architecture, or for sources, that this system does not have, with its own lists.
foreign_apt() {
  local architecture=$1 private=$CACHE/foreign-apt
  shift
  mkdir -p "$private"/{lists/partial,archives/partial,sources}
  : >"$private/status"
  find "$private/sources" -type f -delete
  # The system's own sources, in both formats, and their source packages.
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$file" ] || sed -E 's/^Types:.*/Types: deb deb-src/' "$file" >"$private/sources/$(basename "$file")"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$file" ] || sed -nE 's/^deb /&/p; s/^deb /deb-src /p' "$file" >"$private/sources/$(basename "$file" .list).list"
  done
  apt-get -qq -o APT::Architecture="$architecture" -o APT::Architectures::="$architecture" -o Dir::State::lists="$private/lists" -o Dir::State::status="$private/status" \
    -o Dir::Cache::archives="$private/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$private/sources" -o APT::Sandbox::User=root "$@"
}

# download FOLDER ARCHITECTURE PACKAGE…
download() {
  local folder=$1 architecture=$2
  shift 2
  mkdir -p "$folder"
  (cd "$folder" && foreign_apt "$architecture" download "$@")
}

# unpack FOLDER ARCHITECTURE PACKAGE…: downloads the packages and unpacks them into the folder.
unpack() {
  local folder=$1 architecture=$2
  shift 2
  download "$folder/deb" "$architecture" "$@"
  for package in "$folder"/deb/*.deb; do dpkg-deb -x "$package" "$folder"; done
  rm -r "$folder/deb"
}

# The newest version of rust-web-src that is 1.85.
listed_version() { apt-cache madison rust-web-src | sed -nE "s/.*\\| +(${VERSION_OF_RUST}[^ ]+) .*/\\1/p" | head -n 1; }

rust_version() {
  local version
  version=$(listed_version)
  if [ -z "$version" ]; then
    # A new machine has no lists of packages.
    apt update
    version=$(listed_version)
  fi
  [ -n "$version" ] || fail "No rust-web-src 1.85 in Debian's archive"
  echo "$version"
}

compiler() (
  finished() { [ -e "$RUST/complete" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    local version package folder=$RUST.part
    version=$(rust_version)
    rm -rf "$folder"
    mkdir -p "$folder"
    (
      cd "$folder"
      for package in rustc-web cargo-web rust-web-src libstd-rust-web-1.85 libstd-rust-web-dev; do
        apt download "$package=$version"
      done
      for package in libpcre3 libgit2-1.5 libhttp-parser2.9 libmbedtls14 libmbedcrypto7 libmbedx509-1; do apt download "$package"; done
      for package in *.deb; do dpkg-deb -x "$package" .; done
      rm -f ./*.deb
      touch complete
    )
    rm -rf "$RUST"
    mv "$folder" "$RUST"
  }

  once "$RUST" "get Rust 1.85 of Debian, with its sources (once)"
)

standard_library() (
  architecture=$1
  mark=$RUST/std-$architecture

  finished() { [ -e "$mark" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    local part=$RUST.std-$architecture version
    version=$(rust_version)
    rm -rf "$part"
    # A list that the mirror lacks at this moment may not be needed.
    foreign_apt "$architecture" update || true
    # The shared one is not used, but a link to it must lead somewhere.
    unpack "$part" "$architecture" "libstd-rust-web-dev=$version" "libstd-rust-web-1.85=$version"
    cp -a "$part"/usr/lib/. "$RUST/usr/lib/"
    rm -rf "$part"
    touch "$mark"
  }

  once "$mark" "get the standard library of Rust 1.85 for $architecture (once)"
)

# Compiles the standard library of a target into the compiler's folder, where rustc looks for it. No folder of this machine is in it.
compiled_standard_library() (
  target=$1
  mark=$RUST/std-$target
  # An earlier version of this script made one with random names in it.
  [[ $target != *-windows-gnu ]] || mark+=-2

  finished() { [ -e "$mark" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    local part=$RUST.std-$target folder=$RUST/usr/lib/rustlib/$target/lib name
    rm -rf "$part"
    mkdir -p "$part/src" "$part/lib"
    export LD_LIBRARY_PATH=$RUST/lib/x86_64-linux-gnu:$RUST/usr/lib/x86_64-linux-gnu RUSTC_BOOTSTRAP=1 RUSTC=$RUST/usr/bin/rustc
    if [[ $target = *-windows-gnu ]]; then
      PATH=$MINGW:$PATH
      # rustc links them into each program for MinGW.
      for name in rsbegin rsend; do
        "$RUSTC" --target "$target" --emit=obj -o "$part/lib/$name.o" "$RUST/usr/lib/rustlib/src/rust/library/rtstartup/$name.rs"
      done
    fi
    : >"$part/src/lib.rs"
    printf '[package]\nname = "none"\nversion = "0.0.0"\nedition = "2024"\n[profile.release]\ncodegen-units = 1\n' >"$part/Cargo.toml"
    # Configuration and flags for other code must not reach it.
    unset RUSTUP_TOOLCHAIN RUSTC_WRAPPER CARGO_BUILD_TARGET CARGO_ENCODED_RUSTFLAGS
    (
      cd "$part"
      RUSTFLAGS="--remap-path-prefix=$RUST/usr/lib/rustlib/src/rust=/rust --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
        CARGO_TARGET_DIR=$part/target "$RUST/usr/bin/cargo" build --quiet --release --target "$target" -Zbuild-std=std,panic_unwind,test
    )
    cp "$part/target/$target"/release/deps/lib*.rlib "$part/lib/"
    rm "$part"/lib/libnone-*.rlib
    rm -rf "$folder"
    mkdir -p "$(dirname "$folder")"
    mv "$part/lib" "$folder"
    rm -rf "$part"
    touch "$mark"
  }

  once "$mark" "compile the standard library of Rust 1.85 for $target (once)"
)

source_package() (
  package=$1
  folder=$CACHE/debian-source-$package

  finished() { [ -e "$folder/complete" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    rm -rf "$folder.part"
    mkdir -p "$folder.part"
    (
      cd "$folder.part"
      foreign_apt "$(dpkg --print-architecture)" update || true
      foreign_apt "$(dpkg --print-architecture)" source --download-only "$package"
      tar --strip-components=1 -xf ./*.orig.tar.*
      touch complete
    )
    rm -rf "$folder"
    mv "$folder.part" "$folder"
  }

  once "$folder" "get the source of $package (once)"
)

foreign_packages() (
  architecture=$1
  shift
  # shellcheck disable=SC2030 # each function has its own
  folder=$CACHE/debian-12/$architecture+$(IFS=+ && echo "$*")

  finished() { [ -e "$folder/complete" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    local package
    rm -rf "$folder.part"
    foreign_apt "$architecture" update || true
    download "$folder.part/deb" "$architecture" "${packages[@]}"
    for package in "$folder.part"/deb/*.deb; do dpkg-deb -R "$package" "$folder.part/$(dpkg-deb -f "$package" Package)"; done
    rm -r "$folder.part/deb"
    touch "$folder.part/complete"
    rm -rf "$folder"
    mv "$folder.part" "$folder"
  }

  packages=("$@")
  once "$folder" "get $* for $architecture (once)"
  echo "$folder" >&3
)

if [ "${1:-}" = --packages ]; then
  shift
  foreign_packages "$@"
  exit
fi
if [ "${1:-}" = --source ]; then
  source_package "$2"
  echo "$CACHE/debian-source-$2" >&3
  exit
fi
compiler
for architecture in "$@"; do
  if [[ $architecture = *-* ]]; then compiled_standard_library "$architecture"; else standard_library "$architecture"; fi
done
echo "$RUST" >&3
