"""weir-proxy and its operator: starts that fail, the operator's page with many
requests, and output that is not read."""

import contextlib
import os
import re
import signal
import socket
import tempfile
import threading

from harness import (WAIT_S, Program, command, equal, fails, matches, read_line,
                     run)
from http_requests import NO_BODIES, NO_REQUESTS
from proxy_certificates import certificates
from proxying import PROXY, Proxy
from servers import Server, echo, echoes, free_port


def plain(server):
    return f"tcp://127.0.0.1:{server.port}"


# ---- starts that fail, and that do not ----

def test_a_proxy_that_was_killed_is_succeeded_at_once():
    with tempfile.TemporaryDirectory() as folder:
        for listen in (f"tcp://127.0.0.1:{free_port()}",
                       f"unix:{folder}/proxy.sock"):
            for _ in range(3):
                with Program(PROXY, listen, "tcp://127.0.0.1:1") as proxy:
                    while " serves " not in read_line(proxy.process.stderr):
                        pass
                    proxy.kill()


def test_an_operators_address_in_use_ends_it_on_all_threads():
    with Server(echo) as server:
        for threads in ("1", "3"):
            outcome = command(PROXY, "--threads", threads, "tcp://127.0.0.1:0",
                              plain(server), "--admin", str(server.port))
            equal(outcome.status, 1, "exit status")
            matches(outcome.err, "admin .*: Address already in use")


def test_two_proxies_do_not_share_an_operators_address():
    with Server(echo) as server:
        flags = ("tcp://127.0.0.1:0", plain(server), "--admin",
                 str(free_port()))
        with Program(PROXY, *flags) as first:
            while " serves " not in read_line(first.process.stderr):
                pass
            outcome = command(PROXY, *flags)
            equal(outcome.status, 1, "exit status")
            matches(outcome.err, "admin .*: Address already in use")


SERVED = """\
[db]
listen = tls://127.0.0.1:0
cert = {cert}
to = tcp://127.0.0.1:1
"""


SNI = """\
[s]
listen = tls://127.0.0.1:0
passthrough = on
to = sni:443
"""


