"""What summary.py counts of a run, and when its cost is too high."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def entry(stdout="ok 1 - a/b\n", result="OK", **more):
    return {"name": "weir:contract / write_flow", "result": result, "duration": 1,
            "stdout": stdout, **more}


def summary(folder, *entries, words=()):
    """Runs summary.py over a log of these entries, in the place of "LOG" in @words."""
    log = pathlib.Path(folder) / "log.json"
    log.write_text("".join(json.dumps(line) + "\n" for line in entries))
    return subprocess.run(
        [sys.executable, HERE / "summary.py",
         *[str(log) if word == "LOG" else word for word in words or ["LOG"]]],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


class Summary(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = self.temporary.name

    def check(self, wanted, *entries):
        self.assertEqual(summary(self.folder, *entries).stdout.splitlines()[:2], wanted)

    def test_results_are_counted_and_failures_named(self):
        self.check(["1 1 0", "failed weir:contract / write_flow: a/c"],
                   entry("ok 1 - a/b\nnot ok 2 - a/c\n", "FAIL"))

    def test_a_program_without_results_that_failed_is_a_failure(self):
        self.check(["0 1 0", "failed weir:contract / write_flow"], entry("", "TIMEOUT"))

    def test_a_skip_has_its_reason(self):
        self.check(["0 0 1", "skipped weir:contract / write_flow: a/b: no peer"],
                   entry("ok 1 - a/b # SKIP no peer\n", "SKIP"))

    def test_a_cost_above_the_recorded_one_fails(self):
        commands = pathlib.Path(self.folder) / "commands"
        commands.write_text("cc -o a.o -c a.c\ncc -o b.o -c b.c\ncc -o a a.o b.o\n")
        for objects, status in ((2, 0), (1, 1)):
            limits = pathlib.Path(self.folder) / "limits"
            limits.write_text(json.dumps(
                {"check": {"objects": objects, "links": 1, "programs": 1}}))
            done = summary(self.folder, entry(),
                           words=["--cost", "", str(commands), "LOG", str(limits)])
            self.assertIn("2 objects, 1 links, 1 programs", done.stdout)
            self.assertEqual(done.returncode, status, done.stderr)


unittest.main()
