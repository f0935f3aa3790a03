"""Host names on machines with only IPv4, only IPv6, and both.

Each machine is a network namespace with its own loopback interface, and a mount
namespace for its resolv.conf. A process keeps them alive, and the programs of a test
enter them.
"""

import re
import subprocess
import tempfile
import time

from dns import PATHS, Dnsmasq, find
from harness import (EXAMPLES, PATIENT, WAIT_S, WEIR_LOAD, Program, Service,
                     Skip, command, equal, matches, run)

BOTH = ["ip link set lo up",
        "ip -6 address show dev lo | grep ::1 > /dev/null"]
INET = ["echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
        "ip link set lo up"]
INET6 = [*BOTH, "ip address del 127.0.0.1/8 dev lo"]

# Loopback addresses of a machine, and the order in which names use them.
MACHINES = {"IPv4 only": (INET, ["127.0.0.1"]),
            "IPv6 only": (INET6, ["[::1]"]),
            "both": (BOTH, ["[::1]", "127.0.0.1"])}


class Machine(Program):
    """A network namespace that shell commands have set up."""

    def __init__(self, commands, resolv_conf=""):
        for name in ("unshare", "nsenter", "ip"):
            if not find(name):
                raise Skip(f"{name} is not installed")
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(resolv_conf)
            file.flush()
            script = " && ".join([f"mount --bind {file.name} /etc/resolv.conf",
                                  *commands, "echo ready", "exec cat"])
            super().__init__("unshare", "-n", "-m", "sh", "-c", script,
                             env=PATHS, stdin=subprocess.PIPE)
            is_ready = self.process.stdout.readline() == b"ready\n"
        if not is_ready:
            said = self.finish()[2].strip()
            super().__exit__()
            raise Skip(f"no such machine can be made here: {said}")

    def enter(self, *args):
        """Returns the command that runs another one on the machine."""
        return ["nsenter", "-t", str(self.process.pid), "-n", "-m", *args]

    def run(self, *args, **options):
        return command(*self.enter(*args), **options)


class Serving(Service):
    """A server on a machine, ended by SIGTERM with status 0 and without output."""

    def __init__(self, machine, *args):
        super().__init__(*machine.enter(*args))
        line = self.process.stdout.readline().decode()
        if not line:
            said = self.finish()[2]
            super().__exit__(None, None, None)
            if "ENONAMES" in said:
                raise Skip("built without c-ares")
            raise AssertionError(f"the server said {said!r}")
        self.sockets = re.findall(r"\S+:\d+\b", line)
        self.port = self.sockets[0].rsplit(":", 1)[1]


def by_name():
    if "by_name" not in EXAMPLES:
        raise Skip("the test program was not built")
    return EXAMPLES["by_name"]


def each_machine():
    for name, (commands, addresses) in MACHINES.items():
        with Machine(commands) as machine:
            yield name, machine, addresses


def says_hello(machine, server, address, what, name="localhost"):
    """A client that connects by name reaches this address of the server."""
    outcome = machine.run(by_name(), "connect", name, server.port)
    if "ENONAMES" in outcome.err:
        raise Skip("built without c-ares")
    equal((outcome.status, outcome.err), (0, ""), f"{what}: the outcome")
    equal(outcome.out, f"hello from {address}:{server.port}\n", what)


def listens(server, addresses, what):
    equal(server.sockets, [f"{address}:{server.port}" for address in addresses],
          f"{what}: the sockets of the server")


# ---- the library ----

def test_create_server_and_open_connection_take_localhost():
    for what, machine, addresses in each_machine():
        with Serving(machine, by_name(), "create", "localhost") as server:
            listens(server, addresses, what)
            says_hello(machine, server, addresses[0], what)


def test_start_server_takes_localhost():
    for what, machine, addresses in each_machine():
        with Serving(machine, by_name(), "start", "localhost") as server:
            listens(server, addresses, what)
            says_hello(machine, server, addresses[0], what)


def test_a_server_without_a_host_listens_on_the_families_that_there_are():
    everything = {"127.0.0.1": "0.0.0.0", "[::1]": "[::]"}
    for call in ("create", "start"):
        for what, machine, addresses in each_machine():
            with Serving(machine, by_name(), call) as server:
                found = [socket.rsplit(":", 1)[0] for socket in server.sockets]
                for address in addresses:
                    assert everything[address] in found, \
                        f"{call}, {what}: listens on {found}"
                says_hello(machine, server, addresses[0], f"{call}, {what}")


def test_a_server_in_one_family_is_reached_by_a_name_of_both():
    with Machine(BOTH) as machine:
        for address in ("127.0.0.1", "::1"):
            with Serving(machine, by_name(), "create", address) as server:
                text = f"[{address}]" if ":" in address else address
                says_hello(machine, server, text, address)


