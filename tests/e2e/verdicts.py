#!/usr/bin/env python3
"""Compares the verdicts of weir-load with the log of a server, and prints a table.

    tests/e2e/verdicts.py build/tools/weir-load
    tests/e2e/verdicts.py --idle 40 --beside 40 --sick 20 --seconds 2 WEIR_LOAD

Healthy runs are made on the machine as it is, which should be idle, and beside
two busy loops. In sick runs the client is stopped for a while, or shares its CPU
with three busy loops, or the rate is higher than the server can answer. The
server records when the kernel received each request and when it was answered.

A verdict is right in two cases. The run is VALID, and its rate and percentiles
differ from -R and the log by 5 % at most, or by no more than the client's lateness
in the result, of which 1 ms or 10 % count, and 0.15 ms, which loopback and the
wake-up of an idle CPU take on a virtual machine. Or the run is INVALID, and one of
them differs by more than 5 % and 0.15 ms. A rate may also differ from -R by one
request. Percentiles are printed as weir-load's/
the log's+the lateness and 0.15, in ms.

The outcome depends on the machine, so this is not a test. It makes the requested
number of runs, each of --seconds and one more second for the warm-up.
"""

import argparse
import collections
import contextlib
import heapq
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SO_TIMESTAMPNS = 35
MS = 10 ** 6
SHARES = (50, 90, 95, 99)
WARM_UP_S = 1
WOKEN = 0.15 * MS


def stamp_of(ancillary):
    for _, _, data in ancillary:
        seconds = int.from_bytes(data[:8], sys.byteorder)
        return seconds * 10 ** 9 + int.from_bytes(data[8:16], sys.byteorder)
    return time.time_ns()


def serve(listener, model, log):
    """Answers until SIGTERM; then writes the two times of each request."""
    poll, conns, due, times = select.epoll(), {}, [], []
    chance = random.Random(7)
    free_ns = 0
    listener.setblocking(False)
    poll.register(listener, select.EPOLLIN)

    def stop(*_):
        with open(log, "w", encoding="ascii") as file:
            json.dump(times, file)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    while True:
        while due and due[0][0] <= time.time_ns():
            _, arrived, number = heapq.heappop(due)
            with contextlib.suppress(OSError, KeyError):
                times.append((arrived, time.time_ns()))
                conns[number].send(ANSWER)
        wait = max(0, due[0][0] - time.time_ns()) / 1e9 if due else -1
        for number, _ in poll.poll(wait):
            if number == listener.fileno():
                conn, _ = listener.accept()
                conn.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                conns[conn.fileno()] = conn
                poll.register(conn, select.EPOLLIN)
                continue
            try:
                data, ancillary, _, _ = conns[number].recvmsg(65536, 256)
            except ConnectionResetError:
                data = b""
            if not data:
                poll.unregister(number)
                conns.pop(number).close()
                continue
            arrived = stamp_of(ancillary)
            took = 100 * MS if chance.random() < model["slow"] else model["ns"]
            free_ns = max(free_ns, arrived) + took
            when = free_ns if model["queues"] else arrived + took
            heapq.heappush(due, (when, arrived, number))


@contextlib.contextmanager
def server(model, log):
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        pid = os.fork()
        if pid == 0:
            serve(listener, model, log)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


@contextlib.contextmanager
def busy_loops(count, cpu=None):
    def pin():
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"],
                              preexec_fn=pin) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


FIXED = {"ns": 5 * MS, "slow": 0, "queues": False}
MIXED = {"ns": 1 * MS, "slow": 0.01, "queues": False}
QUEUE = {"ns": 4 * MS, "slow": 0, "queues": True}
# Lines as users write them: for wrk and oha, which are closed loops, and for hey and
# wrk2 with a rate.
HEALTHY = ((FIXED, ("-t", "1", "-c", "10")), (FIXED, ("-c", "4")),
           (FIXED, ("-c", "10", "-R", "200")), (MIXED, ("-c", "20", "-R", "500")),
           (FIXED, ("-c", "50", "-R", "10")))
Sick = collections.namedtuple("Sick", "model flags loops stops")
SICK = (Sick(FIXED, ("-c", "20", "-R", "500"), 0, True),
        Sick(FIXED, ("-c", "20"), 3, False),
        Sick(QUEUE, ("-c", "20", "-R", "500"), 0, False))


