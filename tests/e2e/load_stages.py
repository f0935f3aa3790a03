"""Connections that come and go (--conn-stages): a relay before the server counts them.

The relay records with each piece of bytes how many connections are open. The tests
compare which numbers occurred and in which order, not when. On a machine that is too
busy for short stages they try longer ones.
"""

import contextlib
import re
import socket
import threading

import h2_peer
import schema
import web_socket
from harness import (WEIR_LOAD, Serve, command, equal, fails, load, load_json,
                     matches, one_line, run)
from servers import Noting, Server, free_port

OK, USAGE, NOTHING, INVALID = 0, 2, 3, 5
LENGTHS_MS = (250, 1000, 5000)
# Little is sent: the relay needs its share of a processor.
PAUSE = ("--think", "20ms")
LINES = ("--request", "a\\r\\n", "--expect", "delim:\\r\\n")


class Missed(AssertionError):
    """Numbers that may not have occurred because the stages were too short."""


def shown(is_true, what):
    if not is_true:
        raise Missed(what)


def in_stages(check):
    """Calls check() with the length of a stage in ms, and with a longer one after
    Missed."""
    for length in LENGTHS_MS:
        try:
            return check(length)
        except Missed:
            if length == LENGTHS_MS[-1]:
                raise


def stages(length, *numbers):
    return ("--conn-stages", ",".join(f"{length}ms@{number}" for number in numbers),
            "-i", f"{length // 5}ms")


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


def check_steps(relay, result):
    """Never one too many, all of them, and then few again."""
    seen = relay.seen
    shown(relay.most == 13 and 13 in seen, f"the most that were open; {seen}")
    up = seen.index(13)
    down = len(seen) - 1 - seen[::-1].index(13)
    shown(5 in seen[:up] and 5 in seen[down:], f"5 at first and at last, of {seen}")
    rows = [row["open"] for row in result["intervals"]]
    connections = result["connections"]
    shown((max(rows), rows[-1], connections["open_at_begin"],
           connections["open_at_end"]) == (13, 5, 5, 5), f"{rows} {connections}")


# ---- protocols and threads ----

def check_protocol(url_of, *flags, relay):
    def check(length):
        steps = stages(length, 5, 13, 5)
        with relay() as one:
            result = staged(*steps, "-w", "50ms", *PAUSE, *flags, url_of(one.place))
            check_steps(one, result)
        equal(result["connections"]["opened"], 13, "opened")
        equal(result["config"]["conn_stages"], steps[1], "configuration")
        equal(result["config"]["connections"], 13, "the largest number")

    in_stages(check)


def test_a_server_has_as_many_connections_as_the_stages_say():
    """Whatever the protocol is, and however its connections end."""
    for mode, scheme, flags in (("http", "http", ("-t", "4")), ("echo", "tcp", ()),
                                ("echo", "tcp", LINES)):
        check_protocol(lambda place, scheme=scheme: f"{scheme}://{place}", *flags,
                       relay=lambda mode=mode: relayed("--mode", mode))


def test_streams_and_web_sockets_have_as_many_connections_as_the_stages_say():
    def http2(connection, number):
        one = h2_peer.Peer(connection, number)
        with contextlib.suppress(OSError):
            one.begin()
            one.answer_all()

    for work, scheme, flags in (
            (http2, "http", ("--http2", "-p", "1")),
            (web_socket.echo_with(web_socket.plain), "ws", ())):
        with Server(work) as server:
            check_protocol(lambda place, scheme=scheme: f"{scheme}://{place}", *flags,
                           relay=lambda port=server.port: Relay(port))


# ---- load models and modes ----

