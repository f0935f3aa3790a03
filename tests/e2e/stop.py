"""How weir-load serve starts, reports about itself, and ends; also the end of an
example."""

import signal
import socket
import time

from harness import (WAIT_S, WEIR_LOAD, Program, Serve, echo_server, equal,
                     fill, matches, read_line, run)


def stops_listening(address):
    """Waits until no socket listens there any more."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass  # it was in the backlog when that was closed
    raise AssertionError("it still listens")


def stalled_client(server):
    """A client that does not read what the server sends."""
    sock = socket.create_connection(server.address)
    fill(server, sock, lambda position, count: bytes(count))
    return sock


def test_it_says_one_line():
    with Serve() as server:
        equal(server.line, f"serving echo on {server.url}\n", "the line")


def test_it_ends_with_sigterm():
    with echo_server() as server:
        server.stop(signal.SIGTERM)


def test_it_ends_with_sigint():
    with echo_server() as server:
        server.stop(signal.SIGINT)


def test_it_names_every_address():
    with Program(WEIR_LOAD, "serve", "tcp://127.0.0.1:0",
                 "tcp://[::1]:0") as program:
        line = read_line(program.process.stdout)
        matches(line, r"^serving echo on tcp://127\.0\.0\.1:\d+ "
                      r"tcp://\[::1\]:\d+\n\Z")
        for url in line.split()[-2:]:
            host, port = url.removeprefix("tcp://").rsplit(":", 1)
            with socket.create_connection((host.strip("[]"),
                                           int(port))) as sock:
                sock.sendall(b"x")
                equal(sock.recv(1), b"x", "the echo")
        program.signal(signal.SIGTERM)
        equal(program.finish(), (0, "", ""), "the end")


def test_all_addresses_may_be_meant():
    with Program(WEIR_LOAD, "serve", "tcp://*:0") as program:
        line = read_line(program.process.stdout)
        matches(line, r"tcp://0\.0\.0\.0:\d+")
        program.signal(signal.SIGTERM)
        equal(program.finish(), (0, "", ""), "the end")


def test_idle_clients_see_the_end_at_once():
    with echo_server("--grace", "1h") as server:
        socks = [socket.create_connection(server.address) for _ in range(20)]
        for sock in socks:
            sock.sendall(b"x")
            equal(sock.recv(1), b"x", "the echo")
        server.stop()
        for sock in socks:
            equal(sock.recv(1), b"", "the end of stream")
            sock.close()


def test_connections_that_it_ended_are_counted():
    for mode in ("echo", "chargen"):
        with Serve("--stats", "--mode", mode, "--grace", "0",
                   may_complain=True) as server:
            socks = [socket.create_connection(server.address)
                     for _ in range(20)]
            for sock in socks:
                sock.sendall(b"x")
                equal(len(sock.recv(1)), 1, "an answer")
            err = server.stop()
            for sock in socks:
                sock.close()
        matches(err, r"^served_connections 20$")
        matches(err, r"^served_open 0$")
        matches(err, r"^served_broken 0$")


def test_what_was_written_is_sent_within_the_grace():
    with Serve("--mode", "chargen", "--grace", "1h") as server:
        sock = socket.create_connection(server.address)
        total = len(sock.recv(1))
        server.signal(signal.SIGTERM)
        stops_listening(server.address)
        while data := sock.recv(1 << 20):
            total += len(data)
        sock.close()
        equal(server.finish(), (0, "", ""), "the end")
        # Only a text that was sent completely ends with its line.
        equal(total % 74, 0, "bytes beyond whole lines")


def test_a_second_signal_ends_the_grace():
    with Serve("--grace", "1h") as server:
        sock = stalled_client(server)
        server.signal(signal.SIGTERM)
        stops_listening(server.address)
        equal(server.process.poll(), None, "it waits for the client")
        server.signal(signal.SIGINT)
        equal(server.finish(), (0, "", ""), "the end")
        sock.close()


def test_the_grace_comes_to_an_end_by_itself():
    with Serve("--grace", "50ms") as server:
        sock = stalled_client(server)
        server.stop()
        sock.close()


def test_sigusr1_prints_statistics_and_connections():
    with Serve(may_complain=True) as server:
        with socket.create_connection(server.address) as sock:
            sock.sendall(b"hello")
            equal(sock.recv(10), b"hello", "the echo")
            server.signal(signal.SIGUSR1)
            text = ""
            port = str(sock.getsockname()[1])
            while port not in text:
                text += read_line(server.process.stderr)
        matches(text, r"^served_open 1$")
        matches(text, r"^received_bytes 5$")
        matches(text, r"^connections 1$")
        equal(server.process.poll(), None, "it goes on")


def test_stats_are_printed_at_the_end():
    with Serve("--stats", may_complain=True) as server:
        with socket.create_connection(server.address) as sock:
            sock.sendall(b"hello")
            equal(sock.recv(10), b"hello", "the echo")
        err = server.stop()
    matches(err, r"^served_connections 1$")
    matches(err, r"^sent_bytes 5$")


run(globals())
