"""The example of a proxy relays bytes, ends and resets."""

import hashlib
import os
import signal
import socket
import struct
import threading

from harness import EXAMPLES, Program, equal, matches, read_line, run
from servers import Refusing, Server, echo

LINGER_RESET = struct.pack("ii", 1, 0)


class Proxy(Program):
    """The example; SIGINT ends it with status 0, and it prints no error."""

    def __init__(self, port):
        assert "tcp_relay" in EXAMPLES, "the example was not built"
        super().__init__(EXAMPLES["tcp_relay"], "0", "127.0.0.1", str(port))
        line = read_line(self.process.stdout)
        matches(line, r"^serving on 127\.0\.0\.1:\d+\n\Z")
        self.address = ("127.0.0.1", int(line.rsplit(":", 1)[1]))

    def connect(self):
        return socket.create_connection(self.address)

    def told(self, pattern):
        matches(read_line(self.process.stdout), pattern)

    def end(self):
        self.signal(signal.SIGINT)
        equal(self.finish(), (0, "", ""), "the end")


def read_end(sock):
    """Reads all bytes up to the end of stream."""
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    sock.close()


def was_reset(sock):
    try:
        read_end(sock)
    except ConnectionResetError:
        return True
    return False


def test_bytes_go_both_ways():
    data = os.urandom(3_000_000)
    with Server(echo) as server, Proxy(server.port) as proxy:
        with proxy.connect() as sock:
            received = bytearray()

            def send():
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            received += read_end(sock)
            sender.join()
        equal(bytes(received) == data, True, "what came back")
        proxy.told(r"^3000000 bytes there, 3000000 back, "
                   r"ended by the client: Success\n\Z")
        proxy.end()


def test_a_target_may_answer_after_the_clients_end():
    def serve(connection, _):
        digest = hashlib.sha256(read_end(connection)).digest()
        connection.sendall(digest * 100_000)

    data = os.urandom(100_000)
    with Server(serve) as server, Proxy(server.port) as proxy:
        with proxy.connect() as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            equal(read_end(sock) == hashlib.sha256(data).digest() * 100_000,
                  True, "the answer")
        proxy.told(r"^100000 bytes there, 3200000 back, "
                   r"ended by the client: Success\n\Z")
        proxy.end()


def test_a_reset_of_the_target_resets_the_client():
    def serve(connection, _):
        connection.recv(1)
        reset(connection)

    with Server(serve) as server, Proxy(server.port) as proxy:
        with proxy.connect() as sock:
            sock.sendall(b"x")
            equal(was_reset(sock), True, "a reset")
        proxy.told(r"ended by the target: Connection reset by peer\n\Z")
        proxy.end()


def test_a_reset_of_the_client_resets_the_target():
    results = []
    is_over = threading.Event()

    def serve(connection, _):
        connection.sendall(b"x")
        results.append(was_reset(connection))
        is_over.set()

    with Server(serve) as server, Proxy(server.port) as proxy:
        sock = proxy.connect()
        equal(sock.recv(1), b"x", "the first byte")
        reset(sock)
        proxy.told(r"ended by the client: Connection reset by peer\n\Z")
        equal(is_over.wait(60), True, "the target's end")
        equal(results, [True], "a reset")
        proxy.end()


def test_a_client_without_a_target_gets_a_reset():
    with Refusing() as server, Proxy(server.port) as proxy:
        with proxy.connect() as sock:
            equal(was_reset(sock), True, "a reset")
        proxy.signal(signal.SIGINT)
        status, out, err = proxy.finish()
        equal((status, out), (0, ""), "the outcome")
        matches(err, r"refused")


run(globals())
