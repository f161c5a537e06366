#!/usr/bin/env bash
# What the library is made of: permitted licences and sources; a bill of materials in the wheel that is valid and complete (that of the
# tarball and the Debian packages: scripts/distribution.sh); two builds without a network, in two folders, with the same bytes.
#
#   scripts/torture/supply-chain.sh            the shared and the static library without link-time optimisation; the crates that they
#                                              use are built once (scripts/distribution.sh builds them without a network)
#   scripts/torture/supply-chain.sh --long     everything twice, as CMake builds it: the shared library with that optimisation
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

need cargo cc=gcc python3 unshare=util-linux ip=iproute2 readelf=binutils git
case ${1:-} in
  '') shared=no-lto ;;
  --long) shared=release ;;
  *) fail 'usage: scripts/torture/supply-chain.sh [--long]' ;;
esac
out=$PWD/build/torture/supply-chain
rm -rf "$out"
mkdir -p "$out"
compiled=${CARGO_TARGET_DIR:-target}/no-lto
host=$(rustc -vV | sed -n 's/^host: //p')

licences() { scripts/deny.sh >"$out/deny.log" 2>&1 || fail "$(cat "$out/deny.log")"; }

# ---- two builds ----

# Build scripts run in here, and reach only the loopback.
# shellcheck disable=SC2016
offline=(unshare --net sh -c 'ip link set lo up && exec "$@"' _)
"${offline[@]}" true 2>/dev/null || offline=(unshare --map-root-user "${offline[@]:1}")
"${offline[@]}" true 2>/dev/null || fail 'no network namespaces here'

is_offline() {
  # A connection to another host fails at once.
  if "${offline[@]}" python3 -c 'import socket; socket.create_connection(("192.0.2.1", 80), 2)' 2>"$out/planted.log"; then
    fail 'a program without a network has reached one'
  fi
  grep -q 'Network is unreachable' "$out/planted.log" || fail "$(cat "$out/planted.log")"
  cargo fetch --locked --quiet --target "$host"
}

# with_crates FOLDER: gives a build the crates as `library` has compiled them: cargo takes them, but not this project's own.
with_crates() {
  local part
  mkdir -p "$1/target/no-lto"
  for part in .fingerprint build deps; do
    [ ! -d "$compiled/$part" ] || cp -a "$compiled/$part" "$1/target/no-lto/"
  done
  rm -rf "$1"/target/no-lto/.fingerprint/libpusher-* "$1"/target/no-lto/deps/libpusher*
}

# build FOLDER: the source in this folder. The paths of the machine become those that are the same everywhere.
build() {
  local folder=$out/$1
  mkdir -p "$folder/source"
  git ls-files -z --cached --others --exclude-standard -- src include build.rs Cargo.toml Cargo.lock benches examples tools tests/support |
    xargs -0 tar -cf - 2>/dev/null | tar -C "$folder/source" -xf -
  if [ "$shared" = no-lto ]; then with_crates "$folder"; fi
  (
    cd "$folder/source"
    export CARGO_TARGET_DIR=$folder/target CARGO_NET_OFFLINE=true
    remap=("--remap-path-prefix=$folder/source=/libpusher" "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")
    # Flags for all crates would have them built anew.
    if [ "$shared" != no-lto ]; then export RUSTFLAGS="${remap[*]}"; fi
    "${offline[@]}" cargo rustc --quiet --locked --lib --profile "$shared" --crate-type cdylib -- "${remap[@]}"
    "${offline[@]}" cargo rustc --quiet --locked --lib --profile no-lto --crate-type staticlib -- "${remap[@]}"
  ) >"$folder/log" 2>&1 || { cat "$folder/log"; return 1; }
  cp "$folder/target/$shared/libpusher.so" "$folder/target/no-lto/libpusher.a" "$folder/"
}

two_builds() {
  if [ "$shared" = no-lto ]; then library "$out/compiled.so"; fi
  build a-folder &
  local other=$!
  build another/with/a/longer/name
  wait "$other"
}

# same FILE FILE
same() { cmp -s "$1" "$2"; }

compared() {
  local file
  for file in libpusher.so libpusher.a; do
    same "$out/a-folder/$file" "$out/another/with/a/longer/name/$file" || fail "$file differs between two builds: $out"
    if grep -qF "$out" "$out/a-folder/$file"; then fail "$file has the path of its build"; fi
    sha256sum "$out/a-folder/$file" | cut -c1-64
  done
  # One byte must be found.
  cp "$out/a-folder/libpusher.so" "$out/planted.so"
  printf '\001' | dd of="$out/planted.so" bs=1 seek=4096 conv=notrunc status=none
  printf '\002' >>"$out/planted.so"
  if same "$out/a-folder/libpusher.so" "$out/planted.so"; then fail 'another byte is not found'; fi
}

# ---- the bill of materials ----

bill() {
  packaging/sbom.py >"$out/sbom.json"
  packaging/sbom.py | cmp - "$out/sbom.json" || fail 'two bills of the same source differ'
  local python
  python=$(python_packages sbom tests/torture/sbom-requirements.txt)/bin/python
  cargo tree --locked --target "$host" --edges normal,no-proc-macro --prefix none --format '{p}' >"$out/tree"
  "$python" scripts/torture/supply-chain.py "$out/sbom.json" "$out/tree" "$out/a-folder/libpusher.so"
}

wheel() {
  python3 -m venv "$out/venv"
  cp -rL bindings/python "$out/python"
  cp include/pusher.ffi.h "$out/python/"
  PUSHER_LIBRARY=$out/a-folder/libpusher.so PUSHER_SBOM=$out/sbom.json \
    "$out/venv/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$out" "$out/python"
  python3 - "$out"/*.whl "$out/sbom.json" <<'PYTHON'
import sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    found = [name for name in wheel.namelist() if name.endswith(".dist-info/sboms/libpusher.cdx.json")]
    assert len(found) == 1, wheel.namelist()
    with open(sys.argv[2], "rb") as file:
        assert wheel.read(found[0]) == file.read()
PYTHON
}

step 'licences and sources' licences
step 'the builds have no network' is_offline
step 'two builds in two folders' two_builds
step 'the same bytes' compared
step 'the bill of materials: valid and complete' bill
step 'the wheel has it' wheel
printf 'figure: %s crates in the bill of materials (CycloneDX 1.6), of the wheel too; two builds (%s) without a network, in two folders: the same %s bytes of libpusher.so and %s of libpusher.a\n' \
  $(($(grep -c '"type": "library"' "$out/sbom.json") - 1)) "$shared" "$(stat -c %s "$out/a-folder/libpusher.so")" "$(stat -c %s "$out/a-folder/libpusher.a")"
