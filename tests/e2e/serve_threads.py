"""weir-load serve on several threads: every thread listens, the sums include all
threads, and all end together."""

import contextlib
import os
import re
import resource
import select
import signal
import socket
import ssl

from harness import (PATIENT, WAIT_S, WEIR_LOAD, Program, equal, fill,
                     load_json, matches, one_line, read_line, run)
from servers import read_exactly

THREADS = 3
CLIENTS = 60
FOLDER = os.environ.get("WEIR_TLS_CERTIFICATES")


class Serving(Program):
    """weir-load serve with three threads; SIGTERM ends it."""

    def __init__(self, *args, **options):
        super().__init__(WEIR_LOAD, "serve", "--threads", str(THREADS), *args,
                         **options)
        self.line = read_line(self.process.stdout)
        self.urls = self.line.split()[3:]

    def stop(self, signum=signal.SIGTERM):
        """Returns its standard error."""
        self.signal(signum)
        status, out, err = self.finish()
        equal((status, out), (0, ""), f"the end of serve, which said {err!r}")
        return err

    def address(self, index=0):
        host, port = self.urls[index].split("//")[1].rsplit(":", 1)
        return (host.strip("[]"), int(port))


def count_sockets(kind, port):
    """Returns the number of listening sockets, or of bound UDP ones, at 127.0.0.1."""
    with open(f"/proc/net/{kind}", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    state = {"tcp": "0A", "udp": "07"}[kind]
    return sum(row[1] == f"0100007F:{port:04X}" and row[3] == state
               for row in rows)


def echoes(socks):
    for number, sock in enumerate(socks):
        sock.settimeout(WAIT_S)
        sock.sendall(b"%08d" % number)
    for number, sock in enumerate(socks):
        equal(read_exactly(sock, 8), b"%08d" % number, "the echo")


@contextlib.contextmanager
def connections(address, count=CLIENTS, family=socket.AF_INET):
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(count):
            socks.append(stack.enter_context(socket.socket(family)))
            socks[-1].connect(address)
        yield socks


def datagram_socks(address, count):
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
             for _ in range(count)]
    for sock in socks:
        sock.connect(address)
    return socks


def test_each_thread_listens_at_the_ports_that_the_first_has_chosen():
    with Serving("tcp://127.0.0.1:0", "udp://127.0.0.1:0",
                 "tcp://127.0.0.1:0") as server:
        matches(server.line, r"^serving echo on tcp://127\.0\.0\.1:\d+ "
                r"udp://127\.0\.0\.1:\d+ tcp://127\.0\.0\.1:\d+\n\Z")
        for index, kind in enumerate(("tcp", "udp", "tcp")):
            equal(count_sockets(kind, server.address(index)[1]), THREADS,
                  f"sockets of {server.urls[index]}")
        equal(server.stop(), "", "standard error")


def test_a_name_is_looked_up_once_and_all_listen_at_its_addresses():
    with Serving("tcp://localhost:0", "udp://localhost:0") as server:
        for index, url in enumerate(server.urls):
            if "127.0.0.1" in url:
                kind = url[:3]
                equal(count_sockets(kind, server.address(index)[1]), THREADS,
                      f"sockets of {url}")
        equal(server.stop(), "", "standard error")


def test_all_addresses_may_be_meant():
    with Serving("tcp://*:0", "udp://*:0") as server:
        port = server.address(0)[1]
        with connections(("127.0.0.1", port)) as socks:
            echoes(socks)
        socks = datagram_socks(("127.0.0.1", server.address(-1)[1]), CLIENTS)
        echo_datagrams(socks)
        equal(server.stop(), "", "standard error")


def echo_datagrams(socks):
    """Each is answered from the queried address; none is lost on the loopback
    interface, where the sockets have space."""
    for number, sock in enumerate(socks):
        sock.settimeout(WAIT_S)
        sock.send(b"%08d" % number)
        equal(sock.recv(100), b"%08d" % number, "the echo")
        sock.close()


def test_a_unix_path_is_the_first_threads_alone():
    name = f"@weir-e2e-{os.getpid()}"
    with Serving("tcp://127.0.0.1:0", f"unix:{name}") as server:
        with open("/proc/net/unix", encoding="ascii") as file:
            listening = sum(line.split()[-1] == name and " 00010000 " in line
                            for line in file)
        equal(listening, 1, "listening sockets")
        with connections("\0" + name[1:], 10, socket.AF_UNIX) as socks:
            echoes(socks)
        equal(server.stop(), "", "standard error")


def loop_connections(text):
    """Returns the connections of each loop, from a dump."""
    return [int(line) for line in
            re.findall(r"^loop .* connections=(\d+)", text, re.M)]


def read_dump(server, lines):
    """Reads what SIGUSR1 prints, until there are this many dumps of connections."""
    server.signal(signal.SIGUSR1)
    text = ""
    while sum(loop_connections(text)) < lines or \
            f"thread {THREADS - 1}\n" not in text:
        assert select.select([server.process.stderr], [], [], WAIT_S)[0], text
        text += read_line(server.process.stderr)
    return text


def test_the_sums_are_those_of_all_threads():
    with Serving("--stats", "tcp://127.0.0.1:0") as server:
        with connections(server.address()) as socks:
            echoes(socks)
            text = read_dump(server, CLIENTS)
            matches(text, rf"^served_open {CLIENTS}$")
            matches(text, rf"^connections {CLIENTS}$")
            matches(text, rf"^received_bytes {8 * CLIENTS}$")
            busy = loop_connections(text)
            equal((len(busy), min(busy) > 0, sum(busy)),
                  (THREADS, True, CLIENTS),
                  f"the kernel spreads connections: {busy}")
            err = server.stop()
    matches(err, rf"^served_connections {CLIENTS}$")
    matches(err, r"^served_open 0$")
    matches(err, rf"^served_received_bytes {8 * CLIENTS}$")
    matches(err, rf"^sent_bytes {8 * CLIENTS}$")


