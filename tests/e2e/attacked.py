"""The servers that attack.py attacks: the protocol of each, how it is started and
ended, and its allowed output."""

import collections
import ctypes
import itertools
import os
import re
import resource
import signal
import sys
import tempfile
import time
import urllib.request

from doors import Door, make_identity
from harness import ENV, WAIT_S, Program, read_line, status_bytes

PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Kind:
    """A kind of server: its protocol, and how it is started and ended."""

    def __init__(self, dialect, *flags, program=None, targets=("0",),
                 statuses=(0,), may_say="x^", ends_attacked=False, relays=(),
                 lacks=(), scheme="tcp"):
        self.dialect = dialect
        self.flags = flags
        self.program = program
        # {} is replaced by a folder, which has a certificate and its key.
        self.targets = targets
        self.statuses = statuses
        self.may_say = may_say
        # The server ends within a limited time, whatever its clients do.
        self.ends_attacked = ends_attacked
        # For a proxy, the flags of each listener: they name the kind of server behind
        # it, and what is between.
        self.relays = relays
        self.lacks = lacks  # shortages that it withstands
        self.scheme = scheme  # for a server that is given a port

    def programs(self, name):
        """Returns the programs needed for a server of this name."""
        return {self.program or name, *(("weir-load",) if self.relays else ())}


STREAMS = ("tcp://127.0.0.1:0", "unix:{}/plain", "tls://127.0.0.1:0",
           "tls+unix:{}/tls")
OWN_TLS = ("--cert", "{}/certificate.pem", "--key", "{}/key.pem", "--alpn",
           "h2,http/1.1")
PATIENT_TLS = (*OWN_TLS, "--handshake-timeout", "60s")
THEIR_TLS = ("--to-ca", "{}/certificate.pem", "--to-name", "localhost")
SERVE = ("serve", "--grace", "1s", *OWN_TLS)
# A proxy without descriptors waits for them, and a busy machine is slow.
PATIENT = ("--connect-timeout", "60s")
# For listeners that lead to the rude server: nothing of it is left when the test
# checks.
BRIEF = ("--lifetime", "20s", "--stall-timeout", "5s")
ACCEPTS_LATER = "accept is out of system resources: Too many open files"
LOAD = {"program": "weir-load", "ends_attacked": True, "lacks": ("no-files",),
        "may_say": r"weir-load: (" + ACCEPTS_LATER
                   + r"|the TLS handshake of a client failed: .*$)"}
# For weir-proxy: a listener, and its target, which is the index of an address among
# STREAMS, the TLS address that the proxy does not terminate, or the rude server, with
# or without TLS.
RELAYS = (
    ("tcp://127.0.0.1:0", 0), ("tcp://127.0.0.1:0", 0, "--no-splice"),
    ("tls://127.0.0.1:0", 0, *PATIENT_TLS), ("tcp://127.0.0.1:0", 2, *THEIR_TLS),
    ("tls://127.0.0.1:0", 2, *PATIENT_TLS, *THEIR_TLS),
    ("tls://127.0.0.1:0", "unopened", "--passthrough", "--hello-timeout", "60s"),
    ("unix:{}/relayed", 1),
    ("tls+unix:{}/opened", 3, *PATIENT_TLS, *THEIR_TLS),
    ("tcp://127.0.0.1:0", "rude", *BRIEF),
    ("tcp://127.0.0.1:0", "rude", *BRIEF, "--no-splice"),
    ("tls://127.0.0.1:0", "rude", *BRIEF, *PATIENT_TLS),
    ("tcp://127.0.0.1:0", "rude-tls", *BRIEF, *THEIR_TLS),
    ("tls://127.0.0.1:0", "rude-tls", *BRIEF, *PATIENT_TLS, *THEIR_TLS))
