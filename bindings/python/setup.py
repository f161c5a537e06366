"""Builds a wheel that contains the shared library and pusher-testserver, the program of libpusher.testing.

PUSHER_LIBRARY and PUSHER_TESTSERVER name their files. Without both variables, cargo builds them in a checkout. With an empty
PUSHER_LIBRARY, or outside a checkout, the wheel contains no library and uses the system's libpusher.so.0, as distributions want.
A wheel with a named library contains the program only if it is named, too; otherwise PATH must have it.

A wheel has the bills of materials of both (PEP 770): the files that PUSHER_SBOM and PUSHER_TESTSERVER_SBOM name, or in a checkout
those of packaging/sbom.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
# A build backend's path does not include the project's folder.
sys.path.insert(0, str(HERE))
from cffi_build import HEADER  # noqa: E402

CHECKOUT = HERE / "../.."
IN_CHECKOUT = (CHECKOUT / "Cargo.toml").exists()
NAMED_PROGRAM = os.environ.get("PUSHER_TESTSERVER", "")
WITH_PROGRAM = NAMED_PROGRAM != "" or (IN_CHECKOUT and {"PUSHER_LIBRARY", "PUSHER_TESTSERVER"}.isdisjoint(os.environ))
WITH_LIBRARY = os.environ.get("PUSHER_LIBRARY", "to be built" if IN_CHECKOUT else "") != ""


def version() -> str:
    """Returns the version in the header."""
    number = re.search(r"PUSHER_VERSION_NUMBER = (\d+)", HEADER.read_text(encoding="utf-8"))
    assert number is not None, HEADER
    return ".".join(str(part) for part in int(number[1]).to_bytes(3, "big"))


def library() -> Path:
    if named := os.environ.get("PUSHER_LIBRARY"):
        return Path(named)
    # As in a release: with link-time optimisation, which needs this single crate type.
    names = built("pusher", "rustc", "--release", "--lib", "--crate-type", "cdylib")
    return next(name for name in names if name.suffix in (".so", ".dylib", ".dll"))


def program() -> Path:
    if NAMED_PROGRAM:
        return Path(NAMED_PROGRAM)
    names = built("fault-server", "build", "--profile", "no-lto", "--example", "fault-server")
    return next(name for name in names if name.suffix in ("", ".exe"))


def built(target: str, command: str, *options: str) -> list[Path]:
    """Builds a target, and returns its files."""
    whole = ["cargo", command, "--locked", *options, "--message-format", "json"]
    output = subprocess.run(whole, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for message in map(json.loads, output.splitlines()):
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == target:
            return [Path(name) for name in message["filenames"]]
    raise RuntimeError(f"cargo has not built {target}")


def bills_of_materials() -> dict[str, bytes]:
    """Returns the bills of the library and of the program, as far as they are in the wheel and known."""
    bills = {}
    for name, contained, variable, option in (
        ("libpusher", WITH_LIBRARY, "PUSHER_SBOM", []),
        ("pusher-testserver", WITH_PROGRAM, "PUSHER_TESTSERVER_SBOM", ["--program"]),
    ):
        if contained and (named := os.environ.get(variable)):
            bills[name] = Path(named).read_bytes()
        elif contained and IN_CHECKOUT:
            script = [sys.executable, CHECKOUT / "packaging/sbom.py", *option]
            bills[name] = subprocess.run(script, check=True, stdout=subprocess.PIPE).stdout
    return bills


class BuildPy(build_py):
    def run(self) -> None:
        super().run()
        folder = Path(self.build_lib) / "libpusher/lib"
        # Do not use the result of an earlier build.
        shutil.rmtree(folder, ignore_errors=True)
        if WITH_LIBRARY or WITH_PROGRAM:
            folder.mkdir(parents=True)
        if WITH_PROGRAM:
            found = program()
            shutil.copy(found, folder / f"pusher-testserver{found.suffix}")
        if WITH_LIBRARY:
            found = library()
            # Its name may differ: a system's library may have its version after the suffix.
            names = {".dll": "pusher.dll", ".dylib": "libpusher.dylib"}
            shutil.copy(found, folder / names.get(found.suffix, "libpusher.so"))


class WithLibrary(Distribution):
    def has_ext_modules(self) -> bool:
        """Returns whether the wheel is for one platform only."""
        return WITH_LIBRARY or WITH_PROGRAM


class Wheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        # It contains no extension module, so it fits every Python.
        return "py3", "none", super().get_tag()[2]

    def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
        super().egg2dist(egginfo_path, distinfo_path)
        for name, bill in bills_of_materials().items():
            folder = Path(distinfo_path) / "sboms"
            folder.mkdir(exist_ok=True)
            (folder / f"{name}.cdx.json").write_bytes(bill)


class Sdist(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        shutil.copy(HEADER, base_dir)


setup(
    version=version(),
    cffi_modules=["cffi_build.py:ffi"],
    distclass=WithLibrary,
    cmdclass={"build_py": BuildPy, "bdist_wheel": Wheel, "sdist": Sdist},
)
