#!/usr/bin/env python3
"""Prints the copyright file of the Debian packages: libpusher's own licence, and those of the Rust crates compiled into it.

The file is the same for every architecture, because packages of several architectures can be installed together. It quotes every
licence in full, except Apache's, which Debian has in /usr/share/common-licenses."""

import json
import pathlib
import re
import subprocess
import sys

TARGETS = [f"{machine}-unknown-linux-gnu" for machine in ("x86_64", "i686", "aarch64", "riscv64gc", "powerpc64le", "s390x")]
TARGETS.append("armv7-unknown-linux-gnueabihf")
CARGO = sys.argv[1] if len(sys.argv) > 1 else "cargo"
ROOT = pathlib.Path(__file__).resolve().parent.parent


def compiled_in():
    """Returns the packages that a build without tests compiles into the library."""
    command = [CARGO, "metadata", "--locked", "--format-version", "1"]
    for target in TARGETS:
        command += ["--filter-platform", target]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, todo = set(), [metadata["resolve"]["root"]]
    while todo:
        node = todo.pop()
        if node in found:
            continue
        # Macros run in the compiler, and are not linked.
        if "proc-macro" in packages[node]["targets"][0]["kind"]:
            continue
        found.add(node)
        todo += [dep["pkg"] for dep in nodes[node]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    found.discard(metadata["resolve"]["root"])
    return sorted((packages[identity] for identity in found), key=lambda package: (package["name"], package["version"]))


def texts(package):
    """Yields the licence texts of a package, with None for Apache's."""
    for path in sorted(pathlib.Path(package["manifest_path"]).parent.rglob("*")):
        named = re.match(r"(?i)(licen[cs]e|copying|copyright|notice)", path.name)
        if named and path.is_file() and path.suffix not in (".rs", ".py"):
            text = path.read_text(encoding="utf-8", errors="replace")
            apache = re.search(r"Apache License\s+Version 2\.0, January 2004", text)
            yield None if apache else "\n".join(line.rstrip() for line in text.strip().splitlines())


def main():
    packages = compiled_in()
    own = (ROOT / "LICENSE-MIT").read_text().strip()
    print(f"""libpusher, the server-side SDK for the Pusher Channels HTTP API as a C library

Copyright (c) 2026 The libpusher developers

It is licensed under the MIT licence or the Apache License, version 2.0, at your option. The text of the latter is in
/usr/share/common-licenses/Apache-2.0 on Debian systems; the former is:

{own}


The following Rust crates are compiled into the library, under these licences:
""")
    users = {}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        found = list(dict.fromkeys(texts(package)))
        print(f"  {name}: {package['license'] or 'see below'}" + ("" if found else f" ({', '.join(package['authors'])})"))
        for text in found:
            if text is not None:
                users.setdefault(text, []).append(name)
    print("\nWhere Apache-2.0 is named, its text is in /usr/share/common-licenses/Apache-2.0. The other texts:")
    for text, names in users.items():
        print(f"\n{'-' * 80}\n{', '.join(names)}\n\n{text}")


main()
