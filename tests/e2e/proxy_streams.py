"""Streams through a proxy whose two ends know every byte that must arrive, and their
target, a separate program so that it can be stopped.

A client sends the target a header with the number of bytes of each direction. An end
before all bytes, an extra byte and a wrong byte are faults. Errors are not: both ends
pass them on with a reset, and record them.
"""

import collections
import contextlib
import json
import random
import select
import socket
import ssl
import struct
import sys

from servers import reset

HEAD = struct.Struct("!III")  # the stream's number, bytes up, bytes down
ASKING = 0xFFFFFFFF  # the number that requests the outcomes
UP, DOWN = 0, 1
PIECE = 65536
PATTERN = random.Random(7).randbytes(1 << 20)
PATTERN_TWICE = PATTERN + PATTERN[:PIECE]
BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def piece(number, way, position, count):
    """Returns bytes of a stream, at most PIECE."""
    start = (number * 4099 + way * 65537 + position) % len(PATTERN)
    return PATTERN_TWICE[start:start + min(count, PIECE)]


class End:
    """One end of a stream. Its received bytes have one outcome: whole, error, or the
    description of a fault."""

    way = None  # of what it sends

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock
        self.number = None
        self.prefix = b""  # is sent first
        self.to_send = 0
        self.sent = 0
        self.to_receive = None
        self.received = 0
        self.outcome = None
        self.has_shut = False
        self.is_over = False
        self.events = 0

    def fileno(self):
        return self.sock.fileno()

    def limit(self):
        """Returns how many bytes may be sent by now."""
        return self.to_send

    def may_shut(self):
        return self.sent == self.to_send

    def wanted(self):
        """Returns the events that it waits for."""
        return ((select.EPOLLIN if not self.outcome else 0)
                | (select.EPOLLOUT if self.prefix or self.sent < self.limit()
                   or (self.may_shut() and not self.has_shut) else 0))

    def ready(self, events):
        try:
            self.exchange(events)
        except BLOCKED:
            pass
        except OSError:
            self.break_off("error")
        if not self.is_over and self.outcome and self.has_shut:
            self.finish()

    def exchange(self, events):
        if events & ~select.EPOLLOUT:
            with contextlib.suppress(*BLOCKED):
                self.receive(events)
        if not self.is_over and self.wanted() & select.EPOLLOUT:
            self.send()

    def receive(self, events):
        if self.outcome and events & (select.EPOLLERR | select.EPOLLHUP):
            self.break_off("error")
        for _ in range(8):
            if self.outcome:
                return
            data = self.sock.recv(PIECE)
            if data:
                self.take(data)
            else:
                self.come_to_end()
        if isinstance(self.sock, ssl.SSLSocket):
            while not self.outcome and self.sock.pending():
                self.take(self.sock.recv(PIECE))

    def take(self, data):
        wanted = piece(self.number, 1 - self.way, self.received, len(data))
        if data != wanted[:len(data)]:
            self.break_off(f"wrong bytes after {self.received}")
            return
        self.received += len(data)
        if self.received > self.to_receive:
            self.break_off("too many bytes")

    def come_to_end(self):
        if self.received == self.to_receive:
            self.outcome = "whole"
        else:
            self.break_off(f"an end after {self.received} of "
                           f"{self.to_receive} bytes")

    def send(self):
        if self.prefix:
            self.prefix = self.prefix[self.sock.send(self.prefix):]
        while not self.prefix and self.sent < self.limit():
            self.sent += self.sock.send(
                piece(self.number, self.way, self.sent,
                      self.limit() - self.sent))
        if not self.prefix and self.may_shut() and not self.has_shut:
            self.shut()
            self.has_shut = True

    def shut(self):
        self.sock.shutdown(socket.SHUT_WR)

    def break_off(self, outcome):
        self.outcome = self.outcome or outcome
        self.is_over = True
        with contextlib.suppress(OSError):
            reset(self.sock)

    def finish(self):
        self.is_over = True
        with contextlib.suppress(OSError):
            self.sock.close()


