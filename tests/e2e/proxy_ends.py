"""weir-proxy between a target that ends badly and a client that reads slowly: the
client gets all bytes that were acknowledged to the target, and then an error instead of
an end of stream."""

import array
import fcntl
import random
import socket
import subprocess
import termios
import threading

from harness import WAIT_S, Program, equal, is_asleep, need, run
from proxy_certificates import (Secured, certificates, client_context, plain)
from proxy_wait import wait_until
from proxying import Proxy
from servers import Server, free_port, read_exactly, reset

DATA = random.Random(5).randbytes(3_000_000)
# Bytes that the client has not read when the target ends.
LATE = 200_000
LATE_UNIX = 100_000  # its queue is small
END = "an end of the stream"
RESET = ("ConnectionResetError", "SSLEOFError")  # Python's ssl reports either


def unacknowledged(sock):
    """Returns how many bytes the peer's kernel has not acknowledged (SIOCOUTQ)."""
    count = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    return count[0]


def cut(sock):
    """Ends TLS without a close_notify."""
    sock.shutdown(socket.SHUT_WR)
    sock.close()


class Ending:
    """A target's connection: sends everything, waits until that is acknowledged, and
    ends badly."""

    def __init__(self, end):
        self.end = end
        self.has_ended = threading.Event()

    def __call__(self, sock, _number):
        sock.sendall(DATA)
        wait_until(lambda: unacknowledged(sock) == 0)
        self.end(sock)
        self.has_ended.set()


def read_rest(client):
    """Returns the remaining bytes, and how the stream ends: the name of an error, or
    END."""
    data = b""
    try:
        while more := client.recv(4096):
            data += more
    except OSError as error:
        return data, type(error).__name__
    return data, END


def read_late(client, ending, late):
    """Returns all bytes, and how the stream ends."""
    data = read_exactly(client, len(DATA) - late)
    assert ending.has_ended.wait(WAIT_S), "the target has not ended"
    rest, end = read_rest(client)
    return data + rest, end


def expect(client, ending, end, late=LATE):
    data, found = read_late(client, ending, late)
    equal(len(data), len(DATA), "bytes that have come")
    equal(data == DATA, True, "they are the target's")
    assert found in end, f"the end behind them: {found!r}"


def narrow(client):
    """Makes a client whose kernel buffers few bytes, so that others wait in the
    proxy."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return client


def to_plain(*flags):
    ending = Ending(reset)
    with Server(ending) as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                         *flags) as proxy:
        with narrow(proxy.connect()) as client:
            expect(client, ending, RESET)
        proxy.stop_by(["target-reset"])


def test_a_reset_comes_behind_all_bytes_that_were_spliced():
    to_plain()


def test_a_reset_comes_behind_all_bytes_that_were_copied():
    to_plain("--no-splice")


def test_a_reset_comes_behind_all_bytes_for_a_client_with_tls():
    ending = Ending(reset)
    with Server(ending) as server, Proxy(
            "tls://127.0.0.1:0", plain(server), "--cert",
            certificates()["proxy"]) as proxy:
        with client_context().wrap_socket(
                narrow(proxy.connect()), server_hostname="proxy.test",
                suppress_ragged_eofs=False) as client:
            expect(client, ending, RESET)
        proxy.stop_by(["target-reset"])


def to_tls(end, reason, *flags):
    ending = Ending(cut)
    with Secured(ending, "a") as server, Proxy(
            "tcp://127.0.0.1:0", f"tls://127.0.0.1:{server.port}", "--to-ca",
            certificates()["ca"], "--to-name", "a.test", *flags) as proxy:
        with narrow(proxy.connect()) as client:
            expect(client, ending, end)
        proxy.stop_by([reason])


def test_an_end_without_a_close_notify_is_a_reset_behind_all_bytes():
    to_tls(RESET, "target-cut")


def test_an_end_without_a_close_notify_is_an_end_where_the_flag_says_so():
    to_tls((END,), "done", "--ignore-unexpected-eof")


class Killed(Program):
    """openssl s_server, which sends its standard input, on a free port."""

    def __init__(self):
        self.port = free_port()
        need("openssl")
        super().__init__("openssl", "s_server", "-accept",
                         f"127.0.0.1:{self.port}", "-cert",
                         certificates()["a"], "-quiet", stdin=subprocess.PIPE)
        wait_until(lambda: self.queues("0A"))
        self.feeder = threading.Thread(target=self.feed)

    def start(self, client):
        """Waits until it prints received bytes. Before, it might be in its
        handshake."""
        client.sendall(b"x")
        equal(self.process.stdout.read(1), b"x", "what s_server has read")
        self.feeder.start()

    def feed(self):
        self.process.stdin.write(DATA)
        self.process.stdin.flush()

    def queues(self, state):
        """Returns the queues of its sockets in a state, from /proc/net/tcp."""
        with open("/proc/net/tcp", encoding="ascii") as file:
            lines = [line.split() for line in file][1:]
        return [line[4] for line in lines if line[3] == state
                and line[1].endswith(f":{self.port:04X}")]

    def has_sent_all(self):
        """Returns True if everything was read from the pipe and acknowledged, and it
        waits for more: if it waits for space, its queue is full."""
        count = array.array("i", [0])
        fcntl.ioctl(self.process.stdin.fileno(), termios.FIONREAD, count)
        return (count[0] == 0 and is_asleep(self.process.pid)
                and all(queue.startswith("00000000:")
                        for queue in self.queues("01")))

    def kill_at_rest(self):
        self.feeder.join(WAIT_S)
        wait_until(self.has_sent_all)
        self.kill()


def with_killed(end, reason, *flags):
    with Killed() as server, Proxy(
            "tcp://127.0.0.1:0", f"tls://127.0.0.1:{server.port}", "--to-ca",
            certificates()["ca"], "--to-name", "a.test", *flags) as proxy:
        with narrow(proxy.connect()) as client:
            server.start(client)
            data = read_exactly(client, len(DATA) - LATE)
            server.kill_at_rest()
            rest, found = read_rest(client)
            equal(data + rest == DATA, True, "all bytes have come")
            assert found in end, f"the end behind them: {found!r}"
        proxy.stop_by([reason])


def test_a_server_of_openssl_that_is_killed_has_all_its_bytes_passed_on():
    with_killed(RESET, "target-cut")


def test_a_client_at_a_unix_socket_sees_an_end_behind_all_bytes():
    ending = Ending(reset)
    with Server(ending) as server, Proxy(
            "unix:@weir-e2e-proxy-ends", plain(server)) as proxy:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(WAIT_S)
            client.connect("\0weir-e2e-proxy-ends")
            expect(client, ending, (END,), LATE_UNIX)
        proxy.stop_by(["target-reset"])


def test_a_request_that_nobody_reads_does_not_keep_the_answer_away():
    """The target answers before it has read the request, and closes, which the kernel
    makes a reset. The client writes everything before it reads."""
    answer = b"413 Too Large\n" * 10_000

    def refuse(sock, _number):
        sock.recv(1)
        sock.sendall(answer)
        wait_until(lambda: unacknowledged(sock) == 0)
        sock.close()

    with Server(refuse) as server, Proxy("tcp://127.0.0.1:0",
                                         plain(server)) as proxy:
        with proxy.connect() as client:
            try:
                client.sendall(bytes(20_000_000))
            except OSError:
                pass  # the reset was seen, and the answer has arrived
            equal(read_exactly(client, len(answer)), answer, "the answer")


run(globals())
