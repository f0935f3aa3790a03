"""PROXY headers that weir-proxy reads and writes, and which clients may send them."""

import contextlib
import socket

from harness import equal, run
from proxy_wait import wait_until
from proxying import Proxy, v2
from servers import Server, echo, echoes, read_exactly

V1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n"
V2 = v2(1, ("192.0.2.1", 1111), ("192.0.2.2", 2222), b"\x04\x00\x02ab")


def plain(server):
    return f"tcp://127.0.0.1:{server.port}"


def test_headers_name_the_client_and_are_taken_away():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                       "--accept-proxy", "any") as proxy:
        for header in (V1, V2):
            with proxy.connect() as client:
                client.sendall(header + b"hello")
                equal(read_exactly(client, 5), b"hello", "the echo")
        proxy.stop()
        equal([(line["client"], line["in_bytes"]) for line in proxy.lines()],
              [("192.0.2.1:1111", "5")] * 2, "the log")


def test_a_header_in_single_bytes_is_understood():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                       "--accept-proxy", "any") as proxy:
        for header in (V1, V2):
            with proxy.connect() as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in header + b"hello":
                    client.sendall(bytes([byte]))
                equal(read_exactly(client, 5), b"hello", "the echo")


def test_bytes_behind_a_header_are_all_passed_on():
    data = bytes(range(256)) * 400
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                       "--accept-proxy", "any") as proxy:
        with proxy.connect() as client:
            client.sendall(V1 + data)
            equal(read_exactly(client, len(data)) == data, True, "the echo")


def test_a_local_header_leaves_the_addresses_of_the_socket():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                       "--accept-proxy", "v2") as proxy:
        with proxy.connect() as client:
            client.sendall(v2(0) + b"hello")
            equal(read_exactly(client, 5), b"hello", "the echo")
            host, port = client.getsockname()
        proxy.stop()
        equal([line["client"] for line in proxy.lines()], [f"{host}:{port}"],
              "the log")


def refused(proxy, data):
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        with proxy.connect() as client:
            client.sendall(data)
            equal(client.recv(1), "a reset", "what the client sees")


def test_what_is_no_header_is_refused():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                       "--accept-proxy", "v1") as proxy:
        for data in (b"GET / HTTP/1.1\r\n\r\n", V2,
                     b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
                     b"PROXY " + b"x" * 200):
            refused(proxy, data)
        proxy.stop_by(["header"] * 4)


def test_a_header_of_datagrams_is_refused_and_one_of_streams_is_not():
    addresses = bytes(2 * 108)
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                       "--accept-proxy", "v2") as proxy:
        for family in range(4):
            for transport in range(3):
                data = V2[:12] + bytes((0x21, family << 4 | transport,
                                        0, len(addresses))) + addresses
                if transport == 2:
                    refused(proxy, data)
                else:
                    with proxy.connect() as client:
                        client.sendall(data)
                        echoes(client)
        with proxy.connect() as client:  # LOCAL: a check of another proxy
            client.sendall(V2[:12] + bytes((0x20, 0x12, 0, 0)))
            echoes(client)
        proxy.stop()
        equal(sorted(proxy.reasons()), ["done"] * 9 + ["header"] * 4,
              "the log")


def test_a_header_that_does_not_come_is_waited_for_in_vain():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", plain(server), "--accept-proxy", "v1",
            "--hello-timeout", "50ms") as proxy:
        refused(proxy, b"PROXY TCP4 ")
        proxy.stop_by(["header"])


def test_a_header_of_a_stranger_is_not_believed():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", plain(server), "--accept-proxy", "any",
            "--trust", "10.0.0.0/8") as proxy:
        refused(proxy, V1)
        proxy.stop_by(["untrusted"])


class Heading(Server):
    """A server that keeps everything it receives."""

    def __init__(self):
        self.heads = []
        super().__init__(self.keep)

    def keep(self, connection, _number):
        data = b""
        while part := connection.recv(4096):
            data += part
        self.heads.append(data)


def test_a_header_is_sent_with_the_first_bytes():
    with Heading() as server:
        for version in ("v1", "v2"):
            with Proxy("tcp://127.0.0.1:0", plain(server), "--send-proxy",
                       version) as proxy, proxy.connect() as client:
                host, port = client.getsockname()
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                equal(client.recv(1), b"", "the end of stream")
                if version == "v1":
                    wanted = (f"PROXY TCP4 {host} 127.0.0.1 {port} "
                              f"{proxy.port}\r\n").encode()
                else:
                    wanted = v2(1, (host, port), ("127.0.0.1", proxy.port))
                equal(server.heads[-1], wanted + b"hello", "what has come")


def test_a_header_passes_two_proxies():
    with Heading() as server, Proxy(
            "tcp://127.0.0.1:0", plain(server), "--accept-proxy", "v2",
            "--send-proxy", "v1") as second, Proxy(
                "tcp://127.0.0.1:0", f"tcp://127.0.0.1:{second.port}",
                "--accept-proxy", "v1", "--send-proxy", "v2") as first:
        with first.connect() as client:
            client.sendall(V1 + b"hello")
            client.shutdown(socket.SHUT_WR)
            wait_until(lambda: server.heads)
        equal(server.heads, [V1 + b"hello"], "what has come")


run(globals())