def test_the_address_of_a_family_that_is_missing_is_an_error():
    for commands, host in ((INET, "::1"), (INET6, "127.0.0.1")):
        with Machine(commands) as machine:
            for call in ("create", "start"):
                outcome = machine.run(by_name(), call, host)
                equal(outcome.status, 1, f"{call} {host}")
                matches(outcome.err, r": EADDRNOTAVAIL\n\Z|: EAFNOSUPPORT\n\Z")
            outcome = machine.run(by_name(), "connect", host, "9")
            equal(outcome.status, 1, f"connect {host}")
            matches(outcome.err, r": (EADDRNOTAVAIL|ENETUNREACH|EAFNOSUPPORT)\n\Z")


def test_nothing_that_listens_is_refused_and_not_unreachable():
    for what, machine, _ in each_machine():
        outcome = machine.run(by_name(), "connect", "localhost", "9")
        equal((outcome.status, outcome.out), (1, ""), what)
        matches(outcome.err, r": ECONNREFUSED\n\Z", what)


# ---- names that a name server knows ----

def test_a_name_of_both_families_is_connected_to_by_the_one_that_there_is():
    for what, (commands, addresses) in MACHINES.items():
        host = addresses[0].strip("[]")
        conf = f"nameserver {host}\nsearch test\n"
        with Machine(commands, conf) as machine, \
                Dnsmasq(host=host, port=53, enter=machine.enter()), \
                Serving(machine, by_name(), "create", "here.test") as server:
            listens(server, addresses, what)
            for name in ("here.test", "here"):
                says_hello(machine, server, addresses[0], f"{name}, {what}",
                           name)


def test_the_next_name_server_is_asked_where_one_has_no_route():
    for what, (commands, addresses) in MACHINES.items():
        host = addresses[0].strip("[]")
        # A client that waits for their answers waits longer.
        conf = ("nameserver 192.0.2.1\nnameserver 2001:db8::1\n"
                f"nameserver {host}\noptions timeout:{WAIT_S}\n")
        with Machine(commands, conf) as machine, \
                Dnsmasq(host=host, port=53, enter=machine.enter()), \
                Serving(machine, by_name(), "create", host) as server:
            begin = time.monotonic()
            says_hello(machine, server, addresses[0], what, "here.test")
            took = time.monotonic() - begin
            assert took < WAIT_S, f"{what}: servers without a route held it {took}"


# ---- weir-load ----

def test_weir_load_serves_and_loads_by_name():
    for what, machine, addresses in each_machine():
        with Serving(machine, WEIR_LOAD, "serve", "tcp://localhost:0") as server:
            listens(server, [f"tcp://{address}" for address in addresses], what)
            outcome = machine.run(WEIR_LOAD, "run", *PATIENT, "-c", "10", "-n",
                                  "1000", f"tcp://localhost:{server.port}")
            equal((outcome.status, outcome.err), (0, ""), f"{what}: run")


def test_weir_load_serves_all_addresses():
    for what, machine, _ in each_machine():
        with Serving(machine, WEIR_LOAD, "serve", "tcp://*:0") as server:
            outcome = machine.run(WEIR_LOAD, "run", *PATIENT, "-c", "10", "-n",
                                  "1000", f"tcp://localhost:{server.port}")
            equal((outcome.status, outcome.err), (0, ""), f"{what}: run")


# ---- black holes ----

def drop(family, port):
    """Drops packets of the family to the port."""
    if not find("nft"):
        raise Skip("nft is not installed")
    return [*BOTH, "nft add table inet hole",
            "nft add chain inet hole in '{ type filter hook input priority 0; }'",
            f"nft add rule inet hole in meta nfproto {family} "
            f"tcp dport {port} drop"]


def test_the_other_family_answers_where_one_is_a_black_hole():
    for family, address in (("ipv6", "127.0.0.1"), ("ipv4", "[::1]")):
        with Machine(drop(family, "1024-65535")) as machine, \
                Serving(machine, by_name(), "create", "localhost") as server:
            begin = time.monotonic()
            says_hello(machine, server, address, f"without {family}")
            took = time.monotonic() - begin
            if family == "ipv6":
                assert took >= 0.25, f"IPv6 was given {took} s only"


def test_weir_load_is_not_held_up_by_a_black_hole():
    with Machine(drop("ipv6", "1024-65535")) as machine, \
            Serving(machine, WEIR_LOAD, "serve", "tcp://localhost:0") as server:
        outcome = machine.run(WEIR_LOAD, "run", *PATIENT, "-c", "4", "-n", "100",
                              f"tcp://localhost:{server.port}")
        equal((outcome.status, outcome.err), (0, ""), "run")


if __name__ == "__main__":
    run(globals())
