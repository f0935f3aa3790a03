"""The proxy of proxy_day.py: its configuration, its processes, its peers, and
the good client, whose failures and waits are checked here.

The good client may lose only the connections that the manual says are lost:

  a target that dies ends its connections, and those that it has not accepted
      yet: at the service `flap` while it dies, or at the next request of a
      lasting connection
  when-down and when-back say `cut`: connections to a leader that has stepped
      down, or to its backup when the leader is back: at the service `cut`
  an operator says `cut`: connections to this target: at the service `plain`

Clients may also have to wait: for descriptors, shorter than --connect-timeout,
and for the first check of a target. Waits above a second are listed with the
events of that moment. A wait above a minute is a failure.
"""

import collections
import contextlib
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

from harness import (WAIT_S, Program, Skip, equal, read_line, status_bytes)
from proxy_certificates import certificates, folder
from proxy_day_peers import ask, connect, context_of
from proxying import PROXY
from servers import free_port

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                     "proxy_day_peers.py")
LIMIT = 32 << 20
LOG_ROOM = 16 << 20
GOOD = "127.0.0.2"

# Losses that are allowed: the event, and the service. Nothing else is.
MAY_LOSE = {"a target dies": "flap", "fail-over": "cut", "cut": "plain"}

# A lasting connection is checked at its next request: its end with its target may be
# noticed while the target is dead.
MAY_LOSE_LASTING = {"a target is dead": "flap"}

# A leader and its replacement, by what each reports about itself.
LEADERS = """\
balance = first
check = http
check = 100ms
check-timeout = 20s
check-rise = 1
check-fall = 1
to = tcp://127.0.0.1:{one}
check-at = tcp://127.0.0.1:{one_says}
to = tcp://127.0.0.1:{two}
check-at = tcp://127.0.0.1:{two_says}
backup = on
"""
SETTINGS = """\
threads = 2
admin = 127.0.0.1:{admin}
log = {logs}/log
log-format = json
ctl = {folder}/ctl
handover = {folder}/handover
drain = 10m
memory-limit = {limit}
client-table = 1000

[defaults]
connect-timeout = 30s
hello-timeout = 30s
handshake-timeout = 30s
idle-timeout = 10m
tries = {tries}

[targets leader]
""" + LEADERS + """
[targets calm]
to = tcp://127.0.0.1:{calm}

[plain]
listen = tcp://127.0.0.1:{plain}
balance = {balance}
to = tcp://127.0.0.1:{calm}
to = tcp://127.0.0.1:{still}
weight = {weight}

[tls]
listen = tls://127.0.0.1:{tls}
cert = {cert}
to = @calm

[flap]
listen = tcp://127.0.0.1:{flap}
check = tcp
check = 100ms
eject-time = 1s
to = tcp://127.0.0.1:{left}
to = tcp://127.0.0.1:{right}

[keep]
listen = tcp://127.0.0.1:{keep}
to = @leader

[cut]
listen = tcp://127.0.0.1:{cut}
when-down = cut:0s
when-back = cut:0s
""" + LEADERS + """
[any]
listen = any://127.0.0.1:{any}
cert = {cert}
route = *
route-as = tls
to = tcp://127.0.0.1:{calm}
route = *
route-begin = DAY-
to = tcp://127.0.0.1:{still}
route = *
to = tcp://127.0.0.1:{one}

[limited]
listen = tcp://127.0.0.1:{limited}
client-conns = 20
client-rate = 1000/10s
client-ban = 2s
to = @calm

[served]
listen = unix:{folder}/served
to = @calm

[deaf]
listen = tcp://127.0.0.1:{deaf}
stall-timeout = 10m
to = tcp://127.0.0.1:{flood}
"""
TARGETS = {"calm": "echo", "still": "echo", "left": "echo", "right": "echo",
           "one": "echo", "two": "echo", "one_says": "check",
           "two_says": "check", "flood": "flood"}
SERVICES = ("plain", "tls", "flap", "keep", "cut", "any", "limited", "deaf")