class Client(End):
    """Connects to the proxy. Until the gate is open it sends the first half. With a
    context it uses TLS, which it ends after the other side; without one it may end its
    stream at once."""

    way = UP

    def __init__(self, port, number, up, down, gate, context=None,
                 ends_early=False):
        sock = socket.create_connection(("127.0.0.1", port))
        if context:
            sock = context.wrap_socket(
                sock, server_hostname="proxy.test",
                do_handshake_on_connect=False, suppress_ragged_eofs=False)
        super().__init__(sock)
        self.name = "%s:%d" % sock.getsockname()
        self.number = number
        self.to_send = up
        self.to_receive = down
        self.prefix = HEAD.pack(number, up, down)
        self.gate = gate
        self.context = context
        self.ends_early = ends_early
        self.has_begun = not context

    def wanted(self):
        return (super().wanted() if self.has_begun else select.EPOLLIN
                | (0 if self.events else select.EPOLLOUT))

    def exchange(self, events):
        if not self.has_begun:
            self.sock.do_handshake()
            self.has_begun = True
        super().exchange(events)

    def limit(self):
        return self.to_send if self.gate.is_open else self.to_send // 2

    def may_shut(self):
        return super().may_shut() and bool(self.ends_early or self.outcome)

    def shut(self):
        if self.context:
            self.sock.unwrap()
        super().shut()


class Target(End):
    """A connection of the target. The second half of its data waits for the second half
    of the client's."""

    way = DOWN

    def __init__(self, sock, backend):
        super().__init__(sock)
        self.backend = backend
        self.head = b""

    def take(self, data):
        if self.number is None:
            self.head += data
            if len(self.head) < HEAD.size:
                return
            data = self.head[HEAD.size:]
            self.number, self.to_receive, self.to_send = HEAD.unpack(
                self.head[:HEAD.size])
            if self.number == ASKING:
                self.answer()
                return
            if not data:
                return
        super().take(data)

    def answer(self):
        self.sock.setblocking(True)
        self.sock.sendall(json.dumps(self.backend.tell()).encode())
        self.number = None
        self.outcome = "asked"
        self.finish()

    def come_to_end(self):
        if self.number is None:
            self.break_off("an end before the head")
        else:
            super().come_to_end()

    def limit(self):
        more = self.to_receive is not None and (
            self.received > self.to_receive // 2 or self.to_receive == 0)
        return self.to_send if more else self.to_send // 2

    def may_shut(self):
        return self.number is not None and super().may_shut()


class Crowd:
    """Ends that one thread serves in turn."""

    def __init__(self):
        self.poll = select.epoll()
        self.ends = {}

    def add(self, end):
        end.events = end.wanted()
        self.ends[end.fileno()] = end
        self.poll.register(end.fileno(), end.events)

    def turn(self, limit_s):
        """Serves ends that are ready. Returns the ends that are over."""
        over = []
        for fd, events in self.poll.poll(limit_s):
            end = self.ends.get(fd)
            if end is None:
                continue
            end.ready(events)
            if end.is_over:  # its descriptor is closed
                del self.ends[fd]
                over.append(end)
            else:
                self.look_again(end)
        return over

    def remove(self, end):
        del self.ends[end.fileno()]
        self.poll.unregister(end.fileno())

    def look_again(self, end):
        if end.wanted() != end.events:
            end.events = end.wanted()
            self.poll.modify(end.fileno(), end.events)


class Backend:
    """The target of all streams."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.crowd = Crowd()
        self.crowd.poll.register(self.listener.fileno(), select.EPOLLIN)
        self.outcomes = {}
        self.counts = collections.Counter()

    def tell(self):
        """Reports which have ended since the last report, and how many have not."""
        told = {"live": len(self.crowd.ends) - 1, "outcomes": self.outcomes,
                "counts": self.counts}
        self.outcomes = {}
        self.counts = collections.Counter()
        return told

    def note(self, end):
        if end.outcome == "asked":
            return
        self.counts[end.outcome] += 1
        if end.number is not None:
            self.outcomes[end.number] = end.outcome

    def serve(self):
        print(self.listener.getsockname()[1], flush=True)
        while True:
            with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                while True:
                    self.crowd.add(Target(self.listener.accept()[0], self))
            for end in self.crowd.turn(-1):
                self.note(end)


def ask(port):
    """Returns the backend's report."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(HEAD.pack(ASKING, 0, 0))
        text = b""
        while data := sock.recv(65536):
            text += data
    return json.loads(text)


if __name__ == "__main__":
    try:
        Backend().serve()
    except KeyboardInterrupt:
        sys.exit(0)
