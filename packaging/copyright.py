#!/usr/bin/env python3
"""Prints the copyright file of the packages: libpusher's own licence, and those of the Rust crates compiled into it.

    packaging/copyright.py [CARGO] [--program] [--target TARGET] [--full]

With --program, it has those compiled into pusher-testserver. The file is for Debian: programs can read it (DEP-5), its folders
are those of the source tarball, and it quotes every licence in full, except Apache's, which Debian has in
/usr/share/common-licenses. With --full, for other systems, it is plain text with that licence, too."""

import pathlib
import re
import sys

# The source tree stays as it is.
sys.dont_write_bytecode = True
from compiled_in import ROOT, arguments, resolve  # noqa: E402

HOMEPAGE = "https://github.com/libpusher/libpusher"
OWN_COPYRIGHT = "2026 The libpusher developers"
# Debian's names of licences, where they differ from SPDX's.
DEBIAN_NAMES = {"MIT": "Expat", "BSD-3-Clause": "BSD-3-clause"}
IN_DEBIAN = """On Debian systems, the text of the Apache License, version 2.0, is in
/usr/share/common-licenses/Apache-2.0."""


def compiled_in(given):
    """Returns the packages that a build compiles into the library, or into the program."""
    root, packages, _ = resolve(given.cargo, given.program, given.targets)
    del packages[root]
    return sorted(packages.values(), key=lambda package: (package["name"], package["version"]))


# Debian has this text. A file may have other licences before and after it.
APACHE = re.compile(
    r" *Apache License\s+Version 2\.0, January 2004.*?END OF TERMS AND CONDITIONS"
    r"(\s+APPENDIX:.*?limitations under the License\.)?",
    re.DOTALL,
)
OTHERS = re.compile(r"Permission is hereby granted|Permission to use|Redistribution and use")


def texts(package, full):
    """Yields the licence texts of a package, with None for Apache's unless all are wanted."""
    for path in sorted(pathlib.Path(package["manifest_path"]).parent.rglob("*")):
        named = re.match(r"(?i)(licen[cs]e|copying|copyright|notice)", path.name)
        if named and path.is_file() and path.suffix not in (".rs", ".py"):
            text = path.read_text(encoding="utf-8", errors="replace")
            if not full and APACHE.search(text):
                text = APACHE.sub("(The text of /usr/share/common-licenses/Apache-2.0)", text) if OTHERS.search(text) else None
            yield text and "\n".join(line.rstrip() for line in text.expandtabs().strip().splitlines())


def copyright_of(package, found):
    """Returns those who have the copyright of a package: as its licence texts say, or else its authors."""
    lines = [
        named.group(1).strip()
        for text in found
        for line in (text or "").splitlines()
        if (named := re.match(r"(?:// )?Copyright(?: \([cC©]\)| ©)? (?!(?i:notice|holder))(.*\w.*)", line))
    ]
    return list(dict.fromkeys(lines)) or package["authors"] or [f"the developers of {package['name']}"]


def plain(packages, program, own):
    """Prints every text in full, once."""
    apache = (ROOT / "LICENSE-APACHE").read_text().strip()
    print(f"""libpusher, the server-side SDK for the Pusher Channels HTTP API as a C library

Copyright (c) {OWN_COPYRIGHT}

It is licensed under the MIT licence or the Apache License, version 2.0, at your option. The two texts are:

{own}

{"-" * 80}

{apache}


The following Rust crates are compiled into {"pusher-testserver" if program else "the library"}, under these licences:
""")
    users = {}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        found = list(dict.fromkeys(texts(package, True)))
        print(f"  {name}: {package['license'] or 'see below'}" + ("" if found else f" ({', '.join(package['authors'])})"))
        for text in found:
            users.setdefault(text, []).append(name)
    print("\nThe texts:")
    for text, names in users.items():
        print(f"\n{'-' * 80}\n{', '.join(names)}\n\n{text}")


def stanza(files, copyrights, license_, text):
    """Prints who has the copyright of some files, and the licence."""
    print("\nFiles: " + "\n       ".join(files))
    print("Copyright: " + "\n           ".join(copyrights))
    print(f"License: {license_}")
    for line in text.splitlines():
        print(f" {line}" if line else " .")


def debian(packages, program, own):
    """Prints a stanza for all crates that have the same texts."""
    print(f"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: libpusher
Source: {HOMEPAGE}
Comment: The files in vendor are the Rust crates that are compiled into
 {"pusher-testserver" if program else "the library"}, with their licences as they have them.""")
    stanza(["*"], [OWN_COPYRIGHT], "Expat or Apache-2.0", f"{own}\n\n{IN_DEBIAN}")
    alike = {}
    for package in packages:
        found = list(dict.fromkeys(texts(package, False)))
        license_ = re.sub(r"\s*/\s*| OR ", " or ", package["license"] or "see-below").replace(" AND ", " and ")
        for name, debian_name in DEBIAN_NAMES.items():
            license_ = re.sub(rf"\b{re.escape(name)}(?=$| )", debian_name, license_)
        # A crate without any text has that of the licence that it names.
        quoted = [text for text in found if text is not None] or ([own.split("\n\n", 2)[2]] if "Expat" in license_ else [])
        if None in found or "Apache-2.0" in license_:
            quoted.append(IN_DEBIAN)
        key = (tuple(copyright_of(package, found)), license_, "\n\n".join(quoted))
        alike.setdefault(key, []).append(f"vendor/{package['name']}-{package['version']}/*")
    for (copyrights, license_, text), files in alike.items():
        stanza(files, copyrights, license_, text)


def main():
    parser = arguments()
    parser.add_argument("--full", action="store_true", help="plain text, which quotes Apache's licence, too")
    given = parser.parse_args()
    show = plain if given.full else debian
    show(compiled_in(given), given.program, (ROOT / "LICENSE-MIT").read_text().strip())


main()
