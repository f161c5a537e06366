#!/usr/bin/env bash
# Builds and installs libpusher, moves the prefix, and uses it from other projects: in C and C++, shared and static, by
# find_package, pkg-config, Meson, add_subdirectory and FetchContent. The projects are in tests/consumers.
#
#   scripts/install.sh [DIRECTORY]      the build folder, also BUILD; default: build/packaging
#
# Cargo's files are kept in CARGO_TARGET_DIR, default build/cargo, so that Rust is compiled once for all projects.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CONSUMERS=$ROOT/tests/consumers

need gcc g++ nm=binutils clang-19 /usr/lib/llvm-19/bin/ld.lld=lld-19 make cmake ninja=ninja-build pkg-config readelf=binutils python3 curl meson

BUILD=$(realpath -m "${1:-${BUILD:-$ROOT/build/packaging}}")
mkdir -p "$BUILD"
WORK=$(mktemp -d "$BUILD/run.XXXXXX")
trap 'rm -rf "$WORK"; rmdir --ignore-fail-on-non-empty "$BUILD"' EXIT
# Before cargo's folder changes, because other scripts use the same fault server.
cd "$ROOT"
step "the fault server" fault_server
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/build/cargo}
# CMake and pkg-config must not find another prefix on this machine.
unset CMAKE_PREFIX_PATH PKG_CONFIG_PATH LD_LIBRARY_PATH CMAKE_GENERATOR

LIBDIR=lib/$(gcc -print-multiarch)
LIBRARY=libpusher.so.$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1)
PREFIX=$WORK/moved

# install_to PREFIX OPTION…: installs as a distribution does.
install_to() {
  local prefix=$1 build=$WORK/library
  shift
  rm -rf "$build"
  quiet cmake -S "$ROOT" -B "$build" -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR="$LIBDIR" "$@"
  quiet cmake --build "$build"
  quiet cmake --install "$build"
}

# Installs both kinds and the tools, and moves the prefix.
install_and_move() {
  install_to "$WORK/first" -G "Unix Makefiles" -DPUSHER_BUILD_TOOLS=ON -DPUSHER_FAULT_SERVER="$FAULT_SERVER"
  mv "$WORK/first" "$PREFIX"
}

# Installs as packagers do: with DESTDIR, stripped.
install_stripped() {
  local file
  DESTDIR=$WORK/stripped quiet cmake --install "$WORK/library" --prefix /usr --strip
  for file in "$LIBDIR/$LIBRARY" bin/pusher-testserver; do
    [ -z "$(nm "$WORK/stripped/usr/$file" 2>/dev/null)" ] || fail "--strip did not strip $file"
  done
}

check_tree() {
  local lib=$PREFIX/$LIBDIR file dynamic
  for file in include/pusher{.h,.hpp,.ffi.h,_asio.hpp} "$LIBDIR"/{libpusher.so,libpusher.so.0,"$LIBRARY",libpusher.a,pkgconfig/pusher.pc} \
    "$LIBDIR"/cmake/pusher/pusher-config{,-version}.cmake bin/pusher-testserver share/man/man1/pusher-testserver.1; do
    [ -s "$PREFIX/$file" ] || fail "not installed: $file"
  done
  [ "$(readlink "$lib/libpusher.so")" = libpusher.so.0 ] || fail "libpusher.so is not a link to libpusher.so.0"
  [ "$(readlink "$lib/libpusher.so.0")" = "$LIBRARY" ] || fail "libpusher.so.0 is not a link to $LIBRARY"
  dynamic=$(readelf -dW "$lib/libpusher.so")
  grep -q 'SONAME.*\[libpusher\.so\.0\]' <<<"$dynamic" || fail "the SONAME is not libpusher.so.0: $dynamic"
  grep -q 'FLAGS_1.*NODELETE' <<<"$dynamic" || fail "the shared library is not marked NODELETE: $dynamic"
  ! grep -E 'RPATH|RUNPATH' <<<"$dynamic" || fail "the shared library has a search path"
  ! grep -rlF -e "$WORK" -e "$ROOT" "$lib/cmake" "$lib/pkgconfig" || fail "these files name a folder of the build"
}

# The libraries name no folder of this machine, neither Rust's nor those of C code.
check_paths() {
  local folder file
  for folder in "$ROOT" "${CARGO_HOME:-$HOME/.cargo}" "$CARGO_TARGET_DIR" "$WORK"; do
    for file in "$PREFIX/$LIBDIR"/{libpusher.so,libpusher.a}; do
      if grep -qF "$folder/" "$file"; then
        fail "$file names $folder: $(strings -a "$file" | grep -F -m 3 "$folder/"). Old files in $CARGO_TARGET_DIR? make clean removes them."
      fi
    done
  done
  # The search finds what is there.
  strings -a "$PREFIX/$LIBDIR/libpusher.so" | grep '^/cargo/registry/' >/dev/null || fail 'the library names no crate'
}

