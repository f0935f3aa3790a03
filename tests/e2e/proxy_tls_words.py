"""weir-proxy's directives for its clients' TLS, with openssl as the client: the lowest
version, suites and groups, names without a certificate, clients by the names in their
certificates, and revocation lists."""

import contextlib
import os
import subprocess
import time

from harness import Program, command, equal, matches, need, run
from proxy_certificates import (CURVE, at, certificates, dated,
                                make_certificate, make_list, plain)
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, read_again
from servers import Server, echo, free_port
from tls_ends import wait_for_port


def tls(server, *flags):
    return Proxy("tls://127.0.0.1:0", plain(server), "--cert",
                 certificates()["proxy"], *flags)


def s_client(proxy, *flags, name="proxy.test", data=b"hello\n"):
    """Returns openssl's output, and the echo of these bytes: it waits for the echo, or
    for a refusal."""
    need("openssl")
    name_flags = ("-servername", name) if name else ("-noservername",)
    with Program("openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}",
                 "-CAfile", certificates()["ca"], "-brief", *name_flags, *flags,
                 stdin=subprocess.PIPE) as program:
        process = program.process
        with contextlib.suppress(BrokenPipeError):  # it has been refused
            process.stdin.write(data)
            process.stdin.flush()
        got = process.stdout.readline()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        err = process.stderr.read().decode()
        process.wait()
    wait_until(lambda: proxy.metric("connections_active") == 0)
    return got, err


def serves(proxy, *flags, said="", **options):
    got, err = s_client(proxy, *flags, **options)
    equal(got, b"hello\n", f"the echo; openssl says {err!r}")
    matches(err, said, "what openssl says")


def refuses(proxy, *flags, said="", **options):
    got, err = s_client(proxy, *flags, **options)
    equal(got, b"", "what comes")
    matches(err, said, "what openssl says")


# ---- versions, suites, groups ----

def test_the_lowest_version_refuses_older_clients():
    with Server(echo) as server, tls(server, "--tls-min", "1.3") as proxy:
        serves(proxy, said="TLSv1.3")
        refuses(proxy, "-tls1_2", said="alert protocol version")
    with Server(echo) as server, tls(server) as proxy:
        serves(proxy, "-tls1_2", said="TLSv1.2")


