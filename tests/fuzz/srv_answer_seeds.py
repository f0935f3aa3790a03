#!/usr/bin/env python3
"""Writes inputs for fuzz-srv-answer into a folder: answers with one host and with
many, with aliases, compressed names, no service and addresses besides.

    tests/fuzz/srv_answer_seeds.py FOLDER
"""

import struct

from seeds import write_seeds

SRV, CNAME, A = 33, 5, 1
SELF = b"\xc0\x0c"


def name(text):
    return b"".join(bytes([len(label)]) + label.encode()
                    for label in text.split(".") if label) + b"\0"


def record(owner, kind, data, ttl_s=60):
    return owner + struct.pack(">HHIH", kind, 1, ttl_s, len(data)) + data


def srv(host, priority=1, weight=1, port=5432, owner=SELF):
    return record(owner, SRV,
                  struct.pack(">HHH", priority, weight, port) + host)


def answer(*records, additional=()):
    return struct.pack(">HHHHHH", 7, 0x8180, 1, len(records), 0,
                       len(additional)) + name("s.test") + \
        struct.pack(">HH", SRV, 1) + b"".join(records) + b"".join(additional)


SEEDS = {
    "one": answer(srv(name("a.test"))),
    "many": answer(*(srv(name(f"h{i}.test"), i % 3, i) for i in range(80))),
    "compressed": answer(srv(b"\1h" + SELF), srv(b"\1h\xc0\x0e")),
    "alias": answer(record(SELF, CNAME, name("x.test"), 5),
                    srv(name("a.test"), owner=name("x.test"))),
    "none": answer(srv(b"\0", 0, 0, 0)),
    "empty": answer(),
    "besides": answer(srv(name("a.test")), additional=[
        record(name("a.test"), A, bytes((192, 0, 2, 1)))]),
}


if __name__ == "__main__":
    write_seeds(SEEDS)
