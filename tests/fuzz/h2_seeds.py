#!/usr/bin/env python3
"""Seeds for fuzz-h2-client and fuzz-h2-server: conversations of good will, and
the frames by which a peer would take what it is not given.

    tests/fuzz/h2_seeds.py FOLDER     # FOLDER/client, FOLDER/server
"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
sys.dont_write_bytecode = True

from h2_peer import (  # noqa: E402
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS,
    INITIAL_WINDOW, MAX_STREAMS, PADDED, PING, PUSH_PROMISE, REFUSED,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, literal, status)

WHOLE, PIECES, READS = b"\0", b"\xa2", b"\1"
# Of the client alone: its requests have bodies, all the same or not, and the
# server reads them or not.
BODIES = b"\x40", b"\x41", b"\x61", b"\xe1"


def frame(kind, flags=0, stream=0, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
            + struct.pack(">I", stream) + payload)


def settings(**values):
    numbers = {"streams": MAX_STREAMS, "window": INITIAL_WINDOW, "table": 1}
    return frame(SETTINGS, payload=b"".join(
        struct.pack(">HI", numbers[name], value)
        for name, value in values.items()))


def answers(count, fields=b"", body=b"ok"):
    return b"".join(
        frame(HEADERS, END_HEADERS, 2 * number + 1, status(200) + fields)
        + frame(DATA, END_STREAM, 2 * number + 1, body)
        for number in range(count))


def request(path="/", fields=b""):
    return (literal(":method", "GET") + literal(":scheme", "http")
            + literal(":authority", "x") + literal(":path", path) + fields)


def requests(count, path="/", fields=b"", flags=END_HEADERS | END_STREAM):
    return b"".join(frame(HEADERS, flags, 2 * number + 1,
                          request(path, fields)) for number in range(count))


BEGIN = settings() + frame(SETTINGS, ACK)
BLOCK = status(200) + literal("content-length", "2")
CLIENT = {
    "answers": BEGIN + answers(16),
    "length": BEGIN + answers(8, literal("content-length", "5")),
    "limit": settings(streams=1) + answers(1) + settings(streams=0)
    + settings(streams=100) + answers(9)[100:],
    "interim": BEGIN + frame(HEADERS, END_HEADERS, 1, status(103))
    + frame(HEADERS, PADDED, 1, b"\3" + BLOCK[:4] + bytes(3))
    + frame(CONTINUATION, END_HEADERS, 1, BLOCK[4:])
    + frame(DATA, PADDED, 1, b"\5o" + bytes(5)) + frame(DATA, 1, 1, b"k"),
    "trailers": BEGIN + frame(HEADERS, END_HEADERS, 1, status(200) + literal(
        "content-type", "application/grpc")) + frame(DATA, 0, 1, bytes(5))
    + frame(HEADERS, 5, 1, literal("grpc-status", "14")),
    "table": BEGIN + frame(HEADERS, 5, 1, b"\x88\x40\1a\1b\xbe\x3f\xe1\x1f"),
    "goaway": BEGIN + answers(2) + frame(GOAWAY, 0, 0,
                                         struct.pack(">II", 3, 0)),
    "refused": BEGIN + b"".join(
        frame(RST_STREAM, 0, 2 * number + 1, struct.pack(">I", REFUSED))
        for number in range(30)),
    "pings": BEGIN + 50 * frame(PING, payload=bytes(8)),
    "windows": settings(window=1) + 9 * frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "bodies": settings(window=2**31 - 1) + frame(SETTINGS, ACK) + frame(
        WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**30)) + answers(16),
    "late": BEGIN + 5 * (frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 9999))
                         + frame(WINDOW_UPDATE, 0, 1,
                                 struct.pack(">I", 9999))) + answers(8),
    "push": BEGIN + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82"),
    "location": BEGIN + frame(HEADERS, 5, 1, status(302)
                              + literal("location", "/there")),
}
SERVER = {
    "requests": BEGIN + requests(20),
    "delays": BEGIN + requests(20, "/?t=1ms"),
    "bodies": settings(window=2**31 - 1) + requests(9, "/?s=1M") + frame(
        WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**30)),
    "close": BEGIN + requests(3, "/?close=1"),
    "upload": BEGIN + requests(2, flags=END_HEADERS)
    + 9 * frame(DATA, 0, 1, bytes(100)) + frame(DATA, END_STREAM, 1, b"x"),
    "resets": BEGIN + b"".join(
        frame(HEADERS, 5, 2 * number + 1, request("/?t=60s"))
        + frame(RST_STREAM, 0, 2 * number + 1, struct.pack(">I", 8))
        for number in range(40)),
    "settings": 50 * settings(window=1, table=0),
    "pings": BEGIN + 50 * frame(PING, payload=bytes(8)),
    "continuations": BEGIN + frame(HEADERS, 0, 1, request())
    + 20 * frame(CONTINUATION, 0, 1, literal("x", 50 * "y")),
    "long": BEGIN + frame(HEADERS, 5, 1, request(
        fields=160 * literal("x", 100 * "y"))),
}


def main():
    for side, seeds, more in (("client", CLIENT, BODIES),
                              ("server", SERVER, ())):
        folder = os.path.join(sys.argv[1], side)
        os.makedirs(folder, exist_ok=True)
        for name, seed in seeds.items():
            for how in (WHOLE, PIECES, READS, *more):
                path = os.path.join(folder, f"{name}-{how[0]}")
                with open(path, "wb") as file:
                    file.write(how + seed)


if __name__ == "__main__":
    main()
