"""Which side ends a connection of weir-load, when, and how it is counted.

A server may end a connection between two requests in any way; a request that it did not
answer because of that is sent again, once, if that is allowed. A connection whose end
was announced is left to the server, so that the server and not the client keeps the
port.
"""

import contextlib
import itertools
import json
import os
import select
import socket
import struct
import subprocess
import tempfile
import threading

from dns import find
from harness import (WEIR_LOAD, Program, Skip, equal, load_json, matches,
                     read_line, run)
from http_client import certificate, read_head
from servers import Server

OK, NOTHING, ERRORS, INVALID = 0, 3, 4, 5
FOLDER = os.environ.get("WEIR_TLS_CERTIFICATES")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WAITED_OUT = (b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
              b"Content-Length: 4\r\n\r\nlate")
# The client's lateness on a busy machine and the use of its CPUs do not matter here.
ANYHOW = ("--lateness-limit", "1h", "--force")
# Half a second between two requests of the one connection; CLOSER is for requests that
# are sent again if they meet the end.
SPARSE = ("-c", "1", "-n", "3", "--think", "500ms")
CLOSER = ("-c", "1", "-n", "3", "--think", "100ms")


def judged(*args, status=OK):
    outcome, result = load_json(*args)
    equal(outcome.status, status, f"exit status; it said {outcome.err!r}, "
          f"{result['errors']}, {result['invalid_reasons']}")
    return result


# ---- ends between requests ----

def close(connection):
    connection.close()


