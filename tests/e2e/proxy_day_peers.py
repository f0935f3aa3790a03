"""The peers of proxy_day.py, each in its own process.

`serve` has the targets on one loop: echoes that send their name, one that sends
endlessly, and targets of checks. Commands on standard input open, close and kill them.

`visit` is the good client: at each listener of the proxy it makes a request over a new
connection every PERIOD_S, and one over a lasting connection. It prints a line of JSON
for each failure and each wait above a second, and at the end the number of requests.
Times are from CLOCK_MONOTONIC, which all processes share.
"""

import contextlib
import json
import os
import random
import select
import socket
import ssl
import struct
import sys
import threading
import time

SIZE = 1024  # of a request; the answer is a name and the same bytes
NAME = 16
PERIOD_S = 0.1
SLOW_S = 1.0
HANG_S = 60.0  # time limit of one step; none may hang
FLOOD = 256 << 10  # bytes to each client, more than anything buffers
RESET = struct.pack("ii", 1, 0)


# ---- the targets ----

class Echo:
    """Answers each SIZE bytes with the port's name and the same bytes; ends its stream
    after the client's end."""

    def __init__(self, port, sock):
        self.port, self.sock = port, sock
        self.unread = self.unsent = b""
        self.has_ended = False

    def start(self):
        self.port.world.watch(self, select.EPOLLIN)

    def turn(self, _events):
        if not self.has_ended:
            part = self.sock.recv(65536)
            self.has_ended = not part
            self.unread += part
        while len(self.unread) >= SIZE:
            self.unsent += self.port.name.ljust(NAME).encode()
            self.unsent += self.unread[:SIZE]
            self.unread = self.unread[SIZE:]
        if self.unsent:
            with contextlib.suppress(BlockingIOError):
                self.unsent = self.unsent[self.sock.send(self.unsent):]
        if self.has_ended and not self.unsent:
            self.port.world.forget(self)
        elif self.unsent:
            self.port.world.watch(self, select.EPOLLIN * (not self.has_ended)
                                  | select.EPOLLOUT)
        else:
            self.port.world.watch(self, select.EPOLLIN)


class Flood(Echo):
    def start(self):
        self.left = FLOOD
        self.turn(0)

    def turn(self, events):
        if events & ~select.EPOLLOUT and not self.sock.recv(65536):
            self.port.world.forget(self)
            return
        with contextlib.suppress(BlockingIOError):
            while self.left:
                self.left -= self.sock.send(bytes(min(self.left, 65536)))
        self.port.world.watch(self, select.EPOLLIN
                              | (select.EPOLLOUT if self.left else 0))


class Answer(Echo):
    """A response to an HTTP check."""

    def turn(self, _events):
        self.sock.recv(4096)
        self.sock.send(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n"
                       b"Connection: close\r\n\r\n" % self.port.status)
        self.port.world.forget(self)


class Port:
    """A listening socket, and the connections that it has accepted."""

    def __init__(self, world, name, kind, number):
        self.world, self.name, self.kind = world, name, kind
        self.number = number
        self.sock = None
        self.status = 200
        self.connections = set()

    def open(self):
        self.sock = socket.create_server(("127.0.0.1", self.number),
                                         backlog=4096)
        self.sock.setblocking(False)
        self.world.watch(self, select.EPOLLIN)

    def close(self):
        self.world.forget(self)
        self.sock = None

    def kill(self):
        """Like a program that dies: resets its connections."""
        self.close()
        for connection in list(self.connections):
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       RESET)
            self.world.forget(connection)

    def turn(self, _events):
        for _ in range(64):
            try:
                sock, _ = self.sock.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self.kind(self, sock)
            self.connections.add(connection)
            self.world.guarded(connection, connection.start)


class World:
    """All ports, and the loop."""

    KINDS = {"echo": Echo, "flood": Flood, "check": Answer}

    def __init__(self, wanted):
        self.epoll = select.epoll()
        self.watched = {}
        self.ports = {name: Port(self, name, self.KINDS[kind], number)
                      for name, (kind, number) in wanted.items()}
        for port in self.ports.values():
            port.open()

    def watch(self, thing, events):
        fd = thing.sock.fileno()
        if self.watched.get(fd) is thing:
            self.epoll.modify(fd, events)
        else:
            self.watched[fd] = thing
            self.epoll.register(fd, events)

    def forget(self, thing):
        fd = thing.sock.fileno()
        if self.watched.pop(fd, None):
            self.epoll.unregister(fd)
        thing.sock.close()
        if not isinstance(thing, Port):
            thing.port.connections.discard(thing)

    def guarded(self, connection, function, *args):
        """Ends a connection that breaks."""
        try:
            function(*args)
        except BlockingIOError:
            pass
        except OSError:
            self.forget(connection)

    def obey(self, line):
        verb, name, *rest = line.split()
        if verb == "say":
            self.ports[name].status = int(rest[0])
        else:
            getattr(self.ports[name], verb)()
        print("ok", flush=True)

    def run(self):
        self.epoll.register(0, select.EPOLLIN)
        print("ok", flush=True)
        while True:
            for fd, events in self.epoll.poll():
                if fd == 0:
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self.obey(line)
                elif thing := self.watched.get(fd):
                    if isinstance(thing, Port):
                        thing.turn(events)
                    else:
                        self.guarded(thing, thing.turn, events)


