#!/usr/bin/env bash
# Packs the source with every crate it needs, so that it builds without a network: libpusher-VERSION.tar.xz.
#
#   packaging/tarball.sh [DIRECTORY]      where the file goes; default: build
#
# Reproducible: the same commit and the same tools give the same bytes. It packs the working tree, without what git ignores,
# and says so when that is not the commit. The one step that may use the network is `cargo vendor`.
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
git rev-parse --is-inside-work-tree >/dev/null || fail "what belongs into the tarball is what git knows: run this in a clone"
EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
[ -z "$(git status --porcelain)" ] || say "the working tree is not the commit: $NAME.tar.xz has what is in the tree"

mkdir "$WORK/$NAME"
# A file may be deleted and still be known to git.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  [ ! -e "$file" ] && [ ! -L "$file" ] || printf '%s\0' "$file"
done | tar --null -T - -cf - | tar -C "$WORK/$NAME" -xf -

cd "$WORK/$NAME"
# Cargo prints the configuration that makes it take the crates from there.
mkdir -p .cargo
cargo vendor --locked --versioned-dirs vendor >"$WORK/config.toml" 2>"$WORK/log" || { cat "$WORK/log" >&2; fail "cargo vendor failed"; }
sed "s|$WORK/$NAME/||" "$WORK/config.toml" >>.cargo/config.toml
grep -q 'directory = "vendor"' .cargo/config.toml ||
  fail "cargo vendor wrote no usable configuration: $(cat "$WORK/config.toml")"

# Cargo wants to see every crate of Cargo.lock, also those that only Windows compiles: nine tenths of the bytes, for a system
# that libpusher does not support. Of these the manifest stays, with an empty library.
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
    # A build script, tests and benches are gone, and may not be named any more.
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

cd "$WORK"
# xz writes the same with any number of threads but one.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$EPOCH" --mode='u=rwX,go=rX' --format=ustar -cf - "$NAME" |
  xz -T2 -4 >"$NAME.tar.xz"
mv "$NAME.tar.xz" "$OUT/"
say "$OUT/$NAME.tar.xz: $(stat -c %s "$OUT/$NAME.tar.xz") bytes"
