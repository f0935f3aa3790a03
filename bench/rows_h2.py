"""The row of weir-load over HTTP/2: the CPU time that a request costs the
client itself, beside h2load.

nginx serves a small file, in the clear by prior knowledge, or by TLS 1.3 with
one cipher. Each client makes a fixed number of requests in a closed loop, on
one thread of a CPU of its own; all of its CPU time counts, from its start to
its report. weir-load runs on io_uring and on epoll.
"""
import contextlib
import json
import os
import re
import subprocess
import tempfile

from compare import alternate, compare, is_chosen
from harness import Failure, Server, cpu_of, find_service
from rows_tls import make_identity

BODY_BYTES = 13
SHAPES = [(1, 1), (1, 100), (10, 10), (100, 1), (128, 128)]
# Many requests, because starting takes each program about 10 ms.
REQUESTS = 150_000
REQUESTS_ONE_BY_ONE = 30_000
TARGET = 0.8
TARGET_ONE_BY_ONE = 1.0
ONE_CIPHER = "TLS_AES_128_GCM_SHA256"


def weir_command(program, engine, url, shape, count):
    """On one thread, without a warm-up, as the other has none, and with one
    interval, as a tool that counts makes a run long."""
    return [find_service("env"), f"WEIR_ENGINE={engine}", program, "--http2",
            "-c", str(shape[0]), "-p", str(shape[1]), "-t", "1", "-w", "0",
            "-n", str(count), "-i", "60s", "--timeout", "15m", "--json=-",
            *(["-k"] if url.startswith("https") else []), url]


def h2load_command(url, shape, count):
    return [find_service("h2load"), "-c", str(shape[0]), "-m", str(shape[1]),
            "-t", "1", "-n", str(count), url]


def check_weir(output, count):
    result = json.loads(output)
    if result["status"] != {"200": count}:
        raise Failure(f"weir-load had other answers: {result['status']}")


def check_h2load(output, count):
    if not re.search(rf"\b{count} succeeded, 0 failed", output):
        raise Failure(f"h2load had other answers: {output}")


def command_of(settings, name, url, shape, count):
    """What a contender is called as, and what looks at its output."""
    if name == "h2load":
        return h2load_command(url, shape, count), check_h2load
    engine = "poll" if name == "weir_poll" else "uring"
    return weir_command(settings.weir_load, engine, url, shape,
                        count), check_weir


def requests_of(shape):
    return REQUESTS_ONE_BY_ONE if shape == (1, 1) else REQUESTS


@contextlib.contextmanager
def _measure(settings, name, extra, shape):
    scheme = "https" if "--identity" in extra else "http"
    count = requests_of(shape)
    with Server(settings, "nginx", "echo", extra) as server:
        command, check = command_of(
            settings, name, f"{scheme}://127.0.0.1:{server.port}/small", shape,
            count)
        yield lambda: _request(settings, command, check, count)


def _request(settings, command, check, count):
    output, cpu_ns = cpu_of(settings, command, stderr=subprocess.STDOUT
                            if "h2load" in command[0] else None)
    check(output, count)
    return {"cpu_ns": cpu_ns / count}


def _case(settings, progress, text, extra, shape):
    target = TARGET_ONE_BY_ONE if shape[1] == 1 else TARGET
    for name, case in (("weir", text), ("weir_poll", f"{text}, on epoll")):
        pairs = alternate(settings, progress, f"T22 {case}", [name, "h2load"],
                          lambda who: _measure(settings, who, extra, shape),
                          weight=3)
        yield from compare("T22", case, pairs, {"h2load": target},
                           figure="us CPU/request", scale=1000)


def make_small(folder):
    files = os.path.join(folder, "files")
    os.mkdir(files)
    with open(os.path.join(files, "small"), "wb") as file:
        file.write(b"x" * BODY_BYTES)
    return ["--folder", files, "--http2"]


def row_t22(settings, progress):
    """weir-load beside h2load, against nginx."""
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        clear = make_small(folder)
        identity, _ = make_identity(folder, "ecdsa")
        secure = [*clear, "--identity", identity, "--cipher", ONE_CIPHER]
        for words, extra in (("h2c", clear), ("TLS 1.3", secure)):
            for shape in SHAPES:
                text = f"{words}, {shape[0]} x {shape[1]}"
                if is_chosen(settings, text):
                    yield from _case(settings, progress, text, extra, shape)
