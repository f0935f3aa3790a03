#!/usr/bin/env python3
"""Streams through weir-proxy while sockets are killed, the target is stopped and
continued, certificates are replaced and the log is moved away.

Each end of a stream knows every byte that it must receive: a stream with a
clean end must be complete, and any other must be an error (proxy_streams.py).
A round is a crowd of streams, half of them with TLS. After it no connection is
open, each connection has one reason in the log, and the counters add up. After
some rounds the proxy is warm: from then on it must not use more descriptors or
more memory.

As a test it takes about twenty seconds. To run it for ten minutes:

    tests/e2e/proxy_soak.py build/tools/weir-proxy

It prints its seed. With --seed the events are the same, but the proxy may be in
another state when they happen.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("--seconds", type=float, default=600)
arguments.add_argument("--seed", type=int, default=int(
    os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32)))
arguments.add_argument("proxy")
options = arguments.parse_args()
os.environ["WEIR_PROXY"] = os.path.abspath(options.proxy)

# pylint: disable=wrong-import-position
import harness
from harness import (Program, Skip, equal, is_sanitized, read_line, run,
                     status_bytes)
from proxy_certificates import certificates, client_context, folder
from proxy_streams import HEAD, Client, Crowd, ask
from proxy_wait import wait_until
from proxying import PROXY, Proxy, told
from servers import Server, drain, reset

ALL_AT_ONCE = 500
KILLS = 150  # of sockets, before the streams may end
ROUND = 300
WARM_ROUNDS = 3
REPORT_S = 10
GROWTH = 4 << 20  # growth of memory, from the warm proxy to the end
KINDS = {"whole", "error"}


class Gate:
    """Holds back the second halves of streams until it is opened."""

    def __init__(self, is_open=False):
        self.is_open = is_open


def sockets_of(ports):
    """Returns the local and the remote port of each TCP connection with one of these
    ports."""
    found = []
    for line in pathlib.Path("/proc/net/tcp").read_text("ascii").split("\n"):
        words = line.split()
        if len(words) > 3 and words[3] == "01":
            pair = [int(word.split(":")[1], 16) for word in words[1:3]]
            if ports.intersection(pair):
                found.append(pair)
    return found


def kill_sockets(pairs):
    """Destroys connections in the kernel, as an administrator: both ends get errors."""
    words = [f"( sport = :{local} and dport = :{remote} )"
             for local, remote in pairs]
    subprocess.run(["ss", "-tKH", " or ".join(words)], check=True,
                   stdout=subprocess.DEVNULL)


class World:
    """The target, the proxy, and the disturbances of both, unless it is calm."""

    def __init__(self, count, calm=False):
        self.rng = random.Random(options.seed)
        self.count = count
        self.calm = calm
        self.is_stopped = False
        self.number = 0
        self.did = collections.Counter()
        self.outcomes = collections.Counter()
        self.pem = os.path.join(folder.name, "soaked.pem")
        shutil.copy(certificates()["proxy"], self.pem)
        self.context = client_context()
        self.context.check_hostname = False

    def __enter__(self):
        print(f"# WEIR_TEST_SEED={options.seed}", flush=True)
        self.backend = Program(sys.executable, os.path.join(
            os.path.dirname(os.path.abspath(__file__)), "proxy_streams.py"))
        self.backend_port = int(read_line(self.backend.process.stdout))
        to = f"tcp://127.0.0.1:{self.backend_port}"
        self.proxy = Proxy(
            "--listen", "tcp://127.0.0.1:0", "--to", to,
            "--eject", "0",
            "--listen", "tls://127.0.0.1:0", "--cert", self.pem, "--to", to,
            "--eject", "0", threads=2)
        return self

    def __exit__(self, kind, *rest):
        self.backend.__exit__(kind, *rest)
        self.proxy.__exit__(kind, *rest)

    # ---- acts ----

    def kill(self):
        pairs = sockets_of({*self.proxy.ports, self.backend_port})
        chosen = self.rng.sample(pairs, min(len(pairs),
                                            self.rng.randrange(1, 9)))
        if chosen:
            kill_sockets(chosen)
            self.did["killed"] += len(chosen)

    def stop(self):
        if not self.is_stopped:
            self.backend.pause()
            self.is_stopped = True
            self.did["stopped"] += 1

    def go_on(self):
        self.backend.signal(signal.SIGCONT)
        self.is_stopped = False

    def swap(self):
        self.did["swapped"] += 1
        name = ("proxy", "other")[self.did["swapped"] % 2]
        shutil.copy(certificates()[name], self.pem)
        self.proxy.signal(signal.SIGHUP)
        told(self.proxy, "read again")

    def move_log(self):
        os.rename(self.proxy.log_path,
                  f"{self.proxy.log_path}.{self.did['moved']}")
        self.did["moved"] += 1
        self.proxy.signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(self.proxy.log_path))

    def act(self, gate):
        """Makes one random disturbance; a stopped target continues soon."""
        if self.rng.random() < 0.4:
            self.go_on()
        acts = [self.kill] * 6 + [self.stop] * 3 + [self.swap, self.move_log]
        self.rng.choice(acts)()
        gate.is_open = gate.is_open or self.did["killed"] >= KILLS

    # ---- streams ----

    def length(self):
        """Returns the length of one direction: mostly some KiB, sometimes some MiB."""
        return self.rng.choice([
            0, 1, self.rng.randrange(10_000), self.rng.randrange(300_000),
            self.rng.randrange(300_000), self.rng.randrange(4_000_000)
            if self.rng.random() < 0.1 else 100_000])

    def begin(self, crowd, gate):
        self.number += 1
        secure = self.number % 2 == 0
        client = Client(
            self.proxy.ports[secure], self.number, self.length(),
            self.length(), gate, self.context if secure else None,
            not secure and self.rng.random() < 0.5)
        crowd.add(client)
        return client

    def leave(self, crowd):
        """A client leaves in the middle of its stream: with a reset, or without a
        close_notify."""
        unsent = [client for client in crowd.ends.values()
                  if client.sent < client.to_send]
        if not unsent:
            return
        client = self.rng.choice(unsent)
        crowd.remove(client)
        self.did["left"] += 1
        if client.context:
            client.finish()
        else:
            client.break_off("error")
        client.outcome = "error"

    def round(self, gate, leaves=False):
        """Runs all streams of a round. Returns the clients' ends."""
        crowd = Crowd()
        clients = []
        next_act = time.monotonic()
        while len(clients) < self.count or crowd.ends:
            if len(clients) < self.count:
                clients.append(self.begin(crowd, gate))
            was_open = gate.is_open
            crowd.turn(0.01)
            if time.monotonic() >= next_act and not self.calm:
                self.act(gate)
                next_act = time.monotonic() + self.rng.random() * 0.05
            if leaves and self.rng.random() < 0.02:
                self.leave(crowd)
            if gate.is_open and not was_open:
                for client in crowd.ends.values():
                    crowd.look_again(client)
        self.go_on()
        return clients

    # ---- after a round ----

    def settle(self):
        """Waits until all ends are over. Returns the target's report."""
        wait_until(lambda: self.proxy.metric("connections_active") == 0)
        wait_until(lambda: self.proxy.metric("upstream_active") == 0)
        told = {"outcomes": {}, "counts": collections.Counter()}

        def is_settled():
            more = ask(self.backend_port)
            told["outcomes"].update(more["outcomes"])
            told["counts"].update(more["counts"])
            return more["live"] == 0
        wait_until(is_settled)
        return told

    def judge(self, clients, told):
        faults = [f"client {client.number}: {client.outcome}, of {client.name}"
                  for client in clients if client.outcome not in KINDS]
        faults += [f"target: {outcome}, {times} times"
                   for outcome, times in told["counts"].items()
                   if outcome not in KINDS]
        equal(faults, [], f"faults, with seed {options.seed}")
        for client in clients:
            self.outcomes["down " + client.outcome] += 1
        for outcome, times in told["counts"].items():
            self.outcomes["up " + outcome] += times
        self.add_up()

    def add_up(self):
        """Each connection has one reason. The admin page is not counted."""
        equal(self.proxy.metric("connections_total"), self.number,
              "connections")
        equal(self.proxy.metric("close_total"), self.number, "reasons")
        equal(self.proxy.metric("log_lines_lost_total"), 0, "lost lines")

    def files(self):
        return len(os.listdir(f"/proc/{self.proxy.process.pid}/fd"))

    def rss(self):
        return status_bytes(self.proxy.process.pid, "VmRSS")


    def log_lines(self):
        """Returns the lines of all logs, including moved ones."""
        self.proxy.stop()
        return [line for name in os.listdir(self.proxy.folder.name)
                for line in self.proxy.lines(name)]


