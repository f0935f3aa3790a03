#!/usr/bin/env python3
"""Checks that weir-load ab distinguishes servers on a machine with other load.

Pairs of runs are recorded beside two busy loops: 40 pairs of two equal servers,
and 40 pairs in which one server is 10 % slower. From each kind, as many pairs as
a comparison has are drawn 1,000 times and evaluated. Equal servers must show no
difference in 95 of 100 draws, and the slower server must be found in 90 of 100.

noisy.json in this folder has recorded pairs, which every run of this test
evaluates: the outcome for them must not get worse. It is recorded again, in
seven minutes on a machine that does nothing else, by

    WEIR_LONG=1 WEIR_E2E_TESTS=equals_and_ten_percent_are_told_apart \\
    WEIR_NOISY=tests/e2e/noisy.json \\
        tests/e2e/noisy.py build/tools/weir-load

Without WEIR_NOISY the pairs are evaluated and not stored. Without
WEIR_E2E_TESTS ten comparisons are made in addition, five of each kind, and their
exit codes are checked, which takes ten minutes more. WEIR_TEST_SEED is the seed
of the draws.
"""

import collections
import contextlib
import importlib.util
import json
import os
import random
import sys
import tempfile

from harness import (LONG, Program, Serve, Skip, WAIT_S, WEIR_LOAD, command, equal,
                     extend_limit, matches, run)

PAIRS, DRAWN, TRIALS = 40, 20, 1000
FLAGS = ("-c", "5", "-w", "200ms", "--force", "--timeout", "60s")
FAST, SLOW = ("--delay", "5ms"), "5500us"
HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED = os.path.join(HERE, "noisy.json")
SPEC = importlib.util.spec_from_file_location(
    "results", os.path.join(HERE, "../../tools/weir-load/analysis/results.py"))
results = importlib.util.module_from_spec(SPEC)
sys.dont_write_bytecode = True
SPEC.loader.exec_module(results)
OK, CANNOT_TELL, SLO = 0, 5, 99
SEED = int(os.environ.get("WEIR_TEST_SEED", "1"))
BUSY = "while True: pass"
SAME, WORSE = "no difference", "worse"


def resample(pairs, drawn=DRAWN, margin=0.05):
    """Returns how many of the trials ended with each verdict."""
    lot = random.Random(SEED)
    found = collections.Counter()
    for _ in range(TRIALS):
        change = results.compare_sides(*zip(*lot.sample(pairs, drawn)), True, results.LEVEL)
        found[results.judge_change(change, margin, False)] += 1
    return found


@contextlib.contextmanager
def busy_loops(count):
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(Program(sys.executable, "-c", BUSY))
        yield


def compare(one, other, *args):
    """Runs a comparison next to the busy loops, which must end with a verdict."""
    with busy_loops(2):
        outcome = command(WEIR_LOAD, "ab", *FLAGS, *args, one.url, other.url,
                          limit_s=10 * WAIT_S)
    equal(outcome.status in (OK, CANNOT_TELL, SLO), True, outcome.err)
    return outcome


def record(delay):
    """Records the median latencies of pairs of runs, in ms."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder, Serve(*FAST) as one, \
            Serve("--delay", delay) as other:
        compare(one, other, "-d", "2s", "--runs", str(PAIRS), "--save", folder)
        for number in range(1, PAIRS + 1):
            pair = []
            for side in "ab":
                with open(f"{folder}/{side}-{number:03}.json",
                          encoding="utf-8") as file:
                    pair.append(json.load(file)["summary"]["p50"])
            pairs.append(pair)
    return pairs


def judge(recorded):
    same, slower = (resample(recorded[name]) for name in ("same", "slower"))
    print("#", "same", same, "slower", slower)
    equal(same[SAME] >= TRIALS * 95 // 100, True, f"equals: {same}")
    equal(slower[WORSE] >= TRIALS * 90 // 100, True, f"10 %: {slower}")


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


def test_a_machine_that_is_slow_for_a_while_makes_no_difference():
    """Its speed drops to half and recovers, each for some pairs, and one run in fifty
    takes three times as long."""
    lot = random.Random(SEED)
    speed, wrong, found = 1.0, 0, 0
    for slower in (1, 1.1):
        pairs = []
        for _ in range(200):
            speed = 1 + 0.9 * (speed - 1) + lot.gauss(0, 0.1)
            speed = max(speed, 0.5)
            pairs.append([speed * factor * lot.gauss(1, 0.02)
                          * (3 if lot.random() < 0.02 else 1)
                          for factor in (1, slower)])
        for begin in range(0, 200, DRAWN):
            # A comparison has consecutive pairs.
            verdicts = resample(pairs[begin:begin + DRAWN])
            if slower == 1:
                wrong += verdicts[WORSE] + verdicts["better"]
            else:
                found += verdicts[WORSE]
    equal(wrong, 0, "equals that look different")
    equal(found >= 9 * TRIALS, True, f"10 % that was found: {found}")


# ---- recorded ----

def test_recorded_pairs_are_judged_as_they_were():
    if not os.path.exists(RECORDED):
        raise Skip("noisy.json has not been recorded")
    with open(RECORDED, encoding="utf-8") as file:
        judge(json.load(file))


# ---- by hand ----

def test_equals_and_ten_percent_are_told_apart():
    if not LONG:
        raise Skip("takes seven minutes of an idle machine: WEIR_LONG=1")
    extend_limit(1500)
    recorded = {"flags": [*FLAGS, "-d", "2s", "--delay", *FAST[1:], SLOW],
                "same": record(FAST[1]), "slower": record(SLOW)}
    path = os.environ.get("WEIR_NOISY")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(recorded).replace("], [", "],\n [") + "\n")
    judge(recorded)


def test_ten_comparisons_end_as_a_gate_does():
    if not LONG:
        raise Skip("takes ten minutes of an idle machine: WEIR_LONG=1")
    extend_limit(3600)
    statuses = {"same": [], "slower": []}
    with Serve(*FAST) as one, Serve(*FAST) as same, \
            Serve("--delay", SLOW) as slower:
        for _ in range(5):
            for name, other in (("same", same), ("slower", slower)):
                statuses[name].append(compare(one, other).status)
    print("#", statuses)
    equal(statuses, {"same": [OK] * 5, "slower": [SLO] * 5}, "exit codes")


run(globals())
