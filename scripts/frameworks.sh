#!/usr/bin/env bash
# Tests the applications of e2e/frameworks, each in a web framework, with soketi and a real subscriber.
#
#   scripts/frameworks.sh              all
#   scripts/frameworks.sh flask gin    these
#
# PUSHER_LIBRARY names a library that is already built.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need node=nodejs
export OUT=$PWD/build/frameworks
rm -rf "$OUT"
mkdir -p "$OUT"

servers() { tools/servers/get-soketi.sh >/dev/null && tools/servers/get-pusher-js.sh >/dev/null; }

# In a shell of its own, because each file defines the same functions.
prepared() (
  # shellcheck source=/dev/null # each is checked by itself
  . "e2e/frameworks/$1/app.sh"
  prepare
)

names=("$@")
if [ $# = 0 ]; then
  for file in e2e/frameworks/*/app.sh; do names+=("$(basename "$(dirname "$file")")"); done
fi

step 'the server and the subscriber' servers
step 'the library' as_installed "$OUT"
export PUSHER_LIBRARY=$OUT/libpusher.so.0
for name in "${names[@]}"; do step "prepare $name" prepared "$name"; done
step "${#names[@]} frameworks with a real server" env FRAMEWORKS="${names[*]}" node --test e2e/frameworks/frameworks.test.mjs
