#!/bin/bash
# Puts pusher-js, the client library (MIT), into the cache, and prints the path of its folder.
. "$(dirname "$0")/../../scripts/lib.sh"
need node=nodejs >&2
npm_package pusher-js "$(cd "$(dirname "$0")/pusher-js" && pwd)"
