#!/usr/bin/env python3
"""Tests mutants for scripts/torture/mutants.sh: mutants.py FOLDER [CARGO_MUTANTS [FILE…]]

cargo-mutants makes the mutants, but compiles each of them alone. Here one build holds nearly all: a function has each of its
mutated bodies beside its own, and an environment variable chooses. A mutant that does not compile in that way is compiled alone.

FOLDER/tree is a copy of the sources. The results are in FOLDER/results, by file, and are kept: a mutant stays caught until the
code of its file changes, and one that no test caught is tested again after a change of any source. Without CARGO_MUTANTS it only
prints the sum of the results.
"""

import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

# Signing, validation, the classification of deliveries, retries, the boundary; and the tests beside those of the module that are
# most likely to catch a mutant of the file.
FILES = {
    "src/http/failure.rs": "binary(abi) and test(/^(responses|transports|circuit)::/)",
    "src/error.rs": "binary(abi) and test(/^(responses|arguments|documents|configuration)::/)",
    "src/ffi/boundary.rs": "(binary(abi) and test(/^(arguments|answers|documents|panics|responses)::/))"
    " or (binary(publisher) and test(/^(arguments|reports|stats)::/))",
    "src/retry.rs": "binary(abi) and test(/^(retries|idempotency|stats|configuration)::/)",
    "src/webhook.rs": "(binary(abi) and test(/^(webhooks|encryption)::/)) or (binary(out_of_memory) and test(webhooks))",
    "src/client/attempts.rs": "(binary(abi) and test(/^(retries|idempotency|circuit|fan_out|observer|stats)::/))"
    " or (binary(publisher) and test(/^(circuit|reports|retries)::/)) or test(/^cancellation::/)",
    "src/authorization.rs": "binary(abi) and test(/^(authorization|signatures|vectors)::/)",
    "src/validation.rs": "binary(abi) and test(/^(arguments|authorization|vectors)::/)",
    "src/signing.rs": "binary(abi) and test(/^(signatures|vectors|secrecy)::/)",
    "src/api/interpret.rs": "(binary(abi) and test(/^(responses|headers|transports|secrecy|retries)::/))"
    " or (binary(out_of_memory) and test(responses))",
}
JUSTIFIED = pathlib.Path("tests/torture/mutants.txt")
CHOICE = "PUSHER_MUTANT"
MODULE = """
/// Chooses the mutant of scripts/torture/mutants.py.
pub mod mutant {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CHOSEN: AtomicU32 = AtomicU32::new(u32::MAX);
    /// Returns the number of the chosen mutant, or 0.
    #[inline(never)]
    pub fn chosen() -> u32 {
        let chosen = CHOSEN.load(Ordering::Relaxed);
        if chosen != u32::MAX {
            return chosen;
        }
        let read = std::env::var("PUSHER_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        CHOSEN.store(read, Ordering::Relaxed);
        read
    }
}
"""
# Mutants leave variables unused.
ALLOW = "#![allow(warnings)]\n"
# What compiles together for a stage.
TESTS = ["--test=abi", "--test=network", "--test=publisher", "--test=process", "--test=out_of_memory"]
TARGETS = {1: ["--lib"], 2: TESTS, 4: ["--lib", *TESTS]}
# The files with mutants that only a search of memory can find, in the optimized library.
SEARCHED = ["src/signing.rs"]
SEARCH = 3
LAST = max(TARGETS)
# Tests that take seconds.
LONG_TESTS = (
    "test(/^(time_limits::|configuration::each_(key|option)|signatures::(every_changed|no_two)|encryption::a_hundred_thousand"
    "|sans_io::a_(body|response)|arguments::(nesting|a_million)|authorization::tests::a_signature_is_for)/)"
)


def selection(file: str, stage: int) -> str:
    """Returns the tests of a stage, as nextest selects them."""
    module = file.removeprefix("src/").removesuffix(".rs").replace("/", "::")
    units = f"(kind(lib) and test(/^{module}::/) and not {LONG_TESTS})"
    functions = f"(({FILES[file]}) and not {LONG_TESTS})"
    return {1: units, 2: functions, LAST: f"not ({units} or {functions})"}[stage]


def results_of(folder: pathlib.Path, file: str) -> pathlib.Path:
    """Returns the place of a file's results."""
    return folder / "results" / (file.replace("/", "-") + ".json")


def code_hash(source: str) -> str:
    """Returns the hash of a file without its tests."""
    return hashlib.sha256(source.split("\nmod tests {\n")[0].encode()).hexdigest()[:16]


