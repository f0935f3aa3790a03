"""Count what the library does for one message, and hold it to numbers.

Each case of the program (count.c) is run in two lengths; the difference, divided by
the messages between them, is free of start-up. Instructions come from callgrind:
those of functions that are defined in lib/ or uring/, and of what these call
in other libraries (memcpy and the like). The program's own functions, the fake
machine's and wolfSSL's do not count; nor does anything while the program plays
the peers, who may use the library's allocator of TLS. Every number has a limit in
numbers.json; less than nine tenths of a limit is reported, so that limits follow the
code down.

Callgrind keeps account by its idea of the call stack, which a switch between
stacks breaks: after one it books what a function does under another. What it
knows for certain is how often each instruction ran, so that is what is asked
of it (--dump-instr), and addresses say whose instruction it was.

Usage: counts.py PROGRAM SOURCE NUMBERS WORK [--show] [--without CASE]...
"""

import bisect
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

SKIP = 77
LIMIT_S = 600
PEERS = "count_play_peers"  # of count.c
TLS = ("wolfSSL_", "wc_")  # how wolfSSL's functions begin
CERTIFICATES = "WEIR_TLS_CERTIFICATES"
OWN = ("lib/", "uring/", "include/weir/")
SPEC = re.compile(r"^(c?)(fn|fl|fi|fe|ob)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"^0x([0-9a-f]+) \d+ (\d+)$")
CALL = re.compile(r"^calls=\d+ 0x([0-9a-f]+) ")
SYMBOL = re.compile(r"^([0-9a-f]+) ([0-9a-f]+) [tTwWi] (\S+)$", re.M)


class Symbols:
    """The program's functions by address."""

    def __init__(self, program):
        listing = subprocess.run(
            ["nm", "--numeric-sort", "--print-size", "--defined-only",
             program], stdout=subprocess.PIPE, text=True, check=True).stdout
        found = [(int(start, 16), int(size, 16), name)
                 for start, size, name in SYMBOL.findall(listing)]
        self.starts = [start for start, _, _ in found]
        self.found = found

    def at(self, address):
        """(start, name) of the function with this address, or None."""
        index = bisect.bisect_right(self.starts, address) - 1
        if index < 0:
            return None
        start, size, name = self.found[index]
        return (start, name) if address < start + size else None


class Tree:
    """The files of the source tree. The debug information of an object that a
    compiler cache brought may name them by the path of another checkout."""

    def __init__(self, source):
        self.source = pathlib.Path(source)
        self.known = {}  # path: path in the tree, or itself

    def path(self, path):
        if path not in self.known:
            parts = os.path.normpath(path).strip("/").split("/")
            tails = ("/".join(parts[i:]) for i in range(len(parts)))
            self.known[path] = next(
                (tail for tail in tails if (self.source / tail).is_file()),
                path)
        return self.known[path]


class Profile:
    """What the library's functions cost, from a callgrind file."""

    def __init__(self, path, program, source, symbols):
        self.program = os.path.realpath(program)
        self.tree = Tree(source)
        self.symbols = symbols
        self.names = {"ob": {}, "fl": {}, "fn": {}}  # id: text
        self.homes = {}  # function: {path: cost of its instructions there}
        self.calls = {}  # (caller, callee's text or function): cost
        with open(path, encoding="utf-8") as lines:
            self.read(lines)
        self.by_function = {}
        self.sum_up()

    def name(self, what, index, text):
        """Names are written out once and meant by their number later."""
        table = self.names[what if what in ("ob", "fn") else "fl"]
        if text is not None:
            table[index] = text
        return table[index]

    def read(self, lines):
        here = {"ob": None, "fl": None, "fn": None}
        called = {}
        target = None
        for line in lines:
            line = line.rstrip("\n")
            spec = SPEC.match(line)
            cost = None if spec else COST.match(line)
            if spec:
                is_callee, what, index, text = spec.groups()
                where = called if is_callee else here
                where[what if what in ("ob", "fn") else "fl"] = self.name(
                    what, index, text)
            elif line.startswith("calls="):
                target = int(CALL.match(line)[1], 16)
            elif cost:
                address, count = int(cost[1], 16), int(cost[2])
                if target is None:
                    self.add(here, address, count)
                else:
                    self.add_call(here, address, {**here, **called}, target,
                                  count)
                called, target = {}, None

    def function(self, where, address):
        is_ours = where["ob"] == self.program
        return self.symbols.at(address) if is_ours else None

    def add(self, where, address, count):
        function = self.function(where, address)
        if function:
            home = self.homes.setdefault(function, {})
            home[where["fl"]] = home.get(where["fl"], 0) + count

    def add_call(self, where, site, called, target, count):
        caller = self.function(where, site)
        callee = self.function(called, target) or called["fn"]
        if caller:
            key = (caller, callee)
            self.calls[key] = self.calls.get(key, 0) + count

    def kind(self, function):
        """own, tests (this program and the fake), or other (libc).

        The instructions of a function may be inlined from a header: the
        source file among their files decides.
        """
        home = self.homes.get(function, {"???": 0})
        sources = [path for path in home if path.endswith((".c", ".S"))]
        path = max(sources or home, key=home.get)
        path = self.tree.path(path)
        if path.startswith(OWN):
            return "own"
        return "tests" if path.startswith("tests/") else "other"

    def sum_up(self):
        for function, home in self.homes.items():
            if self.kind(function) == "own":
                name = function[1]
                self.by_function[name] = (self.by_function.get(name, 0)
                                          + sum(home.values()))
        for (caller, callee), cost in self.calls.items():
            if self.kind(caller) == "own" and self.kind(callee) == "other":
                name = callee if isinstance(callee, str) else callee[1]
                if name.startswith(TLS):
                    continue
                name = f"{caller[1]} -> {name}"
                self.by_function[name] = self.by_function.get(name, 0) + cost

    def total(self):
        return sum(self.by_function.values())


def run(program, work, cases):
    """Runs each case in its two lengths, all under one valgrind, which takes half
    a second to start. Returns the counts of each run and its callgrind file, in
    pairs."""
    words = [word for case in cases for turns in case["turns"]
             for word in (case["case"], str(turns), str(case["connections"]),
                          str(case["depth"]))]
    env = {"LD_BIND_NOW": "1", "PATH": "/usr/bin:/bin",
           CERTIFICATES: os.environ.get(CERTIFICATES, "")}
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--dump-instr=yes",
         "--compress-strings=yes", "--compress-pos=no",
         # In this order: the first one alone begins without collecting.
         f"--toggle-collect={PEERS}", "--collect-atstart=yes",
         f"--callgrind-out-file={work}/callgrind.%p", program, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
        timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} failed:\n{done.stdout}{done.stderr}")
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    runs = [(counts, work / f"callgrind.{counts.pop('process')}")
            for counts in runs]
    return list(zip(runs[::2], runs[1::2]))


