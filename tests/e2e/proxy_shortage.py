"""Shortages of weir-proxy: clients that do not read, clients that send nothing, no
descriptors; and impatient operators."""

import contextlib
import platform
import random
import re
import resource
import signal
import socket
import threading
import time

from harness import (WAIT_S, Skip, equal, is_asleep, is_sanitized, matches,
                     read_line, run, status_bytes)
from proxy_certificates import certificates, client_context, plain
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, sees_a_reset
from servers import Server, drain, echo, echoes, read_exactly

READERS = 200
# Memory of a slow reader, in the proxy: waiting bytes, encrypted or not, at most
# --buffer, and its part of the buffers that receive for all.
SLOW = (64 + 32) << 10
# Connections without a byte, of 3.3 KiB each. A proxy has two descriptors for each, and
# so has this program, which is client and target: with a limit of 20 000 descriptors
# there are fewer.
IDLE = 10_000
IDLE_LEAST = 5000
IDLE_BYTES = 3379
LEFT = 0.15  # of their memory, once they have gone
# Limit for all clients together.
LIMIT = 16 << 20
SEED = 21
SPARE = 200  # descriptors for all else


def expect_memory():
    if is_sanitized(PROXY):
        raise Skip("sanitizers keep freed memory")


def rss(proxy):
    return status_bytes(proxy.process.pid, "VmRSS")


def slow_client(proxy, context):
    """A client with a small receive buffer, which it does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(WAIT_S)
    client.connect(("127.0.0.1", proxy.port))
    if context:
        client = context.wrap_socket(client, server_hostname="proxy.test")
    return client


class Flood(Server):
    """Sends endlessly once it is told to."""

    def __init__(self):
        self.go = threading.Event()
        self.sent = [0] * READERS
        super().__init__(self.flood)

    def flood(self, connection, number):
        self.go.wait(WAIT_S)
        block = bytes(1 << 18)
        while True:
            self.sent[number] += connection.send(block)

    def wait_until_stalled(self, proxy):
        """Waits until no more bytes move, and the proxy sleeps."""
        before = None
        while not is_asleep(proxy.process.pid) or self.sent != before:
            before = list(self.sent)
            time.sleep(0.3)


def slow_readers(proxy, server, context):
    """Returns the memory of clients that receive data and do not read, above the memory
    before."""
    with contextlib.ExitStack() as stack:
        for _ in range(READERS):
            stack.enter_context(slow_client(proxy, context))
        wait_until(lambda: proxy.metric("upstream_active") == READERS)
        silent = rss(proxy)
        server.go.set()
        server.wait_until_stalled(proxy)
        equal(min(server.sent) > 0, True, "each was sent to")
        slow = rss(proxy)
        buffers = proxy.metric("buffer_bytes") / READERS
    wait_until(lambda: proxy.metric("connections_active") == 0)
    each = (slow - silent) / READERS
    print(f"# RSS {silent >> 10} KiB, then {slow >> 10}: {each:.0f} bytes each,"
          f" {buffers:.0f} of them in buffers")
    assert each <= SLOW, f"{each} bytes for each"
    # A byte that is passed on without a copy counts once.
    assert 0 < buffers <= SLOW, f"{buffers} bytes in buffers for each"


def test_what_many_slow_readers_cost_is_bounded():
    expect_memory()
    with Flood() as server, Proxy("tcp://127.0.0.1:0",
                                  plain(server)) as proxy:
        slow_readers(proxy, server, None)


def test_what_many_slow_readers_of_tls_cost_is_bounded():
    expect_memory()
    with Flood() as server, Proxy(
            "tls://127.0.0.1:0", plain(server), "--cert",
            certificates()["proxy"]) as proxy:
        slow_readers(proxy, server, client_context())


def expect_good_client_beside(proxy, server, context, data):
    """A client gets everything while the others do not read, and the memory of all of
    them stays within the limit."""
    most = 0
    with contextlib.ExitStack() as stack:
        for _ in range(READERS):
            stack.enter_context(slow_client(proxy, context))
        wait_until(lambda: proxy.metric("upstream_active") == READERS)
        server.go.set()
        server.wait_until_stalled(proxy)
        deaf = proxy.metric("buffer_bytes")
        with proxy.connect(1) as client:
            for at in range(0, len(data), 1 << 20):
                part = data[at:at + (1 << 20)]
                equal(read_exactly(client, len(part)) == part, True, "bytes")
                most = max(most, proxy.metric("buffer_bytes"))
            equal(client.recv(1), b"", "the end")
    print(f"# of {LIMIT} bytes {deaf:.0f} are held, and {most:.0f} beside the "
          "client that reads")
    assert LIMIT / 8 < deaf, "the clients that do not read hold too little"
    assert max(deaf, most) <= LIMIT, f"{most} bytes"


def test_what_all_clients_hold_stays_within_the_memory_limit():
    data = random.Random(SEED).randbytes(16 << 20)
    for scheme, flags, context in (
            ("tcp", (), None),
            ("tls", ("--cert", certificates()["proxy"]), client_context())):
        with Flood() as server, Server(
                lambda connection, _: connection.sendall(data)) as good, Proxy(
                    "--listen", f"{scheme}://127.0.0.1:0", "--buffer", "1M",
                    *flags, "--to", plain(server), "--listen",
                    "tcp://127.0.0.1:0", "--name", "good", "--to", plain(good),
                    "--memory-limit", str(LIMIT), threads=2) as proxy:
            equal(proxy.metric("memory_limit_bytes"), LIMIT, "the limit")
            expect_good_client_beside(proxy, server, context, data)


class Keep:
    """Accepts on a thread and keeps the connections."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.accepted = []
        self.thread = threading.Thread(target=self.work)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for connection in self.accepted:
            connection.close()

    def work(self):
        with contextlib.suppress(OSError):  # until the listener is shut down
            while True:
                self.accepted.append(self.listener.accept()[0])


