"""Messages of weir-load for people who use it for the first time, or like another tool:
no word, verdict or exit status may be ambiguous."""

import json
import os
import re
import shlex
import signal
import socket
import threading
import time

from harness import (PATIENT, WEIR_LOAD, Program, Skip, command, equal, fails, load,
                     load_json, matches, one_line, run)
from http_client import Answering
from servers import Server, free_port

OK, USAGE, NOTHING, SLO = 0, 2, 3, 99


class Http(Answering):
    """Answers each HTTP request with one status."""

    def __init__(self, status, location="/x", body="ok"):
        super().__init__(f"HTTP/1.1 {status} Some Reason\r\nlocation: {location}\r\n"
                         f"Content-Length: {len(body)}\r\n\r\n{body}".encode())


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


# ---- figures ----

def test_a_closed_loop_counts_from_when_it_begins():
    """A client that is stopped when its warm-up should end."""
    warm = threading.Event()

    def answer(connection, _number):
        while data := connection.recv(1 << 16):
            warm.set()
            connection.sendall(data)

    with Server(answer) as server, Program(
            WEIR_LOAD, "run", "--json", "-c", "1", "-w", "3s", "-n", "5",
            server.url) as client:
        warm.wait()
        client.pause()
        time.sleep(5)
        begin = time.monotonic_ns()
        client.signal(signal.SIGCONT)
        _, out, err = client.finish()
        took = time.monotonic_ns() - begin
    equal(err, "", "standard error")
    assert json.loads(out)["duration_ns"] < took


# ---- statuses ----

def test_redirects_are_not_taken_for_the_place_that_they_name():
    with Http(302) as server:
        _, result = load_json("-n", "5", server.url)
        matches(result["warnings"][0], r"^5 answers were redirects to \S+/x, "
                r"which are not followed")
        _, result = load_json("-n", "5", "--expect", "3xx", server.url)
        equal(any("redirect" in line for line in result["warnings"]), False,
              "a warning of what is expected")
    for status in (304, 204, 200):
        with Http(status) as server:
            _, result = load_json("-n", "5", server.url)
        equal(any("redirect" in line for line in result["warnings"]), False,
              f"a warning of {status}")


def written(words, url, place):
    """Returns the suggested line: the given one, with another target."""
    words = [place if word == url else word for word in words]
    return shlex.join(["weir-load", "run", *PATIENT, *words])


def test_a_redirect_is_told_with_its_place_and_the_line_to_write():
    for path, location, place in (
            ("/a/b?c=/d", "https://a.example/x", "https://a.example/x"),
            ("/a/b?c=/d", "//a.example:8080", "http://a.example:8080"),
            ("/a/b?c=/d", "/x#y", "{}/x"), ("/a/b?c=/d", "e/f", "{}/a/e/f"),
            ("", "x", "{}/x"), ("/", "./x", "{}/./x")):
        with Http(301, location) as server:
            place = place.format(server.url)
            outcome, result = load_json("-n", "5", server.url + path)
            line = written(["--json", "-n", "5", server.url + path],
                           server.url + path, place)
            equal((outcome.status, outcome.err), (OK, ""), "the outcome")
            matches(result["warnings"][0], rf"^5 answers were redirects to "
                    rf"{re.escape(place)}, .* target write: "
                    rf"{re.escape(line)}$")
            outcome = load("-n", "5", "--expect", "2xx", server.url + path)
            equal(outcome.status, NOTHING, "exit")
            matches(outcome.err, rf"status 301, .* leads to {location}")
            equal(outcome.err.splitlines()[-2:],
                  ["weir-load: write:",
                   written(["-n", "5", "--expect", "2xx", server.url + path],
                           server.url + path, place)], "standard error")


def test_a_place_ends_with_its_line_whatever_ends_it():
    """Heads with LF line ends, and characters that no URL has."""
    for head, place in ((b"Location: /x\nA: b\nContent-Length: 0\n\n", "/x"),
                        (b"A: b\nContent-Length: 0\nlocation:/x\n\n", "/x"),
                        (b"Location: /x\xffy\r\nContent-Length: 0\r\n\r\n",
                         "/x?y")):
        with Answering(b"HTTP/1.1 302 Found\n" + head) as server:
            url = server.url
            outcome = load("-n", "5", "--expect", "2xx", url)
            equal(outcome.status, NOTHING, outcome.err)
            matches(outcome.err,
                    rf"status 302, .*which leads to {re.escape(place)}$")
            equal(outcome.err.splitlines()[-1],
                  written(["-n", "5", "--expect", "2xx", url], url, url + place),
                  "the line to write")


def test_texts_that_are_no_characters_are_in_the_result():
    _, result = load_json("-n", "5", "-c", "1", os.fsdecode(b"unix:/no/\xff"))
    equal(len(result["config"]["targets"]), 1, "targets")
    equal([(kind["phase"], kind["code"]) for kind in result["errors"]],
          [("connect", "ENOENT")], "errors")


