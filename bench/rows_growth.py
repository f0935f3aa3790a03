"""Growth: what one of many costs, by counts, where there are more of them.

A count for a message, a connection, a target or a timer is the same for few and
for many unless something walks all of them. So each figure is a ratio to the least
of those of fewer, and the target is 1.10. Counts need no quiet machine: instructions of
the process are callgrind's, system calls and entries are the loop's own account or
strace's. These rows run for minutes, so they are run when they are asked for.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from compare import Result, is_chosen
from counted import (callgrind_alone, read_callgrind, read_strace,
                     strace)
from harness import (Client, Failure, Server, find_port, find_service,
                     program_path)

FLAT = 1.10
CONNECTIONS = (100, 1000, 10000, 18000)
FILES_BESIDE = 200  # open files of a process besides connections
# Lengths in seconds of two runs whose difference is used; many connections open slowly.
WINDOWS = {100: (0.5, 2), 1000: (1, 3), 10000: (8, 14), 18000: (15, 30)}
NORMAL_MS = 2000  # a longer --slice, for a busy machine, lengthens the runs
# How many events share a call depends on the client's pace, not on weir, so these
# figures are shown without a ratio.
NOT_FLAT = ("system calls/msg",)


def _curve(row, case, figure, points):
    """Results of a curve: each beside the least of those of fewer, so that growth
    is seen behind a fall. What is the difference of two runs may be a little below
    zero."""
    least = None
    for x, value in points:
        value = max(value, 0.0)
        least = value if least is None else least
        flat = value / least if least and figure not in NOT_FLAT else None
        yield Result(row, case, figure, (value, least, flat), x=x,
                     target=None if x == points[0][0] or flat is None
                     else FLAT,
                     ratios=[] if flat is None else [flat])
        least = min(least, value)


def _fail_for(lost):
    """A size that could not be counted fails the row, once the rest is there."""
    if lost:
        raise Failure("; ".join(lost))


# ---- connections ----

def _read_nothing(_path):
    return {}


def _echo_counts(settings, name, conns, window, how):
    """Counts of a server that echoes for so many seconds, and its messages."""
    tool, read, extra, cpus = how
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as work:
        path = os.path.join(work, "counts")
        with Server(settings, name, "echo", extra, own=tool is None,
                    under=tool(path) if tool else (), cpus=cpus) as server:
            report = Client(server, ["--size", 128, "--conns", conns], 0,
                            int(window * 1000)).finish()
            counts = server.statistics() if tool is None else {}
        return counts | read(path), report["messages"]


def _of_message(settings, name, conns, how):
    """What one more message costs, by two runs."""
    longer = max(1.0, settings.time_ms / NORMAL_MS)
    runs = [_echo_counts(settings, name, conns, window * longer, how)
            for window in WINDOWS[conns]]
    done = runs[1][1] - runs[0][1]
    if done < conns:
        raise Failure(f"{conns} connections: too few messages to count by")
    return {what: (runs[1][0].get(what, 0) - runs[0][0].get(what, 0)) / done
            for what in runs[1][0]}


def _sizes():
    """As many as a process may have open files."""
    return [conns for conns in CONNECTIONS
            if conns + FILES_BESIDE <= _file_limit()]


def _file_limit():
    with open("/proc/self/limits", encoding="ascii") as file:
        for line in file:
            if line.startswith("Max open files"):
                hard = line.split()[4]
                return 1 << 30 if hard == "unlimited" else int(hard)
    return 1024


def _two_cpus(settings):
    return {settings.server_cpu, settings.client_cpu}


def row_growth(settings, progress):
    """An echo of 128 B: instructions, system calls and completions."""
    both = _two_cpus(settings)
    ways = [  # case, server, how to measure, and names of the figures
        ("one loop on io_uring", "weir", (None, _read_nothing, (), None),
         {"enters": "system calls/msg", "submitted": "entries/msg",
          "completions": "completions/msg"}),
        ("one loop on io_uring", "weir",
         (callgrind_alone, read_callgrind, (), None),
         {"instructions": "instructions/msg"}),
        ("two loops on io_uring", "weir",
         (strace, read_strace, ("--threads", "2"), both),
         {"calls": "system calls/msg", "entries": "entries/msg"}),
        ("one loop on epoll", "weir_poll",
         (callgrind_alone, read_callgrind, (), None),
         {"instructions": "instructions/msg"}),
        # Not on io_uring: under callgrind a thread that waits in a ring stops all others.
        ("two loops on epoll", "weir_poll",
         (callgrind_alone, read_callgrind, ("--threads", "2"), both),
         {"instructions": "instructions/msg"}),
    ]
    lost = []
    for case, name, how, figures in ways:
        if not is_chosen(settings, case):
            continue
        points = {what: [] for what in figures}
        for conns in _sizes():
            progress(f"growth {case}: {conns} connections, "
                     f"{', '.join(figures)}")
            try:
                counts = _of_message(settings, name, conns, how)
            except Failure as failure:
                lost.append(f"{case}, {conns}: {failure}")
                continue
            for what in figures:
                points[what].append((conns, counts.get(what, 0)))
        for what, figure in figures.items():
            if points[what]:
                yield from _curve("growth", case, figure, points[what])
    _fail_for(lost)


# ---- timers and tasks ----

def _instructions(command, env=None):
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as work:
        path = os.path.join(work, "counts")
        done = subprocess.run([*callgrind_alone(path), *command], env=env,
                              capture_output=True, timeout=600, check=False)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}: "
                          f"{done.stderr.decode().strip()}")
        return read_callgrind(path)["instructions"]


def row_growth_loop(settings, progress):
    """Timers that expire and tasks that end together, on one loop."""
    program = program_path(settings, "growth_weir")
    for kind, case, sizes in (
            ("timers", "a timer that expires", (1000, 10000, 100000)),
            ("tasks", "a task that ends with all others",
             (100, 1000, 10000))):
        points = []
        for size in sizes:
            progress(f"growth-loop {size} {kind}")
            few, many = (_instructions([program, kind, str(count)])
                         for count in (size // 2, size))
            points.append((size, (many - few) / (size - size // 2)))
        yield from _curve("growth-loop", case, f"instructions/{kind[:-1]}",
                          points)


# ---- a proxy's configuration ----

class Backend:
    """An echo on every address of the loopback, in a thread of this program."""

    def __enter__(self):
        self.listener = socket.create_server(("0.0.0.0", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.echo, args=(peer,),
                             daemon=True).start()

    @staticmethod
    def echo(peer):
        with peer:
            try:
                while data := peer.recv(4096):
                    peer.sendall(data)
            except OSError:
                pass

class Proxy:
    """weir-proxy under callgrind with a configuration of a number of things."""

    def __init__(self, settings, folder, lines, port):
        self.program = settings.weir_proxy
        self.cpu = settings.server_cpu
        self.folder = folder
        self.port = port
        self.path = os.path.join(folder, "proxy.conf")
        with open(self.path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")

    def instructions(self, act):
        """Of a life with an act in it; it ends by SIGTERM."""
        path = os.path.join(self.folder, "counts")
        log = os.path.join(self.folder, "log")
        command = [*callgrind_alone(path), self.program, "--config", self.path]
        with open(log, "w", encoding="ascii") as out:
            with subprocess.Popen(command, stdout=out, stderr=out) as process:
                try:
                    self.wait(self.can_connect, log)
                    act(process, log)
                    self.wait(lambda: "serves" in _text(log), log)
                    process.send_signal(signal.SIGTERM)
                    self.wait(lambda: self.has_ended(process), log)
                finally:
                    process.kill()
        return read_callgrind(path)["instructions"]

    def can_connect(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def has_ended(self, process):
        # valgrind checks for signals only while the program works, so give it work.
        self.can_connect()
        return process.poll() is not None

    def wait(self, is_done, log):
        deadline = time.monotonic() + 300
        while not is_done():
            if time.monotonic() > deadline:
                raise Failure(f"weir-proxy: {_text(log).strip()}")
            time.sleep(0.05)


def _nothing(_process, _log):
    pass


def _connect(proxy, count, hello):
    """So many connections one after another; each is answered."""
    def act(_process, _log):
        for number in range(count):
            hello(proxy.port, number)
    return act


def _plain(port, _number):
    with socket.create_connection(("127.0.0.1", port), 60) as peer:
        peer.sendall(b"x")
        if peer.recv(1) != b"x":
            raise Failure("no answer through weir-proxy")


def _is_of(name, text):
    """Whether openssl says that a certificate is one of a name: OpenSSL 3.0 writes
    "CN = name", later ones "CN=name"."""
    return re.search(rf"\bCN ?= ?{re.escape(name)}$", text, re.M) is not None


def _tls(names):
    """A TLS connection by one of the names, as openssl's client makes it."""
    def hello(port, number):
        name = names[number * 37 % len(names)]
        done = subprocess.run(
            [find_service("openssl"), "s_client", "-connect",
             f"127.0.0.1:{port}", "-servername", name], input=b"",
            capture_output=True, timeout=120, check=False)
        if not _is_of(name, (done.stdout + done.stderr).decode()):
            raise Failure(f"not the certificate of {name}")
    return hello


