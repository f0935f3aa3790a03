"""An open loop with a queue, whose latencies queueing theory knows.

Requests arrive at random (--arrival poisson) at a server that serves one at a time:
M/D/1 if each takes the same time, M/M/1 if the times are random. The server records
when each request arrived and when its answer left, and weir-load what it measured
(--log).

A busy machine delays answers and never hastens them. So each request stays at least as
long as the schedule and the service times require (Lindley's recursion), no answer is
logged before it left or after the next request of its connection was sent, and
weir-load's report must agree with its log.
"""

import collections
import csv
import os
import random
import selectors
import socket
import tempfile
import threading
import time

from harness import equal, load_json, run

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK, INVALID = 0, 5
REQUESTS = 100
RATE = 50
SERVICE_S = 0.016  # the server is busy four fifths of the time
MS = 10 ** 6
SEED = 2


class Queue:
    """An HTTP server that serves one request at a time, in the order of arrival."""

    def __init__(self, times_s):
        self.times_ns = [int(time_s * 1e9) for time_s in times_s]
        self.log = {}  # by number: when it arrived and when its answer left
        self.waiting = []  # the time, the number and the connection
        self.free_ns = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/{{seq}}"
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        socket.create_connection(self.listener.getsockname()).close()
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def serve(self):
        while not self.is_over.is_set():
            wait_s = (max(0, self.waiting[0][0] - time.monotonic_ns()) / 1e9
                      if self.waiting else None)
            for key, _ in self.selector.select(wait_s):
                self.take(key.fileobj)
            while self.waiting and self.waiting[0][0] <= time.monotonic_ns():
                self.answer(*self.waiting.pop(0)[1:])

    def take(self, ready):
        if ready is self.listener:
            self.selector.register(self.listener.accept()[0],
                                   selectors.EVENT_READ)
            return
        try:
            head = ready.recv(4096)
        except ConnectionResetError:
            head = b""
        came_ns = time.monotonic_ns()
        if not head:
            self.selector.unregister(ready)
            ready.close()
            return
        assert head.endswith(b"\r\n\r\n") and head.count(b"GET /") == 1, head
        number = int(head.split()[1][1:])
        # Delays by the machine do not delay the next request.
        self.free_ns = max(self.free_ns, came_ns) + self.times_ns[number]
        self.log[number] = came_ns, 0
        self.waiting.append((self.free_ns, number, ready))

    def answer(self, number, connection):
        self.log[number] = self.log[number][0], time.monotonic_ns()
        connection.sendall(ANSWER)


Row = collections.namedtuple("Row", "conn meant sent end")


def read_log(path):
    """By number: the connection, and when it was due, was sent and was answered."""
    with open(path, encoding="ascii") as file:
        return {int(row["number"]): Row(*(int(row[name]) for name in (
            "conn", "meant_ns", "sent_ns", "end_ns")))
                for row in csv.DictReader(file)}


def check_causes(client, server):
    """Verifies that one difference of the two clocks exists with which each request
    arrived after it was sent, and was answered before the answer arrived."""
    least = max(left - client[number].end for number, (_, left) in server.items())
    most = min(came - client[number].sent for number, (came, _) in server.items())
    equal(least <= most, True,
          f"an answer was {(least - most) / MS:.3f} ms before its cause")
    last = {}
    for row in sorted(client.values(), key=lambda row: row.sent):
        equal(row.meant <= row.sent <= row.end, True, f"the order of {row}")
        equal(last.get(row.conn, row.sent) <= row.sent, True,
              f"{row}: an answer after the next request")
        last[row.conn] = row.end


def figures(times):
    times = sorted(times)
    return {"mean": sum(times) / len(times), "50": times[len(times) // 2 - 1],
            "90": times[len(times) * 9 // 10 - 1]}


def agrees_with_theory(times_s, connections=100):
    with tempfile.TemporaryDirectory() as folder, Queue(times_s) as queue:
        path = os.path.join(folder, "log.csv")
        outcome, result = load_json(
            "-R", str(RATE), "--arrival", "poisson", "--seed", str(SEED), "-n",
            str(REQUESTS), "-c", str(connections), "-w", "0", "--log", path,
            queue.url)
        client = read_log(path)
    equal((outcome.status in (OK, INVALID), result["requests"]["ok"]),
          (True, REQUESTS), f"status and answers; it said {outcome.err!r}")
    equal((sorted(client), sorted(queue.log)), (list(range(REQUESTS)),) * 2,
          "requests of both logs")
    check_causes(client, queue.log)
    free = float("-inf")
    for number in queue.log:  # in the order of their arrival
        row = client[number]
        free = max(free, row.meant) + queue.times_ns[number]
        equal(row.end >= free, True, f"{row} of {number}, there until {free}")
    response = result["latency"]["response"]
    wanted = figures([row.end - row.meant for row in client.values()])
    for name, found in (("mean", response["mean"]),
                        ("50", response["percentiles"]["50"]),
                        ("90", response["percentiles"]["90"])):
        # The width of a bucket of the histogram is a thousandth of its values.
        equal(abs(found - wanted[name]) <= wanted[name] / 500, True,
              f"{name}: {found} of {wanted}")


def test_equal_services_of_random_arrivals_are_reported_as_they_are():
    """M/D/1"""
    agrees_with_theory([SERVICE_S] * REQUESTS)


def test_random_services_of_random_arrivals_are_reported_as_they_are():
    """M/M/1"""
    chance = random.Random(SEED)
    agrees_with_theory([chance.expovariate(1 / SERVICE_S)
                        for _ in range(REQUESTS)])


def test_requests_that_wait_for_one_of_two_connections_are_there_as_long():
    """Then the queue is in the client, and as long as it was in the server."""
    agrees_with_theory([SERVICE_S] * REQUESTS, connections=2)


run(globals(), short="equal_services_of_random_arrivals_are_reported_as_they_are")
