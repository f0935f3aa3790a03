"""Clients that do nothing wrong, and check every byte that they get.

Each runs in its own process during the attacks (attack.py). It knows the server's
answers: the same bytes, or those of a key-value store with the same commands. Another
byte, an unexpected end and a late answer are faults.
"""

import select
import socket
import time

from doors import has_unsent

LARGEST = 1 << 20
KEYS = 40
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
NOT_A_REQUEST = b"ERROR not SET KEY VALUE, GET KEY, DEL KEY, QUIT\n"
TOO_SLOW = b"ERROR too slow\n"
# The key-value server closes a client that sends nothing for five seconds.
IDLE_S = 2
# Why the server ends a connection: after the client's end of stream, or a request.
HALF_CLOSE = 1
ASKED = 2


class Fault(Exception):
    """What the server did wrong."""


class Late(Fault):
    """An answer that is late, or that reports lateness."""


def size_by_chance(chance, largest):
    """Returns a random size; every order of magnitude is equally likely."""
    return chance.randint(1, 1 << chance.randint(0, largest.bit_length() - 1))


def text_by_chance(chance, largest):
    return "".join(chance.choices(LETTERS, k=chance.randint(1, largest)))


class Echo:
    """The bytes that a client of an echo server sends, and those that it must
    receive."""

    def __init__(self, chance, _number):
        self.chance = chance

    def request(self):
        data = self.chance.randbytes(size_by_chance(self.chance, LARGEST))
        return data, data

    def farewell(self):
        """Returns requests after which the server ends the connection, or None."""
        return None


class Store:
    """The same for the key-value server: a model of this client's keys."""

    def __init__(self, chance, number):
        self.chance = chance
        self.names = [f"honest{number}-{i}" for i in range(KEYS)]
        self.values = None

    def request(self):
        if self.values is None:
            # An earlier run with these names may have left something.
            self.values = {}
            lines = [f"SET {name} 0\n" for name in self.names]
            self.values.update((name, "0") for name in self.names)
            return "".join(lines).encode(), b"OK\n" * len(lines)
        count = size_by_chance(self.chance, 2000)
        pairs = [self.one() for _ in range(count)]
        return (b"".join(line for line, _ in pairs),
                b"".join(answer for _, answer in pairs))

    def one(self):
        name = self.chance.choice(self.names)
        way = self.chance.randrange(10)
        if way < 4:
            value = text_by_chance(self.chance, 200)
            self.values[name] = value
            return f"SET {name} {value}\n".encode(), b"OK\n"
        if way < 8:
            value = self.values.get(name)
            answer = f"VALUE {value}\n" if value is not None else "NONE\n"
            return f"GET {name}\n".encode(), answer.encode()
        if way == 8:
            was = self.values.pop(name, None)
            return (f"DEL {name}\n".encode(),
                    b"NONE\n" if was is None else b"OK\n")
        return f"{text_by_chance(self.chance, 20)}\n".encode(), NOT_A_REQUEST

    def farewell(self):
        return b"QUIT\n"


DIALECTS = {"echo": Echo, "lines": Store}


def differ(found, wanted, position):
    """Describes the first of the wrong bytes."""
    first = next(i for i, byte in enumerate(found) if byte != wanted[i])
    count = sum(byte != wanted[i] for i, byte in enumerate(found))
    return (f"wrong bytes: {count} of {len(found)} that came together, the "
            f"first at {position + first}: "
            f"{bytes(found[first:first + 16]).hex()} instead of "
            f"{bytes(wanted[first:first + 16]).hex()}")


class Conversation:
    """A connection, and the bytes exchanged on it."""

    def __init__(self, door, limit_s, chance):
        self.limit_s = limit_s
        self.begun = self.used = time.monotonic()
        self.received = 0
        self.said = 0  # bytes to be sent in this exchange
        try:
            self.sock = door.enter(door.connect(limit_s), chance)
        except TimeoutError as error:
            raise Late(f"connect: nothing within {limit_s} s") from error
        except OSError as error:
            raise Fault(f"connect: {error!r} after "
                        f"{time.monotonic() - self.begun:.1f} s") from error
        self.sock.setblocking(False)

    def exchange(self, data, wanted, piece, ends=None):
        """Sends data in pieces, and receives what is wanted. Returns how long that
        took. @ends is why the server ends the connection afterwards, if it does."""
        started = time.monotonic()
        self.said = len(data)
        state = {"sent": 0, "got": 0, "half": False, "over": False}
        try:
            self.drive(memoryview(data), memoryview(wanted), piece, ends,
                       state)
        except OSError as error:
            raise Fault(f"{error!r}, {self.tell(state, data, wanted)}") \
                from error
        except Fault as fault:
            raise type(fault)(
                f"{fault}, {self.tell(state, data, wanted)}") from None
        self.used = time.monotonic()
        return self.used - started

    def tell(self, state, data, wanted):
        return (f"when {state['sent']} of {len(data)} bytes were sent and "
                f"{state['got']} of {len(wanted)} had come, on "
                f"{self.sock.getsockname()!r} "
                f"after {self.received} bytes and "
                f"{time.monotonic() - self.begun:.1f} s")

    def drive(self, data, wanted, piece, ends, state):
        deadline = time.monotonic() + self.limit_s
        poller = select.poll()
        while (state["sent"] < len(data) or state["got"] < len(wanted)
               or ends and not state["over"]):
            sending = state["sent"] < len(data)
            if ends == HALF_CLOSE and not sending and not state["half"]:
                self.sock.shutdown(socket.SHUT_WR)
                state["half"] = True
            poller.register(self.sock.fileno(), select.POLLIN | (
                select.POLLOUT if sending or has_unsent(self.sock) else 0))
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                raise Late(f"no answer within {self.limit_s} s")
            self.send(data, piece, state)
            self.receive(wanted, ends, state)

    def send(self, data, piece, state):
        if state["sent"] == len(data):
            return
        try:
            state["sent"] += self.sock.send(
                data[state["sent"]:state["sent"] + piece])
        except BlockingIOError:
            pass

    def receive(self, wanted, ends, state):
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        position = state["got"]
        if not data:
            begged = state["half"] or ends == ASKED
            if (not ends or not begged or state["sent"] < self.said
                    or position < len(wanted)):
                raise Fault("an end of the stream that nobody asked for")
            state["over"] = True
            return
        expected = wanted[position:position + len(data)]
        if data.endswith(TOO_SLOW) and data != expected:
            raise Late(f"the server says {TOO_SLOW!r}")
        if len(expected) < len(data):
            raise Fault(f"{len(data) - len(expected)} bytes too many: "
                        f"{data[len(expected):][:32]!r}")
        if data != expected:
            raise Fault(differ(data, expected, position))
        state["got"] += len(data)
        self.received += len(data)

    def close(self):
        self.sock.close()


