#!/bin/bash
# `make demo`: shows an event that a C program sends and a subscriber receives.
#
#   scripts/demo.sh             all of it
#   scripts/demo.sh --listen    `make listen`: only the server and the subscriber, which prints each event until Ctrl-C
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
OUT=build/demo
RECEIVED=$OUT/received
FETCH="get $SERVER and pusher-js (up to a minute the first time)"

build() {
  need cmake make cc=gcc
  # Without link-time optimisation, which would take another minute, and without the static library.
  cmake -S . -B $OUT -DPUSHER_CARGO_PROFILE=no-lto -DPUSHER_CARGO_TARGET_DIR="$PWD/build/cargo" -DPUSHER_BUILD_STATIC=OFF
  cmake --build $OUT --target trigger
}

servers() { tools/servers/get-pusher-js.sh && "tools/servers/get-$SERVER.sh"; }

# The receiver runs until this script ends. Its first line has the URL of the server, and the next two are the event.
listen() { exec node tools/servers/listen.mjs "$SERVER" "$CHANNEL"; }
subscriber() { listen >$RECEIVED; }
recorder() { exec python3 tools/servers/recorder.py --seconds 60 >$RECEIVED; }

# received NUMBER: waits until the receiver has printed so many lines.
received() {
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    if [ "$(wc -l <$RECEIVED)" -ge "$1" ]; then return; fi
    kill -0 "${BACKGROUND[$RECEIVER]}" 2>/dev/null || break
    sleep 0.05
  done
  cat $RECEIVED "$LOGS/$RECEIVER.log"
  fail "Nothing more arrived."
}

trigger() { $OUT/trigger "$CHANNEL" "$EVENT" "$DATA" | tee $OUT/result; }

rule() { printf '%s%s%s\n' "$GREEN" '────────────────────────────────────────────────────────────────────────' "$PLAIN"; }

# show WHAT: prints the path of the event in a frame, and what can be done next.
show() {
  printf '\n'
  rule
  printf '   %s%s%s\n\n' "$BOLD" "$1" "$PLAIN"
  printf "   sent       trigger %s %s '%s'\n" "$CHANNEL" "$EVENT" "$DATA"
  printf '   response   %s\n' "$(cat $OUT/result)"
  [ ! -s $RECEIVED ] || sed -n '2s/^/   received   /p; 3s/^/              /p' $RECEIVED
  rule
  cat <<'NEXT'

Next, the same with your application:
   PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID make demo
To write a program (README.md, "One program"), install the library,
   cmake -S . -B build/release && cmake --build build/release && sudo cmake --install build/release && sudo ldconfig
and let a subscriber print what it sends:
   make listen
NEXT
}

in_lines $OUT/logs
: >$RECEIVED
if [ "${1:-}" = --listen ]; then
  step "$FETCH" servers
  say "events on $CHANNEL are printed here, until Ctrl-C; this line is for the terminal of your program"
  listen
fi

if [ ! -e $OUT/trigger ]; then say "about 3 minutes the first time, most of it for the build; the output of the steps is in $OUT/logs"; fi
step 'build the library and a program in C' build

if [ -n "${PUSHER_URL:-}" ]; then
  step 'send an event to your application' trigger
  show 'a program in C  →  your application'
  exit
fi

# In a subshell, so that a failure is printed but does not end the demonstration.
if (step "get $SERVER and pusher-js (up to a minute the first time)" servers); then
  RECEIVER=subscriber
  background subscriber
  step "start $SERVER, and subscribe to $CHANNEL with pusher-js" received 1
  what="a program in C  →  $SERVER  →  pusher-js, the library for browsers"
elif command -v python3 >/dev/null; then
  RECEIVER=recorder
  background recorder
  step "start a recorder in Python instead of a server and a subscriber" received 1
  what='a program in C  →  a recorder, which has verified the signature'
else
  fail "The library and the program are built. To see an event arrive, install nodejs and npm or python3, or set PUSHER_URL."
fi
PUSHER_URL=$(sed -n '1s/^export PUSHER_URL=//p' $RECEIVED)
export PUSHER_URL
step 'send an event with the program in C' trigger
step 'receive it' received 3
show "$what"
