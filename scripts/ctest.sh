#!/usr/bin/env bash
# Configures, builds and runs the suites in C and C++ by CMake and CTest (cmake/tests.cmake).
#
#   scripts/ctest.sh [OPTION…]                   options for ctest, such as -R contract
#   CC=clang CXX=clang++ scripts/ctest.sh        other compilers
#   BUILD=folder scripts/ctest.sh                another build folder than build/ctest
#
# Cargo's files are kept in CARGO_TARGET_DIR, default build/cargo, which other scripts use as well.
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
# Debian's clang-19 has clang++-19 too.
compiler=${CXX:-g++}
need cmake ninja=ninja-build "${CC:-gcc}" "$compiler=${compiler/clang++/clang}" /usr/include/cjson/cJSON.h=libcjson-dev \
  /usr/include/nlohmann/json.hpp=nlohmann-json3-dev

BUILD=${BUILD:-build/ctest}
step 'the fault server' fault_server
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/build/cargo}

step 'configure' cmake -S . -B "$BUILD" -G Ninja --log-level=NOTICE -DPUSHER_BUILD_TESTS=ON -DPUSHER_BUILD_EXAMPLES=OFF \
  -DPUSHER_CARGO_PROFILE=no-lto -DPUSHER_FAULT_SERVER="$FAULT_SERVER"
step 'build' cmake --build "$BUILD"
step 'ctest' ctest --test-dir "$BUILD" --parallel 2 --output-on-failure --no-tests=error "$@"
