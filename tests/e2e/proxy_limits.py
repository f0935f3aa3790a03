"""Limits of the simultaneous connections of weir-proxy: of the program, of an address, of
a target and of a queue; and which clients it admits, by address. These have loopback
addresses, or addresses in PROXY headers."""

import contextlib
import random
import select
import signal
import socket
import tempfile
import threading
import time

from harness import WAIT_S, equal, is_sanitized, run, status_bytes
from proxy_certificates import certificates, secure
from proxy_wait import wait_until
from proxying import (PROXY, Proxy, expect_reset, read_again, sees_a_reset,
                      target, told)
from servers import Server, echo, read_exactly

SEED = 20


# ---- a target ----

def test_a_full_target_makes_clients_wait_in_a_queue_of_its_length():
    for threads in (1, 3):
        with Server(echo) as server, Proxy(
                "tcp://127.0.0.1:0", target(server), "--limit", "1", "--queue",
                f"1:{WAIT_S}s", threads=threads) as proxy:
            first = proxy.connect()
            first.sendall(b"1")
            equal(first.recv(1), b"1", "the first")
            second = proxy.connect()
            second.sendall(b"2")
            wait_until(lambda: proxy.metric("queue_length") == 1)
            for _ in range(5):  # on whichever thread
                expect_reset(proxy)
            first.close()
            equal(second.recv(1), b"2", "the second, when the first has ended")
            second.close()
            proxy.stop()
            equal(sorted(proxy.reasons()),
                  ["done", "done"] + ["queue-full"] * 5, "the log")


# ---- who leaves the queue ----

@contextlib.contextmanager
def queue(serve, *flags):
    """A proxy whose only target is in use by a client."""
    with Server(serve) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--limit", "1", "--queue",
            f"1:{WAIT_S}s", *flags) as proxy, proxy.connect() as first:
        first.sendall(b"1")
        wait_until(lambda: proxy.metric("upstream_active") == 1)
        yield proxy, first


def waits(proxy, client, data):
    client.sendall(data)
    wait_until(lambda: proxy.metric("queue_length") == 1)


def test_who_ends_in_the_queue_is_gone_where_that_is_said():
    with queue(echo, "--abort-on-close") as (proxy, _):
        with proxy.connect() as second:
            waits(proxy, second, b"2")
            second.shutdown(socket.SHUT_WR)
            sees_a_reset(second)
        wait_until(lambda: proxy.metric("queue_length") == 0)


def test_who_sends_much_in_the_queue_is_held_back_and_loses_nothing():
    data = random.Random(SEED).randbytes(30_000_000)
    with queue(echo, "--idle-timeout", "0") as (proxy, first):
        empty = status_bytes(proxy.process.pid, "VmRSS")
        with proxy.connect() as second:
            sender = threading.Thread(target=second.sendall, args=(data,))
            sender.start()
            wait_until(lambda: proxy.metric("queue_length") == 1)
            pid = proxy.process.pid
            size, more = 0, empty
            while size != more:
                size = more
                time.sleep(0.3)
                more = status_bytes(pid, "VmRSS")
            assert is_sanitized(PROXY) or size < empty + (8 << 20), \
                f"{size - empty} bytes more"
            first.close()
            equal(read_exactly(second, len(data)) == data, True, "the echo")
            sender.join()


# ---- all of a program, and of an address ----

def test_the_program_resets_what_is_above_its_limit():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--max-conns-total", "3",
                                       threads=4) as proxy:
        for _ in range(3):  # slots are released
            with contextlib.ExitStack() as stack:
                told = []
                for _ in range(20):
                    with contextlib.suppress(OSError):
                        client = stack.enter_context(proxy.connect())
                        client.sendall(b"1")
                        told.append(client.recv(1))
                equal([byte for byte in told if byte], [b"1"] * 3, "answers")
            wait_until(lambda: proxy.metric("connections_active") == 0)
        proxy.stop()
        equal(proxy.reasons().count("limit"), 51, "resets")


def what_comes(client):
    try:
        return client.recv(1).decode()
    except ConnectionResetError:
        return ""


def test_a_service_lets_clients_wait_above_its_limit():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--max-conns", "2",
            threads=4) as proxy:
        clients = [proxy.connect() for _ in range(30)]
        for client in clients:
            client.sendall(b"x")
        for left in range(30, 0, -1):
            ready = []
            wait_until(lambda: ready.extend(
                select.select(clients, [], [], 0.1)[0]) or
                       len(set(ready)) >= min(left, 2))
            equal(proxy.metric("upstream_active"), min(left, 2),
                  "connections to the target")
            equal(ready[0].recv(1), b"x", "the echo")
            clients.remove(ready[0])
            ready[0].close()
            wait_until(lambda: proxy.metric("close_total") == 31 - left)
        proxy.stop_by(["done"] * 30)


