#!/usr/bin/env bash
# Writes the recipes of package managers for a release, with the version, the checksums and the date of the source tarball, and the
# licences of the crates. Their templates are in packaging: rpm, arch, alpine, vcpkg, homebrew and meson.
#
#   packaging/recipes.sh TARBALL DIRECTORY
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
PACKAGING=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

[ $# = 2 ] || fail 'usage: packaging/recipes.sh TARBALL DIRECTORY'
TARBALL=$1 OUT=$2
[[ $(basename "$TARBALL") =~ ^libpusher-(.+)\.tar\.xz$ ]] || fail "not a source tarball of libpusher: $TARBALL"
# shellcheck disable=SC2034 # the loop below reads them by their names
{
  VERSION=${BASH_REMATCH[1]}
  SHA256=$(sha256sum "$TARBALL" | cut -d ' ' -f 1)
  SHA512=$(sha512sum "$TARBALL" | cut -d ' ' -f 1)
  # All files in the tarball have the time of the commit.
  DATE=$(python3 -c 'import sys, tarfile; print(tarfile.open(sys.argv[1]).next().mtime)' "$TARBALL")
  DATE=$(LC_ALL=C date -u -d "@$DATE" '+%a %b %d %Y')
  RUST_VERSION=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$PACKAGING/../Cargo.toml")
  LICENSE=$("$PACKAGING/license.py")
  LICENSE_OF_PROGRAM=$("$PACKAGING/license.py" --program)
  LICENSE_FOR_HOMEBREW=$("$PACKAGING/license.py" --homebrew)
}
commands=()
for name in VERSION SHA256 SHA512 DATE RUST_VERSION LICENSE LICENSE_OF_PROGRAM LICENSE_FOR_HOMEBREW; do
  commands+=(-e "s|@$name@|${!name}|g")
done

cd "$PACKAGING"
find rpm arch alpine vcpkg homebrew meson -type f | while read -r template; do
  # A template whose name ends so has no valid syntax.
  recipe=${template%.in}
  mkdir -p "$OUT/$(dirname "$recipe")"
  sed "${commands[@]}" "$template" >"$OUT/$recipe"
  ! grep -Hn '@[A-Z0-9_]*@' "$OUT/$recipe" || fail "$recipe has a name that is not replaced"
done
