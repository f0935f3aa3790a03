"""What weir-load tells those who use it for the first time, or as they use
another tool: no word, verdict or exit status of it may be taken for another.
"""

import json
import os

from harness import (WEIR_LOAD, command, equal, fails, load, load_json,
                     matches, one_line, run)
from servers import Server, free_port

OK, USAGE, NOTHING, SLO = 0, 2, 3, 99


class Http(Server):
    """Answers each request of HTTP with one status."""

    def __init__(self, status):
        super().__init__(self.talk)
        self.answer = (f"HTTP/1.1 {status} Some Reason\r\nLocation: /x\r\n"
                       "Content-Length: 2\r\n\r\nok").encode()
        self.url = self.url.replace("tcp", "http")

    def talk(self, connection, _number):
        head = b""
        while more := connection.recv(1 << 16):
            head += more
            while b"\r\n\r\n" in head:
                head = head.split(b"\r\n\r\n", 1)[1]
                connection.sendall(self.answer)


# ---- targets ----

def test_help_begins_with_what_most_want_to_load():
    outcome = command(WEIR_LOAD, "--help")
    equal(outcome.status, OK, "exit")
    matches(outcome.out, r"^TARGET is http://HOST\[:PORT\]/PATH, ")
    matches(outcome.out, r"^Example: weir-load .* http://")


def test_a_target_is_shown_as_it_was_written():
    for target in ("http://", "https://:80/x", "http://127.0.0.1:0/"):
        outcome = load(target)
        fails(outcome, rf"^weir-load: '{target}'", USAGE)
        equal("tcp://" in outcome.err, False, "what it was rewritten as")


def test_a_server_of_http_is_no_server_of_echoes():
    def refuse(connection, _number):
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Server(refuse) as server:
        outcome = load("-n", "1", "-c", "1", server.url)
    equal(outcome.status, NOTHING, "exit")
    one_line(outcome.err, r"the answer is one of HTTP; write http://")


# ---- statuses ----

def test_redirects_are_not_taken_for_the_place_that_they_name():
    with Http(302) as server:
        _, result = load_json("-n", "5", server.url)
        matches(result["warnings"][0], r"^5 answers were redirects, which are "
                r"not followed")
        _, result = load_json("-n", "5", "--expect", "3xx", server.url)
        equal(any("redirect" in line for line in result["warnings"]), False,
              "a warning of what is expected")
    for status in (304, 204, 200):
        with Http(status) as server:
            _, result = load_json("-n", "5", server.url)
        equal(any("redirect" in line for line in result["warnings"]), False,
              f"a warning of {status}")


def test_a_status_that_is_no_success_says_how_to_make_it_one():
    with Http(404) as server:
        outcome = load("-n", "5", server.url)
        equal(outcome.status, NOTHING, "exit")
        one_line(outcome.err, r"status 404, .*; --expect says which statuses")
        outcome = load("-n", "5", "--expect", "2xx", server.url)
        equal("--expect" in outcome.err, False, "to those who know")
        equal(load("-n", "5", "--expect", "404", server.url).status, OK, "exit")


# ---- objectives ----

def test_an_objective_of_too_few_values_says_how_many_it_needs():
    with Http(200) as server:
        outcome = load("-n", "50", "--slo", "p99<60s", server.url)
        equal(outcome.status, SLO, "exit")
        one_line(outcome.err, r"not known from 50 values, 1000 needed$")
        outcome = load("-n", "50", "--slo", "tls.p50<60s", server.url)
        one_line(outcome.err, r"not known, as no such times were taken$")


# ---- several runs ----

def test_a_sweep_of_a_server_that_is_not_there_fails():
    url = f"http://127.0.0.1:{free_port()}/"
    outcome = command(WEIR_LOAD, "sweep", "--conns", "1,2", "-n", "5", url)
    equal(outcome.status, NOTHING, "exit")
    one_line(outcome.err, rf"{url}: not one request succeeded: not one request "
             r"was sent; Connection refused$")
    equal(len(outcome.out.splitlines()), 3, "the table")


def test_a_sweep_says_what_failed():
    with Http(404) as server:
        outcome = command(WEIR_LOAD, "sweep", "--conns", "1", "-n", "5",
                          "--slo", "p50<60s", server.url)
        equal(outcome.status, NOTHING, "exit")
        matches(outcome.out, r"5 of 5 requests failed; a status that is not "
                r"expected$")


def test_a_sweep_shows_that_a_run_was_invalid():
    """On a busy machine the reason may be that the rate was not held."""
    with Http(200) as server:
        outcome = command(WEIR_LOAD, "sweep", "--rates", "50", "-d", "1s", "-w",
                          "0", "--lateness-limit", "0,0%", server.url)
    equal(outcome.status, OK, f"exit; it said {outcome.err!r}")
    matches(outcome.out, r"  invalid: .*|answered in time")


def test_a_search_of_a_server_that_is_not_there_says_why():
    url = f"http://127.0.0.1:{free_port()}/"
    for flags in ((), ("--from", "2")):
        outcome = command(WEIR_LOAD, "search", "--slo", "p50<1s", "--json",
                          *flags, url)
        equal(outcome.status, NOTHING, f"exit with {flags}")
        one_line(outcome.err, r"not one request succeeded: .*Connection refused")
        if flags:
            equal(json.loads(outcome.out)["capacity"], None, "capacity")


# ---- the header ----

def test_the_report_does_not_say_that_all_cpus_are_shared():
    cpus = os.sched_getaffinity(0)
    with Http(200) as server:
        outcome = load("-n", "5", "--cpu", str(min(cpus)), server.url)
    if os.cpu_count() > 1:
        matches(outcome.out, rf"^Client and server share this machine, of which "
                rf"the client has CPUs {min(cpus)}\.$")


def test_a_run_that_did_not_begin_has_no_rate():
    url = f"http://127.0.0.1:{free_port()}/"
    outcome = load("-R", "10", "-d", "1s", url)
    matches(outcome.out, r"^weir-load .* open constant, 10 conns")


run(globals())