def _reload(proxy):
    """SIGHUP, and wait until the log says that the configuration was read
    again. One that comes before the proxy serves is ignored."""
    def act(process, log):
        proxy.wait(lambda: "serves" in _text(log), log)
        time.sleep(0.5)
        process.send_signal(signal.SIGHUP)
        proxy.wait(lambda: proxy.can_connect() and "read again" in _text(log),
                   log)
    return act


def _text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _certificates(folder, count):
    """As many, each of a name; all of one key."""
    key = os.path.join(folder, "key")
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey",
                    "-noout", "-out", key], check=True, capture_output=True)
    os.mkdir(os.path.join(folder, "certs"))
    for number in range(count):
        name = f"h{number}.test"
        path = os.path.join(folder, "certs", f"{number:05}.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-key", key, "-days", "30", "-subj",
             f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-out",
             path], check=True, capture_output=True)
        with open(key, "rb") as source, open(path, "ab") as file:
            shutil.copyfileobj(source, file)


def _service(*lines):
    return ["threads = 1", "engine = poll", "[growth]", *lines]


def _of_targets(port, backend, count, _folder):
    """As many addresses of the loopback, behind which one server is."""
    return _service(
        f"listen = tcp://127.0.0.1:{port}",
        *(f"to = tcp://127.1.{number >> 8}.{number & 255}:{backend}"
          for number in range(1, count + 1))), _plain


