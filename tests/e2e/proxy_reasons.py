"""The reason of each end, in a line of weir-proxy's log: reasons that a client or a
target must be led to. The other reasons are tested with their subject, in proxy_*.py of
this folder."""

import contextlib
import re
import socket
import ssl
import threading
import time

from harness import WAIT_S, equal, matches, run
from proxy_certificates import certificates, secure
from proxy_wait import wait_until
from proxying import Proxy, expect_reset, target
from servers import Refusing, Server, drain, echo


def ends(proxy, reason, tried=None, tries=1, data=b""):
    """A client is reset, with this reason, after this number of tries, with these tried
    addresses (a pattern)."""
    expect_reset(proxy, data)
    proxy.stop()
    equal([(line["reason"], line["tries"]) for line in proxy.lines()],
          [(reason, str(tries))], "the log")
    if tried:
        matches(proxy.lines()[0]["tried"], rf"\A{tried}\Z", "what was tried")


# ---- connecting ----

def test_a_name_that_is_unknown_is_a_lookup():
    """Names of this kind are never queried (RFC 7686)."""
    with Proxy("tcp://127.0.0.1:0", "tcp://nothing.onion:1") as proxy:
        ends(proxy, "connect-lookup", r"nothing\.onion:_\w+")


def test_a_target_without_an_answer_is_a_time_out():
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0),
                                                          backlog=0))
        stack.enter_context(socket.create_connection(silent.getsockname()))
        to = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with Proxy("tcp://127.0.0.1:0", to, "--connect-timeout",
                   "50ms") as proxy:
            ends(proxy, "connect-timeout",
                 r"127\.0\.0\.1:\d+:_Connection_timed_out_"
                 r"\(from_127\.0\.0\.1:\d+\)")


def test_a_target_without_a_route_is_unreachable():
    """A connection to a broadcast address is impossible."""
    with Proxy("tcp://127.0.0.1:0", "tcp://127.255.255.255:1") as proxy:
        ends(proxy, "connect-unreachable")


def test_a_unix_socket_that_is_not_there_is_a_refusal():
    with Proxy("tcp://127.0.0.1:0", "unix:/nothing/is/here") as proxy:
        ends(proxy, "connect-refused",
             "unix:/nothing/is/here:_No_such_file_or_directory")


def test_another_error_of_a_connect_is_just_that():
    """A link-local address needs a scope."""
    with Proxy("tcp://127.0.0.1:0", "tcp://[fe80::1]:1") as proxy:
        ends(proxy, "connect")


TRIED = (r"127\.0\.0\.1:{}:_Connection_refused_"
         r"\(from_127\.0\.0\.1:\d+\)")


def test_a_target_that_was_passed_over_is_told_beside_the_one_that_served():
    with Server(echo) as server, Refusing() as refusing, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--to", target(refusing), "--to",
            target(server), "--backup", "--tries", "2") as proxy:
        with proxy.connect() as client:
            client.sendall(b"1")
            equal(client.recv(1), b"1", "the echo")
        proxy.stop_by(["done"])
        line = proxy.lines()[0]
    equal(line["tries"], "2", "tries")
    matches(line["tried"], rf"\A{TRIED.format(refusing.port)}\Z", "what was tried")


def test_a_target_that_serves_at_once_has_nothing_that_was_tried_in_vain():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       target(server)) as proxy:
        with proxy.connect() as client:
            client.sendall(b"1")
            equal(client.recv(1), b"1", "the echo")
        proxy.stop_by(["done"])
        equal(proxy.lines()[0]["tried"], "-", "what was tried")


def test_all_of_many_targets_that_refuse_are_told():
    """More than fit into the library's text."""
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(Refusing()) for _ in range(12)]
        flags = [flag for one in targets for flag in ("--to", target(one))]
        with Proxy("--listen", "tcp://127.0.0.1:0", *flags, "--tries",
                   "12") as proxy:
            expect_reset(proxy, b"x")
            proxy.stop_by(["connect-refused"])
            tried = proxy.lines()[0]["tried"]
    equal(sorted(re.findall(TRIED.format(r"(\d+)"), tried)),
          sorted(str(one.port) for one in targets), tried)


