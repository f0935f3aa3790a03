"""Rude clients of the servers in tools/examples: requests in pieces, nonsense, ends in
the middle, lengths without bytes. A server answers as usual, or closes, and is
afterwards as before."""

import contextlib
import os
import socket
import time

from harness import (WAIT_S, equal, held_bytes, is_asleep, is_sanitized,
                     status_bytes)


def connect(server):
    sock = socket.create_connection(server.address, timeout=WAIT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_end(sock):
    """Reads all bytes up to the end of stream; a reset is an end, too."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := sock.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def ask(server, request):
    """Returns everything that a client gets which sends this and ends its stream."""
    with connect(server) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
        return read_end(sock)


def wait_until(is_so, what):
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
        time.sleep(0.001)


def ask_in_two(server, request, at):
    """Like ask(), with the request in two pieces: the server has read the first one and
    sleeps when the second one is sent."""
    pid = server.process.pid
    with connect(server) as sock:
        sock.sendall(request[:at])
        wait_until(lambda: held_bytes(sock)[1] == 0 and is_asleep(pid),
                   "the first piece is taken")
        sock.sendall(request[at:])
        sock.shutdown(socket.SHUT_WR)
        return read_end(sock)


def in_pieces(server, request):
    """A request gets the same answer wherever it is split."""
    whole = ask(server, request)
    assert whole, "no answer at all"
    for at in range(1, len(request)):
        equal(ask_in_two(server, request, at), whole, f"cut at {at}")


def nonsense(server, chance, beginnings, count=300):
    """Sends random bytes after plausible beginnings. The client ends its side, resets,
    or stops reading and leaves."""
    for _ in range(count):
        noise = chance.randbytes(chance.choice((1, 7, 60, 3000)))
        data = chance.choice(beginnings) + chance.choice((noise, b""))
        with connect(server) as sock, contextlib.suppress(ConnectionError):
            sock.sendall(data[:chance.randint(1, len(data))])
            if chance.randrange(3):
                sock.shutdown(socket.SHUT_WR)
                read_end(sock)


def open_files(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


@contextlib.contextmanager
def unharmed(server):
    """After the block the server has no more descriptors than before, and sleeps."""
    before = open_files(server)
    yield
    wait_until(lambda: open_files(server) <= before, "descriptors are closed")
    wait_until(lambda: is_asleep(server.process.pid), "the server sleeps")


@contextlib.contextmanager
def takes_at_most(server, limit_bytes):
    """During the block the server uses at most this much more memory."""
    pid = server.process.pid
    before = status_bytes(pid, "VmHWM")
    yield
    if not is_sanitized(f"/proc/{pid}/exe"):
        taken = status_bytes(pid, "VmHWM") - before
        assert taken <= limit_bytes, f"{taken} bytes of memory more"