def half_close(connection):
    """Ends the server's stream; it continues to read."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(1 << 16):
        pass


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
    connection.close()


def say(*pieces):
    """Sends some unrequested bytes, and closes."""
    def end(connection):
        for piece in pieces:
            connection.sendall(piece)
        connection.close()
    return end


SILENT = {"close": close, "half-close": half_close, "reset": reset}
TALKING = {
    "408": say(WAITED_OUT),
    "408 in pieces": say(WAITED_OUT[:9], WAITED_OUT[9:40], WAITED_OUT[40:]),
    "408 that is cut off": say(WAITED_OUT[:30]),
    "408 of HTTP/1.0": say(b"HTTP/1.0 408 Late\r\n\r\nlate"),
    "a blank line": say(b"\r\n"),
    "half a blank line": say(b"\r"),
    "an interim answer": say(b"HTTP/1.1 102 Wait\r\n\r\n"),
}


class Ending(Server):
    """Answers one request on each connection, and then ends it in its way."""

    def __init__(self, read, answer, end):
        super().__init__(self.serve_one)
        self.read = read
        self.answer = answer
        self.end = end

    def serve_one(self, connection, _number):
        if self.read(connection):
            connection.sendall(self.answer)
            self.end(connection)


def expect_idle_ends(result, wanted=2):
    """Each answer except perhaps the last was followed by an end."""
    equal(result["requests"]["ok"], 3, "ok")
    equal(result["errors"], [], "errors")
    equal(result["verdict"], "VALID", "verdict")
    connections = result["connections"]
    equal(connections["lost"], 0, "lost")
    equal(connections["ended_idle"] + connections["requests_repeated"]
          >= wanted, True, f"ends: {connections}")


def test_http_connections_may_end_between_requests():
    for name, end in (SILENT | TALKING).items():
        with Ending(read_head, ANSWER, end) as server:
            result = judged(*CLOSER, f"http://127.0.0.1:{server.port}/")
        try:
            expect_idle_ends(result)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def test_connections_of_every_protocol_may_end_between_requests():
    def read_some(connection):
        return connection.recv(64, socket.MSG_WAITALL)

    def read_line_of(connection):
        return connection.recv(6, socket.MSG_WAITALL)

    for name, end in SILENT.items():
        with Ending(read_some, b"x" * 64, end) as server:
            result = judged(*SPARSE, "--mode", "rr", "--send", "64", "--recv",
                            "64", server.url)
        expect_idle_ends(result)
        with Ending(read_line_of, b"+PONG\r\n", end) as server:
            result = judged(*SPARSE, "--request", "PING\\r\\n", "--expect",
                            "delim:\\r\\n", server.url)
        expect_idle_ends(result)
        equal(result["connections"]["requests_repeated"], 0, name)


def test_a_server_that_ends_new_connections_is_tried_again():
    """It ends the first connections without a request, once the first request is
    answered; the second request is due half a second later."""
    has_answered = threading.Event()

    def asks(connection, may_end):
        while not select.select([connection], [], [], 0.02)[0]:
            if has_answered.is_set() and may_end:
                return False
        return True

    def serve(connection, number):
        may_end = number < 4
        while asks(connection, may_end) and read_head(connection):
            connection.sendall(ANSWER)
            has_answered.set()
            may_end = False

    with Server(serve) as server:
        result = judged("-c", "2", "-R", "2", "-n", "3", "-w", "0",
                        *ANYHOW, f"http://127.0.0.1:{server.port}/")
        equal(result["requests"]["ok"], 3, "ok")
        equal(result["connections"]["ended_idle"] > 0, True, "ends")


def test_tls_connections_may_end_between_requests():
    context = certificate()

    def with_its_end(connection):
        with contextlib.suppress(OSError):
            connection.unwrap().close()

    for name, end in (("close_notify", with_its_end), ("none", close)):
        def serve(raw, _number, end=end):
            with context.wrap_socket(raw, server_side=True) as connection:
                if read_head(connection):
                    connection.sendall(ANSWER)
                    end(connection)

        with Server(serve) as server:
            result = judged(*CLOSER, "--ca", f"{FOLDER}/ca.pem",
                            f"https://localhost:{server.port}/")
        equal(name and result["errors"], [], f"errors with {name}")
        expect_idle_ends(result)


def test_an_end_in_a_closed_loop_is_no_failure_where_it_may_repeat():
    """Without an announcement in the answer; the next request is in flight."""
    with Ending(read_head, ANSWER, close) as server:
        result = judged("-c", "2", "-n", "50",
                        f"http://127.0.0.1:{server.port}/")
    connections = result["connections"]
    equal(result["requests"]["ok"], 50, "ok")
    equal(connections["opened"] >= 50, True, "opened")
    equal(connections["ended_idle"] + connections["requests_repeated"] >= 48,
          True, f"ends: {connections}")


# ---- a request that was just sent ----

class Racing(Server):
    """Ends connections when it has read a request: a script says what is done with the
    first, second, ... request of all; then it answers."""

    def __init__(self, *script):
        super().__init__(self.serve_all)
        self.script = iter(script)
        self.heads = []
        self.answered = []

    def serve_all(self, connection, _number):
        while head := read_head(connection):
            self.heads.append(head)
            deed = next(self.script, ANSWER)
            if callable(deed):
                deed(connection)
                return
            self.answered.append(head.split()[1])
            connection.sendall(deed)


def race(*script, flags=(), status=OK):
    with Racing(*script) as server:
        result = judged("-c", "1", "-n", "5", *flags,
                        f"http://127.0.0.1:{server.port}/{{seq}}",
                        status=status)
    return result, server


def test_a_request_that_was_just_sent_is_sent_again_once():
    for end in (close, reset):
        for flags in ((), ("-X", "HEAD", "--expect", "200"), ("-X", "PUT"),
                      ("-R", "100", *ANYHOW)):
            answer = ANSWER[:-2] if "HEAD" in flags else ANSWER
            result, server = race(*[answer] * 2, end, *[answer] * 3,
                                  flags=flags)
            equal(result["requests"]["sent"], 5, "sent")
            equal(result["requests"]["ok"], 5, "ok")
            equal(result["connections"]["requests_repeated"], 1, "repeated")
            equal(sorted(server.answered),
                  [b"/%d" % number for number in range(5)], "paths")
            matches(" ".join(result["warnings"]),
                    "1 requests were sent again")


def test_requests_behind_each_other_are_all_sent_again():
    result, server = race(ANSWER, close, flags=("-p", "4"))
    equal(result["requests"]["ok"], 5, "ok")
    equal(sorted(set(server.answered)),
          [b"/%d" % number for number in range(5)], "paths")


def test_what_may_not_be_sent_twice_has_failed():
    cases = (
        ((ANSWER, close), ("-X", "POST")),
        ((ANSWER, close, close), ()),  # it was already sent again
        ((close,), ()),                     # a new connection
        ((ANSWER, say(b"HTTP")), ()),  # an answer had started
    )
    for script, flags in cases:
        result, _ = race(*script, flags=flags, status=ERRORS)
        equal(result["requests"]["failed"], 1, f"failed with {script}")
        equal(result["requests"]["ok"], 4, f"ok with {script}")


def test_a_mix_repeats_what_may_be_repeated():
    with tempfile.NamedTemporaryFile("w") as file:
        for line, status in (("GET /", OK), ("POST / body", ERRORS)):
            file.seek(0)
            file.truncate()
            file.write(line + "\n")
            file.flush()

            def serve(connection, number):
                for place in itertools.count():
                    head = read_head(connection)
                    if not head or number == 0 and place == 1:
                        return
                    if head.startswith(b"POST"):
                        connection.recv(4, socket.MSG_WAITALL)
                    connection.sendall(ANSWER)

            with Server(serve) as server:
                judged("-c", "1", "-n", "5", "--mix", file.name,
                       f"http://127.0.0.1:{server.port}/", status=status)


def test_408_for_a_request_that_was_just_sent_is_no_answer():
    result, _ = race(ANSWER, say(WAITED_OUT))
    equal(result["status"], {"200": 5}, "statuses")
    equal(result["connections"]["requests_repeated"], 1, "repeated")
    result, _ = race(say(WAITED_OUT), status=ERRORS)
    equal(result["status"], {"200": 4, "408": 1}, "of a new connection")
    result, _ = race(ANSWER, say(WAITED_OUT),
                     flags=("--expect", "200,408"))
    equal(result["status"], {"200": 4, "408": 1}, "that is expected")


def test_bytes_that_a_server_may_add_belong_to_no_answer():
    for more in (b"\r\n", b"\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"):
        result, _ = race(*[ANSWER + more] * 5)
        equal(result["requests"]["ok"], 5, f"ok with {more}")
        result, _ = race(*[ANSWER + more] * 5, flags=("-p", "3"))
        equal(result["requests"]["ok"], 5, f"ok with {more}")
        result, _ = race(*[ANSWER[:-2] + more] * 5, flags=("-X", "HEAD"))
        equal(result["requests"]["ok"], 5, f"ok of HEAD with {more}")
    for more in (b"x", b"\n", b"\r\r", ANSWER,
                 b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"):
        result, _ = race(*[ANSWER + more] * 5, status=NOTHING)
        equal({error["code"] for error in result["errors"]}, {"SURPLUS"},
              f"errors with {more}")


def test_requests_behind_the_last_answer_are_sent_again():
    """The server announces that it accepts no more: all of them count, whatever they
    are."""
    last = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for flags in (("-p", "4"), ("-p", "4", "-R", "1k", *ANYHOW)):
        result, _ = race(ANSWER, last, ANSWER, last, flags=flags)
        equal(result["requests"]["ok"], 5, "ok")
        equal(result["requests"]["sent"], 5, "sent")
        equal(result["errors"], [], "errors")


# ---- ends that were announced ----

CLOSE = b"\r\nConnection: close\r\n"


class Announced(Server):
    """Answers, and closes after a request that requests it, if it obeys."""

    def __init__(self, obeys=True):
        super().__init__(self.serve_all)
        self.obeys = obeys
        self.heads = []
        self.url = f"http://127.0.0.1:{self.port}/"

    def serve_all(self, connection, _number):
        while head := read_head(connection):
            self.heads.append(head)
            connection.sendall(ANSWER)
            if CLOSE in head and self.obeys:
                return


def count_waiting(port):
    """Returns the number of client sockets of this port in TIME_WAIT."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in list(file)[1:]]
    return sum(row[3] == "06" and int(row[2].split(":")[1], 16) == port
               for row in rows)


