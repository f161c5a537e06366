#!/bin/sh
# Runs the functions of an APKBUILD as abuild does, in BusyBox's shell, with a stand-in for the one function that it calls. It cannot show
# what abuild or apk would refuse.
#
#   busybox sh apkbuild.sh APKBUILD SOURCE FOLDER
#
# SOURCE is the unpacked tarball. The files of the package are written to FOLDER/libpusher, and of that with the tools to FOLDER/tools.
set -eu
recipe=$1 srcdir=$2 folder=$3
pkgdir=$folder/libpusher subpkgdir=$folder/tools
export pkgdir subpkgdir

# Moves files of the package to the other one.
amove() {
	for file; do
		[ -e "$pkgdir/$file" ] || { echo "no such file: $file" >&2; exit 1; }
		mkdir -p "$subpkgdir/$(dirname "$file")"
		mv "$pkgdir/$file" "$subpkgdir/$file"
	done
}

# shellcheck source=/dev/null
. "$recipe"
cd "$srcdir"
build
check
mkdir -p "$pkgdir"
package
tools
