"""Addresses of weir-proxy's targets: names with several addresses, which change with
the answers of a name server of this test, like Kubernetes' headless services; the name
servers that are queried; and the local side of connections."""

import contextlib
import os
import signal
import socket
import tempfile

from harness import WAIT_S, Skip, command, equal, fails, matches, run
from proxy_checks_peers import BAD, GOOD, Checked, first_checks_end
from proxy_dns import NAME, NameServer, use
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, told
from servers import Server, echo, echoes, free_port

class Pods:
    """Servers with separate addresses and one port."""

    def __init__(self, stack, make):
        self.stack = stack
        self.make = make
        self.port = free_port()
        self.all = {}

    def start(self, host):
        server = self.make()
        server.listener.close()
        server.listener = socket.create_server((host, self.port), backlog=512)
        self.all[host] = self.stack.enter_context(server)
        return server

    @property
    def url(self):
        return f"tcp://{NAME}:{self.port}"


@contextlib.contextmanager
def pods(addresses, *flags, make=lambda: Server(echo), threads=2, ttl_s=1):
    """Starts pods at these addresses behind a proxy, and their name server."""
    with contextlib.ExitStack() as stack:
        these = Pods(stack, make)
        for address in addresses:
            these.start(address)
        dns = stack.enter_context(NameServer(addresses, ttl_s))
        proxy = stack.enter_context(Proxy(
            "--listen", "tcp://127.0.0.1:0", "--name", "web", "--resolver",
            dns.address, "--to-addresses", "all", *flags, "--to", these.url,
            threads=threads))
        yield proxy, these, dns


def counts(these):
    return {host: server.accepted for host, server in these.all.items()}


# ---- several addresses ----

def test_all_addresses_of_a_name_are_targets():
    """All threads choose like one: each target gets the same number."""
    hosts = "127.0.0.11", "127.0.0.12", "127.0.0.13"
    for threads in (1, 3):
        with pods(hosts, threads=threads) as (proxy, these, _):
            use(proxy, 30)
            equal(counts(these), dict.fromkeys(hosts, 10), "connections")
            equal(proxy.metric("upstream_chosen_total"), 30, "chosen")
            equal(proxy.metric("upstream_up"), 1, "the name")


def test_addresses_come_and_go_with_the_answers():
    """A removed address keeps its connections, and gets no new ones."""
    with pods(["127.0.0.11", "127.0.0.12"]) as (proxy, these, dns):
        clients = [proxy.connect() for _ in range(4)]
        for client in clients:
            echoes(client)
        dns.addresses = ["127.0.0.12", "127.0.0.13"]
        these.start("127.0.0.13")
        wait_until(lambda: use(proxy, 1) or
                   these.all["127.0.0.13"].accepted > 0)
        asked = dns.asked  # all threads have asked since, when they do twice
        wait_until(lambda: dns.asked > asked + 4)
        before = counts(these)
        use(proxy, 20)
        after = counts(these)
        equal({host: after[host] - before[host] for host in after},
              {"127.0.0.11": 0, "127.0.0.12": 10, "127.0.0.13": 10}, "new ones")
        for client in clients:
            echoes(client)
            client.close()


def test_an_answer_without_addresses_changes_nothing():
    with pods(["127.0.0.11"], threads=1) as (proxy, these, dns):
        use(proxy, 2)
        dns.addresses = []
        asked = dns.asked
        wait_until(lambda: dns.asked > asked + 1)
        use(proxy, 4)
        equal(counts(these), {"127.0.0.11": 6}, "connections")


def test_connections_to_an_address_that_has_left_are_counted_and_cut():
    with tempfile.TemporaryDirectory() as folder:
        ctl = os.path.join(folder, "ctl")
        with pods(["127.0.0.11", "127.0.0.12"], "--ctl", ctl) as (
                proxy, these, dns):
            clients = [proxy.connect() for _ in range(4)]
            for client in clients:
                echoes(client)
            dns.addresses = ["127.0.0.12"]
            asked = dns.asked
            wait_until(lambda: dns.asked > asked + 4)
            equal(proxy.metric("upstream_active"), 4, "connections")
            outcome = command(PROXY, "--ctl", ctl, "cut",
                              f"web/{NAME}:{these.port}")
            equal(outcome.out, "4 connections were reset\n", "the answer")
            wait_until(lambda: proxy.metric("upstream_active") == 0)
            for client in clients:
                client.close()


def test_a_name_keeps_its_addresses_when_the_configuration_is_read_again():
    with pods(["127.0.0.11"]) as (proxy, these, dns):
        use(proxy, 2)
        dns.addresses = []
        proxy.signal(signal.SIGHUP)
        told(proxy, "the configuration was read again")
        asked = dns.asked
        use(proxy, 4)
        wait_until(lambda: dns.asked > asked + 2)
        use(proxy, 4)
        equal(counts(these), {"127.0.0.11": 10}, "connections")


