"""The examples that hand connections over, with each other and with Python.

Python's socket.send_fds() and socket.recv_fds() are the other end of each.
"""

import contextlib
import os
import re
import socket
import time

from harness import WAIT_S, Program, equal, example, place, read_line, run

CLIENTS = 50


@contextlib.contextmanager
def worker(path):
    """The process that takes connections; it must end with status 0."""
    with Program(example("hand_over_worker"), path) as program:
        until = time.monotonic() + WAIT_S
        while not os.path.exists(path):
            assert time.monotonic() < until, "it does not listen"
            time.sleep(0.01)
        yield program
        end(program)


def end(program):
    program.signal(2)
    status, _, err = program.finish()
    equal((status, err), (0, ""), "the end")


def open_count(program):
    return len(os.listdir(f"/proc/{program.process.pid}/fd"))


def wait_for_count(program, count):
    until = time.monotonic() + WAIT_S
    while open_count(program) > count:
        assert time.monotonic() < until, "descriptors stay open"
        time.sleep(0.01)


def connect(path):
    """Connects to the path, once it listens."""
    until = time.monotonic() + WAIT_S
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            return sock
        except ConnectionRefusedError:
            sock.close()
            assert time.monotonic() < until, "it does not listen"


def echo_over(sock, data):
    sock.settimeout(WAIT_S)
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        part = sock.recv(65536)
        assert part, "the connection was ended"
        got += part
    equal(got == data, True, "the echo is what was sent")


def test_python_hands_connections_to_the_worker():
    with place() as path, worker(path) as program:
        with connect(path) as sock:
            for i in range(CLIENTS):
                ours, theirs = socket.socketpair()
                with ours:
                    socket.send_fds(sock, [b"+"], [theirs.fileno()])
                    theirs.close()
                    echo_over(ours, os.urandom(10000))
                    if i == 0:
                        before = open_count(program) - 1
            wait_for_count(program, before)


def front_port(program):
    line = read_line(program.process.stdout)
    found = re.fullmatch(r"serving on .*:(\d+)\n", line)
    assert found, f"the front says {line!r}"
    return int(found.group(1))


def test_the_front_hands_connections_to_python():
    with place() as path, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with Program(example("hand_over_front"), path) as program:
            sock, _ = listener.accept()
            os.unlink(path)
            port = front_port(program)
            before = open_count(program)
            for i in range(CLIENTS):
                with socket.create_connection(("127.0.0.1", port)) as client:
                    data, fds, flags, _ = socket.recv_fds(sock, 1, 4)
                    equal((data, len(fds)), (b"+", 1), "the message")
                    equal(flags & socket.MSG_CTRUNC, 0, "nothing is cut")
                    with socket.socket(fileno=fds[0]) as adopted:
                        client.sendall(b"%d" % i)
                        equal(adopted.recv(100), b"%d" % i, "what it says")
            wait_for_count(program, before)
            sock.close()
            end(program)


def test_the_two_work_together():
    with place() as path, worker(path):
        connect(path).close()
        with Program(example("hand_over_front"), path) as front:
            port = front_port(front)
            clients = [socket.create_connection(("127.0.0.1", port))
                       for _ in range(CLIENTS)]
            for client in clients:
                with client:
                    echo_over(client, os.urandom(50000))
            end(front)


run(globals())
