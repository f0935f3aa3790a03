#!/usr/bin/env python3
"""Each system call of weir is refused in turn: an error is told, or it works.

A filter of an older container, or a strict unit of systemd, answers EPERM or
ENOSYS to calls that weir or the C library makes. strace tells which calls a
scenario (scenario.c) makes from a moment on: before there is a loop, or on a
loop that runs. Then each of them is refused, with either error and either
engine. The scenario must come to its right result or tell an error; it must not
abort, hang or come to a wrong result.

A few refusals drawn by a seed, or all of them with --all or WEIR_REFUSE=all;
--only names a scenario, --call a system call. Prints TAP, and a table of all that
was refused.
"""

import argparse
import collections
import concurrent.futures
import errno
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

SCENARIOS = ("tcp", "unix", "names", "datagrams", "files", "sendfile", "pipes",
             "child", "signals", "threads", "executor", "watch", "embedded")
MOMENTS = ("begin", "loop")
ENGINES = ("uring", "poll")
ERRORS = (errno.EPERM, errno.ENOSYS)

# Without these no process lives, whatever library it uses.
EXEMPT = {
    "close": "no end of a stream leaves the process",
    "brk": "the C library takes the error for an address",
    "rseq": "the C library ends the program that starts a thread",
    "exit": "a thread cannot end",
    "exit_group": "a process cannot end",
    "rt_sigreturn": "a handler cannot return",
    "futex": "the C library ends the program: no mutex works",
    "mmap": "the C library has no memory, for threads and for malloc()",
    "restart_syscall": "the kernel makes it",
    "execve": "of the child: it is another program",
}

# The exit status of a scenario (enum ending), and what it means.
ENDINGS = {0: "ok", 1: "told", 2: "WRONG", 3: "HANGS", 4: "MISUSED"}
GOOD = ("ok", "told")
WAIT_S = 60

# A signal to a number that a refused call gave must reach nothing else.
APART = ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c",
         '"$0" "$@"; exit $?']

CALL = re.compile(r"^(\d+) +\[ *(\d+)\] (\w+)\((.*)")


def run_scenario(program, engine, scenario, moment, refusal=(), before=()):
    """How the program ends, and its line."""
    folder = tempfile.mkdtemp()
    env = dict(os.environ, WEIR_ENGINE=engine)
    env["ASAN_OPTIONS"] = "detect_leaks=0"  # LeakSanitizer needs ptrace()
    try:
        outcome = subprocess.run(
            [*before, *APART, program, scenario, moment, folder, *map(str, refusal)],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=WAIT_S, check=False)
    except subprocess.TimeoutExpired:
        return "HANGS", f"no end within {WAIT_S} s"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    said = outcome.stdout.decode(errors="replace").strip()
    if outcome.returncode >= 128:
        return "ABORTS", f"signal {outcome.returncode - 128}: {said[:400]}"
    return ENDINGS.get(outcome.returncode, "ABORTS"), said[:400]


def calls_of(trace):
    """Numbers and names of the calls after the mark, in order."""
    calls = {}
    others = set()  # processes that run another program
    seen = False
    with open(trace, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = CALL.match(line)
            if not match:
                continue
            pid, number, name, rest = match.groups()
            if name == "prctl" and '"refuses-now"' in rest:
                seen = True
            elif seen and pid not in others:
                calls.setdefault(name, int(number))
            if name == "execve" and seen:
                others.add(pid)
    return calls


def traced(program, engine, scenario, moment):
    with tempfile.NamedTemporaryFile() as trace:
        strace = ["strace", "-f", "-n", "-qq", "-o", trace.name]
        ending, said = run_scenario(program, engine, scenario, moment, (),
                                    strace)
        if ending != "ok":
            raise SystemExit(f"Bail out! {scenario} with {engine} and without "
                             f"a refusal: {ending} {said}")
        return calls_of(trace.name)


Refusal = collections.namedtuple("Refusal",
                                 "scenario engine moment call number error")


def refusals_of(options, scenario, engine):
    found = []
    for moment in options.moments:
        calls = traced(options.program, engine, scenario, moment)
        found += [Refusal(scenario, engine, moment, name, number, error)
                  for name, number in calls.items() if name not in EXEMPT
                  and options.call in (None, name) for error in ERRORS]
    return found


def outcome_of(options, refusal):
    return run_scenario(options.program, refusal.engine, refusal.scenario,
                        refusal.moment, (refusal.number, refusal.error))


def say(refusal, ending, said):
    name = errno.errorcode[refusal.error]
    print(f"# {refusal.scenario} {refusal.engine}: {refusal.call} refused "
          f"({name}, {refusal.moment}) {ending}: " +
          said.replace("\n", "\n#   "), flush=True)


def show_table(endings):
    """The worst ending of each call, by scenario."""
    order = [*GOOD, "WRONG", "HANGS", "ABORTS", "MISUSED"]
    worst = {}
    for refusal, ending in endings:
        key = refusal.call, refusal.scenario
        worst[key] = max(worst.get(key, "ok"), ending, key=order.index)
    columns = sorted({scenario for _, scenario in worst})
    width = max((len(call) for call, _ in worst), default=0)
    print(f"# {'':{width}} " + " ".join(f"{name:>9}" for name in columns))
    for call in sorted({call for call, _ in worst}):
        cells = (worst.get((call, name), "-") for name in columns)
        print(f"# {call:{width}} " + " ".join(f"{cell:>9}" for cell in cells))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--only", action="append")
    parser.add_argument("--engine", action="append")
    parser.add_argument("--moment", dest="moments", action="append")
    parser.add_argument("--call")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--proxy", action="store_true")
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    options.moments = options.moments or MOMENTS
    seed = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(2**32))
    if not shutil.which("strace") or subprocess.run(
            [*APART, "true"], check=False).returncode != 0:
        print("1..0 # SKIP no strace, or no namespace of processes")
        return 0
    scenarios = options.only or [*SCENARIOS, *(["relay"] if options.proxy else []),
                                 *(["tls"] if options.tls else [])]
    pairs = [(scenario, engine) for scenario in scenarios
             for engine in options.engine or ENGINES]
    whole = (options.all or os.environ.get("WEIR_REFUSE") == "all" or
             options.only or options.call)
    if not whole:  # a trace takes longer than the refusals of it
        print(f"# WEIR_TEST_SEED={seed}")
        pairs = random.Random(seed).sample(pairs, 3)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        return refuse_all(options, pairs, None if whole else seed, pool)


def refuse_all(options, pairs, seed, pool):
    endings = []
    failed = 0
    print(f"1..{len(pairs)}", flush=True)
    for number, pair in enumerate(pairs, 1):
        refusals = refusals_of(options, *pair)
        if seed is not None and len(refusals) > options.count // len(pairs):
            refusals = random.Random(seed).sample(
                refusals, options.count // len(pairs))
        results = pool.map(lambda refusal: outcome_of(options, refusal),
                           refusals)
        bad = 0
        for refusal, (ending, said) in zip(refusals, results):
            endings.append((refusal, ending))
            if ending not in GOOD:
                bad += 1
                say(refusal, ending, said)
        failed += bad > 0
        print(f"{'not ok' if bad else 'ok'} {number} - {pair[0]} with {pair[1]}"
              f" tells all of {len(refusals)} refusals", flush=True)
    show_table(endings)
    for name in sorted(EXEMPT):
        print(f"# not refused: {name}: {EXEMPT[name]}")
    return failed > 0


sys.exit(main())
