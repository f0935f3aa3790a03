"""Run one program of tests in C and do not believe it too easily.

A program that ends early prints fewer results than it has tests. So the tests
are counted in the source file, and fewer results than tests is a failure. Of
a PATTERN (suite/name, as the shell's) one test at least has to run.
WEIR_TEST_WRAPPER is the emulator, with its arguments, of another processor;
WEIR_TEST_SKIP is patterns of tests that are told as skipped and not run.

Usage: run_c_tests.py SOURCE PROGRAM [PATTERN]
"""

import os
import re
import signal
import subprocess
import sys

TEST = re.compile(
    r"^(?:UNIT|UNIT_ABORTS|UNIT_IN|UNIT_OF|TASK|MAKER|PAIRS|DATAGRAMS|NAMES|"
    r"TLS_ENDS|STARTING|CHILDREN|Test|ParameterizedTest|Theory)\s*\(", re.MULTILINE)
RESULT = re.compile(r"^(not )?ok\b", re.MULTILINE)


def main():
    source, program, *pattern = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        expected = len(TEST.findall(file.read()))
    if expected == 0:
        print(f"Bail out! {source} holds no test")
        return 1

    command = os.environ.get("WEIR_TEST_WRAPPER", "").split() + \
        [program]
    command += ["--skip=" + skipped
                for skipped in os.environ.get("WEIR_TEST_SKIP", "").split()]
    if pattern:
        command.append("--filter=" + pattern[0])
        expected = 1
    # A shell has what it starts in the background ignore SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    env = dict(os.environ)
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=1")
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env,
                         errors="replace", check=False)
    print(run.stdout, end="")
    results = RESULT.findall(run.stdout)
    if len(results) < expected:
        print(f"Bail out! {len(results)} of {expected} tests ran, "
              f"exit status {run.returncode}")
        return 1
    if run.returncode != 0 and "not " not in results:
        print(f"Bail out! all passed, but exit status {run.returncode}")
        return 1
    return 0


sys.exit(main())
