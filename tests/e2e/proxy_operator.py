"""weir-proxy and who operates it: starts that fail, the operator's page under
many requests, words that nobody reads.
"""

import socket
import threading

from harness import WAIT_S, Program, command, equal, matches, read_line, run
from proxying import PROXY, Proxy
from servers import Server, echo, free_port


def plain(server):
    return f"tcp://127.0.0.1:{server.port}"


# ---- starts that fail ----

def test_an_operators_address_in_use_ends_it_on_all_threads():
    with Server(echo) as server:
        for threads in ("1", "3"):
            outcome = command(PROXY, "--threads", threads, "tcp://127.0.0.1:0",
                              plain(server), "--admin", str(server.port))
            equal(outcome.status, 1, "exit status")
            matches(outcome.err, "admin .*: Address already in use")


def test_two_proxies_do_not_share_an_operators_address():
    with Server(echo) as server:
        flags = ("tcp://127.0.0.1:0", plain(server), "--admin",
                 str(free_port()))
        with Program(PROXY, *flags) as first:
            while " serves " not in read_line(first.process.stderr):
                pass
            outcome = command(PROXY, *flags)
            equal(outcome.status, 1, "exit status")
            matches(outcome.err, "admin .*: Address already in use")


# ---- the page ----

def ask(proxy, method, path):
    """Head and body of the answer, as bytes."""
    host, port = proxy.admin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as client:
        client.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while part := client.recv(65536):
            answer += part
    head, body = answer.split(b"\r\n\r\n", 1)
    return head, body


def test_who_asks_at_one_time_waits_and_is_answered():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", plain(server),
                                       threads=2) as proxy:
        told = []

        def scrape(path):
            told.extend(ask(proxy, "GET", path)[0].split()[1]
                        for _ in range(20))

        threads = [threading.Thread(target=scrape, args=(path,))
                   for path in ["/metrics", "/status"] * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(told, [b"200"] * 160, "statuses")


def test_a_head_is_answered_without_a_body_and_other_methods_are_refused():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       plain(server)) as proxy:
        for path, status in (("/healthz", b"200"), ("/metrics", b"200"),
                             ("/x", b"404")):
            head, body = ask(proxy, "HEAD", path)
            equal((head.split()[1], body), (status, b""), path)
            matches(head.decode(), "Content-Length: [1-9]")
        head, _ = ask(proxy, "POST", "/metrics")
        equal(head.split()[1], b"405", "the answer to a POST")
        matches(head.decode(), "Allow: GET, HEAD")


run(globals())