class Diary:
    """What was done when: the events of each moment."""

    def __init__(self, is_short):
        self.is_short = is_short
        self.lock = threading.Lock()
        self.events = []
        self.counts = collections.Counter()
        self.begun = time.monotonic()

    @contextlib.contextmanager
    def event(self, name, grace=0.0):
        entry = [name, time.monotonic(), None]
        with self.lock:
            self.events.append(entry)
            self.counts[name] += 1
        try:
            yield
        finally:
            self.tell_end(entry)
            entry[2] = time.monotonic() + grace

    def during(self, since, until):
        with self.lock:
            return {name for name, begin, end in self.events
                    if begin <= until and (end is None or end >= since)}

    def now(self):
        moment = time.monotonic()
        return self.during(moment, moment)

    def stamp(self, moment=None):
        return f"{(moment or time.monotonic()) - self.begun:7.1f}"

    def tell_end(self, entry):
        """Prints what was done in a short day, line by line."""
        if self.is_short:
            self.note(f"{entry[0]}, since {self.stamp(entry[1])}")

    def note(self, words):
        print(f"# {self.stamp()} {words}", flush=True)


class Generation(Program):
    """A process of the proxy, with its output."""

    def __init__(self, path):
        super().__init__(PROXY, "--config", path, stdout=subprocess.DEVNULL)
        self.said = []
        self.changed = threading.Condition()
        self.is_dumb = False
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self):
        for line in self.process.stderr:
            with self.changed:
                self.said.append(line.decode(errors="replace").rstrip())
                self.changed.notify_all()
        with self.changed:
            self.is_dumb = True
            self.changed.notify_all()

    def hear(self, begin, *parts):
        """Returns the first line with one of these parts, from this line on."""
        def find():
            found = [line for line in self.said[begin:]
                     if any(part in line for part in parts)]
            return found or self.is_dumb
        with self.changed:
            equal(bool(self.changed.wait_for(find, WAIT_S)), True,
                  f"one of {parts} is said; {self.said[-5:]}")
            found = find()
        return found[0] if found is not True else ""

    def is_alive(self):
        return self.process.poll() is None

    def memory(self):
        return status_bytes(self.process.pid, "VmRSS")

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def __exit__(self, *rest):
        self.kill()
        self.thread.join()
        super().__exit__(*rest)


