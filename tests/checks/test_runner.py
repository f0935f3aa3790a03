"""A program whose tests fail in every way is told of as it is, by either runner.

Usage: test_runner.py PROGRAM [--criterion], of tests/runner/sample.c
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SAMPLE = HERE.parent / "runner" / "sample.c"
RESULT = re.compile(r"^(not ok|ok) \d+ - sample/(\w+)(.*)$", re.M)
NAME = re.compile(r"^(?:UNIT|UNIT_ABORTS|Test)\(sample, (\w+)", re.M)
# Why a test fails, for those that say so.
REASONS = ("in the test", "by Criterion's name", "in a thread", "in a child",
           "on another stack", "was left open")
PROGRAM, *OPTIONS = sys.argv[1:]

# Runs the program as a user who may have so many processes, beside another
# process of that user, and says whether this one lives on. All of it is in a
# namespace, which holds whatever signals are sent.
STRANGER = """
sleep 60 & stranger=$!
prlimit --nproc=$1:$1 --pid $$
shift
timeout -s KILL 5 "$@"
kill -0 $stranger && echo "the stranger lives"
"""


def run_beside_stranger(limit):
    """What it prints, and None where this cannot be tried."""
    user = 100000 + os.getpid()
    apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
             "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    if os.geteuid() != 0 or subprocess.run(
            [*apart, "test", "-x", PROGRAM], check=False).returncode != 0:
        return None
    return subprocess.run(
        [*apart, "sh", "-c", STRANGER, "sh", str(limit), PROGRAM,
         "--filter=sample/good_*"], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=60).stdout


def run(*patterns, source=SAMPLE, before=()):
    """What run_c_tests.py prints of the program, and its status."""
    done = subprocess.run(
        [*before, sys.executable, HERE / "run_c_tests.py", *OPTIONS, source,
         PROGRAM, *patterns],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout, done.returncode


class Runner(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text, cls.status = run()

    def test_each_result_is_that_of_the_test(self):
        names = NAME.findall(SAMPLE.read_text(encoding="utf-8"))
        results = {name: result for result, name, _ in RESULT.findall(self.text)}
        self.assertEqual(results, {
            name: "ok" if name.startswith("good") else "not ok" for name in names})
        self.assertEqual(self.text.count(f"\n1..{len(names)}\n"), 1, self.text)

    def test_what_is_skipped_is_told_with_its_reason(self):
        skipped = [name for _, name, rest in RESULT.findall(self.text)
                   if "# SKIP" in rest]
        self.assertEqual(skipped, ["good_is_skipped"])
        self.assertIn("there is nothing to do", self.text)

    def test_reasons_are_told_with_their_place(self):
        for reason in REASONS:
            self.assertRegex(self.text, rf"sample\.c:\d+: .*{reason}|"
                             rf"(sample\.c|unit\.h):\d+:.*\n?.*{reason}")

    def test_failed_tests_are_no_fault_of_the_run(self):
        self.assertEqual(self.status, 0)
        self.assertNotIn("Bail out!", self.text)

    def test_a_pattern_chooses(self):
        text, status = run("sample/good_*e*s")
        self.assertEqual(status, 0)
        self.assertEqual({name for _, name, _ in RESULT.findall(text)},
                         {"good_passes", "good_aborts_with_these_words"})
        self.assertNotIn("# SKIP", text)

    def test_a_pattern_that_fits_nothing_fails(self):
        text, status = run("nothing/*")
        self.assertEqual(status, 1)
        self.assertIn("Bail out! 0 of 1 tests ran", text)

    def test_tests_that_did_not_run_are_missed(self):
        with tempfile.NamedTemporaryFile("w", suffix=".c") as source:
            source.write(SAMPLE.read_text(encoding="utf-8") +
                         "\nUNIT(sample, good_more)\n")
            source.flush()
            text, status = run(source=source.name)
        self.assertEqual(status, 1)
        self.assertIn("Bail out! 15 of 16 tests ran", text)

    def test_a_program_that_runs_nothing_fails(self):
        """As Criterion does without /proc, with the status 0."""
        hide = ["unshare", "--mount", "sh", "-c",
                'mount -t tmpfs none /proc && exec "$@"', "sh"]
        if subprocess.run([*hide, "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode != 0:
            self.skipTest("/proc cannot be hidden")
        text, status = run("sample/good_passes", before=hide)
        self.assertEqual(status, 1 if "Bail out!" in text else 0)
        self.assertIn("Bail out!" if OPTIONS else "not ok", text)

    def test_no_stranger_is_ended_where_no_process_can_be_made(self):
        """BoxFort, which starts the tests, kills -1 where fork() has failed."""
        if run_beside_stranger(1000) is None:
            self.skipTest("no user of its own, or not this program")
        for limit in range(4, 10):
            self.assertIn("the stranger lives", run_beside_stranger(limit),
                          f"with {limit} processes")


unittest.main(argv=sys.argv[:1])
