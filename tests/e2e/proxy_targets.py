"""Addresses of weir-proxy's targets: names with several addresses, which change with the
answers of a name server of this test, like Kubernetes' headless services; DNS services
(SRV records) from this one and from dnsmasq; the name servers that are queried; and the
local side of connections."""

import contextlib
import os
import socket
import struct
import tempfile

from dns import Dnsmasq
from harness import WAIT_S, Skip, command, equal, fails, matches, run
from proxy_certificates import Secured, certificates, make_certificate
from proxy_checks_peers import BAD, GOOD, Checked, first_checks_end
from proxy_dns import NAME, NXDOMAIN, NameServer
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, read_again, told, use
from scripted_dns import A, read_question, record
from servers import Server, echo, echoes, free_port

SERVICE = "_web._tcp.weir-test.example"
SRV = 33
CHECKS = ("--check", "http", "--check", "50ms", "--check-timeout", f"{WAIT_S}s",
          "--check-rise", "1", "--check-fall", "1")


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
            dns.address, "--to-addresses", "all", "--resolve", "1s", *flags,
            "--to", these.url, threads=threads))
        yield proxy, these, dns


def counts(these):
    return {host: server.accepted for host, server in these.all.items()}


# ---- several addresses ----

def test_all_addresses_of_a_name_are_targets():
    """All threads choose like one: each target gets the same number."""
    hosts = "127.0.0.11", "127.0.0.12", "127.0.0.13"
    with pods(hosts, threads=3) as (proxy, these, _):
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
        read_again(proxy)
        asked = dns.asked
        use(proxy, 4)
        wait_until(lambda: dns.asked > asked + 2)
        use(proxy, 4)
        equal(counts(these), {"127.0.0.11": 10}, "connections")


def test_the_address_that_is_in_use_is_said():
    first, second = Checked(GOOD), Checked(GOOD, at_once=False)
    made = iter((first, second))
    with pods(["127.0.0.11", "127.0.0.12"], "--balance", "first", *CHECKS,
              make=lambda: next(made)) as (proxy, these, _):
        first_checks_end(first)
        second.may_answer.set()
        first_checks_end(second)
        use(proxy, 2)
        these.all["127.0.0.11"].answer = BAD
        at = rf"target tcp://{NAME}:{these.port} at "
        matches(told(proxy, "is in use"),
                rf"{at}127\.0\.0\.12:\d+ is in use instead of "
                rf"{at[7:]}127\.0\.0\.11:\d+")


def test_each_address_is_checked_and_keeps_its_state():
    hosts = ["127.0.0.11", "127.0.0.12"]
    with pods(hosts, *CHECKS, "--when-down", "cut",
              make=lambda: Checked(GOOD)) as (proxy, these, dns):
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


# ---- services ----

def wire(name):
    return b"".join(bytes([len(label)]) + label.encode()
                    for label in name.split(".") if label) + b"\0"


class Services(NameServer):
    """Answers queries for one service with its current records, and for a host
    "h7.test" with 127.0.0.7."""

    def __init__(self, records, ttl_s=1):
        self.records = list(records)
        super().__init__([], ttl_s)

    def answer(self, query):
        name, kind, question = read_question(query)
        found = []
        if name == SERVICE and kind == SRV:
            self.asked += 1
            found = [struct.pack(">HHH", priority, weight, port) + wire(host)
                     for priority, weight, port, host in self.records]
        elif kind == A and name.startswith("h"):
            found = [socket.inet_aton(f"127.0.0.{name[1:].split('.')[0]}")]
        records = [record(b"\xc0\x0c", kind, data).replace(
            struct.pack(">I", 60), struct.pack(">I", self.ttl_s), 1)
            for data in found]
        known = found or name.startswith("h")
        return query[:2] + struct.pack(">HHHHH", 0x8580 | (
            0 if known else NXDOMAIN), 1, len(records), 0, 0) + question + \
            b"".join(records)


