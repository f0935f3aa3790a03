"""The first bytes of a client, which weir-proxy keeps until there is a target: more
than a buffer holds, followed by an end or a reset, with failing targets, with PROXY
headers, and without a target; in plain text and from TLS."""

import contextlib
import random
import signal
import socket
import ssl
import threading

from harness import WAIT_S, equal, run
from proxy_certificates import certificates, client_context
from proxy_wait import wait_until
from proxying import Proxy, target
from servers import Refusing, Server, reset

SEED = 20
# Around the number of copied bytes (256), of a receive, and of waiting bytes (--buffer,
# 64 KiB): a client that sends more is held back.
SIZES = (1, 255, 256, 4096, 16384, 65535, 65537, 300_000)
QUEUE = ("--limit", "1", "--queue", f"5:{WAIT_S}s")
ANSWER = b"answer"


# ---- both kinds of clients ----

class Plain:
    """A client without TLS."""

    def __init__(self, proxy):
        self.sock = proxy.connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def end(self):
        self.sock.shutdown(socket.SHUT_WR)

    def read(self):
        """Returns everything up to the end."""
        data = b""
        while part := self.sock.recv(65536):
            data += part
        return data


class Opened(Plain):
    """A client whose TLS the proxy terminates. The end of its handshake arrives
    together with its first bytes, and it ends with a close_notify, after which it still
    reads; Python's sockets do neither."""

    def __init__(self, proxy):
        super().__init__(proxy)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context().wrap_bio(
            self.incoming, self.outgoing, server_hostname="proxy.test")
        self.call(self.tls.do_handshake)

    def flush(self):
        super().send(self.outgoing.read())

    def call(self, method, *args):
        while True:
            try:
                return method(*args)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                assert data, "a cut"
                self.incoming.write(data)

    def send(self, data):
        self.call(self.tls.write, data)
        self.flush()

    def end(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    def read(self):
        data = b""
        with contextlib.suppress(ssl.SSLZeroReturnError):
            while part := self.call(self.tls.read, 65536):
                data += part
        return data


def each_kind():
    """Returns how a proxy listens for clients without and with TLS, and the clients."""
    yield ("tcp://127.0.0.1:0",), Plain
    yield ("tls://127.0.0.1:0", "--cert", certificates()["proxy"]), Opened


# ---- targets ----

class Keeping(Server):
    """A server that keeps everything, and answers at the end."""

    def __init__(self):
        self.came = []
        self.has_begun = threading.Event()
        super().__init__(self.keep)

    def keep(self, connection, _number):
        data = b""
        while part := connection.recv(65536):
            data += part
            self.has_begun.set()
        self.came.append(data)
        connection.sendall(ANSWER)


def held_bytes(proxy):
    return proxy.metric("buffer_bytes")


@contextlib.contextmanager
def taken(listen, kind, *flags, queue=QUEUE):
    """A target that keeps everything, and a proxy in front of it whose only slot a
    client has. Yields the server, the proxy and this client."""
    with Keeping() as server, Proxy(listen[0], target(server), *listen[1:],
                                    *queue, *flags) as proxy:
        with kind(proxy) as first:
            first.send(b"1")
            equal(server.has_begun.wait(WAIT_S), True, "the first is served")
            wait_until(lambda: held_bytes(proxy) == 0)
            yield server, proxy, first


def send_all(client, data):
    """Sends in a thread, because the proxy may hold the client back."""
    def send():
        client.send(data)
        client.end()

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def ends_well(client, sender):
    sender.join()  # TLS must not be used by two threads at once
    equal(client.read(), ANSWER, "the answer")


def sees_a_reset(client, data):
    """The reset may arrive while the client sends, and no end before it; over TLS there
    may be tickets."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        client.send(data)
        while client.sock.recv(65536):
            pass
        raise AssertionError("an end")


# ---- tests ----

def test_all_sizes_come_whole_with_their_end():
    rng = random.Random(SEED)
    for listen, kind in each_kind():
        for size in SIZES:
            data = rng.randbytes(size)
            with taken(listen, kind) as (server, proxy, first):
                with kind(proxy) as client:
                    sender = send_all(client, data)
                    wait_until(lambda: held_bytes(proxy) > 0)
                    equal(server.accepted, 1, "connections to the target")
                    reset(first.sock)
                    ends_well(client, sender)
                equal(server.came == [data], True, f"what came of {size}")
                wait_until(lambda: held_bytes(proxy) == 0)


def has_read(proxy, sock):
    """Returns True if the proxy has received everything that was sent."""
    local, peer = (f":{port:04X}" for port in (proxy.port,
                                               sock.getsockname()[1]))
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if fields[1].endswith(local) and fields[2].endswith(peer):
                return fields[4].endswith(":00000000")
    return False


def test_pieces_come_in_their_order():
    """The first piece is kept where it was received, later ones are copied."""
    rng = random.Random(SEED)
    for listen, kind in each_kind():
        pieces = [rng.randbytes(size) for size in (1000, 1, 5000, 300)]
        with taken(listen, kind) as (server, proxy, first):
            with kind(proxy) as client:
                for piece in pieces:
                    client.send(piece)
                    wait_until(lambda: has_read(proxy, client.sock))
                client.end()
                wait_until(lambda: proxy.metric("queue_length") == 1)
                reset(first.sock)
                equal(client.read(), ANSWER, "the answer")
            equal(server.came == [b"".join(pieces)], True, "what came")


def test_who_resets_leaves_no_bytes_behind():
    for listen, kind in each_kind():
        with taken(listen, kind) as (server, proxy, first):
            for size in (10, 10_000, 60_000):
                client = kind(proxy)
                client.send(bytes(size))
                wait_until(lambda: held_bytes(proxy) > 0)
                reset(client.sock)
                wait_until(lambda: held_bytes(proxy) == 0)
                equal(proxy.metric("queue_length"), 0, "who waits")
            first.end()
            equal(first.read(), ANSWER, "the answer of the first")
            equal(server.came, [b"1"], "what came")
            proxy.stop_by(["client-gone"] * 3 + ["done"])


def test_a_queue_that_takes_too_long_gives_the_bytes_back():
    queue = ("--limit", "1", "--queue", "5:500ms")
    for listen, kind in each_kind():
        with taken(listen, kind, queue=queue) as (server, proxy, first):
            for size in (10, 10_000, 60_000):
                with kind(proxy) as client:
                    sees_a_reset(client, bytes(size))
                wait_until(lambda: held_bytes(proxy) == 0)
            first.end()
            equal(first.read(), ANSWER, "the answer of the first")
            equal(server.came, [b"1"], "what came")
            proxy.stop_by(["queue-timeout"] * 3 + ["done"])


@contextlib.contextmanager
def early(kind, proxy, data):
    """A client whose first bytes have arrived when the proxy starts to connect."""
    if kind is Plain:
        proxy.pause()
    with kind(proxy) as client:
        if kind is Opened:
            proxy.pause()  # it waits for the end of the handshake
        client.send(data)
        proxy.signal(signal.SIGCONT)
        yield client


def test_the_second_target_gets_what_the_first_one_refused():
    rng = random.Random(SEED)
    for listen, kind in each_kind():
        with Refusing() as refusing, Keeping() as server, Proxy(
                "--listen", listen[0], *listen[1:], "--to", target(refusing),
                "--to", target(server), "--backup", "--tries", "2", "--eject",
                "0") as proxy:
            sent = []
            for size in SIZES:
                sent.append(rng.randbytes(size))
                with early(kind, proxy, sent[-1][:1000]) as client:
                    ends_well(client, send_all(client, sent[-1][1000:]))
            equal(server.came == sent, True, "what came")
            proxy.stop()
            equal({line["tries"] for line in proxy.lines()}, {"2"}, "tries")


def test_the_second_target_gets_what_the_first_one_left_unanswered():
    """A listener with a full queue does not answer, and gives time to keep the
    bytes."""
    data = random.Random(SEED).randbytes(20_000)
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0),
                                                          backlog=0))
        full = stack.enter_context(socket.create_connection(
            silent.getsockname()))
        equal(full.getpeername(), silent.getsockname(), "who is in the queue")
        to = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        for listen, kind in each_kind():
            with Keeping() as server, Proxy(
                    "--listen", listen[0], *listen[1:], "--to", to, "--to",
                    target(server), "--backup", "--tries", "2",
                    "--connect-timeout", "1s") as proxy:
                with kind(proxy) as client:
                    ends_well(client, send_all(client, data))
                equal(server.came == [data], True, "what came")
                wait_until(lambda: held_bytes(proxy) == 0)


def test_headers_go_before_the_bytes():
    parts = (b"a" * 300, b"b" * 1000)
    for listen, kind in each_kind():
        with taken(listen, kind, "--send-proxy", "v1") as (server, proxy,
                                                           first):
            with kind(proxy) as client:
                host, port = client.sock.getsockname()
                for part in parts:
                    client.send(part)
                    wait_until(lambda: has_read(proxy, client.sock))
                client.end()
                reset(first.sock)
                equal(client.read(), ANSWER, "the answer")
            sent = f"PROXY TCP4 {host} 127.0.0.1 {port} {proxy.port}\r\n"
            equal(server.came == [sent.encode() + b"".join(parts)], True,
                  "what came")


def test_bytes_behind_a_header_keep_their_order():
    """Bytes that were read together with the header were copied, and so are all later
    ones."""
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n"
    parts = (header + b"a" * 300, b"b" * 1000, b"c" * 5000)
    for version, before in ((None, b""), ("v1", header)):
        flags = ("--send-proxy", version) if version else ()
        with Keeping() as server, Proxy("tcp://127.0.0.1:0", target(server),
                                        *QUEUE, "--accept-proxy", "v1",
                                        *flags) as proxy:
            with proxy.connect() as first:
                first.sendall(header + b"1")
                wait_until(lambda: proxy.metric("upstream_active") == 1)
                with Plain(proxy) as client:
                    for part in parts:
                        client.send(part)
                        wait_until(lambda: has_read(proxy, client.sock))
                        wait_until(lambda: proxy.metric("queue_length") == 1)
                    client.end()
                    reset(first)
                    equal(client.read(), ANSWER, "the answer")
            equal(server.came == [before + b"".join(parts)[len(header):]], True,
                  "what came")


def test_an_end_behind_bytes_that_waited_for_a_place_decides():
    """The received bytes are a prefix of the configured first bytes: without more bytes
    they select the other route, even before the time is over. One client waits in the
    thread without a slot, and the others in the kernel."""
    count = 16
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Keeping())
        proxy = stack.enter_context(Proxy(
            "--listen", "tcp://127.0.0.1:0", "--max-conns", "1",
            "--hello-timeout", "1h", "--route", "*", "--route-begin", "begin",
            "--to", "tcp://127.0.0.1:1", "--route", "*", "--to",
            target(server), threads=2))
        first = stack.enter_context(Plain(proxy))
        first.send(b"1")
        equal(server.has_begun.wait(WAIT_S), True, "the first is served")
        others = [stack.enter_context(Plain(proxy)) for _ in range(count)]
        for client in others:
            client.send(b"beg")
            client.end()
        wait_until(lambda: any(has_read(proxy, client.sock)
                               for client in others))
        first.end()
        for client in (first, *others):
            equal(client.read(), ANSWER, "the answer")
        equal(sorted(server.came), [b"1"] + [b"beg"] * count, "what came")


run(globals())
