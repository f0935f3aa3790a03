"""weir-load serve with a service time, freezes and a rate, and mode rr.

No test asserts an upper limit of a time: a server that is too early is wrong, one that
is late may have had no processor.
"""

import socket
import time

from harness import PATIENT, Serve, equal, load_json, matches, run
from servers import read_exactly

SECOND = 10 ** 9


def test_a_delay_is_that_of_each_answer():
    with Serve("--delay", "20ms") as server:
        _, result = load_json("-c", "4", "-n", "40", server.url)
    service = result["latency"]["service"]
    equal(result["requests"]["ok"], 40, "ok")
    equal(service["min"] >= 20_000_000, True, f"at least 20 ms: {service}")
    # Forty one after another on each connection, in parallel on four.
    equal(result["duration_ns"] >= 10 * 20_000_000, True, "ten in a row")


def test_requests_on_one_connection_wait_beside_each_other():
    with Serve("--delay", "300ms") as server, \
            socket.create_connection(server.address) as sock:
        begin = time.monotonic_ns()
        for number in range(20):
            sock.sendall(b"%04d" % number)
            time.sleep(0.001)
        equal(read_exactly(sock, 80),
              b"".join(b"%04d" % number for number in range(20)), "the echo")
        equal(time.monotonic_ns() - begin >= 3 * SECOND // 10, True, "delayed")


def test_no_answer_leaves_in_a_freeze():
    freeze, period = SECOND // 5, SECOND // 2
    with Serve("--freeze", "200ms/500ms") as server, \
            socket.create_connection(server.address) as sock:
        before = 0
        # Starts in the freeze: the server's clock is this machine's.
        while before % period < period - freeze:
            time.sleep(0.001)
            before = time.monotonic_ns()
        sock.sendall(b"early")
        equal(read_exactly(sock, 5), b"early", "the echo")
        after = time.monotonic_ns()
    equal(after >= before - before % period + period, True,
          f"answered at {after % period} of {period}")


def test_a_rate_is_not_exceeded():
    with Serve("--mode", "rr", "--limit-rate", "100", "--send", "3",
               "--recv", "2") as server, \
            socket.create_connection(server.address) as one, \
            socket.create_connection(server.address) as two:
        begin = time.monotonic_ns()
        one.sendall(b"abc" * 25)
        two.sendall(b"abc" * 25)
        equal(len(read_exactly(one, 50)), 50, "bytes")
        equal(len(read_exactly(two, 50)), 50, "bytes")
        equal(time.monotonic_ns() - begin >= SECOND // 2, True,
              "50 answers take half a second")


def test_mode_rr_answers_whole_requests_with_its_size():
    with Serve("--mode", "rr", "--send", "5", "--recv", "200K") as server, \
            socket.create_connection(server.address) as sock:
        for byte in b"requestrequest!":
            sock.sendall(bytes([byte]))
        sock.shutdown(socket.SHUT_WR)
        equal(len(read_exactly(sock, 600 * 1024)), 600 * 1024, "three answers")
        equal(sock.recv(1), b"", "the end of the stream")


def test_what_waits_is_sent_after_the_end_of_stream():
    with Serve("--delay", "100ms") as server, \
            socket.create_connection(server.address) as sock:
        sock.sendall(b"last words")
        sock.shutdown(socket.SHUT_WR)
        equal(read_exactly(sock, 10), b"last words", "the echo")
        equal(sock.recv(1), b"", "the end of the stream")


def test_a_client_that_leaves_is_forgotten_with_its_answers():
    with Serve("--delay", "1s", "--stats", may_complain=True) as server:
        for _ in range(3):
            with socket.create_connection(server.address) as sock:
                sock.sendall(b"x" * 100_000)
        _, result = load_json("-c", "1", "-n", "1", "--timeout", "60s",
                              server.url)
        equal(result["requests"]["ok"], 1, "ok")
        matches(server.stop(), r"^served_open 0$")


def test_a_client_that_does_not_read_is_not_read_from():
    with Serve("--mode", "rr", "--send", "1", "--recv", "1M",
               "--stats", may_complain=True) as server, \
            socket.create_connection(server.address) as sock:
        sock.sendall(b"x" * 3000)
        equal(len(read_exactly(sock, 1 << 20)), 1 << 20, "the first answer")
        before = server.rss_bytes()
        equal(len(read_exactly(sock, 64 << 20)), 64 << 20, "some more")
        equal(server.rss_bytes() - before < 64 << 20, True, "memory")


def test_threads_freeze_together():
    with Serve("--threads", "2", "--delay", "5ms") as server:
        _, result = load_json(*PATIENT, "-c", "8", "-n", "80", server.url)
        equal(result["requests"]["ok"], 80, "ok")
        equal(result["latency"]["service"]["min"] >= 5_000_000, True, "delay")


run(globals())
