#!/usr/bin/env python3
"""What a client takes of a proxy's memory, in bytes of the process.

idle: it has sent a byte, has it back, and waits. deaf: it has asked for a MiB,
and reads nothing. Segments are as long as on Ethernet, so that the kernel keeps
for a deaf client what it keeps for one that is far away, and its own side little:
what is more waits in the proxy, up to its buffer, and the rest in the target.
Counted is what the process has of its own (Anonymous of smaps_rollup), before
and after; the first hundred clients are there before. The kernel's memory, and
that of pipes, is not of the process.

    bench/proxy_memory.py build/tools/weir-proxy [ANOTHER_BUILD...] [haproxy]

HAProxy is asked with its own buffer of 16 KiB.
"""
import argparse
import contextlib
import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import tempfile
import threading
import time

from harness import find_service
from proxy_cost import START_S, serving

WARM = 100
MUCH = 1 << 20
FEW = 32768       # size of the target's send buffer
QUIET_S = 9
TICK_S = 0.2
SEGMENT = 1460    # payload of a full Ethernet frame
HAPROXY = """
global
    nbthread 1
    maxconn 9000
defaults
    mode tcp
    timeout connect 1m
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:%d
    server target 127.0.0.1:%d
"""


def _has_ended(peer):
    try:
        return not peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


class Target:
    """Sends a byte, or much, to each who asks; keeps all connections."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FEW)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.moved_s = time.monotonic()  # time of the last bytes sent
        self.connections = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.is_over = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        """Only when the proxy has ended: no other end of a stream was before."""
        self.is_over = True
        self.thread.join()
        self.selector.close()
        for connection in [self.listener, *self.connections]:
            connection.close()

    def run(self):
        while not self.is_over:
            for key, _ in self.selector.select(TICK_S):
                if key.fileobj is self.listener:
                    with contextlib.suppress(BlockingIOError):
                        self.accept()
                else:
                    self.answer(key)

    def accept(self):
        connection, _ = self.listener.accept()
        connection.setblocking(False)
        self.connections.append(connection)
        self.selector.register(connection, selectors.EVENT_READ, 0)

    def has_all(self, clients):
        """What is counted is there, on both sides."""
        return not any(map(_has_ended, clients)) and len(clients) <= sum(
            not _has_ended(peer) for peer in self.connections)

    def answer(self, key):
        left = 0
        with contextlib.suppress(ConnectionError):
            left = self.send(key.fileobj, key.data)
        self.moved_s = time.monotonic()
        if left == 0:
            self.selector.unregister(key.fileobj)
        else:
            self.selector.modify(key.fileobj, selectors.EVENT_WRITE, left)

    @staticmethod
    def send(connection, left):
        """What is left to send."""
        if left == 0:
            asked = connection.recv(1)
            if asked != b"m":
                connection.sendall(asked)
                return 0
            left = MUCH
        with contextlib.suppress(BlockingIOError):
            left -= connection.send(bytes(min(left, 1 << 16)))
        return left


@contextlib.contextmanager
def serving_haproxy(target):
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        file.write(HAPROXY % (port, target.port))
        file.flush()
        with subprocess.Popen([find_service("haproxy"), "-db", "-q", "-f",
                               file.name]) as process:
            try:
                wait_for(port)
                yield process, port
            finally:
                process.kill()


def wait_for(port):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(
                ("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise RuntimeError("HAProxy does not serve")


def own_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"^Anonymous:\s+(\d+)", file.read(),
                             re.MULTILINE)[1]) << 10


def connect(port, is_deaf):
    client = socket.socket()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    if is_deaf:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(b"m" if is_deaf else b"i")
    if not is_deaf and client.recv(1) != b"i":
        raise RuntimeError("no answer")
    return client


def settle(target):
    """Until nothing has moved for so long that a loop has given idle memory
    back."""
    target.moved_s = time.monotonic()
    while time.monotonic() - target.moved_s < QUIET_S:
        time.sleep(QUIET_S / 10)


def measure(service, target, is_deaf, count):
    """The bytes for each of @count clients more."""
    with service as (process, port):
        clients = [connect(port, is_deaf) for _ in range(WARM)]
        settle(target)
        before = own_bytes(process.pid)
        clients += [connect(port, is_deaf) for _ in range(count)]
        settle(target)
        each = (own_bytes(process.pid) - before) / count
        if not target.has_all(clients):
            raise RuntimeError("the proxy has lost connections")
        for client in clients:
            client.close()
    return each


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=8000, metavar="N",
                        help="idle clients (8000; 0: none)")
    parser.add_argument("--deaf", type=int, default=2000, metavar="N",
                        help="deaf clients (2000; 0: none)")
    parser.add_argument("--buffer", help="weir-proxy's, if not its default")
    parser.add_argument("program", nargs="+",
                        help="weir-proxy of a build, or haproxy")
    options = parser.parse_args()
    for program in options.program:
        if program != "haproxy" and not os.access(program, os.X_OK):
            parser.error(f"no program: {program}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Each client needs two descriptors here, its own and the target's.
    if 2 * (WARM + max(options.idle, options.deaf)) + 100 > hard:
        parser.error(f"{hard} descriptors are too few for so many clients")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    flags = ["--buffer", options.buffer] if options.buffer else []
    print("| program | engine | idle | deaf |\n|---|---|---|---|")
    for program in options.program:
        for engine in ("-",) if program == "haproxy" else ("uring", "poll"):
            each = []
            for is_deaf, count in ((False, options.idle), (True, options.deaf)):
                if count:
                    with Target() as target:
                        service = (serving_haproxy(target) if engine == "-" else
                                   serving([], program, engine, flags,
                                           target.port))
                        each.append(measure(service, target, is_deaf, count))
            print(f"| {program} | {engine} | "
                  + " | ".join(f"{bytes_:.0f}" for bytes_ in each) + " |",
                  flush=True)


if __name__ == "__main__":
    main()
