# shellcheck shell=bash disable=SC2046 # flags are words
# What the scripts of this folder share, which install packages, use them and remove them. They run in a folder with the programs, with -e.
#
#   refused COMMAND…    checks that the command fails. (-e ignores commands after an exclamation mark.)
#   publish             publishes an event by the shared library, one by the static one, and one to pusher-testserver
#   removed FILE…       checks that these files, which the packages had, are gone, and that only the static program works still

refused() {
  if "$@"; then
    echo "should have failed: $*" >&2
    exit 1
  fi
}

publish() {
  gcc -std=c99 -Wall -Wextra -Werror publish.c $(pkg-config --cflags --libs pusher) -o by-pkg-config
  readelf -d by-pkg-config | grep -F 'NEEDED' | grep -F '[libpusher.so.0]'
  ./by-pkg-config
  gcc -std=c99 publish.c $(pkg-config --cflags pusher) $(pkg-config --static --libs pusher | sed 's/-lpusher/-l:libpusher.a/') -o static
  refused grep -F libpusher <<<"$(readelf -d static)"
  ./static
  gcc -std=c99 by_url.c $(pkg-config --cflags --libs pusher) -o by-url
  pusher-testserver -- ./by-url
  refused ./by-url
}

removed() {
  local file
  [ $# -gt 10 ]
  for file in "$@"; do
    refused test -e "$file"
    refused test -L "$file"
  done
  refused ./by-pkg-config
  ./static
}
