# The targets that libpusher is built for here, and the compilers of each. Source this file after lib.sh, in
# the project's folder.
#
#   TARGETS               Rust's names of the targets, besides that of this machine
#   target NAME           sets the variables of a target, and exports what cargo needs to build for it:
#     TARGET                its name
#     PREFIX                the compiler's, without `-gcc`; STRIP is its strip
#     SYSTEM, PROCESSOR     CMake's names
#     RUN                   the command that runs a program, HOW the same for people
#     LINK                  flags of each program
#     CARGO                 Debian's cargo 1.85, with the target's standard library; its build folder is OUT/cargo
#   toolchain_file FILE   writes CMake's toolchain file of this target
#   UNLINKED              targets that have no libraries here to link a program with
#   unlinked NAME         exports what cargo needs to compile for such a target, without linking, and sets CARGO
#
# OUT is a folder that is kept: compilers' wrappers and wine's files are in it.
# shellcheck disable=SC2034 # for the scripts that source this file

TARGETS=(aarch64-unknown-linux-gnu x86_64-pc-windows-gnu s390x-unknown-linux-gnu armv7-unknown-linux-gnueabihf i686-unknown-linux-gnu
  riscv64gc-unknown-linux-gnu x86_64-unknown-linux-musl)

UNLINKED=(aarch64-apple-darwin x86_64-unknown-freebsd x86_64-pc-windows-msvc)

# The C code of ring needs no library, and of the system's headers only three lines.
unlinked() {
  local headers=$OUT/headers name=${1//-/_}
  need clang-19 llvm-lib-14=llvm-14
  mkdir -p "$headers"
  echo 'unsigned long _byteswap_ulong(unsigned long);' >"$headers/stdlib.h"
  printf '#define TARGET_OS_OSX 1\n#define TARGET_OS_IPHONE 0\n' >"$headers/TargetConditionals.h"
  STD=''
  with_rust
  export "CC_$name=clang-19" "AR_$name=ar" "CFLAGS_$name=-nostdlibinc -DRING_CORE_NOSTDLIBINC=1 -I$headers"
  [[ $1 != *-msvc ]] || export "AR_$name=llvm-lib-14"
}

target() {
  local name
  TARGET=$1 SYSTEM=Linux LINK=''
  "$TARGET"
  STRIP=$PREFIX-strip
  command -v "$STRIP" >/dev/null || STRIP='strip'
  with_rust
  name=$(echo "$TARGET" | tr a-z- A-Z_)
  export "CARGO_TARGET_${name}_LINKER=$PREFIX-gcc" "CARGO_TARGET_${name}_RUNNER=${RUN[*]}"
}

# Each of these functions sets the variables of a target. STD is the standard library, for tools/rust/get-rust-web.sh: Debian's architecture,
# or Rust's name of a target that Debian does not have; empty: this machine's.
x86_64-unknown-linux-gnu() {
  need gcc g++
  PREFIX=x86_64-linux-gnu PROCESSOR=x86_64 STD=''
  RUN=(env) HOW='natively'
}

aarch64-unknown-linux-gnu() {
  need aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu aarch64-linux-gnu-g++=g++-aarch64-linux-gnu qemu-aarch64=qemu-user
  PREFIX=aarch64-linux-gnu PROCESSOR=aarch64 STD=arm64
  RUN=(qemu-aarch64 -L /usr/aarch64-linux-gnu) HOW='qemu-user'
}

armv7-unknown-linux-gnueabihf() {
  need arm-linux-gnueabihf-gcc=gcc-arm-linux-gnueabihf arm-linux-gnueabihf-g++=g++-arm-linux-gnueabihf qemu-arm=qemu-user
  PREFIX=arm-linux-gnueabihf PROCESSOR=armv7l STD=armhf
  RUN=(qemu-arm -L /usr/arm-linux-gnueabihf) HOW='qemu-user'
}

# qemu-i386 hangs on some kernels, and a kernel of x86-64 runs these programs itself.
i686-unknown-linux-gnu() {
  need i686-linux-gnu-gcc=gcc-i686-linux-gnu i686-linux-gnu-g++=g++-i686-linux-gnu
  PREFIX=i686-linux-gnu PROCESSOR=i686 STD=i386
  RUN=(/usr/i686-linux-gnu/lib/ld-linux.so.2 --library-path /usr/i686-linux-gnu/lib) HOW='natively'
}

s390x-unknown-linux-gnu() {
  need s390x-linux-gnu-gcc=gcc-s390x-linux-gnu s390x-linux-gnu-g++=g++-s390x-linux-gnu qemu-s390x=qemu-user
  PREFIX=s390x-linux-gnu PROCESSOR=s390x STD=s390x
  RUN=(qemu-s390x -L /usr/s390x-linux-gnu) HOW='qemu-user'
}

# Debian 12 has no Rust for it.
riscv64gc-unknown-linux-gnu() {
  need riscv64-linux-gnu-gcc=gcc-riscv64-linux-gnu riscv64-linux-gnu-g++=g++-riscv64-linux-gnu qemu-riscv64=qemu-user
  PREFIX=riscv64-linux-gnu PROCESSOR=riscv64 STD=$TARGET
  RUN=(qemu-riscv64 -L /usr/riscv64-linux-gnu) HOW='qemu-user'
}

x86_64-pc-windows-gnu() {
  need x86_64-w64-mingw32-gcc=gcc-mingw-w64-x86-64 x86_64-w64-mingw32-g++=g++-mingw-w64-x86-64 /usr/lib/wine/wine64=wine64
  PREFIX=x86_64-w64-mingw32 SYSTEM=Windows PROCESSOR=AMD64 STD=$TARGET
  # The compiler's own libraries are linked statically, so that pusher.dll is the only DLL beside Windows's.
  LINK=-static
  export WINEPREFIX=$OUT/wine WINEDEBUG=-all WINEPATH PATH=$PWD/tools/rust/mingw:$PATH
  wine
  RUN=(/usr/lib/wine/wine64) HOW="wine $(/usr/lib/wine/wine64 --version | sed -n 's/^wine-\([0-9.]*\).*/\1/p')"
}

# wine before 9 lacks a DLL from which the standard library takes the seeds of its hash maps.
wine() {
  local dll=$OUT/bcryptprimitives
  mkdir -p "$dll"
  WINEPATH="Z:${dll//\//\\}"
  if [ ! -e "$dll/bcryptprimitives.dll" ]; then
    cat >"$dll/bcryptprimitives.c" <<'C'
#define SystemFunction036 NTAPI SystemFunction036
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) { return RtlGenRandom(data, (ULONG)length); }
C
    x86_64-w64-mingw32-gcc -shared -O1 -o "$dll/bcryptprimitives.part" "$dll/bcryptprimitives.c" -ladvapi32
    mv "$dll/bcryptprimitives.part" "$dll/bcryptprimitives.dll"
  fi
  /usr/lib/wine/wine64 wineboot --init >/dev/null 2>&1 || true
}

