"""Builds the wheel. Its version is the library's, which is written in the header only."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
# A checkout has the header that the library is built with; a source distribution contains a copy.
HEADER = next(path for path in (HERE / "../../include/pusher.ffi.h", HERE / "pusher.ffi.h") if path.exists())


class Sdist(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        shutil.copy(HEADER, base_dir)


number = re.search(r"PUSHER_VERSION_NUMBER = (\d+)", HEADER.read_text(encoding="utf-8"))
assert number is not None, HEADER
version = ".".join(str(part) for part in int(number[1]).to_bytes(3, "big"))
setup(version=version, install_requires=[f"libpusher=={version}"], cmdclass={"sdist": Sdist})
