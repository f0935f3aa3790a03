"""An open loop with a queue, whose latencies queueing theory knows.

Requests arrive at random (--arrival poisson) at a server that serves one at a time:
M/D/1 if each takes the same time, M/M/1 if the times are random. The server records
when each request arrived and when its answer left, and weir-load what it measured
(--log). weir-load's report must agree with the server's record, and with the schedule
and the service times alone (Lindley's recursion), within 2 %. Service takes long, so
that a busy machine, which delays each answer a little, changes less than that;
otherwise runs are repeated until one agrees, for a minute.
"""

import csv
import os
import random
import selectors
import socket
import tempfile
import threading
import time

from harness import Skip, equal, load_json, run

# With some seeds half of the requests find the server free: one of them that arrives a
# little late moves the median by more than 2 %.
SEED = int(os.environ.get("WEIR_TEST_SEED", 2))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK, INVALID = 0, 5
REQUESTS = 100
RATE = 5
SERVICE_S = 0.16  # the server is busy four fifths of the time
MS = 10 ** 6


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


def read_log(path):
    """By number: when a request was due, was sent and was answered."""
    with open(path, encoding="ascii") as file:
        return {int(row["number"]): (int(row["meant_ns"]), int(row["sent_ns"]),
                                     int(row["end_ns"]))
                for row in csv.DictReader(file)}


def find_offset(client, server):
    """Returns the server's clock minus the client's: each request arrived after it was
    sent, and was answered before the answer arrived."""
    least = max(left - client[number][2]
                for number, (_, left) in server.items())
    most = min(came - client[number][1]
               for number, (came, _) in server.items())
    equal(least <= most, True,
          f"an answer was {(least - most) / MS:.3f} ms before its cause")
    return (least + most) // 2


def sojourn(dues, services):
    """Lindley: how long each request stays, which finds earlier ones."""
    free = 0
    times = []
    for due, service in sorted(zip(dues, services)):
        free = max(free, due) + service
        times.append(free - due)
    return times


def figures(times):
    times = sorted(times)
    return {"mean": sum(times) / len(times), "50": times[len(times) // 2 - 1],
            "90": times[len(times) * 9 // 10 - 1]}


def differ(found, wanted):
    """Returns the figures that differ by more than 2 % from the expected ones."""
    return {name: (found[name], wanted[name]) for name in wanted
            if abs(found[name] - wanted[name]) > wanted[name] / 50}


def measure(times_s, connections, folder):
    """Returns what weir-load reports, what the server recorded, and the theory."""
    path = os.path.join(folder, "log.csv")
    with Queue(times_s) as queue:
        outcome, result = load_json(
            "-R", str(RATE), "--arrival", "poisson", "--seed", str(SEED), "-n",
            str(REQUESTS), "-c", str(connections), "-w", "0", "--force",
            "--lateness-limit", "1h", "--log", path, queue.url)
    equal((outcome.status in (OK, INVALID), result["requests"]["ok"]),
          (True, REQUESTS), f"status and answers; it said {outcome.err!r}")
    client, server = read_log(path), queue.log
    equal((sorted(client), sorted(server)), (list(range(REQUESTS)),) * 2,
          "requests of both logs")
    offset = find_offset(client, server)
    response = result["latency"]["response"]
    numbers = range(REQUESTS)
    return ({"mean": response["mean"], "50": response["percentiles"]["50"],
             "90": response["percentiles"]["90"]},
            figures([server[number][1] - offset - client[number][0]
                     for number in numbers]),
            figures(sojourn([client[number][0] for number in numbers],
                            queue.times_ns)),
            result["warnings"])


def agrees_with_theory(times_s, connections=100):
    print(f"# WEIR_TEST_SEED={SEED}")
    end = time.monotonic() + 60
    was_quiet = False
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        while True:
            found, served, wanted, warnings = measure(times_s, connections,
                                                     folder)
            wrong = differ(found, served), differ(found, wanted)
            seen.append(wrong)
            was_quiet |= not any("for a CPU" in text for text in warnings)
            if wrong == ({}, {}):
                return
            if time.monotonic() > end:
                break
    if not was_quiet:
        raise Skip("other programs kept the processors busy all the time")
    raise AssertionError(f"more than 2 % from server and theory: {seen}")


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
