"""weir-load run with servers that behave, and servers that do not.

Exit codes, the one line on standard error, and a JSON result whose ledger adds up; a
failed run never looks like a success.
"""

import fcntl
import json
import os
import pty
import resource
import select
import signal
import socket
import struct
import tempfile
import termios
import threading
import time

from harness import (PATIENT, WAIT_S, WEIR_LOAD, Outcome, Program, Serve,
                     Skip, equal, is_sanitized, load, load_json, matches,
                     one_line, run)
from hdr import decode_hdr, highest_of
from servers import Refusing, Server, drain, echo, read_exactly, reset
import schema

OK, USAGE, NOTHING, ERRORS, INTERRUPTED = 0, 2, 3, 4, 130

MEMBERS = {
    "schema": str, "tool": str, "command": list, "config": dict,
    "config_hash": str, "env": dict, "duration_ns": int, "valid": bool,
    "verdict": str, "exit_code": int, "invalid_reasons": list,
    "warnings": list, "model": dict, "requests": dict, "warmup": dict,
    "rate": dict, "latency": dict, "errors": list, "connections": dict,
    "bytes": dict, "intervals": list, "intervals_dropped": int,
    "client": dict,
}


def check_result(result, status):
    """Checks what holds for every result, whatever happened."""
    for name, kind in MEMBERS.items():
        equal(type(result.get(name)), kind, f"type of {name}")
    schema.check(result)
    equal(result["exit_code"], status, "exit_code")
    equal(result["valid"], status == OK, "valid")
    for name in ("requests", "warmup"):
        part = result[name]
        equal(part["sent"], part["ok"] + part["failed"] + part["timeout"]
              + part["in_flight"], f"the sum of {name}")
        equal(min(part.values()) >= 0, True, f"no negative count in {name}")
    service = result["latency"]["service"]
    known = [value for value in service["percentiles"].values()
             if value is not None]
    equal(known, sorted(known), "percentiles in order")
    if known:
        equal(service["min"] <= known[0] and known[-1] <= service["max"], True,
              "percentiles between min and max")
    equal(service["count"], result["requests"]["ok"]
          + result["requests"]["timeout"], "latencies")
    equal(sum(row["ok"] for row in result["intervals"]),
          result["rate"]["completed"], "answers in intervals")
    errors = sum(sum(row["errors"].values()) for row in result["intervals"])
    equal(errors <= sum(error["count"] for error in result["errors"])
          + result["errors_of_other_kinds"], True, f"{errors} in intervals")


def judged(*args, status, **options):
    """Runs with JSON. Checks the exit code and the result."""
    outcome, result = load_json(*args, **options)
    equal(outcome.status, status, f"exit status; it said {outcome.err!r}")
    check_result(result, status)
    return outcome, result


def has_error(result, phase, code):
    kinds = [(error["phase"], error["code"]) for error in result["errors"]]
    equal((phase, code) in kinds, True, f"{phase}/{code} in {kinds}")


# ---- good servers ----

def test_a_good_server_gives_a_valid_run():
    with Serve() as server:
        outcome, result = judged("-c", "8", "-d", "300ms", "-w", "100ms",
                                 server.url, status=OK)
    equal(outcome.err, "", "standard error")
    equal(result["requests"]["failed"], 0, "failed")
    equal(result["connections"]["opened"], 8, "opened")
    equal(result["errors"], [], "errors")
    equal(result["warmup"]["sent"] > 0, True, "there was a warm-up")
    equal(result["duration_ns"] >= 300_000_000, True, "measured as asked")


def test_a_strangers_server_gives_one_too():
    with Server(echo) as server:
        _, result = judged("-c", "4", "-n", "2000", "-p", "3", server.url,
                           status=OK)
    equal(result["requests"]["ok"], 2000, "ok")
    equal(result["bytes"], {"in": 2000 * 128, "out": 2000 * 128}, "bytes")
    equal(result["latency"]["service"]["percentiles"]["99.9"], None,
          "a percentile of too few values")
    equal(type(result["latency"]["service"]["percentiles"]["99"]), int,
          "a percentile of enough values")


