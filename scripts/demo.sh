#!/bin/bash
# `make demo`: shows an event that a C program sends and a subscriber receives.
#
#   PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID    triggers the event on that application, and shows the response
#   DEMO_CHANNEL, DEMO_EVENT, DEMO_DATA                        the event
#   DEMO_SERVER=soketi or sockudo                              the local server, if PUSHER_URL is not set
#
# Without Node.js, and without the permission to install it, a small recorder in Python replaces server and subscriber.
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

CHANNEL=${DEMO_CHANNEL:-my-channel}
EVENT=${DEMO_EVENT:-my-event}
DATA=${DEMO_DATA:-'{"message":"Hello from C 🎈"}'}
SERVER=${DEMO_SERVER:-$([ -x "$CACHE/sockudo-5.2.0-local+redis/bin/sockudo" ] && echo sockudo || echo soketi)}
export TRIGGER=$PWD/build/demo/trigger

build() {
  need cmake make cc=gcc
  # Without link-time optimisation, which would take another minute.
  cmake -S . -B build/demo -DPUSHER_CARGO_PROFILE=no-lto -DPUSHER_CARGO_TARGET_DIR="$PWD/build/cargo" >/dev/null
  cmake --build build/demo --target trigger
}

trigger() {
  local answer
  printf "   \$ trigger %s %s '%s'\n" "$CHANNEL" "$EVENT" "$DATA"
  answer=$("$TRIGGER" "$CHANNEL" "$EVENT" "$DATA")
  printf '   the result: %s\n' "$answer"
}

record() {
  local pid lines url line
  coproc RECORDER { exec python3 tools/servers/recorder.py --seconds 30; }
  pid=$RECORDER_PID
  # shellcheck disable=SC2064 # expand now: the variable may change
  trap "kill $pid 2>/dev/null || true" EXIT
  # bash closes its end of the pipe when the recorder exits, which is after the event.
  exec {lines}<&"${RECORDER[0]}"
  read -r url <&"$lines" || fail "the recorder did not start"
  PUSHER_URL=$url trigger
  say "what the recorder verified"
  while IFS= read -r line <&"$lines"; do printf '   %s\n' "$line"; done
  wait "$pid"
  trap - EXIT
}

step "build the library and the C example" build

if [ -n "${PUSHER_URL:-}" ]; then
  step "trigger the event on your application" trigger
elif tools/servers/get-pusher-js.sh >/dev/null && "tools/servers/get-$SERVER.sh" >/dev/null; then
  step "send an event from C to a subscriber" node tools/servers/demo.mjs "$SERVER" "$CHANNEL" "$EVENT" "$DATA"
elif command -v python3 >/dev/null; then
  say "no Channels server, for the reason above: a recorder in Python replaces it"
  step "trigger the event with the C program" record
else
  fail "The library and the example are built. To see an event arrive, install nodejs and npm or python3, or set PUSHER_URL."
fi
