#!/usr/bin/env bash
# Builds the relays of c_examples/event_loops, and runs each with 10,000 events and faults in between: the reports agree with the
# ledger, an idle program makes no system call, and it ends cleanly. Then again under valgrind.
#
#   scripts/event-loops.sh                        builds the library and the fault server
#   PUSHER_LIBRARY=file FAULT_SERVER=file …       uses these
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cc=gcc g++ pkg-config python3 strace valgrind /usr/include/uv.h=libuv1-dev /usr/include/event2/event.h=libevent-dev \
  /usr/include/glib-2.0/glib-unix.h=libglib2.0-dev /usr/include/boost/asio.hpp=libboost-dev
out=$PWD/build/event-loops
rm -rf "$out"
mkdir -p "$out"
export PYTHONPATH=$PWD/tests/support PYTHONDONTWRITEBYTECODE=1

build() {
  as_installed "$out"
  fault_server
  compile epoll
  compile libuv libuv
  compile libevent libevent
  compile glib glib-2.0
  # shellcheck disable=SC2046 # flags
  g++ -std=c++20 -O1 -g -Wall -Wextra -Werror -pthread -o "$out/relay_asio" c_examples/event_loops/asio.cpp \
    $(PKG_CONFIG_PATH=$out pkg-config --cflags --libs pusher)
}

# compile LOOP [PACKAGE] [SOURCE]
compile() {
  # shellcheck disable=SC2046 # flags
  cc -std=c11 -O1 -g -Wall -Wextra -Werror -Ic_examples/event_loops -o "$out/relay_$1" "${3:-c_examples/event_loops/$1.c}" \
    c_examples/event_loops/relay.c $(PKG_CONFIG_PATH=$out pkg-config --cflags --libs pusher ${2:+"$2"})
}

relays() {
  timeout 600 python3 tests/event_loops/relays.py "$out"/relay_{epoll,libuv,libevent,glib,asio}
}

relays_in_valgrind() {
  WRAPPER='valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite' relays
}

# The test must notice a relay that looks for reports at intervals.
polling_is_found() {
  sed 's/epoll_wait(loop.epoll, &event, 1, -1) < 0/epoll_wait(loop.epoll, \&event, 1, 200) < 1/' c_examples/event_loops/epoll.c >"$out/polling.c"
  compile polling '' "$out/polling.c"
  if TRIES=1 timeout 600 python3 tests/event_loops/relays.py "$out/relay_polling" >"$out/said" 2>&1; then fail 'a relay that polls is not found'; fi
  grep -q 'is not idle.*epoll_wait' "$out/said" || fail "it said: $(cat "$out/said")"
}

step 'the relays' build
step '10,000 events each, with faults' relays
step 'the same in valgrind' relays_in_valgrind
step 'a relay that polls is found' polling_is_found
