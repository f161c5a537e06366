"""Runs every block of code in README.md and docs/*.md as it is written: see scripts/snippets.sh.

    snippets.py OUT [--docs FOLDER] [--only FILE]

CASES says how to run each block and what to expect. C is compiled and run against the fault server, whose ledger must then have
its events; shell commands are run; JSON is passed to the library as a configuration; and so on. A block without a case fails, and
so does a case without a block. A block is left out only if the line above it gives a reason, which is printed:
<!-- not run: REASON -->.

Before a block runs, only hosts, ports, keys and folders in it are replaced.
"""

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml
from fault_server import FaultServer

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
AROUND = ROOT / "tests" / "snippets"
MASTER_KEY = "ZUhQVldIZzduRkdZVkJzS2pPRkRYV1JyaWJJUjJiMGI="
# Languages that are not code.
OUTPUT = {"text"}
# The tests that run the blocks of a file in these languages instead. Each must name the file.
ELSEWHERE = {
    "docs/frameworks.md": {
        language: "e2e/frameworks/frameworks.test.mjs" for language in ("python", "ruby", "php", "go", "yaml", "ini")
    },
    "docs/event-loops.md": {"cpp": "scripts/bindings/cpp.sh"},
    "docs/migrating.md": {
        "cpp": "scripts/bindings/cpp.sh",
        "go": "bindings/go/readme_test.go",
        "python": "bindings/python/tests/test_package.py",
        "ruby": "bindings/ruby/test/readme_test.rb",
        "php": "bindings/php/tests/ReadmeTest.php",
    },
    "docs/observability.md": {language: "scripts/observability.sh" for language in ("python", "cpp", "yaml")},
    "docs/packaging.md": {"sh": "scripts/distribution.sh"},
    "docs/testing-your-app.md": {
        "c": "scripts/install.sh",
        "go": "scripts/bindings/go.sh",
        "php": "scripts/bindings/php.sh",
        "python": "scripts/bindings/python.sh",
        "ruby": "scripts/bindings/ruby.sh",
        "sh": "scripts/install.sh",
    },
    "bindings/go/README.md": {"go": "bindings/go/readme_test.go", "sh": "bindings/go/readme_test.go"},
    "bindings/php/README.md": {"php": "bindings/php/tests/ReadmeTest.php", "ini": "bindings/php/tests/ReadmeTest.php"},
    "bindings/python/README.md": {
        "python": "bindings/python/tests/test_package.py",
        "sh": "bindings/python/tests/test_package.py",
    },
    "bindings/ruby/README.md": {"ruby": "bindings/ruby/test/readme_test.rb"},
}


class Wrong(Exception):
    """A block does not do what its page says."""


class Block:
    def __init__(self, file, line, language, code, reason):
        self.file, self.line, self.language, self.code, self.reason = file, line, language, code, reason
        self.done = False

    def __str__(self):
        return f"{self.file}:{self.line} ({self.language or 'no language'})"


def read_blocks(name, text):
    blocks, lines, at = [], text.splitlines(), 0
    while at < len(lines):
        fence = re.match(r" *```(\S*)", lines[at])
        if not fence:
            at += 1
            continue
        end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == "```"), None)
        if end is None:
            raise Wrong(f"{name}:{at + 1}: the block has no end")
        above = next((line for line in reversed(lines[:at]) if line.strip()), "")
        mark = re.fullmatch(r" *<!-- not run: (.+) -->", above)
        if "not run" in above and not mark:
            raise Wrong(f"{name}:{at}: a mark without a reason")
        blocks.append(Block(name, at + 1, fence[1], "\n".join(lines[at + 1 : end]) + "\n", mark and mark[1]))
        at = end + 1
    return blocks


def run(command, say=None, expect=0, timeout=120, **how):
    """Runs a command with a time limit and returns its output, which must match `say`."""
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **how
    )
    if expect is not None and result.returncode != expect:
        raise Wrong(f"{command} ended with {result.returncode}:\n{result.stdout}")
    if say is not None and not re.search(say, result.stdout, re.S):
        raise Wrong(f"the output does not match {say}:\n{result.stdout}")
    return result.stdout


@contextlib.contextmanager
def program(command, until, **how):
    """Runs a program in the background. Yields it once it has printed a line that matches `until`, and ends it afterwards."""
    how.update(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, start_new_session=True)
    process = subprocess.Popen(command, **how)
    process.said, process.line = "", None
    try:
        process.line = listen(process, until)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        process.stdout.close()


def listen(process, until, seconds=60):
    """Reads until a complete line matches `until`."""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if found := re.search(rf"(?:{until}).*\n", process.said):
                return found
            if not selector.select(max(0, deadline - time.monotonic())):
                break
            part = process.stdout.read(65536)
            if not part:
                break
            process.said += part.decode(errors="replace")
    raise Wrong(f"{process.args} printed no line like {until}, but:\n{process.said}")


def published(server, port):
    """Returns the channels and names of the events that a listener has published."""
    return sorted((event["channel"], event["name"]) for event in server.applied(port))


