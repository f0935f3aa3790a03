"""Combinations of TLS features, with other programs as clients of a weir server.

Each mix of protocols (ALPN), client certificates and a certificate chosen by name is
one server; OpenSSL, Python and GnuTLS connect to it in both versions, also with a first
hello that is refused, and resume their sessions; the clients' certificates are kept in
these.

Usage: tls_mix.py TLS_PEER FOLDER
"""

import itertools

from servers import echoes
from harness import run
from tls_ends import (AUTHORITY, RESUME, VERSIONS, WeirServer, chain, converse,
                      crawling_to, end_well, gnutls_cli, key, openssl_version,
                      python_client, python_context, s_client, scratch, text_of)

SMALL = text_of(2000)


class Mix:
    """The features of a server and its clients."""

    def __init__(self, alpn, auth, names):
        self.alpn, self.auth, self.names = alpn, auth, names

    def server(self):
        return WeirServer(
            "echo", "good-rsa" if self.names else "good",
            *(["alpn=h2,http/1.1"] if self.alpn else []),
            *(["auth=required", f"ca={chain(AUTHORITY)}"] if self.auth else []),
            *([f"id={chain('good')}:{key('good')}"] if self.names else []))

    def facts(self, resumed):
        return {"alpn": "h2" if self.alpn else "-", "name": "localhost",
                "certificate": int(self.auth), "resumed": resumed}

    def hear(self, weir, version, resumed):
        weir.hear_open(version, **self.facts(resumed))


def mixes():
    for bits in itertools.product((False, True), repeat=3):
        yield Mix(*bits)


def openssl_flags(mix, version, again):
    flags = [openssl_version(version)]
    if again:  # its first key share is for a group that weir does not support
        flags += ["-groups", "X448:P-256"]
    if mix.alpn:
        flags += ["-alpn", "http/1.1,h2"]
    if mix.auth:
        flags += ["-cert", chain("good"), "-key", key("good")]
    return flags


def openssl_connects_twice(mix, weir, port, version, again):
    flags = openssl_flags(mix, version, again)
    with scratch() as place:
        for resumed, flag in ((0, "-sess_out"), (1, "-sess_in")):
            with s_client(port, *flags, flag, f"{place}/session") as client:
                converse(client, SMALL)
                mix.hear(weir, version, resumed)
                end_well(client, weir)


def test_openssl_resumes_its_session_in_each_mix():
    for mix in mixes():
        with mix.server() as weir:
            for version, again in (("1.2", False), ("1.3", False),
                                   ("1.3", True)):
                openssl_connects_twice(mix, weir, weir.port, version, again)


def test_openssl_resumes_its_session_where_its_hello_comes_in_single_bytes():
    mix = Mix(True, False, True)
    with mix.server() as weir, crawling_to(weir.address) as middle:
        for version, again in (("1.2", False), ("1.3", False), ("1.3", True)):
            openssl_connects_twice(mix, weir, middle.port, version, again)


def test_python_resumes_its_session_in_each_mix():
    for mix in mixes():
        with mix.server() as weir:
            for version in VERSIONS:
                context = python_context(version,
                                         name="good" if mix.auth else None)
                if mix.alpn:
                    context.set_alpn_protocols(["http/1.1", "h2"])
                session = None
                for resumed in (0, 1, 1):
                    with python_client(weir.port, context,
                                       session=session) as client:
                        echoes(client)
                        session = client.session
                        client.unwrap()
                    mix.hear(weir, version, resumed)
                    weir.hear(r"^end ok$")


def test_gnutls_resumes_its_session_in_each_mix():
    for mix in mixes():
        with mix.server() as weir:
            for version in VERSIONS:
                flags = [*RESUME]
                if mix.alpn:
                    flags += ["--alpn=http/1.1", "--alpn=h2"]
                if mix.auth:
                    flags += ["--x509certfile", chain("good"), "--x509keyfile",
                              key("good")]
                with gnutls_cli(weir.port, *flags, version=version) as client:
                    mix.hear(weir, version, 0)
                    converse(client, SMALL)
                    weir.hear_ends_and_opens(1, 1, version, **mix.facts(1))
                    end_well(client, weir)


if __name__ == "__main__":
    run(globals())