x86_64-unknown-linux-musl() {
  need musl-gcc=musl-tools /usr/lib/llvm-14/lib/libunwind.a=libunwind-14-dev
  musl
  PREFIX=$OUT/musl/musl PROCESSOR=x86_64 STD=$TARGET
  RUN=(env) HOW='natively, fully static'
}

# Debian's libgcc_eh needs a function of glibc. LLVM's unwinder does not, except for fortified printing.
musl() {
  local folder=$OUT/musl
  mkdir -p "$folder/lib"
  cat >"$folder/fortified.c" <<'C'
#include <stdarg.h>
#include <stdio.h>
int __fprintf_chk(FILE *file, int flag, const char *format, ...) {
  va_list arguments;
  (void)flag;
  va_start(arguments, format);
  int count = vfprintf(file, format, arguments);
  va_end(arguments);
  return count;
}
C
  musl-gcc -O1 -c -o "$folder/fortified.o" "$folder/fortified.c"
  cp /usr/lib/llvm-14/lib/libunwind.a "$folder/lib/libgcc_eh.a"
  ar rs "$folder/lib/libgcc_eh.a" "$folder/fortified.o" 2>/dev/null
  cp "$folder/lib/libgcc_eh.a" "$folder/lib/libunwind.a"
  printf '#!/bin/sh\nexec musl-gcc -static -B%q/lib -L%q/lib "$@"\n' "$folder" "$folder" >"$folder/musl-gcc"
  chmod +x "$folder/musl-gcc"
}

# Uses Debian's Rust for this target.
with_rust() {
  local rust
  rust=$(tools/rust/get-rust-web.sh ${STD:+"$STD"})
  export PATH=$rust/usr/bin:$PATH RUSTC=$rust/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$OUT/cargo
  export LD_LIBRARY_PATH=$rust/lib/x86_64-linux-gnu:$rust/usr/lib/x86_64-linux-gnu
  unset RUSTUP_TOOLCHAIN
  CARGO=$rust/usr/bin/cargo
}

toolchain_file() {
  local compilers file=$1
  compilers="set(CMAKE_C_COMPILER $PREFIX-gcc)"
  [ "$HOW" = 'natively, fully static' ] || compilers+="
set(CMAKE_CXX_COMPILER $PREFIX-g++)"
  cat >"$file" <<CMAKE
set(CMAKE_SYSTEM_NAME $SYSTEM)
set(CMAKE_SYSTEM_PROCESSOR $PROCESSOR)
$compilers
set(CMAKE_EXE_LINKER_FLAGS_INIT "$LINK")
set(CMAKE_CROSSCOMPILING_EMULATOR "$(IFS=\; && echo "${RUN[*]}")")
set(CMAKE_FIND_ROOT_PATH /usr/$PREFIX)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
CMAKE
  if [ "$SYSTEM" = Windows ]; then echo "set(CMAKE_RC_COMPILER $PREFIX-windres)" >>"$file"; fi
}