def test_what_a_file_lacks_as_a_whole_is_told_with_its_line():
    good = SERVED.format(cert=certificates()["proxy"])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "proxy.ini")
        for text, wanted in (
                ("", r": there is nothing to do"),
                ("[ ]\nlisten = tcp://:1\n", r":1: a section is '\[NAME\]'"),
                ("\ufeffthreads = x\n", r":1: threads: 'x' is neither auto nor"),
                ("[a]\nlisten = tcp://:1\nto = tcp://10.0.0.256:1\n",
                 r":3: to: '10.0.0.256' is not a host name"),
                ("threads = 2\n[a]\nlisten = tcp://:1\n", r":2: .*no target"),
                (good + "[web]\nto = tcp://a:1\n", r":5: 'web' listens no"),
                (good + "to = tcp://127.0.0.1:1\n", r":5: .*a target twice"),
                (good + "check = text\n", r":5: check text needs"),
                (good + "route = a.test\npassthrough = on\n\n"
                        "to = tls://a:1\n", r":8: .*passthrough goes to"),
                (SNI, r":4: 'sni:443': say by sni-allow which names"),
                (SNI + "sni-allow = a.test,10.0.0.1\n",
                 r":5: sni-allow: '10.0.0.1' is not a name such as"),
                (SNI + "sni-allow = .test\n", r":5: sni-allow: '.test' is not"),
                (SNI + "sni-allow = *.test\n", r":5: sni-allow: '.*' is not"),
                (SNI + "sni-allow = test\nto = tcp://a:1\n",
                 r":6: to: sni:PORT is the only target"),
                (SNI + "sni-allow = test\ncheck = tcp\n",
                 r":6: 'sni:443' is a name that clients choose"),
                (SNI + "sni-allow = test\neject = 2\n",
                 r":4: 'sni:443' is a name that clients choose"),
                (SNI + "sni-allow = test\nto-addresses = all\n",
                 r":6: to-addresses needs a target with a name"),
                (SNI.replace("sni", "tcp://a") + "to = sni:1\n",
                 r":5: to: sni:PORT is the only target"),
                (SNI.replace("443", "0"), r":4: to: 'sni:0': the port must"),
                (SNI.replace("passthrough", "no-splice") + "sni-allow = test\n"
                 f"cert = {certificates()['proxy']}\n",
                 r":4: 'sni:443' needs passthrough = on"),
                (good + "sni-allow = test\n", r":5: sni-allow: it comes after"),
                (good + "route = a.test\nto = tcp://a:1\nroute = A.test\n"
                        "to = tcp://b:1\n", r":7: two routes are for 'A"),
                (good + "[db2]\nname = db\nlisten = tcp://:0\n"
                        "to = tcp://a:1\n", r":6: two services are named"),
                (SERVED.format(cert="/none"),
                 r":1: db: certificate: /none: No such file"),
                (good + "to = tls://a:1\nto-ca = /none\n",
                 r":1: db: authorities: /none: No such file"),
                (good.replace("[db]", "memory-limit = much\n[db]"),
                 r":1: memory-limit: 'much' is not a size such"),
                (good.replace("[db]", "\nmemory-limit = 8M\nthreads = 3\n"
                              "[db]"),
                 r":2: memory-limit: 8 MiB is too small for 3 threads; at "
                 r"least 4 MiB for each$"),
                (good.replace("[db]", "\nuser = no-such\n[db]"),
                 r":2: user: there is no 'no-such' in /etc/passwd"),
                (good.replace("[db]", "\ngroup = no-such\n[db]"),
                 r":2: group: there is no 'no-such' in /etc/group"),
                (good.replace("[db]", "\nchroot = /none\n[db]"),
                 r":2: chroot"),
                (good.replace("[db]", "\nctl = /none/ctl\n[db]"),
                 r":2: ctl: the folder of"),
                (good.replace("[db]", "\nhandover = /none/ho\n[db]"),
                 r":2: handover: the folder of"),
                (good.replace("[db]", "engine = fast\n[db]"),
                 r":1: engine: 'fast' is not auto"),
                (good.replace("[db]", "admin = 1.2.3:4\n[db]"),
                 r":1: admin: '1.2.3:4' is not an address")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            outcome = command(PROXY, "-t", "--config", path)
            fails(outcome, re.escape(path) + wanted, 2)
            equal(outcome.err.count("\n"), 1, f"lines in {outcome.err!r}")


def test_descriptors_that_no_manager_has_passed_are_told():
    with Server(echo) as server:
        outcome = command("sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=x exec "$@"',
                          "sh", PROXY, "tcp://127.0.0.1:0", plain(server))
        equal(outcome.status, 1, "exit status")
        matches(outcome.err, "the sockets of LISTEN_FDS: Invalid argument")


# ---- ends ----

def test_signals_at_any_time_of_its_end_leave_it_in_order():
    with Server(echo) as server:
        for _ in range(20):
            with Program(PROXY, "--threads", "4", "tcp://127.0.0.1:0",
                         plain(server)) as program:
                while " serves " not in read_line(program.process.stderr):
                    pass
                while program.process.poll() is None:
                    program.signal(signal.SIGTERM)
                equal(program.process.returncode, 0, "exit status")


# ---- the page ----

def where(proxy):
    host, port = proxy.admin.removeprefix("http://").split(":")
    return host, int(port)


def talk(proxy, data):
    """Returns the answer, as bytes."""
    with socket.create_connection(where(proxy), timeout=WAIT_S) as client:
        client.sendall(data)
        answer = b""
        while part := client.recv(65536):
            answer += part
    return answer


def ask(proxy, method, path):
    """Returns head and body of the answer, as bytes."""
    head, body = talk(proxy, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"
                      .encode()).split(b"\r\n\r\n", 1)
    return head, body


def test_who_asks_at_one_time_waits_and_is_answered():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                       threads=2) as proxy:
        told = []

        def scrape(path):
            told.extend(ask(proxy, "GET", path)[0].split()[1]
                        for _ in range(20))

        threads = [threading.Thread(target=scrape, args=(path,))
                   for path in ["/metrics", "/status"] * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(told, [b"200"] * 160, "statuses")


def test_a_head_is_answered_without_a_body_and_other_methods_are_refused():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       plain(server)) as proxy:
        for path, status in (("/healthz", b"200"), ("/metrics", b"200"),
                             ("/x", b"404")):
            head, body = ask(proxy, "HEAD", path)
            equal((head.split()[1], body), (status, b""), path)
            matches(head.decode(), "Content-Length: [1-9]")
        head, _ = ask(proxy, "POST", "/metrics")
        equal(head.split()[1], b"405", "the answer to a POST")
        matches(head.decode(), "Allow: GET, HEAD")


