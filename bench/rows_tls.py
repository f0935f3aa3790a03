"""The rows of TLS: handshakes, small answers and bulk, beside two services of
the distribution, and beside OpenSSL on bare epoll.

The target is compared with the better of the services. The bare loop shows what
OpenSSL costs without them, and has a target where weir is built on it as well.
"""
import contextlib
import os
import random
import string
import subprocess
import tempfile
import time

from compare import (Result, alternate, better_of, compare, contenders, is_chosen,
                     once)
from harness import (COMMANDS, DOCKER, Client, Failure, Server, load, serving,
                     tls_engine)

SERVICES = ["nginx", "haproxy"]
SMALL = 1 << 10
BULK = 1 << 20
SHAKE = ["--mode", "handshakes", "--sources", 200, "--conns", 50]
RESUME = SHAKE + ["--resume"]
REQUEST = ["--mode", "requests"]


class Case:
    """What one line of the table measures."""

    def __init__(self, name, client, kind="ecdsa", size=SMALL, bare=1.05):
        self.name = name
        self.client = client
        self.kind = kind  # type of the server's key
        self.size = size  # bytes of an answer
        self.bare = bare  # target against the bare loop, for weir on OpenSSL
        self.has_tickets = "--resume" in client
        self.figure = "us CPU/MiB" if size == BULK else "us CPU/msg"


def make_identity(folder, kind):
    """A certificate that signs itself, with its key; and without."""
    algorithm = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
                 "rsa": ["rsa:2048"]}[kind]
    key, trusted, identity = (os.path.join(folder, f"{kind}.{part}")
                              for part in ("key", "crt", "pem"))
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-sha256",
         "-days", "30", "-subj", "/CN=bench", "-keyout", key, "-out", trusted],
        capture_output=True, check=False)
    if made.returncode != 0:
        raise Failure(f"openssl req: {made.stderr.decode().strip()}")
    with open(identity, "wb") as file:
        for part in (trusted, key):
            with open(part, "rb") as source:
                file.write(source.read())
    return identity, trusted


def make_body(folder, size):
    """A file of letters, which a configuration can hold as text."""
    path = os.path.join(folder, "body")
    letters = random.Random(size).choices(string.ascii_letters, k=size)
    with open(path, "w", encoding="ascii") as file:
        file.write("".join(letters))
    return path


@contextlib.contextmanager
def _measure(settings, name, case, server_extra, client):
    def take():
        report = load(server, client)
        if report["tickets"] > 0 and not case.has_tickets:
            raise Failure(f"{name} sends tickets, which costs it something")
        return report

    with Server(settings, name, "echo", server_extra) as server:
        yield take


def _run_case(settings, progress, names, row, case, judged):
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        identity, trusted = make_identity(folder, case.kind)
        body = make_body(folder, case.size)
        extra = ["--file", body, "--identity", identity]
        if case.has_tickets:
            extra.append("--tickets")
        client = [*case.client, "--trusted", trusted, "--file", body,
                  "--size", case.size]
        return alternate(
            settings, progress, f"{row} {case.name}", names,
            lambda name: _measure(settings, name, case, extra, client),
            judged=judged)


def _row(settings, progress, row, cases, subject="weir_tls"):
    names = contenders(settings, "echo", [*SERVICES, "openssl"], subject)
    for case in cases:
        if not is_chosen(settings, case.name):
            continue
        targets = {}
        if tls_engine(settings) == "OpenSSL":
            targets["openssl"] = case.bare
        pairs = _run_case(settings, progress, names, row, case,
                          [*SERVICES, *targets])
        better = better_of(pairs, SERVICES)
        targets[better] = 1.00
        for result in compare(row, case.name, pairs, targets,
                              figure=case.figure, scale=1000):
            if result.peer == better:
                result.note = "the better"
            yield result


def row_t11(settings, progress):
    yield from _row(settings, progress, "T11", [
        Case("full handshake, ECDSA P-256", SHAKE),
        Case("full handshake, RSA 2048", SHAKE, kind="rsa")])


