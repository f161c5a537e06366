#!/usr/bin/env bash
# Writes the recipes of distributions for a release: packaging/rpm, arch and alpine with the version and the checksums of the
# source tarball.
#
#   packaging/recipes.sh TARBALL DIRECTORY
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
PACKAGING=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

[ $# = 2 ] || fail 'usage: packaging/recipes.sh TARBALL DIRECTORY'
TARBALL=$1 OUT=$2
[[ $(basename "$TARBALL") =~ ^libpusher-(.+)\.tar\.xz$ ]] || fail "not a source tarball of libpusher: $TARBALL"
VERSION=${BASH_REMATCH[1]}
SHA256=$(sha256sum "$TARBALL" | cut -d ' ' -f 1)
SHA512=$(sha512sum "$TARBALL" | cut -d ' ' -f 1)

for recipe in rpm/libpusher.spec arch/PKGBUILD alpine/APKBUILD; do
  mkdir -p "$OUT/$(dirname "$recipe")"
  sed -e "s/@VERSION@/$VERSION/g" -e "s/@SHA256@/$SHA256/g" -e "s/@SHA512@/$SHA512/g" "$PACKAGING/$recipe" >"$OUT/$recipe"
  ! grep -Hn '@[A-Z0-9]*@' "$OUT/$recipe" || fail "$recipe has a name that is not replaced"
done