def test_requests_are_read_strictly():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       plain(server)) as proxy:
        for data, status in (
                *NO_REQUESTS, *NO_BODIES,
                (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
                (b"GET /healthz?x HTTP/1.1\r\nHost: x\r\n\r\n", 200),
                (b"\r\nHEAD /healthz HTTP/1.0\r\nA:\tb\r\n\r\n", 200)):
            head = talk(proxy, data).split(b"\r\n\r\n", 1)[0]
            assert head, f"no answer to {data[:80]}"
            equal(int(head.split()[1]), status, f"{data[:80]}")
        with socket.create_connection(where(proxy), timeout=WAIT_S) as client:
            client.sendall(b"GET /healthz HTTP/1.1\n\n")
            client.shutdown(socket.SHUT_WR)
            equal(client.recv(100), b"", "the answer to what has no end")


# ---- words that nobody reads ----

def fill(writer):
    os.set_blocking(writer, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, bytes(size)):
                pass
    os.set_blocking(writer, True)


def test_words_that_nobody_reads_stop_nothing_and_their_loss_is_told():
    reader, writer = os.pipe()
    with Server(echo) as server, open(reader, "rb", 0) as said, Program(
            PROXY, "--threads", "1", "tcp://127.0.0.1:0", plain(server),
            stderr=writer) as program:
        while not (found := re.search(r" serves \S+:(\d+) to ",
                                      read_line(said))):
            pass
        fill(writer)
        os.close(writer)

        def is_served():
            with socket.create_connection(("127.0.0.1", int(found[1])),
                                          timeout=WAIT_S) as client:
                echoes(client)

        for signum in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP):
            program.signal(signum)
            for _ in range(3):
                is_served()
        os.set_blocking(reader, False)
        while said.read(65536):
            pass
        os.set_blocking(reader, True)
        program.signal(signal.SIGHUP)
        matches(read_line(said), r"^weir-proxy: \d+ lines before this were")
        matches(read_line(said), r"configuration was read again")
        is_served()


def test_connections_that_say_nothing_keep_nobody_out():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       plain(server)) as proxy:
        host, port = proxy.admin.split("/")[2].split(":")
        idle = []
        try:
            for _ in range(1500):  # by 64 in 5 s that would be two minutes
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex((host, int(port)))
                idle.append(client)
            equal(proxy.get("/healthz"), (200, "ok\n"), "the answer")
        finally:
            for client in idle:
                client.close()
        equal(proxy.get("/readyz"), (200, "ok\n"), "the answer after them")


# ---- words that are there twice ----

HEAD = "threads = 1\n[a]\nlisten = tcp://127.0.0.1:0\n"
BODY = HEAD + "to = tcp://127.0.0.1:1\n"

TWICE = (
    ("threads = 1\nthreads = 1\n", "threads", 2, 1),
    (BODY + "balance = leastconn\ntries = 1\nbalance = random\n", "balance",
     7, 5),
    (BODY + "weight = 1\nweight = 2\n", "weight", 6, 5),
    (HEAD + "idle-timeout = 1s\nto = tcp://127.0.0.1:1\nidle-timeout = 2s\n",
     "idle-timeout", 6, 4),
    (BODY + "check = tcp\ncheck = 2s\ncheck = http\n", "check", 7, 5),
    (BODY + "check = tcp\ncheck = 2s\ncheck = 3s\n", "check", 7, 6),
    (HEAD.replace("tcp", "tls") + "cert = x\nkey = y\nkey = z\n", "key", 6, 5),
    (HEAD + "name = b\nname = c\n", "name", 5, 4),
)

ONCE = (
    BODY + "weight = 1\nto = tcp://127.0.0.1:2\nweight = 2\n",
    BODY + "check = tcp\ncheck = 2s\n[b]\nlisten = tcp://127.0.0.1:0\n"
    "to = tcp://127.0.0.1:1\ncheck = 3s\ncheck = http\n",
    BODY + "max-conns = 1\nlisten = tcp://127.0.0.1:0\nmax-conns = 2\n"
    "name = c\nto = tcp://127.0.0.1:2\n",
    HEAD + "listen = tcp://127.0.0.1:0\naccept-proxy = any\n"
    "trust = 10.0.0.0/8\ntrust = unix\nto = tcp://127.0.0.1:1\n",
    HEAD.replace("tcp", "tls") + "balance = random\nroute = a.test\n"
    "balance = leastconn\npassthrough = on\nto = tcp://127.0.0.1:1\n"
    "route = b.test\nbalance = random\npassthrough = on\n"
    "to = tcp://127.0.0.1:1\n",
)


def test_a_word_that_is_there_twice_is_told_with_both_lines():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ini")
        for text, word, line, first in TWICE:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            outcome = command(PROXY, "-t", "--config", path)
            fails(outcome, f":{line}: '{word}' was said already, in \\S+ini:"
                  f"{first}$", 2)


def test_a_word_may_be_there_again_about_something_else():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ini")
        for text in ONCE:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            equal(command(PROXY, "-t", "--config", path).status, 0, text)
            equal(command(PROXY, "-t", "--config", path, "--threads",
                          "2").status, 0, "a flag counts instead")


run(globals())
