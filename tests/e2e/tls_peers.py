"""Programs in other languages as both ends of TLS connections with weir.

Each is one source file in this folder, TlsPeer.*, with the same settings and reports. A
script for each language has the tests, which are the functions of this file. The
program is built once per script.
"""

import atexit
import contextlib
import os
import shutil
import subprocess
import tempfile

from harness import Program, Skip, equal, matches, read_line
from tls_ends import (AUTHORITY, VERSIONS, WeirServer, chain, converse, key,
                      text_of, weir_client)

SMALL = text_of(100_000)
HERE = os.path.dirname(os.path.abspath(__file__))


class Language:
    """How its program is built and started, and the keys that it supports."""

    def __init__(self, source, build, start, keys):
        self.source = os.path.join(HERE, source)
        self.build, self.start, self.keys = build, start, keys
        self.place = None

    def command(self):
        if self.place is None:
            if not shutil.which(self.build[0]):
                raise Skip(f"{self.build[0]} is not installed")
            place = tempfile.mkdtemp(prefix="weir-peer-")
            atexit.register(shutil.rmtree, place, True)
            env = {**os.environ, "HOME": place, "GOFLAGS": "", "GOPROXY": "off",
                   "GO111MODULE": "off"}
            env.setdefault("GOCACHE", f"{place}/cache")
            subprocess.run([*self.build, self.source], check=True, cwd=place,
                           env=env)
            self.place = place
        return [word.replace("PLACE", self.place) for word in self.start]

    def program(self, side, port, *settings):
        return Peer(*self.command(), side, str(port), *settings)

    def client(self, port, *settings):
        return self.program("client", port, f"ca={chain(AUTHORITY)}", *settings)

    @contextlib.contextmanager
    def server(self, name, *settings):
        """The block gets it and its port."""
        with self.program("server", 0, f"cert={chain(name)}",
                          f"key={key(name)}", *settings) as program:
            yield program, int(read_line(program.process.stdout))


class Peer(Program):
    """A program in a language; its standard output is its reports."""

    def hear(self, pattern):
        line = read_line(self.process.stdout)
        matches(line, pattern, "the stranger's report")

    def hear_open(self, version, alpn="-", certificate=1):
        self.hear(rf"^open TLSv{version} alpn={alpn} .*"
                  rf"certificate={certificate}$")

    def end(self):
        status, out, err = self.finish()
        equal((status, out), (0, ""), f"the end of the stranger: {err}")


def version_of(version):
    return f"version={version}"


# ---- weir as the server ----

def is_served(language):
    """In both versions, with each key; both ends are encrypted."""
    for name in language.keys:
        with WeirServer("echo", name) as weir:
            for version in VERSIONS:
                with language.client(weir.port, version_of(version)) as client:
                    weir.hear_open(version, name="localhost", certificate=0)
                    client.hear_open(version)
                    client.hear(r"^end ok$")
                    weir.hear(r"^end ok$")
                    client.end()


def resumes(language, *settings, wanted=None, alpn="-", name="good"):
    """The peer's second and third connections resume the session of the first."""
    facts = wanted or {"certificate": 0}
    for version in VERSIONS:
        with WeirServer("echo", name, *(
                ["alpn=h2,http/1.1"] if alpn != "-" else []), *(
                ["auth=required", f"ca={chain(AUTHORITY)}"]
                if facts["certificate"] else [])) as weir:
            with language.client(weir.port, version_of(version), "count=3",
                                 *settings) as client:
                weir.hear_open(version, resumed=0, alpn=alpn, **facts)
                weir.hear_ends_and_opens(3, 2, version, resumed=1, alpn=alpn,
                                         **facts)
                for _ in range(3):
                    client.hear_open(version, alpn)
                    client.hear(r"^end ok$")
                client.end()


def resumes_with_protocol_and_certificate(language):
    # Of the same kind as the server's: wolfSSL requests no other in TLS 1.2.
    for name in language.keys:
        resumes(language, "alpn=http/1.1,h2", f"cert={chain(name)}",
                f"key={key(name)}", wanted={"certificate": 1}, alpn="h2",
                name=name)


