"""summary.py --doubtful names what may be run again, and nothing else."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def entry(suites="contract+sends", name="write_flow", stdout="not ok - a::b\n",
          stderr="", returncode=1, result="FAIL"):
    return {"name": f"weir:{suites} / {name}", "result": result, "duration": 1,
            "returncode": returncode, "stdout": stdout, "stderr": stderr}


def doubtful(*entries):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as log:
        log.write("".join(json.dumps(line) + "\n" for line in entries))
        log.flush()
        done = subprocess.run(
            [sys.executable, HERE / "summary.py", "--doubtful", log.name],
            text=True, stdout=subprocess.PIPE, check=True)
    return done.stdout.split()


class Summary(unittest.TestCase):
    def test_a_failed_expectation_is_doubtful(self):
        good = entry(name="good", stdout="ok - a::c\n", returncode=0, result="OK")
        self.assertEqual(doubtful(good, entry()), ["-", "write_flow"])

    def test_nothing_is_where_nothing_failed(self):
        self.assertEqual(doubtful(entry(stdout="ok - a::b\n", result="OK")), [])

    def test_the_seed_goes_along(self):
        failed = entry(suites="e2e", name="attack",
                       stdout="not ok - a\n# WEIR_TEST_SEED=17\n")
        self.assertEqual(doubtful(failed), ["17", "attack"])

    def test_the_mask_goes_along(self):
        failed = entry()
        failed["name"] = "mask_buf_inc " + failed["name"]
        self.assertEqual(doubtful(failed), ["-", "mask_buf_inc", "write_flow"])

    def test_several_seeds_are_not_asked_again(self):
        first = entry(stderr="WEIR_TEST_SEED=1")
        second = entry(name="other", stderr="WEIR_TEST_SEED=2")
        self.assertEqual(doubtful(first, second), [])

    def test_a_suite_that_does_not_meet_the_kernel_is_not(self):
        for suite in ("unit", "trace", "sim", "streams", "tasks", "counts", "checks"):
            self.assertEqual(doubtful(entry(), entry(suites=suite)), [], suite)

    def test_a_crash_is_not(self):
        for words in ("lib/loop/loop.c:3: broken: loop", "a::b CRASH",
                      "unexpected signal after tests/a.c:3",
                      "Bail out! exit status -11", "# ended by signal 6",
                      "exit status of serve tcp://x: -6 instead of 0",
                      "the server has ended with -6",
                      "ERROR: AddressSanitizer: heap-use-after-free",
                      "WARNING: ThreadSanitizer: data race",
                      "a.c:3: runtime error: overflow"):
            self.assertEqual(doubtful(entry(stderr=words)), [], words)
        self.assertEqual(doubtful(entry(returncode=-11)), [])

    def test_one_crash_decides_for_all(self):
        crashed = entry(name="other", stderr="a.c:1: broken: b")
        self.assertEqual(doubtful(entry(), crashed), [])

    def test_many_programs_are_not(self):
        few = [entry(name=f"p{number}") for number in range(10)]
        self.assertEqual(len(doubtful(*few)), 11)
        self.assertEqual(doubtful(*few, entry(name="p10")), [])


unittest.main()
