"""Loads and their verdicts with epoll: because it was requested, or because Docker's
default profile refuses io_uring.

Counts and messages are the same as with io_uring.
"""

import contextlib
import csv
import os
import tempfile

import h2_peer
from harness import ENV, WEIR_LOAD, Serve, Skip, command, equal, load_json, matches, run
from seccomp import DOCKER, refuse

ENV.pop("WEIR_ENGINE", None)

OK, ERRORS, INVALID, SLO = 0, 4, 5, 99
OPEN = ("-R", "200", "-n", "100", "-w", "0", "--lateness-limit", "1h")


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
    """Returns a result made with epoll."""
    outcome, result = load_json(*args, **options)
    equal(outcome.status in statuses, True,
          f"exit {outcome.status}; it said {outcome.err!r}")
    matches(result["env"]["io_uring"][0], r"^engine +poll")
    return result


def test_both_loops_are_valid_and_judged():
    """Requests of a list are sent in turn, and each is in the log."""
    def check(url, options):
        with tempfile.TemporaryDirectory() as folder:
            path, log = (os.path.join(folder, name)
                         for name in ("urls.txt", "log.csv"))
            with open(path, "w", encoding="ascii") as file:
                file.write("/a\n/b\n/c\n")
            result = measured("-n", "500", "-c", "20", "--urls", path, "--log", log,
                              url, **options)
            with open(log, encoding="ascii") as file:
                rows = list(csv.DictReader(file))
        equal((result["requests"]["ok"], result["valid"]), (500, True), "result")
        equal(sorted((int(row["number"]), row["status"]) for row in rows),
              [(number, "200") for number in range(500)], "the log")
        result = measured(*OPEN, url, **options)
        equal((result["requests"]["ok"], result["valid"],
               result["latency"]["response"]["count"]), (100, True, 100), "result")
        measured("-n", "20", "--expect", "404", "--max-errors", "10", url,
                 statuses=(ERRORS, 3), **options)
        result = measured("-n", "300", "-c", "2", "--slo", "p50<1ns", url,
                          statuses=(SLO,), **options)
        equal([term["pass"] for term in result["slo"]], [False], "objective")

    serving(check)


def test_an_overload_is_invalid():
    def check(url, options):
        result = measured("-R", "400", "-c", "2", "-w", "0", "-d", "1s", url,
                          statuses=(INVALID,), **options)
        equal(result["valid"], False, "a rate that was not reached")

    serving(check, "--limit-rate", "40")


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
            for more in (("-n", "500", "-c", "4"), OPEN):
                result = measured("--http2", "-p", "10", *more, server.http,
                                  **options)
                equal((result["requests"]["ok"], result["valid"]),
                      (int(more[more.index("-n") + 1]), True), "result")


run(globals(), short="both_loops_are_valid_and_judged")