KINDS = {
    # The server handles no signal, so the signal ends it.
    "tcp_echo_server": Kind("echo", statuses=(0, -signal.SIGINT)),
    "tcp_echo_server_streams": Kind("echo"),
    "tls_echo_server_streams": Kind(
        "echo", "{}/certificate.pem", "{}/key.pem", scheme="tls"),
    "kv_server": Kind("lines"),
    "keeper": Kind("echo", ends_attacked=True, lacks=("no-files",)),
    "keeper-hosts": Kind("echo", "--hosts", program="keeper",
                         ends_attacked=True, lacks=("no-files",)),
    "weir-load": Kind("echo", *SERVE,
                      targets=(*STREAMS, "udp://127.0.0.1:0"), **LOAD),
    "weir-proxy": Kind(
        "echo", "--threads", "2", "--drain", "1s", "--admin", "127.0.0.1:0",
        "--log", "{}/log", relays=RELAYS,
        ends_attacked=True, lacks=("no-files",), may_say="weir: " +
        ACCEPTS_LATER + r"|weir-proxy: (.*serves \S+ to .*$|metrics at |\d+ "
        r"descriptors are allowed|the limit of open files allows |relay\d+, route "
        r"\*: target \S+ (is (up|ejected)|starts to fail: |works again)|"
        r"connections were cut off$)"),
}


class Attacked(Program):
    """A server that is about to be attacked."""

    def __init__(self, name, kind, path, folder, files, seed):
        self.name = name
        self.kind = kind
        self.folder = folder
        flags = [text.format(folder) for text in (*kind.flags, *kind.targets)]
        self.certificate = os.path.join(folder, "certificate.pem")
        if not os.path.exists(self.certificate):
            make_identity(folder)
        # pylint: disable=consider-using-with
        self.complaints = tempfile.TemporaryFile()

        def prepare():
            die_with_parent()
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE,
                               (min(files, hard), min(files, hard)))

        super().__init__(path, *flags, env=dict(ENV, WEIR_TEST_SEED=str(seed)),
                         stderr=self.complaints, preexec_fn=prepare)
        try:
            urls = self.read_urls()
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{name} said {self.said()!r}") from error
        self.doors = [Door(url, self.certificate) for url in urls]
        # Addresses that honest clients must not use.
        self.rude_doors = []

    def read_urls(self):
        """Reads the addresses that it serves from its first line."""
        line = read_line(self.process.stdout)
        if self.kind.targets == ("0",):
            return [f"{self.kind.scheme}://127.0.0.1:"
                    f"{int(line.rsplit(':', 1)[1])}"]
        return line.split()[-len(self.kind.targets):]

    def __exit__(self, *rest):
        super().__exit__(*rest)
        self.complaints.close()

    def lines(self):
        """Returns the lines of standard error."""
        size = os.fstat(self.complaints.fileno()).st_size
        return os.pread(self.complaints.fileno(), size, 0).decode(
            errors="replace").splitlines(keepends=True)

    def said(self):
        """Returns standard error, without lines that this kind of server may print."""
        return "".join(line for line in self.lines()
                       if not re.match(self.kind.may_say, line))[:100_000]

    def look(self):
        """Returns what is wrong with it when it has no clients, besides what is visible
        from outside."""
        return []

    def dump(self):
        """Returns its dump of connections, if it has one."""
        return ""

    def has_ended(self):
        return self.process.poll() is not None

    def files(self):
        folder = f"/proc/{self.process.pid}/fd"
        found = []
        for name in os.listdir(folder):
            try:
                found.append(os.readlink(f"{folder}/{name}").split(":")[0])
            except FileNotFoundError:
                continue
        return sorted(found)

    def rss(self):
        return status_bytes(self.process.pid, "VmRSS") >> 10

    def queued(self):
        """Returns the seconds in which it was ready to run but had no processor."""
        try:
            with open(f"/proc/{self.process.pid}/schedstat",
                      encoding="ascii") as file:
                return int(file.read().split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0

    def ticks(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])