class Client:
    """An honest client: an old connection, which lives as long as the client, and
    others that come and go."""

    def __init__(self, door, dialect, number, chance, limit_s):
        self.door = door
        self.chance = chance
        self.limit_s = limit_s
        self.dialect = DIALECTS[dialect](chance, number)
        self.old = None
        self.byte_count = 0

    def connect(self):
        return Conversation(self.door, self.limit_s, self.chance)

    def talk(self, conversation, ends=None):
        """Makes one exchange. Returns how long it took."""
        data, wanted = self.dialect.request()
        # One piece, or up to a hundred.
        piece = max(len(data) // self.chance.choice((1, 1, 3, 100)), 1)
        took = conversation.exchange(data, wanted, piece, ends)
        self.byte_count += len(wanted)
        return took

    def talk_on_old(self):
        if self.old and time.monotonic() - self.old.used > IDLE_S:
            # Whether the server still accepts it is another question.
            if self.dialect.farewell():
                self.old.close()
                self.old = None
        if not self.old:
            self.old = self.connect()
        return self.talk(self.old)

    def leave(self, conversation):
        """Ends a conversation in one of the ways of an honest client."""
        way = self.chance.randrange(4)
        if way == 0:
            self.talk(conversation, HALF_CLOSE)
        elif way == 1:
            conversation.exchange(b"", b"", 1, HALF_CLOSE)
        elif way == 2 and self.dialect.farewell():
            conversation.exchange(self.dialect.farewell(), b"", 1, ASKED)
        conversation.close()

    def converse(self, exchanges, told):
        """Uses a connection from its start to its end; calls told(wait_s)."""
        conversation = self.connect()
        for _ in range(exchanges):
            if self.chance.randrange(4) == 0:
                told(self.talk_on_old())
                if time.monotonic() - conversation.used > IDLE_S:
                    # Whether the server still accepts it is another question.
                    conversation.close()
                    return
            told(self.talk(conversation))
        self.leave(conversation)

    def close(self):
        if self.old and time.monotonic() - self.old.used < IDLE_S:
            self.leave(self.old)
        elif self.old:
            self.old.close()
        self.old = None


class DatagramClient:
    """The same over UDP. A datagram may be lost, and is then sent again; received
    datagrams must be ones that were sent."""

    def __init__(self, door, _dialect, number, chance, limit_s):
        self.name = f"{number}-{chance.getrandbits(64):x}-".encode()
        self.chance = chance
        self.limit_s = limit_s
        self.byte_count = 0
        self.sent = {}  # the hash of each, by its name: an answer may be late
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(0.2)
        self.sock.connect(door.address)

    def exchange(self):
        deadline = time.monotonic() + self.limit_s
        number = str(len(self.sent)).encode()
        data = (self.name + number + b" " + self.chance.randbytes(
            size_by_chance(self.chance, 1 << 15)))
        self.sent[self.name + number] = hash(data)
        while time.monotonic() < deadline:
            try:
                self.sock.send(data)
                while (found := self.sock.recv(65536)) != data:
                    self.look(found)
                return len(data)
            except TimeoutError:
                continue
            except OSError as error:
                raise Fault(f"a datagram: {error!r}") from error
        raise Late(f"no answer to a datagram within {self.limit_s} s")

    def look(self, found):
        """A late or second answer must be complete, too."""
        if hash(found) != self.sent.get(found.partition(b" ")[0]):
            raise Fault(f"a datagram that was not sent: {found[:32]!r}")

    def converse(self, exchanges, told):
        for _ in range(exchanges):
            began = time.monotonic()
            self.byte_count += self.exchange()
            told(time.monotonic() - began)

    def close(self):
        self.sock.close()


def client_of(door, *args):
    """Returns an honest client of the service behind the door."""
    return (DatagramClient if door.is_datagram else Client)(door, *args)