# What docs/packaging.md says of hardening.
check_hardening() {
  local library=$PREFIX/$LIBDIR/libpusher.so headers dynamic undefined
  headers=$(readelf -lW "$library")
  dynamic=$(readelf -dW "$library")
  undefined=$(nm -D --undefined-only "$library")
  grep -q 'GNU_RELRO' <<<"$headers" || fail "no RELRO: $headers"
  grep -q 'FLAGS.*BIND_NOW' <<<"$dynamic" || fail "no full RELRO: $dynamic"
  grep -Eq 'GNU_STACK .* RW +0' <<<"$headers" || fail "the stack may be executed: $headers"
  ! grep -q 'LOAD.* RWE' <<<"$headers" || fail "a segment may be written and executed: $headers"
  ! grep -q 'TEXTREL' <<<"$dynamic" || fail "code is relocated: $dynamic"
  grep -q '__stack_chk_fail' <<<"$undefined" || fail "no C function has a stack protector: $undefined"
}

# Compares pusher.pc with the native libraries that rustc names for the real crate. CMake asks for an empty one. The C compiler adds
# libgcc.
check_native_libs() {
  local said written flags
  # With the flags that CMake gives to C code: others would compile it once more.
  flags=$(grep -oh '"CFLAGS_[^"]*"' "$WORK/library/CMakeFiles/pusher-static.dir/build.make" | head -n 1 | tr -d '"')
  said=$(cd "$ROOT" && env "$flags" cargo rustc --locked --profile no-lto --target "$(rustc -vV | sed -n 's/^host: //p')" --lib \
    --crate-type staticlib -- --print native-static-libs 2>&1 | sed -n 's/.*native-static-libs: //p' |
    sed -E 's/-lgcc_s ?//')
  written=$(sed -n 's/^Libs.private: //p' "$PREFIX/$LIBDIR/pkgconfig/pusher.pc")
  [[ -n $said && $said == "$written" ]] || fail "rustc says '$said', and pusher.pc has '$written'"
}

# linked KIND PROGRAM…: checks that the programs use the shared library, or contain the static one.
linked() {
  local kind=$1 program
  shift
  for program in "$@"; do
    if readelf -dW "$program" | grep 'NEEDED.*\[libpusher\.so\.0\]' >/dev/null; then
      [ "$kind" = shared ] || fail "this program uses the shared library: $program"
    else
      [ "$kind" = static ] || fail "this program does not use the shared library: $program"
    fi
  done
}

# consumer PROJECT GENERATOR DEFAULT OPTION…: configures, builds and runs a project. DEFAULT is the expected kind of
# Pusher::pusher.
consumer() {
  local project=$1 generator=$2 default=$3 build kind
  shift 3
  build=$(mktemp -d "$WORK/consumer.XXXXXX")
  quiet cmake -S "$CONSUMERS/$project" -B "$build" -G "$generator" "$@"
  quiet cmake --build "$build"
  quiet ctest --test-dir "$build" --output-on-failure --no-tests=error
  linked "$default" "$build"/pusher-{c,cpp,hpp}
  for kind in shared static; do
    [ ! -e "$build/$kind-c" ] || linked "$kind" "$build/$kind"-{c,cpp,hpp}
  done
  BUILT=$build
}

# Cargo always runs, but programs are relinked only if the library changed.
nothing_is_relinked() {
  local before after
  before=$(stat -c '%n %y' "$BUILT"/{pusher,shared,static}-{c,cpp,hpp})
  quiet cmake --build "$BUILT"
  after=$(stat -c '%n %y' "$BUILT"/{pusher,shared,static}-{c,cpp,hpp})
  [ "$before" = "$after" ] || fail "relinked although nothing changed: $before $after"
}

from_source() {
  consumer "$@"
  nothing_is_relinked
}

# refused MESSAGE OPTION…: expects that find_package fails with the message.
refused() {
  local message=$1
  shift
  ! cmake -S "$CONSUMERS/find_package" -B "$(mktemp -d "$WORK/refused.XXXXXX")" "$@" >"$WORK/log" 2>&1 ||
    fail "find_package did not refuse: $*"
  tr -s ' \n' ' ' <"$WORK/log" | grep -E "$message" >/dev/null ||
    { cat "$WORK/log" >&2; fail "find_package does not print: $message"; }
}

