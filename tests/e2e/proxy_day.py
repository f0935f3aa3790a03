#!/usr/bin/env python3
"""A day of weir-proxy in an hour: a proxy with nine listeners goes through all
events of a day, repeatedly and at the same time. Meanwhile a good client is
measured at each of its listeners (proxy_day_world.py).

A new process takes over. The configuration is reloaded, with and without
mistakes. The log is moved away. Certificates are replaced. Operators drain,
weigh and cut targets. A leader steps down and returns; targets refuse
connections and die. The log's disk is full, and there are no descriptors.
Thousands of clients do not read, and all the time strangers connect, send
garbage, reset, and end their streams.

As a test it takes about a minute. With WEIR_LONG=1 it takes an hour, and so
does

    WEIR_PROXY=build/tools/weir-proxy tests/e2e/proxy_day.py --minutes 60

It prints its seed. WEIR_TEST_SEED sets the seed, and then the events are the
same, but the proxy may be in another state when they happen.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("--minutes", type=float, default=(
    60 if os.environ.get("WEIR_LONG") == "1" else 0.8))
arguments.add_argument("weir_load", nargs="?")
options = arguments.parse_args()
sys.argv[1:] = []

# pylint: disable=wrong-import-position
from harness import (WAIT_S, Skip, command, equal, extend_limit, is_sanitized,
                     run)
from proxy_certificates import certificates, subject
from proxy_day_peers import RESET, Wrong, ask, connect
from proxy_day_world import LIMIT, SERVICES, World
from proxy_wait import wait_until
from proxying import PROXY

SEED = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32))
IS_SHORT = options.minutes < 5
LENGTH_S = options.minutes * 60
PAUSE_S = 0.3 if IS_SHORT else 2.0  # average time between two events of a kind
DEAF = 1000 if IS_SHORT else 3000
GRACE_S = 15.0  # until ending processes know what the new one does
DEAF_BYTES = 40 << 10  # bytes for one that does not read, above the limit of all
GROWTH = 6 << 20  # growth of an idle proxy, from the first quarter to the last
BUSY = "127.0.0.3"  # a client that connects more often than allowed
OTHER = "127.0.0.5"  # a client whose log lines are counted
WRONG = ("wieght = 3", "weight = many", "to = tcp://127.0.0.1",
         "cert = /nowhere",
         "[plain]\nlisten = tcp://127.0.0.1:{calm}\nto = @calm")
MUST_HAPPEN = ("replacement", "reload", "fail-over", "full disk",
               "no descriptors", "deaf clients")


class Acts:
    """Events of one kind, one after another, with pauses between them."""

    def __init__(self, world, dice, stack):
        self.world, self.diary, self.stack = world, world.diary, stack
        self.dice = dice
        self.error = None
        self.thread = threading.Thread(target=self.work)

    def acts(self):
        raise NotImplementedError

    def pause(self, mean_s=None):
        return self.world.is_over.wait(
            self.dice.uniform(0, 2 * (mean_s or PAUSE_S)))

    def work(self):
        try:
            self.prepare()
            left = []
            while not self.pause():
                left = left or self.dice.sample(self.acts(), len(self.acts()))
                self.do(left.pop())
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
            self.diary.note(f"{type(self).__name__}: {error!r}")
            self.world.is_over.set()

    def prepare(self):
        pass

    def do(self, act):
        act()


class Operator(Acts):
    """Replaces the proxy, makes it read its configuration again, swaps certificates and
    moves the log away."""

    def prepare(self):
        self.number = 0

    def acts(self):
        acts = [self.read_again, self.read_again, self.refuse, self.certify,
                self.move_log]
        return acts + [self.replace, self.replace]

    def is_kept(self):
        """One process lives a third of the day."""
        passed = (time.monotonic() - self.diary.begun) / LENGTH_S
        return 1/3 < passed < 2/3 or self.world.is_resting

    def replace(self):
        """A new process takes over; from one without descriptors it gets no sockets,
        and exits."""
        if self.is_kept():
            return
        world, old = self.world, self.world.proxy
        self.number += 1
        world.write(self.number)
        since = time.monotonic()
        with self.diary.event("replacement"):
            new = world.begin(self.stack)
            if world.proxy is new:
                old.hear(0, "another proxy serves")
                return
        events = self.diary.during(since, time.monotonic())
        equal("no descriptors" in events, True, f"{new.said}, with {events}")
        self.diary.counts["replaced in vain"] += 1

    def send_hup(self, *parts):
        proxy = self.world.proxy
        begin = len(proxy.said)
        proxy.signal(signal.SIGHUP)
        return proxy.hear(begin, *parts)

    def do_read_again(self):
        """Repeats it until it succeeds: without descriptors the proxy refuses."""
        while True:
            since = time.monotonic()
            line = self.send_hup("configuration was read again",
                                 "stays in force")
            if "read again" in line:
                return
            events = self.diary.during(since, time.monotonic())
            equal("no descriptors" in events, True, f"{line}, with {events}")
            self.diary.counts["read again in vain"] += 1
            self.pause()

    def read_again(self):
        self.number += 1
        self.world.write(self.number)
        before = self.world.page()
        with self.diary.event("reload"):
            self.do_read_again()
        after = self.world.page()
        lower = {name: (value, after.get(name)) for name, value in
                 before.items() if name.split("{")[0].endswith("_total")
                 and not after.get(name, 0) >= value}
        equal(lower, {}, "counters that did not go on")

    def refuse(self):
        self.world.write(self.number, "\n" + self.dice.choice(WRONG) + "\n")
        with self.diary.event("refused reload"):
            line = self.send_hup("stays in force", "was read again")
        self.world.write(self.number)
        equal("stays in force" in line, True, line)

    def certify(self):
        """Clients see the new certificate, and an old connection stays open."""
        world = self.world
        spec = world.spec("tls")
        with connect(spec, world.context) as old:
            ask(old, spec)
            with self.diary.event("new certificate"):
                name = self.dice.choice(("proxy", "other"))
                shutil.copy(certificates()[name], world.cert + ".new")
                os.rename(world.cert + ".new", world.cert)
                self.do_read_again()
            with connect(spec, world.context) as new:
                ask(new, spec)
                equal(subject(new), f"{name}.test", "the certificate")
            ask(old, spec)

    def move_log(self):
        world = self.world
        log = os.path.join(world.logs, "log")
        with self.diary.event("log moved"):
            world.moved.append(f"{log}.{self.diary.counts['log moved']}")
            os.rename(log, world.moved[-1])
            for proxy in world.generations:
                if proxy.is_alive():
                    proxy.signal(signal.SIGUSR1)
            wait_until(lambda: os.path.exists(log))
        if len(world.moved) > 1:
            look_at_log(world, world.moved.pop(0))


def look_at_log(world, path):
    """Each line of a log is complete."""
    with open(path, "rb") as file:
        text = file.read()
    equal(text[-1:] in (b"\n", b""), True, f"the last line is torn in {path}")
    for line in text.splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            raise AssertionError(f"a torn line: {line!r}") from None
        equal({"time", "client", "service", "reason"} <= set(fields), True,
              f"the fields of {line!r}")
        world.reasons[fields["reason"]] += 1
        world.log_lines += 1
    os.unlink(path)


class Orders(Acts):
    """A second operator, at the control socket."""

    def acts(self):
        return [self.drain, self.weigh, self.cut, self.look]

    def order(self, *words):
        """Sends an order until it is carried out, or the day is over. Returns
        true if it was carried out: a proxy that is replaced, or that has no
        descriptors, refuses."""
        target = f"plain/127.0.0.1:{self.world.ports['still']}"
        line = [word.format(target) for word in words]

        def is_settled():
            outcome = command(PROXY, "--ctl", f"{self.world.folder}/ctl", *line)
            self.diary.counts["orders in vain"] += outcome.status != 0
            self.is_done = outcome.status == 0
            return self.is_done or self.world.is_over.is_set()

        wait_until(is_settled)
        return self.is_done

    def drain(self):
        """It gets no new connection, whichever process serves or reloads."""
        with self.diary.event("drain"):
            if not self.order("drain", "{}"):
                return
            for _ in range(5):
                since = time.monotonic()
                name = self.world.say_more()
                equal(name, "calm", "who answers while the other is drained, "
                      f"at {self.diary.stamp()}, with "
                      f"{self.diary.during(since, time.monotonic())}")
                self.pause(0.1)
            self.order("ready", "{}")

    def weigh(self):
        with self.diary.event("weight"):
            self.order("weight", "{}", str(self.dice.randrange(20)))
            self.pause(0.2)
            self.order("ready", "{}")

    def cut(self):
        with self.diary.event("cut", GRACE_S):
            self.order("cut", "{}")

    def look(self):
        with self.diary.event("status"):
            self.order("status")


class Leaders(Acts):
    """A leader steps down, and comes back."""

    def acts(self):
        return [self.fail_over]

    def lead(self, name, says):
        self.world.tell_servers("say", "one_says", says)
        for service in ("keep", "cut"):
            wait_until(lambda service=service: self.who(service) == name)

    def who(self, service):
        """A connection of `cut` may be cut at this moment."""
        with contextlib.suppress(OSError, Wrong):
            return self.world.say_more(service)
        return None

    def fail_over(self):
        with self.diary.event("fail-over", GRACE_S):
            self.lead("two", "503")
        self.pause()
        with self.diary.event("fail-over", GRACE_S):
            self.lead("one", "200")


class Flapping(Acts):
    """One of two targets refuses connections, or dies; both are up again before the
    next event."""

    def acts(self):
        return [self.refuse, self.refuse, self.die]

    def take(self, verb):
        name = self.dice.choice(("left", "right"))
        self.world.tell_servers(verb, name)
        return name

    def come_back(self, name):
        self.world.tell_servers("open", name)
        wait_until(lambda: self.world.metric("upstream_up",
                                             'service="flap"') == 2)

    def refuse(self):
        with self.diary.event("a target refuses"):
            # Connections that it has not accepted are reset with its socket.
            with self.diary.event("a target dies", 0.5):
                name = self.take("close")
            self.pause(0.5)
            self.come_back(name)

    def die(self):
        with self.diary.event("a target is dead"):
            with self.diary.event("a target dies", 0.5):
                name = self.take("kill")
            self.pause(0.5)
            self.come_back(name)


class Shortages(Acts):
    """No space for the log, no descriptors, and clients that do not read."""

    def acts(self):
        return [self.fill_disk, self.take_descriptors, self.be_deaf]

    def fill_disk(self):
        """The disk is kept full: a moved log releases space when it is removed, and a
        log that a process still had open when that process ends."""
        world = self.world
        ballast = os.path.join(world.logs, "ballast")
        begins = {proxy: len(proxy.said) for proxy in world.generations}

        def is_said():
            for size in (1 << 16, 64):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass
            return any("lines are lost" in line
                       for proxy in list(world.generations)
                       for line in proxy.said[begins.get(proxy, 0):])

        with self.diary.event("full disk"):
            try:
                with open(ballast, "wb", buffering=0) as file:
                    wait_until(is_said)
                world.say_more("any")
                self.pause(0.5)
            finally:
                os.unlink(ballast)
        wait_until(self.is_logged)

    def is_logged(self):
        """The serving proxy writes its log again, so it reports again when the disk is
        full again."""
        self.world.say_more("any", source=OTHER)
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(self.world.logs, "log"), "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - (64 << 10)))
                return f'"{OTHER}:'.encode() in file.read()
        return False

    def take_descriptors(self):
        world = self.world
        proxy = world.proxy
        begin = len(proxy.said)
        with contextlib.suppress(ProcessLookupError):
            with self.diary.event("no descriptors", 1.5):
                before = resource.prlimit(proxy.process.pid,
                                          resource.RLIMIT_NOFILE)
                try:
                    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE,
                                     (8, before[1]))
                    proxy.hear(begin, "out of system resources",
                               "another proxy serves")
                    self.pause(1)
                finally:
                    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE,
                                     before)
            world.say_more("any")

    def be_deaf(self):
        """Their memory is limited, and released."""
        world, proxy = self.world, self.world.proxy
        with contextlib.ExitStack() as stack:
            with self.diary.event("deaf clients"):
                for _ in range(DEAF):
                    client = stack.enter_context(socket.socket())
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    client.settimeout(WAIT_S)
                    client.connect(("127.0.0.1", world.ports["deaf"]))
                self.pause()
                world.peaks["held"] = max(world.peaks["held"],
                                          world.metric("buffer_bytes"))
                stack.close()
                wait_until(lambda: world.metric("connections_active",
                                                'service="deaf"') == 0)
        world.is_resting = True
        if proxy is world.proxy:
            world.rest(proxy)
        world.is_resting = False


class Strangers(Acts):
    """Other clients, all the time."""

    def prepare(self):
        self.port = 0

    def pause(self, mean_s=None):
        return super().pause(mean_s or 0.02)

    def acts(self):
        return [self.come, self.reset, self.send_garbage, self.half_close,
                self.stand, self.come_too_often, self.scan]

    def meet(self, source="127.0.0.4", service=None):
        self.diary.counts["strangers"] += 1
        service = service or self.dice.choice(SERVICES)
        self.service = service
        return socket.create_connection(
            ("127.0.0.1", self.world.ports[service]), timeout=WAIT_S,
            source_address=(source, 0))

    def work(self):
        with contextlib.ExitStack() as self.standing:
            super().work()

    def do(self, act):
        """Events that may cut the good client's connection may cut theirs, even while
        they connect."""
        since = time.monotonic()
        try:
            act()
        except ConnectionResetError as error:
            events = self.diary.during(since, time.monotonic())
            equal(self.world.may_lose(self.service, "lasting", events), True,
                  f"{act.__name__}, {self.service}: {error!r}, with {events}")
            self.diary.counts["strangers reset by the rule"] += 1

    def reset_it(self, sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()

    def come(self):
        self.meet().close()

    def reset(self):
        with self.meet() as sock, contextlib.suppress(OSError):
            sock.sendall(self.dice.randbytes(self.dice.randrange(3000)))
            self.reset_it(sock)

    def send_garbage(self):
        begin = self.dice.choice((b"", b"\x16\x03\x01\x02\x00\x01", b"DAY-",
                                  b"PROXY TCP4 ", b"GET / HTTP/1.1\r\n",
                                  b"\r\n\r\n\0\r\nQUIT\n"))
        with self.meet() as sock, contextlib.suppress(OSError):
            sock.sendall(begin + self.dice.randbytes(
                self.dice.randrange(20_000)))

    def half_close(self):
        """A client that ends its stream after a request gets the whole answer."""
        self.service = "limited"
        spec = self.world.spec(self.service, source="127.0.0.4")
        self.diary.counts["strangers"] += 1
        with connect(spec, None) as sock:
            data = self.dice.randbytes(1024)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            got = b""
            while part := sock.recv(4096):
                got += part
        equal(got[16:] == data, True, f"an answer of {len(got)} bytes")

    def stand(self):
        """Sends nothing for a while."""
        sock = self.standing.enter_context(self.meet())
        self.diary.counts["silent"] += 1
        if self.diary.counts["silent"] % 50 == 0:
            self.standing.close()
        del sock

    def come_too_often(self):
        socks = []
        with contextlib.suppress(OSError):
            for _ in range(30):
                socks.append(self.meet(BUSY, "limited"))
        for sock in socks:
            self.reset_it(sock)

    def scan(self):
        for service in SERVICES:
            self.reset_it(self.meet(service=service))


def medians(parts):
    """A single measurement may follow a crowd of clients; medians of several are
    compared."""
    return [[statistics.median(column) for column in zip(*part)]
            if len(part) > 1 else None for part in parts]


def quarters(world):
    """Memory and descriptors when idle, in the first and in the last quarter."""
    begun, now = world.diary.begun, time.monotonic()
    parts = [[], []]
    for moment, _, memory, files in world.samples:
        at = (moment - begun) / (now - begun)
        if at < 0.25 or at > 0.75:
            parts[at > 0.5].append((memory, files))
    return medians(parts)


def longest_life(world):
    """The same for the process that was measured most often."""
    pids = collections.Counter(pid for _, pid, _, _ in world.samples)
    pid = pids.most_common(1)[0][0]
    own = [(memory, files) for _, of, memory, files in world.samples
           if of == pid]
    part = len(own) // 4
    return medians((own[:part], own[len(own) - part:]))


def expect_end(proxy):
    """A process that does not exit prints what it waits for."""
    try:
        equal(proxy.process.wait(WAIT_S), 0, f"the end, {proxy.said[-5:]}")
    except subprocess.TimeoutExpired:
        begin = len(proxy.said)
        proxy.signal(signal.SIGUSR2)
        time.sleep(1)
        for line in proxy.said[begin:]:
            print(f"# left: {line}")
        raise


def end(world):
    """All processes exit in order, and nothing is left."""
    world.visitor.process.stdin.close()
    world.visitor.process.wait(WAIT_S)
    world.reader.join()
    world.proxy.signal(signal.SIGTERM)
    for proxy in world.generations:
        expect_end(proxy)
    for name in sorted(os.listdir(world.logs)):
        look_at_log(world, os.path.join(world.logs, name))
    equal(sorted(os.listdir(world.folder)), ["cert.pem", "logs", "proxy.ini"],
          "the files that are left")


def report(world):
    counts = world.diary.counts
    print(f"# events: {dict(sorted(counts.items()))}")
    print(f"# the log: {world.log_lines} whole lines, "
          f"{dict(world.reasons.most_common())}")
    for name, total in world.totals.items():
        print(f"# {name}: {total}")
    requests = sum(total["fresh"] + total["lasting"]
                   for total in world.totals.values())
    longest = max(total["longest_s"] for total in world.totals.values())
    print(f"# {requests} requests, {len(world.failures)} failures, "
          f"{len(world.waits)} waits above a second, the longest {longest} s")
    print(f"# at most {world.peaks['memory'] >> 10} KiB and "
          f"{world.peaks['files']} descriptors; the deaf were held "
          f"{world.peaks['held'] / 1024:.0f} KiB for")
    words = collections.Counter(
        "".join(" " if letter.isdigit() else letter for letter in line)
        for proxy in world.generations for line in proxy.said)
    for line, count in words.most_common(30):
        print(f"# said {count} times: {line}")


def expect_flat(world):
    if is_sanitized(PROXY) or not world.samples:
        return
    for what, (first, last) in (("the day", quarters(world)),
                                ("the longest life", longest_life(world))):
        if not first or not last:
            continue
        print(f"# {what}: {first[0] / 1024:.0f} KiB and {first[1]:.0f} "
              f"descriptors at first, {last[0] / 1024:.0f} KiB and "
              f"{last[1]:.0f} at last")
        assert last[0] <= first[0] + GROWTH, f"memory grows in {what}"
        assert last[1] <= first[1] + 100, f"descriptors, in {what}"
    most = world.peaks["memory"]
    base = min(memory for _, _, memory, _ in world.samples)
    assert most <= base + LIMIT + DEAF * DEAF_BYTES, f"{most} bytes at most"


def test_a_day_loses_nothing_of_a_good_client():
    extend_limit(LENGTH_S + 300)
    print(f"# WEIR_TEST_SEED={SEED}, {options.minutes:g} minutes")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * DEAF:
        raise Skip(f"no more than {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4 * DEAF), hard))
    world = World(IS_SHORT)
    with contextlib.ExitStack() as stack:
        world.start(stack)
        kinds = (Operator, Orders, Leaders, Flapping, Shortages, Strangers)
        workers = [kind(world, random.Random(SEED + number), stack)
                   for number, kind in enumerate(kinds)]
        sampler = threading.Thread(target=world.sample)
        sampler.start()
        for worker in workers:
            worker.thread.start()
        world.is_over.wait(LENGTH_S)
        while not all(world.diary.counts[name] for name in MUST_HAPPEN) and (
                not world.is_over.wait(0.1)):
            pass  # a day lasts longer on a slow machine
        world.is_over.set()
        for worker in workers:
            worker.thread.join()
        sampler.join()
        end(world)
    report(world)
    equal([repr(worker.error) for worker in workers if worker.error], [],
          "events that went wrong")
    equal(world.failures, [], "failures of the good client")
    expect_flat(world)


run(globals())