def test_a_redirect_without_a_place_is_told_without_one():
    for location in ("", "x" * 600):
        with Http(302, location) as server:
            _, result = load_json("-n", "1", server.url)
            matches(result["warnings"][0], r"^1 answers were redirects, .* "
                    r"expects them$")


# ---- other protocols ----

def answering(answer):
    """Answers the first bytes of each connection, and closes it."""
    def talk(connection, _number):
        if connection.recv(1 << 16):
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass

    return Server(talk)


def refusal(body):
    return (f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\n\r\n{body}").encode()


def check_told(answer, scheme, better, pattern, heading):
    with answering(answer) as server:
        for path in ("", "/x?y"):
            url = server.url.replace("tcp", scheme) + path
            outcome = load("-c", "1", "-n", "3", "-k", url)
            equal(outcome.status, NOTHING, "exit")
            matches(outcome.err, pattern)
            equal(outcome.err.splitlines()[1:],
                  [f"weir-load: {heading}",
                   written(["-c", "1", "-n", "3", "-k", url], url,
                           server.url.replace("tcp", better) + path)],
                  "standard error")


def test_a_server_of_tls_is_named_with_the_line_to_write():
    for answer, pattern in (
            (bytes.fromhex("15030300020246"), r"speaks TLS; .*\(HTTP_TLS\)"),
            (refusal("<h1>The plain HTTP request was sent to HTTPS port</h1>"),
             r"says that it speaks TLS; write https://.*\(WANTS_TLS\)"),
            (refusal("Client sent an HTTP request to an HTTPS server.\n"),
             r"\(WANTS_TLS\)"),
            (refusal("Your browser speaks plain HTTP to an SSL-enabled server "
                     "port."), r"\(WANTS_TLS\)"),
            (refusal("This combination of host and port requires TLS."),
             r"\(WANTS_TLS\)")):
        check_told(answer, "http", "https", pattern, "write:")


def test_a_server_without_tls_is_named_with_the_line_to_write():
    if "without TLS" in command(WEIR_LOAD, "--version").out:
        raise Skip("built without TLS")
    check_told(refusal("no"), "https", "http", r"does not speak TLS",
               "if the server has no TLS, write:")


def test_a_bad_request_for_another_reason_is_a_status():
    with answering(refusal("no such place")) as server:
        outcome = load("-c", "1", "-n", "3", server.url.replace("tcp", "http"))
        equal(outcome.status, NOTHING, "exit")
        one_line(outcome.err, r"status 400, a body of 13 bytes")


def test_a_server_of_http2_is_named():
    with answering(bytes.fromhex("000006040000000000000300000064")) as server:
        words = ["-c", "1", "-n", "3", server.url.replace("tcp", "http")]
        outcome = load(*words)
        equal(outcome.status, NOTHING, "exit")
        matches(outcome.err, r"the server speaks HTTP/2, .*\(HTTP_HTTP2\)")
        equal(outcome.err.splitlines()[1:],
              ["weir-load: write:", written([*words, "--http2"], "", "")],
              "standard error")
        equal("\\x00" in outcome.err, False, "bytes of frames are shown")


def test_a_server_of_http1_is_named_with_a_line_that_runs():
    with Http(200) as server:
        base = ["-c", "1", "-n", "3"]
        for flags in (["--http2"], ["--http", "2"], ["--http=2", "--window",
                                                     "64K"]):
            outcome = load(*base, *flags, server.url)
            equal(outcome.status, NOTHING, "exit")
            matches(outcome.err, r"does not speak HTTP/2")
            equal(outcome.err.splitlines()[1:],
                  ["weir-load: write:", written([*base, server.url], "", "")],
                  "standard error")
        equal(load(*base, server.url).status, OK, "the line that is offered")


def test_a_status_that_is_no_success_says_how_to_make_it_one():
    with Http(404) as server:
        outcome = load("-n", "5", server.url)
        equal(outcome.status, NOTHING, "exit")
        one_line(outcome.err, r"status 404, .*; --expect sets the statuses")
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
        for flags, status, why in (
                ((), NOTHING, "20 of 20 requests failed; an unexpected status$"),
                (("--expect", "404"), OK, "  holds$")):
            outcome = command(WEIR_LOAD, "sweep", "--conns", "1", "-n", "20", "--slo",
                              "p50<60s", *flags, server.url)
            equal(outcome.status, status, "exit")
            matches(outcome.out, why)


def test_a_sweep_shows_that_a_run_was_invalid():
    """On a busy machine the reason may be that the rate was not kept."""
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
    matches(outcome.out, r"^weir-load .* open constant, 1 thread, 10 connections")


run(globals())