# The requests that find_package must refuse.
find_package_refuses() {
  refused "not compatible|compatible with requested version" -DCMAKE_PREFIX_PATH="$PREFIX" -DCONSUMER_VERSION=0.0
  refused "component 'quantum' is not installed" -DCMAKE_PREFIX_PATH="$PREFIX" -DCONSUMER_COMPONENTS=quantum
  refused "component 'static' is not installed" -DCMAKE_PREFIX_PATH="$WORK/only-shared" -DCONSUMER_COMPONENTS=static
}

# On many systems /lib is a link to /usr/lib, and CMake may use that path.
find_package_through_a_link() {
  mkdir "$WORK/merged"
  ln -s ../moved/lib "$WORK/merged/lib"
  consumer find_package Ninja shared -DCMAKE_PREFIX_PATH="$WORK/merged"
}

# pkg_config PREFIX KIND [STATIC=1]
pkg_config() {
  local prefix=$1 kind=$2 program build
  shift 2
  build=$(mktemp -d "$WORK/consumer.XXXXXX")
  PKG_CONFIG_PATH=$prefix/$LIBDIR/pkgconfig quiet make -C "$build" -f "$CONSUMERS/pkg_config/Makefile" "$@"
  linked "$kind" "$build"/consumer-{c,cpp,hpp}
  for program in "$build"/consumer-{c,cpp,hpp}; do
    LD_LIBRARY_PATH=$prefix/$LIBDIR quiet "$program"
  done
}

# meson_project KIND [OPTION…]: builds and runs the programs with Meson.
meson_project() {
  local kind=$1 build
  shift
  build=$(mktemp -d "$WORK/consumer.XXXXXX")
  PKG_CONFIG_PATH=$PREFIX/$LIBDIR/pkgconfig quiet meson setup "$@" "$build" "$CONSUMERS/meson"
  quiet meson test -C "$build" --print-errorlogs
  linked "$kind" "$build"/consumer-{c,hpp}
}

# Configures each preset of CMakePresets.json, and builds the one for the static library. The one for Windows needs MinGW and a Rust for it, which
# scripts/portability.sh tests.
presets() {
  local preset presets
  mapfile -t presets < <(cd "$ROOT" && cmake --list-presets=configure | sed -n 's/^ *"\(.*\)" .*/\1/p')
  [ "${presets[*]}" = "default dev tests static mingw" ] || fail "CMakePresets.json has other presets: ${presets[*]}"
  for preset in "${presets[@]}"; do
    [ "$preset" = mingw ] ||
      (cd "$ROOT" && quiet cmake --preset "$preset" -B "$WORK/preset-$preset" -DPUSHER_FAULT_SERVER="$FAULT_SERVER")
  done
  quiet cmake --build "$WORK/preset-static"
  [ -s "$WORK/preset-static/libpusher.a" ] && [ ! -e "$WORK/preset-static/libpusher.so" ] ||
    fail "the preset static builds something else: $(ls "$WORK/preset-static")"
}

# rust_target_is TARGET OPTION…: expects that cargo is to build for this target.
rust_target_is() {
  local target=$1 build
  shift
  build=$(mktemp -d "$WORK/target.XXXXXX")
  quiet cmake -S "$ROOT" -B "$build" -G Ninja -DPUSHER_BUILD_STATIC=OFF -DPUSHER_BUILD_EXAMPLES=OFF "$@"
  grep -q -- "--target $target " "$build/build.ninja" || fail "cargo builds for another target than $target: $*"
}

rust_targets() {
  rust_target_is "$(rustc -vV | sed -n 's/^host: //p')"
  rust_target_is aarch64-unknown-linux-gnu -DPUSHER_CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu
  rust_target_is aarch64-unknown-linux-gnu -DPUSHER_CARGO_TARGET=aarch64-unknown-linux-gnu -DPUSHER_CARGO_BUILD_TARGET=x86_64-unknown-linux-musl
  CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu rust_target_is aarch64-unknown-linux-gnu
}

# The component alone has the program and its page.
tools_alone() {
  quiet cmake --install "$WORK/library" --component Pusher_Tools --prefix "$WORK/tools"
  [ "$(cd "$WORK/tools" && find . -type f | sort | xargs)" = "./bin/pusher-testserver ./share/man/man1/pusher-testserver.1" ] ||
    fail "the component Pusher_Tools has other files: $(find "$WORK/tools" -type f)"
}

