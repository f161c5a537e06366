#!/usr/bin/env bash
# Tests every binding (C, C++, Go, Python, Ruby, PHP) on a real server, soketi, with a real subscriber, pusher-js.
#
#   PUSHER_LIBRARY=FILE   the shared library to use instead of building one
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

need node=nodejs gcc g++ pkg-config go=golang-go python3 ruby php=php-cli /usr/include/cjson/cJSON.h=libcjson-dev \
  /usr/include/nlohmann/json.hpp=nlohmann-json3-dev
ruby -e 'require "ffi"' 2>/dev/null || need ffi-for-ruby=ruby-ffi
python3 -c 'import ensurepip' 2>/dev/null || need ensurepip=python3-venv

root=$PWD
programs=$root/e2e/bindings
out=$root/build/bindings-real
rm -rf "$out"
mkdir -p "$out"

servers() { tools/servers/get-soketi.sh >/dev/null && tools/servers/get-pusher-js.sh >/dev/null; }

# Leaks and undefined behaviour show as an exit code and on standard error, where the test expects nothing.
SANITIZED=(-g -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all)

c() {
  local flags
  read -ra flags <<<"$(PKG_CONFIG_PATH=$out pkg-config --cflags --libs pusher)"
  gcc -std=c99 "${SANITIZED[@]}" -Wall -Wextra -Wpedantic -Werror -o "$out/c" "$programs/c.c" "${flags[@]}" -lcjson
}

cpp() {
  local flags
  read -ra flags <<<"$(PKG_CONFIG_PATH=$out pkg-config --cflags --libs pusher)"
  g++ -std=c++17 "${SANITIZED[@]}" -Wall -Wextra -Wpedantic -Werror -o "$out/cpp" "$programs/cpp.cpp" "${flags[@]}"
}

# As a user with a clone does it: by `replace`, and without the network.
go_program() {
  local settings=(PKG_CONFIG_PATH="$out" GOPROXY=off GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=1)
  (cd "$programs/go" && env "${settings[@]}" go vet . && env "${settings[@]}" go build -o "$out/go" .)
}

# A copy, because a build writes into its sources.
wheel() {
  cp -rL bindings/python "$out/python-sources"
  cp include/pusher.ffi.h "$out/python-sources/"
  python3 -m venv "$out/venv"
  PUSHER_LIBRARY=$out/libpusher.so.0 PIP_DISABLE_PIP_VERSION_CHECK=1 "$out/venv/bin/pip" install --quiet "$out/python-sources"
}

# PUSHER_LIBRARY is for the bindings that neither link nor contain the library.
run() {
  BINDINGS=$(node -p 'const [out, programs] = process.argv.slice(1); JSON.stringify({
    c: [`${out}/c`],
    cpp: [`${out}/cpp`],
    go: [`${out}/go`],
    python: ["env", "-u", "PUSHER_LIBRARY", `${out}/venv/bin/python`, `${programs}/python.py`],
    ruby: ["ruby", "-w", "-I", `${programs}/../../bindings/ruby/lib`, `${programs}/ruby.rb`],
    php: ["php", "-d", "ffi.enable=1", "-d", "display_errors=stderr", `${programs}/php.php`],
  })' "$out" "$programs") PUSHER_LIBRARY=$out/libpusher.so.0 node --test "$programs/bindings.test.mjs"
}

step 'the server and the subscriber' servers
step 'the library' as_installed "$out"
step 'C' c
step 'C++' cpp
step 'Go' go_program
step 'the wheel for Python' wheel
step 'every binding on the real server' run
