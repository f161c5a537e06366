#!/usr/bin/env bash
# Builds the Ruby gem, and prints the path of its file.
#
#   packaging/gem.sh FOLDER                    the gem for all platforms, which uses an installed library
#   packaging/gem.sh FOLDER PLATFORM VENDOR    the gem for one platform, such as x86_64-linux, with the files of the folder VENDOR: the
#                                              library, pusher-testserver, and what else belongs to them
#
# The gem is written to FOLDER. The same sources, files and SOURCE_DATE_EPOCH give the same bytes.
. "$(dirname "$0")/../scripts/lib.sh"
exec 3>&1 >&2 # only the path goes to standard output

need ruby
folder=$(realpath "$1") platform=${2:-} vendor=${3:-}
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
cp -r "$here"/bindings/ruby/{libpusher.gemspec,lib,README.md,LICENSE-APACHE,LICENSE-MIT} "$work"
if [ -n "$platform" ]; then
  export PUSHER_GEM_PLATFORM=$platform
  mkdir "$work/vendor"
  cp -L "$vendor"/* "$work/vendor/"
fi
# A gem keeps the modes of its files.
chmod -R u=rwX,go=rX "$work"
cd "$work"
# Print the warnings of gem only if it fails.
gem build --norc --quiet libpusher.gemspec >log 2>&1 || fail "$(cat log)"
file=$(echo libpusher-*.gem)
mv "$file" "$folder/"
echo "$folder/$file" >&3
