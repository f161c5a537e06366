#!/usr/bin/env bash
# Everything that has to hold before a change lands. Nothing is skipped: what can't be had fails.
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
start=$SECONDS

# A real server and cargo-deny are compiled the first time, which takes minutes. They are built at a low priority in the
# background, and kept in the cache folder.
mkdir -p build
say 'getting the real servers and cargo-deny in the background (build/servers.log)'
(
  # They may need packages first, and those install at full speed.
  tests/servers/get-soketi.sh && tests/servers/get-pusher-js.sh && tests/servers/get-sockudo.sh && tools/lint/get-cargo-deny.sh
) >build/servers.log 2>&1 &
servers=$!
trap 'kill "$servers" 2>/dev/null || true' EXIT

step 'checks' tests/check.sh
step 'the header in C and C++' tests/header.sh
step 'install, move, and link from other projects' tests/packaging.sh
step 'the ABI' tests/abi.sh
step 'tarball, Debian and Conan packages' tests/packages.sh
step 'system calls of a warm call' tests/syscalls.sh
step 'memory' tests/memory.sh
step 'delivery under faults' tests/delivery.sh
step 'the publisher under load' tests/publisher.sh
step "the publisher's queue, model-checked" tests/models.sh
step 'valgrind' tests/valgrind.sh
step "the header's code samples" tests/samples.sh
step 'the manual' tests/manual.sh
step 'real proxies' tests/proxy.sh
step 'the official libraries' tests/differential.sh
step 'C++, the header for FFI parsers, and the conformance cases in C and C++' tests/bindings/cpp.sh
step 'Go' tests/bindings/go.sh
step 'Python' tests/bindings/python.sh
step 'Ruby' tests/bindings/ruby.sh
step 'PHP' tests/bindings/php.sh

say 'waiting for the real servers'
wait "$servers" || fail "A real server can't be had: $(tail -n 20 build/servers.log)"
step 'dependencies: licences, sources, duplicates' scripts/deny.sh
step 'real servers and real subscribers' tests/e2e.sh
step 'every binding on a real server' tests/e2e/bindings.sh
step 'two people chat in real browsers' tests/chat.sh
step "the manual's code" tests/snippets.sh

printf '\nAll passed in %d min %d s.\n' $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
