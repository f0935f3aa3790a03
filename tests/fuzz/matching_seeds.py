#!/usr/bin/env python3
"""Writes inputs for fuzz-matching into a folder: routes by begins, protocols,
names and silence, with clients that take one, another or none of them.

    tests/fuzz/matching_seeds.py FOLDER
"""

from seeds import write_seeds

ANY, TLS, PLAIN, SILENT = range(4)
PLAIN_CLIENT = 8


def route(kind, *begins, passes=False, name=None, protocols=0):
    """A route as the fuzzer reads it."""
    facts = kind | 4 * passes | (0 if name is None else 8 | name << 4)
    data = bytes([facts, len(begins) | protocols << 2])
    for begin in begins:
        data += bytes([len(begin) - 1]) + begin
    return data


def case(routes, client, head=PLAIN_CLIENT):
    return bytes([head | (len(routes) - 1)]) + b"".join(routes) + client


HELLO = b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03" + bytes(60)
COMMON = [route(TLS, passes=True), route(ANY, b"SSH-"), route(SILENT),
          route(ANY, b"GET ", b"POST ", b"PRI * HTTP/2.0\r\n"), route(ANY)]
SEEDS = {
    "ssh": case(COMMON, b"SSH-2.0-OpenSSH_9.2\r\n"),
    "http": case(COMMON, b"POST / HTTP/1.1\r\n\r\n"),
    "tls": case(COMMON, HELLO),
    "other": case(COMMON, b"\x16\x04"),
    "prefix": case([route(ANY, b"PRI"), route(ANY, b"PRI *")], b"PRI /"),
    "long": case([route(ANY, bytes(64)), route(ANY)], bytes(65)),
    "inside": case([route(TLS, b"Q"), route(ANY, name=0, passes=True)],
                   b"Q\0", head=16),
    "protocols": case([route(TLS, protocols=2), route(TLS, name=1)],
                      b"", head=128 | 16),
}


if __name__ == "__main__":
    write_seeds(SEEDS)