def test_sizes_and_depths():
    with Serve() as server:
        for size, depth, count in (("1", 1, 200), ("1", 100, 5000),
                                   ("2K", 7, 500), ("2049", 5, 500),
                                   ("65521", 3, 100), ("256K", 2, 60),
                                   ("300000", 4, 60), ("4M", 3, 12)):
            _, result = judged("-c", "3", "-n", str(count), "-p", str(depth),
                               "--send", size, server.url, status=OK)
            equal(result["requests"]["ok"], count, f"ok of {size}")
            equal(result["bytes"]["in"],
                  count * result["config"]["send_bytes"], f"bytes of {size}")


def test_several_targets_share_the_connections():
    with Serve() as one, Serve("--stats", may_complain=True) as two:
        judged("-c", "6", "-n", "600", one.url, two.url, status=OK)
        matches(two.stop(), r"^served_connections 3$")


def test_fewer_requests_than_connections():
    with Serve() as server:
        _, result = judged("-c", "20", "-n", "3", server.url, status=OK)
        equal(result["requests"]["sent"], 3, "sent")


def test_latencies_are_no_shorter_than_the_service():
    def serve(connection, _number):
        while data := read_exactly(connection, 128):
            time.sleep(0.02)
            connection.sendall(data)

    with Server(serve) as server:
        _, result = judged("-c", "2", "-n", "24", server.url, status=OK)
        _, deep = judged("-c", "1", "-p", "3", "-n", "12", server.url,
                         status=OK)
    equal(result["latency"]["service"]["min"] >= 20_000_000, True,
          "the shortest takes as long as the server")
    # The third of three that were sent together waits for the two before it.
    equal(deep["latency"]["service"]["mean"] >= 50_000_000, True,
          "waiting behind others counts")


def test_the_seed_decides_what_is_sent():
    def first_bytes(seed):
        seen = []

        def remember(connection, _number):
            while data := read_exactly(connection, 128):
                seen.append(data)
                connection.sendall(data)

        with Server(remember) as server:
            judged("-c", "1", "-n", "5", "--seed", seed, server.url, status=OK)
        return b"".join(seen)

    equal(first_bytes("7"), first_bytes("7"), "the bytes of one seed")
    equal(first_bytes("7") == first_bytes("8"), False, "equal bytes")


def test_memory_does_not_grow_with_requests():
    if is_sanitized(WEIR_LOAD):
        raise Skip("a sanitizer keeps freed memory")
    with Serve() as server:
        _, few = judged("-c", "4", "-n", "500", "-p", "8", server.url,
                        status=OK)
        _, many = judged("-c", "4", "-n", "50k", "-p", "8", server.url,
                         status=OK)
    grown = (many["client"]["max_rss_bytes"] - few["client"]["max_rss_bytes"])
    assert grown < 2 << 20, f"{grown} bytes more for 100 times the requests"


def test_thousands_of_connections_come_and_go():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 9100:
        raise Skip(f"only {hard} descriptors here")
    with Serve("--stats", may_complain=True) as server:
        for _ in range(2):
            _, result = judged("-c", "9000", "-n", "18000", server.url,
                               status=OK)
            equal(result["connections"]["opened"], 9000, "opened")
        matches(server.stop(), r"^served_open 0$")


# ---- what is printed ----

def test_the_text_report_ends_with_the_verdict():
    with Serve() as server:
        outcome = load("-c", "2", "-n", "20000", "--seed", "3", server.url)
    equal(outcome.status, OK, "exit status")
    matches(outcome.out, r"^weir-load \S+  tcp://.* closed loop, 1 thread, 2 connections")
    matches(outcome.out, r"seed 3$")
    matches(outcome.out, r"share this machine")
    matches(outcome.out, r"^Requests    sent 20000  ok 20000  failed 0 ")
    matches(outcome.out, r"^Rate        [\d.]+/s")
    matches(outcome.out, r"^Service +[\d.]+[mu]?s")
    matches(outcome.out, r"\nVALID\n\Z")


