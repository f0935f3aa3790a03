"""Say what a run of `meson test` came to, from its testlog.json.

Prints one line, "PASSED FAILED SKIPPED", that counts single tests: the results
inside a TAP program, or one for a program without. After it follow the names
of the failed ones, one a line, each with the end of its output, and of the
skipped ones, marked with a leading "skipped ".

Usage: summary.py TESTLOG
"""

import json
import re
import sys

RESULT = re.compile(r"^(not )?ok\b[ \d-]*([^#\n]*)(# *SKIP)?", re.M)
GOOD = ("OK", "EXPECTEDFAIL")
TAIL = 25


def judge(entry):
    """Names of passed, failed and skipped tests of one program."""
    name = entry["name"]
    passed, failed, skipped = [], [], []
    for broken, title, skip in RESULT.findall(entry.get("stdout") or ""):
        kind = failed if broken else skipped if skip else passed
        kind.append(f"{name}: {title.strip()}")
    if not passed and not failed and not skipped:
        kind = (passed if entry["result"] in GOOD else
                skipped if entry["result"] == "SKIP" else failed)
        kind.append(name)
    elif entry["result"] not in (*GOOD, "SKIP") and not failed:
        failed.append(f"{name} ({entry['result']})")
    return passed, failed, skipped


def said(text):
    """The last lines of an output that are not about what went well: a comment
    is kept if the next result after it is a failure, whose reason it gives."""
    kept, comments = [], []
    for line in (text or "").splitlines():
        if line.startswith("#"):
            comments.append(line)
        elif re.match(r"ok\b", line):
            comments = []
        elif line and not re.match(r"TAP version|1\.\.\d", line):
            kept += comments + [line]
            comments = []
    return kept[-TAIL:]


def main():
    passed, failed, skipped = 0, [], []
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            entry = json.loads(line)
            good, bad, left = judge(entry)
            passed += len(good)
            skipped += left
            if bad:
                failed.append((bad, said(entry.get("stdout"))
                               + said(entry.get("stderr"))))
    count = sum(len(bad) for bad, _ in failed)
    print(passed, count, len(skipped))
    for bad, tail in failed:
        for name in bad:
            print("failed", name)
        for line in tail:
            print("    " + line)
    for name in skipped:
        print("skipped", name)


main()
