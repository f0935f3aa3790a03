"""Targets of weir-proxy's checks, and how they are made: another port with TLS that
traffic does not have, another machine or a Unix socket, a PROXY header, and targets
that are checked differently from their route, or not at all."""

import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import tempfile
import threading

from harness import equal, is_sanitized, matches, run
from manual import page
from proxy_certificates import Secured, certificates, make_certificate
from proxy_checks_peers import BAD, GOOD
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, target, told, use
from servers import Server, echo

LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"


class Rest:
    """Answers requests of checks, like Patroni's REST API, and keeps everything it
    receives."""

    def __init__(self, answer=GOOD):
        self.answer = answer
        self.said = []

    def __call__(self, connection, _number):
        said = b""
        while b"\r\n\r\n" not in said.replace(LOCAL, b""):
            data = connection.recv(4096)
            if not data:
                return
            said += data
        self.said.append(said)
        connection.sendall(self.answer)


class Local(Server):
    """A server at a Unix socket."""

    def __init__(self, serve, path):
        super().__init__(serve)
        self.listener.close()
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()

    def work(self, connection, number):
        with contextlib.suppress(OSError), connection:
            self.serve(connection, number)


def checks(*flags, kind="http"):
    """Returns flags for checks that do not fail because a machine is slow."""
    return ("tcp://127.0.0.1:0", "--check", kind, "--check", "20ms",
            "--check-timeout", "60s", *flags)


# ---- TLS ----

def test_a_check_may_have_tls_where_traffic_has_none():
    """Like an API server's port, whose traffic is not decrypted."""
    rest = Rest()
    with Server(echo) as server, Secured(rest, "a") as checked:
        port = ("--check-port", str(checked.port), "--check-tls", "on")
        ca = ("--check-ca", certificates()["ca"])
        with Proxy(*checks(*port, *ca, "--check-name", "a.test"),
                   target(server)) as proxy:
            use(proxy, 2)
        matches(rest.said[0].decode(), f"Host: a.test:{checked.port}\r\n")
        with Proxy(*checks(*port, *ca), target(server)) as proxy:
            use(proxy)  # the certificate names the address, too
        with Proxy(*checks(*port, "--check-insecure"),
                   target(server)) as proxy:
            use(proxy, 2)
        with Proxy(*checks(*port, *ca, "--check-name", "b.test"),
                   target(server)) as proxy:
            matches(told(proxy, " is down"), f"{target(server)} is down: .*name")
            expect_reset(proxy)
            proxy.stop_by(["no-target"])
        with Proxy(*checks(*port), target(server)) as proxy:
            told(proxy, " is down")
            expect_reset(proxy)
            proxy.stop_by(["no-target"])


def test_a_target_with_tls_may_be_checked_by_other_authorities():
    rest = Rest()
    make_certificate("else", "Another Authority")
    other = make_certificate("elsewhere", "a.test", "else")
    made = certificates()
    made["elsewhere"] = other
    with Secured(echo, "a") as server, Secured(rest, "elsewhere") as checked:
        flags = ("--check-port", str(checked.port), "--check-tls", "as-target",
                 "--to-ca", made["ca"], "--to-name", "a.test",
                 f"tls://127.0.0.1:{server.port}")
        authority = os.path.join(os.path.dirname(other), "else.crt")
        with Proxy(*checks("--check-ca", authority, *flags)) as proxy:
            use(proxy, 2)
        with Proxy(*checks(*flags)) as proxy:
            told(proxy, " is down")


def test_the_authorities_of_checks_are_read_again():
    """Even in a sandbox, whose files have been replaced."""
    rest = Rest()
    folder = os.path.dirname(certificates()["ca"])
    path = os.path.join(folder, "checked.crt")
    for flags in ((), ("--sandbox",)):
        if flags and is_sanitized(PROXY):
            break
        shutil.copy(make_certificate("else", "Another Authority"), path)
        with Server(echo) as server, Secured(rest, "a") as checked, Proxy(
                *checks("--check-port", str(checked.port), "--check-tls", "on",
                        "--check-ca", path, *flags),
                target(server)) as proxy:
            told(proxy, " is down")
            shutil.copy(os.path.join(folder, "ca.crt"), path + ".new")
            os.rename(path + ".new", path)
            proxy.signal(signal.SIGHUP)
            wait_until(lambda: proxy.metric("upstream_up") == 1)
            use(proxy, 2)


# ---- places ----

def test_a_check_may_go_to_another_place():
    rest = Rest()
    with Server(echo) as one, Server(echo) as other, Server(echo) as third, \
            tempfile.TemporaryDirectory() as folder, \
            Local(rest, os.path.join(folder, "rest")) as local, \
            Server(Rest(BAD)) as bad, Secured(rest, "a") as secured:
        with Proxy(*checks("--check-ca", certificates()["ca"]),
                   target(one), "--check-at", f"unix:{local.path}",
                   "--to", target(other), "--check-at",
                   f"tcp://localhost:{bad.port}",
                   "--to", target(third), "--check-at",
                   f"tls://:{secured.port}", threads=2) as proxy:
            wait_until(lambda: len(rest.said) > 10)
            use(proxy, 10)
            equal(other.accepted, 0, "its place says 503")
            equal((one.accepted, third.accepted), (5, 5), "connections")
            hosts = {said.split(b"\r\n")[1] for said in rest.said}
            equal(hosts, {b"Host: localhost",
                          f"Host: 127.0.0.1:{secured.port}".encode()}, "hosts")


# ---- headers ----

