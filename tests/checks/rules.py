"""Every test that tests/RULES.md names must exist.

A name is `suite/test`, in backquotes in a table, * for any text. The tests are read
from the source files, so that a test which is renamed or removed leaves a
complaint here and not a promise that nobody keeps.

Usage: rules.py SOURCE
"""

import fnmatch
import pathlib
import re
import sys

TEST = re.compile(r"^(?:UNIT|UNIT_ABORTS|Test)\s*\(\s*(\w+),\s*(\w+)", re.M)
NAME = re.compile(r"`(\w+/[\w*]+)`")


def main():
    tests = pathlib.Path(sys.argv[1]) / "tests"
    known = set()
    for path in sorted(tests.rglob("*.c")):
        text = path.read_text(encoding="utf-8")
        known |= {f"{suite}/{name}" for suite, name in TEST.findall(text)}
    rules = (tests / "RULES.md").read_text(encoding="utf-8")
    rows = [line for line in rules.splitlines() if line.startswith("|")]
    names = NAME.findall("\n".join(rows))
    missing = [name for name in names if not fnmatch.filter(known, name)]
    for name in missing:
        print(f"tests/RULES.md: no such test: {name}", file=sys.stderr)
    if not names or not known:
        print("no names or no tests were found", file=sys.stderr)
        return 1
    return 1 if missing else 0


sys.exit(main())
