"""Every promise of tests/RULES.md has a test, and every number a promise.

A promise is a line `- words`. It is held by the tests that carry its numbers, when
it begins with some (`R14: words` by `r14__...`, `C21: words` by `complaint_21__...`),
or by the names at its end in backquotes: `suite`, or `suite/test`. The tests are
read from the source files, so that a promise whose last test is renamed or removed
leaves a complaint here. Each number of a test, and each that tests/asyncio.md tells,
stands in both files. No more than twelve macros define tests, so that a reader
knows them.

Usage: rules.py SOURCE
"""

import pathlib
import re
import sys

# Whatever macro makes it: its suite and its name.
TEST = re.compile(r"^(?:[A-Z][A-Z0-9_]*|Test)\s*\(\s*([a-z]\w*),\s*(\w+)", re.M)
PREFIX = re.compile(r"(?:r(\d+[a-c]?)|complaint_(\d+))__")
NUMBERS = re.compile(r"((?:[RC]\d+[a-c]?(?:, )?)+): ")
NAMES = re.compile(r"((?: `[\w/]+`)+)$")
TOLD = re.compile(r"^- \*\*([RC]\d+[a-c]?)\*\* ", re.M)
COLUMNS = 160
MACRO = re.compile(r"^#define (\w+)\(suite, ?name\b", re.M)
MACROS_MAX = 12


def number_of(test):
    """R14 or C21, of a test that carries one."""
    match = PREFIX.match(test)
    if not match:
        return None
    return f"R{match[1]}" if match[1] else f"C{match[2]}"


def read_tests(folder):
    """All `suite/test`, their suites, and the numbers that they carry."""
    tests, suites, numbers = set(), set(), set()
    for path in sorted(folder.rglob("*.c")):
        for suite, test in TEST.findall(path.read_text(encoding="utf-8")):
            tests.add(f"{suite}/{test}")
            suites.add(suite)
            numbers.add(number_of(test))
    return tests, suites, numbers - {None}


def look_at(line, known, carried):
    """The numbers that a promise begins with, and what is wrong with it."""
    begins = NUMBERS.match(line[2:])
    numbers = begins[1].split(", ") if begins else []
    ends = NAMES.search(line)
    names = re.findall(r"`(.*?)`", ends[1]) if ends else []
    faults = [f"no such suite or test: {name}"
              for name in names if name not in known]
    if not names and not numbers:
        faults.append("a promise that names no test")
    if not names:
        faults += [f"no test carries the number {number}"
                   for number in numbers if number not in carried]
    return numbers, faults


def read_macros(folder):
    """The macros that define a test."""
    return {name for kind in ("*.c", "*.h") for path in folder.rglob(kind)
            for name in MACRO.findall(path.read_text(encoding="utf-8"))}


def main():
    folder = pathlib.Path(sys.argv[1]) / "tests"
    tests, suites, carried = read_tests(folder)
    told = TOLD.findall((folder / "asyncio.md").read_text(encoding="utf-8"))
    promised, faults = set(), []
    lines = (folder / "RULES.md").read_text(encoding="utf-8").splitlines()
    for at, line in enumerate(lines, 1):
        found = []
        if line.startswith("- "):
            numbers, found = look_at(line, tests | suites, carried)
            promised.update(numbers)
        if len(line) > COLUMNS:
            found.append(f"more than {COLUMNS} columns")
        faults += [f"{at}: {fault}" for fault in found]
    for number in sorted((carried | set(told)) - promised):
        faults.append(f"no promise begins with {number}")
    for number in sorted((carried | promised) - set(told)):
        faults.append(f"tests/asyncio.md does not tell {number}")
    for fault in faults:
        print(f"tests/RULES.md:{fault}", file=sys.stderr)
    macros = read_macros(folder)
    if len(macros) > MACROS_MAX:
        print(f"tests/: {len(macros)} macros define tests: "
              + " ".join(sorted(macros)), file=sys.stderr)
        return 1
    if not promised or not tests:
        print("no promises or no tests were found", file=sys.stderr)
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
