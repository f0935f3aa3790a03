#!/usr/bin/env python3
"""Does weir-load ab tell servers apart on a machine that others use?

Pairs of runs are recorded beside two busy loops: 40 of two servers that are
equal, and 40 of one that is 10 % slower. Of each, the pairs that a comparison
has are drawn 1,000 times and judged. Equal servers must show no difference in
95 of 100, the slower one must be found in 90 of 100.

Recording takes some ten minutes on a machine that does nothing else, so it is
done by hand:

    WEIR_LONG=1 tests/e2e/noisy.py build/tools/weir-load build/tests/e2e/resample

WEIR_NOISY=FOLDER keeps what was recorded there, and judges it again when it is
there already. WEIR_TEST_SEED is the lot's.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile

from harness import (LONG, Serve, Skip, WAIT_S, WEIR_LOAD, command, equal,
                     extend_limit, matches, run)

RESAMPLE = os.path.abspath(sys.argv[2])
PAIRS, DRAWN, TRIALS = 40, 20, 1000
FLAGS = ("-c", "5", "-d", "2s", "-w", "200ms", "--force", "--timeout", "60s")
SEED = int(os.environ.get("WEIR_TEST_SEED", "1"))
BUSY = "while True: pass"
SAME, WORSE = "no difference", "worse"


def resample(pairs, drawn=DRAWN, margin="0.05"):
    """How many of the trials ended with each verdict."""
    outcome = command(RESAMPLE, str(drawn), margin, str(SEED), input="".join(
        f"{a!r} {b!r}\n" for a, b in pairs).encode())
    equal(outcome.status, 0, outcome.err)
    found = dict(line.rsplit(": ", 1) for line in outcome.out.splitlines())
    return {verdict: int(count) for verdict, count in found.items()}


@contextlib.contextmanager
def busy_loops(count):
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            loop = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(loop.kill)
        yield


def record(folder, name, delay):
    """The median latencies of pairs of runs; those of a folder that has them
    are read."""
    path = f"{folder}/{name}"
    if not os.path.isdir(path):
        os.mkdir(path)
        with busy_loops(2), Serve("--delay", "5ms") as one, \
                Serve("--delay", delay) as other:
            outcome = command(WEIR_LOAD, "ab", "--runs", str(PAIRS), *FLAGS,
                              "--save", path, one.url, other.url,
                              limit_s=10 * WAIT_S)
        equal(outcome.status in (0, 5, 99), True, outcome.err)
    pairs = []
    for number in range(1, PAIRS + 1):
        values = []
        for side in "ab":
            with open(f"{path}/{side}-{number:03}.json",
                      encoding="utf-8") as file:
                values.append(json.load(file)["summary"]["p50"])
        pairs.append(tuple(values))
    return pairs


# ---- the judge itself ----

def test_made_up_pairs_are_judged_as_they_are():
    lot = random.Random(SEED)

    def make(slower, scatter):
        pairs = []
        for _ in range(PAIRS):
            speed = lot.uniform(1, 3)
            pairs.append(tuple(speed * factor * lot.uniform(1, 1 + scatter)
                               for factor in (1, slower)))
        return pairs

    equal(resample(make(1, 0.01))[SAME], TRIALS, "equals")
    equal(resample(make(1.1, 0.01))[WORSE], TRIALS, "10 % slower")
    equal(resample(make(0.9, 0.01))["better"], TRIALS, "10 % faster")
    equal(resample(make(1, 3))[SAME], 0, "what scatters by three times")
    equal(resample(make(1, 0.01), 5)["cannot tell"], TRIALS, "5 pairs")


def test_too_few_pairs_are_told():
    outcome = command(RESAMPLE, "20", "0.05", "1", input=b"1 2\n")
    equal(outcome.status, 2, "exit")
    matches(outcome.err, "^resample: 1 pairs, of which 20 are to be drawn")


# ---- by hand ----

def test_equals_and_ten_percent_are_told_apart_beside_busy_loops():
    if not LONG:
        raise Skip("takes ten minutes of a machine: WEIR_LONG=1")
    extend_limit(1500)
    with contextlib.ExitStack() as stack:
        folder = os.environ.get("WEIR_NOISY") or stack.enter_context(
            tempfile.TemporaryDirectory())
        os.makedirs(folder, exist_ok=True)
        same = resample(record(folder, "same", "5ms"))
        slower = resample(record(folder, "slower", "5500us"))
    print("#", "same", same, "slower", slower)
    equal(same[SAME] >= TRIALS * 95 // 100, True, f"equals: {same}")
    equal(slower[WORSE] >= TRIALS * 90 // 100, True, f"10 %: {slower}")


run(globals())