def is_refused_without_a_certificate(language):
    for version in VERSIONS:
        with WeirServer("echo", "good", "auth=required",
                        f"ca={chain(AUTHORITY)}") as weir:
            with language.client(weir.port, version_of(version)) as client:
                weir.hear(r"^failed WEIR_ETLSNOCERT: ")
                client.finish()


def refuses_a_stranger(language):
    """The client does not trust the authority, and sends an alert."""
    for version in VERSIONS:
        with WeirServer("echo", "self-signed") as weir:
            with language.client(weir.port, version_of(version)) as client:
                weir.hear(r"^failed WEIR_ETLSALERT: ")
                client.hear(r"^end .*(certificate|PKIX)")


def follows_new_keys(language):
    """weir changes its keys after each twenty records of the echo, and requests new
    ones: fewer times than answers without data are allowed between them."""
    with WeirServer("echo", "good", "records=20") as weir:
        with language.client(weir.port, version_of("1.3"),
                             "size=2000000") as client:
            weir.hear_open("1.3")
            client.hear_open("1.3")
            client.hear(r"^end ok$")
            weir.hear(r"^end ok$")
            client.end()


def is_cut_as_a_client(language):
    """The client ends without a close_notify."""
    for version in VERSIONS:
        with WeirServer("echo") as weir:
            with language.client(weir.port, version_of(version),
                                 "cut=yes") as client:
                weir.hear_open(version)
                weir.hear(r"^end WEIR_ETLSTRUNCATED: ")
                client.finish()


# ---- weir as the client ----

def end_input(weir):
    weir.process.stdin.close()
    weir.process.stdin = None


def serves(language):
    """In both versions, with each key; both ends are encrypted."""
    for name in language.keys:
        for version in VERSIONS:
            with language.server(name, version_of(version)) as (server, port):
                with weir_client(port) as weir:
                    weir.hear_open(version, certificate=1)
                    server.hear_open(version, certificate=0)
                    converse(weir, SMALL)
                    end_input(weir)
                    weir.hear(r"^end ok$")
                    server.hear(r"^end ok$")


def agrees_on_a_protocol_and_asks_for_a_certificate(language):
    for name in language.keys:
        for version in VERSIONS:
            with language.server("good", version_of(version), "alpn=h2",
                                 "auth=yes", f"ca={chain(AUTHORITY)}") as (
                    server, port), weir_client(
                        port, "alpn=http/1.1,h2", f"cert={chain(name)}",
                        f"key={key(name)}") as weir:
                weir.hear_open(version, alpn="h2")
                server.hear_open(version, "h2")
                converse(weir, SMALL)
                end_input(weir)
                weir.hear(r"^end ok$")


def takes_a_session_back(language):
    with language.server("good", version_of("1.3")) as (_, port):
        with weir_client(port, "first=x") as weir:
            weir.hear_open(resumed=0, certificate=1)
            weir.hear_open(resumed=1, certificate=0)
            converse(weir, SMALL)


def is_cut_as_a_server(language):
    """The server ends without a close_notify."""
    for version in VERSIONS:
        with language.server("good", version_of(version), "cut=yes") as (
                _, port), weir_client(port) as weir:
            weir.hear_open(version)
            weir.process.stdin.write(b"x")
            weir.process.stdin.flush()
            weir.hear(r"^end WEIR_ETLSTRUNCATED: ")


def tests_of(language, name):
    """Returns the tests of a script, by their names."""
    return {f"test_{name}_{function.__name__}":
            lambda function=function: function(language)
            for function in (
                is_served, resumes, resumes_with_protocol_and_certificate,
                is_refused_without_a_certificate, refuses_a_stranger,
                follows_new_keys, is_cut_as_a_client, serves,
                agrees_on_a_protocol_and_asks_for_a_certificate,
                takes_a_session_back, is_cut_as_a_server)}
