"""Tests of benches/page.py and benches/languages.py on the figures of a quick run, results.json, and on lines of real logs."""

import contextlib
import copy
import io
import json
import pathlib
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from unittest import mock

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "benches"))

import languages  # noqa: E402
import page  # noqa: E402

QUICK = json.loads((HERE / "results.json").read_text(encoding="utf-8"))
SVG = "{http://www.w3.org/2000/svg}"


def whole_run():
    """Returns the figures as if the run had not been a quick one."""
    content = copy.deepcopy(QUICK)
    content["machine"]["measured"] = "2026-01-02T03:04Z, 21 rounds of 0.3 s"
    content["machine"]["libpusher"] = "commit 0123456, 2740 KiB"
    # The quick run left out what takes long. The page shows only the targets of these.
    content["parts"] += [{"part": part, "rows": [], "targets": []} for part in ("overflow", "outage")]
    return content


class Page(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.readme = self.folder / "README.md"
        self.readme.write_text(f"before\n{''.join(page.MARKS)}after\n")

    def write(self, content):
        """Runs the program, and returns why it has refused."""
        results = self.folder / "results.json"
        results.write_text(json.dumps(content))
        command = ["page.py", str(results), str(self.folder), "--readme", str(self.readme)]
        with mock.patch.object(sys, "argv", command), contextlib.redirect_stderr(io.StringIO()):
            try:
                page.main()
            except SystemExit as refused:
                return str(refused)
        return None

    def refuses(self, content, why):
        self.assertRegex(self.write(content) or "written", why)
        self.assertFalse((self.folder / "benchmarks.md").exists())
        self.assertEqual(self.readme.read_text(), f"before\n{''.join(page.MARKS)}after\n")

    def test_a_run_that_is_not_whole_is_refused(self):
        self.refuses(QUICK, "21 rounds of 0.3 s")
        for part in page.PARTS:
            content = whole_run()
            content["parts"] = [one for one in content["parts"] if one["part"] != part]
            self.refuses(content, f"the part {part}")
        content = whole_run()
        next(part for part in content["parts"] if part["part"] == "events")["missing"] = {"pusher (npm)": "no network"}
        self.refuses(content, r"the peer pusher \(npm\)")
        content = whole_run()
        rows = next(part for part in content["parts"] if part["part"] == "languages")["rows"]
        rows[:] = [row for row in rows if not row["name"].startswith("Go:")]
        self.refuses(content, "the language Go")
        content = whole_run()
        content["machine"]["libpusher"] = "commit 0123456 (changed), 2740 KiB"
        self.refuses(content, "a commit without changes")

    def test_the_page_has_the_figures_the_machine_and_every_picture(self):
        content = whole_run()
        self.assertIsNone(self.write(content))
        text = (self.folder / "benchmarks.md").read_text(encoding="utf-8")
        for name, value in content["machine"].items():
            self.assertIn(f"| {name} | {value} |", text)
        for name in re.findall(r"\((bench-\w+\.svg)\)", text):
            self.assertTrue((self.folder / name).exists(), name)
        self.assertEqual(len(re.findall(r"\(bench-\w+\.svg\)", text)), 6)
        for part in content["parts"]:
            for target in part["targets"]:
                self.assertIn(f"| {target['name']} | {page.short(target['median'])}", text)
        row = next(row for part in content["parts"] if part["part"] == "trigger" for row in part["rows"])
        self.assertIn(f"| {row['name']} | {page.short(row['median'])} ({page.short(row['least'])} – ", text)

    def test_the_pictures_are_to_scale_and_keep_their_frame(self):
        content = whole_run()
        self.assertIsNone(self.write(content))
        for file in sorted(self.folder.glob("bench-*.svg")):
            text = file.read_text(encoding="utf-8")
            self.assertIn("prefers-color-scheme: dark", text)
            root = xml.etree.ElementTree.fromstring(text)
            width, height = float(root.get("width")), float(root.get("height"))
            for element in root.iter():
                for name, most in ("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height):
                    self.assertTrue(0 <= float(element.get(name, 0)) <= most, f"{file.name}: {name} of {element.attrib}")
            # A name that is longer than its space would be cut off. A wide font takes 6.2 pixels for a character.
            for label in root.iter(f"{SVG}text"):
                if label.get("class") == "end":
                    self.assertLessEqual(6.2 * len(label.text), float(label.get("x")), label.text)
        bars = xml.etree.ElementTree.parse(self.folder / "bench-trigger.svg").getroot().iter(f"{SVG}rect")
        lengths = [float(bar.get("width")) for bar in bars if bar.get("height") == "17"][:2]
        rows = [
            row for part in content["parts"] if part["part"] == "trigger" for row in part["rows"] if row["unit"] == "requests/s"
        ]
        self.assertAlmostEqual(lengths[1] / lengths[0], rows[1]["median"] / rows[0]["median"], delta=0.01)

    def test_a_figure_that_misses_its_target_by_a_hair_does_not_look_like_it(self):
        content = whole_run()
        missed = content["parts"][0]["targets"][0]
        missed.update(at_least=2.2, median=2.1951, least=2.1951, most=2.1951, met=False)
        self.assertIsNone(self.write(content))
        text = (self.folder / "benchmarks.md").read_text(encoding="utf-8")
        self.assertIn(f"| 2.1951 {missed['unit']} | ≥ 2.2 | **not met** |", text)

    def test_the_readme_is_filled_between_its_marks_each_time(self):
        for _ in range(2):
            self.assertIsNone(self.write(whole_run()))
            text = self.readme.read_text(encoding="utf-8")
            # The page has the figures in bold.
            sentence = text[: text.index("(docs/benchmarks.md)")]
            figures = re.findall(r"\*\*([0-9.]+)\*\*", sentence)
            self.assertEqual(len(figures), 2, sentence)
            page_text = (self.folder / "benchmarks.md").read_text(encoding="utf-8")
            for figure in figures:
                self.assertRegex(page_text, rf"[| ]{re.escape(figure)}\d? ")
            self.assertEqual(text.count("(docs/benchmarks.md)"), 1)
            self.assertTrue(text.startswith(f"before\n{page.MARKS[0]}**It is fast**"), text)
            self.assertTrue(text.endswith(f"{page.MARKS[1]}after\n"), text)
        self.readme.write_text("no marks\n")
        self.assertIn("has no marks", self.write(whole_run()))


class Languages(unittest.TestCase):
    def test_a_line_of_each_layout_is_read(self):
        cpp = "trigger, as strings                      C    8000 ns   C++    8100 ns   1.01 times\n"
        go = "   best of 15                                    binding      Go itself    ratio\n"
        go += "   trigger, one goroutine  11000 ns     33000 ns    3.00x\n"
        python = (
            "trigger                              20,000        4,000     5.00\npublish in the background            400,000\n"
        )
        ratios = [languages.rows_of(*one) for one in (("cpp", cpp), ("go", go), ("python", python))]
        self.assertEqual(
            [[row["name"] for row in rows] for rows in ratios],
            [["C++: trigger, as strings"], ["Go: trigger, one goroutine"], ["Python: trigger"]],
        )
        self.assertEqual([round(rows[0]["median"], 2) for rows in ratios], [0.99, 3.0, 5.0])

    def test_other_lines_are_not_figures(self):
        self.assertEqual(languages.rows_of("ruby", "== the suite\nRuby 3.1.2, per second  libpusher  by hand  ratio\n"), [])


unittest.main()
