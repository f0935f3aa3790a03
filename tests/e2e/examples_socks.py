"""The example of a SOCKS5 proxy: curl through it, the protocol byte by byte, and rude
clients."""

import contextlib
import os
import random
import socket
import struct
import threading

import rude
from harness import WAIT_S, ExampleService, Skip, command, equal, need, run
from servers import Refusing, Server, echo, read_exactly, reset

SEED = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32))
print(f"# WEIR_TEST_SEED={SEED}")

HELLO, CHOSEN = b"\5\1\0", b"\5\0"
LOCAL = socket.inet_aton("127.0.0.1")
ERRORS = {"failure": 1, "host unreachable": 4, "refused": 5, "command": 7,
          "address": 8}


def request(address, port, kind=1, verb=1):
    return HELLO + bytes((5, verb, 0, kind)) + address + struct.pack("!H", port)


def by_name(name, port):
    return request(bytes((len(name),)) + name, port, kind=3)


def refusal(server, text):
    """Returns the code of the reply that refuses a request; the connection then
    ends."""
    answer = rude.ask(server, text)
    equal(answer[:3] + answer[4:], CHOSEN + b"\5" + b"\0\1" + bytes(6),
          "a reply, but for its code")
    return answer[3]


@contextlib.contextmanager
def through(server, text):
    """Connects through the proxy. Returns the connection and the address in the
    reply."""
    with rude.connect(server) as sock:
        sock.sendall(text)
        equal(read_exactly(sock, 5), CHOSEN + b"\5\0\0", "method and reply")
        length = {b"\1": 4, b"\4": 16}[read_exactly(sock, 1)]
        address = read_exactly(sock, length)
        yield sock, (address, struct.unpack("!H", read_exactly(sock, 2))[0])


def test_bytes_go_both_ways_by_each_kind_of_address():
    peers = []

    def serve(connection, number):
        peers.append(connection.getpeername())
        echo(connection, number)

    data = os.urandom(3_000_000)
    with ExampleService("socks5_server") as server, Server(serve) as target:
        for text in (request(LOCAL, target.port),
                     by_name(b"localhost", target.port),
                     by_name(b"127.0.0.1", target.port)):
            with through(server, text) as (sock, told):
                def send(sock=sock):
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)

                sender = threading.Thread(target=send)
                sender.start()
                equal(rude.read_end(sock) == data, True, "what came back")
                sender.join()
            equal(told, (LOCAL, peers[-1][1]), "the proxy's own address")


def test_ipv6_is_reached():
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        raise Skip("no IPv6 here") from None
    with listener, ExampleService("socks5_server") as server:
        port = listener.getsockname()[1]
        address = socket.inet_pton(socket.AF_INET6, "::1")
        with through(server, request(address, port, kind=4)) as (sock, told):
            peer, name = listener.accept()
            with peer:
                equal(told, (address, name[1]), "the proxy's own address")
                peer.sendall(b"hello")
                equal(read_exactly(sock, 5), b"hello", "the bytes")


def test_bytes_behind_the_request_are_passed_on():
    with ExampleService("socks5_server") as server, Server(echo) as target:
        with through(server, request(LOCAL, target.port) + b"early") as (
                sock, _):
            equal(read_exactly(sock, 5), b"early", "what came back")


def test_a_reset_is_passed_on():
    def serve(connection, _):
        connection.recv(1)
        reset(connection)

    with ExampleService("socks5_server") as server, Server(serve) as target:
        with through(server, request(LOCAL, target.port) + b"x") as (sock, _):
            try:
                sock.recv(1)
            except ConnectionResetError:
                return
            raise AssertionError("an end of the stream")


def test_replies_say_what_is_wrong():
    with ExampleService("socks5_server") as server, Refusing() as target:
        for name, text in (
                ("refused", request(LOCAL, target.port)),
                ("refused", by_name(b"127.0.0.1", target.port)),
                ("host unreachable", by_name(b"..", 80)),
                ("host unreachable", by_name(b"x" * 255, 80)),
                ("command", request(LOCAL, 80, verb=2)),
                ("command", request(LOCAL, 80, verb=3)),
                ("address", request(LOCAL, 80, kind=2)),
                ("address", by_name(b"", 80)),
                ("address", by_name(b"127.0.0.1\0x", target.port))):
            equal(refusal(server, text), ERRORS[name], repr(text))


def test_a_client_that_speaks_something_else_is_left():
    with ExampleService("socks5_server") as server:
        for text, answer in ((b"\4\1\0\x50" + LOCAL + b"\0", b""),
                             (b"GET / HTTP/1.1\r\n\r\n", b""),
                             (b"\5\0", b"\5\xff"), (b"\5\2\1\2", b"\5\xff"),
                             (HELLO + b"\4\1\0\1", CHOSEN),
                             (HELLO + b"\5\1\1\1" + LOCAL, CHOSEN)):
            equal(rude.ask(server, text), answer, repr(text))


def test_a_request_may_come_in_two_pieces():
    with ExampleService("socks5_server") as server, Server(echo) as target:
        for text in (request(LOCAL, target.port),
                     by_name(b"127.0.0.1", target.port)):
            text += b"hello"
            for at in range(1, len(text)):
                answer = rude.ask_in_two(server, text, at)
                # The proxy's port differs each time.
                equal((answer[:10], answer[12:]),
                      (CHOSEN + b"\5\0\0\1" + LOCAL, b"hello"), f"cut at {at}")


def test_nonsense_harms_nobody():
    chance = random.Random(SEED)
    with ExampleService("socks5_server") as server, Server(echo) as target, \
            Refusing() as nobody:
        beginnings = [
            HELLO, b"\5\xff", b"\5", HELLO + b"\5\1\0\3\xff",
            HELLO + b"\5\1\0", request(LOCAL, target.port),
            by_name(b"127.0.0.1", target.port), request(LOCAL, nobody.port)]
        with rude.unharmed(server):
            rude.nonsense(server, chance, beginnings)
        with through(server, request(LOCAL, target.port) + b"x") as (sock, _):
            equal(read_exactly(sock, 1), b"x", "the next client")


def test_curl_gets_through():
    need("curl")

    def serve(connection, _):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")

    with ExampleService("socks5_server") as server, Server(serve) as target, \
            Refusing() as nobody:
        def curl(flag, host, port):
            outcome = command("curl", "-sS", "--max-time", str(WAIT_S),
                              "--noproxy", "", flag,
                              f"127.0.0.1:{server.port}",
                              f"http://{host}:{port}/")
            return outcome.status, outcome.out

        for flag in ("--socks5", "--socks5-hostname"):
            for host in ("127.0.0.1", "localhost"):
                equal(curl(flag, host, target.port), (0, "hello"),
                      f"{flag} {host}")
        equal(curl("--socks5", "127.0.0.1", nobody.port), (97, ""), "refused")


run(globals())
