"""A name server whose responses are encoded in the queried names.

The first label of a name has words separated by hyphens, KIND-PLACE-FOUND-... . PLACE
and FOUND are positions in the search for the name: 0 is the name as written, 1 the name
below the first search domain, d1.test, and so on; x is none. At PLACE the server
responds as KIND says, at FOUND with addresses of both families, 192.0.2.1 and
2001:db8::1, and elsewhere that the name does not exist. So one list of search domains
serves a whole table.

Usage: scripted_dns.py LOG [ADDRESS...]; it prints "ready", and appends a line to LOG
for each query: "udp A NAME".
"""

import re
import selectors
import socket
import struct
import sys

A, CNAME, AAAA = 1, 5, 28
NAMES = {A: "A", AAAA: "AAAA"}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
CODES = {"formerr": FORMERR, "servfail": SERVFAIL, "nxdomain": NXDOMAIN,
         "notimp": NOTIMP, "refused": REFUSED, "nodata": NOERROR}
DATA = {A: bytes([192, 0, 2, 1]),
        AAAA: bytes.fromhex("20010db8" + "00" * 11 + "01")}


def read_question(query):
    """Returns the name, in lower case and without a trailing dot; its type; and the
    bytes of the question."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    kind, = struct.unpack(">H", query[at + 1:at + 3])
    return ".".join(labels).lower(), kind, query[12:at + 5]


def words_for(name, kind):
    """Returns the word in the name about a question of this type."""
    words = name.split(".")[0].split("-")
    if len(words) < 3:
        return "nxdomain"
    match = re.search(r"(?:^|\.)d(\d+)\.test$", name)
    place = match.group(1) if match else "0"
    if place == words[1]:
        both = words[0].split("_")  # of IPv4, of IPv6
        return both[-1] if kind == AAAA else both[0]
    return "found" if place == words[2] else "nxdomain"


def record(owner, kind, data):
    return owner + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def make_answer(query, is_udp):
    """Returns the response, None for none, or b"" to close the connection."""
    name, kind, question = read_question(query)
    word = words_for(name, kind)
    if word.startswith("tcp"):  # the response is too long for UDP
        word = "truncated" if is_udp else word.removeprefix("tcp")
    own = b"\xc0\x0c"
    flags, code, records = 0x8580, CODES.get(word, NOERROR), []
    if word == "silent":
        return None
    if word in ("truncated", "cut") and is_udp:
        flags |= 0x0200
    elif word == "cut":
        return b""
    elif word in ("found", "truncated"):
        records = [record(own, kind, DATA[kind])]
    elif word == "loop":
        records = [record(own, CNAME, own)]
    elif word == "nowhere":  # an alias of a name without an address
        records = [record(own, CNAME, b"\x07nothing\x04test\x00")]
    elif word == "alias":
        records = [record(own, CNAME, b"\x03end\x04test\x00"),
                   record(b"\x03end\x04test\x00", kind, DATA[kind])]
    return query[:2] + struct.pack(">HHHHH", flags | code, 1, len(records), 0,
                                   0) + question + b"".join(records)


class Server:
    def __init__(self, log, addresses):
        self.log = log
        self.selector = selectors.DefaultSelector()
        for address in addresses:
            info = socket.getaddrinfo(address, 53, type=socket.SOCK_DGRAM,
                                      flags=socket.AI_NUMERICHOST)[0]
            udp = socket.socket(info[0], socket.SOCK_DGRAM)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            tcp = socket.socket(info[0], socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for sock in (udp, tcp):
                sock.bind(info[4])
            tcp.listen(128)
            self.selector.register(udp, selectors.EVENT_READ, self.read_udp)
            self.selector.register(tcp, selectors.EVENT_READ, self.accept)

    def note(self, how, query):
        name, kind, _ = read_question(query)
        self.log.write(f"{how} {NAMES.get(kind, kind)} {name}\n")
        self.log.flush()

    def read_udp(self, sock):
        query, peer = sock.recvfrom(4096)
        self.note("udp", query)
        answer = make_answer(query, True)
        if answer:
            sock.sendto(answer, peer)

    def accept(self, sock):
        self.selector.register(sock.accept()[0], selectors.EVENT_READ,
                               self.read_tcp)

    def read_tcp(self, sock):
        try:
            head = sock.recv(2, socket.MSG_WAITALL)
            query = len(head) == 2 and sock.recv(
                struct.unpack(">H", head)[0], socket.MSG_WAITALL)
            if query:
                self.note("tcp", query)
                answer = make_answer(query, False)
                if answer:
                    sock.sendall(struct.pack(">H", len(answer)) + answer)
                if answer != b"":
                    return
        except ConnectionError:
            pass
        self.selector.unregister(sock)
        sock.close()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                key.data(key.fileobj)


if __name__ == "__main__":
    with open(sys.argv[1], "a", encoding="latin-1") as out:
        server = Server(out, sys.argv[2:] or ["127.0.0.1"])
        print("ready", flush=True)
        server.run()
