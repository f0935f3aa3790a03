"""The rows of servers that people recognise: the examples of tools/examples
beside the services that they stand for, one process each.

The clients are those that the services are measured with, on a CPU of their
own. The figure is the server's CPU time for each request, from before the
client's start to after its end. Nobody says that an example does all that the
service does: it is what is left when a protocol is all there is.
"""
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time

from compare import alternate, compare, contenders, is_chosen
from harness import COMMANDS, HERE, Failure, Server, find_service, prepare
from rows_load import count_wrk

LIMIT_S = 60
SECONDS = 1  # of a slice, the minimum of these clients
WEIGHT = 4  # of a comparison, because its slices are long


def _command(example, service):
    """The function that COMMANDS has for a mode: weir's example or a service."""

    def command(settings, name, port, extra):
        if name == "weir":
            return [settings.examples + example, str(port), *extra]
        find_service(service)
        return [sys.executable, os.path.join(HERE, "serve_service.py"),
                "--service", name, *extra, str(port)]

    return command


def _cpu_ns(pid):
    """The time that a process has had on processors, by its CPU clock."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def _measure(settings, server, client, count_of):
    """The server's CPU time for each of the requests that the client counts."""
    before = _cpu_ns(server.pid)
    done = subprocess.run(client, capture_output=True, text=True, check=False,
                          timeout=LIMIT_S,
                          preexec_fn=prepare({settings.client_cpu}))
    cpu_ns = _cpu_ns(server.pid) - before
    if done.returncode != 0:
        raise Failure(f"{client[0]} ended with {done.returncode}: "
                      f"{done.stderr.strip()}")
    return {"cpu_ns": cpu_ns / count_of(done.stdout)}


def _files_command(settings, name, port, extra):
    """A server of the folder that extra names."""
    folder, = extra or ["."]
    if name == "weir":
        return [find_service("env"), "-C", folder, settings.examples + "http_file_server",
                str(port)]
    find_service("nginx")
    return [sys.executable, os.path.join(HERE, "serve_nginx.py"), "--folder",
            folder, str(port)]


COMMANDS["files"] = _files_command


def _names_command(settings, name, port, extra):
    """A forwarder to the port that extra names, or a server of a name."""
    if name == "weir":
        return [settings.examples + "dns_forwarder", str(port), "127.0.0.1",
                *extra]
    find_service("dnsmasq")
    return [sys.executable, os.path.join(HERE, "serve_service.py"),
            "--service", name, *(f"--to={to}" for to in extra), str(port)]


COMMANDS["names"] = _names_command
COMMANDS["socks"] = _command("socks5_server", "microsocks")
COMMANDS["redis"] = _command("redis_server", "redis-server")


def row_redis(settings, progress):
    """redis-benchmark's GET and SET, one by one and in pipelines of 16."""
    client = find_service("redis-benchmark")
    names = contenders(settings, "redis", ["redis"])

    @contextlib.contextmanager
    def measure(name, verb, depth):
        count = SECONDS * (40_000 if depth == 1 else 400_000)
        with Server(settings, name, "redis") as server:
            yield lambda: _measure(
                settings, server,
                [client, "-p", str(server.port), "-n", str(count), "-c", "50",
                 "-P", str(depth), "-r", "10000", "-d", "100", "-t", verb,
                 "--csv"],
                lambda output: _check_benchmark(output, verb) and count)

    for verb in ("get", "set"):
        for depth, target in ((1, 1.0), (16, 1.0)):
            case = f"{verb.upper()} of 100 B, 50 connections x {depth}"
            if is_chosen(settings, case):
                yield from compare("redis", case, alternate(
                    settings, progress, f"redis {case}", names,
                    lambda name, v=verb, d=depth: measure(name, v, d),
                    weight=WEIGHT), {"redis": target}, figure="us CPU/request", scale=1000)


def _check_benchmark(output, verb):
    if not re.search(rf'^"{verb.upper()}","\d', output, re.M):
        raise Failure(f"redis-benchmark says: {output.strip()}")
    return True


FILE_SIZES = ((612, "612 B"), (16384, "16 KiB"))


