#!/usr/bin/env python3
"""Prints the licence of the library as an expression of SPDX: libpusher's own, and those of the Rust crates compiled into it.

    packaging/license.py [CARGO] [--program] [--target TARGET] [--homebrew]

With --program, that of pusher-testserver; with --homebrew, as a formula of Homebrew writes it. Where a crate leaves a choice, it
stays."""

import sys

# The source tree stays as it is.
sys.dont_write_bytecode = True
from compiled_in import arguments, resolve  # noqa: E402


def terms(packages, root):
    """Returns the terms of the expression, each a tuple of the licences to choose from. That of libpusher is the first."""
    own = alternatives(packages[root]["license"])
    found = set()
    for package in packages.values():
        license_ = package["license"]
        if not license_ or "(" in license_:
            sys.exit(f"{package['name']} has a licence that this script does not read: {license_}")
        found |= {alternatives(term) for term in license_.split(" AND ")}
    return [own, *sorted(found - {own})]


def alternatives(term):
    """Returns the licences that a term lets choose from, sorted. Older manifests separate them by a slash."""
    return tuple(sorted(term.replace("/", " OR ").split(" OR ")))


def spdx(found):
    return " AND ".join(f"({' OR '.join(term)})" if len(term) > 1 else term[0] for term in found)


def homebrew(found):
    def written(term):
        return f'"{term[0]}"' if len(term) == 1 else "{ any_of: [" + ", ".join(f'"{name}"' for name in term) + "] }"

    return "all_of: [" + ", ".join(written(term) for term in found) + "]"


def main():
    parser = arguments()
    parser.add_argument("--homebrew", action="store_true")
    given = parser.parse_args()
    root, packages, _ = resolve(given.cargo, given.program, given.targets)
    found = terms(packages, root)
    print(homebrew(found) if given.homebrew else spdx(found))


main()
