#!/usr/bin/env python3
"""Prints the software bill of materials of the library: CycloneDX 1.6 in JSON, with the Rust crates that are compiled into it.

    packaging/sbom.py [CARGO] [--program] [--target TARGET]      with --program, that of pusher-testserver

The same commit gives the same bytes: it has no time, and its serial number is made from its content. The crates are those of
packaging/copyright.py: of all Linux targets or of TARGET, without those of tests, build scripts and macros. It is a script, and
not cargo-cyclonedx, so that packages are built from the tarball with cargo and Python only, and without a network."""

import json
import re
import sys
import uuid

# The source tree stays as it is.
sys.dont_write_bytecode = True
from compiled_in import ROOT, arguments, resolve  # noqa: E402

# SPDX's names of single licences; all others are expressions.
NAMES = {"MIT", "Apache-2.0", "ISC", "BSD-3-Clause", "Unicode-3.0", "CDLA-Permissive-2.0", "Zlib"}


def purl(name, version):
    return f"pkg:cargo/{name}@{version}"


def checksums():
    """Returns the SHA-256 of each crate's archive, as Cargo.lock has them."""
    found = {}
    for package in (ROOT / "Cargo.lock").read_text(encoding="utf-8").split("[[package]]"):
        fields = dict(re.findall(r'^(name|version|checksum) = "(.*)"$', package, re.MULTILINE))
        if "checksum" in fields:
            found[fields["name"], fields["version"]] = fields["checksum"]
    return found


def component(package, hashes, kind="library"):
    """Returns the component of a package of cargo's metadata."""
    name, version = package["name"], package["version"]
    made = {"type": kind, "bom-ref": purl(name, version), "name": name, "version": version, "purl": purl(name, version)}
    if (name, version) in hashes:
        made["hashes"] = [{"alg": "SHA-256", "content": hashes[name, version]}]
    if license_ := package["license"]:
        license_ = license_.replace("/", " OR ")
        made["licenses"] = [{"license": {"id": license_}} if license_ in NAMES else {"expression": license_}]
    if package["repository"]:
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def main():
    given = arguments().parse_args()
    root, packages, edges = resolve(given.cargo, given.program, given.targets)
    hashes = checksums()
    reference = {identity: purl(package["name"], package["version"]) for identity, package in packages.items()}
    components = sorted(
        (component(package, hashes) for identity, package in packages.items() if identity != root),
        key=lambda one: (one["name"], one["version"]),
    )
    dependencies = [
        {"ref": reference[identity], "dependsOn": sorted({reference[other] for other in edges[identity]})}
        for identity in sorted(packages, key=reference.get)
    ]
    described = component(packages[root], hashes)
    if given.program:
        described |= {"type": "application", "name": "pusher-testserver"}
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": described},
        "components": components,
        "dependencies": dependencies,
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))
    head = {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "serialNumber": f"urn:uuid:{serial}"}
    print(json.dumps(head | bom, indent=2))


main()
