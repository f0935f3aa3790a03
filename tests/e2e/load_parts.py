"""One load made by several programs (--part), which start together, and their merged
results.

The server records which requests it gets, and when: this is compared with the one
schedule of all parts.
"""

import contextlib
import csv
import json
import re
import subprocess
import tempfile
import time

import schema
from harness import (WAIT_S, WEIR_LOAD, Program, Serve, command, equal, matches,
                     one_line, read_json, run, write_json)
from servers import Noting

OK, USAGE, INVALID, SLO = 0, 2, 5, 99
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# The client's lateness on a busy machine and the use of its CPUs do not matter here.
ANYHOW = ("--timeout", "60s", "--force")
LATE = ("--lateness-limit", "1h")


class Asked(Noting):
    """An HTTP server that records the number in each path, and the time."""

    def __init__(self):
        super().__init__()
        self.times = []

    def serve(self, connection, _number):
        with connection.makefile("rb") as file:
            for line in file:
                if line.startswith(b"GET /"):
                    now = time.monotonic()
                    with self.lock:
                        self.times.append((int(line.split()[1][1:]), now))
                if line == b"\r\n":
                    connection.sendall(ANSWER)

    @property
    def url(self):
        return f"http://{self.place}/{{seq}}"


def start_soon(seconds=2):
    return ("--start-at", f"{time.time() + seconds:.3f}")


def run_at_once(folder, count, seconds, *args, threads):
    """Returns the exit statuses of all parts, and their output."""
    start = start_soon(seconds)
    with contextlib.ExitStack() as stack:
        parts = [stack.enter_context(Program(
            WEIR_LOAD, "-q", "--part", f"{part}/{count}", *start, *ANYHOW,
            *(LATE if "-R" in args else ()), "-t", str(threads(part)),
            f"--json={folder}/%p.json", *args))
            for part in range(1, count + 1)]
        outcomes = [part.finish() for part in parts]
    return [outcome[0] for outcome in outcomes], [outcome[2] for outcome in
                                                  outcomes]


def run_parts(folder, count, *args, threads=lambda part: 1, server=None):
    """Runs all parts at once. Returns the names of their results. A busy machine may
    start them late: each attempt has more time to start than the previous one."""
    for seconds in (2, 4, 8, 16, 32):
        statuses, said = run_at_once(folder, count, seconds, *args,
                                     threads=threads)
        if INVALID not in statuses:
            break
        if server:
            server.times.clear()
    equal(statuses, [OK] * count, f"exit statuses; they said {said}")
    names = [f"{folder}/{part}.json" for part in range(1, count + 1)]
    for name in names:
        schema.check(read_json(name))
    return names


def merge(names, *flags, status=OK):
    """Merges results. Returns the outcome, and the merged result."""
    folder = tempfile.TemporaryDirectory()
    with folder:
        path = f"{folder.name}/merged.json"
        outcome = command(WEIR_LOAD, "report", f"--json={path}", *flags,
                          ",".join(names))
        equal(outcome.status, status, f"exit status; it said {outcome.err!r}")
        result = None if status == USAGE else read_json(path)
    if result:
        schema.check(result)
    return outcome, result


# ---- one schedule ----

def test_parts_send_one_schedule():
    """Whatever number of threads each has."""
    with Asked() as server, tempfile.TemporaryDirectory() as folder:
        names = run_parts(folder, 3, "-c", "7", "-R", "300", "-n", "100", "-w",
                          "0", server.url, threads=lambda part: 3 - part or 1,
                          server=server)
        equal(sorted(number for number, _ in server.times), list(range(100)),
              "requests")
        for part, name in enumerate(names):
            result = read_json(name)
            equal(result["part"], {"index": part + 1, "count": 3}, "part")
            equal(result["requests"]["ok"], (34, 33, 33)[part], "its requests")
            equal(result["connections"]["opened"], (2, 2, 3)[part],
                  "its connections")
            equal(result["config"]["connections"], 7, "of the whole load")


def test_parts_send_in_turn_and_not_at_once():
    """Each request is due in turn, and none is sent earlier."""
    with Asked() as server, tempfile.TemporaryDirectory() as folder:
        run_parts(folder, 8, "-c", "8", "-R", "100", "-n", "160", "-w", "0",
                  f"--log={folder}/%p.csv", server.url, server=server)
        rows = []
        for part in range(1, 9):
            with open(f"{folder}/{part}.csv", encoding="ascii") as file:
                rows += csv.DictReader(file)
    equal({int(row["number"]): int(row["meant_ns"]) for row in rows},
          {number: number * 10_000_000 for number in range(160)}, "the turns")
    equal([row for row in rows if int(row["sent_ns"]) < int(row["meant_ns"])],
          [], "sent early")


