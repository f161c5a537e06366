#!/usr/bin/env bash
# Packs the source and every crate that it needs into libpusher-VERSION.tar.xz, which builds without a network.
#
#   packaging/tarball.sh [DIRECTORY]      writes the file to this folder; default: build
#
# Reproducible: the same commit and the same tools give the same bytes. It packs the working tree without ignored files, and
# prints a warning if the tree differs from the commit. Only `cargo vendor` may use the network.
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

need git cargo tar xz=xz-utils python3

mkdir -p "${1:-$ROOT/build}"
OUT=$(cd "${1:-$ROOT/build}" && pwd)
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1)
NAME=libpusher-$VERSION
WORK=$(mktemp -d "$OUT/tarball.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

cd "$ROOT"
git rev-parse --is-inside-work-tree >/dev/null || fail "the tarball has the files that git knows: run this in a clone"
EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
[ -z "$(git status --porcelain)" ] || say "the working tree differs from the commit: $NAME.tar.xz has the files of the tree"

mkdir "$WORK/$NAME"
# Git lists deleted files too.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  [ ! -e "$file" ] && [ ! -L "$file" ] || printf '%s\0' "$file"
done | tar --null -T - -cf - | tar -C "$WORK/$NAME" -xf -

cd "$WORK/$NAME"
# cargo vendor prints the configuration that makes cargo use the vendored crates.
mkdir -p .cargo
cargo vendor --locked --versioned-dirs vendor >"$WORK/config.toml" 2>"$WORK/log" || { cat "$WORK/log" >&2; fail "cargo vendor failed"; }
sed "s|$WORK/$NAME/||" "$WORK/config.toml" >>.cargo/config.toml
grep -q 'directory = "vendor"' .cargo/config.toml ||
  fail "cargo vendor wrote no usable configuration: $(cat "$WORK/config.toml")"

# Cargo needs every crate of Cargo.lock, including those for Windows only. They would be nine tenths of the bytes, and who builds for
# Windows can build from git, so only their manifests and licences stay, with an empty library.
python3 - <<'PYTHON'
import json, pathlib, shutil

for crate in sorted(pathlib.Path("vendor").glob("windows*")):
    checksum = json.loads((crate / ".cargo-checksum.json").read_text())
    for path in crate.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in ("Cargo.toml", ".cargo-checksum.json") and not path.name.lower().startswith("license"):
            path.unlink()
    (crate / "src").mkdir()
    (crate / "src/lib.rs").write_text("")
    manifest = crate / "Cargo.toml"
    # The manifest must not name the removed build script, tests and benches.
    text, keep = [], True
    for line in manifest.read_text().splitlines():
        if line.startswith("["):
            keep = not line.startswith(("[[", "[lints"))
        if keep and not line.startswith("build ="):
            text.append(line)
    manifest.write_text("\n".join(text) + "\n")
    checksum["files"] = {}
    (crate / ".cargo-checksum.json").write_text(json.dumps(checksum))
PYTHON

# The crates that are compiled into the library.
packaging/sbom.py >libpusher.cdx.json

cd "$WORK"
# xz writes the same bytes with any number of threads above one.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$EPOCH" --mode='u=rwX,go=rX' --format=ustar -cf - "$NAME" |
  xz -T2 -4 >"$NAME.tar.xz"
mv "$NAME.tar.xz" "$OUT/"
say "$OUT/$NAME.tar.xz: $(stat -c %s "$OUT/$NAME.tar.xz") bytes"
