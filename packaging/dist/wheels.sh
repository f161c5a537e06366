#!/usr/bin/env bash
# Writes the Python packages: wheels that carry the library and pusher-testserver, the source distribution, and both kinds of the package
# with the module pusher.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source packaging/dist/binaries.sh

# The tags of the wheels, and what auditwheel says of the files in them. It knows only Linux.
declare -A TAGS=([linux-x86_64]=manylinux_2_17_x86_64 [linux-aarch64]=manylinux_2_17_aarch64 [musl-x86_64]=musllinux_1_2_x86_64
  [windows-x86_64]=win_amd64)
TOOLS=$(python_packages dist packaging/dist/requirements.txt)/bin

# python_build FOLDER OPTION…: builds from sources, by setuptools as it is pinned.
python_build() { quiet env -u PUSHER_LIBRARY "$TOOLS/python" -m build --no-isolation --outdir "$WORK" "$@"; }

# sdist NAME FOLDER: the source distribution. setuptools writes the times of the build and the names of its user into it.
sdist() {
  local name=$1-$VERSION
  mkdir "$WORK/sources"
  # A copy without links, because a build writes into its sources.
  cp -rL "$CHECKOUT/bindings/$2" "$WORK/sources/$1"
  cp "$CHECKOUT/include/pusher.ffi.h" "$WORK/sources/$1/"
  python_build --sdist "$WORK/sources/$1"
  rm -r "$WORK/sources"
  mkdir "$WORK/$1"
  tar -C "$WORK/$1" -xzf "$WORK/$name.tar.gz"
  tar -C "$WORK/$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --mode='u=rwX,go=rX' --format=ustar \
    -cf - "$name" | gzip -9n >"$WORK/$name.tar.gz"
  release_file "$WORK/$name.tar.gz"
}

# pure NAME: the wheel for all platforms, from the source distribution.
pure() {
  python_build --wheel "$WORK/$1/$1-$VERSION"
  release_file "$WORK/$1-$VERSION-py3-none-any.whl"
}

# platform NAME: the wheel for a platform, from the source distribution.
platform() (
  tag=${TAGS[$1]} name=libpusher-$VERSION-py3-none-${TAGS[$1]}.whl
  binaries "$1"
  # The variables of the platform's compilers are not for Python.
  cp -r "$WORK/libpusher/libpusher-$VERSION" "$WORK/$1"
  (
    unset LD_LIBRARY_PATH
    export PUSHER_LIBRARY=$BINARIES/$LIBRARY PUSHER_TESTSERVER=$BINARIES/$PROGRAM
    export PUSHER_SBOM=$BINARIES/libpusher.cdx.json PUSHER_TESTSERVER_SBOM=$BINARIES/pusher-testserver.cdx.json
    quiet "$TOOLS/python" -m build --no-isolation --outdir "$WORK" --wheel "--config-setting=--build-option=--plat-name=$tag" "$WORK/$1"
  )
  check_tag "$WORK/$name" "$tag"
  mkdir "$WORK/$1-unpacked"
  (cd "$WORK/$1-unpacked" && "$TOOLS/python" -m zipfile -e "$WORK/$name" .)
  # zipfile does not set the modes.
  chmod +x "$WORK/$1-unpacked/libpusher/lib/"*
  for bill in "$BINARIES"/*.json; do
    cmp "$bill" "$WORK/$1-unpacked/libpusher-$VERSION.dist-info/sboms/$(basename "$bill")"
  done
  try_binaries "$WORK/$1-unpacked/libpusher/lib"
  [ "$1" != linux-aarch64 ] || try_arm64 "$WORK/$1-unpacked"
  release_file "$WORK/$name"
)

# try_arm64 FOLDER: sends events by the unpacked wheel, with Debian's Python for arm64.
try_arm64() {
  arm64_root python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3-cffi-backend libffi8 libexpat1 zlib1g
  packaging/dist/try.py "$VERSION" "$ARM64_ROOT/usr/bin/python3.11" packaging/dist/try-wheel.py "$1/libpusher/lib/$PROGRAM" \
    qemu-aarch64 -L "$ARM64_ROOT" -E "PYTHONPATH=$1:$ARM64_ROOT/usr/lib/python3/dist-packages"
}

# check_tag WHEEL TAG: the files in the wheel need no more than the tag allows.
check_tag() {
  local said
  [ "$2" != win_amd64 ] || return 0
  said=$(unset LD_LIBRARY_PATH && "$TOOLS/auditwheel" show "$1" 2>&1) || fail "$said"
  tr '\n' ' ' <<<"$said" | grep -E "consistent with the following platform tag: +\"?$2\"?" >/dev/null ||
    fail "auditwheel does not find the wheel to be $2:
$said"
}

# The wheels in a system with Python and no libpusher: an application's tests pass, and fail once it is wrong.
installed() {
  local root stage=$WORK/stage
  root=$(applications_root)
  mkdir -p "$stage"/{wheels,tests/applications,docs,shop}
  # The Python of Debian 12.
  quiet "$TOOLS/python" -m pip download --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.11 \
    --platform manylinux_2_17_x86_64 --dest "$stage/wheels" --requirement packaging/dist/requirements-application.txt
  cp "$DIST/libpusher-$VERSION-py3-none-${TAGS[linux-x86_64]}.whl" "$DIST/libpusher_as_pusher-$VERSION-py3-none-any.whl" "$stage/wheels/"
  cp "$CHECKOUT/tests/applications/run.py" "$stage/tests/applications/"
  cp "$CHECKOUT/docs/testing-your-app.md" "$stage/docs/"
  # shellcheck disable=SC2016 # the shell inside expands it
  in_root "$root" "$stage" sh -euc 'python3 -m venv venv
    venv/bin/pip install --quiet --no-index --find-links wheels libpusher-as-pusher pytest
    venv/bin/python -c "import pusher, libpusher; assert issubclass(pusher.Pusher, libpusher.Pusher)"
    python3 tests/applications/run.py python shop "$PWD/venv/bin/python" -m pytest -q -p no:cacheprovider'
}

step 'the source distribution' sdist libpusher python
step 'the source distribution of the module pusher' sdist libpusher_as_pusher python-as-pusher
step 'the wheel of the module pusher' pure libpusher_as_pusher
for platform in "${PLATFORMS[@]}"; do step "the wheel for ${TAGS[$platform]}" platform "$platform"; done
[ ! -e "$DIST/libpusher-$VERSION-py3-none-${TAGS[linux-x86_64]}.whl" ] ||
  step "an application with the wheel for ${TAGS[linux-x86_64]}" installed