def mount_logs(path):
    """Mounts a small file system for the log, which ends with this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_namespace, recursive, private = 0x20000, 16384, 1 << 18
    if os.geteuid() != 0 or libc.unshare(new_namespace) < 0 or libc.mount(
            b"none", b"/", None, ctypes.c_ulong(recursive | private), None) < 0:
        raise Skip("a file system of one's own needs root")
    if libc.mount(b"none", path.encode(), b"tmpfs", ctypes.c_ulong(0),
                  f"size={LOG_ROOM}".encode()) < 0:
        raise Skip("no small file system can be made")
    return lambda: libc.umount2(path.encode(), 2)


class World:
    """The peers, the processes of the proxy, and what is known of them."""

    def __init__(self, is_short):
        self.diary = Diary(is_short)
        self.lasts_s = 8 if is_short else 40  # maximum time of a lasting connection
        self.rest_s = 5 if is_short else 10
        self.folder = os.path.join(folder.name, "day")
        self.logs = os.path.join(self.folder, "logs")
        os.makedirs(self.logs)
        self.cert = os.path.join(self.folder, "cert.pem")
        shutil.copy(certificates()["proxy"], self.cert)
        self.ports = {name: free_port()
                      for name in (*TARGETS, *SERVICES, "admin")}
        self.config = os.path.join(self.folder, "proxy.ini")
        self.context = context_of(certificates()["ca"])
        self.generations = []
        self.failures = []
        self.waits = []
        self.totals = None
        self.samples = []
        self.peaks = collections.defaultdict(int)
        self.log_lines = 0
        self.moved = []
        self.reasons = collections.Counter()
        self.is_over = threading.Event()
        self.commands = threading.Lock()
        self.is_resting = False  # this process is inspected, and not replaced
        self.write()

    # ---- the peers ----

    def start(self, stack):
        stack.callback(mount_logs(self.logs))
        self.serve(stack, True)
        self.servers = self.serve(stack, False)
        equal(self.begin(stack).is_dumb, False, "the first one has ended")
        specs = [self.spec(name) for name in SERVICES if name != "deaf"]
        specs += [self.spec("any", name="any by TLS", tls=True),
                  self.spec("any", name="any else", begin="...."),
                  self.spec("served", address=f"{self.folder}/served")]
        self.visitor = stack.enter_context(Program(
            sys.executable, PEERS, "visit", json.dumps(specs),
            certificates()["ca"], str(self.lasts_s), stdin=subprocess.PIPE,
            stderr=None))
        self.reader = threading.Thread(target=self.hear_visitor)
        self.reader.start()

    def serve(self, stack, is_flood):
        """Only the good client uses its targets."""
        servers = stack.enter_context(Program(
            sys.executable, PEERS, "serve", json.dumps(
                {name: (kind, self.ports[name])
                 for name, kind in TARGETS.items()
                 if (kind == "flood") == is_flood}),
            stdin=subprocess.PIPE, stderr=None))
        equal(read_line(servers.process.stdout), "ok\n", "the targets")
        return servers

    def spec(self, service, **more):
        return {"name": service, "source": GOOD, "tls": service == "tls",
                "begin": "DAY-", "answer": list(TARGETS),
                "address": ("127.0.0.1", self.ports.get(service)), **more}

    def tell_servers(self, *words):
        with self.commands:
            self.servers.process.stdin.write(" ".join(words).encode() + b"\n")
            self.servers.process.stdin.flush()
            equal(read_line(self.servers.process.stdout), "ok\n", "the answer")

    def hear_visitor(self):
        for line in self.visitor.process.stdout:
            told = json.loads(line)
            if "total" in told:
                self.totals = told["total"]
            else:
                self.judge(told)

    def judge(self, told):
        """Judges a failure, or a wait, of the good client."""
        events = self.diary.during(told["since"], told["until"])
        text = (f"{told['service']}, {told['way']}, "
                f"{self.diary.stamp(told['since'])} to "
                f"{self.diary.stamp(told['until'])}: {told['why']} "
                f"{told['step']}; during {', '.join(sorted(events)) or '-'}")
        if not told["why"]:
            self.waits.append(text)
            print(f"# waited: {text}", flush=True)
        elif self.may_lose(told["service"], told["way"], events):
            self.diary.counts[f"lost by the rule, of {told['service']}"] += 1
        else:
            self.failures.append(text)
            print(f"# FAILED: {text}", flush=True)

    @staticmethod
    def may_lose(service, way, events):
        rules = [MAY_LOSE]
        if way == "lasting":
            rules.append(MAY_LOSE_LASTING)
        return any(rule.get(event) == service
                   for rule in rules for event in events)

    def say_more(self, service="plain", **more):
        """Makes a request over its own connection."""
        spec = self.spec(service, **more)
        with connect(spec, self.context) as sock:
            return ask(sock, spec)

    # ---- the proxy ----

    def write(self, number=0, more=""):
        text = SETTINGS.format(
            **self.ports, folder=self.folder, logs=self.logs, cert=self.cert,
            limit=LIMIT, tries=3 + number % 2,
            weight=1 + number % 3,
            balance=("roundrobin", "leastconn", "random")[number % 3])
        with open(self.config + ".new", "w", encoding="ascii") as file:
            file.write(text + more.format(**self.ports))
        os.rename(self.config + ".new", self.config)

    @property
    def proxy(self):
        return self.generations[-1]

    def begin(self, stack):
        """Starts a new process; one that exits again is returned alone."""
        proxy = stack.enter_context(Generation(self.config))
        if proxy.hear(0, " deaf serves "):
            self.generations.append(proxy)
        return proxy

    def page(self):
        """Returns the metrics of the proxy that serves."""
        with socket.create_connection(("127.0.0.1", self.ports["admin"]),
                                      timeout=WAIT_S) as sock:
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b""
            while part := sock.recv(65536):
                text += part
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in
                 text.decode().split("\r\n\r\n", 1)[1].splitlines()
                 if not line.startswith("#"))}

    def metric(self, name, *labels):
        return sum(value for key, value in self.page().items()
                   if key.split("{")[0] == f"weir_proxy_{name}"
                   and all(label in key for label in labels))

    def sample(self):
        """Measures memory and descriptors of all processes repeatedly. The number of an
        ended process may belong to another program, such as a compiler."""
        while not self.is_over.wait(0.5):
            for proxy in list(self.generations):
                with contextlib.suppress(OSError, TypeError):
                    memory, files = proxy.memory(), proxy.files()
                    if proxy.is_alive():
                        self.peaks["memory"] = max(self.peaks["memory"], memory)
                        self.peaks["files"] = max(self.peaks["files"], files)

    def rest(self, proxy):
        """Returns what the proxy uses some seconds after the deaf clients have gone, in
        which its loops release unused memory."""
        self.is_over.wait(self.rest_s)
        with contextlib.suppress(OSError, TypeError): # it has ended
            self.samples.append((time.monotonic(), proxy.process.pid,
                                 proxy.memory(), proxy.files()))
            self.diary.note(f"at rest: {proxy.memory() >> 10} KiB, "
                            f"{proxy.files()} descriptors, "
                            f"{len(self.failures)} failures")