def row_t11_resumed(settings, progress):
    yield from _row(settings, progress, "T11r", [
        Case("resumed handshake, TLS 1.3", RESUME),
        Case("resumed handshake, TLS 1.2", RESUME + ["--tls12"])])


def row_t11_data(settings, progress):
    yield from _row(settings, progress, "T11d", [
        Case("1 KiB answers, 50 connections", REQUEST + ["--conns", 50],
             bare=1.08),
        Case("1 MiB answers, 4 connections", REQUEST + ["--conns", 4],
             size=BULK, bare=1.10)])


def row_t20_tls(settings, progress):
    """The rows of TLS 1.3 where io_uring is refused."""
    yield from _row(settings, progress, "T20t", [
        Case("full handshake, ECDSA P-256", SHAKE),
        Case("resumed handshake, TLS 1.3", RESUME),
        Case("1 KiB answers, 50 connections", REQUEST + ["--conns", 50],
             bare=1.08),
        Case("1 MiB answers, 4 connections", REQUEST + ["--conns", 4],
             size=BULK, bare=1.10)], f"{DOCKER}weir_tls")


IDLE_COUNT = 1000
IDLE_WARM = 100
IDLE_TARGET = 12 * 1024


def _idle_bytes(settings, name, extra, client):
    """The memory of the process for a connection that has had an answer."""
    with Server(settings, name, "echo", extra) as server:
        opened = []
        before = 0
        for count in (IDLE_WARM, IDLE_COUNT):
            before = server.resident_bytes()
            opened.append(Client(server, ["--mode", "tls-idle", "--conns", count,
                                          *client], 0, 600000))
            opened[-1].wait_ready()
        time.sleep(0.5)
        taken = server.resident_bytes() - before
        for holder in opened:
            holder.finish()
    return {"bytes": max(taken, 1) / IDLE_COUNT}


def row_t8_tls(settings, progress):
    """Idle connections over TLS, by the engine of this build."""
    names = contenders(settings, "echo", ["openssl", *SERVICES], "weir_tls")
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        identity, trusted = make_identity(folder, "ecdsa")
        body = make_body(folder, SMALL)
        memory = {}
        for name in names:
            progress(f"T8t {IDLE_COUNT} idle connections of {name}")
            lean = ["--lean"] if name == "openssl" else []
            memory[name] = _idle_bytes(
                settings, name, [*lean, "--file", body, "--identity", identity],
                ["--trusted", trusted, "--file", body, "--size", SMALL])
    case = f"{IDLE_COUNT} idle connections, TLS 1.3"
    yield Result("T8t", f"{case}, {tls_engine(settings)}", "B/connection",
                 (memory[names[0]]["bytes"], None, None), target=IDLE_TARGET)
    yield from compare("T8t", case, once(memory), {}, key="bytes",
                       figure="B/connection", is_sampled=False)


def row_t17_tls(settings, progress):
    """Full handshakes on two loops, beside one."""

    def measure(loops, identity, trusted):
        cpus = {settings.server_cpu, settings.client_cpu}
        return serving(settings, "weir_https", "https",
                       ["--threads", str(loops), "--cert", identity],
                       [*SHAKE, "--trusted", trusted],
                       cpus=cpus if loops == 2 else None)

    loops = {"weir": 2, "one loop": 1}
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        identity, trusted = make_identity(folder, "ecdsa")
        pairs = alternate(
            settings, progress, "T17t", list(loops),
            lambda name: measure(loops[name], identity, trusted))
    yield from compare("T17t", "full handshake, ECDSA P-256", pairs,
                       {"one loop": 1.15}, figure="us CPU/msg", scale=1000)


def _serve_https(settings, _name, port, extra):
    return [settings.weir_load, "serve", "--tickets", "off", *extra,
            f"https://127.0.0.1:{port}"]


COMMANDS["https"] = _serve_https
