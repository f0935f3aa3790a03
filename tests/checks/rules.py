"""Every test that tests/RULES.md names must exist.

A name is `suite/test` in backquotes. A * stands only behind the number of a rule,
of a complaint or of a share, for all tests that carry it. The tests are read from
the source files, so that a test which is renamed or removed leaves a complaint
here and not a promise that no test keeps.

Usage: rules.py SOURCE
"""

import fnmatch
import pathlib
import re
import sys

TEST = re.compile(r"^(?:UNIT|UNIT_ABORTS|TASK|READER|EXECUTOR|PAIRS\w*|DATAGRAMS\w*|MAKER|PLACED|TLS_PAIR|TLS_ENDS|STARTING|LONE_CLIENT|LONE_SERVER|CHILDREN|CHILD_TASK|FILE_TASK|NAMES\w*|Test)\s*\(\s*(\w+),\s*(\w+)", re.M)
NAME = re.compile(r"`(\w+/[\w*]+)`")
NUMBERED = re.compile(r"\w+/(r\d+[a-c]?__|complaint_\d+__|\w+_share_)\*")
COLUMNS = 200


def main():
    tests = pathlib.Path(sys.argv[1]) / "tests"
    known = set()
    for path in sorted(tests.rglob("*.c")):
        text = path.read_text(encoding="utf-8")
        known |= {f"{suite}/{name}" for suite, name in TEST.findall(text)}
    rules = (tests / "RULES.md").read_text(encoding="utf-8")
    rows = [line for line in rules.splitlines() if line.startswith("  `")]
    names = NAME.findall("\n".join(rows))
    faults = [f"{number}: a line of more than {COLUMNS} columns"
              for number, line in enumerate(rules.splitlines(), 1)
              if len(line) > COLUMNS]
    faults += [f"a name that stands for many promises: {name}"
               for name in names
               if "*" in name and not NUMBERED.fullmatch(name)]
    faults += [f"no such test: {name}" for name in names
               if not fnmatch.filter(known, name)]
    for fault in faults:
        print(f"tests/RULES.md: {fault}", file=sys.stderr)
    if not names or not known:
        print("no names or no tests were found", file=sys.stderr)
        return 1
    return 1 if faults else 0


sys.exit(main())
