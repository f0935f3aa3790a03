"""weir-load run with a schedule, and what a closed loop shows of the same server.

The server freezes for a quarter of the time, and otherwise answers after 5 ms; users'
latencies can be computed from this. A busy machine delays answers and never hastens
them, so no latency may be below the computed one; load_queue.py tests the other bound.
"""

import contextlib
import itertools
import os
import signal
import tempfile
import threading
import time

import schema
from harness import (WAIT_S, WEIR_LOAD, Outcome, Program, Serve, ServeAt, command,
                     equal, fails, load, load_json, matches, read_line, run)
from servers import Server

MS = 10 ** 6
OK, ERRORS, INVALID = 0, 4, 5


def paced(*args, statuses=(OK, INVALID)):
    """A run with JSON whose ledger adds up."""
    outcome, result = load_json(*args)
    equal(outcome.status in statuses, True,
          f"exit {outcome.status}; it said {outcome.err!r}")
    ledger = result["requests"]
    equal(ledger["offered"], ledger["ok"] + ledger["failed"]
          + ledger["timeout"] + ledger["dropped"] + ledger["in_flight"],
          "the sum of the ledger")
    equal(ledger["sent"], ledger["offered"] - ledger["dropped"], "sent")
    return outcome, result


# ---- the frozen server ----

def truth(share):
    """Returns the quantile of the time from the scheduled send to the answer, over
    all times of a period. A request within the last 105 ms waits for the end of the
    period."""
    shortest, longest, period = 5 * MS, 105 * MS, 400 * MS
    best = 1 - (longest - shortest) / period
    if share < best:
        return shortest
    return shortest + (share - best) * period


def test_an_open_loop_shows_what_users_feel():
    """Requests are 2 ms apart, over two whole periods. In a freeze most of them wait for
    a connection."""
    with Serve("--delay", "5ms", "--freeze", "100ms/400ms") as server:
        _, result = paced("-R", "500", "-c", "10", "-w", "0", "-d", "800ms",
                          server.url)
    response = result["latency"]["response"]
    equal((result["requests"]["offered"], response["count"]), (400, 400), "requests")
    for share, found in ((0.5, response["percentiles"]["50"]),
                         (0.9, response["percentiles"]["90"]),
                         (0.95, response["percentiles"]["95"]), (1, response["max"])):
        wanted = truth(share)
        equal(found >= wanted - (4 * MS if share > 0.5 else 0), True,
              f"{found} ns at {share}, not {wanted}")


def test_a_closed_loop_owns_up_to_the_stall():
    """The run is a freeze longer than a period, so it contains a whole freeze."""
    with Serve("--delay", "5ms", "--freeze", "200ms/800ms") as server:
        _, result = paced("-c", "2", "-w", "0", "-d", "1s", server.url)
    equal(result["model"]["kind"], "closed", "model")
    equal(result["latency"]["response"], None, "no intended time, no response")
    equal(result["stall"]["longest_ns"] >= 190 * MS, True,
          f"the stall: {result['stall']}")


# ---- schedules ----

def test_a_constant_rate_offers_exactly_that():
    with Serve() as server:
        for args, offered in ((("-R", "1000", "-d", "200ms"), 200),
                              (("-R", "1k/s", "-d", "300ms"), 300),
                              (("--rate", "2k", "-t", "3", "-d", "200ms"), 400),
                              (("--stages", "100ms@1k,100ms@1k..2k"), 250)):
            _, result = paced("-c", "6", "-w", "100ms", *args, server.url)
            equal(result["requests"]["offered"], offered, f"offered of {args}")
            equal(result["requests"]["ok"], offered, f"ok of {args}")
            equal(sum(row["offered"] for row in result["intervals"]), offered,
                  f"offered in intervals of {args}")
            equal(result["latency"]["response"]["count"], offered, "responses")
            equal(result["latency"]["send_lateness"]["count"], offered, "sent")


def test_a_schedule_ends_with_its_count_or_its_time():
    """By their time alone some would last an hour."""
    with Serve() as server:
        for args, count, least_ms in (
                (("-c", "5", "-t", "2", "-R", "1k", "-n", "333", "--arrival",
                  "poisson"), 333, 0),
                (("-c", "2", "-R", "50", "-n", "3", "-w", "0", "-d", "1h"), 3, 0),
                (("-c", "2", "-t", "2", "-R", "50", "-n", "3", "-w", "0", "-d", "1h"),
                 3, 0),
                # One of the threads has no request.
                (("-c", "2", "-t", "2", "-R", "20", "-n", "1"), 1, 0),
                # Requests are due at 0, 50 and 100 ms.
                (("-c", "1", "-R", "20", "-n", "100", "-w", "0", "-d", "120ms"),
                 3, 120)):
            _, result = paced(*args, server.url)
            equal(result["requests"]["ok"], count, f"ok of {args}")
            equal(result["model"], {"kind": "open", "arrival": "poisson" if
                                    "poisson" in args else "constant"}, "model")
            equal(result["duration_ns"] >= least_ms * MS, True, "its whole time")
            equal("ended early" in " ".join(result["invalid_reasons"]), False,
                  "it ends by itself")


