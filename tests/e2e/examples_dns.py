"""The example of a DNS forwarder: dig through it, to dnsmasq and to servers with
special answers; and rude clients."""

import contextlib
import os
import random
import re
import socket
import struct
import threading

import rude
from dns import Dnsmasq
from harness import WAIT_S, ExampleService, command, equal, matches, need, run
from servers import RefusingDatagrams

SEED = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32))
print(f"# WEIR_TEST_SEED={SEED}")

QUESTION = b"\4weir\4test\0\0\1\0\1"  # weir.test, A, IN
FLAGS, RESPONSE, SERVFAIL = b"\1\0", b"\x81\x80", b"\x81\2"
COUNTS = b"\0\1" + bytes(6)
PENDING = 4096


def message(number, flags=FLAGS, question=QUESTION, rest=b""):
    return struct.pack("!H", number) + flags + COUNTS + question + rest


class Upstream:
    """A server at a port, which a test reads and writes directly."""

    def __enter__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(WAIT_S)
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.socket.close()

    def take(self):
        """Returns the next query, and its sender."""
        return self.socket.recvfrom(65536)

    def answer(self, asked, peer, rest=b"answer"):
        self.socket.sendto(asked[:2] + RESPONSE + asked[4:] + rest, peer)


@contextlib.contextmanager
def asking(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT_S)
        sock.connect(server.address)
        yield sock


def forwarder(port, patience_s=3600):
    return ExampleService("dns_forwarder", "0", "127.0.0.1", str(port),
                          str(patience_s))


def test_a_question_gets_an_id_of_its_own_and_its_answer():
    with Upstream() as upstream, forwarder(upstream.port) as server, \
            asking(server) as sock:
        ids = set()
        for number in range(50):
            sock.send(message(7, rest=b"more"))
            asked, peer = upstream.take()
            equal(asked[2:], message(7, rest=b"more")[2:], "the question")
            ids.add(asked[:2])
            upstream.answer(asked, peer, b"%d" % number * 1000)
            equal(sock.recv(65536), message(7, RESPONSE, rest=b"more"
                                            + b"%d" % number * 1000),
                  "the answer")
        assert len(ids) > 45, f"only {len(ids)} ids of 50 questions"


def test_only_an_answer_to_the_question_counts():
    with Upstream() as upstream, Upstream() as stranger, \
            forwarder(upstream.port) as server, asking(server) as sock:
        sock.send(message(7))
        asked, peer = upstream.take()
        number = struct.unpack("!H", asked[:2])[0]
        upstream.answer(message(number ^ 1), peer, b"another id")
        upstream.answer(message(number, question=b"\4weir\4tesT\0\0\1\0\1"),
                        peer, b"another name")
        upstream.answer(message(number, question=QUESTION[:-1] + b"\3"), peer,
                        b"another class")
        stranger.answer(asked, peer, b"another server")
        upstream.socket.sendto(asked + b"a question", peer)
        upstream.socket.sendto(asked[:11], peer)
        upstream.answer(asked, peer, b"right")
        upstream.answer(asked, peer, b"twice")
        equal(sock.recv(65536), message(7, RESPONSE, rest=b"right"), "answer")
        # All earlier datagrams have been handled: nothing else has arrived.
        sock.send(message(8))
        asked, peer = upstream.take()
        upstream.answer(asked, peer)
        equal(sock.recv(65536), message(8, RESPONSE, rest=b"answer"), "next")


def test_what_nobody_answers_is_told_so():
    with Upstream() as silent, RefusingDatagrams() as refusing:
        for port in (silent.port, refusing.port):
            with forwarder(port, 1) as server, asking(server) as sock:
                sock.send(message(7, rest=b"more"))
                sock.send(message(8, b"\0\0"))
                equal(sock.recv(65536), message(7, SERVFAIL), "first answer")
                equal(sock.recv(65536), message(8, b"\x80\2"), "second one")


def test_no_more_questions_wait_than_there_are_places():
    with Upstream() as upstream, forwarder(upstream.port) as server, \
            asking(server) as sock:
        asked = []
        for number in range(PENDING):
            sock.send(message(number))
            asked.append(upstream.take())
        equal(len({question[:2] for question, _ in asked}), PENDING, "ids")
        sock.send(message(PENDING))
        equal(sock.recv(65536), message(PENDING, SERVFAIL), "one too many")
        upstream.answer(*asked[5])
        equal(sock.recv(65536), message(5, RESPONSE, rest=b"answer"), "a place")
        sock.send(message(9))
        equal(upstream.take()[0][12:], QUESTION, "the next question")


def test_nonsense_harms_nobody():
    chance = random.Random(SEED)
    beginnings = [message(7), message(7)[:12], message(7, RESPONSE),
                  message(7, question=b"\xc0\x0c\0\1\0\1"),
                  message(7, question=b"\x3fx"), b""]
    done = threading.Event()
    with Upstream() as upstream, forwarder(upstream.port) as server:
        def answer():
            upstream.socket.settimeout(0.1)
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    asked, peer = upstream.take()
                    noise = chance.randbytes(chance.randint(0, 60))
                    upstream.socket.sendto(asked[:chance.randint(0, 20)]
                                           + noise, peer)

        thread = threading.Thread(target=answer)
        thread.start()
        with rude.unharmed(server), asking(server) as sock:
            for _ in range(3000):
                noise = chance.randbytes(chance.choice((0, 1, 30, 5000)))
                sock.send(chance.choice(beginnings) + noise)
            done.set()
            thread.join()
        upstream.socket.settimeout(WAIT_S)
        with asking(server) as sock:
            question = message(7, question=b"\4last" + QUESTION)
            sock.send(question)
            asked, peer = upstream.take()
            while b"last" not in asked:
                asked, peer = upstream.take()
            upstream.answer(asked, peer)
            equal(sock.recv(65536)[-6:], b"answer", "the next client")


def test_dig_finds_what_dnsmasq_knows():
    need("dig")
    with Dnsmasq("--address=/weir.test/192.0.2.7",
                 "--txt-record=long.test," + ",".join(["x" * 250] * 4)
                 ) as names, forwarder(names.port) as server:
        def dig(*words):
            outcome = command("dig", "@127.0.0.1", "-p", str(server.port),
                              "+tries=1", f"+timeout={WAIT_S}", *words)
            equal((outcome.status, outcome.err), (0, ""), "the outcome")
            return outcome.out

        equal(dig("+short", "weir.test"), "192.0.2.7\n", "an address")
        matches(dig("none.test"), r"status: (REFUSED|NXDOMAIN)")
        found = dig("+short", "+bufsize=4096", "long.test", "TXT")
        equal(len(re.findall("x{250}", found)), 4, "texts")


run(globals())
