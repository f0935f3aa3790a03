"""What the tools that count say of a process: system calls and the entries of
rings (strace), instructions and misses of a simulated data cache (callgrind).

A process runs twice, for a different number of operations, and the difference is
free of what starting and ending take.
"""
import collections
import re
import time

from harness import Failure

SYSCALL = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)[( ].*?(?: = (-?\d+).*)?$")


def strace(path):
    """As a child of the server, which keeps its process id."""
    return ["strace", "-D", "-f", "-q", "-o", path]


def callgrind(path):
    return [*callgrind_alone(path), "--cache-sim=yes"]


def callgrind_alone(path):
    """Without the caches, in half of the time."""
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}",
            "-q"]


def read_strace(path):
    """System calls by name, and the entries that were given to rings."""
    deadline = time.monotonic() + 20
    text = ""
    # strace ends after the traced program.
    while "+++ exited" not in text and "+++ killed" not in text:
        if time.monotonic() > deadline:
            raise Failure("strace does not end")
        time.sleep(0.1)
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read()
    counts = collections.Counter()
    for line in text.splitlines():
        found = SYSCALL.match(line)
        if found is None or found[1] == "resumed":
            continue
        is_end = "resumed>" in line
        if not is_end:
            counts["call " + found[1]] += 1
            counts["calls"] += 1
        if found[1] == "io_uring_enter" and int(found[2] or 0) > 0:
            counts["entries"] += int(found[2])
    return counts


def read_callgrind(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = dict(line.rstrip().split(": ", 1) for line in file
                     if line.startswith(("events: ", "totals: ")))
    if len(lines) < 2:
        raise Failure("callgrind wrote nothing")
    cost = dict(zip(lines["events"].split(),
                    map(int, lines["totals"].split())))
    return collections.Counter({
        "instructions": cost["Ir"],
        "D1 misses": cost.get("D1mr", 0) + cost.get("D1mw", 0),
        "LL misses": cost.get("DLmr", 0) + cost.get("DLmw", 0)})


def difference(counts, messages):
    done = messages[1] - messages[0]
    if done < 100:
        raise Failure("too few messages to count by")
    return {name: (counts[1][name] - counts[0][name]) / done
            for name in counts[1]}