def test_a_queue_behind_a_target_that_refused_has_reasons_of_its_own():
    for queue, reason in (("0", "queue-full"), ("5:100ms", "queue-timeout")):
        with Server(echo) as server, Refusing() as refusing, Proxy(
                "--listen", "tcp://127.0.0.1:0", "--to", target(refusing),
                "--to", target(server), "--limit", "1", "--tries", "2",
                "--eject", "0", "--queue", queue) as proxy:
            with proxy.connect() as first:
                first.sendall(b"1")
                equal(first.recv(1), b"1", "the first")
                expect_reset(proxy)
            proxy.stop()
            equal([(line["reason"], line["tries"]) for line in proxy.lines()
                   if line["reason"] != "done"], [(reason, "1")],
                  f"the log with --queue {queue}")


# ---- the client's TLS ----

def test_what_is_no_handshake_is_refused():
    with Server(echo) as server, Proxy(
            "tls://127.0.0.1:0", target(server), "--cert",
            certificates()["proxy"]) as proxy:
        with proxy.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while client.recv(100):  # an alert
                    pass
        proxy.stop_by(["handshake"])


def test_a_handshake_that_fails_behind_a_hello_that_was_read_is_refused():
    stranger = ssl.create_default_context()  # it trusts no authority of ours
    with Server(echo) as server, Proxy(
            "--listen", "tls://127.0.0.1:0", "--cert",
            certificates()["proxy"], "--to", target(server), "--route",
            "a.test", "--passthrough", "--to", target(server)) as proxy:
        with contextlib.suppress(ssl.SSLCertVerificationError):
            secure(proxy, context=stranger)
            raise AssertionError("a handshake")
        proxy.stop_by(["handshake"])


# ---- the limits of a relay ----

def floods(sock):
    """Floods until the other side has enough."""
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(bytes(1 << 20))


def test_a_client_that_takes_nothing_is_stalled():
    with Server(lambda connection, _number: floods(connection)) as server, \
            Proxy("tcp://127.0.0.1:0", target(server), "--stall-timeout",
                  "100ms") as proxy:
        with proxy.connect():
            wait_until(lambda: proxy.metric("close_total") == 1)
        proxy.stop_by(["client-stall"])


def test_a_target_that_takes_nothing_is_stalled():
    done = threading.Event()
    with Server(lambda *_: done.wait(WAIT_S)) as server, \
            Proxy("tcp://127.0.0.1:0", target(server), "--stall-timeout",
                  "100ms") as proxy:
        with proxy.connect() as client:
            floods(client)
        done.set()
        proxy.stop_by(["target-stall"])


def test_a_target_that_waits_for_its_client_to_read_is_the_clients_stall():
    """Pipelined requests: the target reads none while its answer to one is not read,
    and clients read slowly."""
    def answers(connection, _number):
        while connection.recv(1000):
            connection.sendall(bytes(1 << 26))

    def asks(client):
        client.setblocking(False)
        with contextlib.suppress(ConnectionError):
            while True:
                with contextlib.suppress(BlockingIOError):
                    while client.send(bytes(1 << 16)):
                        pass
                with contextlib.suppress(BlockingIOError):
                    client.recv(100_000)
                time.sleep(0.01)

    with Server(answers) as server, Proxy(
            # Longer than a target waits for a processor.
            "tcp://127.0.0.1:0", target(server), "--stall-timeout", "2s",
            "--eject", "1") as proxy:
        for _ in range(2):
            with proxy.connect() as client:
                asks(client)
        equal(proxy.metric("upstream_ejections_total"), 0, "ejections")
        with proxy.connect() as client:
            client.sendall(b"x")
            equal(client.recv(1), b"\0", "an answer to who reads")
        equal(proxy.stop(), "", "words")
        equal(proxy.reasons()[:2], ["client-stall"] * 2, "the log")


def test_a_connection_that_is_too_old_is_ended():
    with Server(drain) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                        "--lifetime", "100ms") as proxy:
        ends(proxy, "lifetime", data=b"x")


run(globals())
