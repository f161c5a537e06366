"""Runs the example of docs/testing-your-app.md in one language: its tests pass, and fail once the application is wrong.

    run.py LANGUAGE FOLDER COMMAND…      LANGUAGE is that of the page's blocks; COMMAND runs the tests in FOLDER

The first comment of a block names its file. scripts/bindings/*.sh and scripts/install.sh call it.
"""

import pathlib
import re
import subprocess
import sys

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "testing-your-app.md"

# What is changed in the application, and what the tests must then print. The names are those of the tests that fail.
WRONG = {
    "python": [
        ('"orders"', '"order"', "test_an_order_is_announced"),
        ('{"id": number}', '{"id": str(number)}', "test_an_order_is_announced"),
        ("self.later.append(number)", "pass", "test_what_was_refused_is_announced_later"),
        ("self.later.append(number)", "pass", "test_a_server_that_is_down"),
        ("error.delivery is not Delivery.UNKNOWN", "error.delivery", "test_what_may_have_arrived_is_not_announced_again"),
    ],
    "ruby": [
        ("'orders'", "'order'", "test_an_order_is_announced"),
        ("{ id: number }", "{ id: number.to_s }", "test_an_order_is_announced"),
        ("@later << number", "@later", "test_what_was_refused_is_announced_later"),
        ("@later << number", "@later", "test_a_server_that_is_down"),
        (" unless e.delivery == 'unknown'", "", "test_what_may_have_arrived_is_not_announced_again"),
    ],
    "go": [
        ('"orders"', '"order"', "TestAnOrderIsAnnounced"),
        ('{"id": number}', '{"id": "7"}', "TestAnOrderIsAnnounced"),
        ("s.Later = append(s.Later, number)", "return", "TestWhatWasRefusedIsAnnouncedLater"),
        ("s.Later = append(s.Later, number)", "return", "TestAServerThatIsDown"),
        ("failed.Delivery != pusher.DeliveryUnknown", 'failed.Message != ""', "TestWhatMayHaveArrivedIsNotAnnouncedAgain"),
    ],
    "php": [
        ("'orders'", "'order'", "testAnOrderIsAnnounced"),
        ("['id' => $number]", "['id' => \"$number\"]", "testAnOrderIsAnnounced"),
        ("$this->later[] = $number;", "", "testWhatWasRefusedIsAnnouncedLater"),
        ("$this->later[] = $number;", "", "testAServerThatIsDown"),
        ("$e->getDelivery() !== 'unknown'", "true", "testWhatMayHaveArrivedIsNotAnnouncedAgain"),
    ],
    "c": [
        ('"orders"', '"order"', "the order is not announced"),
        ('\\"id\\"', '\\"number\\"', "the order is not announced"),
        ("? 2 : 1", "? 2 : 3", "a refused order"),
        ("? 2 : 1", "? 1 : 1", "an order that may have arrived"),
    ],
}
# The languages of the blocks that belong together, and how a comment begins.
BLOCKS = {"c": ("c", "sh")}
COMMENT = re.compile(r"\A(?:<\?php\n)?(?:#|//|/\*) (\w+\.\w+)")


def files(language):
    """Returns the blocks by the names of their files."""
    found = {}
    languages = BLOCKS.get(language, (language,))
    for named, code in re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if named in languages:
            comment = COMMENT.match(code)
            if not comment:
                sys.exit(f"{PAGE}: a block of {named} does not begin with the name of its file:\n{code}")
            found[comment[1]] = code
    return found


def main():
    language, folder, command = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    blocks = files(language)
    application = next(iter(blocks))
    assert len(blocks) == 2 and "test" not in application.lower(), list(blocks)

    def run(code):
        for name, text in {**blocks, application: code}.items():
            (folder / name).write_text(text, encoding="utf-8")
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 300}
        result = subprocess.run(command, cwd=folder, text=True, **how)
        return result.returncode, result.stdout

    code, said = run(blocks[application])
    if code:
        sys.exit(f"the example's tests end with {code}:\n{said}")
    seen = {}
    for old, new, test in WRONG[language]:
        assert old in blocks[application], old
        if (old, new) not in seen:
            seen[old, new] = run(blocks[application].replace(old, new))
        code, said = seen[old, new]
        if not code or test not in said:
            sys.exit(f"with {new!r} instead of {old!r}, the example's tests end with {code}, and not by {test}:\n{said}")
    print(f"   the example in {language} passes, and {len(seen)} wrong ones fail")


if __name__ == "__main__":
    main()