def test_the_sums_of_datagrams_are_those_of_all_threads():
    with Serving("--stats", "udp://127.0.0.1:0") as server:
        echo_datagrams(datagram_socks(server.address(), CLIENTS))
        err = server.stop()
    matches(err, rf"^served_datagrams {CLIENTS}$")
    matches(err, rf"^served_received_bytes {8 * CLIENTS}$")


def test_several_asks_for_statistics_are_answered():
    with Serving("tcp://127.0.0.1:0") as server:
        for _ in range(5):
            read_dump(server, 0)
        server.signal(signal.SIGUSR1)
        server.signal(signal.SIGUSR1)
        server.stop()


def test_all_threads_serve_tls():
    if not FOLDER:
        return
    with Serving("--stats", "--cert", os.path.join(FOLDER, "ecdsa.pem"),
                 "--key", os.path.join(FOLDER, "ecdsa.key"),
                 "tls://127.0.0.1:0") as server:
        equal(count_sockets("tcp", server.address()[1]), THREADS, "sockets")
        context = ssl.create_default_context(
            cafile=os.path.join(FOLDER, "ca.pem"))
        with connections(server.address()) as socks:
            wrapped = [context.wrap_socket(sock, server_hostname="localhost")
                       for sock in socks]
            echoes(wrapped)
            for sock in wrapped:
                sock.close()
        err = server.stop()
    matches(err, rf"^served_full_handshakes {CLIENTS}$")


def test_a_load_is_served_whole():
    with Serving("--stats", "tcp://127.0.0.1:0") as server:
        _, result = load_json("-c", "30", "-n", "6000", *PATIENT,
                              server.urls[0])
        equal(result["requests"]["ok"], 6000, "answers")
        matches(server.stop(), r"^served_connections 30$")


def test_idle_clients_of_all_threads_see_the_end_at_once():
    for signum in (signal.SIGINT, signal.SIGTERM):
        with Serving("--grace", "1h", "tcp://127.0.0.1:0") as server:
            with connections(server.address()) as socks:
                echoes(socks)
                server.signal(signum)
                for sock in socks:
                    equal(sock.recv(1), b"", "the end of stream")
                equal(server.finish(), (0, "", ""), "the end")


def test_a_second_signal_ends_the_grace_of_all_threads():
    with Serving("--grace", "1h", "tcp://127.0.0.1:0") as server:
        with connections(server.address(), 12) as socks:
            echoes(socks[1:])
            fill(server, socks[0], lambda position, count: bytes(count))
            server.signal(signal.SIGTERM)
            for sock in socks[1:]:
                equal(sock.recv(1), b"", "the end of stream")
            equal(server.process.poll(), None, "it waits for the client")
            server.signal(signal.SIGTERM)
            equal(server.finish(), (0, "", ""), "the end")


def test_the_grace_comes_to_an_end_by_itself():
    with Serving("--grace", "50ms", "tcp://127.0.0.1:0") as server:
        with connections(server.address(), 1) as socks:
            fill(server, socks[0], lambda position, count: bytes(count))
            equal(server.stop(), "", "standard error")


def refused(*args, **options):
    with Program(WEIR_LOAD, "serve", "--threads", str(THREADS), *args,
                 **options) as program:
        return program.finish()


def test_an_address_in_use_ends_all_with_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        status, out, err = refused("tcp://127.0.0.1:0", url)
    equal((status, out), (2, ""), "the outcome")
    one_line(err, re.escape(url) + r": .*\(EADDRINUSE\)")


def test_a_thread_that_cannot_listen_ends_all_with_one_line():
    """With one more descriptor each time, later and later calls fail: in the end only
    the last thread's."""
    late_count = 0
    for limit in range(8, 200):
        def restrict(count=limit):
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        with Program(WEIR_LOAD, "serve", "--threads", str(THREADS),
                     "tcp://127.0.0.1:0", "tcp://127.0.0.1:0",
                     preexec_fn=restrict) as program:
            if select.select([program.process.stdout], [], [], WAIT_S)[0] and \
                    os.read(program.process.stdout.fileno(), 1):
                read_line(program.process.stdout)
                program.signal(signal.SIGTERM)
                equal(program.finish()[0], 0, "the end")
                break
            status, out, err = program.finish()
        equal((status, out), (2, ""), f"the outcome of {limit}: {err}")
        # Threads that already listen may have no descriptor for a client.
        one_line(re.sub(r"weir-load: accept is out of .*\n", "", err),
                 r"\(EMFILE\)")
        late_count += "tcp://" in err
    equal(late_count >= 2 * THREADS - 2, True,
          f"{late_count} of the limits let a listener fail")


def test_the_count_may_be_that_of_the_processors():
    for word in ("0", "auto"):
        with Program(WEIR_LOAD, "serve", "--threads", word,
                     "tcp://127.0.0.1:0") as program:
            line = read_line(program.process.stdout)
            port = int(line.rsplit(":", 1)[1])
            equal(count_sockets("tcp", port), len(os.sched_getaffinity(0)),
                  "listening sockets")
            program.signal(signal.SIGTERM)
            equal(program.finish(), (0, "", ""), "the end")


run(globals())