def test_percentiles_of_too_few_values_are_dashes():
    with Serve() as server:
        outcome = load("-c", "1", "-n", "50", server.url)
    matches(outcome.out, r"^Service +\S+ +- +- +- +- ")


def test_quiet_prints_nothing_and_json_may_go_to_a_file():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "result.json")
        outcome = load("-q", "-n", "100", f"--json={path}", server.url)
        equal((outcome.status, outcome.out, outcome.err), (OK, "", ""),
              "the outcome")
        with open(path, encoding="utf-8") as file:
            check_result(Outcome(0, file.read(), "").json(), OK)
        outcome = load("-n", "100", f"--json={path}", server.url)
        matches(outcome.out, r"\nVALID\n\Z")


def open_terminal(columns):
    """Returns both ends of a terminal with this width; 0 means that it reports none."""
    try:
        master, slave = pty.openpty()
    except OSError as error:
        raise Skip(f"no terminal to be had: {error}") from error
    fcntl.ioctl(slave, termios.TIOCSWINSZ,
                struct.pack("HHHH", 24, columns, 0, 0))
    return master, slave


def test_no_line_is_longer_than_the_terminal_is_wide():
    for columns in (0, 40, 60, 80, 100, 200):
        master, slave = open_terminal(columns)
        with Serve() as server, Program(
                WEIR_LOAD, "run", *PATIENT, "-c", "2", "-d", "200ms", "-w", "0",
                "-i", "100ms", server.url, stderr=slave,
                stdout=slave) as program:
            os.close(slave)
            equal(program.finish()[0], OK, "exit status")
        lines = read_terminal(master).decode().splitlines()
        os.close(master)
        longest = max(lines, key=len)
        equal(len(longest) <= (columns or 80), True,
              f"{columns} columns: {longest!r}")
        matches("\n".join(lines), r"rate/s +(.*\n)+.*Service +\S+(.*\n)+.*VALID")
        equal("  p50  " in "".join(lines), True, f"{columns}: {lines}")
        equal(any("MB/s " in line for line in lines[:1]), columns >= 100,
              f"{columns}: {lines[0]}")


def test_live_lines_follow_a_resized_terminal():
    master, slave = open_terminal(100)
    with Serve() as server, Program(
            WEIR_LOAD, "run", *PATIENT, "-c", "2", "-d", "60s", "-w", "0", "-i", "100ms",
            server.url, stderr=slave) as program, open(master, encoding="utf-8") as lines:
        os.close(slave)
        matches(lines.readline(), "MB/s")
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        while len(lines.readline().rstrip()) > 40:
            equal(program.process.poll(), None, "exit status before a shorter line")


def test_a_terminal_gets_a_line_at_every_interval():
    master, slave = open_terminal(0)
    with Serve() as server, Program(
            WEIR_LOAD, "run", *PATIENT, "-c", "2", "-d", "500ms", "-w", "0", "-i",
            "100ms", "--json", server.url, stderr=slave) as program:
        os.close(slave)
        status, out, _ = program.finish()
        equal(status, OK, "exit status")
    lines = read_terminal(master)
    os.close(master)
    matches(lines.decode(), r"rate/s +ok% +p50")
    result = json.loads(out)
    rows = result["intervals"]
    cover(rows, 5, 100_000_000)
    equal(rows[-1]["end_ns"], result["duration_ns"], "the last ends")
    equal(len(lines.splitlines()), 1 + len(rows), f"lines in {lines!r}")
    for line, row in zip(lines.decode().splitlines()[1:], rows):
        matches(line, r"\|[ 1-8\u2581-\u2588]{18}\|$")
        equal(bool(line[-19:-1].strip()), row["p50"] is not None,
              f"a bar where answers came: {line!r} of {row}")


def read_terminal(master):
    """Returns everything that was written to its other end, which is closed now."""
    text = b""
    while True:
        try:
            text += os.read(master, 4096)
        except OSError:
            return text