def _of_routes(port, backend, count, _folder):
    lines = [f"listen = any://127.0.0.1:{port}"]
    for number in range(count - 1):
        lines += [f"route = r{number}.test", "passthrough = on",
                  f"to = tcp://127.0.0.1:{backend}"]
    lines += ["route = *", "route-as = plain",
              f"to = tcp://127.0.0.1:{backend}"]
    return _service(*lines), _plain


def _of_certificates(port, backend, count, folder):
    _certificates(folder, count)
    return (_service(f"listen = tls://127.0.0.1:{port}",
                     f"cert = {folder}/certs",
                     f"to = tcp://127.0.0.1:{backend}"),
            _tls([f"h{number}.test" for number in range(count)]))


KINDS = {"target": (_of_targets, (10, 100, 1000)),
         "route": (_of_routes, (100, 1000, 10000)),
         "certificate": (_of_certificates, (10, 100, 1000))}
LIVES = 40  # connections of a run


def _measure_proxy(settings, kind, count, backend):
    """Instructions to start, to read again, and for a connection."""
    make, _ = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        port = find_port(settings)
        lines, hello = make(port, backend, count, folder)
        proxy = Proxy(settings, folder, lines, port)
        start = proxy.instructions(_nothing)
        reloaded = proxy.instructions(_reload(proxy))
        few, many = (proxy.instructions(_connect(proxy, lives, hello))
                     for lives in (LIVES // 4, LIVES))
    return {"start": start, "reload": reloaded - start,
            "connection": (many - few) / (LIVES - LIVES // 4)}


def row_growth_proxy(settings, progress):
    """weir-proxy with many targets, routes and certificates."""
    lost = []
    for kind, (_, sizes) in KINDS.items():
        if not is_chosen(settings, kind):
            continue
        points = []
        with Backend() as backend:
            for size in sizes:
                progress(f"growth-proxy {size} {kind}s")
                try:
                    points.append((size, _measure_proxy(settings, kind, size,
                                                        backend.port)))
                except Failure as failure:
                    lost.append(f"{size} {kind}s: {failure}")
        if not points:
            continue
        yield from _curve("growth-proxy", f"a connection, by {kind}s",
                          "instructions/connection",
                          [(x, of["connection"]) for x, of in points])
        for what in ("start", "reload"):
            yield from _curve(
                "growth-proxy", f"{what}, for each {kind}",
                f"instructions/{kind}",
                [(x, (of[what] - points[0][1][what]) / (x - points[0][0]))
                 for x, of in points[1:]])
    _fail_for(lost)
