#!/usr/bin/env bash
# The library in unusual processes: loaded again and in several copies, shared and static, used at the end of threads and of the
# process, on stacks of 64 KiB, with few, many and no descriptors, under a filter of system calls, without /etc and /dev. As root,
# because of chroot().
#
#   scripts/torture/loading.sh                 the same with --long
#   PUSHER_LIBRARY=file FAULT_SERVER=file …    uses these; PUSHER_STATIC_LIBRARY=file, too
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cc=gcc /usr/include/cjson/cJSON.h=libcjson-dev
out=build/torture/loading
rm -rf "$out"
mkdir -p "$out"

build() {
  local flags=(-std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pthread -Iinclude) static=${PUSHER_STATIC_LIBRARY:-}
  library "$out/libpusher.so.0"
  fault_server
  cp "$out/libpusher.so.0" "$out/copy.so"
  cp "$out/libpusher.so.0" "$out/another.so"
  if [ -z "$static" ]; then
    cargo rustc --quiet --profile no-lto --locked --lib --crate-type staticlib
    static=${CARGO_TARGET_DIR:-target}/no-lto/libpusher.a
  fi
  torture_program "$out" loading -ldl
  cc "${flags[@]}" -o "$out/loading-static" tests/torture/loading.c "$static" -lcjson -lgcc_s -lm -ldl
}

# program FILE ARGUMENT…: as root, if need be in a namespace of its own.
program() {
  if [ "$(id -u)" = 0 ]; then timeout 200 "$@"; else timeout 200 unshare --user --map-root-user "$@"; fi
}

can_fail() {
  local code=0
  program "$out/loading" --planted 2>"$out/planted.log" || code=$?
  [ $code = 0 ] || fail "a planted fault is not found: $(cat "$out/planted.log")"
  [ "$(wc -l <"$out/planted.log")" -ge 2 ] || fail "a planted fault is not found: $(cat "$out/planted.log")"
}

cases() { program "$out/$1" "$PWD/$out/copy.so" "$PWD/$out/another.so" | tee "$out/$1.log"; }

step 'building' build
step 'planted faults are found' can_fail
step 'the shared library, with two copies of it' cases loading
step 'the static library, with two copies of the shared one' cases loading-static
printf 'figure: %s kinds of processes, each with the shared and the static library: every event as reported\n' \
  "$(sed -nE 's/^cases ([0-9]+),.*/\1/p' "$out/loading.log")"
