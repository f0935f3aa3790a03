"""The row of weir-load: the CPU time that a request costs the client itself.

nginx serves a small file from the page cache; weir-load and wrk load it in
turn, each in a closed loop on one thread of a CPU of its own. All of a client's
CPU time counts, from its start to its report, and all answers that it says it
had; wrk keeps a histogram too, and neither checks more than the status.
"""
import contextlib
import json
import os
import re
import tempfile

from compare import alternate, compare, is_chosen
from harness import DOCKER, Failure, Server, cpu_of, find_service

BODY_BYTES = 612
SECONDS = 1  # the minimum of wrk


def _weir(settings, url, conns):
    return [settings.weir_load, "-c", str(conns), "-d", f"{SECONDS}s", "-w",
            "0", "--json", url]


def _wrk(settings, url, conns):
    return ["wrk", "-t", "1", "-c", str(conns), "-d", f"{SECONDS}s", url]


def _count_weir(output):
    result = json.loads(output)
    if result["status"] != {"200": result["requests"]["ok"]}:
        raise Failure(f"weir-load had other answers: {result['status']}")
    return result["requests"]["ok"]


def count_wrk(output):
    if "Non-2xx" in output or "Socket errors" in output:
        raise Failure(f"wrk had errors: {output}")
    return int(re.search(r"(\d+) requests in", output).group(1))


CLIENTS = {"weir": (_weir, _count_weir), "wrk": (_wrk, count_wrk)}


@contextlib.contextmanager
def _measure(settings, name, folder, conns):
    with Server(settings, "nginx", "echo", ["--folder", folder]) as server:
        url = f"http://127.0.0.1:{server.port}/small"
        yield lambda: _request(settings, name, url, conns)


def _request(settings, name, url, conns):
    command, count = CLIENTS[name.removeprefix(DOCKER)]
    output, cpu_ns = cpu_of(settings, command(settings, url, conns),
                            is_confined=name.startswith(DOCKER))
    return {"cpu_ns": cpu_ns / count(output)}


def row_t18(settings, progress, row="T18", subject="weir"):
    """weir-load beside wrk, against nginx."""
    find_service("wrk")
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as beside:
        folder = os.path.join(beside, "files")
        os.mkdir(folder)
        with open(os.path.join(folder, "small"), "wb") as file:
            file.write(b"x" * BODY_BYTES)
        for conns in (50,):
            case = f"{BODY_BYTES} B, {conns} connections"
            if is_chosen(settings, case):
                yield from compare(row, case, alternate(
                    settings, progress, f"{row} {case}", [subject, "wrk"],
                    lambda name, c=conns: _measure(settings, name, folder, c),
                    weight=4), {"wrk": 0.83}, figure="us CPU/request", scale=1000)
