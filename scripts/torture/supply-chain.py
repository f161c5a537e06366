"""Checks a bill of materials: valid by the schema, with every crate that cargo names and every one that the library shows.

supply-chain.py BILL TREE LIBRARY
"""

import copy
import importlib.resources
import json
import re
import sys

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7


def schema(name):
    return json.loads((importlib.resources.files("cyclonedx.schema") / "_res" / name).read_text(encoding="utf-8"))


def validator():
    registry = Registry()
    for name in ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"):
        resource = Resource(contents=schema(name), specification=DRAFT7)
        registry = registry.with_resource(f"http://cyclonedx.org/schema/{name}", resource)
    return jsonschema.Draft7Validator(schema("bom-1.6.SNAPSHOT.schema.json"), registry=registry)


def problems(bill, tree, library):
    """Returns what is wrong with a bill."""
    found = [error.message for error in validator().iter_errors(bill)]
    have = {(one["name"], one["version"]) for one in bill["components"]}
    # `name vVERSION`, and ` (*)` where a crate was shown before.
    want = set(re.findall(r"^(\S+) v([^ \n]+)(?: \(\*\))?$", tree, re.MULTILINE))
    # The paths of sources, which panics show.
    shown = set(re.findall(r"/registry/src/[^/]+/([a-zA-Z0-9_-]+?)-([0-9]+\.[0-9]+\.[^/]*)/", library))
    found += [f"{name} {version} is missing" for name, version in sorted((want | shown) - have)]
    references = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    found += [f"{other} is no component" for one in bill["dependencies"] for other in one["dependsOn"] if other not in references]
    found += [f"{one['name']} has no checksum" for one in bill["components"] if "hashes" not in one]
    assert len(want) > 20, tree
    return found


def main():
    with open(sys.argv[1], encoding="utf-8") as bill, open(sys.argv[2], encoding="utf-8") as tree:
        bill, tree = json.load(bill), tree.read()
    with open(sys.argv[3], "rb") as library:
        library = library.read().decode("latin-1")
    assert not problems(bill, tree, library), problems(bill, tree, library)
    # What is planted is found: a crate that is left out, and a word that the schema does not have.
    for plant in (lambda bill: bill["components"].pop(), lambda bill: bill["components"][0].update(type="crate")):
        wrong = copy.deepcopy(bill)
        plant(wrong)
        assert problems(wrong, tree, library), "a wrong bill of materials is not found"


main()