def closed_in_time(result):
    """Returns the connections that the client closed although their server might still
    have done so: a server that a busy machine delays by a second is not waited for."""
    connections = result["connections"]
    return connections["closed_first"] - connections["not_closed"]


def count_kept(result):
    """Returns the number of ports that the client may keep: of connections without
    requests until the run ended, and of those whose server was late."""
    connections = result["connections"]
    return (connections["opened"] - result["requests"]["sent"]
            - result["warmup"]["sent"] + connections["not_closed"])


def test_without_keep_alive_the_server_closes_first():
    for flags in (("-n", "40"), ("-d", "300ms"),
                  ("-n", "30", "-R", "100", *ANYHOW)):
        with Announced() as server:
            # Another server may have used this port a moment ago.
            before = count_waiting(server.port)
            result = judged("-c", "4", "--disable-keepalive", *flags,
                            server.url)
            equal(all(CLOSE in head for head in server.heads), True, "told")
            equal(closed_in_time(result), 0, "closed by the client")
            waiting = count_waiting(server.port) - before
            equal(waiting <= count_kept(result), True,
                  f"ports that are kept: {waiting}, {result['connections']}")
            equal(result["invalid_reasons"], [], "reasons")


def test_the_same_over_tls():
    context = certificate()

    def serve(raw, _number):
        with context.wrap_socket(raw, server_side=True) as connection:
            head = read_head(connection)
            if head:
                connection.sendall(ANSWER)
                with contextlib.suppress(OSError):
                    connection.unwrap().close()

    with Server(serve) as server:
        before = count_waiting(server.port)
        result = judged("-c", "2", "-n", "20", "--disable-keepalive", "--ca",
                        f"{FOLDER}/ca.pem", f"https://localhost:{server.port}")
        equal(closed_in_time(result), 0, "closed by the client")
        waiting = count_waiting(server.port) - before
        equal(waiting <= count_kept(result), True,
              f"ports that are kept: {waiting}, {result['connections']}")


