"""The rows of a proxy: the CPU time that weir-proxy takes for what passes
through, beside two services of the distribution and two bare loops.

Client and backend share a CPU, and the proxy has the other. The targets are
compared with the better of the services as they are by default, in bulk with
HAProxy with larger buffers. The bare loops have no target: they are the floor.
"""
import contextlib
import tempfile

from compare import alternate, better_of, compare, contenders, is_chosen
from harness import DOCKER, Server, load, tls_engine
from rows_tls import make_body, make_identity

SERVICES = ["haproxy", "nginx"]
TUNED = "haproxy_tuned"
COPYING = "weir_copying"
FLOOR = ["epoll", "uring"]
CHURN = ["--mode", "churn", "--sources", 200, "--conns", 50]
SHAKE = ["--mode", "handshakes", "--sources", 200, "--conns", 50]
REQUEST = ["--mode", "requests"]


class Case:
    """What one line of the table measures."""

    def __init__(self, name, client, target=None, **rest):
        self.name = name
        self.client = client
        self.target = target
        self.floor = rest.get("floor", {})  # targets against the bare loops
        self.beside = rest.get("beside", SERVICES)  # peers that the target applies to
        self.mode = rest.get("mode", "echo")  # of the backend
        self.size = rest.get("size")  # of the backend's file, or None
        self.is_tls = rest.get("is_tls", False)  # between client and proxy
        self.is_bulk = rest.get("is_bulk", False)  # is also measured without splice()
        self.figure = rest.get("figure", "us CPU/msg")


def _prepare(folder, case):
    """What else backend, proxy and client are told."""
    backend, proxy, client = [], [], []
    if case.size is not None:
        body = make_body(folder, case.size)
        backend += ["--file", body]
        client += ["--file", body, "--size", case.size]
    if case.is_tls:
        identity, trusted = make_identity(folder, "ecdsa")
        proxy += ["--identity", identity]
        client += ["--trusted", trusted]
    return backend, proxy, client


@contextlib.contextmanager
def _measure(settings, name, case, prepared):
    backend_extra, proxy_extra, client = prepared
    server = "epoll" if case.size is None else "epoll_file"
    with Server(settings, server, case.mode, backend_extra,
                cpus={settings.client_cpu}) as backend:
        with Server(settings, name, "proxy",
                    ["--to", str(backend.port), *proxy_extra]) as proxy:
            yield lambda: load(proxy, [*case.client, *client])


def _run_case(settings, progress, row, case, subject):
    peers = list(dict.fromkeys([*SERVICES, *case.beside]))
    names = contenders(settings, "proxy",
                       peers if case.is_tls else [*peers, *FLOOR], subject)
    if case.is_bulk:
        names.append(COPYING)
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        prepared = _prepare(folder, case)
        judged = case.beside if case.target else []
        return alternate(settings, progress, f"{row} {case.name}", names,
                         lambda name: _measure(settings, name, case, prepared),
                         judged=[*judged, *case.floor])


def _row(settings, progress, row, cases, subject="weir"):
    for case in cases:
        if not is_chosen(settings, case.name):
            continue
        pairs = _run_case(settings, progress, row, case, subject)
        better = better_of(pairs, case.beside)
        for result in compare(row, case.name, pairs,
                              {better: case.target, **case.floor},
                              figure=case.figure, scale=1000):
            if result.peer == better and len(case.beside) > 1:
                result.note = "the better"
            yield result


def row_t16(settings, progress):
    yield from _row(settings, progress, "T16", [
        Case(f"{text}, {conns} connections",
             ["--size", size, "--conns", conns], target)
        for text, size, target in (("1 KiB", 1024, 0.75), ("64 B", 64, None))
        for conns in (50, 1000)])


def row_t16_bulk(settings, progress):
    mib = 1 << 20
    yield from _row(settings, progress, "T16b", [
        Case("64 KiB, 50 connections", ["--size", 65536, "--conns", 50], 1.00,
             beside=[TUNED], is_bulk=True),
        Case("1 MiB, 4 connections", ["--size", mib, "--conns", 4], 1.00,
             beside=[TUNED], is_bulk=True),
        Case("1 MiB one way, 4 connections", ["--mode", "file", "--conns", 4],
             1.00, beside=[TUNED], size=mib, figure="us CPU/MiB",
             is_bulk=True)])


def row_t16_close(settings, progress):
    yield from _row(settings, progress, "T16c", [
        Case("connect, one request, client closes", CHURN, 0.90),
        Case("connect, one request, backend closes",
             [*CHURN, "--server-closes"], 0.90, mode="close")])


def row_t16_tls(settings, progress):
    # If all proxies use libssl, they can differ only in the work besides TLS.
    target = 0.90 if tls_engine(settings) == "OpenSSL" else 0.60
    yield from _row(settings, progress, "T16t", [
        Case("1 KiB answers, 50 connections", [*REQUEST, "--conns", 50], target,
             size=1024, is_tls=True),
        Case("1 MiB answers, 4 connections", [*REQUEST, "--conns", 4], target,
             size=1 << 20, is_tls=True, figure="us CPU/MiB"),
        Case("full handshake, ECDSA P-256", SHAKE, target, is_tls=True),
        Case("resumed handshake, TLS 1.3", [*SHAKE, "--resume"], target,
             is_tls=True)])


def row_t20_proxy(settings, progress):
    """T16 where io_uring is refused: the floor is a bare epoll loop."""
    yield from _row(settings, progress, "T20x", [
        Case(f"1 KiB, {conns} connections", ["--size", 1024, "--conns", conns],
             1.00, floor={"epoll": 1.05}) for conns in (50, 1000)],
        f"{DOCKER}weir")


def row_t20_proxy_close(settings, progress):
    """T16c, as well."""
    yield from _row(settings, progress, "T20y", [
        Case("connect, one request, client closes", CHURN, 1.00,
             floor={"epoll": 1.05}),
        Case("connect, one request, backend closes",
             [*CHURN, "--server-closes"], 1.00, mode="close",
             floor={"epoll": 1.05})], f"{DOCKER}weir")
