#!/usr/bin/env bash
# Writes the bills of materials of the library and of pusher-testserver: CycloneDX in JSON. The library's is that of the source tarball.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need cargo

unpacked "$WORK/source"
# With the vendored crates, so without a network.
export CARGO_HOME=$WORK/cargo-home CARGO_NET_OFFLINE=true
python3 "$WORK/source/packaging/sbom.py" >"$WORK/libpusher-$VERSION.cdx.json"
python3 "$WORK/source/packaging/sbom.py" --program >"$WORK/pusher-testserver-$VERSION.cdx.json"
cmp "$WORK/libpusher-$VERSION.cdx.json" "$WORK/source/libpusher.cdx.json" || fail 'the source tarball has another bill of materials'
for name in libpusher pusher-testserver; do
  python3 - "$WORK/$name-$VERSION.cdx.json" "$name" "$VERSION" <<'PYTHON' || fail "the bill of materials of $name is not one"
import json, sys

bom = json.load(open(sys.argv[1], encoding="utf-8"))
described = bom["metadata"]["component"]
assert (bom["bomFormat"], described["name"], described["version"]) == ("CycloneDX", sys.argv[2], sys.argv[3]), described
references = {component["bom-ref"] for component in bom["components"]}
assert len(references) > 20 and all(component["hashes"] for component in bom["components"])
assert all(references.issuperset(dependency["dependsOn"]) for dependency in bom["dependencies"])
PYTHON
done
release_file "$WORK"/*.cdx.json
