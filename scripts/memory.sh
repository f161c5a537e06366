#!/usr/bin/env bash
# Checks the resident memory of the library: of a client before its first call, of a kept-alive connection, of many cancelled
# handles, and of a publisher that has sent many events or cannot send. Cancelled handles leave no thread and no descriptor,
# either.
#
#   scripts/memory.sh                          builds the library
#   PUSHER_LIB_DIR=folder scripts/memory.sh    uses libpusher.so from there
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

CLIENT_KIB=64
CONNECTION_KIB=48
# The permitted growth of a publisher over any number of events: the C library keeps pages of a full queue, how many depends on how the
# threads take turns. A byte lost by each of ten million events would be found.
PUBLISHER_KIB=8192
# The permitted growth over 100,000 cancellations. Threads, their stacks and the C library's arenas move it by some pages. The
# least block of malloc has 32 bytes, so one block left by each handle takes 3,125 KiB.
CANCELLATIONS_KIB=512
# In addition to the queue: threads, connections, and waiting reports.
DEAD_KIB=2048

out=build/memory
mkdir -p "$out"
need cc=gcc

build() {
  library "$out/libpusher.so.0"
  local flags=(-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -pthread -Ibenches -Iinclude)
  cc "${flags[@]}" -o "$out/sink" benches/sink.c
  cc "${flags[@]}" -o "$out/memory" tests/c/memory.c benches/{crowd,server}.c "$out/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
}

# check WHAT BYTES LIMIT_KIB
check() {
  local verdict=ok
  if [ "$2" -gt $(($3 * 1024)) ]; then verdict="TOO MUCH" exceeded=yes; fi
  awk -v what="$1" -v bytes="$2" -v limit="$3" -v verdict="$verdict" \
    'BEGIN { printf "%-60s %6.1f KiB, at most %d: %s\n", what, bytes / 1024, limit, verdict }'
}

step "building" build

exceeded=
few=100 many=400
# Measures before it checks, so that a failure of the program ends the script.
bytes=$("$out/memory" clients 2000 http)
check "a client before its first call, http" "$bytes" $CLIENT_KIB
bytes=$("$out/memory" clients 2000 https)
check "a client before its first call, https" "$bytes" $CLIENT_KIB
for size in 100 10000; do
  of_few=$("$out/memory" connections $few $size)
  of_many=$("$out/memory" connections $many $size)
  check "an idle connection after $size bytes: all of $many, by $many" $((of_many / many)) $CONNECTION_KIB
  check "an idle connection after $size bytes: from $few to $many" $(((of_many - of_few) / (many - few))) $CONNECTION_KIB
done
bytes=$("$out/memory" cancellations 100000)
check "100,000 handles, made, cancelled in a call and freed" "$bytes" $CANCELLATIONS_KIB
for events in 20000 1000000; do
  bytes=$("$out/memory" publisher $events)
  check "a publisher in $((10 * events)) events, after $events" "$bytes" $PUBLISHER_KIB
done
for queue in 1048576 16777216; do
  bytes=$("$out/memory" dead 500000 $queue)
  check "a publisher with a full queue of $queue bytes, server dead" "$bytes" $((queue / 1024 + DEAD_KIB))
done
[ -z "$exceeded" ] || fail "The library takes more memory than it may."
