"""The Rust crates in the library or in pusher-testserver, for copyright.py, license.py and sbom.py in this folder."""

import argparse
import json
import pathlib
import re
import subprocess

# What is made of them is the same for every architecture, because packages of several architectures can be installed together.
TARGETS = [f"{machine}-unknown-linux-gnu" for machine in ("x86_64", "i686", "aarch64", "riscv64gc", "powerpc64le", "s390x")]
TARGETS.append("armv7-unknown-linux-gnueabihf")
ROOT = pathlib.Path(__file__).resolve().parent.parent

# The sources of pusher-testserver, which cargo builds as an example.
PROGRAM = "tools/fault-server"


def used_by_the_program(name):
    """Returns whether the sources of pusher-testserver name this crate. An example may use all crates of the tests, too, and what
    it does not name is not linked."""
    sources = {path for path in (ROOT / PROGRAM).rglob("*.rs") if path.name != "tests.rs"}
    for path in list(sources):
        text = path.read_text(encoding="utf-8")
        sources |= {(path.parent / named).resolve() for named in re.findall(r'#\[path = "(.+)"\]', text)}
    return any(re.search(rf"\b{name}::", path.read_text(encoding="utf-8")) for path in sources)


def arguments():
    """Returns a parser of the arguments that the scripts share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cargo", nargs="?", default="cargo")
    parser.add_argument("--program", action="store_true", help="pusher-testserver instead of the library")
    parser.add_argument("--target", action="append", dest="targets", help="Rust's name of a target; default: those of Linux")
    return parser


def resolve(cargo, program=False, targets=None):
    """Returns the id of libpusher, the packages by id that a build without tests compiles into it, and for each the ids that it
    uses. With `program`, those of pusher-testserver instead."""
    command = [cargo, "metadata", "--locked", "--format-version", "1"]
    for target in targets or TARGETS:
        command += ["--filter-platform", target]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    edges, todo = {}, [root]
    while todo:
        node = todo.pop()
        if node in edges:
            continue
        # Macros run in the compiler, and are not linked.
        edges[node] = [
            dep["pkg"]
            for dep in nodes[node]["deps"]
            if (
                used_by_the_program(dep["name"])
                if program and node == root
                else any(kind["kind"] is None for kind in dep["dep_kinds"])
            )
            and "proc-macro" not in packages[dep["pkg"]]["targets"][0]["kind"]
        ]
        todo += edges[node]
    return root, {identity: packages[identity] for identity in edges}, edges
