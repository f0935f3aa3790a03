"""Say what a run of `meson test` came to, from its testlog.json.

Prints one line, "PASSED FAILED SKIPPED", that counts single tests: the results
inside a TAP program, or one for a program without. After it follow all failed
ones, marked with a leading "failed ", then what their programs said, then the
skipped ones, marked with a leading "skipped "; in the end the programs that took
longest. Those who see only a part of the output are to see the names first.

With --doubtful it prints the seed of the failed programs, or "-", then their
names, a line each: those to be run again. The name of one that ran under a mask
stands behind that, as the log has it. Nothing is printed where a failure is a
fault however seldom it shows: a crash, a broken assertion of the library, a
sanitizer's report, a failure of what does not depend on the machine, several
seeds, or many programs.

Usage: summary.py [--doubtful] TESTLOG
"""

import json
import re
import sys

RESULT = re.compile(r"^(not )?ok\b[ \d-]*([^#\n]*)(# *SKIP)?", re.M)
GOOD = ("OK", "EXPECTEDFAIL")
# Lines of what is said of one failed test, and for how many of a program.
DETAILS = 15
DETAILED = 3
# Where a sanitizer's report begins, whose end is a table of its memory.
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")
SLOWEST = 5
DOUBTED = 10
# The suites whose programs meet the kernel and each other, so that the mood of a
# machine may decide; and what no mood brings about.
MOODY = {"contract", "e2e", "threads"}
FATAL = re.compile(REPORT.pattern + r"|\bbroken: |CRASH|[Uu]nexpected signal|"
                   r"ended by signal|exit status -\d|ended with -\d|"
                   r": -\d+ instead of|never misused")
SEED = re.compile(r"WEIR_TEST_SEED=(\d+)")


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


def print_doubtful(path):
    names, seeds = [], set()
    with open(path, encoding="utf-8") as log:
        for line in log:
            entry = json.loads(line)
            if not judge(entry)[1]:
                continue
            suites, _, name = entry["name"].rpartition(" / ")
            mask, _, suites = suites.rpartition(" ")
            text = (entry.get("stdout") or "") + (entry.get("stderr") or "")
            if (not MOODY & set(re.split("[:+]", suites)) or FATAL.search(text)
                    or (entry.get("returncode") or 0) < 0):
                return
            seeds.update(SEED.findall(text))
            names.append(f"{mask} {name}".strip())
    if names and len(names) <= DOUBTED and len(seeds) <= 1:
        print("\n".join([seeds.pop() if seeds else "-", *names]))


def main():
    if sys.argv[1] == "--doubtful":
        print_doubtful(sys.argv[2])
        return
    passed, failed, skipped, times = 0, [], [], []
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            entry = json.loads(line)
            good, bad, left = judge(entry)
            times.append((entry.get("duration") or 0, entry["name"]))
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
    print("slowest", ", ".join(f"{name} {seconds:.0f} s" for seconds, name
                               in sorted(times, reverse=True)[:SLOWEST]))


main()
