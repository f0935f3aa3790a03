"""What malicious or broken clients do to a server.

Each function of ATTACKS is one attack. It gets the place to attack and its own random
numbers, opens its own connections and closes them, or leaves that to the end of its
process. The server's answers are not checked, and errors are expected: honest.py checks
what other clients see meanwhile.
"""

import contextlib
import fcntl
import os
import select
import socket
import ssl
import struct
import time

TIMEOUT_S = 3
URGENT_COUNT = 140
URGENT_GAP_S = 0.003
PUSHED_BYTES = 1 << 19
SIEGE_S = 30
KEYS = 400


class Place:
    """The attacked server, and how much of it one attack may use."""

    def __init__(self, doors, dialect, until, share, files, lock_path):
        self.lock_path = lock_path
        self.doors = doors
        self.streams = [door for door in doors if not door.is_datagram]
        self.dialect = dialect
        self.until = until  # time.monotonic() of the end
        self.share = share  # number of connections that one attack may hold
        self.files = files  # number of descriptors that the server may have

    def left(self):
        return max(self.until - time.monotonic(), 0)

    def rest(self, seconds):
        time.sleep(min(seconds, self.left()))

    def connect(self, chance, small=False):
        """Makes a connection through one of the doors, from a loopback address that
        honest clients do not use, so that none runs out of ports. Some do not use TLS
        where the server does."""
        door = chance.choice(self.streams)
        sock = door.connect(TIMEOUT_S, f"127.0.{chance.randint(1, 250)}.1",
                            small)
        return door.enter(sock, chance) if chance.randrange(4) else sock

    @contextlib.contextmanager
    def many(self, chance, count, small=False):
        """Makes as many connections as possible; they are closed at the end."""
        socks = []
        try:
            with contextlib.suppress(OSError):
                for _ in range(count):
                    socks.append(self.connect(chance, small))
            yield socks
        finally:
            for sock in socks:
                leave(sock, chance)

    @contextlib.contextmanager
    def alone(self):
        """Returns True if no other attack is running that may use up all descriptors. A
        file lock ends with its process."""
        with open(self.lock_path, "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield True
            except BlockingIOError:
                self.rest(0.1)
                yield False

    def words(self, chance, size):
        """Returns about this many bytes that the server understands."""
        if self.dialect == "echo":
            return chance.randbytes(size)
        lines = []
        while size > 0:
            key = f"attack{chance.randrange(KEYS)}"
            lines.append(chance.choice((
                f"SET {key} {'x' * chance.randint(1, 200)}\n", f"GET {key}\n",
                f"GET {key}\n", f"DEL {key}\n")).encode())
            size -= len(lines[-1])
        return b"".join(lines)


def reset(sock):
    """Closes the connection so that the peer gets a reset."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
    sock.close()


def leave(sock, chance):
    """Ends a connection in a random way."""
    way = chance.randrange(4)
    if way == 0:
        reset(sock)
        return
    with contextlib.suppress(OSError):
        if way == 1:
            sock.shutdown(socket.SHUT_WR)
        if way == 2:
            sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def push(socks, data_of, limit):
    """Sends as much as they accept, at most @limit to each, and reads nothing."""
    sent = {sock: 0 for sock in socks}
    for sock in socks:
        sock.setblocking(False)
    while sent:
        ready = select_out(list(sent), 0.3)
        if not ready:
            return
        for sock in ready:
            try:
                sent[sock] += sock.send(data_of())
            except BlockingIOError:
                continue
            except OSError:
                sent[sock] = limit
            if sent[sock] >= limit:
                del sent[sock]


def select_out(socks, timeout_s):
    poller = select.poll()
    by_fd = {sock.fileno(): sock for sock in socks}
    for fd in by_fd:
        poller.register(fd, select.POLLOUT)
    return [by_fd[fd] for fd, _ in poller.poll(timeout_s * 1000)]


def size_by_chance(chance, bits):
    return chance.randint(1, 1 << chance.randint(0, bits))


# ---- the attacks ----

def urgent(place, chance):
    """urgent data, with and without ordinary bytes in between"""
    between = chance.choice((0, 0, 0.02, 0.5))
    # The first receive of a connection and the later ones differ.
    first = chance.randrange(3) == 0
    with place.many(chance, chance.choice((1, 4, 8))) as socks:
        for sock in socks if first else ():
            sock.sendall(place.words(chance, 1))
        for _ in range(URGENT_COUNT):
            for sock in socks:
                with contextlib.suppress(OSError):
                    if chance.random() < between:
                        sock.sendall(place.words(chance, 10))
                    sock.send(b"!", socket.MSG_OOB)
            place.rest(URGENT_GAP_S)


def resets(place, chance):
    """resets: before the first byte, with unread bytes, in a half-close"""
    for _ in range(chance.randint(1, 30)):
        sock = place.connect(chance)
        way = chance.randrange(6)
        with contextlib.suppress(OSError):
            if way:
                sock.sendall(place.words(chance, size_by_chance(chance, 17)))
            if way == 2:
                sock.recv(1)
            if way == 3:
                sock.shutdown(socket.SHUT_WR)
            if way == 4:
                sock.shutdown(socket.SHUT_RD)
            if way == 5:
                push([sock], lambda: bytes(65536), PUSHED_BYTES)
        reset(sock)


def half_closes(place, chance):
    """half-closes, after which everything, some or nothing is read"""
    with place.many(chance, chance.randint(1, 10)) as socks:
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.sendall(place.words(chance, size_by_chance(chance, 16)))
                sock.shutdown(socket.SHUT_WR)
        for sock in socks:
            reads = chance.choice((0, 1, 1 << 20))
            with contextlib.suppress(OSError):
                while reads and sock.recv(65536):
                    reads -= 1
        place.rest(chance.random())


def flood(place, chance):
    """as much as possible, read back"""
    data = place.words(chance, 1 << 18)
    end = time.monotonic() + chance.random()
    with place.many(chance, chance.randint(1, 4)) as socks:
        for sock in socks:
            sock.setblocking(False)
        while time.monotonic() < end:
            for sock in select_out(socks, 0.1):
                with contextlib.suppress(OSError):
                    sock.send(data)
                with contextlib.suppress(OSError):
                    sock.recv(1 << 18)


def stalled(place, chance):
    """readers that send all they can and never read"""
    count = chance.choice((1, place.share // 4 + 1, place.share))
    data = place.words(chance, 1 << 16)
    with place.many(chance, count, small=chance.random() < 0.7) as socks:
        push(socks, lambda: data, PUSHED_BYTES)
        place.rest(hold_time(chance))


def trickle(place, chance):
    """stalled readers whose bytes arrive in pieces, among the bytes of others"""
    data = place.words(chance, chance.choice((1, 500, 4200, 8000)))
    with place.many(chance, chance.choice((20, place.share)),
                    small=True) as socks:
        for sock in socks:
            sock.setblocking(False)
        for _ in range(200):
            for sock in socks:
                with contextlib.suppress(OSError):
                    sock.send(data)
            place.rest(0.01)
        place.rest(hold_time(chance))


def siege(place, chance):
    """stalled readers on many descriptors, for longer than an answer takes"""
    data = place.words(chance, 1 << 16)
    # Lines that are pushed take the server's time, not only its memory.
    count = place.files // (2 if place.dialect == "echo" else 8)
    with place.alone() as alone, place.many(
            chance, alone * count, small=True) as socks:
        push(socks, lambda: data, PUSHED_BYTES)
        place.rest(SIEGE_S if alone else 0)


def slow(place, chance):
    """readers that read a few bytes at a time"""
    data = place.words(chance, 1 << 18)
    end = time.monotonic() + hold_time(chance)
    with place.many(chance, chance.randint(1, 20), small=True) as socks:
        push(socks, lambda: data, PUSHED_BYTES)
        while time.monotonic() < end and place.left():
            for sock in socks:
                with contextlib.suppress(OSError):
                    sock.recv(chance.randint(1, 3000))
            place.rest(0.01)


def pauses(place, chance):
    """pieces of requests with long pauses between"""
    with place.many(chance, chance.randint(1, 5)) as socks:
        for _ in range(chance.randint(1, 6)):
            for sock in socks:
                with contextlib.suppress(OSError):
                    sock.sendall(place.words(
                        chance, size_by_chance(chance, 12))[:-1])
            place.rest(chance.random())


def kept(place, chance):
    """many clients that each leave a few bytes which the server has to keep"""
    with place.many(chance, chance.choice((10, place.share))) as socks:
        for _ in range(chance.randint(1, 5)):
            for sock in socks:
                with contextlib.suppress(OSError):
                    sock.sendall(b"SET k"[:chance.randint(1, 5)])
            place.rest(0.05)
        place.rest(hold_time(chance))


def garbage(place, chance):
    """random bytes"""
    with place.many(chance, chance.randint(1, 8)) as socks:
        for sock in socks:
            with contextlib.suppress(OSError):
                for _ in range(chance.randint(1, 5)):
                    sock.sendall(chance.choice((
                        chance.randbytes(size_by_chance(chance, 14)),
                        b"\0" * size_by_chance(chance, 10),
                        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
                        b"GET / HTTP/1.1\r\n\r\n", b"\n" * 300,
                        b"\xff\xf4\xff\xfd\x06", b"SET \0 \xff\n")))
                sock.settimeout(0.2)
                sock.recv(65536)


def giant_lines(place, chance):
    """lines that do not end"""
    with place.many(chance, chance.randint(1, 4)) as socks:
        push(socks, lambda: b"A" * (1 << 16), size_by_chance(chance, 22))
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.setblocking(True)
                sock.settimeout(0.2)
                sock.send(b"\n")
                sock.recv(1000)


def crowd(place, chance):
    """more connections than the server may have descriptors"""
    with place.alone() as alone, place.many(
            chance, alone * (place.files + 50)) as socks:
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.sendall(place.words(chance, chance.randint(1, 100)))
        place.rest(chance.random())


def slowloris(place, chance):
    """many clients that send a byte now and then and never finish"""
    request = b"SET attack0 " + b"x" * 100
    with place.many(chance, chance.randint(1, place.share)) as socks:
        for i in range(chance.randint(5, 50)):
            for sock in socks:
                with contextlib.suppress(OSError):
                    sock.send(request[i:i + 1])
            place.rest(0.05)


def storm(place, chance):
    """connects that close at once"""
    for _ in range(chance.randint(50, 400)):
        if not place.left():
            return
        leave(place.connect(chance), chance)


def cuts(place, chance):
    """pipelined requests, cut in the middle"""
    for _ in range(chance.randint(1, 10)):
        sock = place.connect(chance)
        with contextlib.suppress(OSError):
            data = place.words(chance, size_by_chance(chance, 16))
            cut = chance.randrange(len(data))
            sock.sendall(data[:cut])
            place.rest(chance.choice((0, 0, 0.01)))
            if chance.randrange(2):
                sock.sendall(data[cut:])
                sock.recv(chance.randint(1, 1 << 16))
        leave(sock, chance)


def handshakes(place, chance):
    """TLS handshakes that stop in the middle, or arrive in small pieces"""
    doors = [door for door in place.streams if door.is_tls]
    if not doors:
        place.rest(0.01)
        return
    door = chance.choice(doors)
    kept = []
    for _ in range(chance.randint(1, 20)):
        hello = client_hello(chance.choice(door.contexts))
        cut = chance.choice((len(hello), chance.randrange(len(hello))))
        sock = door.connect(TIMEOUT_S)
        kept.append(sock)
        with contextlib.suppress(OSError):
            if chance.randrange(2):
                sock.sendall(hello[:cut])
            else:
                for at in range(0, cut, 100):
                    sock.sendall(hello[at:min(at + 100, cut)])
                    place.rest(0.001)
            if chance.randrange(4) == 0:
                sock.sendall(chance.randbytes(200))
    place.rest(hold_time(chance) if chance.randrange(4) == 0 else 0)
    for sock in kept:
        leave(sock, chance)


def client_hello(context):
    """Returns the first flight of a client."""
    sealed = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), sealed,
                           server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return sealed.read()


def descriptors(place, chance):
    """unrequested descriptors, some of which are slow to close"""
    doors = [door for door in place.streams if door.is_unix()]
    if not doors:
        place.rest(0.01)
        return
    with contextlib.ExitStack() as stack:
        sock = chance.choice(doors).connect(TIMEOUT_S)
        stack.callback(sock.close)
        for _ in range(chance.randint(1, 20)):
            passed = unread_connection(stack)
            with contextlib.suppress(OSError):
                socket.send_fds(sock, [b"x"], [passed.fileno()]
                                * chance.choice((1, 1, 253)))
            passed.close()
        place.rest(hold_time(chance))


def unread_connection(stack):
    """Makes a connection whose last close waits for a peer that does not read."""
    listener = socket.create_server(("127.0.0.1", 0))
    stack.callback(listener.close)
    sock = socket.socket()
    sock.settimeout(TIMEOUT_S)
    sock.connect(listener.getsockname())
    stack.callback(listener.accept()[0].close)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 5))
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(1 << 16))
    return sock


def datagrams(place, chance):
    """floods of datagrams of all sizes from senders that close at once"""
    doors = [door for door in place.doors if door.is_datagram]
    if not doors:
        place.rest(0.01)
        return
    end = time.monotonic() + chance.random()
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.socket(
                socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.001)
            for _ in range(chance.randint(1, 50)):
                sock.sendto(chance.randbytes(size_by_chance(chance, 16) - 1)
                            [:65507], chance.choice(doors).address)
                if chance.randrange(8) == 0:
                    with contextlib.suppress(TimeoutError):
                        sock.recv(65536)


def hold_time(chance):
    """Returns a mostly short time, sometimes longer than an answer may take."""
    return chance.choice((0.2, 0.5, 1, 3, 10, 30))


ATTACKS = {function.__name__.replace("_", "-"): function for function in (
    urgent, resets, half_closes, flood, stalled, trickle, siege, slow, pauses,
    kept, garbage, giant_lines, crowd, slowloris, storm, cuts, handshakes,
    descriptors, datagrams)}
# attack.py does these to attacking processes.
TO_PROCESSES = {
    "stopped": "clients that are stopped by SIGSTOP for a while",
    "killed": "clients that are killed by SIGKILL",
}


def attack(place, names, chance, told):
    """Runs one attack after another until the end; calls told(name)."""
    while place.left():
        name = chance.choice(names)
        with contextlib.suppress(OSError):
            ATTACKS[name](place, chance)
        told(name)
    os.sched_yield()
