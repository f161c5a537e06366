#!/usr/bin/env bash
# Writes the zip for Windows on x86-64, built by MinGW, and uses it under wine. It is built from the checkout: the source tarball has no
# crates of Windows.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need cmake ninja=ninja-build unzip pkg-config strings=binutils
NAME=libpusher-$VERSION-x86_64-pc-windows-gnu
FOLDER=$WORK/$NAME UNPACKED=$WORK/unpacked/$NAME
target x86_64-pc-windows-gnu
toolchain_file "$WORK/toolchain.cmake"

# Without link-time optimisation: the standard library for Windows that Debian's Rust compiles here has no bitcode. This is also the profile
# with which scripts/portability.sh tests the library. cargo's build folder is OUT/cargo, which is kept.
build() {
  quiet cmake -S "$CHECKOUT" -B "$WORK/build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$WORK/toolchain.cmake" \
    -DCMAKE_INSTALL_LIBDIR=lib -DPUSHER_CARGO="$CARGO" -DPUSHER_CARGO_PROFILE=no-lto \
    -DPUSHER_BUILD_EXAMPLES=OFF -DPUSHER_BUILD_TOOLS=ON
  quiet cmake --build "$WORK/build"
  quiet cmake --install "$WORK/build" --prefix "$FOLDER" --strip
}

# The manual is for man, and the documents are easier to find in the first folder. MinGW's own code is in the programs, too.
documents() {
  local crates=$CHECKOUT/packaging
  rm -r "$FOLDER/share"
  cp "$CHECKOUT"/{README.md,CHANGELOG.md,LICENSE-MIT,LICENSE-APACHE} "$FOLDER/"
  "$crates/copyright.py" "$CARGO" --full --target "$TARGET" >"$FOLDER/COPYRIGHT"
  "$crates/copyright.py" "$CARGO" --full --target "$TARGET" --program >"$FOLDER/COPYRIGHT-pusher-testserver"
  cp /usr/share/doc/mingw-w64-x86-64-dev/copyright "$FOLDER/COPYRIGHT-mingw-w64"
  "$crates/sbom.py" "$CARGO" --target "$TARGET" >"$FOLDER/libpusher.cdx.json"
  "$crates/sbom.py" "$CARGO" --target "$TARGET" --program >"$FOLDER/pusher-testserver.cdx.json"
}

# The programs need no DLL of the compiler and have no time of their build. The DLL exports the functions of the ABI. No file names a folder
# of this machine, in 8 or in 16 bits.
check_programs() {
  local file dump
  for file in "$FOLDER"/bin/*; do
    dump=$(TZ=UTC x86_64-w64-mingw32-objdump -p "$file")
    if grep 'DLL Name: lib' <<<"$dump"; then fail "$(basename "$file") needs a DLL of the compiler"; fi
    grep -q '^Time/Date.*Thu Jan  1 00:00:00 1970' <<<"$dump" || fail "$(basename "$file") has a time: $(grep ^Time/Date <<<"$dump")"
  done
  x86_64-w64-mingw32-objdump -p "$FOLDER/bin/pusher.dll" | sed -n '/Name Pointer. Table/,/^$/s/.* \([a-z_]*\)$/\1/p' | sort |
    diff - <(sort "$CHECKOUT/abi/symbols.txt") || fail 'pusher.dll exports other functions than abi/symbols.txt'
  if grep -rlF -e "$OUT" -e "$ROOT" -e "$HOME/" "$FOLDER"; then fail 'these files name a folder of this machine'; fi
  for file in "$FOLDER"/bin/* "$FOLDER"/lib/*.a; do
    if strings -el "$file" | grep -F -e "$OUT" -e "$ROOT" -e "$HOME/"; then fail "$(basename "$file") names a folder of this machine"; fi
  done
}

# The same files give the same bytes: in the order of their names, with the time of the commit.
pack() {
  python3 - "$FOLDER" "$WORK/$NAME.zip" <<'PYTHON'
import os, pathlib, sys, time, zipfile

folder, archive = map(pathlib.Path, sys.argv[1:])
when = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            entry = zipfile.ZipInfo(str(path.relative_to(folder.parent)), when)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (0o100755 if path.suffix in (".exe", ".dll") else 0o100644) << 16
            out.writestr(entry, path.read_bytes())
PYTHON
}

# published PROGRAM: runs it with the unpacked server, which sets PUSHER_URL.
published() {
  "${RUN[@]}" "$UNPACKED/bin/pusher-testserver.exe" -- "Z:${1//\//\\}" >"$WORK/published.log" 2>&1 ||
    { cat "$WORK/published.log" >&2; fail "$1 published nothing"; }
  grep "^libpusher $VERSION: OK" "$WORK/published.log" || fail "$1 published nothing: $(cat "$WORK/published.log")"
}

needs_dll() { x86_64-w64-mingw32-objdump -p "$1" | grep 'DLL Name: pusher.dll' >/dev/null; }

# consumer KIND: a project finds the unpacked files with CMake, and publishes an event by this library.
consumer() {
  local kind=$1 build=$WORK/consumer-$1
  quiet cmake -S "$CHECKOUT/tests/packages" -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$WORK/toolchain.cmake" \
    -DPusher_DIR="$UNPACKED/lib/cmake/pusher" -DBUILD_SHARED_LIBS="$([ "$kind" = shared ] && echo ON || echo OFF)"
  quiet cmake --build "$build"
  if [ "$kind" = shared ]; then
    needs_dll "$build/by_url.exe" || fail 'the program does not need the DLL'
    # Windows looks for DLLs beside the program.
    cp "$UNPACKED/bin/pusher.dll" "$build/"
  else
    ! needs_dll "$build/by_url.exe" || fail 'the static program needs the DLL'
  fi
  published "$build/by_url.exe"
}

# The same by pkg-config, and by an import library that is made from pusher.def, as other toolchains do.
by_hand() {
  local folder=$WORK/by-hand source=$CHECKOUT/tests/packages/by_url.c flags
  mkdir "$folder"
  cp "$UNPACKED/bin/pusher.dll" "$folder/"
  flags=$(PKG_CONFIG_LIBDIR=$UNPACKED/lib/pkgconfig pkg-config --cflags --libs pusher)
  # shellcheck disable=SC2086 # words
  x86_64-w64-mingw32-gcc -o "$folder/pkg-config.exe" "$source" $flags
  x86_64-w64-mingw32-dlltool --input-def "$UNPACKED/lib/pusher.def" --output-lib "$folder/def.a"
  x86_64-w64-mingw32-gcc -I"$UNPACKED/include" -o "$folder/def.exe" "$source" "$folder/def.a"
  for program in pkg-config def; do
    needs_dll "$folder/$program.exe" || fail "$program.exe does not need the DLL"
    published "$folder/$program.exe"
  done
}

step 'build' build
step 'licences and documents' documents
step 'functions, DLLs, times and folders in the programs' check_programs
step 'zip' pack
step 'unpack' quiet unzip -q -d "$WORK/unpacked" "$WORK/$NAME.zip"
step 'publish by the DLL' consumer shared
step 'publish by the static library' consumer static
step 'publish by pkg-config, and by pusher.def' by_hand
release_file "$WORK/$NAME.zip"