def cover(rows, count, length_ns):
    """Returns the rows of a measurement of this many intervals. If the program did not
    run for a whole interval, the missed ones are one row."""
    equal(rows[0]["begin_ns"], 0, "the first begins")
    for before, after in zip(rows, rows[1:]):
        equal(after["begin_ns"], before["end_ns"], "intervals adjoin")
    was_late = any(row["end_ns"] >= (number + 2) * length_ns
                   for number, row in enumerate(rows))
    equal(len(rows) == count or was_late and len(rows) < count, True,
          f"{count} intervals: {rows}")


def test_equal_configurations_have_equal_hashes():
    with Serve() as server:
        _, one = judged("-n", "10", "--seed", "1", server.url, status=OK)
        _, two = judged("-n", "10", "--seed", "2", server.url, status=OK)
        _, other = judged("-n", "11", server.url, status=OK)
    equal(one["config_hash"], two["config_hash"], "hash of the same")
    equal(one["config_hash"] == other["config_hash"], False, "equal hashes")


def test_the_histogram_itself_is_in_the_json():
    with Serve() as server:
        _, result = judged("-c", "3", "-n", "30000", server.url, status=OK)
    service = result["latency"]["service"]
    counts = decode_hdr(service["hdr"])
    equal(sum(counts.values()), 30000, "values")
    for name in ("50", "90", "99", "99.9"):
        rank, seen = float(name) / 100 * 30000, 0
        for index in sorted(counts):
            seen += counts[index]
            if seen >= rank - 1e-6:
                equal(min(highest_of(index), service["max"]),
                      service["percentiles"][name], f"p{name}")
                break
    equal(highest_of(max(counts)) >= service["max"], True, "the last bucket")


# ---- bad servers ----

def test_nobody_listens():
    with Refusing() as server:
        outcome, result = judged("-c", "3", "-d", "30s", server.url,
                                 status=NOTHING)
        one_line(outcome.err, r"not one request succeeded; connect: .*"
                              r"\(ECONNREFUSED\); first: 127\.0\.0\.1:\d+: Connection "
                              r"refused \(from 127\.0\.0\.1:\d+\)")
        has_error(result, "connect", "ECONNREFUSED")
        equal(result["rate"]["achieved"], 0, "rate")
        outcome = load("-c", "3", server.url)
    equal(outcome.status, NOTHING, "exit status")
    matches(outcome.out, r"\nFAILED\n\Z")
    equal("Rate" in outcome.out, False, "a rate is reported")


def test_a_server_that_resets_every_connection():
    def answer_with_reset(connection, _number):
        read_exactly(connection, 128)
        reset(connection)

    with Server(answer_with_reset) as server:
        outcome, result = judged("-c", "2", "-d", "30s", server.url,
                                 status=NOTHING)
    one_line(outcome.err, r"not one request succeeded; transfer: .*"
                          r"\(ECONNRESET\)")
    has_error(result, "transfer", "ECONNRESET")


def test_a_reset_in_the_middle_costs_and_the_run_goes_on():
    def reset_the_first(connection, number):
        for _ in range(100):
            connection.sendall(read_exactly(connection, 128))
        if number == 0:
            read_exactly(connection, 128)
            reset(connection)
            return
        echo(connection, number)

    with Server(reset_the_first) as server:
        outcome, result = judged("-c", "1", "-n", "1000", server.url,
                                 status=ERRORS)
        one_line(outcome.err, r"more errors than --max-errors allows; "
                              r"transfer: .*\(ECONNRESET\)")
        equal(result["requests"]["ok"], 999, "ok")
        equal(result["requests"]["failed"], 1, "failed")
        equal(result["connections"]["lost"], 1, "lost")
        equal(result["connections"]["opened"], 2, "opened")
        equal([row["errors"] for row in result["intervals"] if row["errors"]],
              [{"transfer ECONNRESET": 1}], "errors of intervals")
    for budget in ("1", "0.1%"):
        with Server(reset_the_first) as server:
            judged("-c", "1", "-n", "1000", "--max-errors", budget, server.url,
                   status=OK)


