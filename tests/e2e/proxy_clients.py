"""Which clients weir-proxy admits, by address: how many connections of one at once and
in a period, and from which networks.

The clients have loopback addresses, or addresses in PROXY headers.
"""

import contextlib
import signal
import tempfile

from harness import command, equal, run
from proxy_certificates import certificates, secure
from proxy_wait import wait_until
from proxying import PROXY, Proxy, target, told
from servers import Server, echo


def connect(proxy, host, index=0):
    return proxy.connect(index, source_address=(host, 0))


def is_served(client, data=b"x"):
    """Returns True if the echo comes back; a refused client is reset."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        client.sendall(data)
        return client.recv(len(data)) == data
    return False


def visits(proxy, host, index=0):
    with contextlib.suppress(ConnectionResetError):
        with connect(proxy, host, index) as client:
            return is_served(client)
    return False


def test_a_client_has_so_many_connections_at_once():
    for threads in (1, 3):
        with Server(echo) as server, Proxy(
                "tcp://127.0.0.1:0", target(server), "--client-conns", "2",
                threads=threads) as proxy:
            first, second = (connect(proxy, "127.0.0.2") for _ in range(2))
            equal([is_served(first), is_served(second)], [True] * 2, "two")
            for _ in range(6):  # on whichever thread
                equal(visits(proxy, "127.0.0.2"), False, "a third")
            equal(visits(proxy, "127.0.0.3"), True, "another client")
            first.close()
            wait_until(lambda: visits(proxy, "127.0.0.2"))
            second.close()
            equal(proxy.metric("close_total",
                               reason="client-limit") >= 6, True, "metric")


def test_refusals_of_a_second_are_one_line():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--client-conns",
            "1") as proxy:
        with connect(proxy, "127.0.0.2") as client:
            equal(is_served(client), True, "the first")
            for _ in range(50):
                equal(visits(proxy, "127.0.0.2"), False, "the others")
        proxy.stop()
        lines = [line for line in proxy.lines()
                 if line["reason"] == "client-limit"]
        equal(0 < len(lines) < 50, True, f"{len(lines)} lines")
        equal({line["client"].split(":")[0] for line in lines}, {"127.0.0.2"},
              "their client")


def test_a_client_makes_so_many_connections_in_a_time():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--client-rate", "5/10m",
            threads=2) as proxy:
        served = [visits(proxy, "127.0.0.2") for _ in range(8)]
        equal(served, [True] * 5 + [False] * 3, "visits")
        equal(visits(proxy, "127.0.0.3"), True, "another client")
        equal(proxy.metric("close_total", reason="client-rate"), 3,
              "metric")


def test_the_client_of_a_header_is_the_one_that_counts():
    def visit(proxy, source):
        with proxy.connect() as client:
            return is_served_behind(client, source)

    def is_served_behind(client, source):
        client.sendall(f"PROXY TCP{6 if ':' in source else 4} {source} "
                       f"{'::2' if ':' in source else '192.0.2.9'} 1 2\r\n"
                       .encode())
        return is_served(client)

    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--accept-proxy", "v1",
            "--client-conns", "1", "--client-deny", "192.0.2.128/25",
            "--client-deny", "127.0.0.0/8") as proxy:
        with proxy.connect() as client:
            equal(is_served_behind(client, "192.0.2.1"), True, "one")
            equal(visit(proxy, "192.0.2.1"), False, "the same again")
            equal(visit(proxy, "::ffff:192.0.2.1"), False, "as IPv6")
            equal(visit(proxy, "192.0.2.2"), True, "another")
            equal(visit(proxy, "192.0.2.200"), False, "a denied one")
        with proxy.connect() as client:
            equal(is_served_behind(client, "2001:db8::1"), True, "IPv6")
            equal(visit(proxy, "2001:db8::2"), False, "the same network")
            equal(visit(proxy, "2001:db8:0:1::2"), True, "another network")


def test_a_client_of_tls_is_refused_before_its_handshake():
    with Server(echo) as server, Proxy(
            "tls://127.0.0.1:0", target(server), "--cert",
            certificates()["proxy"], "--client-deny", "127.0.0.2",
            "--client-conns", "1") as proxy:
        with secure(proxy) as client:
            equal(is_served(client), True, "another one")
            client.unwrap()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            with connect(proxy, "127.0.0.2") as client:
                # No TLS byte was sent, and none is waited for.
                equal(client.recv(1), "a reset", "what the client sees")
        proxy.stop()
        equal(sorted(proxy.reasons()), ["client-denied", "done"], "the log")


def test_networks_are_read_again():
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file, \
            Server(echo) as server:
        def write(text):
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()

        write("# ours\n127.0.0.2\n")
        with Proxy("tcp://127.0.0.1:0", target(server), "--client-allow",
                   f"@{file.name}") as proxy:
            equal([visits(proxy, "127.0.0.2"), visits(proxy, "127.0.0.3")],
                  [True, False], "before")
            write("127.0.0.3\n")
            proxy.signal(signal.SIGHUP)
            told(proxy, "configuration was read again")
            equal([visits(proxy, "127.0.0.2"), visits(proxy, "127.0.0.3")],
                  [False, True], "after")
            write("127.0.0.3/8\n")
            proxy.signal(signal.SIGHUP)
            told(proxy, "of before stays in force")
            equal(visits(proxy, "127.0.0.3"), True, "after an error")


def test_services_that_share_count_together():
    with Server(echo) as server, Proxy(
            *(word for _ in range(2) for word in (
                "--listen", "tcp://127.0.0.1:0", "--client-conns", "1",
                "--client-share", "all", "--to", target(server))),
            "--name", "other") as proxy:
        with connect(proxy, "127.0.0.2") as client:
            equal(is_served(client), True, "the first")
            equal(visits(proxy, "127.0.0.2", 1), False, "at the other")
            equal(visits(proxy, "127.0.0.3", 1), True, "another client")


def test_ten_thousand_clients_are_told_apart():
    """By their headers, each of which names a different client."""
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--accept-proxy", "v1",
            "--client-rate", "1/10m", "--client-table", "1000",
            threads=2) as proxy:
        for number in range(2000):
            with proxy.connect() as client:
                client.sendall(f"PROXY TCP4 10.0.{number // 256}."
                               f"{number % 256} 192.0.2.1 1 2\r\nx".encode())
                equal(client.recv(1), b"x", f"client {number}")


def test_mistakes_are_told_before_the_start():
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("10.0.0.0/8\nnobody\n")
        file.flush()
        for words, why in (
                (["--client-allow", f"@{file.name}"],
                 f"{file.name}:2: 'nobody' is not a network such as 10.0.0.0/8"),
                (["--client-deny", "@/nonexistent"],
                 "/nonexistent: No such file or directory"),
                (["--client-ban", "1s"],
                 "client-ban needs client-conns or client-rate"),
                (["--client-free", "unix"],
                 "client-free needs client-conns or client-rate"),
                (["--client-share", "a"],
                 "client-share needs client-conns or client-rate")):
            outcome = command(PROXY, "-t", "tcp://127.0.0.1:0",
                              "tcp://127.0.0.1:1", *words)
            equal(outcome.status, 2, f"exit status with {words}")
            equal(outcome.err, f"weir-proxy: {why}\n", "what it says")


run(globals())
