"""Prints the targets of all parts that were measured, and writes all figures into one file.

    report.py FOLDER RESULT PART...

Reads FOLDER/PART.json of each part, which has `rows` and `targets`, and FOLDER/machine.txt. A target is met if the median of
this run reaches its bound. RESULT is the JSON file to write.
"""

import json
import os
import sys


def is_met(target):
    return target["median"] <= target["at_most"] if "at_most" in target else target["median"] >= target["at_least"]


def digits_of(value):
    """Returns the number of decimals that shows at least three digits."""
    return 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0


def line(target):
    digits = digits_of(target["median"])
    median, least, most = (f"{target[name]:.{digits}f}" for name in ("median", "least", "most"))
    sign, bound = ("<=", target["at_most"]) if "at_most" in target else (">=", target["at_least"])
    verdict = "met" if is_met(target) else "NOT MET"
    value = f"{median} ({least} - {most})"
    return f"{target['name']:58} {value:>28} {target['unit']:24} {sign} {bound:<7g} {verdict}"


def main():
    folder, result, *names = sys.argv[1:]
    parts = []
    for name in names:
        path = f"{folder}/{name}.json"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                parts.append(json.load(file))
    with open(f"{folder}/machine.txt", encoding="utf-8") as file:
        machine = dict(row.rstrip("\n").split(": ", 1) for row in file)

    targets = [target for part in parts for target in part["targets"]]
    if targets:
        print(f"\n{'targets':58} {'median (min - max)':>28}")
        for target in targets:
            target["met"] = is_met(target)
            print(line(target))
        print(f"{sum(target['met'] for target in targets)} of {len(targets)} targets are met.")
    with open(result, "w", encoding="utf-8") as file:
        json.dump({"machine": machine, "parts": parts}, file, indent=1)


main()