def test_who_waits_for_a_place_is_reset_at_the_end():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--max-conns", "1",
            threads=4) as proxy:
        clients = [proxy.connect() for _ in range(20)]
        for client in clients:
            client.sendall(b"x")
        first, = select.select(clients, [], [], WAIT_S)[0]
        proxy.signal(signal.SIGTERM)
        equal(sorted(map(what_comes, clients)), [""] * 19 + ["x"],
              "what the clients get while the first is served")
        first.close()
        equal(proxy.finish()[0], 0, "exit status")
        for client in clients:
            client.close()


# ---- of a client, and of which ----

def connect(proxy, host, index=0):
    return proxy.connect(index, source_address=(host, 0))


def is_served(client, data=b"x"):
    """Returns True if the echo comes back; a refused client is reset."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        client.sendall(data)
        return client.recv(len(data)) == data
    return False


def visits(proxy, host, index=0):
    with contextlib.suppress(ConnectionResetError):
        with connect(proxy, host, index) as client:
            return is_served(client)
    return False


def test_a_client_has_so_many_connections_at_once():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--client-conns", "2",
            threads=3) as proxy:
        first, second = (connect(proxy, "127.0.0.2") for _ in range(2))
        equal([is_served(first), is_served(second)], [True] * 2, "two")
        for _ in range(6):  # on whichever thread
            equal(visits(proxy, "127.0.0.2"), False, "a third")
        equal(visits(proxy, "127.0.0.3"), True, "another client")
        first.close()
        wait_until(lambda: visits(proxy, "127.0.0.2"))
        second.close()
        equal(proxy.metric("close_total", reason="client-limit") >= 6, True,
              "metric")


def test_refusals_of_a_second_are_one_line():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--client-conns",
            "1") as proxy:
        with connect(proxy, "127.0.0.2") as client:
            equal(is_served(client), True, "the first")
            for _ in range(50):
                equal(visits(proxy, "127.0.0.2"), False, "the others")
        proxy.stop()
        lines = [line for line in proxy.lines()
                 if line["reason"] == "client-limit"]
        equal(0 < len(lines) < 50, True, f"{len(lines)} lines")
        equal({line["client"].split(":")[0] for line in lines}, {"127.0.0.2"},
              "their client")


def test_the_client_of_a_header_is_the_one_that_counts():
    def visit(proxy, source):
        with proxy.connect() as client:
            return is_served_behind(client, source)

    def is_served_behind(client, source):
        client.sendall(f"PROXY TCP{6 if ':' in source else 4} {source} "
                       f"{'::2' if ':' in source else '192.0.2.9'} 1 2\r\n"
                       .encode())
        return is_served(client)

    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--accept-proxy", "v1",
            "--client-conns", "1", "--client-deny", "192.0.2.128/25",
            "--client-deny", "127.0.0.0/8") as proxy:
        with proxy.connect() as client:
            equal(is_served_behind(client, "192.0.2.1"), True, "one")
            equal(visit(proxy, "192.0.2.1"), False, "the same again")
            equal(visit(proxy, "::ffff:192.0.2.1"), False, "as IPv6")
            equal(visit(proxy, "192.0.2.2"), True, "another")
            equal(visit(proxy, "192.0.2.200"), False, "a denied one")
        with proxy.connect() as client:
            equal(is_served_behind(client, "2001:db8::1"), True, "IPv6")
            equal(visit(proxy, "2001:db8::2"), False, "the same network")
            equal(visit(proxy, "2001:db8:0:1::2"), True, "another network")


def test_a_client_of_tls_is_refused_before_its_handshake():
    with Server(echo) as server, Proxy(
            "tls://127.0.0.1:0", target(server), "--cert",
            certificates()["proxy"], "--client-deny", "127.0.0.2",
            "--client-conns", "1") as proxy:
        with secure(proxy) as client:
            equal(is_served(client), True, "another one")
            client.unwrap()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            with connect(proxy, "127.0.0.2") as client:
                # No TLS byte was sent, and none is waited for.
                equal(client.recv(1), "a reset", "what the client sees")
        proxy.stop()
        equal(sorted(proxy.reasons()), ["client-denied", "done"], "the log")


def test_networks_are_read_again():
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file, \
            Server(echo) as server:
        def write(text):
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()

        write("# ours\n127.0.0.2\n")
        with Proxy("tcp://127.0.0.1:0", target(server), "--client-allow",
                   f"@{file.name}") as proxy:
            equal([visits(proxy, "127.0.0.2"), visits(proxy, "127.0.0.3")],
                  [True, False], "before")
            write("127.0.0.3\n")
            read_again(proxy)
            equal([visits(proxy, "127.0.0.2"), visits(proxy, "127.0.0.3")],
                  [False, True], "after")
            write("127.0.0.3/8\n")
            proxy.signal(signal.SIGHUP)
            told(proxy, "previous configuration stays in force")
            equal(visits(proxy, "127.0.0.3"), True, "after an error")


run(globals())
