"""weir-proxy for the end-to-end tests: starts it, and provides its addresses, its log
and its metrics."""

import contextlib
import os
import re
import signal
import socket
import struct
import sys
import tempfile
import urllib.error
import urllib.request

from harness import WAIT_S, Program, equal, read_line
from servers import echoes

PROXY = os.environ["WEIR_PROXY"]

# The order of the fields in a log line.
FIELDS = ("time client service target queue_ms connect_ms tls_ms first_byte_ms "
          "total_ms in_bytes out_bytes tries reason tls server_name alert "
          "tried").split()


class Proxy(Program):
    """weir-proxy with these flags. At the end of the block it gets SIGTERM and must
    exit with 0, unless it was ended before."""

    def __init__(self, *flags, threads=1, admin=True, log=True, **options):
        self.folder = tempfile.TemporaryDirectory()
        self.log_path = os.path.join(self.folder.name, "log")
        more = ["--admin", "127.0.0.1:0"] if admin else []
        more += ["--log", self.log_path] if log else []
        super().__init__(PROXY, "--threads", str(threads), "--drain",
                         f"{WAIT_S}s", *more, *flags, **options)
        self.ports = []
        self.admin = None
        self.said = []
        self.wanted = sum(flag == "--listen" for flag in flags) or 1
        try:
            while len(self.ports) < self.wanted or (admin and not self.admin):
                self.read_start()
        except Exception:
            self.kill()
            print(f"# weir-proxy said {self.said} {self.finish()[2]!r}")
            raise
        self.port = self.ports[0]

    def read_start(self):
        line = read_line(self.process.stderr)
        self.said.append(line)
        if found := re.search(r" serves \S+://\S*:(\d+) to ", line):
            self.ports.append(int(found[1]))
        elif found := re.search(r" serves (?:tls\+)?unix:(\S+) to ", line):
            self.ports.append(found[1])
        elif found := re.search(r"metrics at (http://\S+)/metrics", line):
            self.admin = found[1]

    def __exit__(self, kind, *rest):
        try:
            if kind is None and self.process.poll() is None:
                self.stop()
        finally:
            super().__exit__(kind, *rest)
            self.folder.cleanup()

    def connect(self, index=0, **options):
        return socket.create_connection(("127.0.0.1", self.ports[index]),
                                        timeout=WAIT_S, **options)

    def stop(self, signum=15, code=0):
        self.signal(signum)
        status, out, err = self.finish(2 * WAIT_S)
        equal((status, out), (code, ""), f"the end, with the words {err!r}")
        return err

    def stop_by(self, reasons):
        """Stops it; the log must have these reasons, in order."""
        self.stop()
        equal(self.reasons(), reasons, "the log")

    def lines(self, name="log"):
        """Returns the log's lines, each as a dictionary; complete after stop()."""
        with open(os.path.join(self.folder.name, name),
                  encoding="utf-8") as file:
            return [dict(zip(FIELDS, line.split(), strict=True))
                    for line in file]

    def reasons(self):
        return [line["reason"] for line in self.lines()]

    def get(self, path):
        """Returns status and body of a page at the admin address."""
        try:
            with urllib.request.urlopen(self.admin + path,
                                        timeout=WAIT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        """Returns the values of the metrics, by name and labels as they are written."""
        status, text = self.get("/metrics")
        equal(status, 200, "status of /metrics")
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in text.splitlines()
                 if not line.startswith("#"))}

    def metric(self, name, **labels):
        """Returns the sum of all samples of a family that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(value for key, value in self.metrics().items()
                   if key.split("{")[0] == f"weir_proxy_{name}"
                   and all(label in key for label in wanted))


# ---- PROXY headers ----

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command, source=None, destination=None, tlvs=b""):
    """Returns a header of version 2; command 0 is LOCAL, 1 is PROXY."""
    body = b""
    if source:
        body = (socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
                + struct.pack("!HH", source[1], destination[1]))
    body += tlvs
    return SIGNATURE + struct.pack("!BBH", 0x20 | command,
                                   0x11 if source else 0, len(body)) + body


# Does what a service manager does between fork and exec: descriptors begin at 3.
HAND_ON = """
import fcntl, os, sys
fds = [int(fd) for fd in sys.argv[1].split(",")]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
for fd in fds:
    os.close(fd)
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def handed_on(listeners, *flags, **options):
    """Starts weir-proxy with these sockets, passed as by a service manager."""
    fds = [listener.fileno() for listener in listeners]
    return Program(sys.executable, "-c", HAND_ON, ",".join(map(str, fds)),
                   PROXY, *flags, pass_fds=fds, **options)


def target(server):
    return f"tcp://127.0.0.1:{server.port}"


def told(proxy, part):
    """Returns the line with these words that it prints, or has printed at its start."""
    for line in proxy.said:
        if part in line:
            return line
    line = read_line(proxy.process.stderr)
    while part not in line:
        line = read_line(proxy.process.stderr)
    return line


def read_again(proxy):
    """Sends SIGHUP, and returns the line that the configuration was read again."""
    proxy.said.clear()
    proxy.signal(signal.SIGHUP)
    return told(proxy, "the configuration was read again")


def port_of(said):
    """Reads what a proxy prints until it serves, and returns its port or its path."""
    while not (found := re.search(r" serves \S*:(\S+) to ", read_line(said))):
        pass
    return int(found[1]) if found[1].isdigit() else found[1]


def use(proxy, count=1):
    """Serves this number of clients, one after the other."""
    for _ in range(count):
        with proxy.connect() as client:
            echoes(client)


def files_of(proxy):
    """Returns the paths of its open files."""
    found = []
    for fd in os.listdir(f"/proc/{proxy.process.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{proxy.process.pid}/fd/{fd}"))
    return found


def sees_a_reset(client):
    with contextlib.suppress(ConnectionResetError):
        equal(client.recv(1), "a reset", "what the client sees")


def expect_reset(proxy, data=b"", index=0):
    """Expects a connection that is reset, perhaps before connect() has returned."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        with proxy.connect(index) as client:
            client.sendall(data)
            sees_a_reset(client)
