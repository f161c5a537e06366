#!/usr/bin/env python3
"""Counts the official tests that pass after one changed line: see README.md.

table.py RESULTS            checks the rows against RESULTS/LANGUAGE.txt and prints the table
table.py RESULTS --write    also writes it into docs/migrating.md
table.py --self-test        finds planted faults
"""

import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "migrating.md"
BEGIN, END = "<!-- begin: scripts/migration.sh --write -->\n", "<!-- end -->\n"

# The suite of each language, and how many of its tests apply.
SUITES = {
    "python": ("pusher-http-python 3.3", 56),
    "ruby": ("pusher-http-ruby 2.1", 186),
    "php": ("pusher-http-php 7.2", 125),
    "go": ("pusher-http-go 5.1", 42),
}


class Wrong(Exception):
    """A row that is not true, or not well-formed."""


def rows(path):
    """Yields (line, result, count, official, ours, note) for each row."""
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not text or text.startswith("#"):
            continue
        fields = text.split("\t")
        if len(fields) != 5 or not all(fields) or fields[0] not in ("same", "different") or not fields[1].isdecimal():
            raise Wrong(f"{path.name}:{number}: a row is same or different, a count, official, ours and note, between tabs")
        yield (number, fields[0], int(fields[1]), *fields[2:])


def outcomes(path):
    """Returns the set of the tests that passed, each time that they ran, and that of all tests."""
    passed, failed = set(), set()
    for text in path.read_text("utf-8").splitlines():
        word, _, name = text.partition(" ")
        if word not in ("pass", "fail") or not name:
            raise Wrong(f"{path}: neither pass nor fail: {text}")
        (passed if word == "pass" else failed).add(name)
    return passed - failed, passed | failed


def count(language, folder, results):
    """Returns the numbers of official tests that are the same and that are deliberately different, and why."""
    same, different, reasons, problems = 0, 0, [], []
    passed, ran = outcomes(results / f"{language}.txt")
    for number, result, tests, official, ours, note in rows(folder / f"{language}.tsv"):
        if result == "different":
            different += tests
            reasons.append((tests, official, ours, note))
            continue
        for name in ours.split(","):
            if name not in passed:
                how = "fails" if name in ran else "does not exist"
                problems.append(f"{language}.tsv:{number}: {name} {how}")
        same += tests
    applicable = SUITES[language][1]
    if same + different != applicable:
        problems.append(f"{language}.tsv: the counts add up to {same + different}, and {applicable} tests apply")
    if problems:
        raise Wrong("\n".join(problems))
    return same, different, reasons


def table(folder, results):
    lines = ["| suite | tests that apply | pass | deliberately different |", "|---|---|---|---|"]
    why = ["| suite | tests | what they want | why not |", "|---|---|---|---|"]
    total = [0, 0, 0]
    for language, (suite, applicable) in SUITES.items():
        same, different, reasons = count(language, folder, results)
        lines.append(f"| {suite} | {applicable} | {same} | {different} |")
        total = [sum(pair) for pair in zip(total, (applicable, same, different), strict=True)]
        for tests, official, ours, note in reasons:
            rule = "" if ours == "-" else f" ([{ours}](differences.md))"
            why.append(f"| {suite.split()[0]} | {tests} | {official} | {note}{rule} |")
    lines.append("| all | {} | {} | {} |".format(*total))
    return "\n".join(lines) + "\n\n" + "\n".join(why) + "\n"


def write(text, page):
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Wrong(f"{page}: no place for the table")
    page.write_text(before + begin + "\n" + text + "\n" + end + after, "utf-8")


def self_test():
    """Each planted fault must be found, and right rows must pass."""
    head = "same\t55\tmany tests\ttest_one\tthe same\n"
    right = head + "different\t1\tone test\tpublic-channel\ta reason\n"
    cases = [
        (right, "pass test_one\n", None),
        (right, "fail test_one\n", "fails"),
        (right, "pass test_one\nfail test_one\n", "fails"),
        (right, "pass test_two\n", "does not exist"),
        (right, "pass test_one\nfail test_two\n", None),
        (head, "pass test_one\n", "add up to 55"),
        (right.replace("\t1\t", "\tone\t"), "pass test_one\n", "a row is"),
        (right, "test_one\n", "neither"),
    ]
    for text, results, expected in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "python.tsv").write_text(text)
            (folder / "python.txt").write_text(results)
            try:
                count("python", folder, folder)
                found = None
            except Wrong as wrong:
                found = str(wrong)
            if (expected is None) != (found is None) or (expected and expected not in found):
                raise Wrong(f"{text!r} with {results!r}: expected {expected}, found {found}")


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    results = pathlib.Path(arguments[0])
    text = table(HERE, results)
    print(text, end="")
    if "--write" in arguments:
        write(text, PAGE)
    elif BEGIN + "\n" + text + "\n" + END not in PAGE.read_text("utf-8"):
        raise Wrong("docs/migrating.md has another table: run scripts/migration.sh --write")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Wrong as wrong:
        sys.exit(str(wrong))
