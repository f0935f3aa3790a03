"""weir-proxy with an ECDSA and an RSA certificate for one name: OpenSSL as a client
that can use one kind of key, or both, in both versions of TLS, with a name, with a
wildcard's name, and without a name."""

import itertools
import re

from harness import command, equal, need, run
from proxy_certificates import CURVE, certificates, make_certificate, plain
from proxying import Proxy
from servers import Server, echo

RSA = ("rsa:2048",)
# What s_client prints about the server's key.
BITS = {"curve": 256, "rsa": 2048}
SCHEMES = {"curve": "ECDSA+SHA256", "rsa": "RSA-PSS+SHA256:RSA+SHA256",
           "both": "RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA256"}
SUITES = {"curve": "ECDHE-ECDSA-AES128-GCM-SHA256",
          "rsa": "ECDHE-RSA-AES128-GCM-SHA256"}


def pairs():
    """Returns the files of both kinds for each name; they are made once."""
    certificates()
    if not made:
        for cn in ("both.test", "*.wild.test"):
            for kind, key in (("curve", CURVE), ("rsa", RSA)):
                made[cn, kind] = make_certificate(
                    f"{cn.strip('*.')}-{kind}", cn, "ca", key)
    return made


made = {}


def proxy_of(server, first, second):
    flags = [flag for cn in ("both.test", "*.wild.test")
             for kind in (first, second)
             for flag in ("--cert", pairs()[cn, kind])]
    return Proxy("tls://127.0.0.1:0", plain(server), *flags)


def shown(proxy, name, *flags):
    """Returns the common name and the key size of the certificate."""
    asks = ("-servername", name) if name else ("-noservername",)
    need("openssl")
    outcome = command("openssl", "s_client", "-connect",
                      f"127.0.0.1:{proxy.port}", *asks, *flags, input=b"")
    found = re.search(r"subject=CN = (\S+)", outcome.out)
    bits = re.search(r"Server public key is (\d+) bit", outcome.out)
    equal(found is not None and bits is not None, True,
          f"a certificate in {outcome.out!r}, {outcome.err!r}")
    return found[1], int(bits[1])


def expect(proxy, kind, *flags):
    for name, cn in (("both.test", "both.test"), ("a.wild.test", "*.wild.test"),
                     (None, "both.test"), ("unknown.test", "both.test")):
        equal(shown(proxy, name, *flags), (cn, BITS[kind]),
              f"the certificate for {name} of a client with {flags}")


def test_a_client_gets_a_certificate_for_its_signature_algorithms():
    with Server(echo) as server:
        for first, second in itertools.permutations(("curve", "rsa")):
            with proxy_of(server, first, second) as proxy:
                for version in ("-tls1_2", "-tls1_3"):
                    for kind in ("curve", "rsa"):
                        expect(proxy, kind, version, "-sigalgs", SCHEMES[kind])
                    expect(proxy, first, version, "-sigalgs", SCHEMES["both"])


def test_a_client_of_tls_1_2_gets_a_certificate_for_its_suites():
    with Server(echo) as server:
        for first, second in itertools.permutations(("curve", "rsa")):
            with proxy_of(server, first, second) as proxy:
                for kind in ("curve", "rsa"):
                    expect(proxy, kind, "-tls1_2", "-cipher", SUITES[kind])


run(globals())
