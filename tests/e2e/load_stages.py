"""Connections that come and go (--conn-stages): a relay before the server counts them.

The relay records with each piece of bytes how many connections are open. Machines are
slow and stages are short, so the test compares which numbers occurred and in which
order, not when.
"""

import contextlib
import json
import socket
import tempfile
import threading
import time

import h2_peer
import schema
import web_socket
from harness import (PATIENT, WEIR_LOAD, Program, Serve, command, equal, fails,
                     load, load_json, matches, one_line, run)
from servers import Noting, Server, free_port

OK, USAGE, NOTHING, INVALID = 0, 2, 3, 5
STEPS = "1s@4,1s@12,1s@4"
# Little is sent: the relay needs its share of a processor.
CALM = ("-w", "500ms", "-i", "250ms")
PAUSE = ("--think", "20ms")
LINES = ("--request", "a\\r\\n", "--expect", "delim:\\r\\n")
# The client's lateness on a busy machine, the use of its CPUs, and whether the relay
# keeps up do not matter here.
LATE = ("--lateness-limit", "1h", "--force")


class Relay(Noting):
    """In front of a server: counts connections, and records how many are open."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.open = 0
        self.most = 0
        self.seen = []

    def change(self, by):
        with self.lock:
            self.open += by
            self.most = max(self.most, self.open)

    def note(self):
        with self.lock:
            if not self.seen or self.seen[-1] != self.open:
                self.seen.append(self.open)

    def back(self, server, connection):
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                connection.sendall(data)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def serve(self, connection, _number):
        self.change(1)
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as server:
                threading.Thread(target=self.back, args=(server, connection),
                                 daemon=True).start()
                while data := connection.recv(1 << 16):
                    self.note()
                    server.sendall(data)
        finally:
            self.change(-1)


@contextlib.contextmanager
def relayed(*flags):
    with Serve(*flags) as server, Relay(server.port) as relay:
        yield relay


def staged(*args, statuses=(OK,)):
    """A run in which no request is lost when connections end."""
    outcome, result = load_json(*args)
    equal(outcome.status in statuses, True,
          f"exit {outcome.status}; it said {outcome.err!r}")
    schema.check(result)
    for count in ("failed", "timeout", "dropped", "in_flight"):
        equal(result["requests"][count], 0, count)
    equal(result["connections"]["lost"], 0, "connections lost")
    equal(result["errors"], [], "errors")
    return result


def check_steps(relay, first=4, high=12, last=4):
    """Never one too many, all of them, and then few again."""
    equal(relay.most, high, f"the most that were open; {relay.seen}")
    up = relay.seen.index(high)
    down = len(relay.seen) - 1 - relay.seen[::-1].index(high)
    equal(first in relay.seen[:up], True, f"{first} first, of {relay.seen}")
    equal(last in relay.seen[down:], True, f"{last} at last, of {relay.seen}")


def check_intervals(result, low=4, high=12):
    rows = [row["open"] for row in result["intervals"]]
    equal((max(rows), rows[-1]), (high, low), f"of the intervals {rows}")
    equal(result["connections"]["open_at_begin"], low, "at the begin")
    equal(result["connections"]["open_at_end"], low, "at the end")


# ---- protocols, threads and parts ----

def test_a_server_has_as_many_connections_as_the_stages_say():
    """Whatever the protocol is, and however its connections end."""
    for mode, scheme, flags in (("http", "http", ()), ("echo", "tcp", ()),
                                ("echo", "tcp", LINES)):
        with relayed("--mode", mode) as relay:
            result = staged("--conn-stages", STEPS, *CALM, *PAUSE, *flags,
                            f"{scheme}://{relay.place}")
            check_steps(relay)
            check_intervals(result)
            equal(result["connections"]["opened"], 12, "opened")
            equal(result["config"]["conn_stages"], STEPS, "configuration")
            equal(result["config"]["connections"], 12, "the largest number")


def test_streams_and_web_sockets_have_as_many_connections_as_the_stages_say():
    def http2(connection, number):
        one = h2_peer.Peer(connection, number)
        with contextlib.suppress(OSError):
            one.begin()
            one.answer_all()

    for work, scheme, flags in (
            (http2, "http", ("--http2", "-p", "1")),
            (web_socket.echo_with(web_socket.plain), "ws", ())):
        with Server(work) as server, Relay(server.port) as relay:
            result = staged("--conn-stages", STEPS, *CALM, *PAUSE, *flags,
                            f"{scheme}://{relay.place}")
            check_steps(relay)
            check_intervals(result)


def test_threads_have_the_number_together():
    with relayed("--mode", "http") as relay:
        result = staged("--conn-stages", "1s@5,1s@13,1s@2", "-t", "4", *CALM,
                        *PAUSE, f"http://{relay.place}")
        check_steps(relay, 5, 13, 2)
        equal(sum(thread["connections"]
                  for thread in result["client"]["threads"]), 13, "of all threads")
        equal(result["connections"]["open_at_end"], 2, "at the end")


def test_parts_have_the_number_together():
    with relayed("--mode", "http") as relay, \
            tempfile.TemporaryDirectory() as folder:
        start = f"{time.time() + 2:.3f}"
        with contextlib.ExitStack() as stack:
            parts = [stack.enter_context(Program(
                WEIR_LOAD, "-q", *PATIENT, "--force", "--part", f"{part}/3",
                "--start-at", start, "-t", "2", f"--json={folder}/%p.json",
                "--conn-stages", "2s@5,2s@13,2s@5", *CALM, *PAUSE,
                f"http://{relay.place}")) for part in (1, 2, 3)]
            outcomes = [part.finish() for part in parts]
        equal([outcome[0] for outcome in outcomes], [OK] * 3,
              f"exit statuses; {outcomes}")
        check_steps(relay, 5, 13, 5)
        merged = f"{folder}/merged.json"
        names = ",".join(f"{folder}/{part}.json" for part in (1, 2, 3))
        outcome = command(WEIR_LOAD, "report", f"--json={merged}", names)
        equal((outcome.status, outcome.err), (OK, ""), "the merge")
        with open(merged, encoding="utf-8") as file:
            result = json.load(file)
        equal(result["connections"]["asked"], 13, "of all parts")
        equal(result["connections"]["open_at_begin"], 5, "at the begin")
        equal(result["connections"]["open_at_end"], 5, "at the end")


# ---- load models and modes ----

def test_an_open_loop_keeps_its_schedule():
    with relayed("--mode", "http") as relay:
        result = staged("--conn-stages", STEPS, "-R", "200", *CALM, *LATE,
                        f"http://{relay.place}", statuses=(OK, INVALID))
        check_steps(relay)
        check_intervals(result)
        equal(result["requests"]["ok"], 600, "requests")


def test_rates_and_connections_have_stages_at_once():
    with relayed("--mode", "http") as relay:
        result = staged("--conn-stages", STEPS, "--stages", "2s@100,1s@100..300",
                        *CALM, *LATE, f"http://{relay.place}",
                        statuses=(OK, INVALID))
        check_steps(relay)
        equal(result["requests"]["ok"], 400, "requests")


def test_it_may_begin_and_end_without_a_connection():
    """Then there is no warm-up, in which nothing could be sent."""
    with relayed("--mode", "http") as relay:
        result = staged("--conn-stages", "1s@0..10,500ms@10,1s@10..0", "-t", "3",
                        "-i", "250ms", *PAUSE, f"http://{relay.place}")
        equal(relay.most, 10, "the most that were open")
        equal(result["connections"]["opened"], 10, "opened")
        equal(result["connections"]["open_at_begin"], 0, "at the begin")
        equal(result["config"]["warmup_ns"], 0, "warm-up")
        equal(result["warmup"]["sent"], 0, "sent in it")
        equal(result["intervals"][-1]["open"] <= 1, True, "at the end")


def test_stages_of_k6_go_from_number_to_number():
    with relayed("--mode", "http") as relay:
        result = staged("--conn-stages", "1s:8,500ms:8", "-i", "250ms", *PAUSE,
                        f"http://{relay.place}")
        equal(relay.most, 8, "the most that were open")
        equal(result["connections"]["open_at_begin"], 1, "at the begin")
        equal(result["connections"]["open_at_end"], 8, "at the end")


def test_idle_connections_come_and_go():
    with relayed() as relay:
        result = staged("--mode", "idle", "--conn-stages", "500ms@5,1s@11,500ms@3",
                        "-i", "250ms", f"tcp://{relay.place}")
        equal(relay.most, 11, "the most that were open")
        equal(result["requests"]["ok"], 11, "connections that stood")
        equal(result["connections"]["open_at_end"], 3, "at the end")


def test_connections_of_one_request_are_as_many_at_a_time():
    with Serve("--mode", "http", "--delay", "20ms") as server:
        url = f"http://127.0.0.1:{server.port}"
        for flags in (("--mode", "crr"), ("--requests-per-conn", "2:4"),
                      ("--disable-keepalive",)):
            result = staged("--conn-stages", "500ms@2,1s@9,500ms@2", "-i",
                            "100ms", *flags, url)
            rows = [row["open"] for row in result["intervals"]]
            equal(max(rows) <= 9, True, f"of the intervals {rows}")
            equal(max(rows) > 2, True, f"of the intervals {rows}")
            equal(rows[-1] <= 2, True, f"of the intervals {rows}")
        result = staged("--mode", "connect", "--conn-rate", "500",
                        "--conn-stages", "300ms@1,300ms@4",
                        server.url)
        equal(result["requests"]["ok"] > 0, True, "connections")


# ---- how they go ----

def test_what_is_under_way_is_answered_first():
    with relayed("--mode", "http", "--delay", "300ms") as relay:
        for flags in ((), ("-p", "3")):
            result = staged("--conn-stages", "700ms@12,700ms@1", "-w", "0",
                            *flags, f"http://{relay.place}")
            equal(result["connections"]["open_at_end"], 1, f"with {flags}")
            equal(result["connections"]["opened"], 12, f"with {flags}")


def test_they_are_closed_here_where_the_server_was_to_close_them_later():
    with Serve("--mode", "http", "--delay", "50ms") as server:
        result = staged("--conn-stages", "700ms@12,700ms@1", "-w", "0",
                        "--requests-per-conn", "1M",
                        f"http://127.0.0.1:{server.port}")
        equal(result["connections"]["not_closed"], 0, "left to the server")
        equal(result["connections"]["closed_first"], 11, "closed here")


def test_some_come_again():
    with relayed("--mode", "http") as relay:
        result = staged("--conn-stages", "600ms@6,600ms@1,600ms@6", *CALM,
                        *PAUSE, f"http://{relay.place}")
        equal(relay.most, 6, "the most that were open")
        equal(result["connections"]["opened"], 11, "opened")
        equal(result["connections"]["open_at_end"], 6, "at the end")


def test_no_server_ends_a_run_that_begins_without_a_connection():
    outcome = load("--conn-stages", "1h@0..300",
                   f"http://127.0.0.1:{free_port()}")
    equal(outcome.status, NOTHING, "exit status")
    matches(outcome.err, r"ECONNREFUSED")


# ---- what is said ----

def test_the_report_says_how_many_were_open():
    with Serve("--mode", "http") as server:
        url = f"http://127.0.0.1:{server.port}"
        outcome = load("--force", "--conn-stages", "500ms@3,500ms@7", "-i",
                       "500ms", *PAUSE, url)
        equal(outcome.status, OK, f"exit status; {outcome.err!r}")
        matches(outcome.out, r", up to 7 connections, depth 1")
        matches(outcome.out, r"^Open        3 at .*  7 at ")
        outcome = load("-n", "10", url)
        equal("\nOpen " in outcome.out, False, "without stages")


def test_a_dry_run_says_the_stages():
    outcome = load("--dry-run", "--conn-stages", "1s@3,1s@7", "http://127.0.0.1:9")
    equal((outcome.status, outcome.err), (OK, ""), "outcome")
    matches(outcome.out, r"^Stages +of connections 1s@3,1s@7, 3 at first$")
    matches(outcome.out, r"7 conns, ")


def test_ab_and_sweep_take_the_stages_and_search_does_not():
    with Serve("--mode", "http") as server:
        url = f"http://127.0.0.1:{server.port}"
        stages = ("--conn-stages", "200ms@2,200ms@4")
        with tempfile.TemporaryDirectory() as folder:
            outcome = command(WEIR_LOAD, "ab", "--runs", "6", "--force", *PAUSE,
                              f"--save={folder}", *stages, url, url)
            equal("conn-stages" in outcome.err, False, outcome.err)
            equal(outcome.status != USAGE, True, outcome.err)
        outcome = command(WEIR_LOAD, "sweep", "--rates", "50", *LATE, *stages, url)
        equal((outcome.status, outcome.err), (OK, ""), "a sweep of rates")
        fails(command(WEIR_LOAD, "sweep", "--conns", "5", *stages, url),
              r"--conn-stages: it has the numbers of connections", USAGE)
        outcome = command(WEIR_LOAD, "search", "--slo", "p99<1s", *stages, url)
        equal(outcome.status, USAGE, "exit status of search")
        one_line(outcome.err, r"--conn-stages: each run of a search has one")


run(globals(), short="a_server_has_as_many_connections_as_the_stages_say")
