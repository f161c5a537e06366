#!/bin/bash
# Puts playwright-core, which drives a browser (Apache-2.0), into the cache, and prints the path of its folder. It downloads no
# browser: Debian's is used.
. "$(dirname "$0")/../../lib.sh"
exec 3>&1 >&2 # only the path goes to standard output

VERSION=1.65.1
FROM=$(cd "$(dirname "$0")" && pwd)
HERE=$CACHE/playwright-core-$VERSION
FOLDER=$HERE/node_modules/playwright-core

finished() { [ -d "$FOLDER" ]; }

install() {
  finished && return # another run was quicker
  need npm
  rm -rf "$HERE.part"
  mkdir "$HERE.part"
  cp "$FROM/package.json" "$FROM/package-lock.json" "$HERE.part"
  npm ci --prefix "$HERE.part" --ignore-scripts --no-audit --no-fund --loglevel=error
  # Only what is whole gets its final name.
  rm -rf "$HERE"
  mv "$HERE.part" "$HERE"
}

if ! finished; then
  mkdir -p "$CACHE"
  exec 9>"$HERE.lock"
  flock 9
  step "install playwright-core $VERSION (once)" install
fi
echo "$FOLDER" >&3