# ---- the good client ----

class Wrong(Exception):
    """A wrong answer."""


def ask(sock, spec, data=None):
    """Makes a request. Returns the name of the server that answered."""
    data = data or spec["begin"].encode() + os.urandom(
        SIZE - len(spec["begin"]))
    sock.sendall(data)
    got = b""
    while len(got) < NAME + SIZE:
        part = sock.recv(NAME + SIZE - len(got))
        if not part:
            raise Wrong(f"the stream ended after {len(got)} bytes of an answer")
        got += part
    name = got[:NAME].decode(errors="replace").strip()
    if got[NAME:] != data or name not in spec["answer"]:
        raise Wrong(f"another answer, by {name!r}")
    return name


def connect(spec, context):
    where = spec["address"]
    if isinstance(where, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(HANG_S)
        sock.connect(where)
        return sock
    sock = socket.create_connection(tuple(where), timeout=HANG_S,
                                    source_address=(spec["source"], 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if spec["tls"]:
        try:
            return context.wrap_socket(sock, server_hostname="proxy.test")
        except BaseException:
            sock.close()
            raise
    return sock


def end_in_order(sock, spec):
    """Expects that the client's end is passed on, and that the server's comes back."""
    if spec["tls"]:
        sock.unwrap()
        return
    sock.shutdown(socket.SHUT_WR)
    if sock.recv(1):
        raise Wrong("bytes behind the answer")


def context_of(authority):
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    return context


class Visitor:
    """The requests at one listener, by two threads."""

    lock = threading.Lock()
    is_over = threading.Event()

    def __init__(self, spec, context, lasts_s):
        self.spec, self.context, self.lasts_s = spec, context, lasts_s
        self.done = {"fresh": 0, "lasting": 0, "lives": 0}
        self.longest = 0.0
        self.threads = [threading.Thread(target=work)
                        for work in (self.be_fresh, self.last)]
        for thread in self.threads:
            thread.start()

    def tell(self, way, since, why, step):
        with self.lock:
            print(json.dumps({
                "service": self.spec["name"], "way": way, "since": since,
                "until": time.monotonic(), "why": why, "step": step}),
                  flush=True)

    def timed(self, way, function, *args):
        """Does it, and checks how long it took."""
        begun = time.monotonic()
        result = function(*args)
        took = time.monotonic() - begun
        self.longest = max(self.longest, took)
        if took > SLOW_S:
            self.tell(way, begun, "", f"{took:.1f} s")
        return result

    def be_fresh(self):
        dice = random.Random()

        def visit():
            with connect(self.spec, self.context) as sock:
                self.step = "ask"
                ask(sock, self.spec)
                self.step = "end"
                if dice.random() < 0.5:
                    end_in_order(sock, self.spec)

        while not self.is_over.wait(PERIOD_S):
            begun = time.monotonic()
            self.step = "connect"
            try:
                self.timed("fresh", visit)
                self.done["fresh"] += 1
            except (OSError, Wrong) as error:
                self.tell("fresh", begun, repr(error), self.step)

    def last(self):
        dice = random.Random()
        while not self.is_over.is_set():
            begun = last_good = time.monotonic()
            ends = begun + dice.uniform(0.3, 1) * self.lasts_s
            try:
                with self.timed("lasting", connect, self.spec,
                                self.context) as sock:
                    while time.monotonic() < ends and not self.is_over.wait(
                            PERIOD_S):
                        self.timed("lasting", ask, sock, self.spec)
                        self.done["lasting"] += 1
                        last_good = time.monotonic()
                    end_in_order(sock, self.spec)
                    self.done["lives"] += 1
            except (OSError, Wrong) as error:
                self.tell("lasting", last_good, repr(error),
                          f"after {time.monotonic() - begun:.1f} s")


def visit_all(specs, authority, lasts_s):
    context = context_of(authority)
    visitors = [Visitor(spec, context, float(lasts_s))
                for spec in json.loads(specs)]
    sys.stdin.read()
    Visitor.is_over.set()
    for visitor in visitors:
        for thread in visitor.threads:
            thread.join()
    print(json.dumps({"total": {
        visitor.spec["name"]: dict(visitor.done,
                                   longest_s=round(visitor.longest, 2))
        for visitor in visitors}}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        World(json.loads(sys.argv[2])).run()
    else:
        visit_all(*sys.argv[2:])