class Text:
    """A source file, addressed by lines and columns."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = [0]
        for line in text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def at(self, place: dict[str, int]) -> int:
        """Returns the index of a place, which counts characters from 1."""
        return self.lines[place["line"] - 1] + place["column"] - 1

    def mutated(self, mutant: dict, start: int, end: int) -> str:
        """Returns a part of the text with a mutant in it."""
        first, last = self.at(mutant["span"]["start"]), self.at(mutant["span"]["end"])
        return f"{self.text[start:first]}{mutant['replacement']} {self.text[last:end]}"


def body_of(text: str, start: int) -> int:
    """Returns where the body of the function begins that begins at `start`."""
    depth = 0
    for token in re.finditer(r"//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])'|[(){}\[\];]", text[start:]):
        if token[0] in "([":
            depth += 1
        elif token[0] in ")]":
            depth -= 1
        elif token[0] == "{" and depth == 0:
            return start + token.start()
    raise ValueError(text[start : start + 80])


def weave(source: str, mutants: list[dict]) -> tuple[str, list[tuple[int, int, int]]]:
    """Returns a file with these mutants in it, and for each the first and the last line that it has there, and its number."""
    text = Text(source)
    functions: dict[tuple[int, int], list[dict]] = {}
    for mutant in mutants:
        span = mutant["function"]["span"]
        functions.setdefault((text.at(span["start"]), text.at(span["end"])), []).append(mutant)
    result, done = "", 0
    places: list[tuple[int, int, int]] = []
    for (start, end), those in sorted(functions.items()):
        body = body_of(source, start)
        result += source[done:body] + "{ match crate::mutant::chosen() {"
        for mutant in those:
            result += "\n"
            first = result.count("\n") + 1
            result += f"{mutant['number']} => {text.mutated(mutant, body, end)}"
            places.append((first, result.count("\n") + 1, mutant["number"]))
        result += f"\n_ => {source[body:end]} }} }}"
        done = end
    return result + source[done:], places


def is_alone(source: str, mutant: dict) -> bool:
    """Returns whether a mutant is compiled alone: no function chooses, or it is const, or has a return type without a name."""
    function = mutant["function"]
    if function is None:
        return True
    start = Text(source).at(function["span"]["start"])
    head = source[start : body_of(source, start)]
    return "const fn" in head or "impl " in function["return_type"]


class Run:
    """The mutants of some files, and their results."""

    def __init__(self, folder: pathlib.Path, program: str, files: list[str]) -> None:
        self.folder, self.tree, self.files = folder, folder / "tree", files
        self.single = folder / "single"
        self.lock = threading.Lock()
        self.sources = {file: (self.tree / file).read_text() for file in files}
        arguments = [argument for file in files for argument in ("--file", file)]
        listed = subprocess.run(
            [program, "mutants", "--list", "--json", *arguments], cwd=self.tree, check=True, capture_output=True
        )
        self.mutants = json.loads(listed.stdout)
        # Small files are finished first.
        self.mutants.sort(key=lambda mutant: files.index(mutant["file"]))
        for number, mutant in enumerate(self.mutants, 1):
            mutant["number"] = number
        self.hash = self.tests_hash()
        self.results = {file: self.kept(file) for file in files}

    def tests_hash(self) -> str:
        """Returns the hash of all that the tests are made of."""
        digest = hashlib.sha256()
        for top in ["Cargo.toml", "Cargo.lock", ".config", "src", "tests", "tools"]:
            path = self.tree / top
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and "torture" not in file.parts[len(self.tree.parts) :]:
                    digest.update(f"{file}\0".encode() + file.read_bytes())
        return digest.hexdigest()[:16]

    def kept(self, file: str) -> dict:
        """Returns the results of a file that are still true: those of the same code."""
        code, path = code_hash(self.sources[file]), results_of(self.folder, file)
        results = json.loads(path.read_text()) if path.exists() else {}
        if results.get("code") != code:
            results = {"code": code, "mutants": {}, "seconds": 0}
        results["all"] = [mutant["name"] for mutant in self.mutants if mutant["file"] == file]
        return results

    def keep(self, mutant: dict, result: dict, seconds: float) -> None:
        """Keeps the result of a mutant."""
        with self.lock:
            results = self.results[mutant["file"]]
            results["mutants"][mutant["name"]] = result
            results["seconds"] = round(results["seconds"] + seconds, 1)
            self.save(mutant["file"])

    def save(self, file: str) -> None:
        """Writes the results of a file."""
        path = results_of(self.folder, file)
        path.parent.mkdir(exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self.results[file], indent=1) + "\n")
        new.replace(path)

    def result(self, mutant: dict) -> dict:
        """Returns what is known of a mutant: `end` if it is caught or does not compile, `passed` for the stages that did not."""
        result = self.results[mutant["file"]]["mutants"].get(mutant["name"], {})
        return result if "end" in result or result.get("tests") == self.hash else {"tests": self.hash, "passed": 0}

    def write(self, tree: pathlib.Path, texts: dict[str, str]) -> None:
        """Writes files that differ."""
        for file, text in texts.items():
            if (tree / file).read_text() != text:
                (tree / file).write_text(text)

    def errors(self, tree: pathlib.Path, targets: list[str]) -> list[tuple[str, int]] | None:
        """Compiles, and returns the files and lines of the errors, or None if there are none."""
        built = subprocess.run(
            ["cargo", "check", "--locked", "--quiet", "--message-format=json", *targets],
            cwd=tree,
            env=self.cargo(tree),
            capture_output=True,
            text=True,
        )
        if built.returncode == 0:
            return None
        places = []
        for line in built.stdout.splitlines():
            message = json.loads(line).get("message")
            if message and message["level"] == "error":
                spans = [span for span in message["spans"] if span["is_primary"]] or message["spans"]
                places += [(span["file_name"], span["line_start"]) for span in spans]
        if not places:
            sys.exit(built.stderr)
        return places

    def weave(self, mutants: list[dict]) -> list[dict]:
        """Writes the files with those of the mutants that compile, and returns those. Keeps that the others do not."""
        library = (self.tree / "src/lib.rs").read_text()
        if MODULE not in library:
            (self.tree / "src/lib.rs").write_text(ALLOW + library + MODULE)
        while True:
            woven = {file: weave(self.sources[file], [m for m in mutants if m["file"] == file]) for file in self.files}
            self.write(self.tree, {file: text for file, (text, _) in woven.items()})
            places = self.errors(self.tree, ["--lib"])
            if places is None:
                return mutants
            wrong = {
                number for file, line in places for first, last, number in woven.get(file, ("", []))[1] if first <= line <= last
            }
            if not wrong:
                sys.exit(f"no mutant is at {places}")
            print(f"   {len(wrong)} of {len(mutants)} mutants do not compile", flush=True)
            for mutant in mutants:
                if mutant["number"] in wrong:
                    self.keep(mutant, {"end": 0}, 0)
            mutants = [mutant for mutant in mutants if mutant["number"] not in wrong]

    def cargo(self, tree: pathlib.Path) -> dict[str, str]:
        """Returns the environment of cargo. Each tree has a folder of its own, because cargo gives their files the same names."""
        return {**os.environ, "CARGO_TARGET_DIR": str(self.folder / f"target-{tree.name}")}

    def build(self, tree: pathlib.Path, stage: int) -> list[str]:
        """Builds the tests of a stage, and returns the arguments by which nextest finds them."""
        env = self.cargo(tree)
        if stage > 1:
            # tests/publisher starts it.
            subprocess.run(["cargo", "build", "--quiet", "--locked", "--example", "fault-server"], cwd=tree, env=env, check=True)
        binaries, metadata = self.folder / f"{tree.name}-binaries.json", self.folder / f"{tree.name}-metadata.json"
        form = ["--cargo-quiet", "--locked", "--list-type", "binaries-only", "--message-format", "json"]
        for file, command in [
            (binaries, ["cargo", "nextest", "list", *form, *TARGETS[stage]]),
            (metadata, ["cargo", "metadata", "--locked", "--format-version", "1"]),
        ]:
            with file.open("w") as output:
                subprocess.run(command, cwd=tree, env=env, check=True, stdout=output)
        return ["--binaries-metadata", str(binaries), "--cargo-metadata", str(metadata)]

    def caught(self, tree: pathlib.Path, found: list[str], number: int, selected: str) -> tuple[bool, bool, str]:
        """Runs tests. Returns whether one failed, whether one did not end instead, and the output."""
        ran = subprocess.run(
            ["cargo", "nextest", "run", *found, "--status-level", "retry", "--no-tests", "pass", "-E", selected],
            cwd=tree,
            env={**self.cargo(tree), CHOICE: str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        # nextest's code of tests that failed.
        if ran.returncode not in (0, 100):
            sys.exit(f"nextest failed with {ran.returncode}: {ran.stdout}")
        failed = re.search(r"^ *(TRY 3 )?(FAIL|ABORT|SIG[A-Z]+) ", ran.stdout, re.MULTILINE)
        return ran.returncode != 0, ran.returncode != 0 and not failed, ran.stdout

    def check(self, tree: pathlib.Path, found: list[str], stage: int, files: set[str]) -> None:
        """Runs the tests of a stage without a mutant: one that fails then would catch every mutant."""
        selected = " or ".join(f"({selection(file, stage)})" for file in sorted(files))
        failed, _, output = self.caught(tree, found, 0, selected)
        if failed:
            sys.exit(f"a test fails without a mutant: {output}")

    def test(self, mutant: dict, stage: int, tree: pathlib.Path, found: list[str], number: int) -> None:
        """Tests a mutant with the tests of a stage."""
        start = time.monotonic()
        caught, hangs, output = self.caught(tree, found, number, selection(mutant["file"], stage))
        result = {"end": stage, "hangs": hangs} if caught else {"tests": self.hash, "passed": stage}
        if caught:
            names = re.findall(
                r"^ *(?:TRY 3 )?(?:FAIL|ABORT|SIG[A-Z]+|TRY 3 TMT|TIMEOUT) \[[^]]*\] (?:\([^)]*\) )?(.*)$", output, re.MULTILINE
            )
            result["by"] = names[0] if names else ""
        self.keep(mutant, result, time.monotonic() - start)
        if not caught and stage > 1:
            print(f"   passes stage {stage}: {mutant['name']}", flush=True)

    def left(self, mutants: list[dict], stage: int = LAST) -> list[dict]:
        """Returns the mutants for which a stage is to be run."""
        results = [(mutant, self.result(mutant)) for mutant in mutants]
        return [mutant for mutant, result in results if "end" not in result and result["passed"] < stage]

    def run(self, workers: int) -> None:
        """Tests all mutants that are left."""
        left = self.left(self.mutants)
        alone = [mutant for mutant in left if is_alone(self.sources[mutant["file"]], mutant)]
        woven = self.weave([mutant for mutant in left if mutant not in alone])
        quick = [stage for stage in TARGETS if stage != LAST]
        with concurrent.futures.ThreadPoolExecutor(1) as other:
            compiled_alone = other.submit(self.alone, alone, quick)
            for stage in quick:
                self.together(woven, stage, workers)
            compiled_alone.result()
        self.search([mutant for mutant in self.left(woven, SEARCH) if mutant["file"] in SEARCHED])
        self.together(woven, LAST, workers)
        self.alone(alone, [LAST])

    def together(self, mutants: list[dict], stage: int, workers: int) -> None:
        """Tests the mutants of one build with the tests of a stage."""
        todo = self.left(mutants, stage)
        if not todo:
            return
        print(f"== stage {stage}: {len(todo)} mutants", flush=True)
        found = self.build(self.tree, stage)
        self.check(self.tree, found, stage, {mutant["file"] for mutant in todo})
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            tests = [pool.submit(self.test, mutant, stage, self.tree, found, mutant["number"]) for mutant in todo]
            for test in concurrent.futures.as_completed(tests):
                test.result()

    def search(self, mutants: list[dict]) -> None:
        """Searches the memory of processes with the optimized library."""
        if not mutants:
            return
        print(f"== a search of memory: {len(mutants)} mutants", flush=True)
        library = ["cargo", "rustc", "--quiet", "--profile", "no-lto", "--locked", "--lib", "--crate-type", "cdylib"]
        server = ["cargo", "build", "--quiet", "--locked", "--example", "fault-server"]
        for command in (library, server):
            subprocess.run(command, cwd=self.tree, env=self.cargo(self.tree), check=True)
        target = pathlib.Path(self.cargo(self.tree)["CARGO_TARGET_DIR"])
        files = {
            "PUSHER_LIBRARY": str(target / "no-lto/libpusher.so"),
            "FAULT_SERVER": str(target / "debug/examples/fault-server"),
        }
        for mutant in [None, *mutants]:
            start = time.monotonic()
            number = str(mutant["number"] if mutant else 0)
            ran = subprocess.run(
                ["scripts/torture/secrets.sh"],
                env={**os.environ, **files, CHOICE: number},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if mutant is None:
                if ran.returncode != 0:
                    sys.exit(f"secrets.sh fails without a mutant: {ran.stdout}")
                continue
            found = {"end": SEARCH, "by": ran.stdout.strip().splitlines()[-1]}
            result = found if ran.returncode != 0 else {"tests": self.hash, "passed": SEARCH}
            self.keep(mutant, result, time.monotonic() - start)

    def alone(self, mutants: list[dict], stages: list[int]) -> None:
        """Tests mutants, each in a build of its own."""
        mutants = self.left(mutants, stages[-1])
        if not mutants:
            return
        print(f"== compiled alone: {len(mutants)} mutants", flush=True)
        shutil.copytree(self.tree, self.single, dirs_exist_ok=True)
        library = (self.single / "src/lib.rs").read_text().removeprefix(ALLOW).removesuffix(MODULE)
        self.write(self.single, {**self.sources, "src/lib.rs": library})
        for stage in stages:
            self.check(self.single, self.build(self.single, stage), stage, {mutant["file"] for mutant in mutants})
        for mutant in mutants:
            text = Text(self.sources[mutant["file"]])
            start = time.monotonic()
            self.write(self.single, {**self.sources, mutant["file"]: text.mutated(mutant, 0, len(text.text))})
            if self.errors(self.single, ["--lib"]) is not None:
                self.keep(mutant, {"end": 0}, time.monotonic() - start)
                continue
            for stage in stages:
                if self.left([mutant], stage):
                    self.test(mutant, stage, self.single, self.build(self.single, stage), 0)


def named(mutant: str) -> str:
    """Returns the name of a mutant without its line, because lines move."""
    return re.sub(r":\d+:\d+: ", ": ", mutant)


def report(folder: pathlib.Path) -> None:
    """Prints the sum of the results, and fails if a mutant is neither caught nor justified, or both."""
    ended: list[int] = []
    missed: list[str] = []
    hanging: list[str] = []
    finished: list[str] = []
    for file in FILES:
        path = results_of(folder, file)
        results = json.loads(path.read_text()) if path.exists() else {}
        if results.get("code") != code_hash(pathlib.Path(file).read_text()):
            print(f"{file}: not run")
            continue
        mutants = {name: results["mutants"].get(name, {}) for name in results["all"]}
        ends = [mutant["end"] for mutant in mutants.values() if "end" in mutant]
        passed = [named(name) for name, mutant in mutants.items() if mutant.get("passed") == LAST]
        left = len(mutants) - len(ends) - len(passed)
        stages = ", ".join(str(ends.count(stage)) for stage in sorted([*TARGETS, SEARCH]))
        print(
            f"{file}: {len(mutants)} mutants, {ends.count(0)} do not compile, caught in each stage: {stages}, not caught: "
            f"{len(passed)}, not run: {left}; {results['seconds']:.0f} s"
        )
        if left == 0:
            finished.append(file)
            ended += ends
            missed += passed
            hanging += [named(name) for name, mutant in mutants.items() if mutant.get("hangs")]
    print("".join(f"caught only because a test did not end: {name}\n" for name in hanging), end="")
    lines = [line.split(" #")[0] for line in JUSTIFIED.read_text().splitlines() if line and not line.startswith("#")]
    justified = [line for line in lines if line.split(":")[0] in finished]
    # Two mutants of one name need two lines.
    unjustified = collections.Counter(missed) - collections.Counter(justified)
    stale = collections.Counter(justified) - collections.Counter(missed)
    for name in unjustified:
        print(f"no test fails for {name}")
    for name in stale:
        print(f"{JUSTIFIED} justifies what a test catches: {name}")
    if unjustified or stale:
        sys.exit(1)
    which = f"{len(FILES)} files" if len(finished) == len(FILES) else ", ".join(finished)
    units, functions, searched, others = (ended.count(stage) for stage in sorted([*TARGETS, SEARCH]))
    print(
        f"figure: {len(ended) + len(missed)} mutants of {which}: {ended.count(0)} do not compile; caught: {units} by unit tests, "
        f"{functions} by tests of what the file does, {searched} by a search of memory, {others} by all other tests; "
        f"{len(missed)} justified, {len(hanging)} only by a test that did not end"
    )


def main() -> None:
    """Tests the mutants of files, and stops where it may go on later."""
    folder = pathlib.Path(sys.argv[1]).resolve()
    if len(sys.argv) > 2:
        run = Run(folder, sys.argv[2], sys.argv[3:] or list(FILES))
        run.run(int(os.environ.get("WORKERS", os.cpu_count() or 1)))
    report(folder)


if __name__ == "__main__":
    main()
