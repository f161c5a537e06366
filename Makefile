# What a developer types. Each target installs what it needs (apt as root, else it says what to install) and says what it does.
# Distributions build with CMake: see README.md.

.PHONY: help demo test check lint format deny bench header clean

help:
	@echo 'make demo    build the library and an example, and show an event as a subscriber receives it'
	@echo 'make test    everything that CI runs: the checks, the packages, valgrind, real servers'
	@echo 'make check   the quick inner loop: format, lints, tests without real servers'
	@echo 'make lint    the lints and layouts of all languages but Rust and Go'
	@echo 'make format  apply the layouts'
	@echo 'make deny    the licences, sources and duplicates of the Rust crates'
	@echo 'make bench   events per second beside raw sockets and libcurl, signatures beside their floor and a peer'
	@echo 'make header  write include/pusher.h, pusher.ffi.h and the manual pages anew from the sources'
	@echo 'make clean   remove what was built'

demo:
	@scripts/demo.sh

test:
	@scripts/test.sh

check:
	@scripts/check.sh

lint:
	@scripts/lint.sh

format:
	@cargo fmt --all
	@scripts/lint.sh --fix

deny:
	@scripts/deny.sh

bench:
	@benches/run.sh

header:
	@PUSHER_WRITE_HEADER=1 cargo test --quiet --test repository header
	@docs/man.py

clean:
	cargo clean
	rm -rf build