class AttackedProxy(Attacked):
    """weir-proxy in front of an echo server with four addresses, and of a rude one,
    which only attackers use."""

    def __init__(self, name, kind, paths, folder, files, seed):
        self.behind = Attacked("weir-load behind", Kind(
            "echo", *SERVE, targets=STREAMS, **LOAD), paths["weir-load"],
                               folder, files * 4, seed)
        self.rude = Program(
            sys.executable, os.path.join(os.path.dirname(
                os.path.abspath(__file__)), "rude_target.py"), folder,
            str(seed), preexec_fn=die_with_parent)
        try:
            behind = dict(enumerate(door.url for door in self.behind.doors))
            behind["unopened"] = behind[2].replace("tls:", "tcp:")
            behind["rude"], behind["rude-tls"] = read_line(
                self.rude.process.stdout).split()
            relays = [word for number, (listen, to, *words) in
                      enumerate(kind.relays) for word in
                      ("--listen", listen, "--name", f"relay{number}",
                       *PATIENT, *words, "--to", behind[to])]
            self.count = len(kind.relays)
            super().__init__(
                name, Kind(kind.dialect, *kind.flags, *relays, targets=(),
                           may_say=kind.may_say, lacks=kind.lacks,
                           ends_attacked=kind.ends_attacked),
                paths["weir-proxy"], folder, files * 4, seed)
        except BaseException:
            self.leave()
            raise
        rude = [to in ("rude", "rude-tls") for _, to, *_ in kind.relays]
        self.rude_doors = list(itertools.compress(self.doors, rude))
        self.doors = [door for door in self.doors
                      if door not in self.rude_doors]

    def leave(self):
        self.rude.__exit__()
        self.behind.__exit__()

    def __exit__(self, *rest):
        super().__exit__(*rest)
        self.leave()

    def read_urls(self):
        deadline = time.monotonic() + WAIT_S
        urls = []
        while len(urls) < self.count:
            assert time.monotonic() < deadline, "it does not serve"
            assert not self.has_ended(), "it has ended"
            time.sleep(0.02)
            urls = re.findall(r" serves (\S+) to ", "".join(self.lines()))
        self.admin = re.search(r"metrics at (\S+)", "".join(self.lines()))[1]
        return urls

    def files(self):
        """Each thread may have a pipe, from the first bytes that it splices."""
        return [kind for kind in super().files() if kind != "pipe"]

    def queued(self):
        return super().queued() + self.behind.queued()

    def metrics(self):
        with urllib.request.urlopen(self.admin, timeout=WAIT_S) as answer:
            return dict(line.rsplit(" ", 1) for line in
                        answer.read().decode().splitlines()
                        if not line.startswith("#"))

    def look(self):
        """No connection is left; each has its reason; and no healthy target is ejected
        because of its clients."""
        deadline = time.monotonic() + WAIT_S
        while wrong := self.wrong(self.metrics()):
            if time.monotonic() > deadline:
                return [*wrong, self.dump()]
            time.sleep(0.1)
        return []

    def dump(self):
        before = len(self.lines())
        self.signal(signal.SIGUSR2)
        time.sleep(1)
        return "\n" + "".join(self.lines()[before:])

    def wrong(self, metrics):
        sums = collections.Counter()
        for name, value in metrics.items():
            sums[name.split("{")[0].removeprefix("weir_proxy_")] += float(value)
        wrong = [f"{name}: {sums[name]}" for name in
                 ("connections_active", "upstream_active", "buffer_bytes",
                  "log_lines_lost_total") if sums[name] != 0]
        if sums["connections_total"] != sums["close_total"]:
            wrong.append(f"{sums['connections_total']} connections have "
                         f"{sums['close_total']} reasons")
        well = [door.url for door in self.behind.doors]
        return wrong + [
            f"{name} {value}" for name, value in metrics.items()
            if name.startswith("weir_proxy_upstream_ejections_total")
            and float(value) > 0 and any(f'"{url}"' in name for url in well)]


def start(name, paths, folder, files, seed):
    """Starts the server of this name, which runs until the block ends."""
    kind = KINDS[name]
    if kind.relays:
        return AttackedProxy(name, kind, paths, folder, files, seed)
    return Attacked(name, kind, paths[kind.program or name], folder, files,
                    seed)
