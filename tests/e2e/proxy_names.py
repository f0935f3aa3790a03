"""Server names in clients' TLS, with any bytes: each client gets the route of its name,
or the default one, and no name damages the log or the metrics."""

import contextlib
import re
import ssl
import subprocess
import tempfile

from harness import WAIT_S, equal, matches, need, run
from proxy_certificates import certificates, client_context
from proxy_dns import NAME, NameServer
from proxying import Proxy, expect_reset, target
from servers import Server, free_port, read_exactly

# Names that match no pattern.
ODD = [b"db.test:5432", b"::1", b"[::1]", b"a b.test", b".", b"..", b".test",
       b"a..test", b"b\xfccher.test", b"*.test", b"\xff" * 20, b'q"\\.test',
       b"x\nfake line\n", b"x\r\0y", b"\x1b[2Jx", b"%s%n", b"x" * 64 + b".test",
       b"a.test..", b"y" * 250]


def hello(name, old=b"n"):
    """Returns a client's first bytes, for this name."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = client_context()
    context.check_hostname = False
    stand_in = (old * 60 + b"." + old * 60 + b"." + old * 60 + b"."
                   + old * 70)[:max(len(name), 1)]
    if len(name) > 60:
        stand_in = b".".join([old * 40] * 8)[:len(name)]
    if stand_in.endswith(b"."):
        stand_in = stand_in[:-1] + old
    tls = context.wrap_bio(incoming, outgoing,
                           server_hostname=stand_in.decode())
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    data = outgoing.read()
    equal(data.count(stand_in), 1 if len(name) > 3 else
          data.count(stand_in), "places of the name")
    at = data.index(b"\0" + len(name).to_bytes(2, "big") + stand_in) + 3
    return data[:at] + name + data[at + len(name):]


class Noting(Server):
    """Answers a client's hello with its own name."""

    def __init__(self, name):
        self.name = name
        self.hellos = []
        super().__init__(self.note)

    def note(self, connection, _number):
        self.hellos.append(connection.recv(65536))
        connection.sendall(self.name)
        connection.recv(1)


@contextlib.contextmanager
def routed(*flags):
    """Routes for a.test and all names below b.test, and one for all others."""
    with Noting(b"A") as a, Noting(b"B") as b, Noting(b"*") as rest, Proxy(
            "--listen", "tls://127.0.0.1:0", "--passthrough", "--to",
            target(rest), "--route", "a.test", "--passthrough", "--to",
            target(a), "--route", "*.b.test", "--passthrough", "--to",
            target(b), *flags) as proxy:
        yield proxy, (a, b, rest)


def goes_to(proxy, data):
    with proxy.connect() as client:
        client.sendall(data)
        return read_exactly(client, 1)


def test_a_name_of_any_bytes_takes_the_default_route():
    with routed() as (proxy, servers):
        sent = [hello(name) for name in ODD]
        for name, data in zip(ODD, sent):
            equal(goes_to(proxy, data), b"*", name)
        equal(servers[2].hellos, sent, "what the target gets")
        proxy.stop()
        lines = proxy.lines()  # each has exactly its fields
        equal([line["reason"] for line in lines], ["done"] * len(ODD),
              "the log")
        equal(sorted(line["server_name"] for line in lines),
              sorted(re.sub(r'[^!-~]|["\\]', "?", name.decode("latin-1"))
                     for name in ODD), "the names")


def test_a_route_may_have_the_dot_of_the_root():
    with Noting(b"A") as a, Proxy(
            "--listen", "tls://127.0.0.1:0", "--route", "a.test.",
            "--passthrough", "--to", target(a)) as proxy:
        equal(goes_to(proxy, hello(b"a.test")), b"A", "without")
        equal(goes_to(proxy, hello(b"a.test.")), b"A", "with")


def test_all_spellings_of_a_name_are_balanced_to_one_target():
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Noting(b"%d" % i)) for i in range(8)]
        proxy = stack.enter_context(Proxy(
            "tls://127.0.0.1:0", ",".join(map(target, servers)),
            "--passthrough", "--balance", "sni"))
        for i in range(8):
            name = b"n%d.test" % i
            equal(len({goes_to(proxy, hello(spelling)) for spelling in
                       (name, name.upper(), name + b".")}), 1, name)


