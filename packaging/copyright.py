#!/usr/bin/env python3
"""Prints the copyright file of the Debian packages: libpusher's own licence, and those of the Rust crates compiled into it.

    packaging/copyright.py [CARGO] [--program]      with --program, those compiled into pusher-testserver

It quotes every licence in full, except Apache's, which Debian has in /usr/share/common-licenses."""

import pathlib
import re
import sys

# The source tree stays as it is.
sys.dont_write_bytecode = True
from compiled_in import ROOT, resolve  # noqa: E402

PROGRAM = "--program" in sys.argv
CARGO = next((argument for argument in sys.argv[1:] if argument != "--program"), "cargo")


def compiled_in():
    """Returns the packages that a build compiles into the library, or into the program."""
    root, packages, _ = resolve(CARGO, PROGRAM)
    del packages[root]
    return sorted(packages.values(), key=lambda package: (package["name"], package["version"]))


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


The following Rust crates are compiled into {"pusher-testserver" if PROGRAM else "the library"}, under these licences:
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
