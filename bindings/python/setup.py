"""Builds a wheel that contains the shared library.

PUSHER_LIBRARY names the library's file. Without it, cargo builds the library in a checkout. With an empty PUSHER_LIBRARY, or
outside a checkout, the wheel contains no library and uses the system's libpusher.so.0, as distributions want.

A wheel with the library has its bill of materials (PEP 770): the file that PUSHER_SBOM names, or in a checkout that of
packaging/sbom.py.
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
    command = ["cargo", "rustc", "--release", "--locked", "--lib", "--crate-type", "cdylib", "--message-format", "json"]
    output = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for message in map(json.loads, output.splitlines()):
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == "pusher":
            return next(Path(name) for name in message["filenames"] if Path(name).suffix in (".so", ".dylib", ".dll"))
    raise RuntimeError("cargo has built no library")


def bill_of_materials() -> bytes | None:
    if named := os.environ.get("PUSHER_SBOM"):
        return Path(named).read_bytes()
    if not IN_CHECKOUT:
        return None
    script = CHECKOUT / "packaging/sbom.py"
    return subprocess.run([sys.executable, script], check=True, stdout=subprocess.PIPE).stdout


class BuildPy(build_py):
    def run(self) -> None:
        super().run()
        folder = Path(self.build_lib) / "libpusher/lib"
        # Do not use the result of an earlier build.
        shutil.rmtree(folder, ignore_errors=True)
        if WITH_LIBRARY:
            folder.mkdir(parents=True)
            found = library()
            # Its name may differ: a system's library may have its version after the suffix.
            names = {".dll": "pusher.dll", ".dylib": "libpusher.dylib"}
            shutil.copy(found, folder / names.get(found.suffix, "libpusher.so"))


class WithLibrary(Distribution):
    def has_ext_modules(self) -> bool:
        """Returns whether the wheel is for one platform only."""
        return WITH_LIBRARY


class Wheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        # It contains no extension module, so it fits every Python.
        return "py3", "none", super().get_tag()[2]

    def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
        super().egg2dist(egginfo_path, distinfo_path)
        if WITH_LIBRARY and (made := bill_of_materials()):
            folder = Path(distinfo_path) / "sboms"
            folder.mkdir()
            (folder / "libpusher.cdx.json").write_bytes(made)


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