def test_the_address_that_is_in_use_is_said():
    first, second = Checked(GOOD), Checked(GOOD, at_once=False)
    made = iter((first, second))
    with pods(["127.0.0.11", "127.0.0.12"], "--balance", "first", "--check",
              "http", "--check", "50ms", "--check-rise", "1", "--check-fall",
              "1", make=lambda: next(made)) as (proxy, these, _):
        first_checks_end(first)
        second.may_answer.set()
        first_checks_end(second)
        use(proxy, 2)
        these.all["127.0.0.11"].answer = BAD
        at = rf"target tcp://{NAME}:{these.port} at "
        matches(told(proxy, "is in use"),
                rf"{at}127\.0\.0\.12:\d+ is in use instead of "
                rf"{at[7:]}127\.0\.0\.11:\d+")


def test_clients_wait_for_the_first_answer():
    with contextlib.ExitStack() as stack:
        these = Pods(stack, lambda: Server(echo))
        these.start("127.0.0.11")
        silent = stack.enter_context(socket.socket(socket.AF_INET,
                                                   socket.SOCK_DGRAM))
        silent.bind(("127.0.0.1", 0))
        proxy = stack.enter_context(Proxy(
            "tcp://127.0.0.1:0", these.url, "--resolver",
            f"127.0.0.1:{silent.getsockname()[1]}", "--to-addresses", "all"))
        client = proxy.connect()
        client.sendall(b"x")
        wait_until(lambda: proxy.metric("connections_active") == 1)
        dns = NameServer(["127.0.0.11"])
        dns.socket.close()
        dns.socket = silent
        with dns:
            equal(client.recv(1), b"x", "the answer")
        client.close()


def test_each_address_is_checked_and_keeps_its_state():
    def make():
        return Checked(GOOD)
    hosts = ["127.0.0.11", "127.0.0.12"]
    with pods(hosts, "--check", "http", "--check", "50ms", "--check-rise", "1",
              "--check-fall", "1", "--when-down", "cut",
              make=make) as (proxy, these, dns):
        wait_until(lambda: use(proxy, 1) or
                   all(server.clients for server in these.all.values()))
        clients = [proxy.connect() for _ in range(2)]
        for client in clients:
            echoes(client)
        these.all["127.0.0.12"].answer = BAD
        matches(told(proxy, "is down"),
                rf"web, route \*: target tcp://{NAME}:{these.port} at "
                rf"127\.0\.0\.12:{these.port} is down: HTTP 503")
        wait_until(lambda: proxy.metric("close_total",
                                        reason="target-down") == 1)
        left = 0
        for client in clients:
            with contextlib.suppress(OSError), client:
                echoes(client)
                left += 1
        equal(left, 1, "connections that were not cut")
        before = these.all["127.0.0.12"].clients
        asked = dns.asked
        dns.addresses = ["127.0.0.12", "127.0.0.11", "127.0.0.99"]
        wait_until(lambda: dns.asked > asked + 3)
        use(proxy, 10)
        equal(these.all["127.0.0.12"].clients - before, 0, "of the one down")
        equal(proxy.metric("upstream_up"), 1, "the name")


def test_each_address_is_checked_by_whatever_its_name_is():
    def answer(connection, _number):
        while connection.recv(100):
            connection.sendall(b"OK")

    text = "text", ("--check-send", "PING", "--check-expect", "OK"), ()
    with Server(answer) as beside:
        for kind, words, behind in (text, (
                "tcp", (), ("--check-at", beside.url))):
            with contextlib.ExitStack() as stack:
                these = Pods(stack, lambda: Server(answer))
                these.start("127.0.0.11")
                proxy = stack.enter_context(Proxy(
                    "--listen", "tcp://127.0.0.1:0", "--resolver",
                    these_dns(these), "--to-addresses", "all", "--check", kind,
                    "--check", "50ms", *words, "--to", these.url, *behind))
                with proxy.connect() as client:
                    client.sendall(b"x")
                    equal(client.recv(2), b"OK", f"the answer with {kind}")


def test_limits_are_those_of_each_address():
    with pods(["127.0.0.11", "127.0.0.12"]) as (
            proxy, these, _):
        del proxy
        with Proxy("--listen", "tcp://127.0.0.1:0", "--resolver",
                   these_dns(these), "--to-addresses", "all", "--to",
                   these.url, "--limit", "1", threads=2) as limited:
            clients = [limited.connect() for _ in range(2)]
            for client in clients:
                echoes(client)
            expect_reset(limited)
            for client in clients:
                client.close()
            limited.stop()
            equal(sorted(limited.reasons()), ["done", "done", "queue-full"],
                  "the log")


def these_dns(these):
    """Yields the address of a name server for these pods."""
    return these.stack.enter_context(NameServer(these.all)).address


# ---- whose name servers ----