def row_files(settings, progress):
    """wrk's GET of a small file, over connections that stay."""
    client = find_service("wrk")
    names = contenders(settings, "files", ["nginx"])

    @contextlib.contextmanager
    def measure(name, folder, size):
        with Server(settings, name, "files", [folder]) as server:
            yield lambda: _measure(settings, server, [
                client, "-t", "1", "-c", "50", "-d", f"{SECONDS}s",
                f"http://127.0.0.1:{server.port}/{size}"], count_wrk)

    with tempfile.TemporaryDirectory(prefix="weir-bench-") as beside:
        folder = os.path.join(beside, "files")
        os.mkdir(folder)
        for size, text in FILE_SIZES:
            with open(os.path.join(folder, str(size)), "wb") as file:
                file.write(os.urandom(size))
            case = f"a file of {text}, 50 connections"
            if is_chosen(settings, case):
                yield from compare("files", case, alternate(
                    settings, progress, f"files {case}", names,
                    lambda name, n=size: measure(name, folder, n),
                    weight=WEIGHT), {"nginx": 1.0}, figure="us CPU/request", scale=1000)


def _curl(server, origin, conns, target, *flags):
    """curl through the proxy, to a web server."""
    return [find_service("curl"), "-sSf", "--noproxy", "", "-Z",
            "--parallel-max", str(conns), "--socks5",
            f"127.0.0.1:{server.port}", "-o", os.devnull, *flags,
            f"http://127.0.0.1:{origin.port}/{target}"]


def row_socks(settings, progress):
    """curl through a SOCKS5 proxy, to nginx: connections, and bytes."""
    names = contenders(settings, "socks", ["microsocks"])
    requests, files, mib = 1500, 16, 64

    @contextlib.contextmanager
    def measure(name, folder, client, count):
        with Server(settings, "nginx", "echo", ["--folder", folder],
                    cpus={settings.client_cpu}) as origin:
            with Server(settings, name, "socks") as server:
                yield lambda: _measure(settings, server, client(server, origin),
                                       lambda _: count)

    with tempfile.TemporaryDirectory(prefix="weir-bench-") as beside:
        folder = os.path.join(beside, "files")
        os.mkdir(folder)
        for name, size in (("small", 612), ("large", mib << 20)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(bytes(size))
        for case, count, figure, client in (
                ("connect, a request of 612 B, close", requests,
                 "us CPU/connection", lambda server, origin: _curl(
                     server, origin, 50, f"small?[1-{requests}]", "-H",
                     "Connection: close")),
                (f"{mib} MiB to 4 clients", files * mib, "us CPU/MiB",
                 lambda server, origin: _curl(
                     server, origin, 4, f"large?[1-{files}]"))):
            if is_chosen(settings, case):
                yield from compare("socks", case, alternate(
                    settings, progress, f"socks {case}", names,
                    lambda name, c=client, n=count: measure(
                        name, folder, c, n), weight=WEIGHT), {"microsocks": 1.0},
                    figure=figure, scale=1000)


def _count_answers(output):
    answers = int(re.search(r"Queries completed:\s+(\d+)", output)[1])
    if f"NOERROR {answers} (" not in output:
        raise Failure(f"dnsperf had other answers: {output}")
    return answers


def row_names(settings, progress):
    """dnsperf through a forwarder, to dnsmasq."""
    client = find_service("dnsperf")
    names = contenders(settings, "names", ["dnsmasq"])

    @contextlib.contextmanager
    def measure(name, questions):
        with Server(settings, "dnsmasq", "names",
                    cpus={settings.client_cpu}) as behind:
            with Server(settings, name, "names", [str(behind.port)]) as server:
                yield lambda: _measure(settings, server, [
                    client, "-s", "127.0.0.1", "-p", str(server.port), "-d",
                    questions, "-l", str(SECONDS), "-c", "10", "-q", "100"],
                    _count_answers)

    with tempfile.NamedTemporaryFile("w", prefix="weir-bench-") as file:
        file.writelines(f"a{i}.weir.test A\n" for i in range(1000))
        file.flush()
        yield from compare("names", "forwarding, 100 questions in flight", alternate(
            settings, progress, "names", names,
            lambda name: measure(name, file.name), weight=WEIGHT), {"dnsmasq": 1.0},
            figure="us CPU/question", scale=1000)
