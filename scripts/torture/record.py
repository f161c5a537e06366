#!/usr/bin/env python3
"""Writes figures of scripts/torture.sh into the table of docs/testing.md: record.py FIGURES.

A row is named by its script and its form. Rows that the file of figures does not have stay as they are.
"""

import datetime
import pathlib
import sys

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "testing.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
HEAD = "| script of `scripts/torture` | form | figure | seconds | on |\n|---|---|---|---|---|\n"


def rows(table: str) -> dict[tuple[str, str], str]:
    """Returns the rows of the table, by script and form."""
    cells = {}
    for line in table.removeprefix(HEAD).splitlines():
        script, form = (cell.strip(" `") for cell in line.split("|")[1:3])
        cells[script, form] = line
    return cells


def main() -> None:
    """Replaces the rows that were measured."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    table, _, after = rest.partition(END)
    lines = rows(table)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
        script, form, seconds, figure = line.split("\t")
        lines[script, form] = f"| `{script}` | {form} | {figure.replace('|', chr(92) + '|')} | {seconds} | {today} |"
    # The short form is before the long one.
    ordered = [lines[key] for key in sorted(lines, key=lambda key: (key[0], key[1] != "short"))]
    PAGE.write_text(before + BEGIN + HEAD + "".join(f"{line}\n" for line in ordered) + END + after)


if __name__ == "__main__":
    main()
