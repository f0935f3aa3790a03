"""io_uring_enter that fails.

strace makes some of the server's calls return an error instead of entering:
interrupted, out of memory for requests, completions to be reaped first. This may not
lose, repeat or reorder a byte, or end the server.
"""

import os
import re
import signal
import socket
import subprocess

from harness import (ENV, WAIT_S, WEIR_LOAD, Program, Skip, equal, matches,
                     need, read_line, run)

# The leak sanitizer traces, too, and there can be only one tracer.
TRACED = dict(ENV, WEIR_ENGINE="uring", ASAN_OPTIONS=ENV["ASAN_OPTIONS"] + ":detect_leaks=0")
SIZE = 2_000_000
CHUNK = 50_000


def may_trace():
    """Skips unless strace exists and may trace and inject."""
    need("strace")
    trial = subprocess.run(
        ["strace", "-qq", "-f", "-o", os.devnull, "-e", "trace=close",
         "-e", "inject=close:error=EINTR:when=9999", "true"],
        capture_output=True, check=False)
    if trial.returncode != 0:
        raise Skip("strace may not trace here")


def echo_through(port):
    """Sends SIZE bytes while reading them back, and compares."""
    data = os.urandom(SIZE)
    got = bytearray()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for start in range(0, SIZE, CHUNK):
            piece = data[start:start + CHUNK]
            sock.sendall(piece)
            while len(got) < start + len(piece):
                part = sock.recv(1 << 16)
                assert part, "the server closed"
                got += part
        sock.shutdown(socket.SHUT_WR)
        equal(sock.recv(1), b"", "after the end")
    assert bytes(got) == data, "other bytes came back"


def serve_with(error):
    """From the tenth on, every fourth enter returns @error."""
    may_trace()
    with Program("strace", "-f", "-qq", "-o", os.devnull,
                 "-e", "trace=io_uring_enter",
                 "-e", f"inject=io_uring_enter:error={error}:when=10+4",
                 WEIR_LOAD, "serve", "tcp://127.0.0.1:0",
                 env=TRACED) as server:
        line = read_line(server.process.stdout)
        matches(line, r":(\d+)$", "the line")
        port = int(re.search(r":(\d+)$", line.strip()).group(1))
        for _ in range(3):
            echo_through(port)
        # strace does not pass the signal on: its child gets it directly.
        pid = server.process.pid
        children = f"/proc/{pid}/task/{pid}/children"
        with open(children, encoding="ascii") as file:
            child = int(file.read().split()[0])
        os.kill(child, signal.SIGTERM)
        equal(server.process.wait(WAIT_S), 0, "exit status")


def test_an_interrupted_enter_loses_nothing():
    serve_with("EINTR")


def test_an_enter_without_memory_for_requests_is_made_again():
    serve_with("EAGAIN")


def test_an_enter_that_wants_completions_reaped_is_made_again():
    serve_with("EBUSY")


def test_an_enter_that_fails_for_good_ends_the_server_with_a_line():
    may_trace()
    with Program("strace", "-f", "-qq", "-o", os.devnull,
                 "-e", "trace=io_uring_enter",
                 "-e", "inject=io_uring_enter:error=EBADF:when=12+",
                 WEIR_LOAD, "serve", "tcp://127.0.0.1:0",
                 env=TRACED) as server:
        line = read_line(server.process.stdout)
        port = int(re.search(r":(\d+)$", line.strip()).group(1))
        with socket.create_connection(("127.0.0.1", port)) as sock:
            try:
                for _ in range(1000):
                    sock.sendall(b"x")
                    if not sock.recv(1):
                        break
            except ConnectionError:
                pass
        status = server.process.wait(WAIT_S)
        assert status not in (0, -signal.SIGABRT, 128 + signal.SIGABRT), status
        matches(server.process.stderr.read().decode(),
                r"^weir-load: .*[Bb]ad file descriptor", "standard error")


run(globals())