def test_a_server_that_ends_the_stream():
    def answer_ten(connection, _number):
        for _ in range(10):
            connection.sendall(read_exactly(connection, 128))
        read_exactly(connection, 128)

    with Server(answer_ten) as server:
        outcome, result = judged("-c", "1", "-n", "30", server.url,
                                 status=ERRORS)
    one_line(outcome.err, r"eof: the server closed the connection \(EOF\)")
    has_error(result, "eof", "EOF")


def corrupting(change):
    """An echo server that answers the 20th request differently."""
    def serve(connection, _number):
        for _ in range(19):
            connection.sendall(read_exactly(connection, 128))
        data = read_exactly(connection, 256)
        connection.sendall(change(data[:128], data[128:]))
        drain(connection, 0)
    return Server(serve)


def test_wrong_answers_are_noticed():
    changes = {
        "a wrong byte": (lambda one, two: one[:77] + bytes([one[77] ^ 1])
                         + one[78:] + two, "WRONG_ECHO"),
        "exchanged": (lambda one, two: two + one, "WRONG_ECHO"),
        "lost": (lambda one, two: two, "WRONG_ECHO"),
        "one byte lost": (lambda one, two: one[1:] + two, "WRONG_ECHO"),
        "repeated": (lambda one, two: one + one, "WRONG_ECHO"),
    }
    for name, (change, code) in changes.items():
        with corrupting(change) as server:
            outcome, result = judged("-c", "1", "-p", "2", "-n", "21",
                                     server.url, status=ERRORS)
        has_error(result, "validate", code)
        one_line(outcome.err, r"validate: .*connection 0, byte \d+ of the "
                              r"answers")
        equal(result["requests"]["ok"] <= 20, True, f"ok after {name}")


def test_more_bytes_than_were_sent_are_noticed():
    sent = b""

    def echo_and_more(connection, _number):
        nonlocal sent
        sent = read_exactly(connection, 65521)
        connection.sendall(sent + sent[:5])
        drain(connection, 0)

    # The payload repeats after this many bytes, so that the surplus is right.
    with Server(echo_and_more) as server:
        _, result = judged("-c", "1", "-n", "1", "--send", "65521", server.url,
                           status=NOTHING)
    has_error(result, "validate", "SURPLUS")


def test_a_server_that_never_echoes_right():
    def garbage(connection, _number):
        while data := connection.recv(65536):
            connection.sendall(b"\0" * len(data))

    with Server(garbage) as server:
        outcome, _ = judged("-c", "2", "-d", "30s", server.url, status=NOTHING)
    one_line(outcome.err, r"not one request succeeded; validate:")


def test_connections_that_never_get_an_answer_are_errors_of_the_run():
    """As with a server that has too few descriptors: the kernel connects, and nothing
    is ever read. In the first run only requests of the warm-up fail; a request that the
    second run measures is counted once."""
    def serve(connection, number):
        if number < 2:
            echo(connection, number)
        else:
            time.sleep(WAIT_S)

    def serve_one(connection, number):
        serve(connection, 2 * number)

    patience = ("run", "--force", "--timeout", "10s", "--json")
    with Server(serve) as server, Server(serve_one) as other, Program(
            WEIR_LOAD, *patience, "-c", "6", "-w", "100ms", "-d", "500ms",
            server.url) as program, Program(
                WEIR_LOAD, *patience, "-c", "2", "-n", "2", "--max-errors", "1",
                other.url) as once:
        status, out, err = program.finish()
        again = Outcome(*once.finish())
        _, lenient = judged("-c", "2", "-d", "100ms", "-w", "100ms",
                            "--timeout", "500ms", "--max-errors", "2",
                            server.url, status=NOTHING)
    result = json.loads(out)
    check_result(result, ERRORS)
    equal(status, ERRORS, "exit status")
    one_line(err, r"more errors than --max-errors allows; timeout: ")
    equal(result["connections"]["never_answered"], 4, "never answered")
    equal(result["requests"]["timeout"], 0, "measured requests timed out")
    equal(lenient["connections"]["never_answered"], 2, "all never answered")
    check_result(again.json(), OK)
    equal((again.json()["requests"]["timeout"],
           again.json()["connections"]["never_answered"]), (1, 1), "of the other")