def test_the_last_of_several_requests_says_so():
    for flags in ((), ("-p", "3")):
        with Announced() as server:
            result = judged("-c", "1", "-n", "12", "--requests-per-conn", "3",
                            *flags, f"{server.url}{{seq}}")
            told = [CLOSE in head for head in server.heads]
            equal(told, [False, False, True] * 4, "which say it")
            equal(result["connections"]["opened"], 4, "opened")
            equal(closed_in_time(result), 0, "closed first")


def test_a_server_that_does_not_close_is_told_of():
    with Announced(obeys=False) as server:
        result = judged("-c", "2", "-n", "600", "--disable-keepalive",
                        server.url)
    equal(result["connections"]["not_closed"], 600, "not closed")
    equal(result["connections"]["closed_first"], 600, "closed by the client")
    matches(" ".join(result["warnings"]),
            "the server left 600 connections open")
    # It waits only for the first ones: a wait for each would take 15 s.
    equal(result["duration_ns"] < 300 * 50 * 10**6, True,
          f"waits: {result['duration_ns']}")


def test_a_header_of_the_users_decides():
    with Announced() as server:
        result = judged("-c", "1", "-n", "3", "-H", "Connection: close",
                        server.url)
        equal(result["connections"]["opened"], 3, "opened")
        equal(closed_in_time(result), 0, "closed first")
        result = judged("-c", "1", "-n", "3", "--disable-keepalive", "-H",
                        "Connection: keep-alive", server.url)
        equal(result["connections"]["closed_first"], 3, "closed first")


