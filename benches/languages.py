"""Reads what the bindings' benchmarks print, and writes it as a part for report.py.

    languages.py FOLDER LANGUAGE...

Reads FOLDER/LANGUAGE.log of each language that was measured, and writes FOLDER/languages.json.
"""

import json
import re
import sys

# The programs that the bindings are compared with.
BESIDE = {
    "cpp": "the C functions",
    "go": "the same work with crypto/hmac and net/http",
    "python": "the package pusher",
    "ruby": "the same work with OpenSSL and Net::HTTP",
    "php": "the same work with hash_hmac and curl",
}
TITLES = {"cpp": "C++", "go": "Go", "python": "Python", "ruby": "Ruby", "php": "PHP"}
# Each benchmark prints its own layout. The binding's figure is `ours`; times are shorter, and rates higher, for the faster.
TIMES = (
    re.compile(r" *(?P<name>\S.*?) +C +(?P<theirs>\d+) ns +C\+\+ +(?P<ours>\d+) ns +[\d.]+ times"),
    re.compile(r" *(?P<name>\S.*?) +(?P<ours>\d+) ns +(?P<theirs>\d+) ns +[\d.]+x"),
)
RATES = (re.compile(r" *(?P<name>\S.*?) +(?P<ours>[\d,]+) +(?P<theirs>[\d,]+) +[\d.]+"),)


def rows_of(language, log):
    """Returns a row for each line of a table: how many times as fast the binding is."""
    rows = []
    for line in log.splitlines():
        for patterns, faster in (TIMES, lambda ours, theirs: theirs / ours), (RATES, lambda ours, theirs: ours / theirs):
            found = next((found for found in (pattern.fullmatch(line.rstrip()) for pattern in patterns) if found), None)
            if found:
                ours, theirs = (float(found[who].replace(",", "")) for who in ("ours", "theirs"))
                ratio = faster(ours, theirs)
                name, unit = f"{TITLES[language]}: {found['name'].strip()}", f"times as fast as {BESIDE[language]}"
                rows.append({"name": name, "unit": unit, "median": ratio, "least": ratio, "most": ratio})
                break
    return rows


def main():
    folder, *languages = sys.argv[1:]
    rows = []
    for language in languages:
        with open(f"{folder}/{language}.log", encoding="utf-8") as file:
            found = rows_of(language, file.read())
        if not found:
            sys.exit(f"{language}.log has no figures")
        rows += found
    with open(f"{folder}/languages.json", "w", encoding="utf-8") as file:
        json.dump({"part": "languages", "rows": rows, "targets": []}, file, indent=1)


if __name__ == "__main__":
    main()