def expect_killing():
    """Skips the test if sockets cannot be destroyed here."""
    if os.geteuid() != 0 or not shutil.which("ss"):
        raise Skip("root and ss are needed to kill sockets")
    with Server(drain) as server, socket.create_connection(
            ("127.0.0.1", server.port)) as client:
        kill_sockets([(client.getsockname()[1], server.port)])
        client.setblocking(False)
        try:
            client.recv(1)
        except BlockingIOError:
            raise Skip("this kernel kills no sockets") from None
        except OSError:
            pass


def expect_logged(clients, lines):
    """Connections that the log calls done were complete."""
    logged = collections.defaultdict(list)
    for line in lines:
        logged[line["service"][:3], line["client"]].append(line)
    for client in clients:
        found = logged["tls" if client.context else "tcp", client.name]
        if len(found) == 1 and found[0]["reason"] == "done":
            equal((int(found[0]["in_bytes"]), int(found[0]["out_bytes"])),
                  (HEAD.size + client.to_send, client.to_receive), "bytes")


def test_what_ends_clean_is_whole_among_kills_and_stops():
    expect_killing()
    with World(ALL_AT_ONCE) as world:
        clients = world.round(Gate())
        world.judge(clients, world.settle())
        lines = world.log_lines()
        equal(len(lines), ALL_AT_ONCE, "lines of the log")
        expect_logged(clients, lines)
        print(f"# {dict(world.did)} {dict(world.outcomes)} "
              f"{dict(collections.Counter(line['reason'] for line in lines))}")
        for kind in KINDS:
            assert world.outcomes["down " + kind] > 0, f"nothing was {kind}"


