"""weir inside another event loop, and another library inside weir's."""

import os
import signal
import socket
import subprocess

from harness import (ENV, EXAMPLES, Program, Skip, command, equal, read_line,
                     run)
from servers import Refusing, Server


def example(name):
    if name not in EXAMPLES:
        raise Skip(f"{name} was not built: its library is absent")
    return EXAMPLES[name]


def lines_until(stream, wanted):
    """Returns the lines up to one that begins with @wanted."""
    lines = []
    while not lines or not lines[-1].startswith(wanted):
        line = read_line(stream)
        assert line, f"the end came before {wanted!r}: {lines}"
        lines.append(line)
    return lines


def test_host_and_guest_take_turns():
    with Program(example("epoll_host"), stdin=subprocess.PIPE) as program:
        lines_until(program.process.stdout, "guest: 20 ms")
        program.process.stdin.write(b"hello\n")
        program.process.stdin.flush()
        lines_until(program.process.stdout, "host: hello")
        lines_until(program.process.stdout, "guest: ")
        program.process.stdin.close()
        equal(program.process.wait(), 0, "exit status")


def test_a_host_whose_wait_is_interrupted_goes_on():
    with Program(example("epoll_host"), stdin=subprocess.PIPE) as program:
        for _ in range(20):
            program.process.stdin.write(b"hello\n")
            program.process.stdin.flush()
            lines_until(program.process.stdout, "host: hello")
            # The guest's wait ends with EINTR, though it receives no signal.
            program.pause()
            program.signal(signal.SIGCONT)
            lines_until(program.process.stdout, "guest: ")
        program.process.stdin.close()
        equal(program.process.wait(), 0, "exit status")


def test_a_guest_has_its_turns_beside_a_busy_host():
    with (Program("yes") as lines,
          Program(example("epoll_host"), stdin=lines.process.stdout)
          as program):
        told = b""
        while b"guest: 20 ms" not in told:
            told += os.read(program.process.stdout.fileno(), 1 << 16)
            assert len(told) < 8 << 20, "the guest has had no turn"


def serve_http(body):
    """Answers each request in pieces."""
    def serve(connection, _number):
        request = b""
        while b"\r\n\r\n" not in request:
            part = connection.recv(4096)
            if not part:
                return
            request += part
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: "
                           + str(len(body)).encode() + b"\r\n\r\n")
        for at in range(0, len(body), 100_000):
            connection.sendall(body[at:at + 100_000])
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    return serve


def fetch(port):
    return command(example("curl_guest"), f"http://127.0.0.1:{port}/",
                   env=dict(ENV, no_proxy="*"))


def test_curl_fetches_on_weir():
    body = os.urandom(400_000).hex()
    with Server(serve_http(body.encode())) as server:
        outcome = fetch(server.port)
    equal((outcome.status, outcome.err), (0, ""), "the outcome")
    equal(outcome.out == body, True, "the body is what was served")


def test_curl_says_that_it_failed():
    with Refusing() as refusing:
        outcome = fetch(refusing.port)
    equal(outcome.status, 1, "exit status of a refused connection")
    equal(outcome.out, "", "nothing is shown")


run(globals())
