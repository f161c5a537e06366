# The commands of a developer. Each installs what it needs (by apt as root; otherwise it names the missing packages) and prints
# its steps. Distributions build with CMake: see README.md.

.PHONY: help demo listen docs check format lint unit ctest test torture budgets deny advisories header bench portability release-check dist clean

help:
	@echo 'To see it work'
	@echo '  make demo           build the library and an example, and show an event as a subscriber receives it'
	@echo '  make listen         run a server and a subscriber, which prints the events of your program'
	@echo 'While you work'
	@echo '  make check          layouts, lints, and the tests that need no real server'
	@echo '  make format         apply the layouts of all languages'
	@echo '  make lint           the layouts and lints of all languages except Rust and Go'
	@echo '  make unit           the tests of make check alone'
	@echo '  make ctest          the suites in C and C++, by CMake and CTest'
	@echo '  make header         write include/pusher.h, pusher.ffi.h and the manual pages from the sources'
	@echo '  make docs           write the guides and the reference as a web site: build/site/index.html'
	@echo 'Before a pull request'
	@echo '  make test           everything that CI runs: also packages, bindings, valgrind, real servers'
	@echo '  make torture        fuzzing, sanitizers, exhaustion, forks, a soak: a day and more; make test has short forms'
	@echo '  make budgets        instructions and allocations of each call, against tests/budgets.txt'
	@echo '  make deny           licences, sources and duplicates of the Rust crates'
	@echo '  make advisories     known vulnerabilities of the Rust crates (fetches a database from GitHub)'
	@echo '  make portability    build and run on ARM, Windows (wine), s390x, RISC-V, i686 and musl: an hour the first time'
	@echo 'To measure'
	@echo '  make bench          speed, allocations, memory and size against raw sockets, libcurl and peers'
	@echo 'To release'
	@echo '  make release-check  what RELEASE.md asks for, as far as it can be checked on one machine'
	@echo '  make dist           write the files of a release into build/dist'
	@echo 'To clean up'
	@echo '  make clean          remove everything that was built here'

demo:
	@scripts/demo.sh

listen:
	@scripts/demo.sh --listen

docs:
	@scripts/docs.sh

check:
	@scripts/check.sh

format:
	@cargo fmt --all
	@cargo fmt --manifest-path fuzz/Cargo.toml
	@scripts/lint.sh --fix

lint:
	@scripts/lint.sh

unit:
	@scripts/check.sh --tests

ctest:
	@scripts/ctest.sh

header:
	@PUSHER_WRITE_HEADER=1 cargo test --quiet --test repository header
	@docs/man.py

test:
	@scripts/test.sh

torture:
	@scripts/torture.sh

budgets:
	@scripts/budgets.sh

deny:
	@scripts/deny.sh

advisories:
	@scripts/deny.sh advisories

bench:
	@benches/run.sh

portability:
	@scripts/portability.sh

dist:
	@scripts/dist.sh

release-check:
	@scripts/release-check.sh

clean:
	cargo clean
	rm -rf build
