# The library and pusher-testserver for those who install them by pip or gem. Source this file after common.sh.
#
#   PLATFORMS            the platforms of the files; DIST_PLATFORMS can name some of them
#   binaries PLATFORM    builds for a platform, unless this commit is built already. Call it in a subshell, because it exports what its
#                        compilers need. It sets
#     BINARIES             a folder with nothing but the files, stripped: libpusher.so and pusher-testserver, or pusher.dll and
#                          pusher-testserver.exe, and their bills of materials, NAME.cdx.json
#     LIBRARY, PROGRAM     the names of the first two
#     RUN                  the command that runs a program of the platform here
#     COMPILER             the C compiler that they are built with
#
#   try_binaries FOLDER  checks that a folder has the first two, and that they work
#   applications_root    prints the folder of a bare Debian with Python and Ruby: packaging/dist/root.sh
#   arm64_root PACKAGE…  makes the folder ARM64_ROOT with these packages of Debian for arm64 and its C library, unpacked, for qemu-user
#
# On Linux zig links them: it knows the symbols that each version of glibc has, so they run where glibc is 2.17 or later. A compiler of
# Debian 12 would link them to its own glibc, and they would need 2.34. zig's unwinder is in them, and no libgcc_s is needed.
# shellcheck disable=SC2034 # for the scripts that source this file
source packaging/dist/root.sh

need cmake ninja=ninja-build gcc strip=binutils
read -ra PLATFORMS <<<"${DIST_PLATFORMS:-linux-x86_64 linux-aarch64 musl-x86_64 windows-x86_64}"
GLIBC=2.17

# Each sets Rust's target and, if zig compiles, zig's.
linux-x86_64() {
  TARGET=x86_64-unknown-linux-gnu ZIG_TARGET=x86_64-linux-gnu.$GLIBC SYSTEM=Linux RUN=() CARGO=cargo STRIP=strip
}

linux-aarch64() {
  target aarch64-unknown-linux-gnu
  ZIG_TARGET=aarch64-linux-gnu.$GLIBC
}

musl-x86_64() {
  need patchelf
  target x86_64-unknown-linux-musl
  ZIG_TARGET=x86_64-linux-musl
  # The library is a shared one, for programs that have a libc already, such as Python.
  export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS='-C target-feature=-crt-static'
}

windows-x86_64() { target x86_64-pc-windows-gnu; }

# Writes compilers' wrappers into a folder, and a toolchain file for CMake that names them.
zig_toolchain() {
  local folder=$1 python zig
  python=$(python_packages dist packaging/dist/requirements.txt)/bin/python
  zig=$("$python" -c 'import os, ziglang; print(os.path.dirname(ziglang.__file__))')/zig
  mkdir -p "$folder"
  # The crate cc names the target as clang does, and zig has other names. -dynamic: else zig links programs for musl statically.
  # zig refuses the flag by which rustc works around an erratum of ARM's Cortex-A53, but its linker knows it.
  cat >"$folder/cc" <<SH
#!/bin/bash
set -euo pipefail
export ZIG_GLOBAL_CACHE_DIR=$OUT/zig-cache ZIG_LOCAL_CACHE_DIR=$OUT/zig-cache
arguments=() erratum=
for argument in "\$@"; do
  case \$argument in
    --target=*) ;;
    -Wl,--fix-cortex-a53-843419) erratum=\${argument#-Wl,} ;;
    *) arguments+=("\$argument") ;;
  esac
done
zig=("$zig" cc -target $ZIG_TARGET -dynamic -fno-sanitize=all "\${arguments[@]}")
[ -n "\$erratum" ] || exec "\${zig[@]}"
said=\$("\${zig[@]}" --verbose 2>&1) || { echo "\$said" >&2; exit 1; }
read -ra linker < <(grep '^ld\.lld ' <<<"\$said" | tail -n 1)
exec "$zig" "\${linker[@]}" "\$erratum"
SH
  printf '#!/bin/sh\nexec %s ar "$@"\n' "$zig" >"$folder/ar"
  chmod +x "$folder/cc" "$folder/ar"
  cat >"$folder/toolchain.cmake" <<CMAKE
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${TARGET%%-*})
set(CMAKE_C_COMPILER $folder/cc)
set(CMAKE_AR $folder/ar)
CMAKE
  COMPILER=$folder/cc
  # In the environment because `target` has set it, to another compiler.
  export "CARGO_TARGET_$(tr a-z- A-Z_ <<<"$TARGET")_LINKER=$COMPILER"
}