def test_datagrams_keep_a_schedule_too():
    with ServeAt("udp://127.0.0.1:0") as server:
        _, result = paced("-c", "2", "-R", "1500", "-w", "100ms", "-d", "200ms",
                          server.urls[0], statuses=(OK, ERRORS, INVALID))
    equal(result["requests"]["offered"], 300, "offered")
    equal(result["latency"]["response"]["count"],
          result["requests"]["ok"] + result["requests"]["timeout"], "responses")


def test_one_connection_is_not_enough():
    """One connection with 20 ms per answer: 50/s and no more."""
    with Serve("--delay", "20ms") as server:
        outcome, result = paced("-c", "1", "-R", "200", "-w", "0", "-d", "1s",
                                server.url, statuses=(INVALID,))
        equal(result["waited"] > 0, True, "requests waited")
        matches(outcome.err, r"connections were busy")
        # Waits are part of the response times.
        equal(result["latency"]["response"]["max"]
              > 2 * result["latency"]["service"]["percentiles"]["50"], True,
              "the wait is in the response")
        _, result = paced("-c", "8", "-R", "200", "-w", "0", "-d", "1s",
                          "--late", "skip", "--max-inflight", "1", server.url,
                          statuses=(INVALID,))
        equal(result["requests"]["dropped"] > 100, True, "dropped by the limit")


def test_overload_is_called_that_where_only_the_warm_up_was_answered():
    """Fifty answers a second, and a warm-up that requests 2,000."""
    with Serve("--delay", "20ms") as server, \
            tempfile.TemporaryDirectory() as folder:
        outcome = load("-c", "1", "-R", "4k", "-w", "500ms", "-d", "1s",
                       f"--json={folder}/run", server.url)
        with open(f"{folder}/run", encoding="utf-8") as file:
            result = Outcome(INVALID, file.read(), "").json()
    equal((outcome.status, result["requests"]["ok"]), (INVALID, 0), "status and ok")
    equal(result["rate"]["achieved"] > 0, True, "answers came")
    matches(outcome.out, r"^Rate .*the backlog of the warm-up")
    matches(outcome.out, r"^Invalid +overload: all \d+ answers")
    equal("not one request" in outcome.out + outcome.err, False, "what is said")


# ---- lateness of the client ----

def test_a_client_that_stood_still_is_to_blame():
    """The server stops the client for half a second after a third of the requests."""
    count = itertools.count()
    has_begun = threading.Event()

    def serve(connection, _number):
        has_begun.wait(WAIT_S)
        while data := connection.recv(1 << 16):
            connection.sendall(data)
            if next(count) == 20:
                client.pause()
                time.sleep(0.5)
                client.signal(signal.SIGCONT)

    with Server(serve) as server, Program(
            WEIR_LOAD, "run", "-c", "60", "-R", "100", "-n", "60", "-w", "0",
            "--timeout", "60s", "--json", server.url) as client:
        has_begun.set()
        outcome = Outcome(*client.finish())
    equal(outcome.status, INVALID, f"exit; it said {outcome.err!r}")
    result = outcome.json()
    late = result["latency"]["client_lateness"]
    equal(late["max"] >= 300 * MS, True, f"lateness: {late['max']}")
    matches(" ".join(result["invalid_reasons"]),
            r"the client was too slow: .* may be the client's own lateness, "
            r".*give it an idle CPU")


def test_the_limit_of_lateness_is_the_users():
    with Serve() as server:
        for limit, is_beyond in (("1h", False), ("100%", False), ("1h,1%", False),
                                 ("0,0%", True)):
            _, result = paced("-R", "500", "-n", "25", "-w", "0",
                              "--lateness-limit", limit, server.url)
            reasons = " ".join(result["invalid_reasons"])
            equal("may be the client's own lateness" in reasons, is_beyond,
                  f"{limit}: {reasons}")


# ---- CPUs that others use ----

@contextlib.contextmanager
def busy_loop(cpu):
    """A program that never sleeps, on one CPU."""
    with Program("sh", "-c", "echo begun; while :; do :; done",
                 preexec_fn=lambda: os.sched_setaffinity(0, {cpu})) as loop:
        equal(read_line(loop.process.stdout), "begun\n", "the busy loop")
        yield


BESIDE = ("-c", "1", "-R", "100", "-w", "0", "-d", "1s")


def blamed(result, name):
    """Returns lines of reasons or warnings that name programs on its CPUs."""
    return [line for line in result[name] if "other programs used" in line]


