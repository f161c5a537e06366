#!/usr/bin/env bash
# Tests the Ruby gem: its suite, with the conformance cases, and the gem as a user installs it.
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

# As a user has it: the library is in a default folder, and nothing comes from this repository.
installed() {
  local version licence
  # A gem cannot have symbolic links, so its licences are copies. Check that they are the same.
  for licence in LICENSE-APACHE LICENSE-MIT; do cmp "$licence" "bindings/ruby/$licence"; done
  cp -r bindings/ruby/libpusher.gemspec bindings/ruby/lib bindings/ruby/README.md bindings/ruby/LICENSE-* "$out"
  # Print the warnings of gem only if it fails.
  (cd "$out" && gem build --quiet libpusher.gemspec &&
    gem install --quiet --local --ignore-dependencies --no-document --install-dir gems libpusher-*.gem) >"$out/gem.log" 2>&1 ||
    fail "$(cat "$out/gem.log")"
  mkdir -p "$out/system"
  cp "$PUSHER_LIBRARY" "$out/system/libpusher.so.0"
  version=$(cd / && env -u PUSHER_LIBRARY GEM_PATH="$out/gems:$(gem env path)" LD_LIBRARY_PATH="$out/system" \
    ruby -e 'require "libpusher"; print LibPusher.library_version')
  [ "$version" = "$(version)" ] || fail "the installed gem says: $version"
}

# The example of docs/testing-your-app.md, with the installed gem.
example() {
  mkdir -p "$out/example" "$out/bin"
  ln -s "$FAULT_SERVER" "$out/bin/pusher-testserver"
  timeout --kill-after 10 300 env -u PUSHER_LIBRARY -u FAULT_SERVER GEM_PATH="$out/gems:$(gem env path)" LD_LIBRARY_PATH="$out/system" \
    PATH="$out/bin:$PATH" python3 tests/applications/run.py ruby "$out/example" ruby -w shop_test.rb
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
  step 'the gem, installed' installed
  step 'the tests of an application' example
fi