def first_check(*flags):
    """Returns what a check sends to the target, and its port."""
    rest = Rest()
    with Server(rest) as server, Proxy(*checks(*flags),
                                       target(server)) as proxy:
        wait_until(lambda: proxy.metric("upstream_checks_total") > 0)
        equal(proxy.metric("upstream_up"), 1, "targets that are up")
    return rest.said[0], server.port


def test_a_check_begins_with_the_header_of_connections():
    """LOCAL, because there is no client."""
    said, _ = first_check("--send-proxy", "v2")
    equal(said[:20], LOCAL + b"GET ", "the check")
    said, port = first_check("--send-proxy", "v1")
    matches(said.decode(), r"PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ "
                           f"{port}\r\nGET /")
    said, _ = first_check("--send-proxy", "v1", "--check-proxy", "off")
    equal(said[:5], b"GET /", "the check")


def test_a_header_goes_before_the_tls_of_a_check():
    said = []
    secured = Secured(Rest(), "a")

    def serve(connection, number):
        header = connection.recv(len(LOCAL), socket.MSG_WAITALL)
        said.append(header)
        secured.serve_secured(connection, number)

    with contextlib.closing(secured.listener), Server(serve) as server:
        for kind in ("http", "tls", "tcp"):
            said.clear()
            with Proxy(*checks("--send-proxy", "v2", "--to-ca",
                               certificates()["ca"], kind=kind),
                       f"tls://127.0.0.1:{server.port}") as proxy:
                wait_until(lambda: proxy.metric("upstream_checks_total") > 3)
                equal(proxy.metric("upstream_checks_failed_total"), 0, kind)
                equal(LOCAL in said, True, f"before TLS, or alone: {kind}")


# ---- one target ----

def test_a_target_may_be_checked_alone_and_fall_at_once():
    rest = Rest(BAD)
    with Server(rest) as bad, Server(echo) as good, Proxy(
            *checks("--check", "60s", "--unchecked", "use"), target(bad),
            "--target-check", "20ms", "--target-fall", "1", "--target-rise", "1",
            "--to", target(good), "--target-check", "off") as proxy:
        told(proxy, f"{target(bad)} is down")
        use(proxy, 2)
        rest.answer = GOOD
        wait_until(lambda: proxy.metric("upstream_up") == 2)


def test_the_number_of_checks_does_not_grow_with_threads():
    """A check is answered late, and the next one starts when it is over."""
    lock = threading.Lock()
    under_way = []

    def serve(connection, number):
        if not connection.recv(4096):
            return
        with lock:
            under_way.append(len(under_way) - len(answered))
        threading.Event().wait(0.03)
        with lock:
            answered.append(number)
        connection.sendall(GOOD)

    answered = []
    with Server(serve) as server, Proxy(
            *checks("--check-port", str(server.port)), target(server),
            threads=8) as proxy:
        wait_until(lambda: len(answered) >= 30)
        equal(max(under_way), 0, "others under way when a check begins")
        with lock:
            seen = len(answered)
        wait_until(lambda: proxy.metric("upstream_checks_total") >= seen)


# ---- what a check says and hears ----

def manual_example(word):
    """Returns the flags of the manual's example that contains this word."""
    text = next(part for part in re.findall(
        r"^\.Bd -literal.*?\n(.*?)^\.Ed", page("weir-proxy.1"), re.M | re.S)
        if word in part)
    pairs = re.findall(r"^([\w-]+) = (.*)$", text.replace("\\e", "\\"), re.M)
    return [flag for name, value in pairs
            for flag in (f"--{name}", value.strip('"'))]


def test_the_manuals_check_of_a_mail_server_waits_for_the_whole_greeting():
    """Postfix refuses clients that send before the greeting."""
    early = []
    heard = threading.Event()

    def serve(connection, _number):
        connection.sendall(b"220-mx ESMTP\r\n")
        connection.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            early.append(connection.recv(100))
        connection.settimeout(None)
        connection.sendall(b"220 mx ESMTP\r\n")
        if connection.recv(100) == b"QUIT\r\n":
            connection.sendall(b"221 bye\r\n")
            heard.set()

    with Server(serve) as server, Proxy(
            *checks(*manual_example("QUIT"), "--check", "20ms"),
            target(server)) as proxy:
        wait_until(heard.is_set)
        wait_until(lambda: proxy.metric("upstream_checks_total") > 0)
        equal(early, [], "what came before the greeting had ended")


def error_of_mysql(words):
    return struct.pack("<IBH", 3 + len(words), 0xff, 1040) + words


FATAL = (b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0"
         b"Fpostmaster.c\0\0")
WRONG = (
    ("postgres:u", b"E" + struct.pack("!I", 4 + len(FATAL)) + FATAL,
     "Protocol error: '57P03: the database system is starting up'"),
    ("postgres:u", b"E\0\0\0\x08C\0Ma", "Protocol error: 'a'"),
    ("mysql:u", error_of_mysql(b"Too many\x1b connections"),
     r"error 1040 of MySQL: Too many\? connections"),
    ("mysql:u", error_of_mysql(b"#08004No room"),
     "error 1040 of MySQL: No room"),
    ("text", b"-LOADING " + b"x" * 500 + b"\r\n",
     "Protocol error: '-LOADING x{118}'"),
    ("http", b"SSH-2.0-x\r\nmore", "Protocol error: 'SSH-2.0-x'"),
)


def test_the_reason_of_a_wrong_answer_is_told():
    for kind, answer, reason in WRONG:
        expect = ("--check-expect", "^+PONG") if kind == "text" else ()
        with Server(lambda connection, _number, answer=answer:
                    connection.sendall(answer) or connection.recv(9999)
                    ) as server, Proxy(*checks(*expect, kind=kind),
                                       target(server)) as proxy:
            matches(told(proxy, " is down"), f"is down: {reason}$")


run(globals())