def test_a_client_beside_a_program_that_never_sleeps_is_judged_by_its_own_time():
    """Another program on its CPU is a reason only if the client was late."""
    cpu = min(os.sched_getaffinity(0))
    with Serve() as server, busy_loop(cpu):
        _, result = paced("--cpu", str(cpu), "--lateness-limit", "1h", *BESIDE,
                          server.url)
        equal(blamed(result, "invalid_reasons"), [], "blamed for others")
        used = result["client"]["threads"][0]["cpus"]
        equal(used["count"], 1, "CPUs")
        equal(used["idle"] < 0.05 and used["others"] >= 0.25, True, f"{used}")
        schema.check(result)
        outcome = load(*BESIDE, "--lateness-limit", "0,0%", server.url,
                       preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
    equal(outcome.status, INVALID, "exit")
    matches(outcome.out, r"the client was too slow: .*; other programs used "
            rf"\d+ % of CPU {cpu}, the only one that the client may use")


def test_a_closed_loop_waits_for_its_cpu():
    """It needs more than one CPU, so it waits, whatever else runs."""
    cpu = min(os.sched_getaffinity(0))
    flags = ("--cpu", str(cpu), "-c", "8", "-w", "0", "-d", "1s")
    with Serve() as server, busy_loop(cpu), busy_loop(cpu):
        os.sched_setaffinity(server.process.pid, {cpu})
        outcome = command(WEIR_LOAD, "run", "--json", *flags, server.url)
        equal(outcome.status, INVALID, "exit")
        matches(outcome.json()["invalid_reasons"][0],
                r"^the client waited \d+\.\d % of the time for a CPU, .*"
                r"--force\); other programs used")
        _, result = paced(*flags, server.url, statuses=(OK,))
        equal(result["invalid_reasons"], [], "what is allowed")
        late = result["latency"]["read_lateness"]
        equal(late["count"] > 0, True, "samples of answers")
        equal(late["max"] > 0, True, "how late they were read")


# ---- threads ----

def test_threads_lose_nothing():
    with Serve() as server:
        for threads in ("1", "2", "4"):
            _, result = paced("-c", "7", "-t", threads, "-n", "1001", "-p", "3",
                              server.url, statuses=(OK,))
            equal(result["requests"]["ok"], 1001, "ok")
            equal(result["latency"]["service"]["count"], 1001, "latencies")
            equal(result["bytes"], {"in": 1001 * 128, "out": 1001 * 128},
                  "bytes")
            client = result["client"]["threads"]
            equal(len(client), int(threads), "threads")
            equal(sum(part["connections"] for part in client), 7, "connections")
            equal(sum(part["ok"] for part in client), 1001, "ok of threads")


def test_a_thread_is_bound_where_it_is_told():
    cpu = min(os.sched_getaffinity(0))
    with Serve() as server:
        _, result = paced("-c", "2", "-t", "2", "--cpu", str(cpu), "-n", "100",
                          server.url, statuses=(OK,))
    equal([part["cpu"] for part in result["client"]["threads"]], [cpu, cpu],
          "CPUs")
    env = result["env"]
    equal((env["client_cpus"], env["server_cpus"]), ([cpu], None), "CPUs")


def test_a_client_on_the_servers_cpus_is_refused_or_told():
    mine = min(os.sched_getaffinity(0))
    other = 1 + max(os.sched_getaffinity(0))
    forced = ("--server-cpu", f"{other},{mine}", "--force")
    with Serve() as server:
        end = ("-c", "1", "-n", "10", server.url)
        for flags in (("--cpu", str(mine)), ()):
            outcome = command(WEIR_LOAD, "run", "--server-cpu",
                              f"{other},{mine}", *flags, *end)
            fails(outcome, rf"^weir-load: --server-cpu: CPU {mine} is one of "
                           r"the client's.*; --force runs anyway$", 2)
        outcome, result = load_json(*forced, *end)
        equal((outcome.status, result["env"]["server_cpus"]), (OK, [other, mine]),
              "the outcome with --force")
        equal(result["env"]["client_cpus"], sorted(os.sched_getaffinity(0)),
              "CPUs of the client")
        equal(result["warnings"],
              ["client and server shared CPUs, as --force allows"], "warnings")
        text = load("--server-cpu", f"{other}-{other + 2}", "--cpu",
                    f"{mine},{mine}", *end)
        equal((text.status, text.err), (OK, ""), "the outcome with others")
        matches(text.out, rf"^Client and server share this machine: CPUs {mine},"
                          rf"{mine} of the client, {other}-{other + 2} of the "
                          r"server\.$")
        plan = load("--dry-run", "--server-cpu", str(other), "--cpu", str(mine),
                    *end)
        matches(plan.out, rf"^CPUs +{mine} of the client, {other} of the server$")


# ---- the pace of a closed loop ----

def test_thinking_takes_its_time():
    with Serve() as server:
        _, result = paced("-c", "1", "-n", "11", "--think", "20ms", server.url,
                          statuses=(OK,))
    equal(result["duration_ns"] >= 10 * 20 * MS, True, "ten pauses")


def test_connections_are_made_at_their_rate():
    with Serve() as server:
        began = time.monotonic()
        paced("-c", "21", "-n", "21", "--conn-rate", "100", server.url,
              statuses=(OK,))
        equal(time.monotonic() - began >= 0.2, True, "twenty gaps of 10 ms")


def test_a_run_starts_when_it_is_told():
    """A busy machine may start the run too late, which makes it invalid."""
    with Serve() as server:
        start = time.time() + 1
        paced("-c", "1", "-n", "1", "--start-at", f"{start:.3f}", server.url)
        equal(time.time() >= start, True, "not before")


run(globals(), short="a_constant_rate_offers_exactly_that")
