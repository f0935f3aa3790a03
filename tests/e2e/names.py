"""Host names with dnsmasq, a name server that knows nothing of weir."""

import os
import tempfile

from dns import Dnsmasq, find
from harness import EXAMPLES, Skip, command, command_apart, equal, matches, run
from servers import RefusingDatagrams


def example():
    if "resolve" not in EXAMPLES:
        raise Skip("the example was not built")
    return EXAMPLES["resolve"]


def resolve(server, *names, status=0):
    """Returns what the example prints with this server."""
    outcome = command(example(), "-s", server.address, *names)
    if "without c-ares" in outcome.err:
        raise Skip("built without c-ares")
    equal((outcome.status, outcome.err), (status, ""), "the outcome")
    return outcome.out


def test_addresses_of_both_families_and_of_one():
    with Dnsmasq() as server:
        equal(resolve(server, "both.test"),
              "both.test [2001:db8::1]\nboth.test 192.0.2.1\n", "both")
        equal(resolve(server, "inet.test"), "inet.test 192.0.2.2\n", "IPv4")
        equal(resolve(server, "inet6.test"), "inet6.test [2001:db8::2]\n",
              "IPv6")


def test_an_alias_has_the_addresses_of_its_name():
    with Dnsmasq() as server:
        equal(resolve(server, "alias.test"),
              "alias.test [2001:db8::1]\nalias.test 192.0.2.1\n", "both")


def test_no_such_name_and_no_address_are_told_apart():
    with Dnsmasq() as server:
        equal(resolve(server, "nx.test", status=1),
              "nx.test: No such host name\n", "NXDOMAIN")
        equal(resolve(server, "text.test", status=1),
              "text.test: The host name has no address of this family\n",
              "no data")


def test_a_server_that_refuses_is_told():
    with Dnsmasq() as server:
        equal(resolve(server, "elsewhere.example", status=1),
              "elsewhere.example: The name servers refuse to answer\n",
              "REFUSED")


def test_a_server_behind_that_is_dead_is_no_answer():
    with RefusingDatagrams() as dead, Dnsmasq(
            f"--server=/dead.test/127.0.0.1#{dead.port}") as server:
        matches(resolve(server, "a.dead.test", status=1),
                r"^a\.dead\.test: (No name server answered in time"
                r"|The name servers (cannot answer now|refuse to answer))\n\Z")


def test_three_hundred_answers_come_by_TCP_and_are_cut():
    with Dnsmasq() as server:
        lines = resolve(server, "many.test").splitlines()
        equal(len(lines), 128, "addresses")
        equal(len(set(lines)), 128, "different ones")
        equal(sum("[" in line for line in lines), 64, "of IPv6")


def dig(server, name, kind):
    """Returns the addresses that dig finds, in the example's format."""
    program = find("dig")
    if not program:
        raise Skip("dig is not installed")
    outcome = command(program, f"@{server.host}", "-p", str(server.port),
                      "+short", "+tries=3", name, kind)
    equal(outcome.status, 0, f"dig said {outcome.out!r}")
    words = [word for word in outcome.out.split() if not word.endswith(".")]
    return {f"[{word}]" if kind == "AAAA" else word for word in words}


def test_dig_finds_the_same_addresses():
    with Dnsmasq() as server:
        for name in ("both.test", "inet.test", "inet6.test", "alias.test",
                     "ALIAS.test", "chain.test"):
            found = resolve(server, name).splitlines()
            equal({line.removeprefix(f"{name} ") for line in found},
                  dig(server, name, "A") | dig(server, name, "AAAA"), name)
        many = dig(server, "many.test", "A") | dig(server, "many.test", "AAAA")
        equal(len(many), 300, "addresses that dig finds by TCP")
        for line in resolve(server, "many.test").splitlines():
            assert line.removeprefix("many.test ") in many, line


def test_two_hundred_names_at_once():
    with Dnsmasq() as server:
        names = [f"{kind}{i}.test" for i in range(100) for kind in ("a", "b")]
        lines = sorted(resolve(server, *names, status=1).splitlines())
        equal(lines, sorted(f"{name}: No such host name" for name in names),
              "each is answered")


def test_what_asks_no_server():
    with Dnsmasq() as server:
        equal(resolve(server, "localhost"),
              "localhost [::1]\nlocalhost 127.0.0.1\n", "this machine")
        equal(resolve(server, "192.0.2.7"), "192.0.2.7 192.0.2.7\n",
              "a literal")
        equal(resolve(server, "127.1", status=1), "127.1: Not a host name\n",
              "no name")


# ---- the hosts file, in a mount namespace of its own ----

def ask_with_hosts(hosts, *names):
    with Dnsmasq() as server, tempfile.NamedTemporaryFile("w") as file:
        file.write(hosts)
        file.flush()
        os.chmod(file.name, 0o644)
        script = 'mount --bind "$0" /etc/hosts || exit 77; exec "$@"'
        outcome = command_apart(script, file.name, example(), "-s",
                                server.address, *names)
        equal((outcome.status, outcome.err), (0, ""), "the outcome")
        return outcome.out


def test_the_hosts_file_goes_before_servers_in_both_families():
    out = ask_with_hosts("198.51.100.1 both.test # a comment\n"
                         "198.51.100.2 other.test\n", "both.test")
    equal(out, "both.test 198.51.100.1\n", "no address of the server")


def test_the_hosts_file_may_have_several_addresses_and_other_names():
    out = ask_with_hosts("198.51.100.1 first.test other.test\n"
                         "2001:db8::77\tOTHER.test\n"
                         "198.51.100.2 other.test\n", "other.test")
    equal(out, "other.test [2001:db8::77]\nother.test 198.51.100.1\n"
               "other.test 198.51.100.2\n", "all")


def test_this_machine_needs_no_hosts_file():
    equal(ask_with_hosts("", "localhost", ),
          "localhost [::1]\nlocalhost 127.0.0.1\n", "an empty one")
    equal(ask_with_hosts("192.0.2.66 localhost\n", "localhost"),
          "localhost [::1]\nlocalhost 127.0.0.1\n", "one that says otherwise")


if __name__ == "__main__":
    run(globals())
