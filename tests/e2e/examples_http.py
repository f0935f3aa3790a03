"""The example of a web server: curl, wrk, Python's http.client, requests as text, and
rude clients."""

import contextlib
import http.client
import os
import random
import re
import shutil
import socket
import tempfile

import rude
from harness import (WAIT_S, ExampleService, Skip, command, equal, fill,
                     matches, run)

SEED = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32))
print(f"# WEIR_TEST_SEED={SEED}")

LARGE = 20_000_001
HEAD = re.compile(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n", re.S)
NEXT = b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def program(name):
    if not shutil.which(name):
        raise Skip(f"{name} is not installed")
    return name


@contextlib.contextmanager
def serving():
    """Yields a server, and the contents of its large file; its folder is next to a file
    that it may not serve."""
    data = random.Random(SEED).randbytes(LARGE)
    with tempfile.TemporaryDirectory() as place:
        folder = os.path.join(place, "folder")
        os.makedirs(os.path.join(folder, "sub"))
        for name, size in (("large", LARGE), ("small", 10), ("empty", 0),
                           ("a b.html", 3), ("sub/index.html", 4),
                           ("x.y.json", 2), ("../secret", 6)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data[:size])
        os.mkfifo(os.path.join(folder, "fifo"))
        os.symlink("../secret", os.path.join(folder, "leaves"))
        os.symlink("sub/../small", os.path.join(folder, "stays"))
        with ExampleService("http_file_server", cwd=folder) as server:
            yield server, data


def statuses(answer):
    """Returns the statuses of the responses in a row."""
    found = []
    while answer:
        head = HEAD.match(answer)
        assert head, f"no head of an answer: {answer[:200]!r}"
        found.append(int(head[1]))
        length = int(re.search(rb"Content-Length: (\d+)", head[0])[1])
        answer = answer[len(head[0]) + length:]
    return found


def get(server, path, headers="", method="GET", version="1.1"):
    """Returns one response: its status, its headers by name, its body."""
    answer = rude.ask(server, (
        f"{method} {path} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n"
        f"{headers}\r\n").encode())
    head, body = answer.split(b"\r\n\r\n", 1)
    status, *lines = head.decode().split("\r\n")
    return (int(status.split()[1]), dict(line.split(": ", 1) for line in lines),
            body)


def test_files_arrive_whole_with_their_type():
    with serving() as (server, data):
        for path, size, kind in (
                ("/large", LARGE, "application/octet-stream"),
                ("/empty", 0, "application/octet-stream"),
                ("/a%20b.html", 3, "text/html; charset=utf-8"),
                ("/a%20b.html?x=/../y", 3, "text/html; charset=utf-8"),
                ("/sub/", 4, "text/html; charset=utf-8"),
                ("/x.y.json", 2, "application/json"),
                ("/%73mall", 10, "application/octet-stream"),
                ("/sub/../small", 10, "application/octet-stream"),
                ("/stays", 10, "application/octet-stream")):
            status, head, body = get(server, path)
            equal((status, head["Content-Type"]), (200, kind), path)
            equal(body == data[:size], True, f"the bytes of {path}")
            matches(head["Date"], r"^\w{3}, \d\d \w{3} 20\d\d \S{8} GMT$")
            status, asked, body = get(server, path, method="HEAD")
            equal((status, asked["Content-Length"], body),
                  (200, str(size), b""), f"HEAD of {path}")


def test_no_path_leaves_the_folder():
    with serving() as (server, _):
        for path in ("/../secret", "/sub/../../secret", "//etc/passwd",
                     "/%2e%2e/secret", "/..%2fsecret", "/%2fetc/passwd",
                     "/leaves", "/sub", "/fifo", "/none", "/", "/small/",
                     "/sub/../../folder/small"):
            equal(get(server, path)[0], 404, path)
        for path in ("/%00", "/small%00.html", "/%", "/%2", "/%zz", "small",
                     "*", "http:/x", "/" + "x" * 1100):
            equal(get(server, path)[0], 400, path)


def test_requests_that_are_wrong_are_refused():
    good = "GET /small HTTP/1.1\r\nHost: x\r\n"
    with serving() as (server, _):
        for text, status in (
                ("PUT /small HTTP/1.1\r\nHost: x\r\n\r\n", 405),
                ("get /small HTTP/1.1\r\nHost: x\r\n\r\n", 405),
                ("GET /small HTTP/2.0\r\nHost: x\r\n\r\n", 505),
                ("GET /small HTTP/1.1\r\n\r\n", 400),
                ("GET  /small HTTP/1.1\r\nHost: x\r\n\r\n", 400),
                ("GET /small\r\n\r\n", 400),
                ("\r\nGET /small HTTP/1.1\r\n\r\n\r\n", 400),
                (good + "Host: y\r\n\r\n", 400),
                (good + "A : b\r\n\r\n", 400), (good + " b\r\n\r\n", 400),
                (good + ": b\r\n\r\n", 400), (good + "A\r\n\r\n", 400),
                (good + "A: b\rc\r\n\r\n", 400), (good + "A: b\n\r\n\r\n", 400),
                (good + "A: \0\r\n\r\n", 400),
                (good + "Content-Length: x\r\n\r\n", 400),
                (good + "Content-Length: -1\r\n\r\n", 400),
                (good + "Content-Length: 5\r\n\r\nhello", 413),
                (good + f"Content-Length: {'9' * 18}\r\n\r\n", 413),
                (good + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
                (good + f"A: {'b' * 9000}\r\n\r\n", 431),
                ("G" * 100_000, 431)):
            # The connection ends: later bytes are not taken for a request.
            equal(statuses(rude.ask(server, text.encode() + NEXT)), [status],
                  text[:100])
        equal(statuses(rude.ask(server, (
            good + "Content-Length: 0\r\n\r\n").encode() + NEXT)), [200, 200],
            "a body of nothing")


def test_connections_stay_and_requests_may_come_together():
    with serving() as (server, data):
        ask = "GET /{} HTTP/1.1\r\nHost: x\r\n\r\n"
        requests = "".join(ask.format(name) for name in (
            "small", "none", "large", "empty", "small")).encode()
        equal(statuses(rude.ask(server, requests + NEXT)),
              [200, 404, 200, 200, 200, 200], "answers")
        equal(statuses(rude.ask(server, NEXT + NEXT)), [200], "after a close")
        old = b"GET /small HTTP/1.0\r\n"
        equal(statuses(rude.ask(server, old + b"\r\n" + NEXT)), [200], "1.0")
        equal(statuses(rude.ask(
            server, old + b"Connection: x, Keep-Alive\r\n\r\n" + NEXT)),
            [200, 200], "1.0 that stays")
        client = http.client.HTTPConnection(*server.address, timeout=WAIT_S)
        for _ in range(3):
            client.request("GET", "/large")
            equal(client.getresponse().read() == data, True, "the bytes")
        client.close()


def test_ranges_are_parts_of_the_file():
    with serving() as (server, data):
        for wanted, first, end in (
                ("0-0", 0, 1), ("5-9", 5, 10), ("10-", 10, LARGE),
                (f"5-{LARGE}", 5, LARGE), ("-7", LARGE - 7, LARGE),
                (f"-{LARGE * 2}", 0, LARGE), (f"{LARGE - 1}-", LARGE - 1,
                                              LARGE)):
            status, head, body = get(server, "/large",
                                     f"Range: bytes={wanted}\r\n")
            equal((status, head["Content-Range"]),
                  (206, f"bytes {first}-{end - 1}/{LARGE}"), wanted)
            equal(body == data[first:end], True, f"the bytes of {wanted}")
        for wanted in (f"{LARGE}-", "-0", "9" * 18 + "-"):
            status, head, body = get(server, "/large",
                                     f"Range: bytes={wanted}\r\n")
            equal((status, head["Content-Range"], body),
                  (416, f"bytes */{LARGE}", b""), wanted)
        equal(get(server, "/empty", "Range: bytes=0-\r\n")[0], 416, "empty")
        for text in ("bytes=5-4", "bytes=x-5", "bytes=1-2,4-5", "lines=1-2",
                     "bytes=-", "bytes=" + "9" * 30 + "-", "bytes 1-2"):
            status, _, body = get(server, "/small", f"Range: {text}\r\n")
            equal((status, body == data[:10]), (200, True), text)
        equal(get(server, "/small", "Range: bytes=1-2\r\nIf-Range: x\r\n")[0],
              200, "a condition that nobody can judge")


def test_curl_gets_what_was_stored():
    curl = program("curl")
    with serving() as (server, _):
        url = "http://%s:%d/" % server.address
        outcome = command(curl, "-sS", "--noproxy", "*", "--path-as-is", "-w",
                          "%{http_code} %{size_download} %{num_connects}\n",
                          *(word for name in ("large", "small", "../secret")
                            for word in ("-o", "/dev/null", url + name)))
        equal((outcome.out, outcome.err),
              (f"200 {LARGE} 1\n200 10 0\n404 0 0\n", ""), "curl")
        outcome = command(curl, "-sS", "--noproxy", "*", "-w", "%{http_code}",
                          "-d", "x" * 100_000, url + "small")
        equal((outcome.out, outcome.err), ("405", ""), "curl -d")


def test_wrk_is_content():
    wrk = program("wrk")
    with serving() as (server, _):
        with rude.unharmed(server):
            outcome = command(wrk, "-t", "1", "-c", "30", "-d", "1s",
                              "http://%s:%d/small" % server.address)
        equal(outcome.status, 0, f"exit status; it said {outcome.err}")
        matches(outcome.out, r"[1-9]\d* requests in")
        equal(re.findall("Non-2xx|Socket errors.*", outcome.out), [], "errors")


def test_a_request_may_come_in_two_pieces():
    with serving() as (server, data):
        answer = rude.ask(server, NEXT)
        equal(answer.endswith(b"\r\n\r\n" + data[:10]), True, "the answer")
        for at in range(1, len(NEXT)):
            found = rude.ask_in_two(server, NEXT, at)
            equal((statuses(found), found[-10:]), ([200], data[:10]),
                  f"cut at {at}")


def test_nonsense_harms_nobody():
    chance = random.Random(SEED)
    beginnings = [NEXT, NEXT.replace(b"close", b"keep-alive"), b"GET /",
                  b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n\r\n",
                  b"GET /%2e%2e/ HTTP/1.1\r\nHost: x\r\nRange: bytes=",
                  b"HEAD /fifo HTTP/1.1\r\nHost: "]
    with serving() as (server, _):
        with rude.unharmed(server):
            rude.nonsense(server, chance, beginnings)
        equal(get(server, "/small")[0], 200, "the next client")


def test_clients_that_do_not_read_are_waited_for():
    request = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving() as (server, data), rude.unharmed(server), \
            rude.takes_at_most(server, 30 << 20), \
            rude.connect(server) as sock:
        fill(server, sock, lambda at, count:
             (request * 1000)[at % len(request):][:count])
        equal(get(server, "/large")[2] == data, True, "another's bytes")


def test_a_file_that_shrinks_is_not_taken_for_whole():
    with serving() as (server, _), socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(server.address)
        sock.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" + NEXT)
        answer = sock.recv(1000)  # the head has arrived, with the old length
        rude.wait_until(lambda: rude.is_asleep(server.process.pid),
                        "the server waits")
        os.truncate(f"/proc/{server.process.pid}/cwd/large", 8_000_000)
        answer += rude.read_end(sock)
        assert len(answer) < 8_100_000, f"{len(answer)} bytes came"
        equal(answer.count(b"HTTP/1.1 200"), 1, "answers")


run(globals())