def raise_descriptors():
    """Returns how many idle connections the limit of descriptors allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE, (hard - SPARE) // 2)
    if count < IDLE_LEAST:
        raise Skip(f"no more than {hard} descriptors")
    limit = 2 * count + SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
    return count


def test_ten_thousand_clients_that_say_nothing_cost_3_3_kib_each():
    """And the memory is released once they have gone."""
    expect_memory()
    count = raise_descriptors()
    with Keep() as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                 "--drain", "100ms") as proxy:
        before = rss(proxy)
        with contextlib.ExitStack() as stack:
            while len(server.accepted) < count:
                some = min(500, count - len(server.accepted))
                until = len(server.accepted) + some
                for _ in range(some):
                    stack.enter_context(proxy.connect())
                wait_until(lambda until=until: len(server.accepted) == until)
            equal(proxy.metric("upstream_active"), count, "connections")
            each = (rss(proxy) - before) / count
            full = rss(proxy)
        print(f"# {count} connections: {each:.0f} bytes for each")
        assert each <= IDLE_BYTES, f"{each} bytes for each"
        if "glibc" in platform.libc_ver()[0]:
            for connection in server.accepted:
                connection.close()
            wait_until(lambda: rss(proxy) - before < (full - before) * LEFT)
            print(f"# {rss(proxy) - before} of {full - before} bytes are left")


def test_descriptors_that_are_taken_away_end_nothing():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", plain(server), "--connect-timeout",
            "60s") as proxy:
        pid = proxy.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        with proxy.connect() as first, contextlib.ExitStack() as stack:
            first.sendall(b"1")
            equal(first.recv(1), b"1", "the echo")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
            # The kernel accepts some under the old limit, which wait for a target.
            clients = [stack.enter_context(proxy.connect())
                       for _ in range(50)]
            for _ in range(10):
                wait_until(lambda: is_asleep(pid))
            # The others wait in its queue.
            clients += [stack.enter_context(proxy.connect())
                        for _ in range(50)]
            matches(read_line(proxy.process.stderr), "out of system resources")
            # A proxy that retries without a pause does not sleep.
            for _ in range(10):
                wait_until(lambda: is_asleep(pid))
            first.sendall(b"2")
            equal(first.recv(1), b"2", "the echo meanwhile")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            for client in clients:
                echoes(client, b"3")
        wait_until(lambda: proxy.metric("connections_active") == 0)
        equal(proxy.metric("connections_total"), 101, "connections")
        equal(proxy.metric("accept_errors_total"),
              proxy.metric("accept_errors_total", errno="EMFILE"), "errors")
        assert proxy.metric("accept_errors_total") > 0, "no error is counted"
        equal(proxy.metric("upstream_ejections_total"), 0, "ejections")
        equal(proxy.stop(), "", "more words")
        equal(proxy.reasons(), ["done"] * 101, "the log")


def test_threads_share_the_descriptors_of_the_process():
    """As many as the start announces are served, whichever threads accept them; one
    more is reset, counted and reported."""
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", plain(server), threads=8,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                  (300, 300))) as proxy:
        most = int(re.search(r"enough for (\d+) connections",
                             " ".join(proxy.said))[1])
        with contextlib.ExitStack() as stack:
            for _ in range(most):
                echoes(stack.enter_context(proxy.connect()))
            expect_reset(proxy, b"x")
            matches(read_line(proxy.process.stderr),
                    f"allows {most} connections")
            equal(proxy.metric("accept_errors_total", errno="EMFILE"), 1,
                  "counted")
        wait_until(lambda: proxy.metric("connections_active") == 0)
        with proxy.connect() as client:
            echoes(client)
        equal(proxy.stop(), "", "more words")
        equal(sorted(set(proxy.reasons())), ["done", "limit"], "the log")


def test_a_second_signal_ends_at_once():
    with Server(drain) as server, Proxy("tcp://127.0.0.1:0",
                                        plain(server)) as proxy:
        with proxy.connect() as client:
            client.sendall(b"x")
            wait_until(lambda: proxy.metric("upstream_active") == 1)
            proxy.signal(signal.SIGTERM)
            wait_until(lambda: proxy.get("/readyz")[0] == 503)
            proxy.signal(signal.SIGTERM)
            sees_a_reset(client)
        equal(proxy.finish()[0], 0, "exit status")
        equal(proxy.reasons(), ["drain"], "the log")


run(globals(), short="what_all_clients_hold_stays_within_the_memory_limit")