def test_without_disturbance_all_streams_are_whole():
    with World(ALL_AT_ONCE, calm=True) as world:
        world.judge(world.round(Gate(is_open=True)), world.settle())
        equal(world.outcomes, {"down whole": ALL_AT_ONCE,
                               "up whole": ALL_AT_ONCE}, "outcomes")
        equal({line["reason"] for line in world.log_lines()}, {"done"},
              "reasons")


def test_a_long_run_leaves_nothing_behind():
    expect_killing()
    gate = Gate(is_open=True)
    files, memory = [], []
    end = time.monotonic() + options.seconds
    next_report = 0
    with World(ROUND) as world:
        while len(files) < WARM_ROUNDS + 2 or time.monotonic() < end:
            world.judge(world.round(gate, leaves=True), world.settle())
            if files:
                wait_until(lambda: world.files() <= files[0])
            files.append(world.files())
            memory.append(world.rss())
            if time.monotonic() > next_report:
                next_report = time.monotonic() + REPORT_S
                print(f"# round {len(files)}: {files[-1]} descriptors, "
                      f"RSS {memory[-1] >> 10} KiB, {dict(world.did)} "
                      f"{dict(world.outcomes)}", flush=True)
        warm = max(memory[:WARM_ROUNDS])
        print(f"# {len(files)} rounds, descriptors {files[0]} and {files[-1]}, "
              f"RSS {warm >> 10} and {memory[-1] >> 10} KiB, at most "
              f"{max(memory) >> 10}; {dict(world.did)} "
              f"{dict(world.outcomes)}", flush=True)
        if not is_sanitized(PROXY):  # which keep freed memory
            assert memory[-1] < warm + GROWTH, f"memory: {memory}"
        equal(len(world.log_lines()), world.number, "lines of the log")


# ---- clients that change no target ----

ANSWER = bytes(1 << 26)


def pipelined(name):
    """Answers "w" with its name and garbage with a reset; otherwise sends much, and
    reads no more until that is read."""
    def serve(connection, _number):
        while said := connection.recv(1000):
            if said == b"w":
                connection.sendall(name)
            elif said[:1] == b"g":
                reset(connection)
            else:
                connection.sendall(ANSWER)
    return Server(serve)


def request_all(client):
    with contextlib.suppress(BlockingIOError):
        while client.send(bytes(1 << 16)):
            pass


def read_little(client):
    with contextlib.suppress(BlockingIOError):
        return client.recv(100_000) != b""
    return True


# Repeats what a client does. Returns False once the round has ended.
CONDUCTS = (
    lambda client: request_all(client) or read_little(client),  # slowly
    lambda client: request_all(client) or True,                 # never reads
    lambda client: client.sendall(b"x") or reset(client),
    lambda client: client.shutdown(socket.SHUT_WR),
    lambda client: client.sendall(b"x") or client.shutdown(socket.SHUT_WR),
    lambda client: client.sendall(b"g"),
)
SLOW_READERS = 8


def misbehave(proxy, conduct, end):
    """Runs one client after another, until the end."""
    while time.monotonic() < end:
        with contextlib.suppress(OSError), proxy.connect() as client:
            client.setblocking(False)
            while conduct(client) and time.monotonic() < end:
                time.sleep(0.02)
        time.sleep(0.02)


def test_what_clients_do_changes_no_target():
    """Good clients at the same time never get the backup."""
    end = time.monotonic() + options.seconds
    served = collections.Counter()
    with contextlib.ExitStack() as stack:
        a, b, backup = (stack.enter_context(pipelined(name))
                        for name in (b"a", b"b", b"c"))
        proxy = stack.enter_context(Proxy(
            "--listen", "tcp://127.0.0.1:0", "--stall-timeout", "1s", "--check",
            "500ms", "--eject", "1", "--to", f"{a.url},{b.url}", "--to",
            backup.url, "--backup", threads=2))
        threads = [threading.Thread(target=misbehave, args=(proxy, conduct, end))
                   for conduct in (*CONDUCTS[:1] * SLOW_READERS, *CONDUCTS[1:])]
        for thread in threads:
            thread.start()
        while time.monotonic() < end:
            with proxy.connect() as client:
                client.sendall(b"w")
                served[client.recv(1)] += 1
            time.sleep(0.005)
        for thread in threads:
            thread.join()
        wait_until(lambda: proxy.metric("connections_active") == 0)
        equal(set(served), {b"a", b"b"}, "who has served")
        equal(proxy.metric("upstream_ejections_total"), 0, "ejections")
        said = proxy.stop()
        equal([line for line in said.splitlines() if "target" in line], [],
              "lines about targets")
        reasons = collections.Counter(proxy.reasons())
        print(f"# {dict(served)} {dict(reasons)}", flush=True)
        assert reasons["client-stall"] > 0, "no client has stalled"


harness.LIMIT_S += 2 * options.seconds
run(globals())
