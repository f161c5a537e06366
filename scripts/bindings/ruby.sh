#!/usr/bin/env bash
# Tests the Ruby gem: its suite, with the conformance cases, and both kinds of gem as a user installs them.
#
#   scripts/bindings/ruby.sh                                                    builds the library and the fault server
#   PUSHER_LIBRARY=…/libpusher.so FAULT_SERVER=…/fault-server scripts/bindings/ruby.sh
#   scripts/bindings/ruby.sh bench                                              measures it against OpenSSL and Net::HTTP instead
#   scripts/bindings/ruby.sh migration FILE                                     writes the results of the migration's tests into FILE
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need ruby
ruby -e 'require "ffi"' 2>/dev/null || need ffi-for-ruby=ruby-ffi
ruby -e 'require "minitest"' 2>/dev/null || need minitest-for-ruby=ruby-minitest
ruby -e 'require "eventmachine"' 2>/dev/null || need eventmachine-for-ruby=ruby-eventmachine
ruby -e 'require "async"' 2>/dev/null || need async-for-ruby=ruby-async
ruby -e 'require "rack"' 2>/dev/null || need rack-for-ruby=ruby-rack
ruby -e 'require "logger"; require "active_support"' 2>/dev/null || need activesupport-for-ruby=ruby-activesupport
need rake python3
out=$PWD/build/bindings/ruby
rm -rf "$out"
mkdir -p "$out"

build() {
  library "$out/libpusher.so"
  export PUSHER_LIBRARY=$out/libpusher.so
  fault_server
}

# A time limit, so that a hang ends.
suite() { (cd bindings/ruby && timeout --kill-after 10 900 rake); }

# install_gem FOLDER [PLATFORM VENDOR]: builds the gem by packaging/gem.sh, and installs it as the only one in the folder.
install_gem() {
  local folder=$out/$1 file
  shift
  mkdir -p "$folder"
  file=$(packaging/gem.sh "$out" "$@")
  # Print the warnings of gem only if it fails.
  GEM_HOME=$folder gem install --quiet --local --ignore-dependencies --no-document "$file" >"$out/gem.log" 2>&1 || fail "$(cat "$out/gem.log")"
}

# with_gem FOLDER COMMAND…: runs a command as a user of that gem, far from this repository.
with_gem() {
  local folder=$out/$1
  shift
  timeout --kill-after 10 300 env -u PUSHER_LIBRARY -u FAULT_SERVER GEM_PATH="$folder:$(gem env path)" "$@"
}

# Prints the version of the library, and the file that the process has loaded.
LOADED='require "libpusher"; puts LibPusher.library_version, File.read("/proc/self/maps")[%r{/\S*libpusher\.so\S*}]'

# The gem for all platforms: the library is in a default folder, and the program in PATH.
plain_gem() {
  local licence said
  # A gem cannot have symbolic links, so its licences are copies. Check that they are the same.
  for licence in LICENSE-APACHE LICENSE-MIT; do cmp "$licence" "bindings/ruby/$licence"; done
  install_gem plain
  mkdir -p "$out/system" "$out/bin" "$out/plain-example"
  cp "$PUSHER_LIBRARY" "$out/system/libpusher.so.0"
  ln -s "$FAULT_SERVER" "$out/bin/pusher-testserver"
  export LD_LIBRARY_PATH=$out/system
  said=$(cd / && with_gem plain ruby -e "$LOADED")
  [ "$said" = "$(version)"$'\n'"$out/system/libpusher.so.0" ] || fail "the installed gem says: $said"
  with_gem plain PATH="$out/bin:$PATH" python3 tests/applications/run.py ruby "$out/plain-example" ruby -w shop_test.rb
  unset LD_LIBRARY_PATH
}

# The gem for this platform, in which is all that the example of docs/testing-your-app.md needs. Another library in the default folder is
# not loaded.
platform_gem() {
  local gem said
  mkdir -p "$out/vendor" "$out/platform-example"
  cp "$PUSHER_LIBRARY" "$out/vendor/libpusher.so"
  cp "$FAULT_SERVER" "$out/vendor/pusher-testserver"
  install_gem platform "$(ruby -e 'print Gem::Platform.new([Gem::Platform.local.cpu, Gem::Platform.local.os, nil])')" "$out/vendor"
  gem=$(echo "$out"/platform/gems/libpusher-*)
  said=$(cd / && LD_LIBRARY_PATH=$out/system with_gem platform ruby -e "$LOADED")
  [ "$said" = "$(version)"$'\n'"$gem/vendor/libpusher.so" ] || fail "the installed gem says: $said"
  if said=$(with_gem platform PUSHER_LIBRARY=/nowhere/libpusher.so ruby -e "$LOADED" 2>&1); then
    fail "PUSHER_LIBRARY does not select another library: $said"
  fi
  # A library that does not fit this system, as glibc's where musl is, is passed over.
  echo 'not a library' >"$gem/vendor/libpusher.so.part"
  mv "$gem/vendor/libpusher.so" "$out/vendor/libpusher.so"
  mv "$gem/vendor/libpusher.so.part" "$gem/vendor/libpusher.so"
  said=$(cd / && LD_LIBRARY_PATH=$out/system with_gem platform ruby -e "$LOADED")
  [ "$said" = "$(version)"$'\n'"$out/system/libpusher.so.0" ] || fail "with a library that does not load, the installed gem says: $said"
  mv "$out/vendor/libpusher.so" "$gem/vendor/libpusher.so"
  with_gem platform python3 tests/applications/run.py ruby "$out/platform-example" ruby -w shop_test.rb
}

bench() {
  need cc=gcc
  cc -std=c11 -D_GNU_SOURCE -O2 -pthread -Ibenches -o "$out/sink" benches/sink.c
  SINK=$out/sink ruby bindings/ruby/bench/benchmark.rb
}

# Writes a line for each test into the file: pass NAME, or fail NAME.
migration() {
  local said
  said=$(cd bindings/ruby && timeout --kill-after 10 300 ruby -w test/migration_test.rb --verbose 2>&1) || true
  sed -nE 's/^MigrationTest#(\S+) = [0-9.]+ s = \.$/pass \1/p; s/^MigrationTest#(\S+) = [0-9.]+ s = [^.]$/fail \1/p' <<<"$said" >"$1"
  grep -q '^pass ' "$1" || fail "$said"
}

step 'library and fault server' build
if [ "${1:-}" = migration ]; then
  migration "$2"
  exit
fi
if [ "${1:-}" = bench ]; then
  step 'beside OpenSSL and Net::HTTP' bench
else
  step 'the suite' suite
  step 'the gem for all platforms, and the tests of an application' plain_gem
  step 'the gem for this platform, and the tests of an application' platform_gem
fi