def test_a_server_that_stops_answering():
    def answer_ten(connection, _number):
        for _ in range(10):
            connection.sendall(read_exactly(connection, 128))
        drain(connection, 0)

    with Server(answer_ten) as server:
        outcome, result = judged("-c", "2", "-n", "40", "--timeout", "10s",
                                 server.url, status=ERRORS)
    one_line(outcome.err, r"timeout: no answer within the time-out")
    has_error(result, "timeout", "NO_ANSWER")
    equal(result["requests"]["timeout"] > 0, True, "timeouts")
    equal(result["latency"]["service"]["max"] >= 10_000_000_000, True,
          "what timed out is among the latencies")


def test_a_server_that_never_answers():
    with Server(drain) as server:
        outcome, result = judged("-c", "2", "-d", "30s", "--timeout", "100ms",
                                 server.url, status=NOTHING)
    one_line(outcome.err, r"not one request succeeded; timeout:")
    equal(result["rate"]["completed"], 0, "completed")


def test_a_server_that_never_accepts():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    # The backlog holds one or two; the others time out.
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
    assert select.select([listener], [], [], WAIT_S)[0], "the backlog is empty"
    outcome, result = judged("-c", "2", "-d", "30s", "--connect-timeout",
                             "200ms", url, status=NOTHING)
    has_error(result, "connect", "ETIMEDOUT")
    one_line(outcome.err, r"connect: .*\(ETIMEDOUT\)")
    for sock in (listener, *fillers):
        sock.close()


# ---- the end by a signal ----

def interrupt(signum):
    served = threading.Event()

    def serve(connection, number):
        connection.sendall(read_exactly(connection, 128))
        served.set()
        echo(connection, number)

    with Server(serve) as server, Program(
            WEIR_LOAD, "run", *PATIENT, "-c", "2", "-d", "1000s", "-w", "0",
            "--json", server.url) as program:
        assert served.wait(WAIT_S), "no request came"
        program.signal(signum)
        status, out, err = program.finish()
    equal(status, INTERRUPTED, "exit status")
    one_line(err, "interrupted")
    result = json.loads(out)
    check_result(result, INTERRUPTED)
    equal(result["verdict"], "INTERRUPTED", "verdict")
    equal(result["requests"]["sent"] > 0, True, "something was sent")


def test_sigint_prints_what_there_was():
    interrupt(signal.SIGINT)


def test_sigterm_does_so_too():
    interrupt(signal.SIGTERM)


def test_a_signal_before_measuring_is_no_success():
    reached = threading.Event()

    def serve(connection, _number):
        reached.set()
        echo(connection, 0)

    with Server(serve) as server, Program(
            WEIR_LOAD, "run", *PATIENT, "-c", "1", "-d", "1000s", "-w",
            "1000s", server.url) as program:
        assert reached.wait(WAIT_S), "no connection came"
        program.signal(signal.SIGINT)
        status, out, _ = program.finish()
    equal(status, INTERRUPTED, "exit status")
    matches(out, r"\nINTERRUPTED\n\Z")
    equal("Rate" in out, False, "a rate is reported")


# ---- limits of the machine ----

def limited(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_few_descriptors_are_said_before_the_run():
    outcome = load("-c", "200", "tcp://127.0.0.1:9",
                   preexec_fn=limited(100, 100))
    equal((outcome.status, outcome.out), (USAGE, ""), "the outcome")
    one_line(outcome.err, r"264 descriptors, the hard limit is 100")


def test_the_soft_limit_of_descriptors_is_raised_at_both_ends():
    with Serve(preexec_fn=limited(40, 1000)) as server:
        judged("-c", "200", "-n", "400", server.url, status=OK,
               preexec_fn=limited(50, 1000))


run(globals(), short="a_good_server_gives_a_valid_run")