binaries() {
  local here=$OUT/binaries/$1 commit file profile=release
  "$1"
  BINARIES=$here/files LIBRARY=libpusher.so PROGRAM=pusher-testserver
  if [ "$SYSTEM" = Windows ]; then LIBRARY=pusher.dll PROGRAM=pusher-testserver.exe; fi
  if [ -n "${ZIG_TARGET:-}" ]; then
    zig_toolchain "$here/zig"
    cp "$here/zig/toolchain.cmake" "$here/"
    # Not the folder of other parts, whose files are linked by other compilers.
    export CARGO_TARGET_DIR=$OUT/cargo-zig
  else
    COMPILER=$PREFIX-gcc
    mkdir -p "$here"
    toolchain_file "$here/toolchain.cmake"
  fi
  # The standard library that is compiled here has no bitcode, which link-time optimisation needs.
  case $TARGET in *-musl | *-windows-gnu) profile=no-lto ;; esac
  commit=$(git -C "$CHECKOUT" rev-parse HEAD)
  [ "$commit" != "$(cat "$here/commit" 2>/dev/null)" ] || return 0
  rm -rf "$here"/{commit,files,prefix,build}
  mkdir "$BINARIES"
  quiet cmake -S "$CHECKOUT" -B "$here/build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$here/toolchain.cmake" -DCMAKE_INSTALL_LIBDIR=lib \
    -DPUSHER_CARGO="$(command -v "$CARGO")" -DPUSHER_CARGO_BUILD_TARGET="$TARGET" -DPUSHER_BUILD_STATIC=OFF -DPUSHER_BUILD_EXAMPLES=OFF \
    -DPUSHER_BUILD_TOOLS=ON -DPUSHER_CARGO_PROFILE=$profile
  quiet cmake --build "$here/build"
  quiet cmake --install "$here/build" --prefix "$here/prefix"
  for file in "lib/$LIBRARY" "bin/$LIBRARY" "bin/$PROGRAM"; do
    [ ! -e "$here/prefix/$file" ] || cp -L "$here/prefix/$file" "$BINARIES/"
  done
  "$STRIP" --strip-unneeded "$BINARIES"/*
  # musl's loader knows both names as its own. Alpine's compilers write this one, and the tag musllinux means it.
  if [[ $TARGET = *-musl ]]; then
    for file in "$BINARIES"/*; do patchelf --replace-needed libc.so "libc.musl-${TARGET%%-*}.so.1" "$file"; done
  fi
  if grep -lF -e "$OUT" -e "$HOME/" "$BINARIES"/*; then fail 'these files name a folder of this machine'; fi
  "$CHECKOUT/packaging/sbom.py" --target "$TARGET" >"$BINARIES/libpusher.cdx.json"
  "$CHECKOUT/packaging/sbom.py" --target "$TARGET" --program >"$BINARIES/pusher-testserver.cdx.json"
  echo "$commit" >"$here/commit"
}

applications_root() { debian_root python3-venv ruby-ffi ruby-minitest; }

arm64_root() {
  local folder package
  ARM64_ROOT=$WORK/arm64
  folder=$(tools/rust/get-rust-web.sh --packages arm64 libc6 libgcc-s1 "$@")
  mkdir "$ARM64_ROOT"
  for package in "$folder"/*/; do cp -a "$package". "$ARM64_ROOT/"; done
}

# A program of the platform's own compiler loads the library by its path, and sends events to pusher-testserver.
try_binaries() {
  local folder=$1 library=$1/$LIBRARY file compiler=$COMPILER libraries=(-ldl)
  for file in "$LIBRARY" "$PROGRAM"; do cmp "$BINARIES/$file" "$folder/$file"; done
  case $TARGET in
    x86_64-unknown-linux-gnu) compiler=cc ;;
    # Not the wrapper, which links statically.
    *-musl) compiler=musl-gcc ;;
    *-windows-gnu) compiler=$PREFIX-gcc libraries=() library=Z:${library//\//\\} ;;
    *) compiler=$PREFIX-gcc ;;
  esac
  "$compiler" -O1 -Wall -Wextra -Werror -I"$CHECKOUT/include" -o "$WORK/try-$TARGET.exe" "$CHECKOUT/packaging/dist/try.c" \
    "${libraries[@]}"
  "$CHECKOUT/packaging/dist/try.py" "$VERSION" "$WORK/try-$TARGET.exe" "$library" "$folder/$PROGRAM" "${RUN[@]}"
}
