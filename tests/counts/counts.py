"""Count what the library does for one echoed message, and hold it to numbers.

The program (echo.c) is run in two lengths; the difference, divided by the
messages between them, is free of start-up. Instructions come from callgrind:
those of functions that are defined in lib/ or uring/, and of what these call
in other libraries (memcpy and the like). The program's own functions and the
fake machine's do not count. Every number has a limit in numbers.json; less
than nine tenths of a limit is reported, so that limits follow the code down.

Usage: counts.py PROGRAM SOURCE NUMBERS WORK [--show]
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

SKIP = 77
OWN = ("lib/", "uring/", "include/weir/")
SPEC = re.compile(r"^(c?)(fn|fl|fi|fe)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"^[+*\-]?\d* (\d+)$")


class Profile:
    """What the library's functions cost, from a callgrind file."""

    def __init__(self, path, source):
        self.source = os.path.realpath(source) + "/"
        self.files = {}      # id: path
        self.functions = {}  # id: name
        self.homes = {}      # function id: {path: cost of its lines there}
        self.costs = {}      # function id: its own cost
        self.calls = {}      # (caller id, callee id): cost of the calls
        with open(path, encoding="utf-8") as lines:
            self.read(lines)
        self.by_function = {}
        self.sum_up()

    def read(self, lines):
        file, line_file, function, callee, is_call = None, None, None, None, 0
        for line in lines:
            line = line.rstrip("\n")
            spec = SPEC.match(line)
            cost = None if spec else COST.match(line)
            if spec:
                is_callee, what, index, text = spec.groups()
                names = self.functions if what == "fn" else self.files
                if text is not None:
                    names[index] = text
                if is_callee and what == "fn":
                    callee = index
                elif what == "fn":
                    function, line_file = index, file
                elif not is_callee:
                    line_file = index
                    file = index if what == "fl" else file
            elif line.startswith("calls="):
                is_call = True
            elif cost and function:
                where = self.calls if is_call else self.costs
                key = (function, callee) if is_call else function
                where[key] = where.get(key, 0) + int(cost[1])
                if not is_call:
                    home = self.homes.setdefault(function, {})
                    path = self.files[line_file]
                    home[path] = home.get(path, 0) + int(cost[1])
                is_call = False

    def kind(self, function):
        """own, tests (this program and the fake), or other (libc).

        Callgrind names the file of a function's first instruction, which may
        be inlined from a header: the .c file among its lines decides.
        """
        home = self.homes.get(function, {"???": 0})
        sources = [path for path in home if path.endswith(".c")]
        path = max(sources or home, key=home.get)
        path = os.path.normpath(path).removeprefix(self.source)
        if path.startswith(OWN):
            return "own"
        return "tests" if path.startswith("tests/") else "other"

    def sum_up(self):
        for function, cost in self.costs.items():
            if self.kind(function) == "own":
                self.by_function[self.functions[function]] = cost
        for (caller, callee), cost in self.calls.items():
            if self.kind(caller) == "own" and self.kind(callee) == "other":
                name = (self.functions[caller] + " -> " +
                        self.functions[callee])
                self.by_function[name] = cost

    def total(self):
        return sum(self.by_function.values())


def run(program, work, source, case, turns):
    conns, depth = case["connections"], case["depth"]
    out = work / f"callgrind.{conns}.{depth}.{turns}"
    env = {"LD_BIND_NOW": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--compress-strings=yes",
         "--compress-pos=no", f"--callgrind-out-file={out}", program,
         str(conns), str(turns), str(depth)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
        timeout=240, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]), Profile(out, source)


def difference(program, work, source, case):
    """Counts for each message, and where the instructions went."""
    short, short_profile = run(program, work, source, case, case["turns"][0])
    long, long_profile = run(program, work, source, case, case["turns"][1])
    messages = long["messages"] - short["messages"]
    if messages <= 0:
        sys.exit("nothing was echoed")
    counts = {name: (long[name] - short[name]) / messages
              for name in short if name != "messages"}
    counts["instructions"] = (long_profile.total()
                              - short_profile.total()) / messages
    places = {}
    for name, cost in long_profile.by_function.items():
        rest = cost - short_profile.by_function.get(name, 0)
        if rest / messages >= 0.5:
            places[name] = rest / messages
    return counts, places


def judge(title, counts, limits):
    good = True
    for name, limit in sorted(limits.items()):
        value = counts[name]
        word = "ok"
        if value > limit:
            word, good = "TOO MANY", False
        elif value < limit * 0.9:
            word = "ok, the limit may go down"
        print(f"{title}: {name} {value:.3f} of {limit} for each message: "
              f"{word}")
    return good


def main():
    program, source, numbers_path, work = sys.argv[1:5]
    show = "--show" in sys.argv[5:]
    if not shutil.which("valgrind"):
        print("valgrind is not installed")
        return SKIP
    work = pathlib.Path(work)
    work.mkdir(parents=True, exist_ok=True)
    with open(numbers_path, encoding="utf-8") as file:
        numbers = json.load(file)
    good = True
    for case in numbers["cases"]:
        counts, places = difference(program, work, source, case)
        good = judge(case["name"], counts, case["limits"]) and good
        if show or not good:
            for name in sorted(places, key=places.get, reverse=True):
                print(f"    {places[name]:8.1f} {name}")
    return 0 if good else 1


sys.exit(main())