def test_a_resolver_is_asked_in_place_of_the_hosts_file():
    """The hosts file has the name for the proxy's own address."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(echo))
        dns = stack.enter_context(NameServer(["127.0.0.1"]))
        with open("/etc/hosts", encoding="utf-8") as file:
            hosts = [line.split()[1] for line in file
                     if len(line.split()) > 1 and "#" not in line and
                     not line.split()[1].startswith("localhost")]
        proxy = stack.enter_context(Proxy(
            "tcp://127.0.0.1:0", f"tcp://{NAME}:{server.port}", "--resolver",
            dns.address, threads=2))
        use(proxy, 4)
        for host in hosts[:1]:  # it is none of the server's
            other = stack.enter_context(Proxy(
                "tcp://127.0.0.1:0", f"tcp://{host}:{server.port}",
                "--resolver", dns.address))
            with contextlib.suppress(ConnectionResetError), \
                    other.connect() as client:
                equal(client.recv(1), "a reset", "what the client sees")
            other.stop_by(["connect-lookup"])


def test_a_resolver_is_an_address():
    fails(command(PROXY, "-t", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1",
                  "--resolver", "dns.example"),
          r"'dns\.example' is not an address such as 10\.0\.0\.53", 2)


# ---- the own side ----

def test_connections_and_checks_of_a_target_come_from_its_own_address():
    seen = []

    def note(connection, _number):
        seen.append((connection.getpeername()[0], connection.recv(4)))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with Server(note) as one, Server(echo) as other, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--check", "http", "--check",
            "50ms", "--unchecked", "use", "--to", one.url, "--from",
            "127.0.0.77", "--to", other.url, "--backup") as proxy:
        with proxy.connect() as client:
            client.sendall(b"mine")
            equal(client.recv(4), b"HTTP", "the answer")
        wait_until(lambda: (("127.0.0.77", b"GET ") in seen))
        equal({host for host, _ in seen}, {"127.0.0.77"}, "own addresses")
        equal(("127.0.0.77", b"mine") in seen, True, "the connection")
    fails(command(PROXY, "-t", "--listen", "tcp://127.0.0.1:0", "--to",
                  "tcp://127.0.0.1:1", "--from", "::1"),
          r"from is an address of another family", 2)


def test_addresses_of_a_name_are_those_of_the_family_of_its_own_address():
    with Server(echo) as server, NameServer(["127.0.0.1", "::1"]) as dns:
        text = ("resolver = {}\n[defaults]\nfrom = 127.0.0.1\n"
                "to-addresses = all\ntries = 1\n[a]\n"
                "listen = tcp://127.0.0.1:0\nto = tcp://{}:{}\n")
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write(text.format(dns.address, NAME, server.port))
            file.flush()
            with Proxy("--config", file.name) as proxy:
                use(proxy, 10)
        equal(server.accepted, 10, "connections")


def test_a_check_of_another_family_does_not_come_from_the_own_address():
    try:
        checked = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        raise Skip("no IPv6 here") from error
    with Server(echo) as server, checked:
        port = checked.getsockname()[1]
        words = (f"check = 50ms\nunchecked = wait\nto = {server.url}\n"
                 f"check-at = tcp://[::1]:{port}\n")
        text = "[a]\nlisten = tcp://127.0.0.1:0\n" + words
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write(f"[defaults]\nfrom = 127.0.0.1\n{text}")
            file.flush()
            with Proxy("--config", file.name) as proxy:
                wait_until(lambda: proxy.metric("upstream_up") == 1)
                use(proxy, 2)
    fails(command(PROXY, "-t", "--listen", "tcp://127.0.0.1:0", "--check",
                  "1s", "--to", "tcp://127.0.0.1:1", "--from", "127.0.0.1",
                  "--check-at", "tcp://[::1]:1"),
          r"check-at is an address of another family than from", 2)


# ---- headers ----

def test_each_target_has_the_header_that_it_wants():
    def tell(connection, _number):
        data = connection.recv(1000)
        kind = (b"1" if data.startswith(b"PROXY TCP4 ") else
                b"2" if data.startswith(b"\r\n\r\n\0\r\nQUIT") else b"-")
        connection.sendall(kind)

    wanted = (), ("off",), ("v1",), ("v2",)
    for of_route, kinds in ((), "--12"), (("--send-proxy", "v2"), "2-12"):
        with contextlib.ExitStack() as stack:
            flags = []
            for one in wanted:
                server = stack.enter_context(Server(tell))
                flags += ["--to", server.url]
                flags += ["--target-proxy", *one] if one else []
            proxy = stack.enter_context(Proxy(
                "--listen", "tcp://127.0.0.1:0", *of_route, *flags))
            seen = []
            for _ in wanted:
                with proxy.connect() as client:
                    client.sendall(b"hello")
                    seen.append(client.recv(1).decode())
            equal("".join(seen), kinds, f"headers with {of_route}")


run(globals(), short="all_addresses_of_a_name_are_targets")
