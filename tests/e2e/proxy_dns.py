"""A name server for the tests of weir-proxy, with one name, and connections that are
used once."""

import socket
import struct
import threading

from scripted_dns import A, AAAA, read_question, record

NAME = "pods.weir-test.example"
NXDOMAIN = 3


def data_of(addresses, kind):
    """Returns the data of a kind of record, as bytes."""
    family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
    return [socket.inet_pton(family, address) for address in addresses
            if family and (":" in address) == (kind == AAAA)]


class NameServer:
    """Answers queries for one name with its current addresses, each with a TTL; no
    other name exists."""

    def __init__(self, addresses, ttl_s=1):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.addresses = list(addresses)
        self.ttl_s = ttl_s
        self.asked = 0
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()

    def answer(self, query):
        name, kind, question = read_question(query)
        found = self.addresses if name == NAME else []
        records = [
            record(b"\xc0\x0c", kind, data).replace(
                struct.pack(">I", 60), struct.pack(">I", self.ttl_s), 1)
            for data in data_of(found, kind)]
        self.asked += kind == A
        code = 0 if found else NXDOMAIN
        return query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1,
                                       len(records), 0, 0) + question + \
            b"".join(records)

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if not query:
                return
            self.socket.sendto(self.answer(query), peer)


