"""Run the tests of one source file in C and do not believe them too easily.

A program may hold the tests of many files; those of a suite that this file names
run. A program that ends early prints fewer results than it has tests. So the tests
are counted in the source file, and fewer results than tests is a failure. Of
a PATTERN (suite/name, as the shell's) one test at least has to run.
WEIR_TEST_WRAPPER is the emulator, with its arguments, of another processor;
WEIR_TEST_SKIP is patterns of tests that are told as skipped and not run: both are
for the runner of tests/runner. With --criterion the program has Criterion, which
writes its results into a file at its end, and calls a test that a pattern leaves
out skipped: these are not shown, and what the tests print goes to standard error.

Usage: run_c_tests.py [--criterion] SOURCE PROGRAM [PATTERN]
"""

import os
import re
import signal
import sys
import tempfile

import left

TEST = re.compile(
    r"^(?:UNIT|UNIT_ABORTS|UNIT_IN|UNIT_OF|TASK|MAKER|PAIRS|DATAGRAMS|NAMES|"
    r"TLS_ENDS|STARTING|SCENE|Test|ParameterizedTest|Theory)\s*\(\s*(\w+)",
    re.MULTILINE)
RESULT = re.compile(r"^(not )?ok\b", re.MULTILINE)
# A result of Criterion, without a number and with the time that the test took.
NAMED = re.compile(r"^(not ok|ok) - (\w+)::(\w+) *(?:\([\d.]+s\))?(.*)$")
SKIPPED = re.compile(r"^# (.*)\n(ok .* # SKIP)$", re.M)
LEFT_OUT = "# SKIP test was skipped"


def suites_of(source):
    """The suite of each test in a file, and the pattern that these tests match."""
    with open(source, encoding="utf-8") as file:
        suites = TEST.findall(file.read())
    return suites, f"@({'|'.join(sorted(set(suites)))})/*"


def run_own(command, patterns, skipped, env):
    """Runs a program that prints its results. Returns them and the status."""
    command = os.environ.get("WEIR_TEST_WRAPPER", "").split() + command
    command += ["--skip=" + pattern for pattern in skipped]
    command += ["--filter=" + pattern for pattern in patterns]
    with tempfile.TemporaryFile("w+", errors="replace", encoding="utf-8") as said:
        status = left.run(command, stdout=said, env=env)
        said.seek(0)
        # The reason for which a test is skipped is the line before its result.
        return SKIPPED.sub(r"\2 \1", said.read()), status


def run_criterion(command, patterns, env):
    """The same of a program with Criterion. Names are as filters have them."""
    with tempfile.NamedTemporaryFile("r", suffix=".tap", errors="replace",
                                     encoding="utf-8") as report:
        status = left.run(command + ["-j1", "--tap=" + report.name] +
                          ["--filter=" + pattern for pattern in patterns],
                          stdout=sys.stderr.fileno(), env=env)
        lines, number = [], 0
        for line in report.read().splitlines():
            found = NAMED.match(line)
            if line.endswith(LEFT_OUT) or line == "#" or line.startswith(("1..", "# Running")):
                continue
            if found:
                number += 1
                line = (f"{found[1]} {number} - {found[2]}/{found[3]} "
                        f"{found[4].strip()}").rstrip()
            lines.append(line)
        lines.append(f"1..{number}")
    return "\n".join(lines) + "\n", status


def main():
    left.keep_account(is_apart=True)
    arguments = sys.argv[1:]
    has_criterion = arguments[0] == "--criterion"
    source, program, *patterns = arguments[has_criterion:]
    suites, all_of_file = suites_of(source)
    expected = len(suites)
    if expected == 0:
        print(f"Bail out! {source} holds no test")
        return 1
    if patterns:
        expected = 1
    else:
        patterns = [all_of_file]

    # A shell has what it starts in the background ignore SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    env = dict(os.environ)
    # More freed memory than a test has; 256 MiB, the default, is mostly page faults.
    env.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=1")
    if has_criterion:
        said, status = run_criterion([program], patterns, env)
    else:
        skipped = os.environ.get("WEIR_TEST_SKIP", "").split()
        said, status = run_own([program], patterns, skipped, env)
    print(said, end="")
    results = RESULT.findall(said)
    if len(results) < expected:
        print(f"Bail out! {len(results)} of {expected} tests ran, "
              f"exit status {status}")
        return 1
    if status != 0 and "not " not in results:
        print(f"Bail out! all passed, but exit status {status}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
