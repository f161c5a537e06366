"""Builds a wheel that carries the shared library.

The library is the file that PUSHER_LIBRARY names; in a checkout, without it, the one that cargo builds. With an empty
PUSHER_LIBRARY, or outside of a checkout, the wheel carries none and uses the system's libpusher.so.0: that is for distributions.
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
# A build backend does not have the project's own folder there.
sys.path.insert(0, str(HERE))
from cffi_build import HEADER  # noqa: E402

CHECKOUT = HERE / "../.."
IN_CHECKOUT = (CHECKOUT / "Cargo.toml").exists()
WITH_LIBRARY = os.environ.get("PUSHER_LIBRARY", "to be built" if IN_CHECKOUT else "") != ""


def version() -> str:
    """That of the header."""
    number = re.search(r"PUSHER_VERSION_NUMBER = (\d+)", HEADER.read_text(encoding="utf-8"))
    assert number is not None, HEADER
    return ".".join(str(part) for part in int(number[1]).to_bytes(3, "big"))


def library() -> Path:
    if named := os.environ.get("PUSHER_LIBRARY"):
        return Path(named)
    # As for distribution: with link-time optimisation, which needs this crate type alone.
    command = ["cargo", "rustc", "--release", "--locked", "--lib", "--crate-type", "cdylib", "--message-format", "json"]
    output = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for message in map(json.loads, output.splitlines()):
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == "pusher":
            return next(Path(name) for name in message["filenames"] if Path(name).suffix in (".so", ".dylib", ".dll"))
    raise RuntimeError("cargo has built no library")


class BuildPy(build_py):
    def run(self) -> None:
        super().run()
        folder = Path(self.build_lib) / "libpusher/lib"
        # What an earlier build has left must not be taken for that of this one.
        shutil.rmtree(folder, ignore_errors=True)
        if WITH_LIBRARY:
            folder.mkdir(parents=True)
            found = library()
            # Whatever it is called there: a system's may have its version behind the suffix.
            names = {".dll": "pusher.dll", ".dylib": "libpusher.dylib"}
            shutil.copy(found, folder / names.get(found.suffix, "libpusher.so"))


class WithLibrary(Distribution):
    def has_ext_modules(self) -> bool:
        """Whether the wheel is for one platform only."""
        return WITH_LIBRARY


class Wheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        # No extension module is in it: it fits every Python.
        return "py3", "none", super().get_tag()[2]


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
