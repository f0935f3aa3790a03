"""HTTP/2 frames made by hand (RFC 9113), for misbehaving servers. Received header
blocks are not decoded; sent ones need no table."""

import contextlib
import struct

from servers import Server, read_exactly

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
ACK, END_STREAM, END_HEADERS, PADDED = 1, 1, 4, 8
MAX_STREAMS, INITIAL_WINDOW = 3, 4
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0, 1, 2
REFUSED, CANCEL, CALM = 7, 8, 11


def literal(name, value):
    """Returns a field that is not added to the table (RFC 7541, 6.2.2)."""
    return b"".join([b"\0"] + [bytes([len(text)]) + text.encode()
                               for text in (name, value)])


def status(number):
    return literal(":status", str(number))


class Peer:
    """One connection, seen from the server."""

    def __init__(self, connection, number):
        self.socket = connection
        self.number = number

    def send(self, kind, flags=0, stream=0, payload=b""):
        self.socket.sendall(struct.pack(">I", len(payload))[1:]
                            + bytes([kind, flags])
                            + struct.pack(">I", stream) + payload)

    def read(self):
        """Returns the next frame: kind, flags, stream, payload. Raises OSError at the
        end."""
        head = read_exactly(self.socket, 9)
        if head is None:
            raise OSError("the client has ended the connection")
        length = int.from_bytes(head[:3], "big")
        payload = read_exactly(self.socket, length) if length else b""
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload

    def wait(self, kind, flags=0):
        """Reads until a frame of a kind that has these flags. Returns the frames before
        it, and itself."""
        frames = []
        while True:
            frames.append(self.read())
            if frames[-1][0] == kind and frames[-1][1] & flags == flags:
                return frames

    def read_preface(self):
        if read_exactly(self.socket, len(PREFACE)) != PREFACE:
            raise OSError("no preface")
        return self.wait(SETTINGS)[0]

    def settings(self, **values):
        numbers = {"streams": MAX_STREAMS, "window": INITIAL_WINDOW}
        self.send(SETTINGS, payload=b"".join(
            struct.pack(">HI", numbers[name], value)
            for name, value in values.items()))

    def begin(self, **values):
        """Does what every server does first."""
        self.read_preface()
        self.settings(**values)
        self.send(SETTINGS, ACK)

    def requests(self, count):
        """Returns the streams of the next @count requests, without bodies."""
        return [self.wait(HEADERS)[-1][2] for _ in range(count)]

    def answer(self, stream, code=200, body=b"ok", fields=b""):
        self.send(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream,
                  status(code) + fields)
        if body:
            self.send(DATA, END_STREAM, stream, body)

    def answer_all(self):
        """Answers until the client ends the connection."""
        while True:
            kind, flags, stream, payload = self.read()
            if kind == PING and not flags & ACK:
                self.send(PING, ACK, payload=payload)
            elif kind == HEADERS:
                self.answer(stream)

    def reset(self, stream, code):
        self.send(RST_STREAM, 0, stream, struct.pack(">I", code))

    def goaway(self, last, code=NO_ERROR, text=b""):
        self.send(GOAWAY, 0, 0, struct.pack(">II", last, code) + text)

    def count_round(self):
        """Returns how many requests arrived before the answer to a PING."""
        self.send(PING, payload=b"whatever")
        return sum(frame[0] == HEADERS for frame in self.wait(PING, ACK))


@contextlib.contextmanager
def peer(serve):
    """Calls serve(peer) for each connection. Yields a server with its URL, and the
    errors in those calls."""
    errors = []

    def work(connection, number):
        try:
            serve(Peer(connection, number))
        except AssertionError as error:
            errors.append(error)

    with Server(work) as server:
        server.http = server.url.replace("tcp:", "http:")
        yield server
    if errors:
        raise errors[0]