@contextlib.contextmanager
def services(records, *flags, make=lambda: Server(echo), threads=2,
             scheme="srv"):
    """Servers behind a proxy, one for each record, which send their port."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(make()) for _ in records]
        ports = [server.port for server in servers]
        dns = stack.enter_context(Services([
            (priority, weight, port, host) for (priority, weight, host), port
            in zip(records, ports)]))
        proxy = stack.enter_context(Proxy(
            "--listen", "tcp://127.0.0.1:0", "--name", "web", "--resolve", "1s",
            "--resolver", dns.address, *flags, "--to", f"{scheme}://{SERVICE}",
            threads=threads))
        yield proxy, servers, dns


def test_hosts_share_by_weights_over_all_threads():
    with services([(0, 20, "h1.test"), (0, 10, "h1.test")], "--log-format",
                  "{target_name}", threads=3) as (proxy, servers, _):
        use(proxy, 30)
        equal([server.accepted for server in servers], [20, 10], "connections")
        equal(proxy.metric("upstream_addresses"), 2, "addresses")
        equal(proxy.metric("upstream_up"), 1, "the service")
        proxy.stop()
        with open(proxy.log_path, encoding="ascii") as file:
            equal(set(file), {f"srv://{SERVICE}\n"}, "names in the log")


def test_weights_of_operators_and_the_status_are_of_all_hosts():
    with tempfile.TemporaryDirectory() as folder:
        ctl = os.path.join(folder, "ctl")
        with services([(10, 7, "h1.test"), (20, 0, "h1.test")], "--ctl",
                      ctl) as (proxy, servers, dns):
            use(proxy, 2)
            outcome = command(PROXY, "--ctl", ctl, "status")
            matches(outcome.out, rf"^web/{SERVICE} up, weight 1, ")
            for server, numbers in zip(servers, ("priority 10, weight 7",
                                                 "priority 20, weight 0")):
                address = f"127.0.0.1:{server.port}"
                matches(outcome.out,
                        rf"^  127\.0\.0\.1:{server.port} up, {numbers}$")
                equal(proxy.metric("upstream_address_up", address=address), 1,
                      "the state of an address")
            for word, shown in (("disable", "disabled"), ("drain", "draining")):
                command(PROXY, "--ctl", ctl, word, f"web/{SERVICE}")
                outcome = command(PROXY, "--ctl", ctl, "status")
                equal(outcome.out.count(f" {shown}, "), 3, outcome.out)
            asked = dns.asked
            wait_until(lambda: dns.asked > asked + 4)
            expect_reset(proxy)
            command(PROXY, "--ctl", ctl, "ready", f"web/{SERVICE}")
            use(proxy, 2)
            dns.records = []  # a service that is new would have no host
            read_again(proxy)
            use(proxy, 2)


def test_what_is_no_service_is_refused():
    for text, why in (("srv://127.0.0.1", "an address is not a DNS service"),
                      (f"srv://{SERVICE}:80", "ports are in its records"),
                      ("srv://", "has no host"), ("srv://a b", "host name")):
        fails(command(PROXY, "-t", "tcp://127.0.0.1:0", text), why, status=2)
    equal(command(PROXY, "-t", "tcp://127.0.0.1:0",
                  f"srv://{SERVICE}").status, 0,
          "a service")


def test_tls_is_for_the_domain_whatever_the_records_say():
    domain = SERVICE.split(".", 2)[2]
    known = certificates()
    known["service"] = make_certificate("service", domain, "ca")
    for name, flags, is_good in (("service", (), True), ("a", (), False),
                                 ("a", ("--to-name", "a.test"), True)):
        with services([(0, 1, "h1.test")], "--to-ca", known["ca"],
                      *flags, make=lambda: Secured(echo, name),
                      scheme="tls+srv") as (proxy, _, _dns):
            if is_good:
                use(proxy, 1)
                continue
            expect_reset(proxy)
            proxy.stop_by(["connect-tls"])


def test_dnsmasq_names_the_hosts():
    with Server(echo) as first, Server(echo) as second, Dnsmasq(
            "--host-record=one.test,127.0.0.1",
            f"--srv-host=_web._tcp.app.test,one.test,{first.port},10,1",
            f"--srv-host=_web._tcp.app.test,one.test,{second.port},10,3",
            f"--srv-host=_web._tcp.app.test,one.test,{first.port},20,1",
            "--srv-host=_none._tcp.app.test") as dns:
        with Proxy("--listen", "tcp://127.0.0.1:0", "--resolver", dns.address,
                   "--to", "srv://_web._tcp.app.test", threads=2) as proxy:
            use(proxy, 8)
            equal([first.accepted, second.accepted], [2, 6], "by weights")
        with Proxy("--listen", "tcp://127.0.0.1:0", "--resolver", dns.address,
                   "--to", "srv://_none._tcp.app.test") as proxy:
            expect_reset(proxy)


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
            expect_reset(other)
            other.stop_by(["connect-lookup"])


# ---- the own side ----

def test_connections_and_checks_of_a_target_come_from_its_own_address():
    seen = []

    def note(connection, _number):
        seen.append((connection.getpeername()[0], connection.recv(4)))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with Server(note) as one, Server(echo) as other, Proxy(
            "--listen", "tcp://127.0.0.1:0", *CHECKS, "--unchecked", "use",
            "--to", one.url, "--from",
            "127.0.0.77", "--to", other.url, "--backup") as proxy:
        with proxy.connect() as client:
            client.sendall(b"mine")
            equal(client.recv(4), b"HTTP", "the answer")
        wait_until(lambda: (("127.0.0.77", b"GET ") in seen))
        equal({host for host, _ in seen}, {"127.0.0.77"}, "own addresses")
        equal(("127.0.0.77", b"mine") in seen, True, "the connection")


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
        words = (f"check = 50ms\ncheck-timeout = 60s\nto = {server.url}\n"
                 f"check-at = tcp://[::1]:{port}\n")
        text = "[a]\nlisten = tcp://127.0.0.1:0\n" + words
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write(f"[defaults]\nfrom = 127.0.0.1\n{text}")
            file.flush()
            with Proxy("--config", file.name) as proxy:
                wait_until(lambda: proxy.metric("upstream_up") == 1)
                use(proxy, 2)


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
