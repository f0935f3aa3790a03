"""Targets of weir-proxy that are DNS services (SRV records): hosts with ports,
priorities and weights, from a name server of this test and from dnsmasq."""

import contextlib
import os
import signal
import socket
import struct
import tempfile

from dns import Dnsmasq
from harness import command, equal, fails, matches, run
from proxy_certificates import Secured, certificates, make_certificate
from proxy_checks_peers import BAD, GOOD, Checked, first_checks_end
from proxy_dns import NXDOMAIN, NameServer, use
from proxy_wait import wait_until
from proxying import PROXY, Proxy, told
from scripted_dns import A, read_question, record
from servers import Server, echo, echoes

SERVICE = "_web._tcp.weir-test.example"
SRV = 33


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


def accepted(servers):
    return [server.accepted for server in servers]


def test_hosts_share_by_weights_over_all_threads():
    for threads in (1, 3):
        with services([(0, 20, "h1.test"), (0, 10, "h1.test")],
                      "--log-format", "{target_name}",
                      threads=threads) as (proxy, servers, _):
            use(proxy, 30)
            equal(accepted(servers), [20, 10], "connections")
            equal(proxy.metric("upstream_addresses"), 2, "addresses")
            equal(proxy.metric("upstream_up"), 1, "the service")
            proxy.stop()
            with open(proxy.log_path, encoding="ascii") as file:
                equal(set(file), {f"srv://{SERVICE}\n"}, "names in the log")


def test_a_priority_is_used_when_those_before_it_are_down():
    with services([(10, 1, "h1.test"), (20, 1, "h1.test"),
                   (30, 1, "h1.test")], "--check", "http", "--check", "50ms",
                  "--check-rise", "1", "--check-fall", "1",
                  make=lambda: Checked(GOOD)) as (proxy, servers, _):
        def clients():
            before = [server.clients for server in servers]
            use(proxy, 6)
            return [server.clients - count
                    for server, count in zip(servers, before)]
        first_checks_end(*servers)
        equal(clients(), [6, 0, 0], "all are up")
        servers[0].answer = BAD
        told(proxy, f"127.0.0.1:{servers[0].port} is down")
        equal(clients(), [0, 6, 0], "the first is down")
        servers[1].answer = BAD
        told(proxy, f"127.0.0.1:{servers[1].port} is down")
        equal(clients(), [0, 0, 6], "and the second")
        servers[0].answer = GOOD
        told(proxy, f"127.0.0.1:{servers[0].port} is up")
        equal(clients(), [6, 0, 0], "the first is up again")


def test_answers_are_followed_and_errors_are_not():
    with services([(0, 1, "h1.test"), (0, 1, "h1.test")]) as (
            proxy, servers, dns):
        client = proxy.connect()
        echoes(client)
        first, second = dns.records
        dns.records = [second]
        asked = dns.asked
        wait_until(lambda: dns.asked > asked + 4)
        before = accepted(servers)
        use(proxy, 6)
        equal(accepted(servers), [before[0], before[1] + 6], "of the second")
        echoes(client)
        client.close()
        for records in ([], [(0, 0, 1, "x.test")]):  # no name; no address
            dns.records = records
            asked = dns.asked
            wait_until(lambda: dns.asked > asked + 4)
            use(proxy, 4)
        dns.records = [first]
        asked = dns.asked
        wait_until(lambda: dns.asked > asked + 4)
        before = accepted(servers)
        use(proxy, 4)
        equal(accepted(servers), [before[0] + 4, before[1]], "of the first")
        dns.records = [(0, 0, 0, "")]
        asked = dns.asked
        wait_until(lambda: dns.asked > asked + 4)
        with contextlib.suppress(ConnectionResetError), \
                proxy.connect() as refused:
            equal(refused.recv(1), "a reset", "where there is no service")


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
            with contextlib.suppress(ConnectionResetError), \
                    proxy.connect() as client:
                equal(client.recv(1), "a reset", "what a client sees")
            command(PROXY, "--ctl", ctl, "ready", f"web/{SERVICE}")
            use(proxy, 2)


def test_a_service_keeps_its_hosts_when_the_configuration_is_read_again():
    with services([(0, 1, "h1.test")]) as (proxy, servers, dns):
        use(proxy, 2)
        dns.records = []
        proxy.signal(signal.SIGHUP)
        told(proxy, "the configuration was read again")
        use(proxy, 4)
        asked = dns.asked
        wait_until(lambda: dns.asked > asked + 2)
        use(proxy, 4)
        equal(accepted(servers), [10], "connections")


def test_what_is_no_service_is_refused():
    for text, why in (("srv://127.0.0.1", "an address is no service"),
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
            with contextlib.suppress(ConnectionResetError), \
                    proxy.connect() as client:
                equal(client.recv(1), "a reset", "another name")
            proxy.stop_by(["connect-tls"])


# ---- a real name server ----

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
            with contextlib.suppress(ConnectionResetError), \
                    proxy.connect() as client:
                equal(client.recv(1), "a reset", "what a client sees")


run(globals())
