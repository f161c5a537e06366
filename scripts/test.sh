#!/usr/bin/env bash
# Runs every test of a change. It skips nothing: a tool that is not available is a failure.
#
# Each step is one line, with its output in build/test. If a step fails, its whole output is printed.
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

# The first run compiles a real server and cargo-deny, which takes minutes.
servers() {
  # Packages that they need are installed at normal priority.
  tools/servers/get-soketi.sh
  tools/servers/get-pusher-js.sh
  tools/servers/get-sockudo.sh
  tools/lint/get-cargo-deny.sh
}
# These compute and compile, and measure no time: they take what the other steps leave idle.
aside() {
  renice -n 19 "$BASHPID" >/dev/null
  step "the publisher's queue, model-checked" scripts/models.sh
  step 'the fuzz targets' scripts/torture/fuzz.sh --build
  step 'tarball, Debian and Conan packages' scripts/distribution.sh
  step 'build for 64-bit ARM and Windows' scripts/portability.sh --short --build
  step 'the types for macOS, FreeBSD and MSVC' scripts/portability.sh --types
}

steps() {
  background servers
  background aside

  step 'checks' scripts/check.sh --lines
  step 'the header in C and C++' scripts/header.sh
  step 'install, move, and link from other projects' scripts/install.sh
  step 'the suites in C and C++ by CTest' scripts/ctest.sh
  step 'the ABI' scripts/abi.sh
  step 'the lints can fail' scripts/lint.sh --self-test
  step 'the check of a release finds planted faults' scripts/release-check.sh --self-test
  step 'responses as ureq reads them' scripts/reference.sh
  step 'system calls of a warm call' scripts/syscalls.sh
  step 'memory' scripts/memory.sh
  step 'the budgets of calls find planted regressions' scripts/budgets.sh --self-test
  step 'instructions and allocations of calls' scripts/budgets.sh
  step 'delivery under faults' scripts/delivery.sh
  step 'the publisher under load' scripts/publisher.sh
  step 'valgrind' scripts/valgrind.sh
  step 'hard to break: the short forms' scripts/torture.sh --short
  step 'the publisher in event loops' scripts/event-loops.sh
  step "the header's code samples" scripts/samples.sh
  step 'the manual' scripts/manual.sh
  step 'the documentation site, in a browser' scripts/docs.sh --test
  step 'real proxies' scripts/proxy.sh
  step 'the official libraries' scripts/differential.sh
  step 'C++, the header for FFI parsers, and the conformance cases in C and C++' scripts/bindings/cpp.sh
  step 'Go' scripts/bindings/go.sh
  step 'Python' scripts/bindings/python.sh
  step 'Ruby' scripts/bindings/ruby.sh
  step 'PHP' scripts/bindings/php.sh
  step 'traces and metrics' scripts/observability.sh
  step "the official suites' tests that a changed import keeps" scripts/migration.sh

  finish servers 'what runs beside, at a low priority: fetch and compile the real servers'
  step 'dependencies: licences, sources, duplicates' scripts/deny.sh
  step 'real servers and real subscribers' scripts/e2e.sh
  step 'idempotency keys with a real server' scripts/idempotency.sh --short
  step 'real servers behind nginx' scripts/nginx.sh
  step 'every binding with a real server' scripts/e2e-bindings.sh
  step 'frameworks with a real server' scripts/frameworks.sh
  step 'the chat, with two users in real browsers' scripts/chat.sh
  step "the manual's code" scripts/snippets.sh
  finish aside 'what runs beside, at a low priority: models, fuzz targets, packages, builds for other targets'
  step 'the library on 64-bit ARM and Windows' scripts/portability.sh --short
}

say 'about 50 minutes on two cores, and an hour the first time; the output of each step is in build/test'
in_lines build/test steps
printf '\nAll %d steps passed in %s.\n' ${#PLAN[@]} "$(duration $SECONDS)"