def difference(runs, program, source, symbols):
    """Counts for each message, and where the instructions went."""
    counted = [counts for counts, _ in runs]
    profiles = [Profile(out, program, source, symbols) for _, out in runs]
    messages = counted[1]["messages"] - counted[0]["messages"]
    if messages <= 0:
        sys.exit("nothing was done")
    counts = {name: (counted[1][name] - counted[0][name]) / messages
              for name in counted[0] if name != "messages"}
    counts["instructions"] = (profiles[1].total()
                              - profiles[0].total()) / messages
    if counts["instructions"] < 1:
        sys.exit("no instruction was found to be the library's")
    places = {}
    for name, cost in profiles[1].by_function.items():
        rest = cost - profiles[0].by_function.get(name, 0)
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
    words = sys.argv[5:]
    show = "--show" in words
    without = [name for word, name in zip(words, words[1:])
               if word == "--without"]
    if not shutil.which("valgrind"):
        print("valgrind is not installed")
        return SKIP
    work = pathlib.Path(work)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with open(numbers_path, encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    if CERTIFICATES not in os.environ and "tls" not in without:
        without.append("tls")
    if without:
        print("not built:", *without)
    cases = [case for case in cases if case["case"] not in without]
    symbols = Symbols(program)
    good = True
    for case, runs in zip(cases, run(program, work, cases)):
        counts, places = difference(runs, program, source, symbols)
        good = judge(case["name"], counts, case["limits"]) and good
        if show or not good:
            for name in sorted(places, key=places.get, reverse=True):
                print(f"    {places[name]:8.1f} {name}")
    return 0 if good else 1


sys.exit(main())
