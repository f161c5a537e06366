"""The wheel, the types, and the guides' samples."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Listener

import libpusher

HERE = Path(__file__).resolve().parents[1]


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs another Python without the relevant environment variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PUSHER_")}
    return subprocess.run(
        [sys.executable, *arguments], env={**kept, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_tested_package_is_the_wheel_and_contains_the_library() -> None:
    folder = Path(libpusher.__file__).parent
    assert not folder.is_relative_to(HERE)
    assert (folder / "py.typed").exists()
    assert list((folder / "lib").iterdir())
    # Without PUSHER_LIBRARY, the process maps the library in the wheel.
    shown = python("-c", "import libpusher; print(open('/proc/self/maps').read())").stdout
    assert str(folder / "lib/libpusher.so") in shown


def test_another_library_can_be_named_and_a_wrong_one_is_an_import_error() -> None:
    failed = python("-c", "import libpusher", PUSHER_LIBRARY="/nowhere/libpusher.so")
    assert "ImportError" in failed.stderr
    assert "/nowhere/libpusher.so" in failed.stderr


def test_importing_is_quick_and_starts_nothing() -> None:
    # No C parser, no thread, no output, no socket.
    shown = python(
        "-c",
        "import sys, os, libpusher; print('pycparser' in sys.modules, len(os.listdir('/proc/self/task')), "
        "any('socket:' in os.readlink(f'/proc/self/fd/{fd}') for fd in '012' if os.path.exists(f'/proc/self/fd/{fd}')))",
    )
    assert shown.stdout.split() == ["False", "1", "False"], shown.stderr


def test_types_pass_a_strict_checker(tmp_path: Path) -> None:
    good = tmp_path / "good.py"
    good.write_text(
        "import libpusher\nfrom libpusher.aio import AsyncPusher\n"
        "client = libpusher.Pusher('1', 'k', 's', cluster='eu', retry={'mode': 'never'})\n"
        "answer: dict[str, object] = client.trigger(['a'], 'e', {'k': 1}, info='user_count')\n"
        "request: libpusher.PreparedRequest = client.prepare.trigger('a', 'e', 1)\n"
        "with client.publisher(connections=2) as publisher:\n"
        "    number: int = publisher.publish('a', 'e', 1)\n"
        "try:\n    pass\nexcept libpusher.errors.NotSent as error:\n"
        "    delivery: libpusher.Delivery | None = error.delivery\n"
        "async def trigger() -> dict[str, object]:\n"
        "    async with AsyncPusher.from_env(batching={'connections': 2}, timeout=3) as client:\n"
        "        return await client.trigger(['a'], 'e', {'k': 1}, info='user_count')\n"
    )
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import libpusher\nclient = libpusher.Pusher('1', 'k', 's', colour='red')\nclient.trigger(5, 'e', 1)\n"
        "client.publisher(connections='2')\nfrom libpusher.aio import AsyncPusher\n"
        "AsyncPusher('1', 'k', 's', colour='red')\nanswer: dict[str, object] = AsyncPusher.from_env().trigger('a', 'e', 1)\n"
    )
    mypy = ["-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    shown = python(*mypy, str(good))
    assert shown.returncode == 0, shown.stdout
    shown = python(*mypy, str(bad))
    assert [int(line) for line in re.findall(r"bad\.py:(\d+): error", shown.stdout)] == [2, 3, 4, 6, 7], shown.stdout


# Python warns of some regular expressions in the official package.
@pytest.mark.filterwarnings("ignore")
def test_calls_of_the_official_package_have_the_same_signatures() -> None:
    import pusher

    official, names = pusher.Pusher("1", "key", "secret"), []
    for name in dir(official):
        # The official calls that send a request are objects that wrap a function.
        call = getattr(official, name)
        call = getattr(call, "f", call)
        if name.startswith("_") or not callable(call):
            continue
        names.append(name)
        own = getattr(libpusher.Pusher, name)
        assert prefix(parameters(call), parameters(own)), name
    assert len(names) >= 12, names
    made = parameters(pusher.Pusher.__init__)
    assert made == parameters(libpusher.Pusher.__init__)
    assert len(made) == 13
    kinds = [name for name in pusher.errors.__dict__ if name.startswith("Pusher")]
    assert len(kinds) == 5
    for one in kinds:
        for other in kinds:
            own = issubclass(getattr(libpusher.errors, one), getattr(libpusher.errors, other))
            assert own == issubclass(getattr(pusher.errors, one), getattr(pusher.errors, other)), (one, other)


def parameters(call: Callable[..., Any]) -> list[str]:
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(call).parameters.values()
    return [parameter.name for parameter in found if parameter.kind in by_place and parameter.name != "self"]


def prefix(names: list[str], of: list[str]) -> bool:
    return of[: len(names)] == names


def blocks() -> list[str]:
    manuals = [(HERE / name).read_text(encoding="utf-8") for name in ("README.md", "../../docs/migrating.md")]
    return re.findall(r"^```python\n(.*?)^```", "\n".join(manuals), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks())))
def test_the_guides_samples_run(number: int, listen: Callable[..., Listener], tmp_path: Path) -> None:
    listener = listen()
    program = tmp_path / "sample.py"
    program.write_text(blocks()[number], encoding="utf-8")
    url = f"http://{listener.config['key']}:s3cr3t%2FCanary+&=%25%C3%A9@127.0.0.1:{listener.port}/apps/4711"
    shown = python("-W", "error", str(program), PUSHER_URL=url)
    assert (shown.returncode, shown.stderr) == (0, ""), shown
    published = listener.published()
    # All samples publish, except those that only sign.
    assert published or "trigger" not in program.read_text(encoding="utf-8")


def test_the_guides_have_samples() -> None:
    assert len(blocks()) >= 6
