#!/bin/bash
# Puts pusher-js, the client library (MIT), into the cache, and prints the path of its folder.
. "$(dirname "$0")/../lib.sh"
exec 3>&1 >&2 # only the path goes to standard output

VERSION=8.6.0
FROM=$(cd "$(dirname "$0")/pusher-js" && pwd)
HERE=$CACHE/pusher-js-$VERSION
FOLDER=$HERE/node_modules/pusher-js

finished() { [ -d "$FOLDER" ]; }

install() {
  finished && return # another run was quicker
  need npm
  rm -rf "$HERE.part"
  mkdir "$HERE.part"
  cp "$FROM/package.json" "$FROM/package-lock.json" "$HERE.part"
  npm install --prefix "$HERE.part" --ignore-scripts --no-audit --no-fund --loglevel=error
  # Only what is whole gets its final name.
  rm -rf "$HERE"
  mv "$HERE.part" "$HERE"
}

# shellcheck disable=SC2046 # nothing, or one word
need node=nodejs $(finished || echo npm)
if ! finished; then
  mkdir -p "$CACHE"
  exec 9>"$HERE.lock"
  flock 9
  step "install pusher-js $VERSION (once)" install
fi
echo "$FOLDER" >&3