def test_an_open_loop_keeps_its_schedule():
    """Its rates have stages, too."""
    def check(length):
        with relayed("--mode", "http") as relay:
            result = staged(*stages(length, 5, 13, 5), "--stages",
                            f"{2 * length}ms@200,{length}ms@200..600", "-w", "50ms",
                            f"http://{relay.place}", statuses=(OK, INVALID))
        equal(result["requests"]["ok"], length * 8 // 10, "requests")
        check_steps(relay, result)

    in_stages(check)


def test_it_may_begin_and_end_without_a_connection():
    """Then there is no warm-up, in which nothing could be sent."""
    def check(length):
        with relayed("--mode", "http") as relay:
            result = staged(*stages(length, "0..10", 10, "10..0"), "-t", "3", *PAUSE,
                            f"http://{relay.place}")
        equal(result["connections"]["open_at_begin"], 0, "at the begin")
        equal(result["config"]["warmup_ns"], 0, "warm-up")
        equal(result["warmup"]["sent"], 0, "sent in it")
        shown((relay.most, result["connections"]["opened"]) == (10, 10), "opened")
        shown(result["intervals"][-1]["open"] <= 1, "at the end")

    in_stages(check)


def test_idle_connections_come_and_go():
    def check(length):
        with relayed() as relay:
            result = staged("--mode", "idle", *stages(length, 5, 11, 3),
                            f"tcp://{relay.place}")
        shown((relay.most, result["requests"]["ok"]) == (11, 11),
              "connections that stood")
        shown(result["connections"]["open_at_end"] == 3, "at the end")

    in_stages(check)


def test_connections_of_one_request_are_as_many_at_a_time():
    with Serve("--mode", "http", "--delay", "20ms") as server:
        url = f"http://127.0.0.1:{server.port}"
        for flags in (("--mode", "crr"), ("--requests-per-conn", "2:4"),
                      ("--disable-keepalive",)):
            def check(length, flags=flags):
                result = staged(*stages(length, 2, 9, 2), *flags, url)
                rows = [row["open"] for row in result["intervals"]]
                equal(max(rows) <= 9, True, f"of the intervals {rows}")
                shown(max(rows) > 2 >= rows[-1], f"of the intervals {rows}")

            in_stages(check)
        result = staged("--mode", "connect", "--conn-rate", "500", *stages(250, 1, 4),
                        server.url)
        equal(result["requests"]["ok"] > 0, True, "connections")


# ---- how they go ----

def test_what_is_under_way_is_answered_first():
    with relayed("--mode", "http", "--delay", "150ms") as relay:
        for flags in ((), ("-p", "3")):
            def check(length, flags=flags):
                result = staged(*stages(length, 12, 1), "-w", "0", *flags,
                                f"http://{relay.place}")
                shown((result["connections"]["opened"],
                       result["connections"]["open_at_end"]) == (12, 1),
                      f"opened, at the end with {flags}")

            in_stages(check)


def test_they_are_closed_here_where_the_server_was_to_close_them_later():
    def check(length):
        with Serve("--mode", "http", "--delay", "50ms") as server:
            result = staged(*stages(length, 12, 1), "-w", "0", "--requests-per-conn",
                            "1M", f"http://127.0.0.1:{server.port}")
        equal(result["connections"]["not_closed"], 0, "left to the server")
        shown(result["connections"]["closed_first"] == 11, "closed here")

    in_stages(check)


def test_some_come_again():
    def check(length):
        with relayed("--mode", "http") as relay:
            result = staged(*stages(length, 6, 1, 6), *PAUSE, f"http://{relay.place}")
        shown((relay.most, result["connections"]["opened"],
               result["connections"]["open_at_end"]) == (6, 11, 6),
              f"the most, opened, at the end; {relay.seen}")

    in_stages(check)


def test_no_server_ends_a_run_that_begins_without_a_connection():
    outcome = load("--conn-stages", "100s@0..300",
                   f"http://127.0.0.1:{free_port()}")
    equal(outcome.status, NOTHING, "exit status")
    matches(outcome.err, r"ECONNREFUSED")


# ---- what is said ----

def test_the_report_says_how_many_were_open():
    def check(length):
        outcome = load(*stages(length, 3, 7), *PAUSE, url)
        equal(outcome.status, OK, f"exit status; {outcome.err!r}")
        matches(outcome.out, r", up to 7 connections, depth 1")
        shown(re.search(r"(?m)^Open        3 at .*  7 at ", outcome.out), outcome.out)

    with Serve("--mode", "http") as server:
        url = f"http://127.0.0.1:{server.port}"
        in_stages(check)
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
        steps = ("--conn-stages", "50ms@2,50ms@4")
        outcome = command(WEIR_LOAD, "ab", "--runs", "6", "--force", *PAUSE, *steps,
                          url, url)
        equal("conn-stages" in outcome.err, False, outcome.err)
        equal(outcome.status != USAGE, True, outcome.err)
        outcome = command(WEIR_LOAD, "sweep", "--rates", "50", "--force",
                          "--lateness-limit", "1h", *steps, url)
        equal((outcome.status, outcome.err), (OK, ""), "a sweep of rates")
        fails(command(WEIR_LOAD, "sweep", "--conns", "5", *steps, url),
              r"--conn-stages: it cannot be combined with --conns", USAGE)
        outcome = command(WEIR_LOAD, "search", "--slo", "p99<1s", *steps, url)
        equal(outcome.status, USAGE, "exit status of search")
        one_line(outcome.err, r"--conn-stages: each run of a search has one")


run(globals(), short="a_server_has_as_many_connections_as_the_stages_say")
