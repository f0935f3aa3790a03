"""weir-load run with a schedule, and what a closed loop shows of the same server.

The server freezes for half a second in every two, and otherwise answers after 5 ms;
users' latencies can be computed from this. A busy machine delays answers, so the
comparison is repeated until a run agrees, for a minute; everything else is exact.
"""

import contextlib
import json
import os
import signal
import time

import schema
from harness import (WEIR_LOAD, Program, Serve, Service, Skip, command,
                     equal, fails, load, load_json, matches, read_line, run)

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


class Datagrams(Service):
    """weir-load serve over UDP."""

    def __init__(self):
        super().__init__(WEIR_LOAD, "serve", "udp://127.0.0.1:0")
        self.url = read_line(self.process.stdout).split()[-1]


# ---- the frozen server ----

def truth(share):
    """Returns the quantile of the time from the scheduled send to the answer, over
    all times of a period. A request within the last 505 ms waits for the end of the
    period."""
    shortest, longest, period = 5 * MS, 505 * MS, 2000 * MS
    best = 1 - (longest - shortest) / period
    if share < best:
        return shortest
    return shortest + (share - best) * period


def is_near(found, wanted):
    return found is not None and abs(found - wanted) <= wanted / 20


def test_an_open_loop_shows_what_users_feel():
    wanted = {"50": truth(0.5), "90": truth(0.9), "99": truth(0.99)}
    seen = []
    was_quiet = False
    with Serve("--delay", "5ms", "--freeze", "500ms/2s") as server:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            _, result = paced("-R", "500", "-c", "320", "-w", "2s", "-d", "4s",
                              server.url)
            equal(result["requests"]["offered"], 2000, "offered")
            was_quiet |= not any("for a CPU" in warning
                                 for warning in result["warnings"])
            response = result["latency"]["response"]
            found = response["percentiles"]
            seen.append({name: found[name] for name in wanted}
                        | {"max": response["max"]})
            if all(is_near(found[name], wanted[name]) for name in wanted) and \
                    is_near(response["max"], truth(1)):
                return
    if not was_quiet:
        raise Skip("other programs kept the processors busy all the time")
    raise AssertionError(f"{seen} instead of {wanted} and {truth(1)}")


def test_a_closed_loop_owns_up_to_the_stall():
    with Serve("--delay", "5ms", "--freeze", "500ms/2s") as server:
        outcome, result = paced("-c", "2", "-w", "0", "-d", "4s", server.url)
    equal(result["model"]["kind"], "closed", "model")
    equal(result["latency"]["response"], None, "no intended time, no response")
    equal(result["stall"]["longest_ns"] >= 490 * MS, True,
          f"the stall: {result['stall']}")
    warnings = "\n".join(result["warnings"])
    matches(warnings, r"no answer came for .*; the percentiles of a closed")
    equal(outcome.err, "", "standard error")


# ---- schedules ----

def test_a_constant_rate_offers_exactly_that():
    with Serve() as server:
        for args, offered in ((("-R", "200", "-d", "1s"), 200),
                              (("-R", "0.2k/s", "-d", "1500ms"), 300),
                              (("--rate", "400", "-t", "3", "-d", "1s"), 400),
                              (("--stages", "500ms@200,500ms@200..400"), 250)):
            _, result = paced("-c", "6", "-w", "100ms", *args, server.url)
            equal(result["requests"]["offered"], offered, f"offered of {args}")
            equal(result["requests"]["ok"], offered, f"ok of {args}")
            equal(sum(row["offered"] for row in result["intervals"]), offered,
                  f"offered in intervals of {args}")
            equal(result["latency"]["response"]["count"], offered, "responses")
            equal(result["latency"]["send_lateness"]["count"], offered, "sent")


def test_a_count_ends_a_schedule():
    with Serve() as server:
        _, result = paced("-c", "5", "-t", "2", "-R", "1k", "-n", "333",
                          "--arrival", "poisson", server.url)
    equal(result["requests"]["ok"], 333, "ok")
    equal(result["model"], {"kind": "open", "arrival": "poisson"}, "model")


def test_a_count_ends_a_schedule_that_has_a_longer_time():
    """By its time alone it would last an hour."""
    with Serve() as server:
        for threads in ("1", "2"):
            _, result = paced("-c", "2", "-t", threads, "-R", "50", "-n", "3",
                              "-w", "0", "-d", "1h", server.url)
            equal(result["requests"]["ok"], 3, "ok")


def test_a_schedule_with_gaps_lasts_as_long_as_its_time():
    with Serve() as server:
        _, result = paced("-c", "1", "-R", "2", "-n", "100", "-w", "0",
                          "-d", "1200ms", server.url)
    equal(result["requests"]["ok"], 3, "ok, of times 0, 0.5 and 1 s")
    equal(result["duration_ns"] >= 1200 * MS, True, "its whole time")


def test_a_thread_without_a_request_ends_with_the_others():
    with Serve() as server:
        _, result = paced("-c", "2", "-t", "2", "-R", "20", "-n", "1",
                          server.url)
    equal(result["requests"]["ok"], 1, "ok")
    equal("ended early" in " ".join(result["invalid_reasons"]), False,
          "it ends by itself")