# ---- the name as the target ----

def test_a_target_is_the_name_that_a_client_requests():
    with NameServer(["127.0.0.1"]) as names, Noting(b"A") as a, Proxy(
            "tls://127.0.0.1:0", f"sni:{a.port}", "--passthrough", "--sni-allow",
            "other.test,WEIR-test.example.", "--resolver", names.address) as proxy:
        for name in (NAME, NAME.upper(), NAME + "."):
            equal(goes_to(proxy, hello(name.encode())), b"A", name)
        asked = names.asked
        denied = [b"127.0.0.1", b"example", b"badweir-test.example",
                  b"weir-test.example.evil.test", *ODD]
        for name in denied:
            expect_reset(proxy, hello(name))
        equal(names.asked, asked, "lookups of names that are not allowed")
        expect_reset(proxy, hello(b"other.test"))
        equal(proxy.metric("upstream_active"), 0, "connections")
        proxy.stop()
        equal(sorted(proxy.reasons()), ["connect-lookup"] + ["done"] * 3
              + ["name-denied"] * len(denied), "the log")


def test_a_name_does_not_lead_back_to_the_proxy():
    for address in "127.0.0.1", "::ffff:127.0.0.1":
        port = free_port()
        with NameServer([address]) as names, Proxy(
                f"tls://127.0.0.1:{port}", f"sni:{port}", "--passthrough",
                "--sni-allow", "example", "--resolver", names.address) as proxy:
            expect_reset(proxy, hello(NAME.encode()))
            proxy.stop()
            equal(sorted(proxy.reasons()), ["client-gone", "name-denied"],
                  f"the log of {address}")


# ---- where TLS is opened ----

def serves(proxy, name):
    """Makes a handshake for this name with openssl, which sends any name."""
    need("openssl")
    outcome = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}",
         "-servername", name, "-CAfile", certificates()["ca"]],
        input=b"", capture_output=True, timeout=WAIT_S, check=False)
    matches(outcome.stdout.decode(errors="replace"),
            "Cipher is (?!\\(NONE\\))", name)


def test_tls_is_opened_for_a_name_of_any_bytes():
    with Noting(b"x") as server, Noting(b"A") as a:
        cert = ("--cert", certificates()["proxy"])
        for flags in (
                ("--listen", "tls://127.0.0.1:0", *cert, "--to",
                 target(server)),  # by the server
                ("--listen", "tls://127.0.0.1:0", *cert, "--to",
                 target(server), "--route", "a.test", "--passthrough", "--to",
                 target(a))):  # after the hello was read
            with Proxy(*flags) as proxy:
                for name in ("proxy.test.", "PROXY.test", "db.test:5432",
                             "::1", "a b", "x" * 70):
                    serves(proxy, name)


# ---- the metrics ----

def test_names_of_the_configuration_break_no_label():
    path = b"/x\"b\\c\xff\xc0\xafd\xed\xa0\x80\x1b \xc3\xa9"
    with tempfile.NamedTemporaryFile(suffix=".ini") as file:
        file.write(b"[z]\nlisten = tcp://127.0.0.1:0\nto = 'unix:%s'\n"
                   .replace(b"'", b"") % path)
        file.flush()
        with Proxy("--config", file.name, "--name", "z\x01\x7f\n") as proxy:
            status, text = proxy.get("/metrics")
    equal(status, 200, "status")
    label = r'[a-z]+="(?:[^"\\\n\x00-\x1f]|\\["\\n])*"'
    for line in text.splitlines():
        if not line.startswith("#"):
            matches(line, rf"^\w+(\{{{label}(,{label})*\}})? \S+$")
    matches(text, r'service="z\?\?\\n",route="\*",target="unix:/x\\"b\\\\c'
            r'\?\?\?d\?\?\?\? \u00e9"')


run(globals())
