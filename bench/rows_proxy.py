"""The rows of a proxy: the CPU time that weir-proxy takes for what passes
through, beside two services of the distribution and two bare loops.

Client and backend share a CPU, and the proxy has the other. The targets are
compared with the better of the services as they are by default, in bulk with
HAProxy with larger buffers. The bare loops have no target: they are the floor.
"""
from compare import better_of, compare, contenders, is_chosen, rounds
from harness import Client, Failure, Server

SERVICES = ["haproxy", "nginx"]
TUNED = "haproxy_tuned"
FLOOR = ["epoll", "uring"]
CHURN = ["--mode", "churn", "--sources", 200, "--conns", 50]


class Case:
    """What one line of the table measures."""

    def __init__(self, name, client, target=None, peers=None, **rest):
        self.name = name
        self.client = client
        self.target = target
        self.peers = SERVICES if peers is None else peers
        self.backend = rest.get("backend", "epoll")
        self.backend_mode = rest.get("backend_mode", "echo")
        self.figure = rest.get("figure", "us CPU/msg")


def _measure(settings, name, case):
    with Server(settings, case.backend, case.backend_mode,
                cpu=settings.client_cpu) as backend:
        with Server(settings, name, "proxy",
                    ["--to", str(backend.port)]) as proxy:
            report = Client(proxy, case.client).finish()
    if report["messages"] == 0:
        raise Failure(f"{name}: no message in the window")
    report["cpu_ns"] = report["server_cpu_ns"] / report["messages"]
    return report


def _row(settings, progress, row, cases):
    if settings.subject != "weir":
        raise Failure("only weir-proxy stands in its place here")
    for case in cases:
        if not is_chosen(settings, case.name):
            continue
        peers = list(dict.fromkeys([*SERVICES, *case.peers, *FLOOR]))
        names = contenders(settings, "proxy", peers)
        reports = rounds(settings, progress, f"{row} {case.name}", names,
                         lambda name, c=case: _measure(settings, name, c))
        better = better_of(reports, case.peers)
        for result in compare(row, case.name, reports, {better: case.target},
                              figure=case.figure, scale=1000):
            if result.peer == better and len(case.peers) > 1:
                result.note = "the better"
            yield result


def row_t16(settings, progress):
    yield from _row(settings, progress, "T16", [
        Case(f"{text}, {conns} connections",
             ["--size", size, "--conns", conns], target)
        for text, size, target in (("1 KiB", 1024, 0.75), ("64 B", 64, None))
        for conns in (50, 1000)])


def row_t16_bulk(settings, progress):
    yield from _row(settings, progress, "T16b", [
        Case("64 KiB, 50 connections", ["--size", 65536, "--conns", 50], 1.00,
             [TUNED]),
        Case("1 MiB, 4 connections", ["--size", 1048576, "--conns", 4], 1.00,
             [TUNED])])


def row_t16_close(settings, progress):
    yield from _row(settings, progress, "T16c", [
        Case("connect-request-close, client first", CHURN, 0.90),
        Case("connect-request-close, backend first",
             [*CHURN, "--server-closes"], 0.90, backend_mode="close")])
