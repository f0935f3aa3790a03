"""weir-proxy and its operator: starts that fail, the operator's page with many
requests, and output that is not read."""

import contextlib
import os
import signal
import socket
import tempfile
import threading

from harness import WAIT_S, Program, command, equal, matches, read_line, run
from http_requests import NO_BODIES, NO_REQUESTS
from proxying import PROXY, Proxy, port_of, target
from servers import Server, echo, echoes, free_port


# ---- starts that fail, and that do not ----

def test_a_proxy_that_was_killed_is_succeeded_at_once():
    with tempfile.TemporaryDirectory() as folder:
        for listen in (f"tcp://127.0.0.1:{free_port()}",
                       f"unix:{folder}/proxy.sock"):
            for _ in range(3):
                with Program(PROXY, listen, "tcp://127.0.0.1:1") as proxy:
                    port_of(proxy.process.stderr)
                    proxy.kill()


def test_an_operators_address_in_use_ends_it_on_all_threads():
    with Server(echo) as server:
        for threads in ("1", "3"):
            outcome = command(PROXY, "--threads", threads, "tcp://127.0.0.1:0",
                              target(server), "--admin", str(server.port))
            equal(outcome.status, 1, "exit status")
            matches(outcome.err, "admin .*: Address already in use")


def test_two_proxies_do_not_share_an_operators_address():
    with Server(echo) as server:
        flags = ("tcp://127.0.0.1:0", target(server), "--admin",
                 str(free_port()))
        with Program(PROXY, *flags) as first:
            port_of(first.process.stderr)
            outcome = command(PROXY, *flags)
            equal(outcome.status, 1, "exit status")
            matches(outcome.err, "admin .*: Address already in use")


def test_descriptors_that_no_manager_has_passed_are_told():
    with Server(echo) as server:
        outcome = command("sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=x exec "$@"',
                          "sh", PROXY, "tcp://127.0.0.1:0", target(server))
        equal(outcome.status, 1, "exit status")
        matches(outcome.err, "the sockets of LISTEN_FDS: Invalid argument")


# ---- ends ----

def test_signals_at_any_time_of_its_end_leave_it_in_order():
    with Server(echo) as server:
        for _ in range(20):
            with Program(PROXY, "--threads", "4", "tcp://127.0.0.1:0",
                         target(server)) as program:
                port_of(program.process.stderr)
                while program.process.poll() is None:
                    program.signal(signal.SIGTERM)
                equal(program.process.returncode, 0, "exit status")


# ---- the page ----

def where(proxy):
    host, port = proxy.admin.removeprefix("http://").split(":")
    return host, int(port)


def talk(proxy, data):
    """Returns the answer, as bytes."""
    with socket.create_connection(where(proxy), timeout=WAIT_S) as client:
        client.sendall(data)
        answer = b""
        while part := client.recv(65536):
            answer += part
    return answer


def ask(proxy, method, path):
    """Returns head and body of the answer, as bytes."""
    head, body = talk(proxy, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"
                      .encode()).split(b"\r\n\r\n", 1)
    return head, body


def test_who_asks_at_one_time_waits_and_is_answered():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
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
                                       target(server)) as proxy:
        for path, status in (("/healthz", b"200"), ("/metrics", b"200"),
                             ("/x", b"404")):
            head, body = ask(proxy, "HEAD", path)
            equal((head.split()[1], body), (status, b""), path)
            matches(head.decode(), "Content-Length: [1-9]")
        head, _ = ask(proxy, "POST", "/metrics")
        equal(head.split()[1], b"405", "the answer to a POST")
        matches(head.decode(), "Allow: GET, HEAD")


def test_requests_are_read_strictly():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       target(server)) as proxy:
        for data, status in (
                *NO_REQUESTS, *NO_BODIES,
                (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
                (b"GET /healthz?x HTTP/1.1\r\nHost: x\r\n\r\n", 200),
                (b"\r\nHEAD /healthz HTTP/1.0\r\nA:\tb\r\n\r\n", 200)):
            head = talk(proxy, data).split(b"\r\n\r\n", 1)[0]
            assert head, f"no answer to {data[:80]}"
            equal(int(head.split()[1]), status, f"{data[:80]}")
        with socket.create_connection(where(proxy), timeout=WAIT_S) as client:
            client.sendall(b"GET /healthz HTTP/1.1\n\n")
            client.shutdown(socket.SHUT_WR)
            equal(client.recv(100), b"", "the answer to what has no end")


# ---- words that nobody reads ----

def fill(writer):
    os.set_blocking(writer, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, bytes(size)):
                pass
    os.set_blocking(writer, True)


def test_words_that_nobody_reads_stop_nothing_and_their_loss_is_told():
    reader, writer = os.pipe()
    with Server(echo) as server, open(reader, "rb", 0) as said, Program(
            PROXY, "--threads", "1", "tcp://127.0.0.1:0", target(server),
            stderr=writer) as program:
        port = port_of(said)
        fill(writer)
        os.close(writer)

        def is_served():
            with socket.create_connection(("127.0.0.1", port),
                                          timeout=WAIT_S) as client:
                echoes(client)

        for signum in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP):
            program.signal(signum)
            for _ in range(3):
                is_served()
        os.set_blocking(reader, False)
        while said.read(65536):
            pass
        os.set_blocking(reader, True)
        program.signal(signal.SIGHUP)
        matches(read_line(said), r"^weir-proxy: \d+ lines before this were")
        matches(read_line(said), r"configuration was read again")
        is_served()


def test_connections_that_say_nothing_keep_nobody_out():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       target(server)) as proxy:
        host, port = proxy.admin.split("/")[2].split(":")
        idle = []
        try:
            for _ in range(1500):  # by 64 in 5 s that would be two minutes
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex((host, int(port)))
                idle.append(client)
            equal(proxy.get("/healthz"), (200, "ok\n"), "the answer")
        finally:
            for client in idle:
                client.close()
        equal(proxy.get("/readyz"), (200, "ok\n"), "the answer after them")


run(globals())
