"""Loads and their verdicts with epoll: because it was requested, or because Docker's
default profile refuses io_uring.

Counts and messages are the same as with io_uring.
"""

import contextlib
import csv
import json
import os
import tempfile
import time

import h2_peer
from harness import (ENV, PATIENT, WEIR_LOAD, Program, Serve, Skip, command, equal,
                     load_json, matches, run)
from seccomp import DOCKER, refuse

ENV.pop("WEIR_ENGINE", None)

OK, ERRORS, INVALID, SLO = 0, 4, 5, 99
ANYHOW = ("--timeout", "60s", "--force", "--lateness-limit", "1h")


def engines():
    """Options of a child for each reason to use epoll."""
    yield {"env": dict(ENV, WEIR_ENGINE="poll")}
    yield {"preexec_fn": refuse(DOCKER)}


def serving(check, *flags):
    """Calls the function with the URL of a server, which also uses epoll, and the
    options of its clients."""
    for options in engines():
        with Serve("--mode", "http", *flags, may_complain=True,
                   **options) as server:
            check(f"http://127.0.0.1:{server.port}/", options)
            server.stop()


def measured(*args, statuses=(OK,), **options):
    """Returns a result made with epoll; on a busy machine it may take several runs
    until one ends as it should."""
    end = time.monotonic() + 60
    while True:
        outcome, result = load_json(*args, **options)
        if outcome.status in statuses or time.monotonic() > end:
            break
    equal(outcome.status in statuses, True,
          f"exit {outcome.status}; it said {outcome.err!r}")
    matches(result["env"]["io_uring"][0], r"^engine +poll")
    return result


def test_a_closed_loop_is_valid():
    def check(url, options):
        result = measured("-n", "500", "-c", "20", url, **options)
        equal((result["requests"]["ok"], result["valid"]), (500, True), "result")

    serving(check)


def test_an_open_loop_is_valid():
    def check(url, options):
        result = measured("-R", "200", "-n", "100", "-w", "0", *ANYHOW, url,
                          **options)
        equal((result["requests"]["ok"], result["valid"]), (100, True), "result")
        equal(result["latency"]["response"]["count"], 100, "response times")

    serving(check)


def test_an_overload_is_invalid():
    def check(url, options):
        result = measured("-R", "400", "-c", "2", "-w", "0", "-d", "1s",
                          *ANYHOW[:3], url, statuses=(INVALID,), **options)
        equal(result["valid"], False, "a rate that was not reached")

    serving(check, "--limit-rate", "40")


def test_errors_and_objectives_are_judged():
    def check(url, options):
        measured("-n", "20", "--expect", "404", "--max-errors", "10", url,
                 statuses=(ERRORS, 3), **options)
        result = measured("-n", "300", "-c", "2", "--slo", "p50<1ns", url,
                          statuses=(SLO,), **options)
        equal([term["pass"] for term in result["slo"]], [False], "objective")

    serving(check)


def test_streams_of_http_2_are_valid():
    if command(WEIR_LOAD, "--http2", "--dry-run",
               "http://127.0.0.1:9/").status != OK:
        raise Skip("built without libnghttp2")

    def work(one):
        with contextlib.suppress(OSError):
            one.begin()
            one.answer_all()

    for options in engines():
        with h2_peer.peer(work) as server:
            for more in (("-n", "500", "-c", "4"),
                         ("-R", "200", "-n", "100", "-w", "0", *ANYHOW)):
                result = measured("--http2", "-p", "10", *more, server.http,
                                  **options)
                equal((result["requests"]["ok"], result["valid"]),
                      (int(more[more.index("-n") + 1]), True), "result")


def test_a_list_is_sent_in_turn_and_each_request_is_logged():
    def check(url, options):
        with tempfile.TemporaryDirectory() as folder:
            path, log = (os.path.join(folder, name)
                         for name in ("urls.txt", "log.csv"))
            with open(path, "w", encoding="ascii") as file:
                file.write("/a\n/b\n/c\n")
            measured("--urls", path, "--log", log, "-n", "99", "-c", "3", url,
                     **options)
            with open(log, encoding="ascii") as file:
                rows = list(csv.DictReader(file))
        equal(sorted(int(row["number"]) for row in rows), list(range(99)),
              "numbers in the log")
        equal({row["status"] for row in rows}, {"200"}, "statuses")

    serving(check)


def test_parts_are_merged():
    def check(url, options):
        with tempfile.TemporaryDirectory() as folder:
            start = f"{time.time() + 2:.3f}"
            names = [os.path.join(folder, f"{part}.json") for part in (1, 2)]
            parts = [Program(WEIR_LOAD, "-q", "--part", f"{part}/2",
                             "--start-at", start, "-n", "50", "-c", "4",
                             *PATIENT, f"--json={name}", url, **options)
                     for part, name in enumerate(names, 1)]
            for part in parts:
                with part:
                    part.finish()
            path = os.path.join(folder, "both.json")
            merged = command(WEIR_LOAD, "report", "--force", f"--json={path}",
                             ",".join(names), **options)
            with open(path, encoding="utf-8") as file:
                result = json.load(file)
        matches(merged.out, r"(?m)^2 parts together: ")
        equal(result["requests"]["ok"], 50, "requests of both")

    serving(check)


run(globals(), short="a_closed_loop_is_valid")
