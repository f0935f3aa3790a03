"""Every file and every test that include/guide/tls-audit.md names is there.

Usage: audit.py SOURCE
"""

import pathlib
import re
import sys

from rules import read_tests

PAGE = "include/guide/tls-audit.md"
PATH = re.compile(r"(?:lib|tests|tools|include)/[\w./-]+")
TEST = re.compile(r"[a-z]\w*(?:/\w+)?")
NAMES_LEAST = 60


def look(root, text, known):
    """How many names there are, and what is wrong with them."""
    names, faults = 0, []
    for at, line in enumerate(text.splitlines(), 1):
        cells = line.split(" | ") if line.startswith("| ") else [line]
        for cell in cells:
            for name in re.findall(r"`([^`]+)`", cell):
                if PATH.fullmatch(name):
                    is_there = (root / name).exists()
                elif len(cells) > 1 and cell is cells[-1] and TEST.fullmatch(name):
                    is_there = name in known
                else:
                    continue
                names += 1
                if not is_there:
                    faults.append(f"{PAGE}:{at}: there is no {name}")
    return names, faults


def main():
    root = pathlib.Path(sys.argv[1])
    tests, suites, _ = read_tests(root / "tests")
    text = (root / PAGE).read_text(encoding="utf-8")
    names, faults = look(root, text, tests | suites)
    if names < NAMES_LEAST:
        faults.append(f"{PAGE}: {names} names, where {NAMES_LEAST} are expected")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
