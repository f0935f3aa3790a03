"""Numbers of simultaneous connections of weir-proxy: limits of the program, of an
address and of a target, in a queue, and without descriptors."""

import contextlib
import random
import select
import signal
import socket
import threading
import time

from harness import (WAIT_S, Program, equal, is_asleep, is_sanitized, run,
                     status_bytes)
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, target
from servers import Server, echo, echoes, read_exactly, reset

SEED = 20


# ---- a target ----

def test_a_full_target_makes_clients_wait_in_a_queue_of_its_length():
    for threads in (1, 2, 3):
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


def test_the_time_in_the_queue_is_bounded():
    for threads in (1, 3):
        with Server(echo) as server, Proxy(
                "tcp://127.0.0.1:0", target(server), "--limit", "1", "--queue",
                "5:50ms", threads=threads) as proxy:
            with proxy.connect() as first:
                first.sendall(b"1")
                equal(first.recv(1), b"1", "the first")
                for _ in range(4):
                    expect_reset(proxy)
            proxy.stop()
            equal(sorted(proxy.reasons()), ["done"] + ["queue-timeout"] * 4,
                  "the log")


class Counted:
    """An echo that knows the highest number of its simultaneous connections."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = 0
        self.most = 0

    def __call__(self, connection, number):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        echo(connection, number)
        with self.lock:  # before the proxy sees the end
            self.now -= 1


def test_the_limit_of_a_target_holds_over_all_threads():
    count = Counted()
    with Server(count) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--limit", "3", "--queue",
            f"40:{WAIT_S}s", threads=2) as proxy:
        clients = [proxy.connect() for _ in range(40)]
        for client in clients:
            client.sendall(b"x")
        for left in range(40, 0, -1):
            ready = []
            wait_until(lambda: ready.extend(
                select.select(clients, [], [], 0.1)[0]) or
                       len(set(ready)) >= min(left, 3))
            equal(proxy.metric("upstream_active"), min(left, 3),
                  "connections to the target")
            equal(ready[0].recv(1), b"x", "the echo")
            clients.remove(ready[0])
            ready[0].close()
            wait_until(lambda: proxy.metric("close_total") == 41 - left)
        proxy.stop_by(["done"] * 40)
    equal(count.most, 3, "the most at once")


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


def test_who_resets_in_the_queue_gives_its_place_up():
    with queue(echo) as (proxy, first):
        for _ in range(3):
            client = proxy.connect()
            waits(proxy, client, b"2")
            reset(client)
            wait_until(lambda: proxy.metric("queue_length") == 0)
        first.shutdown(socket.SHUT_WR)
        proxy.stop_by(["client-gone"] * 3 + ["done"])


def test_who_ends_in_the_queue_is_served_all_the_same():
    seen = []

    def read_all(connection, _number):
        data = b""
        while part := connection.recv(100):
            data += part
        seen.append(data)
        connection.sendall(data)

    with queue(read_all) as (proxy, first), proxy.connect() as second:
        waits(proxy, second, b"all of it")
        second.shutdown(socket.SHUT_WR)
        first.close()
        equal(read_exactly(second, 9), b"all of it", "the answer")
        equal(seen, [b"1", b"all of it"], "requests")


def test_who_ends_in_the_queue_is_gone_where_that_is_said():
    with queue(echo, "--abort-on-close") as (proxy, _):
        with proxy.connect() as second:
            waits(proxy, second, b"2")
            second.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                equal(second.recv(1), "a reset", "what the client sees")
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
    for threads in (1, 4):
        with Server(echo) as server, Proxy(
                "tcp://127.0.0.1:0", target(server), "--max-conns", "2",
                threads=threads) as proxy:
            clients = [proxy.connect() for _ in range(30)]
            for client in clients:
                client.sendall(b"x")
            for left in range(30, 0, -1):
                ready = []
                wait_until(lambda: ready.extend(
                    select.select(clients, [], [], 0.1)[0]) or
                           len(ready) >= min(left, 2))
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


# ---- no descriptors ----

def test_without_descriptors_it_resets_clients_and_serves_on():
    with Server(echo) as server, Program(
            "sh", "-c", 'ulimit -n 64; exec "$@"', "sh", PROXY, "--threads",
            "1", "tcp://127.0.0.1:0", target(server)) as program:
        port = None
        while not port:
            line = program.process.stderr.readline().decode()
            assert line, "it has ended"
            if " serves " in line:
                port = line.split(" to ")[0].rsplit(":", 1)[1]
        clients = [socket.create_connection(("127.0.0.1", int(port)))
                   for _ in range(100)]
        # A proxy that retries without a pause does not sleep.
        for _ in range(10):
            wait_until(lambda: is_asleep(program.process.pid))
        for client in clients:
            client.close()

        def is_served():
            with contextlib.suppress(ConnectionError), \
                    socket.create_connection(("127.0.0.1", int(port)),
                                             timeout=WAIT_S) as client:
                echoes(client)
                return True
            return False

        wait_until(is_served)  # others may not have ended yet


run(globals())
