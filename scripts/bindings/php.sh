#!/usr/bin/env bash
# Tests the PHP package: its suite, with the conformance cases and a real PHP-FPM, and the package as Composer installs it.
#
#   scripts/bindings/php.sh                                                    builds the library and the fault server
#   PUSHER_LIBRARY=…/libpusher.so FAULT_SERVER=…/fault-server scripts/bindings/php.sh
#   scripts/bindings/php.sh bench                                              measures it against hash_hmac and curl instead
#   scripts/bindings/php.sh migration FILE                                     writes how the tests of tests/migration end into FILE instead
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need python3 php=php-cli phpunit composer cgi-fcgi=libfcgi-bin /usr/share/php/GuzzleHttp/Client.php=php-guzzlehttp-guzzle \
  /usr/share/php/React/Promise/autoload.php=php-react-promise \
  /usr/share/php/Illuminate/Broadcasting/autoload.php=php-illuminate-broadcasting /usr/share/php/Illuminate/Config/autoload.php=php-illuminate-config \
  /usr/share/php/Illuminate/Http/autoload.php=php-illuminate-http
version=$(php -r 'echo PHP_MAJOR_VERSION . "." . PHP_MINOR_VERSION;')
need "php-fpm$version=php$version-fpm"
php -r 'exit((int) !extension_loaded("curl"));' || need curl-for-php="php$version-curl"
export PHP_FPM=php-fpm$version
# Composer gets no network, and needs none.
export COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_NO_INTERACTION=1 COMPOSER_DISABLE_NETWORK=1
out=$PWD/build/bindings/php
rm -rf "$out"
mkdir -p "$out"
export COMPOSER_HOME=$out/composer

build() {
  library "$out/libpusher.so"
  export PUSHER_LIBRARY=$out/libpusher.so
  fault_server
}

# The package has a copy of the header, after the lines that PHP needs first.
header() {
  sed '1,/^$/d' bindings/php/include/pusher.ffi.h | cmp - include/pusher.ffi.h ||
    fail 'bindings/php/include/pusher.ffi.h differs: copy include/pusher.ffi.h below its first empty line'
}

# Before PHP 8.3, -l checks only one file.
syntax() { find bindings/php -name '*.php' -print0 | xargs -0 -n 1 php -d display_errors=stderr -l >/dev/null; }

suite() { (cd bindings/php && phpunit); }

# As a user has it: the library is in a default folder, and nothing comes from this repository.
installed() {
  local project=$out/project says='echo LibPusher\Pusher::libraryVersion();' autoload said
  mkdir -p "$project" "$out/system"
  cp "$PUSHER_LIBRARY" "$out/system/libpusher.so.0"
  cat >"$project/composer.json" <<JSON
{
  "repositories": [{ "type": "path", "url": "$PWD/bindings/php", "options": { "symlink": false } }, { "packagist.org": false }],
  "require": { "libpusher/libpusher": "@dev" }
}
JSON
  composer validate --strict bindings/php/composer.json >/dev/null
  composer install --quiet --working-dir="$project"
  for autoload in vendor/autoload.php vendor/libpusher/libpusher/autoload.php; do
    said=$(cd / && env -u PUSHER_LIBRARY LD_LIBRARY_PATH="$out/system" php -r "require '$project/$autoload'; $says")
    [ "$said" = "$(version)" ] || fail "the installed package says: $said"
  done
  # Another package that needs the official one gets this one, by the README's lines in composer.json.
  mkdir -p "$out/needs" "$out/facade"
  echo '{ "name": "a/package", "version": "1.0.0", "require": { "pusher/pusher-php-server": "^7.2" } }' >"$out/needs/composer.json"
  cat >"$out/facade/composer.json" <<JSON
{
  "repositories": [
    { "type": "path", "url": "$PWD/bindings/php", "options": { "symlink": false } },
    { "type": "path", "url": "$out/needs" },
    { "packagist.org": false }
  ],
  "require": { "a/package": "*", "libpusher/libpusher": "@dev" },
  "replace": { "pusher/pusher-php-server": "*" },
  "autoload": { "files": ["vendor/libpusher/libpusher/pusher.php"] }
}
JSON
  composer install --quiet --working-dir="$out/facade"
  said=$(cd / && env -u PUSHER_LIBRARY LD_LIBRARY_PATH="$out/system" php -r "require '$out/facade/vendor/autoload.php';
    echo Pusher\\Pusher::libraryVersion();")
  [ "$said" = "$(version)" ] || fail "by its official name the package says: $said"
  # Without the library, the message names it.
  said=$(cd / && PUSHER_LIBRARY=/nonexistent/libpusher.so.0 php -r "require '$project/vendor/autoload.php';
    try { $says } catch (RuntimeException \$e) { echo \$e->getMessage(); }")
  case $said in *"cannot be loaded"*/nonexistent/libpusher.so.0*) ;; *) fail "without a library the package says: $said" ;; esac
}

# The example of docs/testing-your-app.md, with the package as Composer has installed it.
example() {
  mkdir -p "$out/bin"
  ln -s "$FAULT_SERVER" "$out/bin/pusher-testserver"
  timeout --kill-after 10 300 env -u PUSHER_LIBRARY -u FAULT_SERVER LD_LIBRARY_PATH="$out/system" PATH="$out/bin:$PATH" \
    python3 tests/applications/run.py php "$out/project" phpunit ShopTest.php
}

# Runs the tests of tests/migration and writes how each ended.
migration() {
  local report=$out/migration.xml
  (cd bindings/php && phpunit --log-junit "$report" tests/MigrationTest.php) || true
  php -r '
    foreach ((new SimpleXMLElement($argv[1], 0, true))->xpath("//testcase") as $case) {
      $failed = isset($case->error) || isset($case->failure) || isset($case->skipped) || isset($case->warning);
      echo $failed ? "fail " : "pass ", strtok($case["name"], " "), "\n";
    }' "$report" >"$1"
}

bench() {
  need cc=gcc
  cc -std=c11 -D_GNU_SOURCE -O2 -pthread -Ibenches -o "$out/sink" benches/sink.c
  SINK=$out/sink php bindings/php/bench/benchmark.php
}

step 'library and fault server' build
if [ "${1:-}" = bench ]; then
  step 'beside hash_hmac and curl' bench
elif [ "${1:-}" = migration ]; then
  step 'the tests of the migration' migration "$2"
else
  step 'the header is a copy' header
  step 'syntax' syntax
  step 'the suite' suite
  step 'the package, installed' installed
  step 'the tests of an application' example
fi
