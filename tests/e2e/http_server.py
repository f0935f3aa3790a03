"""weir-load serve as an HTTP server: queries, requests split anywhere and sent in a
row, bodies, and invalid requests; read by Python's http.client, by curl and by
weir-load."""

import http.client
import re
import socket
import time

from dns import find
from harness import (WAIT_S, WEIR_LOAD, Serve, Skip, command, equal, load_json,
                     matches, run)
from http_requests import NO_BODIES, NO_REQUESTS

HTTP = ("--mode", "http")


def receive_all(sock):
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def ask(server, method, path, body=None, headers=None):
    link = http.client.HTTPConnection(*server.address, timeout=WAIT_S)
    link.request(method, path, body, headers or {})
    answer = link.getresponse()
    data = answer.read()
    return answer, data, link


def test_a_query_says_size_status_and_close():
    with Serve(*HTTP) as server:
        answer, data, link = ask(server, "GET", "/")
        equal((answer.status, len(data)), (200, 128), "the default")
        link.request("GET", "/any/path?s=200k&r=503")
        answer = link.getresponse()
        equal((answer.status, len(answer.read())), (503, 200 * 1024), "asked")
        equal(answer.will_close, False, "the connection stays")
        link.request("GET", "/?s=0&close=1")
        answer = link.getresponse()
        equal((answer.status, answer.read()), (200, b""), "the last one")
        equal(answer.will_close, True, "it says that it closes")
        for status in (204, 304):
            answer, data, _ = ask(server, "GET", f"/?r={status}")
            equal((answer.status, data), (status, b""), "without a body")
            equal(answer.getheader("Content-Length"), None, "and a length")


def test_the_service_time_is_that_of_the_query():
    with Serve(*HTTP) as server:
        for path in ("/?t=50", "/?t=50ms"):
            begin = time.monotonic()
            ask(server, "GET", path)
            equal(time.monotonic() - begin >= 0.05, True, "seconds")


def test_heads_and_bodies():
    with Serve(*HTTP, "--recv", "7") as server:
        answer, data, link = ask(server, "HEAD", "/?s=1000")
        equal((answer.getheader("Content-Length"), data), ("1000", b""), "HEAD")
        for body in (b"", b"x" * 300_000, iter([b"ab", b"c" * 70_000])):
            link.request("POST", "/", body)
            answer = link.getresponse()
            equal((answer.status, len(answer.read())), (200, 7), "POST")


def test_bodies_of_drawn_sizes():
    def sizes(path):
        return [len(ask(server, "GET", path)[1]) for _ in range(40)]

    with Serve(*HTTP, "--recv", "mix:5:1,50:1") as server:
        equal(set(sizes("/")), {5, 50}, "bodies by --recv")
        asked = sizes("/?s=uniform:10:19&r=201")
        equal(set(asked) <= set(range(10, 20)), True, f"bodies {asked}")
        equal(len(set(asked)) > 4, True, f"bodies {asked}")
        equal(ask(server, "GET", "/?s=uniform:9:8")[0].status, 400, "a mistake")


def talk(server, data, step=None):
    """Sends bytes in pieces of @step. Returns everything that comes back."""
    with socket.create_connection(server.address) as sock:
        sock.settimeout(WAIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), step or len(data)):
            sock.sendall(data[at:at + (step or len(data))])
        sock.shutdown(socket.SHUT_WR)
        return receive_all(sock)


def statuses(data):
    return [int(word) for word in re.findall(rb"HTTP/1\.1 (\d+) ", data)]


def test_requests_in_a_row_are_answered_in_order_however_they_are_cut():
    data = (b"GET /?r=201&t=20 HTTP/1.1\r\nHost: x\r\n\r\n"
            b"POST /?r=202 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
            b"\r\nPUT /?r=203 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2;x\r\nab\r\n0\r\nT: x\r\n\r\n"
            b"GET /?r=206&s=0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
            b"GET /?r=299&s=0 HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    with Serve(*HTTP) as server:
        whole = talk(server, data)
        equal(statuses(whole), [201, 202, 203, 206, 299], "answers")
        for step in (1, 2, 7, 30):
            equal(talk(server, data, step), whole, f"in pieces of {step}")


def test_what_is_no_request_is_refused_and_ends_the_connection():
    with Serve(*HTTP) as server:
        for data, status in (*NO_REQUESTS, *NO_BODIES,
                             (b"GET / HTTP/1.1\n\n", 400),
                             (b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\n\r\n", 414),
                             (b"GET / HTTP/1.1\r\nA: " + b"x" * 65533, 431),
                             (b"\x16\x03\x01\x00\n", 400),
                             (b"GET /?s=x HTTP/1.1\r\n\r\n", 400),
                             (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked"
                              b"\r\n\r\nz", 400)):
            answer = talk(server, data)
            equal(statuses(answer), [status], f"{data[:80]}")
            matches(answer.decode(), r"^Connection: close\r$")
        answer = talk(server, b"GET / HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
        equal(statuses(answer), [200, 400], "the first one was good")


def test_a_request_that_is_not_whole_is_not_answered():
    with Serve(*HTTP) as server:
        for data in (b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n",
                     b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell"):
            equal(talk(server, data), b"", f"{data}")


def test_curl_is_served():
    path = find("curl")
    if not path:
        raise Skip("curl is not installed")
    with Serve(*HTTP) as server:
        outcome = command(path, "-sS", "--noproxy", "*", "-o", "/dev/null",
                          "-w", "%{http_code} %{size_download}\n",
                          f"http://127.0.0.1:{server.port}/?s=5000&r=404")
    equal((outcome.status, outcome.out), (0, "404 5000\n"), outcome.err)


def test_weir_load_loads_it():
    with Serve(*HTTP) as server:
        url = f"http://127.0.0.1:{server.port}"
        outcome, result = load_json("-c", "4", "-p", "8", "-n", "4000",
                                    "--requests-per-conn", "50:90",
                                    f"{url}/?s={{rand:0:3000}}")
        equal(outcome.status, 0, outcome.err)
        equal(result["status"], {"200": 4000}, "statuses")
        _, result = load_json("-c", "2", "-n", "50", "--expect", "503",
                              f"{url}/?r=503&close=1")
        equal(result["requests"]["ok"], 50, "ok")


def test_a_rate_is_that_of_all_connections():
    with Serve(*HTTP, "--limit-rate", "200") as server:
        _, result = load_json("-c", "4", "-n", "100",
                              f"http://127.0.0.1:{server.port}/")
        equal(result["duration_ns"] >= 490_000_000, True, "half a second")


def test_the_scheme_is_the_mode():
    with Serve(*HTTP) as server:
        matches(server.line, r"^serving http on tcp://")
        outcome = command(WEIR_LOAD, "serve", f"http://127.0.0.1:{server.port}")
        equal(outcome.status, 2, "the port is taken")
        matches(outcome.err, r"^weir-load: http://127.*EADDRINUSE")


run(globals())