def test_a_closed_loop_has_parts_too():
    with Asked() as server, tempfile.TemporaryDirectory() as folder:
        run_parts(folder, 2, "-c", "3", "-n", "51", server.url, server=server)
        equal(sorted(number for number, _ in server.times), list(range(51)),
              "requests")


# ---- the begin ----

def test_a_part_that_comes_late_fails():
    with Serve() as server:
        outcome = command(WEIR_LOAD, "--json", "--part", "1/2", "--start-at",
                          f"{time.time() - 3:.3f}", "-n", "10", *ANYHOW,
                          server.url)
    equal(outcome.status, INVALID, "exit status")
    said = re.fullmatch(r"sending began (\d+\.\d{3}) s after --start-at: the "
                        r"connections were not established before, and the other "
                        r"parts did not wait",
                        outcome.json()["invalid_reasons"][0])
    equal(float(said[1]) >= 3, True, said[0])


def test_the_next_whole_second_is_far_enough():
    """It starts at a whole multiple, which all parts compute alike, and never earlier.
    A busy machine may start it too late, which makes the run invalid."""
    every = 2 * 10 ** 9
    soonest = (time.time_ns() // every + 1) * every
    with Serve() as server:
        outcome = command(WEIR_LOAD, "--json", "--start-at", "next:2s", "-n",
                          "10", "-w", "0", *ANYHOW, server.url)
    equal(outcome.status in (OK, INVALID), True, f"it said {outcome.err!r}")
    begin = outcome.json()["start_unix_ns"]
    # The two clocks are read in succession.
    equal(begin >= soonest - 10 ** 8, True, f"begin: {begin}, not {soonest}")


# ---- what is not merged ----

def test_what_is_no_run_is_not_merged():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        one, _ = run_parts(folder, 2, "-c", "2", "-n", "100", server.url)
        outcome, _ = merge((one, one), status=USAGE)
        matches(outcome.err, r"1\.json: part 1 of 2 is given twice\n")
        merge((one, one), "--force")


def test_objectives_are_judged_when_all_are_merged():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        names = run_parts(folder, 2, "-c", "2", "-R", "200", "-d", "1s", "-w",
                          "0.2s", "--slo", "rate>=5,errors<=0", server.url)
        for name in names:
            equal([term["pass"] for term in read_json(name)["slo"]], [None, None],
                  "of a part")
        outcome, both = merge(names)
        matches(outcome.out, r"(?m)^2 parts together: VALID$")
        equal(([part["part"]["index"] for part in both["parts"]], both["part"],
               both["connections"]["asked"]), ([1, 2], None, 2), "parts")
        matches(outcome.out, r"(?m)^rate>=5 holds$")
        equal([term["pass"] for term in both["slo"]], [True, True], "of all")
        for name in names:
            result = read_json(name)
            result["slo"][0]["expr"] = "rate>=1000"
            write_json(name, result)
        outcome, both = merge(names, status=SLO)
        matches(outcome.out, r"(?m)^rate>=1000 DOES NOT HOLD$")
        equal((both["verdict"], both["exit_code"]), ("FAILED", SLO), "verdict")


# ---- results through logs ----

def report(text, *flags, status=OK):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/merged.json"
        done = subprocess.run(
            [WEIR_LOAD, "report", f"--json={path}", *flags, "-"],
            input=text, capture_output=True, text=True, timeout=WAIT_S)
        equal(done.returncode, status, f"exit status; it said {done.stderr!r}")
        return done, read_json(path) if status == OK else None


def test_results_are_read_out_of_logs():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        names = run_parts(folder, 2, "-c", "2", "-d", "1s", "-w", "0", "-R",
                          "100", server.url)
        lines = [json.dumps(read_json(name)) for name in names]
        log = ("host1: starting {what} it is told\n"
               f"host1: {lines[0]}\n"
               "host2: {\"level\": \"info\"}\n"
               f"[pod/load-1 {{load}}] {lines[1]}\n")
        _, both = report(log)
        equal([part["file"] for part in both["parts"]],
              ["standard input, line 2", "standard input, line 4"], "names")
        equal(both["requests"]["ok"], 100, "requests")
        # One result as it is written to a file.
        with open(names[0], encoding="utf-8") as file:
            _, alone = report(file.read())
        equal(alone, read_json(names[0]), "one alone")
        _, both = report(log + '{"schema": "a/1", "verdict": "VALID"}\n')
        equal(both["requests"]["ok"], 100, "beside another program's")
        done, _ = report(json.dumps({**json.loads(lines[0]), "exit_code": 256},
                                    indent=2), status=USAGE)
        one_line(done.stderr, "standard input: no run ends with exit_code 256")
        done, _ = report("nothing\n{}\n{\"a\": [", status=USAGE)
        one_line(done.stderr, "standard input: no line of it has a result")
        done, _ = report("", status=USAGE)
        one_line(done.stderr, "standard input: no line of it has a result")


run(globals(), short="parts_send_one_schedule")
