#!/usr/bin/env bash
# Tests idempotency keys with a real server: events through calls, batches and a publisher, over a proxy that breaks half of the
# requests, to sockudo and a real subscriber; with keys and without. No event may be doubled, and no report false.
#
#   scripts/idempotency.sh                     2,400 events, twice
#   scripts/idempotency.sh --short             300 events, twice: a part of `make test`
#   scripts/idempotency.sh --seed 7            repeats the faults of an earlier run, which printed this seed
#   scripts/idempotency.sh --write             writes the table of docs/delivery.md
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

need node=nodejs cc=gcc cargo
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --short) arguments+=(--events 300) ;;
    --write) arguments+=(--write e2e/idempotency/table.md) ;;
    --events | --seed) arguments+=("$1" "$2") && shift ;;
    *) fail "scripts/idempotency.sh: unknown argument $1" ;;
  esac
  shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
  as_installed "$work"
  cc -std=c99 -pedantic -Wall -Wextra -Werror -Iinclude -o "$work/call" e2e/call.c "$work/libpusher.so.0" -Wl,-rpath,"$work"
}

step 'build the library and the program' build
step 'get sockudo and pusher-js' eval 'tools/servers/get-sockudo.sh >/dev/null; tools/servers/get-pusher-js.sh >/dev/null'
step 'idempotency keys' env PROGRAMS="$work" node e2e/idempotency/run.mjs "${arguments[@]}"