def run(weir_load, url, flags, seconds, stops):
    process = subprocess.Popen(
        [weir_load, "run", "--json", "-w", f"{WARM_UP_S}s", "-d", f"{seconds}s",
         *flags, url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    timer = threading.Timer(WARM_UP_S + seconds / 2,
                            process.send_signal, [signal.SIGSTOP])
    if stops:
        timer.start()
        timer.join()
        time.sleep(0.4)
        process.send_signal(signal.SIGCONT)
    return json.loads(process.communicate()[0])


def quantile(values, share):
    return values[min(len(values) - 1, len(values) * share // 100)]


class Figure(collections.namedtuple("Figure", "name found truth late")):
    """What weir-load says, the log, and by how much the result says that the
    client was late."""

    def percent(self):
        return self.found * 100 / self.truth - 100

    def allowed(self):
        """Returns the part of the lateness that a valid run may have."""
        return min(self.late, max(1 * MS, 0.1 * self.truth) + WOKEN)

    def is_near(self, late):
        return (0.95 * self.truth - min(self.late, WOKEN) <= self.found
                <= 1.05 * (self.truth + late))


def told(result):
    """By how many per cent the result says that each percentile may be too
    high."""
    return {name: int(percent) for line in result["warnings"]
            if line.startswith("the client was late")
            for name, percent in re.findall(r"(p[0-9.]+) by ([0-9]+) %", line)}


def figures(result, log, flags):
    begin = result["start_unix_ns"]
    end = begin + result["duration_ns"]
    with open(log, encoding="ascii") as file:
        times = json.load(file)
    took = sorted(b - a for a, b in times if begin <= a < end)
    latency = result["latency"]
    # What -R requests, or what a client that costs no time sends in a closed loop.
    rate = (int(flags[-1]) if "-R" in flags else
            result["config"]["connections"] * 1e9 * len(took) / sum(took))
    yield Figure("rate",
                 result["rate"]["completed"] * 1e9 / result["duration_ns"],
                 rate, 1e9 / result["duration_ns"] if "-R" in flags else 0)
    times = latency["response"] or latency["service"]
    lates = [latency[name] for name in ("read_lateness", "client_lateness")
             if latency.get(name)]
    for share in SHARES:
        found = times["percentiles"][str(share)]
        late = sum(late["percentiles"][str(share)] or 0 for late in lates)
        percent = told(result).get(f"p{share}", 0)
        if found is not None:
            late = max(late, found * percent / (100 + percent))
            yield Figure(f"p{share}", found, quantile(took, share), late + WOKEN)
    yield Figure("mean", times["mean"], sum(took) / len(took),
                 sum(late["mean"] for late in lates) + WOKEN)


def in_ms(figure):
    return "/".join(f"{value / MS:.2f}" for value in figure[1:3]) + \
        f"+{figure.late / MS:.2f}"


def judge(name, model, flags, options, loops=0, cpu=None, stops=False):
    log = f"/tmp/weir-verdicts-{os.getpid()}"
    pins = () if cpu is None else ("--cpu", str(cpu))
    try:
        with server(model, log) as url, busy_loops(loops, cpu):
            result = run(options.weir_load, url, (*flags, *pins),
                         options.seconds, stops)
        found = list(figures(result, log, flags))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(log)
    worst = max(found, key=lambda figure: abs(figure.percent()))
    is_right = (all(figure.is_near(figure.allowed()) for figure in found)
                if result["verdict"] == "VALID" else
                not all(figure.is_near(min(figure.late, WOKEN)) for figure in found))
    reasons = "; ".join(result["invalid_reasons"])[:60]
    print(f"{name:7} {' '.join(flags):15} {result['verdict']:8}"
          f" {'right' if is_right else 'WRONG':6}"
          f" {worst.name:4} {worst.percent():+6.1f} % "
          f" {' '.join(f'{in_ms(figure):15}' for figure in found[1:]):63}"
          f" {reasons}", flush=True)
    return name, is_right


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("weir_load")
    parser.add_argument("--idle", type=int, default=40)
    parser.add_argument("--beside", type=int, default=40)
    parser.add_argument("--sick", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    cpu = min(os.sched_getaffinity(0))
    seen = []

    print("runs    flags           verdict  it is  farthest       p50             "
          "p95             p99             mean            reasons")
    for name, count, loops in (("idle", options.idle, 0),
                               ("beside", options.beside, 2)):
        for i in range(count):
            model, flags = HEALTHY[i % len(HEALTHY)]
            seen.append(judge(name, model, flags, options, loops))
    for i in range(options.sick):
        sick = SICK[i % len(SICK)]
        seen.append(judge("sick", sick.model, sick.flags, options, sick.loops,
                          cpu if sick.loops else None, sick.stops))
    for name in ("idle", "beside", "sick"):
        right = [is_right for kind, is_right in seen if kind == name]
        print(f"{name}: {sum(right)} of {len(right)} verdicts are right")


if __name__ == "__main__":
    main()