def test_suites_are_those_of_the_list():
    with Server(echo) as server, tls(
            server, "--ciphers", "TLS_AES_256_GCM_SHA384:"
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384") as proxy:
        serves(proxy, said="TLS_AES_256_GCM_SHA384")
        serves(proxy, "-tls1_2", said="ECDHE-ECDSA-AES256-GCM-SHA384")
        refuses(proxy, "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-tls1_3",
                said="alert handshake failure")
    outcome = command(PROXY, "-t", "tls://127.0.0.1:9", "tcp://127.0.0.1:7",
                      "--cert", certificates()["proxy"], "--ciphers", "RC4")
    equal(outcome.status, 2, "exit status")
    matches(outcome.err, "TLS_AES_128_GCM_SHA256")


def test_groups_are_those_of_the_list():
    with Server(echo) as server, tls(server, "--tls-min", "1.3", "--groups",
                                     "P-384") as proxy:
        serves(proxy, "-groups", "X25519:P-384", said="P-384|secp384r1")
        refuses(proxy, "-groups", "X25519", said="alert")
    outcome = command(PROXY, "-t", "tls://127.0.0.1:9", "tcp://127.0.0.1:7",
                      "--cert", certificates()["proxy"], "--groups", "P-384")
    equal(outcome.status, 2, "exit status")


# ---- names ----

def test_a_name_that_no_certificate_is_for_is_refused_where_that_is_said():
    with Server(echo) as server, tls(server, "--unknown-name",
                                     "refuse") as proxy:
        serves(proxy)
        serves(proxy, name=None)
        refuses(proxy, name="other.test", said="unrecognized name")
    with Server(echo) as server, tls(server) as proxy:
        serves(proxy, name="other.test")


def test_a_client_gets_a_certificate_for_its_signature_algorithms():
    certificates()
    second = make_certificate("rsa", "proxy.test", "ca", ("rsa:2048",))
    with Server(echo) as server, tls(server, "--cert", second) as proxy:
        for schemes, said in (("ECDSA+SHA256", "ECDSA"),
                              ("RSA-PSS+SHA256:RSA+SHA256", "RSA-PSS")):
            serves(proxy, "-sigalgs", schemes, said=f"ignature type: {said}$")


def make_named(name, alternatives, cn):
    """Makes a client's certificate with these alternative names."""
    base = at(name)
    outcome = command(
        "openssl", "req", "-x509", "-newkey", *CURVE, "-nodes", "-days", "30",
        "-subj", f"/O=a/CN={cn}", "-addext", f"subjectAltName={alternatives}",
        "-addext", "basicConstraints=CA:FALSE", "-addext",
        "keyUsage=digitalSignature", "-addext", "extendedKeyUsage=clientAuth",
        "-CA", at("ca.pem"), "-CAkey", at("ca.pem"), "-keyout", f"{base}.key",
        "-out", f"{base}.pem")
    equal(outcome.status, 0, f"openssl, which said {outcome.err!r}")
    return ("-cert", f"{base}.pem", "-key", f"{base}.key")


CLIENTS = ("--require-client-cert", "--client-name", "dns:App.Test",
           "--client-name", "uri:spiffe://test/app", "--client-name",
           "cn:the app")


def test_clients_come_by_the_names_in_their_certificates():
    ca = certificates()["ca"]
    good = [make_named("by-dns", "DNS:x.test,DNS:app.test", "x"),
            make_named("by-uri", "URI:spiffe://test/app", "x"),
            make_named("by-cn", "DNS:x.test", "the app")]
    bad = [make_named("no-name", "DNS:x.test,URI:spiffe://test/app/b", "App"),
           make_named("cn-of-dns", "DNS:x.test", "app.test"),
           make_named("dns-of-uri", "URI:http://app.test", "y"),
           make_named("wild", "DNS:*.test", "the app too")]
    # With and without a hello that is read before TLS is terminated.
    for more in ((), ("--client-conns", "100")):
        with Server(echo) as server, tls(server, "--client-ca", ca, *CLIENTS,
                                         *more) as proxy:
            for flags in good:
                serves(proxy, *flags)
            for flags in bad:
                refuses(proxy, *flags)
            refuses(proxy)
            proxy.stop()
            equal(proxy.reasons(), ["done"] * 3 + ["client-name"] * 4 +
                  ["handshake"], "the log")
            equal(server.accepted, 3, "connections to the target")


# ---- encrypted keys ----

def encrypt(name):
    """Encrypts the key of a certificate. Returns it and the file of its passphrase."""
    words, locked = at("words"), at(f"{name}.locked")
    with open(words, "w", encoding="ascii") as file:
        file.write("a phrase\n")
    outcome = command("openssl", "pkcs8", "-topk8", "-in", at(f"{name}.key"),
                      "-passout", f"file:{words}", "-out", locked)
    equal(outcome.status, 0, f"openssl, which said {outcome.err!r}")
    return locked, words


def test_encrypted_keys_are_opened_for_clients_and_targets():
    ca = certificates()["ca"]
    locked, words = encrypt("proxy")
    to_locked, to_words = encrypt("client")
    with Server(echo) as server, tls(
            server, "--client-ca", ca, "--require-client-cert") as behind, \
            Proxy("tls://127.0.0.1:0", f"tls://127.0.0.1:{behind.port}",
                  "--cert", at("proxy.crt"), "--key", locked,
                  "--key-passphrase-file", words, "--to-ca", ca, "--to-name",
                  "proxy.test", "--to-cert", at("client.crt"), "--to-key",
                  to_locked, "--to-key-passphrase-file", to_words) as proxy:
        serves(proxy)
        read_again(proxy)
        serves(proxy)


def test_an_encrypted_key_without_its_passphrase_says_so():
    locked, words = encrypt("proxy")
    wrong = at("wrong-words")
    with open(wrong, "w", encoding="ascii") as file:
        file.write("another\n")
    base = [PROXY, "tls://127.0.0.1:0", "tcp://127.0.0.1:1", "--cert",
            at("proxy.crt"), "--key", locked]
    for more, said in (((), "missing or wrong"),
                       (("--key-passphrase-file", wrong),
                        "the passphrase is wrong"),
                       (("--key-passphrase-file", at("none")),
                        "passphrase: .*none: No such file")):
        outcome = command(*base, *more)
        equal(outcome.status != 0, True, "refused")
        matches(outcome.err, said, "what it says")
    equal(words != wrong, True, "files")


# ---- revocations ----

def test_certificates_that_were_revoked_are_refused_also_after_sighup():
    ca = certificates()["ca"]
    flags = make_named("revoked", "DNS:app.test", "x")
    other = make_named("stays", "DNS:app.test", "x")
    used = make_list("used")
    with Server(echo) as server, tls(
            server, "--client-ca", ca, "--require-client-cert", "--client-crl",
            used) as proxy:
        serves(proxy, *flags)
        os.replace(make_list("later", [at("revoked.pem")]), used)
        read_again(proxy)
        refuses(proxy, *flags, said="alert bad certificate")
        serves(proxy, *other)


def test_a_session_does_not_outlive_the_certificate_of_its_client():
    ca = certificates()["ca"]
    flags = make_named("session", "DNS:app.test", "x")
    used = make_list("used-by-sessions")
    with Server(echo) as server, tls(
            server, "--client-ca", ca, *CLIENTS, "--client-crl",
            used) as proxy:
        for version in ("-tls1_2", "-tls1_3"):
            kept = at(f"kept{version}")
            serves(proxy, *flags, version, "-sess_out", kept)
            serves(proxy, *flags, version, "-sess_in", kept)
        equal(proxy.metric("tls_handshakes_total", result="resumed"), 2,
              "resumed")
        os.replace(make_list("later", [at("session.pem")]), used)
        read_again(proxy)
        for version in ("-tls1_2", "-tls1_3"):
            refuses(proxy, *flags, version, "-sess_in", at(f"kept{version}"),
                    said="alert bad certificate")


def test_two_lists_of_two_authorities_are_both_used():
    certificates()
    make_certificate("second", "Another Authority")
    both = at("both.pem")
    with open(both, "wb") as out:
        for path in (at("ca.crt"), at("second.crt")):
            with open(path, "rb") as file:
                out.write(file.read())
    flags = make_named("of-two", "DNS:app.test", "x")
    first = make_list("first", [at("of-two.pem")])
    other = make_named("kept", "DNS:app.test", "x")
    with Server(echo) as server, tls(
            server, "--client-ca", both, "--require-client-cert",
            "--client-crl", make_list("of-second", issuer="second"),
            "--client-crl", first) as proxy:
        refuses(proxy, *flags, said="alert bad certificate")
        serves(proxy, *other)


# ---- targets ----

@contextlib.contextmanager
def to_s_server(*flags, proxy_flags=()):
    """A proxy in front of openssl's server, which sends lines back reversed."""
    need("openssl")
    port = free_port()
    files = certificates()
    with Program("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                 files["a"], "-key", files["a"], "-rev", "-quiet",
                 *flags) as server:
        wait_for_port(port, server)
        with Proxy("tcp://127.0.0.1:0", f"tls://127.0.0.1:{port}", "--to-ca",
                   files["ca"], "--to-name", "a.test", "--tries", "1",
                   *proxy_flags) as proxy:
            yield proxy
        server.process.terminate()


def test_targets_have_versions_suites_and_groups_too():
    cases = ((("-tls1_2",), (), True),
             (("-tls1_2",), ("--to-tls-min", "1.3"), False),
             (("-ciphersuites", "TLS_AES_128_GCM_SHA256", "-tls1_3"),
              ("--to-ciphers", "TLS_AES_256_GCM_SHA384"), False),
             (("-groups", "P-384"), ("--to-groups", "X25519"), False))
    for flags, words, is_good in cases:
        with to_s_server(*flags, proxy_flags=words) as proxy:
            if is_good:
                with proxy.connect() as client:
                    client.sendall(b"ab\n")
                    equal(client.recv(3), b"ba\n", f"the answer to {words}")
            else:
                expect_reset(proxy)
            proxy.stop()
            equal(proxy.reasons(), ["done" if is_good else "connect-tls"],
                  f"the log of {words}")


def test_a_target_whose_certificate_was_revoked_is_refused():
    certificates()
    for revoked in ((), (at("a.crt"),)):
        path = make_list(f"targets-{len(revoked)}", revoked)
        with to_s_server(proxy_flags=("--to-crl", path)) as proxy:
            if revoked:
                expect_reset(proxy)
            else:
                with proxy.connect() as client:
                    client.sendall(b"ab\n")
                    equal(client.recv(3), b"ba\n", "the answer")


# ---- validity ----

def test_a_certificate_that_expires_soon_is_a_warning():
    def said_of(days):
        now = time.time()
        path = dated(at(f"days-{days}"), *(
            time.strftime("%Y%m%d%H%M%SZ", time.gmtime(now + day * 86400))
            for day in (days - 100, days)))
        outcome = command(PROXY, "-t", "tls://127.0.0.1:9",
                          "tcp://127.0.0.1:7", "--cert", path)
        equal(outcome.status, 0, outcome.err)
        return outcome.err

    matches(said_of(13), r"warning: a certificate in '.*' expires soon, at ")
    equal("warning" in said_of(15), False, "a warning of one with 15 days")


run(globals())
