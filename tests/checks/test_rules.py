"""rules.py finds what it is for: a tree of few promises, each time with one fault.

Usage: test_rules.py
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent

GOOD = {
    "tests/RULES.md": """# Promises

- R1: it comes first.
- R2, C3: it comes once, and is told.
- R4: it spins not. `life/it_sleeps`
- Nothing is lost. `storm`
- One byte is kept. `life/a_byte_is_kept`
""",
    "tests/asyncio.md": """# Rules

- **R1** First.
- **R2** Once.
- **R4** Trap: it spins.
- **C3** It is not told.
""",
    "tests/contract/life.c": """PAIRS(life, r1__it_comes_first)
TASK(life, r2__it_comes_once)
UNIT(life, complaint_3__it_is_told)
UNIT(life, it_sleeps)
UNIT(life, a_byte_is_kept)
UNIT(life, a_byte_that_no_promise_names)
""",
    "tests/unit/storm.c": "Test(storm, random)\n",
}


def run(path="", old="", new=""):
    """Exit code and words of rules.py for the good tree with one change."""
    tree = dict(GOOD)
    if path:
        assert old in tree[path]
        tree[path] = tree[path].replace(old, new, 1)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in tree.items():
            file = pathlib.Path(folder) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(HERE / "rules.py"), folder], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


class Rules(unittest.TestCase):
    def refuses(self, words, path, old, new):
        code, said = run(path, old, new)
        self.assertEqual(code, 1, said)
        self.assertIn(words, said)

    def accepts(self, path="", old="", new=""):
        code, said = run(path, old, new)
        self.assertEqual(code, 0, said)

    def test_the_good_tree(self):
        self.accepts()

    def test_a_new_test_of_a_number_or_of_a_suite_needs_nothing(self):
        self.accepts("tests/unit/storm.c", "random)", "random)\nUNIT(storm, calm)")
        self.accepts("tests/unit/storm.c", "random)",
                     "random)\nUNIT(other, r1__it_comes_first)")

    def test_a_rig_that_is_new(self):
        self.accepts("tests/unit/storm.c", "Test(", "NEW_RIG(")

    def test_the_last_test_of_a_number_goes(self):
        self.refuses("no test carries the number R1", "tests/contract/life.c",
                     "r1__it", "it")
        self.refuses("no test carries the number C3", "tests/contract/life.c",
                     "complaint_3__it_is_told", "it_is_told")

    def test_a_test_that_is_named_goes(self):
        self.refuses("no such suite or test: life/it_sleeps",
                     "tests/contract/life.c", "it_sleeps", "it_dreams")

    def test_a_suite_goes(self):
        self.refuses("no such suite or test: storm", "tests/unit/storm.c",
                     "storm", "gale")

    def test_a_promise_without_a_test(self):
        self.refuses("7: a promise that names no test", "tests/RULES.md",
                     " `life/a_byte_is_kept`", "")

    def test_a_number_without_a_promise(self):
        self.refuses("no promise begins with R1", "tests/RULES.md",
                     "- R1: it comes first.\n", "")
        self.refuses("no promise begins with R5", "tests/contract/life.c",
                     "a_byte_that", "r5__a_byte_that")
        self.refuses("no promise begins with C6", "tests/asyncio.md",
                     "- **C3**", "- **C6** It waits.\n- **C3**")

    def test_a_number_that_is_not_told(self):
        self.refuses("asyncio.md does not tell R4", "tests/asyncio.md",
                     "- **R4** Trap: it spins.\n", "")

    def test_a_line_that_is_too_long(self):
        self.refuses("more than 160 columns", "tests/RULES.md",
                     "it comes first.", "it comes first." + " so" * 60)


if __name__ == "__main__":
    unittest.main()