def test_datagrams_keep_a_schedule_too():
    with Datagrams() as server:
        _, result = paced("-c", "2", "-R", "300", "-w", "100ms", "-d", "1s",
                          server.url, statuses=(OK, ERRORS, INVALID))
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
              > 10 * result["latency"]["service"]["percentiles"]["50"], True,
              "the wait is in the response")
        _, result = paced("-c", "1", "-R", "200", "-w", "0", "-d", "1s",
                          "--late", "skip", server.url, statuses=(INVALID,))
        equal(result["requests"]["dropped"] > 100, True, "dropped")
        matches(result["invalid_reasons"][0],
                "; all 1 connections were busy, more .-c. may help$")
        _, result = paced("-c", "8", "-R", "200", "-w", "0", "-d", "1s",
                          "--late", "skip", "--max-inflight", "1", server.url,
                          statuses=(INVALID,))
        equal(result["requests"]["dropped"] > 100, True, "dropped by the limit")


def test_overload_is_called_that_where_only_the_warm_up_was_answered():
    """Fifty answers a second, and a warm-up that requests 1,000."""
    args = ("-c", "1", "-R", "2k", "-w", "500ms", "-d", "500ms")
    with Serve("--delay", "20ms") as server:
        outcome, result = paced(*args, server.url, statuses=(INVALID,))
        equal(result["requests"]["ok"], 0, "ok")
        equal(result["rate"]["achieved"] > 0, True, "answers came")
        matches(outcome.err, r"the run is invalid: overload: \d+ answers came")
        text = load(*args, server.url)
    matches(text.out, r"^Rate .*the backlog of the warm-up")
    matches(text.out, r"^Invalid +overload: ")
    equal("not one request" in text.out + text.err, False, "what is said")


def test_too_few_connections_are_not_called_an_overload():
    """One connection to a server that answers after 20 ms, with a higher rate. A
    machine that is busy in the second half of the run makes the server slower, which
    eight intervals never show, however many answers there are; nor do four answers in
    twenty intervals, where some of the first half have none."""
    for delay, rate, interval in (("20ms", "100", "250ms"),
                                  ("450ms", "10", "100ms")):
        with Serve("--delay", delay) as server:
            _, result = paced("-c", "1", "-R", rate, "-w", "0", "-d", "2s", "-i",
                              interval, server.url, statuses=(INVALID,))
        equal(result.get("unserved", 0), 0, f"unserved after {delay}")
        matches(result["invalid_reasons"][0],
                "; all 1 connections were busy, more .-c. may help$")


# ---- lateness of the client ----

def stand_still(*args):
    """A run of 100/s whose process is stopped for half a second as soon as measuring
    has started. Returns its exit status and result."""
    with Program(WEIR_LOAD, "run", "-c", "4", "-R", "100", "-w", "100ms", "-d",
                 "2s", "--json-stream", *args) as client:
        matches(read_line(client.process.stdout), '"start"')
        client.pause()
        end = time.monotonic() + 0.5
        while (left := end - time.monotonic()) > 0:
            time.sleep(left)
        client.signal(signal.SIGCONT)
        status, out, _ = client.finish()
    return status, json.loads(out.splitlines()[-1])["data"]


def test_a_client_that_stood_still_is_to_blame():
    with Serve() as server:
        status, result = stand_still(server.url)
        equal(status, INVALID, "exit")
        late = result["latency"]["client_lateness"]
        equal(late["max"] >= 300 * MS, True, f"lateness: {late['max']}")
        matches(" ".join(result["invalid_reasons"]),
                r"the client was too slow: .* client's own lateness .* "
                r"give it a CPU that is idle")


def test_an_objective_that_holds_in_spite_of_the_client_is_met():
    with Serve() as server:
        status, result = stand_still("--slo", "p90<1h,errors<1", server.url)
        equal((status, result["verdict"]), (OK, "VALID"), "the outcome")
        matches(" ".join(result["warnings"]), r"the client was too slow")
        status, result = stand_still("--slo", "p90>1ns", server.url)
        equal(status, INVALID, "one that wants long times")


def test_the_limit_of_lateness_is_the_users():
    with Serve() as server:
        for limit, is_beyond in (("1h", False), ("100%", False), ("1h,1%", False),
                                 ("0,0%", True)):
            _, result = paced("-R", "50", "-d", "500ms", "-w", "0", "--force",
                              "--lateness-limit", limit, server.url)
            reasons = " ".join(result["invalid_reasons"])
            equal("of the client's own lateness" in reasons, is_beyond,
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
                          server.url, statuses=(OK, INVALID))
        equal(blamed(result, "invalid_reasons"), [], "blamed for others")
        used = result["client"]["threads"][0]["cpus"]
        equal(used["count"], 1, "CPUs")
        equal(used["idle"] < 0.05 and used["others"] >= 0.25, True, f"{used}")
        schema.check(result)


def test_a_client_that_is_late_names_who_uses_its_cpu():
    cpu = min(os.sched_getaffinity(0))
    with Serve() as server, busy_loop(cpu):
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
                r"^the client waited \d+\.\d % of the time for a CPU; .*"
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
                           r"the client's.*; --force goes on$", 2)
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
    with Serve() as server:
        start = time.time() + 1.5
        paced("-c", "1", "-n", "1", "--start-at", f"{start:.3f}", server.url,
              statuses=(OK,))
        equal(time.time() >= start, True, "not before")


run(globals(), short="a_constant_rate_offers_exactly_that")
