#!/usr/bin/env bash
# Runs every block of code in README.md and docs/*.md, from the commands that install the library to an event that a real subscriber
# receives. tests/snippets/snippets.py says how to run each block and what to expect.
#
#   scripts/snippets.sh                            builds the library and the fault server
#   FAULT_SERVER=file scripts/snippets.sh          uses that fault server
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cmake make cc=gcc g++ pkg-config curl openssl /usr/sbin/nginx=nginx-light python3 node=nodejs npm luajit php=php-cli ruby gunicorn puma unicorn \
  /usr/lib/python3/dist-packages/yaml/__init__.py=python3-yaml /usr/lib/python3/dist-packages/cffi/__init__.py=python3-cffi
echo '#include <curl/curl.h>' | cc -E -o /dev/null - 2>/dev/null || need libcurl-headers=libcurl4-openssl-dev
ruby -e 'require "ffi"' 2>/dev/null || need ffi-for-ruby=ruby-ffi
out=$PWD/build/snippets
rm -rf "$out"
mkdir -p "$out"
export PYTHONPATH=$PWD/tests/support PYTHONDONTWRITEBYTECODE=1

get_servers() {
  fault_server
  tools/servers/get-soketi.sh >/dev/null
}

snippets() {
  mkdir -p "$out/$1"
  timeout 1800 python3 tests/snippets/snippets.py "$out/$1" "${@:2}"
}

# The test must find a block that does not do what its page says, a block that no case runs, and a mark without a reason.
mistakes_are_found() {
  local what pattern
  for what in event block mark; do
    mkdir -p "$out/docs-$what/docs"
    cp README.md "$out/docs-$what"
    cp docs/*.md "$out/docs-$what/docs"
    case $what in
      event)
        sed -i 's/"private-encrypted-orders", "created"/"private-encrypted-orders", "other"/' "$out/docs-$what/docs/encryption.md"
        pattern='docs/encryption.md.*expected .*created'
        ;;
      block)
        printf '\n```c\nint x;\n```\n' >>"$out/docs-$what/docs/encryption.md"
        pattern='docs/encryption.md:[0-9]* (c): nothing runs it'
        ;;
      mark)
        printf '\n<!-- not run -->\n```c\nint x;\n```\n' >>"$out/docs-$what/docs/encryption.md"
        pattern='docs/encryption.md.*a mark without a reason'
        ;;
    esac
    if snippets "wrong-$what" --docs "$out/docs-$what" --only docs/encryption.md >"$out/said" 2>&1; then
      fail "a wrong $what is not found"
    fi
    grep -q "$pattern" "$out/said" || fail "for a wrong $what it printed: $(cat "$out/said")"
  done
}

step "the fault server and a real server" get_servers
step "every block of the guides" snippets all
step "wrong blocks are found" mistakes_are_found