# The example of docs/testing-your-app.md, with the installed program.
application() {
  [ ! -e "$WORK/only-shared/bin" ] || fail "the tools are installed without PUSHER_BUILD_TOOLS"
  mkdir "$WORK/application"
  cat >"$WORK/application/run" <<'SH'
set -e
cc -std=c99 -Wall -Wextra -Werror -pedantic shop.c $(pkg-config --cflags --libs pusher) -o shop
exec pusher-testserver -- sh test_shop.sh
SH
  env -u FAULT_SERVER PATH="$PREFIX/bin:$PATH" PKG_CONFIG_PATH="$PREFIX/$LIBDIR/pkgconfig" LD_LIBRARY_PATH="$PREFIX/$LIBDIR" \
    python3 "$ROOT/tests/applications/run.py" c "$WORK/application" sh run
}

# Runs each command of docs/packaging.md that makes a program without shared libraries, and the same for one that needs those of the system.
fully_static() {
  local folder=$WORK/fully-static command commands
  mkdir "$folder"
  cp "$CONSUMERS/main.c" "$folder/server.c"
  mapfile -t commands < <(grep -E '^(gcc|clang-19) .*-static' "$ROOT/docs/packaging.md")
  [ ${#commands[@]} = 4 ] || fail "docs/packaging.md has ${#commands[@]} commands that link statically, not 4"
  for command in "${commands[@]}"; do
    (cd "$folder" && PKG_CONFIG_PATH=$PREFIX/$LIBDIR/pkgconfig quiet bash -euc "$command")
    if readelf -dW "$folder/server" | grep NEEDED; then fail "the program needs a shared library: $command"; fi
    quiet "$folder/server"
    command=$(sed -E 's/ -static(-pie)?//; s/--libs pusher/& | sed s,-lpusher,-l:libpusher.a,/' <<<"$command")
    (cd "$folder" && PKG_CONFIG_PATH=$PREFIX/$LIBDIR/pkgconfig quiet bash -euc "$command")
    linked static "$folder/server"
    quiet "$folder/server"
  done
}

# Two static libraries written in Rust, in one program.
two_rust() {
  quiet cmake -S "$CONSUMERS/two_rust" -B "$WORK/two_rust" -DCMAKE_PREFIX_PATH="$PREFIX"
  quiet cmake --build "$WORK/two_rust"
  quiet ctest --test-dir "$WORK/two_rust" --output-on-failure --no-tests=error
  linked static "$WORK/two_rust/two_rust"
}

step "build, install, and move the prefix" install_and_move
step "the installed files" check_tree
step "no folder of this machine" check_paths
step "hardening" check_hardening
step "install below another root, stripped" install_stripped
step "install the tools alone" tools_alone
step "the native libraries of the static library" check_native_libs
step "install only the shared library" install_to "$WORK/only-shared" -G Ninja -DPUSHER_BUILD_STATIC=OFF
step "install only the static library" install_to "$WORK/only-static" -G Ninja -DPUSHER_BUILD_SHARED=OFF

step "find_package(Pusher)" consumer find_package "Unix Makefiles" shared -DCMAKE_PREFIX_PATH="$PREFIX"
step "find_package(pusher), static by default" consumer find_package Ninja static -DCMAKE_PREFIX_PATH="$PREFIX" \
  -DCONSUMER_PACKAGE=pusher -DBUILD_SHARED_LIBS=OFF
step "find_package, only shared" consumer find_package Ninja shared -DCMAKE_PREFIX_PATH="$WORK/only-shared" \
  -DCONSUMER_COMPONENTS=shared
step "find_package, only static" consumer find_package Ninja static -DCMAKE_PREFIX_PATH="$WORK/only-static" \
  -DCONSUMER_COMPONENTS=static -DBUILD_SHARED_LIBS=ON
step "find_package through a link" find_package_through_a_link
step "find_package refuses wrong versions and missing components" find_package_refuses

step "pkg-config, shared" pkg_config "$PREFIX" shared
step "pkg-config, static" pkg_config "$PREFIX" static STATIC=1
step "pkg-config, only static" pkg_config "$WORK/only-static" static
step "fully static programs, by gcc, and by clang and lld" fully_static

step "Meson, shared" meson_project shared
step "Meson, static" meson_project static --prefer-static
step "the presets of CMake" presets
step "the target of Rust" rust_targets

step "add_subdirectory" from_source add_subdirectory "Unix Makefiles" shared
step "add_subdirectory, static by default" from_source add_subdirectory Ninja static -DBUILD_SHARED_LIBS=OFF
step "FetchContent" from_source fetch_content Ninja shared

step "the tests of an application" application

step "two static libraries written in Rust" two_rust