# ---- ports that are kept ----

@contextlib.contextmanager
def few_ports(reuse):
    """A network namespace with 20 ephemeral ports, of which a kept one is free
    again after a second, or only after a minute. Yields a function that runs a
    program in it."""
    unshare = find("unshare")
    if not unshare or not find("ip"):
        raise Skip("unshare or ip is not installed")
    script = ("ip link set lo up && cd /proc/sys/net/ipv4 && "
              "echo 40000 40019 >ip_local_port_range && "
              f"echo {reuse} >tcp_tw_reuse && echo ready && exec cat")
    with Program(unshare, "--net", "--map-root-user", "--user", "sh", "-c",
                 script, stdin=subprocess.PIPE) as holder:
        try:
            read_line(holder.process.stdout)
        except AssertionError as error:
            raise Skip(f"no network of its own: {error}") from error
        yield ("nsenter", "--user", "--net", "--preserve-credentials",
               "--target", str(holder.process.pid))


@contextlib.contextmanager
def serving_among(enter):
    """Starts a server in that network. Yields a function that makes a run there: exit
    status, result, standard error."""
    with Program(*enter, WEIR_LOAD, "serve", "tcp://127.0.0.1:0") as server:
        url = read_line(server.process.stdout).split()[-1]

        def run_there(*args):
            with Program(*enter, WEIR_LOAD, "run", "-w", "0", "--json", *args,
                         url) as client:
                status, out, err = client.finish()
            return status, json.loads(out), err

        yield run_there


def run_among(enter, *args):
    with serving_among(enter) as run_there:
        return run_there(*args)


def test_ports_that_run_out_make_a_run_invalid():
    args = ("--mode", "crr", "-c", "4", "-d", "500ms")
    reason = (r"no resources for \d+ attempts to connect: .*EADDRNOTAVAIL\); a port.*"
              r"--bind.*tcp_tw_reuse=1")
    with few_ports(reuse=0) as enter, serving_among(enter) as run_there:
        status, result, err = run_there(*args)
        equal(status, INVALID, f"exit; it said {err!r}")
        matches(" ".join(result["invalid_reasons"]), reason)
        equal(result["requests"]["failed"], 0, "requests that failed")
        status, result, err = run_there(*args)
        equal(status, NOTHING, f"exit of another one; it said {err!r}")
        matches(err, "not one request succeeded; this machine had " + reason)


def test_an_own_address_that_does_not_exist_makes_a_run_fail():
    with few_ports(reuse=1) as enter:
        status, _, err = run_among(enter, "-c", "1", "-n", "1", "--bind",
                                   "192.0.2.7")
    equal(status, NOTHING, "exit status")
    matches(err, r"no resources for \d+ attempts to connect: .*EADDRNOTAVAIL")


# ---- servers of others ----

NODE = """
const http = require("http");
const server = http.createServer((request, response) => response.end("ok"));
server.keepAliveTimeout = 100;
server.keepAliveTimeoutBuffer = 0;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


def test_node_ends_idle_connections():
    path = find("node")
    if not path:
        raise Skip("node is not installed")
    with Program(path, "-e", NODE) as node:
        port = int(read_line(node.process.stdout))
        result = judged("-c", "4", "-R", "2", "-n", "8", "-w", "0",
                        *ANYHOW, f"http://127.0.0.1:{port}/")
        equal(result["requests"]["ok"], 8, "ok")
        connections = result["connections"]
        equal(connections["ended_idle"] > 0, True, f"ends: {connections}")
        result = judged("-c", "2", "-n", "50", "--disable-keepalive",
                        f"http://127.0.0.1:{port}/")
        equal(closed_in_time(result), 0, "closed first")


run(globals(), short="http_connections_may_end_between_requests")
