"""Say what a run of `meson test` came to, from its testlog.json.

Prints one line, "PASSED FAILED SKIPPED", that counts single tests: the results
inside a TAP program, or one for a program without. After it follow all failed
ones, marked with a leading "failed ", then what their programs printed, then the
skipped ones with their reasons, marked with a leading "skipped ". Readers who see
only a part of the output see the names first.

With --cost it prints what a whole run cost: the ten slowest programs, and how many
objects were compiled, programs and shared libraries linked (COMMANDS, from
`ninja -t commands`) and test programs started. KIND is "all" or "". The exit
status is 1 if one of these numbers is more than LIMITS allows.

Usage: summary.py TESTLOG
       summary.py --cost KIND COMMANDS TESTLOG LIMITS
"""

import json
import re
import sys

RESULT = re.compile(r"^(not )?ok\b[ \d-]*([^#\n]*)(?:# *(SKIP.*))?", re.M)
GOOD = ("OK", "EXPECTEDFAIL")
# Lines of what is said of one failed test, and for how many of a program.
DETAILS = 15
DETAILED = 3
# Where a sanitizer's report begins, whose end is a table of its memory.
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")
SLOWEST = 10


def judge(entry):
    """Names of passed and failed tests of one program, and of skipped ones with the
    reason."""
    name = entry["name"]
    passed, failed, skipped = [], [], []
    for broken, title, skip in RESULT.findall(entry.get("stdout") or ""):
        kind = failed if broken else skipped if skip else passed
        kind.append(f"{name}: {title.strip()}"
                    + (f": {skip[4:].strip(' :') or 'no reason is given'}" if skip else ""))
    if not passed and not failed and not skipped:
        kind = (passed if entry["result"] in GOOD else
                skipped if entry["result"] == "SKIP" else failed)
        reason = re.search(r"^skipped: (.*)", entry.get("stderr") or "", re.M)
        kind.append(name + (f": {reason[1]}" if kind is skipped and reason else ""))
    elif entry["result"] not in (*GOOD, "SKIP") and not failed:
        failed.append(f"{name} ({entry['result']})")
    return passed, failed, skipped


def said(text):
    """The lines of an output that are not about what went well: a comment is
    kept if the next result after it is a failure, whose reason it gives."""
    kept, comments = [], []
    for line in (text or "").splitlines():
        if line.startswith("#"):
            comments.append(line)
        elif re.match(r"ok\b", line):
            comments = []
        elif line and not re.match(r"TAP version|1\.\.\d", line):
            kept += comments + [line]
            comments = []
    return kept


def details(entry, count):
    """What tells the most of @count failed tests of a program."""
    # A program with Criterion prints what its tests say, seeds too, to stderr.
    lines = said(entry.get("stdout")) + [
        line for line in (entry.get("stderr") or "").splitlines() if line]
    room = DETAILS * min(count, DETAILED)
    for number, line in enumerate(lines):
        if REPORT.search(line):
            return lines[number:number + room]
    return lines[-room:]


def read(path):
    with open(path, encoding="utf-8") as log:
        return [json.loads(line) for line in log]


def print_cost(kind, commands, testlog, limits):
    with open(commands, encoding="utf-8") as file:
        lines = file.read().splitlines()
    compiled = sum(" -c " in line for line in lines)
    linked = sum(" -o " in line and " -c " not in line for line in lines)
    entries = read(testlog)
    found = {"objects": compiled, "links": linked, "programs": len(entries)}
    with open(limits, encoding="utf-8") as file:
        allowed = json.load(file)[kind or "check"]
    slowest = sorted(((entry.get("duration") or 0, entry["name"].split(" / ")[-1])
                      for entry in entries), reverse=True)[:SLOWEST]
    print("slowest", ", ".join(f"{name} {seconds:.0f} s" for seconds, name in slowest))
    print(", ".join(f"{count} {what}" for what, count in found.items()))
    more = [f"{what}: {count} instead of {allowed[what]}"
            for what, count in found.items() if count > allowed[what]]
    if more:
        print("more than tests/checks/cost.json allows: " + ", ".join(more), file=sys.stderr)
    return 1 if more else 0


def main():
    if sys.argv[1] == "--cost":
        sys.exit(print_cost(*sys.argv[2:]))
    passed, failed, skipped = 0, [], []
    for entry in read(sys.argv[1]):
        good, bad, left = judge(entry)
        passed += len(good)
        skipped += left
        if bad:
            failed.append((bad, entry["name"], details(entry, len(bad))))
    count = sum(len(bad) for bad, _, _ in failed)
    print(passed, count, len(skipped))
    for bad, _, _ in failed:
        for name in bad:
            print("failed", name)
    for _, program, lines in failed:
        print(f"{program} said:")
        for line in lines:
            print("    " + line)
    for name in skipped:
        print("skipped", name)


main()
