"""Run test programs again and again on a busy machine: what passes by luck fails.

Each program is run N times beside K processes that only use a processor, J
programs at a time, with features of the kernel masked if asked for. Several masks
take turns, so that N is at least their number. All programs run once, then all of
them again. What failed is listed with how often, and what it said is kept. Exit
status 1 when anything failed.

Usage: repeat.py [--times N] [--busy K] [--jobs J] [--masks MASK[,MASK...]|every]
                 BUILD [SUITE|NAME]...
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

LIMIT_S = 900
SPIN = "while True: pass"
SKIPPED = 77
PLAIN = "none"
HERE = pathlib.Path(__file__).resolve().parent


def programs(build, wanted):
    """The tests of a build directory that have one of the names, or are in one
    of the suites; without any, all of them."""
    listing = subprocess.run(["meson", "introspect", "--tests", build],
                             stdout=subprocess.PIPE, text=True, check=True)
    for test in json.loads(listing.stdout):
        suites = {suite.split(":")[-1] for suite in test["suite"]}
        if not wanted or wanted & (suites | {test["name"]}):
            yield test


def masks_of(text):
    """The masks that are asked for; `every` is none, and all that tests have."""
    if text != "every":
        return text.split(",")
    listing = subprocess.run(
        [sys.executable, HERE / "masks.py", HERE.parent / "meson.build",
         HERE.parent.parent / "uring" / "feature.h"],
        stdout=subprocess.PIPE, text=True, check=True)
    return [PLAIN] + [line.split()[0].removeprefix("mask_")
                      for line in listing.stdout.splitlines()]


def run(test, build, mask):
    """None, or what the program said that failed."""
    env = dict(os.environ, **test["env"])
    env.pop("WEIR_FEATURES_MASK", None)
    if mask != PLAIN:
        env["WEIR_FEATURES_MASK"] = mask
    try:
        done = subprocess.run(test["cmd"], env=env, cwd=test["workdir"] or build,
                              stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              errors="replace", timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired as late:
        return f"{late.stdout}\nnot done after {LIMIT_S} s\n"
    # A TAP program tells of failures in its lines.
    if done.returncode in (0, SKIPPED) and "\nnot ok" not in done.stdout:
        return None
    return done.stdout


class Results:
    """Which runs have failed, and how many are left."""

    def __init__(self, kept, count):
        self.kept = kept
        self.count = count
        self.done = 0
        self.failed = collections.Counter()

    def note(self, test, mask, number, said):
        self.done += 1
        if said is not None:
            self.failed[test["name"]] += 1
            name = f"{test['name']}-{mask}-{number}.log"
            (self.kept / name).write_text(said, encoding="utf-8")
            print(f"{time.strftime('%H:%M:%S')} {self.done} of {self.count}: "
                  f"{test['name']} failed, masked: {mask}, see {name}",
                  flush=True)
        elif self.done % 100 == 0:
            print(f"{time.strftime('%H:%M:%S')} {self.done} of {self.count}",
                  flush=True)


def repeat(tests, options, results):
    """Runs all of them once, then all of them again."""
    masks = masks_of(options.masks)
    if options.times < len(masks):
        sys.exit(f"{options.times} times are fewer than {len(masks)} masks")

    def one(number, test):
        mask = masks[number % len(masks)]
        results.note(test, mask, number, run(test, options.build, mask))

    pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
    try:
        for _ in pool.map(lambda pair: one(*pair),
                          [(number, test) for number in range(options.times)
                           for test in tests]):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--busy", type=int, default=2 * os.cpu_count())
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--masks", default=PLAIN)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("wanted", nargs="*")
    options = parser.parse_args()

    # In the background a shell has it ignored, and so would the programs, some
    # of which test what it does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kept = options.build / "repeat"
    kept.mkdir(exist_ok=True)
    tests = list(programs(options.build, set(options.wanted)))
    results = Results(kept, options.times * len(tests))
    loops = [subprocess.Popen([sys.executable, "-c", SPIN])
             for _ in range(options.busy)]
    try:
        repeat(tests, options, results)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    for name, count in sorted(results.failed.items()):
        print(f"{name}: failed {count} of {options.times}")
    print(f"{len(tests)} programs, {len(results.failed)} failed; "
          f"what they said is in {kept}")
    sys.exit(1 if results.failed or not tests else 0)


main()
