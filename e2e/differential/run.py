"""Compares libpusher with the official Python and Node.js libraries on random cases. scripts/differential.sh runs it.

run.py --library libpusher.so [--seed SEED] [--cases N] [--only KIND:NUMBER]
run.py --write-docs
"""

import argparse
import collections
import json
import pathlib
import secrets
import subprocess
import sys
import threading
import time
import traceback

import cases
import differences

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs" / "differences.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
SHOWN = 20
# A run with fewer cases need not show every difference.
ENOUGH = 20_000

LIBRARIES = {"python": "Python", "node": "Node.js"}


def table():
    lines = ["| | library | what it does | libpusher | why |", "|---|---|---|---|---|"]
    for name, one in differences.DIFFERENCES.items():
        peers = ", ".join(label for peer, label in LIBRARIES.items() if peer in one.peers)
        lines.append(f"| {name} | {peers} | {one.peer_does} | {one.we_do} | {one.why} |")
    return "\n".join(line.replace("\\|", "|") for line in lines)


def with_table(document):
    before, rest = document.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


class Node:
    """The Node.js process. One thread writes while another reads, so that neither blocks the other."""

    def __init__(self, applications):
        self.process = subprocess.Popen(["node", HERE / "node_peer.cjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.send([applications])

    def send(self, messages):
        for message in messages:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, messages):
        feeder = threading.Thread(target=self.send, args=(messages,))
        feeder.start()
        for _ in messages:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("node exited early")
            yield json.loads(line)
        feeder.join()

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


class Tally:
    def __init__(self):
        self.cases, self.refused, self.checks = (collections.Counter() for _ in range(3))
        self.passed = self.failed = 0
        self.explained = collections.Counter()

    def count(self, comparisons, accepted):
        case = comparisons[0].case
        self.cases[case["kind"]] += 1
        self.refused[case["kind"]] += not accepted
        unexplained = []
        for comparison in comparisons:
            self.checks[case["kind"]] += comparison.checks
            for disagreement in comparison.disagreements:
                names = differences.explanations(disagreement)
                self.explained.update((name, disagreement.peer) for name in names)
                if not names:
                    unexplained.append(disagreement)
            for agreement in comparison.agreements:
                for name in differences.explanations(agreement):
                    agreement.aspect = f"{name} says so, but libpusher accepts it"
                    unexplained.append(agreement)
        if unexplained:
            self.failed += 1
        else:
            self.passed += 1
        return unexplained

    def fail(self, message):
        self.failed += 1
        print(f"FAILED: {message}")

    def print(self):
        print(f"{'kind':<20}{'cases':>8}{'refused':>9}{'checks':>9}")
        for kind in self.cases:
            print(f"{kind:<20}{self.cases[kind]:>8}{self.refused[kind]:>9}{self.checks[kind]:>9}")
        print(f"{'total':<20}{self.cases.total():>8}{self.refused.total():>9}{self.checks.total():>9}")
        print(f"\n{'intended difference':<26}{'Python':>8}{'Node.js':>9}")
        for name, one in differences.DIFFERENCES.items():
            seen = (self.explained[name, peer] if peer in one.peers else "-" for peer in LIBRARIES)
            print(f"{name:<26}{next(seen):>8}{next(seen):>9}")


def compared(subject, comparison, theirs):
    try:
        subject.compare(comparison, theirs)
    except Exception as error:  # noqa: BLE001
        # A result of an unexpected shape is a disagreement, too. Report it with its case.
        where = traceback.extract_tb(error.__traceback__)[-1]
        comparison.add("differs", f"{type(error).__name__}: {error}, {where.name}:{where.lineno}", None, theirs)


def chunks(made, size=1000):
    chunk = []
    for one in made:
        chunk.append(one)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library")
    parser.add_argument("--seed")
    parser.add_argument("--cases", type=int, default=40_000)
    parser.add_argument("--only", metavar="KIND:NUMBER")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    if arguments.write_docs:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
        return

    import compare
    import libpusher
    import python_peer

    started = time.monotonic()
    seed = arguments.seed or secrets.token_hex(4)
    print(f"seed {seed}", flush=True)
    applications = cases.applications(seed)
    library = libpusher.Library(arguments.library)
    clients = [
        libpusher.Client(
            library,
            {
                "app_id": one["app_id"],
                "key": one["key"],
                "secret": one["secret"],
                "webhook_tokens": one["tokens"],
                **({"encryption_master_key_base64": one["master_key"]} if one["master_key"] else {}),
            },
        )
        for one in applications
    ]
    peers = [python_peer.Peer(one) for one in applications]
    node = Node(applications)
    versions = f"pusher {python_peer.VERSION} for Python, pusher {node_version()} for Node.js"
    print(f"libpusher {library.version().decode()}, {versions}", flush=True)

    if arguments.only:
        kind, number = arguments.only.split(":")
        made = [cases.make(seed, kind, int(number))]
    else:
        made = cases.all_of(seed, arguments.cases)
    tally, shown = Tally(), 0
    for chunk in chunks(made):
        asked = []
        for case in chunk:
            index = case["application"]
            subject = compare.make(case, applications[index], clients[index], peers[index])
            comparison = compare.Comparison(case, "python")
            compared(subject, comparison, subject.ask_python())
            asked.append((case, subject, comparison))
        messages = [{**case, **(subject.for_node() if hasattr(subject, "for_node") else {})} for case, subject, _ in asked]
        for (case, subject, with_python), theirs in zip(asked, node.ask(messages), strict=False):
            with_node = compare.Comparison(case, "node")
            compared(subject, with_node, theirs)
            accepted = not hasattr(subject, "answer") or subject.answer.accepted
            for disagreement in tally.count([with_python, with_node], accepted):
                shown += 1
                if shown <= SHOWN:
                    print(f"FAILED: {disagreement}\n  repeat     --seed {seed} --only {case['kind']}:{case['number']}\n")
    if node.close() != 0:
        tally.fail("node ended with an error")

    if not arguments.only and arguments.cases >= ENOUGH:
        for name, one in differences.DIFFERENCES.items():
            for peer in one.peers:
                if not tally.explained[name, peer]:
                    tally.fail(f"the difference {name} was never seen with {LIBRARIES[peer]}: it is gone, or its case is")
    document = DOCUMENT.read_text() if DOCUMENT.exists() else f"{BEGIN}{END}"
    if document != with_table(document):
        tally.fail("docs/differences.md does not show the list in differences.py: run.py --write-docs writes it")

    tally.print()
    if shown > SHOWN:
        print(f"\n{shown - SHOWN} more disagreements are not shown.")
    print(f"\nseed {seed}, {time.monotonic() - started:.1f} s")
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed else 0)


def node_version():
    script = 'console.log(require("pusher/package.json").version)'
    return subprocess.run(["node", "-e", script], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
