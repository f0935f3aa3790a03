"""Run test programs again and again on a busy machine: what passes by luck fails.

Each program is run N times beside K processes that only use a processor, with
features of the kernel masked if asked for. What failed is listed with how often,
and what it said is kept. Exit status 1 when anything failed.

Usage: repeat.py [--times N] [--busy K] [--mask MASK] BUILD [SUITE|NAME]...
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

LIMIT_S = 900
SPIN = "while True: pass"
SKIPPED = 77


def programs(build, wanted):
    """The tests of a build directory that have one of the names, or are in one
    of the suites; without any, all of them."""
    listing = subprocess.run(["meson", "introspect", "--tests", build],
                             stdout=subprocess.PIPE, text=True, check=True)
    for test in json.loads(listing.stdout):
        suites = {suite.split(":")[-1] for suite in test["suite"]}
        if not wanted or wanted & (suites | {test["name"]}):
            yield test


def run(test, build, mask):
    """None, or what the program said that failed."""
    env = dict(os.environ, **test["env"])
    if mask:
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


def repeat(test, options, kept):
    """How often a program failed."""
    failed = 0
    for number in range(options.times):
        said = run(test, options.build, options.mask)
        if said is not None:
            failed += 1
            name = f"{test['name']}-{options.mask or 'plain'}-{number}.log"
            (kept / name).write_text(said, encoding="utf-8")
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--busy", type=int, default=2 * os.cpu_count())
    parser.add_argument("--mask")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("wanted", nargs="*")
    options = parser.parse_args()

    kept = options.build / "repeat"
    kept.mkdir(exist_ok=True)
    loops = [subprocess.Popen([sys.executable, "-c", SPIN])
             for _ in range(options.busy)]
    bad, ran = 0, 0
    try:
        for test in programs(options.build, set(options.wanted)):
            failed = repeat(test, options, kept)
            ran += 1
            bad += failed > 0
            if failed:
                print(f"{test['name']}: failed {failed} of {options.times}",
                      flush=True)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    print(f"{ran} programs, {bad} failed; what they said is in {kept}")
    sys.exit(1 if bad or not ran else 0)


main()