class Runner:
    """The folders, servers and environment that the blocks run in."""

    def __init__(self, out):
        self.out = out
        self.root = out / "root"
        self.prefix = self.root / "usr" / "local"
        self.faults = FaultServer()
        tools = out / "bin"
        tools.mkdir()
        # Files that are installed for the whole system go to a folder.
        self.tool(tools / "sudo", f'DESTDIR={self.root} exec "$@"')
        self.tool(tools / "ldconfig", "exit 0")
        # Without link-time optimisation, which takes long, and in the folder where other tests have built the library.
        self.tool(
            tools / "cmake",
            f'[ "$1" != -S ] || set -- "$@" -DPUSHER_CARGO_PROFILE=no-lto '
            f'-DPUSHER_CARGO_TARGET_DIR={ROOT}/build/cargo -DPUSHER_BUILD_EXAMPLES=OFF\nexec {which("cmake")} "$@"',
        )
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PUSHER_")},
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PKG_CONFIG_PATH": str(self.prefix / "lib" / "pkgconfig"),
            "LD_LIBRARY_PATH": str(self.prefix / "lib"),
        }

    @staticmethod
    def tool(path, script):
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def folder(self, block):
        """Returns the folder of a page, where its blocks find each other's files."""
        folder = self.out / block.file.replace("/", "-")
        folder.mkdir(exist_ok=True)
        if not (folder / "c_examples").exists():
            (folder / "c_examples").symlink_to(ROOT / "c_examples")
        return folder

    def shell(self, block, folder=None, say=None, url=None, replace=(), more="", timeout=120, expect=0):
        code = block.code
        for old, new in [("build/release", str(self.out / "release")), ("/usr/local/", f"{self.prefix}/"), *replace]:
            code = code.replace(old, new)
        environment = {**self.environment, **({"PUSHER_URL": url} if url else {})}
        return run(
            ["bash", "-euo", "pipefail", "-c", code + more],
            say,
            cwd=folder or self.folder(block),
            env=environment,
            timeout=timeout,
            expect=expect,
        )

    def compile(self, source, program, *flags, language="c"):
        compiler = ["cc", "-std=c99"] if language == "c" else ["g++", "-std=c++17"]
        run(
            [
                *compiler,
                "-Wall",
                "-Wextra",
                "-Werror",
                "-pedantic",
                f"-I{self.prefix}/include",
                "-o",
                program,
                source,
                f"-L{self.prefix}/lib",
                "-lpusher",
                *flags,
            ]
        )


