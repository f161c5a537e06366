#!/bin/bash
# Puts Rust 1.85 of Debian and the sources of its standard library into the cache, and prints the folder that has usr/. Nothing is
# installed.
#
# The stable compiler comes without those sources (rust-src), and without a standard library for other targets. Debian has both for
# 1.85, which is also the oldest version that builds libpusher.
. "$(dirname "$0")/../../scripts/lib.sh"
exec 3>&1 >&2 # only the folder goes to standard output

HERE=$CACHE/debian-rust-1.85

finished() { [ -e "$HERE/complete" ]; }

install() {
  local version package folder=$HERE.part
  version=$(apt-cache madison rust-web-src | sed -nE 's/.*\| +(1\.85\.[^ ]+) .*/\1/p' | head -n 1)
  [ -n "$version" ] || fail "No rust-web-src 1.85 in Debian's archive"
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
  rm -rf "$HERE"
  mv "$folder" "$HERE"
}

once "$HERE" "get Rust 1.85 of Debian, with its sources (once)"
echo "$HERE" >&3