def which(name):
    return subprocess.run(["sh", "-c", f"command -v {name}"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


# --- how to run a block, or several that belong together ---


def against_fault_server(runner, command, folder, fault="none", say="", applied=(), expect=0, environment=()):
    port = runner.faults.listen(fault=fault)
    url = runner.faults.url(port)
    run(command, say, expect, cwd=folder, env={**runner.environment, "PUSHER_URL": url, **dict(environment)})
    got = published(runner.faults, port)
    if got != sorted(applied):
        raise Wrong(f"published: {got}, expected {sorted(applied)}")


def whole(say, applied=(), faults=()):
    """Runs a complete program against a healthy server, and against each fault in `faults`, with the expected output."""

    def check(runner, block):
        folder = runner.folder(block)
        source = folder / ("whole.c" if block.language == "c" else "whole.cpp")
        source.write_text(block.code)
        runner.compile(source, folder / "whole", language="c" if block.language == "c" else "c++")
        against_fault_server(runner, [folder / "whole"], folder, say=say, applied=applied)
        for fault, words, code, events in faults:
            against_fault_server(runner, [folder / "whole"], folder, fault, words, events, code)

    return check


def pieces(say, applied=(), faults=(), environment=(), include="", flags=(), count=0):
    """Puts pieces of C into a program, in their order, and runs it."""

    def check(runner, *blocks):
        folder = runner.folder(blocks[0])
        code = "".join(block.code for block in blocks)
        name = "piece-" + hashlib.sha256(code.encode()).hexdigest()[:8]
        port = runner.faults.listen()
        # If the piece makes its own client.
        configured = code.replace(r"\"cluster\":\"eu\"", rf"\"host\":\"127.0.0.1\",\"port\":{port},\"ssl\":false")
        configured = configured.replace(r"\"KEY\"", rf"\"{runner.faults.key}\"")
        # The configuration is a format string.
        configured = configured.replace(r"\"SECRET\"", rf"\"{runner.faults.secret}\"".replace("%", "%%"))
        (folder / f"{name}.c").write_text(
            f'#include "{AROUND}/around.h"\n{include}\nint main(void) {{\n  before();\n'
            f"{configured}\n  after();\n  return 0;\n}}\n",
            encoding="utf-8",
        )
        runner.compile(folder / f"{name}.c", folder / name, *flags)
        if configured != code:
            run(
                [folder / name],
                say,
                cwd=folder,
                env={**runner.environment, "PUSHER_URL": "http://k:s@127.0.0.1:1/apps/1", **dict(environment)},
            )
            got = published(runner.faults, port)
            if got != sorted(applied):
                raise Wrong(f"published: {got}, expected {sorted(applied)}")
            return
        against_fault_server(runner, [folder / name], folder, say=say, applied=applied, environment=environment)
        for fault, words, code, events in faults:
            against_fault_server(runner, [folder / name], folder, fault, words, events, code, environment)

    check.count = count
    return check


def webhook(runner, block):
    content = f'{{"time_ms":{int(time.time() * 1000)},"events":[]}}'
    signed = hmac.new(runner.faults.secret.encode(), content.encode(), hashlib.sha256).hexdigest()
    for body, key, says in (
        (content, runner.faults.key, "200 application/json {"),
        (content + " ", runner.faults.key, "401 text/plain WEBHOOK_INVALID"),
        (content, "other", "401 text/plain WEBHOOK_INVALID"),
    ):
        pieces(says, environment={"BODY": body, "HTTP_X_PUSHER_KEY": key, "HTTP_X_PUSHER_SIGNATURE": signed})(runner, block)


def authorization(runner, channel, sign_in):
    """Each of the endpoint's checks refuses, and each kind of channel is signed."""
    form = {"CHANNEL_NAME": "private-room", "SOCKET_ID": "1234.5678"}
    for more, says in (
        ({}, r'^200 application/json \{"auth":"[^"]+"\}\n$'),
        (
            {"CHANNEL_NAME": "presence-room"},
            r'^200 application/json \{"auth":"[^"]+","channel_data":"\{\\"user_id\\":\\"alice\\"',
        ),
        ({"CHANNEL_NAME": "private-user-alice"}, r"^200 "),
        ({"CHANNEL_NAME": "private-user-bob"}, r"^403 text/plain not your channel\n$"),
        ({"CHANNEL_NAME": "public-room"}, r"^400 .*INVALID_ARGUMENT"),
        ({"SOCKET_ID": "1234:5678"}, r"^400 .*INVALID_ARGUMENT.*socket_id"),
        ({"CHANNEL_NAME": "private-encrypted-room"}, r"ENCRYPTION.*500 text/plain cannot authorize\n$"),
        ({"NO_SESSION": "1"}, r"^401 text/plain sign in first\n$"),
    ):
        pieces(says, environment={**form, **more})(runner, channel)
    for more, says in (
        ({}, r'^200 application/json \{"auth":"[^"]+","user_data":"\{\\"id\\":\\"alice\\"'),
        ({"SOCKET_ID": "x"}, r"^400 .*INVALID_ARGUMENT.*socket_id"),
        ({"NO_SESSION": "1"}, r"^401 text/plain sign in first\n$"),
    ):
        pieces(says, environment={**form, **more})(runner, sign_in)


def endpoint(runner, build, ask, member, install):
    """Runs a real server, the example's endpoint, and a real client that signs in and subscribes to a channel of each kind."""
    save(runner, member)
    folder = runner.folder(member)
    lines = build.code.splitlines()
    with program(["node", ROOT / "tools/servers/run.mjs", "soketi"], r"PUSHER_URL=(\S+)", env=runner.environment) as server:
        environment = {**runner.environment, "PUSHER_URL": server.line[1]}
        run(["bash", "-euc", lines[0]], cwd=folder, env=environment)
        command = ["bash", "-euc", f"exec {lines[1]}".replace("--port 8080", "--port 0")]
        with program(command, r"listening on .*:(\d+)", cwd=folder, env=environment) as authorize:
            port = authorize.line[1]
            runner.shell(ask, replace=[("8080", port)], say=r'^\{"auth":"[^":]+:[0-9a-f]{64}"\} and 403\n$')
            (folder / "member.mjs").write_text(member.code.replace("8080", port))
            said = runner.shell(install, url=server.line[1], timeout=300)
            expected = [
                "signed in: alice",
                "private-room: subscribed",
                "presence-room: subscribed as alice",
                "private-encrypted-room: subscribed",
                "private-cache-room: subscribed",
                "private-user-bob: refused with 403",
            ]
            if [line.strip() for line in said.splitlines()[-len(expected) :]] != expected:
                raise Wrong(f"the client said:\n{said}")


def custom_handlers(runner, block):
    """The handlers post the fields that an endpoint expects, and pass on its response or its refusal."""
    save(runner, block)
    folder = runner.folder(block)
    (folder / "asks.mjs").write_text(
        """import { createServer } from 'node:http';
import { withCookies } from './cookies.mjs';
globalThis.csrfToken = 'token';
const server = createServer((request, response) => {
  let form = '';
  request.on('data', (part) => (form += part));
  request.on('end', () => {
    const { 'x-csrf-token': token, 'content-type': type } = request.headers;
    console.log(request.method, request.url, form, token, type);
    response.statusCode = form.includes('private-other') ? 403 : 200;
    response.end('{"auth":"k:s"}');
  });
}).listen(0, '127.0.0.1', async () => {
  const options = withCookies(`http://127.0.0.1:${server.address().port}`);
  const ask = (kind, fields) =>
    new Promise((done) => options[kind].customHandler(fields, (error, data) => done(error ? error.message : data.auth)));
  console.log(await ask('channelAuthorization', { socketId: '1.2', channelName: 'private-a' }));
  console.log(await ask('channelAuthorization', { socketId: '1.2', channelName: 'private-other' }));
  console.log(await ask('userAuthentication', { socketId: '1.2' }));
  server.close();
});
"""
    )
    said = run(["node", "asks.mjs"], cwd=folder)
    form = r"token application/x-www-form-urlencoded\S*\n"
    expected = (
        rf"POST /pusher/auth socket_id=1.2&channel_name=private-a {form}k:s\n"
        rf"POST /pusher/auth socket_id=1.2&channel_name=private-other {form}http://\S+/pusher/auth responded with 403\n"
        rf"POST /pusher/user-auth socket_id=1.2 {form}k:s\n"
    )
    if not re.fullmatch(expected, said.replace(";charset=UTF-8", "")):
        raise Wrong(f"the handlers said:\n{said}")


def error_document(runner, block):
    """A server that responds with 401 leads to this document, except for the wording of its message."""
    folder = runner.folder(block)
    (folder / "document.c").write_text(
        "#include <pusher.h>\n#include <stdio.h>\nint main(void) {\n  Pusher *client;\n  char *out;\n"
        "  if (pusher_new(NULL, &client, &out) != PUSHER_STATUS_OK) return 1;\n"
        '  pusher_trigger(client, "my-channel", "my-event", "1", NULL, &out);\n  puts(out);\n'
        "  pusher_string_free(out);\n  pusher_free(client);\n  return 0;\n}\n"
    )
    runner.compile(folder / "document.c", folder / "document")
    url = runner.faults.url(runner.faults.listen(fault="status-401"))
    got = json.loads(run([folder / "document"], env={**runner.environment, "PUSHER_URL": url}))
    shown = json.loads(block.code)
    for document in (got, shown):
        del document["error"]["message"]
    if got != shown:
        raise Wrong(f"the document is {got}")


def wait_for_request(runner, port):
    """Waits until a program has sent a request."""
    deadline = time.monotonic() + 20
    while not runner.faults.attempts(port):
        if time.monotonic() > deadline:
            raise Wrong("it sends no request")
        time.sleep(0.05)


def shutting_down(runner, block):
    """SIGTERM ends the program after its events have ended. With too little time, each of them is still reported."""
    folder = runner.folder(block)
    for fault, timeout, code, says in (
        ("none", "3000", 0, "^close: OK\n$"),
        ("silence-after-request", "3000", 0, r'^close: OK\n\{"reports":\[\{"id":1,.*"delivery":"unknown","cause":"timeout"'),
        ("silence-after-request", "300", 1, r'^close: TIMED_OUT\n.*"unknown","reason":"closed".*"not_sent","reason":"closed"'),
    ):
        source = folder / file_of(block)
        source.write_text(block.code.replace("publisher, 3000", f"publisher, {timeout}"))
        runner.compile(source, folder / "ticker")
        port = runner.faults.listen(fault=fault)
        environment = {**runner.environment, "PUSHER_URL": runner.faults.url(port)}
        process = subprocess.Popen([folder / "ticker"], stdout=subprocess.PIPE, text=True, env=environment)
        wait_for_request(runner, port)
        time.sleep(1.5)
        process.terminate()
        said = process.communicate(timeout=30)[0]
        if process.returncode != code or not re.search(says, said, re.S):
            raise Wrong(f"with {fault} it ended with {process.returncode}:\n{said}")


def cancelling(runner, block):
    """SIGTERM ends a call that waits for a silent server."""
    folder = runner.folder(block)
    source = folder / "stop.c"
    source.write_text(block.code)
    runner.compile(source, folder / "stop")
    port = runner.faults.listen(fault="silence-after-request")
    environment = {**runner.environment, "PUSHER_URL": runner.faults.url(port)}
    process = subprocess.Popen([folder / "stop"], stdout=subprocess.PIPE, text=True, env=environment)
    wait_for_request(runner, port)
    start = time.monotonic()
    process.terminate()
    said = process.communicate(timeout=30)[0]
    took = time.monotonic() - start
    # Without the signal it would take five seconds.
    if process.returncode != 1 or took > 3 or not re.search('^DELIVERY_UNKNOWN .*"cause":"cancelled"', said):
        raise Wrong(f"it ended with {process.returncode} after {took} s:\n{said}")


def shell(**how):
    return lambda runner, block: runner.shell(block, **how)


def install(runner, block):
    runner.shell(block, folder=ROOT, timeout=1200)
    for file in ("include/pusher.h", "include/pusher.hpp", "lib/libpusher.so", "lib/libpusher.a", "lib/pkgconfig/pusher.pc"):
        if not (runner.prefix / file).exists():
            raise Wrong(f"{file} is not installed")


def install_without_root(runner, block):
    """Installs the library below HOME, where a program that is linked with the page's flags finds it."""
    folder, home = runner.folder(block), runner.out / "home"
    (folder / "version.c").write_text(
        "#include <pusher.h>\n#include <stdio.h>\nint main(void) { return puts(pusher_version()) < 0; }\n"
    )
    check = (
        f'cd "{folder}"\ncc version.c $LDFLAGS $(pkg-config --cflags --libs pusher) -o version\n'
        "env -u LD_LIBRARY_PATH ldd ./version | grep -F libpusher.so.0\nenv -u LD_LIBRARY_PATH ./version\n"
    )
    said = runner.shell(block, folder=ROOT, more=check, say=r"\d+\.\d+\.\d+\n", replace=[("$HOME", str(home))], timeout=1200)
    if f"{home}/.local/lib/libpusher.so.0" not in said:
        raise Wrong(f"the program finds another library:\n{said}")


def demo(runner, block):
    """The first command shows that an event arrives; the second runs this test."""
    commands = [line.partition("#")[0].strip() for line in block.code.splitlines()]
    if commands != ["make demo", "make test"]:
        raise Wrong(f"unexpected commands: {commands}")
    # Build as a newcomer would, without the replacements for sudo and cmake.
    environment = {**runner.environment, "PATH": os.environ["PATH"], "DEMO_SERVER": "soketi"}
    run(commands[0], r"received   my-event on my-channel\n +\{\"message\"", cwd=ROOT, env=environment, timeout=1200, shell=True)


def is_a_url(runner, block):
    """The exported URL is a valid configuration."""
    folder = runner.folder(block)
    (folder / "takes.c").write_text(
        "#include <pusher.h>\n#include <stdio.h>\nint main(void) {\n  Pusher *client;\n  char *out;\n"
        "  if (pusher_new(NULL, &client, &out) != PUSHER_STATUS_OK) return puts(out), 1;\n"
        "  pusher_free(client);\n  return 0;\n}\n"
    )
    runner.compile(folder / "takes.c", folder / "takes")
    runner.shell(block, more="./takes\n")


def configuration(runner, block):
    """The JSON is a valid configuration."""
    json.loads(block.code)
    folder = runner.folder(block)
    (folder / "configures.c").write_text(
        "#include <pusher.h>\n#include <stdio.h>\nint main(int argc, char **argv) {\n  Pusher *client;\n  char *out;\n"
        "  if (argc != 2 || pusher_new(argv[1], &client, &out) != PUSHER_STATUS_OK) return puts(out), 1;\n"
        "  pusher_free(client);\n  return 0;\n}\n"
    )
    runner.compile(folder / "configures.c", folder / "configures")
    run([folder / "configures", block.code], env=runner.environment)


def consumer(runner, block, hello_c):
    folder = runner.folder(block) / "consumer"
    folder.mkdir()
    (folder / "server.c").write_text(hello_c.code)
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(consumer C)\nadd_executable(my_server server.c)\n" + block.code
    )
    run(["cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={runner.prefix}"])
    run(["cmake", "--build", folder / "build"])
    against_fault_server(
        runner, [folder / "build" / "my_server"], folder, say="delivered: {}", applied=[("my-channel", "my-event")]
    )


def one_program(runner, hello_c, build):
    """The program's event reaches the subscriber of `make listen`, and it reports failures."""
    (runner.folder(build) / "hello.c").write_text(hello_c.code)
    environment = {**runner.environment, "PATH": os.environ["PATH"], "DEMO_SERVER": "soketi"}
    with program(["make", "listen"], r"export PUSHER_URL=(\S+)", cwd=ROOT, env=environment) as subscriber:
        runner.shell(build, say=r"^delivered: \{", url=subscriber.line[1])
        listen(subscriber, r"my-event on my-channel")
    whole(
        "delivered: {}",
        [("my-channel", "my-event")],
        [
            ("status-401", "UNAUTHORIZED: .*rejected", 1, []),
            ("fin-after-request-applied", "DELIVERY_UNKNOWN: .*unknown", 1, [("my-channel", "my-event")]),
        ],
    )(runner, hello_c)


def file_of(block):
    """Returns the file name in a block's first line."""
    return re.search(r"[\w.]+\.\w+", block.code.splitlines()[0])[0]


def save(runner, *blocks):
    for block in blocks:
        (runner.folder(block) / file_of(block)).write_text(block.code)


def from_nothing_to_a_received_event(runner, subscriber, commands, hello_c, build_c, hello_cpp, build_cpp, hello_lua, run_lua):
    """Runs a real server, a real subscriber, and the programs in C, C++ and Lua, with the guide's commands."""
    save(runner, subscriber, hello_c, hello_cpp, hello_lua)
    folder = runner.folder(subscriber)
    with program(["node", ROOT / "tools/servers/run.mjs", "soketi"], r"PUSHER_URL=(\S+)", env=runner.environment) as server:
        url = server.line[1]
        prepared = commands.code.splitlines()
        run(["bash", "-euc", "\n".join(prepared[:-1])], cwd=folder, env=runner.environment, timeout=300)
        for block, says in ((build_c, r"^delivered: \{"), (build_cpp, "^$"), (run_lua, r"^OK\s+\{")):
            with program(
                prepared[-1].split(), "subscribed", cwd=folder, env={**runner.environment, "PUSHER_URL": url}
            ) as waiting:
                runner.shell(block, say=says, url=url)
                listen(waiting, r"received: \{ hello: 'world' \}")
                waiting.wait(30)
    whole(
        "delivered: {}",
        [("my-channel", "my-event")],
        [("status-401", "^not delivered: .*UNAUTHORIZED", 1, []), ("fin-after-request", "^it may have been delivered: ", 1, [])],
    )(runner, hello_c)
    whole("^$", [("my-channel", "my-event")], [("status-401", "401", 1, []), ("fin-after-request", ".", 2, [])])(
        runner, hello_cpp
    )


def receiver(runner, build, post):
    """Builds and runs the receiver with the guide's commands, and posts to it."""
    lines = build.code.splitlines()
    folder = runner.folder(build)
    run(["bash", "-euc", lines[0]], cwd=folder, env=runner.environment)
    assignment, *command = lines[1].split()
    command = ["0" if word == "8081" else word for word in command]
    environment = {**runner.environment, assignment.partition("=")[0]: assignment.partition("=")[2]}
    with program(command, r"listening on .*:(\d+)", cwd=folder, env=environment) as server:
        port = server.line[1]
        runner.shell(post, replace=[("8081", port)])
        listen(server, r'\{"name":"channel_occupied","channel":"my-channel"\}')
        runner.shell(post, replace=[("8081", port), ("SECRET", "OTHER")], expect=22)
        listen(server, "WEBHOOK_INVALID")


def real_server(runner, block):
    trigger = runner.folder(block) / "trigger"
    runner.compile(ROOT / "c_examples/trigger.c", trigger)
    runner.shell(block, folder=ROOT, replace=[("build/demo/trigger", str(trigger))], say=r"\{")


def preforking(runner, folder, command, environment, stop=signal.SIGTERM):
    """Each page publishes twice. All events have arrived after the server has ended."""
    port = runner.faults.listen()
    url = runner.faults.url(port)
    with program(
        command,
        r"istening (?:at|on)\D*127\.0\.0\.1:(\d+)",
        cwd=folder,
        env={**runner.environment, **environment, "PUSHER_URL": url},
    ) as server:
        pids, said = [], ""
        try:
            # Requests wait in the kernel's queue until the workers have started.
            for _ in range(6):
                with urllib.request.urlopen(f"http://127.0.0.1:{server.line[1]}/", timeout=60) as answer:
                    pids.append(answer.read().decode())
        except OSError as error:
            said = f"{error}\n"
        server.send_signal(stop)
        said += server.communicate(timeout=60)[0].decode(errors="replace")
    if len(pids) != 6 or str(server.pid) in pids:
        raise Wrong(f"{command[0]}, {server.pid}: pages of {pids}\n{server.said}{said}")
    got = published(runner.faults, port)
    if got != sorted([("my-channel", "waited-for")] * 6 + [("my-channel", "in-the-background")] * 6):
        raise Wrong(f"{command[0]} published: {got}\n{server.said}{said}")


def gunicorn(runner, app, settings):
    folder = runner.folder(app)
    save(runner, app, settings)
    package = runner.out / "python"
    run(["cp", "-R", ROOT / "bindings/python/src", package])
    run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '{ROOT}/bindings/python')\n"
            f"import cffi_build; cffi_build.ffi.emit_python_code('{package}/libpusher/_native.py')",
        ]
    )
    command = app.code.splitlines()[0].partition(": ")[2].split()
    preforking(
        runner,
        folder,
        [*command, "--bind", "127.0.0.1:0"],
        {"PYTHONPATH": str(package), "PUSHER_LIBRARY": str(runner.prefix / "lib/libpusher.so.0"), "PYTHONUNBUFFERED": "1"},
    )


def ruby(runner, puma, app, unicorn):
    folder = runner.folder(app)
    save(runner, puma, app, unicorn)
    environment = {"RUBYLIB": str(ROOT / "bindings/ruby/lib"), "PUSHER_LIBRARY": str(runner.prefix / "lib/libpusher.so.0")}
    for block, bind, stop in (
        (puma, ["-b", "tcp://127.0.0.1:0"], signal.SIGTERM),
        (unicorn, ["-l", "127.0.0.1:0"], signal.SIGQUIT),
    ):
        command = block.code.splitlines()[0].partition(": ")[2].split()
        preforking(runner, folder, [*command, *bind], environment, stop)


def php(runner, block):
    folder = runner.folder(block)
    (folder / "page.php").write_text(block.code)
    against_fault_server(
        runner,
        ["php", "-d", "ffi.enable=true", "-d", f"auto_prepend_file={ROOT}/bindings/php/autoload.php", folder / "page.php"],
        folder,
        say=r"^\d+\n$",
        applied=[("my-channel", "from-php")],
        environment={"PUSHER_LIBRARY": str(runner.prefix / "lib/libpusher.so.0")},
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def nginx(folder, *pages):
    """Runs nginx with these files of its configuration."""
    temporary = "".join(f"{name}_temp_path {name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        "daemon off; pid nginx.pid; error_log stderr notice; events {}\n"
        f"http {{ access_log off; {temporary}\n" + "\n".join(pages) + "\n}\n"
    )
    command = ["/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]
    with program(command, "start worker process") as server:
        yield server


def publishes(runner, folder, block, says, **changes):
    """Publishes with the JSON of a block, in which only hosts, ports, keys and folders are changed."""
    if not (folder / "publishes").exists():
        (folder / "publishes.c").write_text(
            "#include <pusher.h>\n#include <stdio.h>\nint main(int argc, char **argv) {\n  Pusher *client;\n  char *out;\n"
            "  PusherStatus status;\n"
            "  if (argc != 2 || pusher_new(argv[1], &client, &out) != PUSHER_STATUS_OK) return puts(out), 1;\n"
            '  status = pusher_trigger(client, "my-channel", "my-event", "1", NULL, &out);\n'
            '  printf("%s %s\\n", pusher_status_name(status), out);\n'
            "  pusher_string_free(out);\n  pusher_free(client);\n  return 0;\n}\n"
        )
        runner.compile(folder / "publishes.c", folder / "publishes")
    config = {**json.loads(block.code.replace("/etc/ssl/our-ca.pem", "ca.pem").replace("/etc/ssl/", "")), **changes}
    run([folder / "publishes", json.dumps(config)], says, cwd=folder, env=runner.environment)


def private_certificates(runner, authority, server, soketi, tls, trusted, self_signed, self_trusted, client, required, both):
    """Makes the certificates, and publishes to soketi and through nginx, with and without a client certificate."""
    folder = runner.folder(authority)
    for block in (authority, server, self_signed, client):
        runner.shell(block)
    node, script = run([ROOT / "tools/servers/get-soketi.sh"], env=runner.environment).split()[-2:]
    port = free_port()
    started = soketi.code.replace("soketi start", f"exec {node} {script} start")
    environment = {
        **runner.environment,
        "SOKETI_HOST": "127.0.0.1",
        "SOKETI_PORT": str(port),
        "SOKETI_METRICS_SERVER_PORT": str(free_port()),
    }
    keys = {"app_id": "app-id", "key": "app-key", "secret": "app-secret"}
    with program(["bash", "-euc", started], "up and running", cwd=folder, env=environment):
        publishes(runner, folder, trusted, r'^OK \{"ok":true\}', host="localhost", port=port, **keys)
    behind = runner.faults.listen()
    port = free_port()
    page = tls.code.replace("443", str(port)).replace("6001", str(behind)).replace("/etc/nginx/", f"{folder}/")
    keys = {"app_id": "1", "key": runner.faults.key, "secret": runner.faults.secret, "host": "localhost", "port": port}
    with nginx(folder, page):
        publishes(runner, folder, trusted, "^OK {}", **keys)
        publishes(runner, folder, self_trusted, "^NOT_SENT .*UnknownIssuer", **keys)
    with nginx(folder, page.replace("/server.", "/self.")):
        publishes(runner, folder, self_trusted, "^OK {}", **keys)
    more = required.code.replace("/etc/nginx/", f"{folder}/")
    with nginx(folder, page.replace("location", f"{more}\nlocation")):
        publishes(runner, folder, both, "^OK {}", **keys)
        publishes(runner, folder, trusted, "^BAD_REQUEST .*No required SSL certificate was sent", **keys)
    got = published(runner.faults, behind)
    if got != EVENT * 3:
        raise Wrong(f"published: {got}")


def unix_socket(runner, page, config):
    """nginx passes on what arrives at its socket."""
    folder = runner.folder(page)
    behind = runner.faults.listen()
    with tempfile.TemporaryDirectory() as short:
        path = f"{short}/channels.sock"
        with nginx(folder, page.code.replace("/run/nginx/channels.sock", path).replace("6001", str(behind))):
            publishes(runner, folder, config, "^OK {}", key=runner.faults.key, secret=runner.faults.secret, unix_socket=path)
    if published(runner.faults, behind) != EVENT:
        raise Wrong("nothing was published")


EVENT = [("my-channel", "my-event")]
CURL = {"include": f'#include "{AROUND}/http.h"', "flags": ["-lcurl"]}

# A page; a string that occurs in this block only, or several strings for blocks that belong together; and the check. They run in
# this order: first, README.md's commands install the library.
CASES = [
    ("README.md", ["make demo"], demo),
    ("README.md", ["cmake -S . -B"], install),
    ("README.md", ["int main(void)", "cc hello.c"], one_program),
    ("docs/getting-started.md", ["export PUSHER_URL"], is_a_url),
    ("docs/getting-started.md", ["sudo cmake --install"], install),
    ("docs/getting-started.md", ["prefix=$HOME/.local"], install_without_root),
    ("docs/getting-started.md", ["find_package(Pusher", "/* hello.c */"], consumer),
    (
        "docs/getting-started.md",
        [
            "// subscribe.mjs",
            "npm install",
            "/* hello.c */",
            "cc hello.c",
            "// hello.cpp",
            "g++",
            "-- hello.lua",
            "luajit hello.lua",
        ],
        from_nothing_to_a_received_event,
    ),
    ("docs/authorization.md", ["POST /pusher/auth.", "POST /pusher/user-auth"], authorization),
    (
        "docs/authorization.md",
        ["POST /pusher/auth with"],
        pieces(
            r'^200 application/json \{"private-news":\{"status":200,"data":\{"auth":"[^"]+"\}\},"news":\{"status":400,"error":\{'
            r'.*\},"presence-room":\{"status":200,"data":\{"auth":"[^"]+","channel_data":"\{\\"user_id\\":\\"7\\"\}"\}\}\}\n$'
        ),
    ),
    ("docs/authorization.md", ["cc c_examples/authorize.c", "curl -sS", "// member.mjs", "npm install"], endpoint),
    ("docs/authorization.md", ["// cookies.mjs"], custom_handlers),
    ("docs/errors.md", ['"server_code": "401"'], error_document),
    (
        "docs/errors.md",
        ["/* publish.c */"],
        whole(
            "^OK: done\n$",
            EVENT,
            [
                ("status-401", "^UNAUTHORIZED: fix the setup\n[^\n]+\n$", 1, []),
                ("refused", "^NOT_SENT: retry later\n[^\n]+\nthe same call may succeed in 1000 ms\n$", 1, []),
                (
                    "fin-after-request-applied",
                    "^DELIVERY_UNKNOWN: retry if twice is fine\n.+\nthe event may have been delivered\n$",
                    1,
                    EVENT,
                ),
            ],
        ),
    ),
    (
        "docs/errors.md",
        ["up to 10,000 names"],
        pieces("^OK\n$", applied=[("orders", "created"), ("stock", "created")]),
    ),
    (
        "docs/errors.md",
        ["/* log.c */"],
        whole("^$", EVENT, [("status-401", r'^WARN [^{]+ \{"call":"trigger","duration_us":\d+,"status":"UNAUTHORIZED",', 1, [])]),
    ),
    ("docs/errors.md", ["/* ticker.c */"], shutting_down),
    ("docs/errors.md", ["/* stop.c */"], cancelling),
    ("docs/encryption.md", ["openssl rand"], shell(say=r"^[\w+/]{43}=\n$")),
    (
        "docs/encryption.md",
        ["snprintf", "pusher_trigger(", "pusher_authenticate("],
        pieces(
            r'^OK\n200 application/json \{"auth":"[^"]*","shared_secret":"[^"]{44}"\}\n$',
            [("private-encrypted-orders", "created")],
            environment={"MASTER_KEY": MASTER_KEY},
        ),
    ),
    (
        "docs/event-loops.md",
        ["pusher_prepare", "pusher_finish"],
        pieces(
            "^OK {}\n$",
            EVENT,
            [
                ("fin-after-request-applied", "^DELIVERY_UNKNOWN .*unknown", 0, EVENT),
                ("refused", "^NOT_SENT .*not_sent", 0, []),
                ("status-401", "^UNAUTHORIZED .*rejected", 0, []),
            ],
            **CURL,
        ),
    ),
    (
        "docs/forking-servers.md",
        ["fork()"],
        pieces("^OK 0\n$", [("my-channel", "from-child"), ("my-channel", "from-child"), ("my-channel", "from-parent")]),
    ),
    ("docs/forking-servers.md", ["# app.py", "# gunicorn.conf.py"], gunicorn),
    ("docs/forking-servers.md", ["# puma.rb", "# app.ru", "# unicorn.rb"], ruby),
    ("docs/forking-servers.md", ["<?php"], php),
    ("docs/publisher.md", ["/* in the loop */"], pieces("^$", [("prices", "tick")])),
    ("docs/publisher.md", ["conflate"], pieces("^$", [("prices", "tick")])),
    ("docs/publisher.md", ["pusher_publisher_drain"], pieces("^$", [])),
    (
        "docs/private-certificates.md",
        [
            "# authority",
            "# server",
            "soketi start",
            "# tls.conf",
            '/our-ca.pem"\n}',
            "# self-signed",
            '"self.pem"',
            "# client\n",
            "# client-certificates.conf",
            '"client_key_file"',
        ],
        private_certificates,
    ),
    (
        "docs/publisher.md",
        ["scrape_configs"],
        lambda runner, block: yaml.safe_load(block.code)["scrape_configs"][0]["static_configs"],
    ),
    ("docs/servers.md", ['"server": "soketi"'], configuration),
    ("docs/servers.md", ["export PUSHER_URL"], is_a_url),
    ("docs/servers.md", ['"ca_file"'], configuration),
    ("docs/servers.md", ["run.mjs"], real_server),
    ("docs/servers.md", ["# socket.conf", '"unix_socket"'], unix_socket),
    ("docs/servers.md", ['"path"'], configuration),
    ("docs/servers.md", ['"channel_characters"'], configuration),
    ("docs/servers.md", ['"max_data_bytes"'], configuration),
    ("docs/webhooks.md", ["pusher_validate_webhook"], webhook),
    ("docs/webhooks.md", ['"webhook_tokens"'], configuration),
    ("docs/webhooks.md", ["cc c_examples/webhook.c", "openssl dgst"], receiver),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--docs", type=pathlib.Path, default=ROOT)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    names = ["README.md", *sorted(str(file.relative_to(arguments.docs)) for file in arguments.docs.glob("docs/*.md"))]
    pages = [(name, arguments.docs / name) for name in names] + [(name, ROOT / name) for name in ELSEWHERE if name not in names]
    every = [block for name, page in pages for block in read_blocks(name, page.read_text(encoding="utf-8"))]
    elsewhere = [block for block in every if block.language in ELSEWHERE.get(block.file, {})]
    blocks = [block for block in every if block not in elsewhere]
    runner = Runner(arguments.out)
    wrong = []
    try:
        for file, texts, check in CASES:
            found = [
                [block for block in blocks if block.file == file and text in block.code and not block.reason] for text in texts
            ]
            if any(len(some) != 1 for some in found):
                wrong.append(f"{file}: not exactly one block each contains: {', '.join(texts)}")
                continue
            found = [some[0] for some in found]
            for block in found:
                block.done = True
            # The other pages use the library that README.md installs.
            if arguments.only not in (None, file) and (file, check) != ("README.md", install):
                continue
            start = time.monotonic()
            try:
                check(runner, *found)
            except (Wrong, subprocess.TimeoutExpired, ValueError) as error:
                wrong.append(f"{', '.join(map(str, found))}: {error}")
                continue
            print(f"   ran {', '.join(map(str, found))} ({time.monotonic() - start:.1f} s)", flush=True)
    finally:
        runner.faults.close()
    for block in every:
        by = ELSEWHERE.get(block.file, {}).get(block.language)
        if block.reason:
            print(f"   not run: {block}: {block.reason}")
        elif by:
            if pathlib.Path(block.file).stem not in (ROOT / by).read_text(encoding="utf-8"):
                wrong.append(f"{block}: {by} does not name {block.file}")
        elif not block.done and block.language not in OUTPUT:
            wrong.append(f"{block}: nothing runs it")
    print(f"   {sum(block.done for block in blocks)} blocks ran here, {len(elsewhere)} run by the tests of their languages")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
