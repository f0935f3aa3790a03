"""weir-proxy and TLS: terminated, started, passed through by the requested name;
truncations that stay truncations; certificates that change meanwhile."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import ssl
import tempfile
import time

from harness import WAIT_S, command, equal, fails, matches, read_line, run
from proxy_certificates import (Secured, certificates, client_context, dated,
                                folder, make_certificate, plain, secure,
                                subject)
from proxy_churn import Churn
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, read_again
from servers import (Server, drain, echo, echoes, free_port, read_exactly,
                     reset)


def tls_proxy(server, *flags, **options):
    return Proxy("tls://127.0.0.1:0", plain(server), "--cert",
                 certificates()["proxy"], *flags, **options)


# ---- opened and begun ----

def test_tls_is_opened_and_the_target_gets_plain_bytes():
    with Server(echo) as server, tls_proxy(server) as proxy:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with secure(proxy, context=client_context(
                    maximum_version=version)) as client:
                client.sendall(b"secret")
                equal(read_exactly(client, 6), b"secret", "the echo")
                client.unwrap()
        proxy.stop()
        equal([(line["reason"], line["tls"], line["server_name"])
               for line in proxy.lines()],
              [("done", "TLSv1.2", "proxy.test"),
               ("done", "TLSv1.3", "proxy.test")], "the log")


def test_tls_is_begun_and_the_target_is_verified():
    with Secured(echo, "a") as server:
        to = f"tls://127.0.0.1:{server.port}"
        ca = certificates()["ca"]
        with Proxy("tcp://127.0.0.1:0", to, "--to-ca", ca, "--to-name",
                   "a.test") as proxy, proxy.connect() as client:
            echoes(client)
        for flags in (("--to-ca", ca, "--to-name", "b.test"),
                      ("--to-name", "a.test")):
            with Proxy("tcp://127.0.0.1:0", to, *flags) as proxy:
                expect_reset(proxy)
                proxy.stop_by(["connect-tls"])


def test_a_client_that_goes_during_the_tls_behind_a_header_is_gone():
    with Server(drain) as server, Proxy(
            "tcp://127.0.0.1:0", f"tls://127.0.0.1:{server.port}",
            "--send-proxy", "v2", "--to-name", "a.test") as proxy:
        client = proxy.connect()
        wait_until(lambda: proxy.metric("upstream_active") == 1)
        reset(client)
        wait_until(lambda: proxy.metric("upstream_active") == 0)
        proxy.stop_by(["client-gone"])


def refuse(sock):
    """A handshake that ends with the client's alert, and then with the server's end: if
    the client closed first, with unread bytes, its reset could overtake the alert."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(into, out,
                                                server_hostname="proxy.test")
    with contextlib.suppress(ssl.SSLCertVerificationError):
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            sock.sendall(out.read())
            into.write(sock.recv(1 << 16))
    sock.sendall(out.read())
    while sock.recv(1 << 16):
        pass


def test_the_alert_of_a_client_is_logged_with_its_name():
    with Server(echo) as server, tls_proxy(server) as proxy:
        with proxy.connect() as client:
            refuse(client)
        with secure(proxy) as client:
            echoes(client)
            client.unwrap()
        wait_until(lambda: proxy.metric("close_total") == 2)
        equal([proxy.metric("tls_handshakes_total", result=result)
               for result in ("failed", "full")], [1, 1], "handshakes")
        proxy.stop()
        equal([(line["reason"], line["alert"]) for line in proxy.lines()],
              [("handshake", "unknown_ca"), ("done", "-")], "the log")


def test_a_handshake_that_fails_is_logged_with_its_time_and_name():
    def expect_nothing(proxy):
        with proxy.connect() as client:
            with contextlib.suppress(ConnectionResetError):
                while client.recv(100):
                    pass

    def distrust(proxy):
        with contextlib.suppress(ssl.SSLError, OSError):
            secure(proxy, context=ssl.create_default_context())

    for limit, fail, name in (("50ms", expect_nothing, "-"),
                              (f"{WAIT_S}s", distrust, "proxy.test")):
        with Server(echo) as server, tls_proxy(
                server, "--handshake-timeout", limit) as proxy:
            fail(proxy)
            wait_until(lambda: proxy.metric("close_total") == 1)
            proxy.stop()
            line, = proxy.lines()
            equal((line["reason"], line["server_name"]), ("handshake", name),
                  "the log")
            equal(line["tls_ms"], line["total_ms"], "its times")
            assert float(line["total_ms"]) > 0, line


def session_of(proxy, context):
    """Returns a session that the proxy gives to a client."""
    with secure(proxy, context=context) as client:
        echoes(client)  # after the ticket of TLS 1.3
        return client.session


def is_resumed(proxy, context, session):
    with context.wrap_socket(proxy.connect(), session=session,
                             server_hostname="proxy.test") as client:
        echoes(client)
        return client.session_reused


def contexts_of_versions():
    return [client_context(minimum_version=version, maximum_version=version)
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]


def test_a_client_with_a_certificate_resumes_its_session():
    with Server(echo) as server, tls_proxy(
            server, "--client-ca", certificates()["ca"],
            "--require-client-cert",
            threads=2) as proxy:
        for context in contexts_of_versions():
            context.load_cert_chain(certificates()["client"])
            session = session_of(proxy, context)
            for _ in range(4):
                equal(is_resumed(proxy, context, session), True, "resumed")
            read_again(proxy)
            equal(is_resumed(proxy, context, session), False,
                  "by a context that does not know the client")
        wait_until(lambda: proxy.metric("tls_handshakes_total",
                                        result="resumed") == 8)
        equal(proxy.metric("tls_handshakes_total", result="full"), 4, "full")
        proxy.stop()


def test_sessions_outlive_a_renewal():
    with Server(echo) as server, tls_proxy(server, threads=2) as proxy:
        contexts = contexts_of_versions()
        sessions = [session_of(proxy, context) for context in contexts]
        for _ in range(3):
            read_again(proxy)
            equal([is_resumed(proxy, context, session) for context, session in
                   zip(contexts, sessions)], [True, True], "resumed")


def test_sessions_outlive_a_replacement():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        common = ("--cert", certificates()["proxy"], "--to", plain(server),
                  "--handover", os.path.join(folder, "handover"))
        flags = ("--listen", f"tls://127.0.0.1:{free_port()}", "--name", "one",
                 *common)
        proxy = Proxy(*flags, admin=False)
        contexts = contexts_of_versions()
        sessions = [session_of(proxy, context) for context in contexts]
        for _ in range(2):
            following = Proxy(*flags, admin=False, threads=2)
            equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")
            proxy.__exit__(None)
            proxy = following
            equal([is_resumed(proxy, context, session) for context, session in
                   zip(contexts, sessions)], [True, True], "resumed")
        following = Proxy(*(flag.replace("one", "two") for flag in flags),
                          admin=False)
        equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")
        proxy.__exit__(None)
        equal(is_resumed(following, contexts[1], sessions[1]), False,
              "by a service of another name")
        following.__exit__(None)


# ---- by name ----

def routed(a, b, c):
    """Names with separate targets: a and all names below b.test pass through, all
    others are terminated and go to c."""
    return Proxy("--listen", "tls://127.0.0.1:0", "--cert",
                 certificates()["proxy"], "--to", plain(c),
                 "--route", "a.test", "--passthrough", "--to", plain(a),
                 "--route", "*.test", "--passthrough", "--to", plain(b),
                 "--route", "proxy.test", "--to", plain(c))


def test_one_port_passes_some_names_through_and_opens_others():
    with Secured(echo, "a") as a, Secured(echo, "b") as b, \
            Server(echo) as c, routed(a, b, c) as proxy:
        for name, wanted in (("a.test", "a.test"), ("b.test", "b.test"),
                             ("proxy.test", "proxy.test")):
            with secure(proxy, name) as client:
                equal(subject(client), wanted, "the certificate")
                client.sendall(b"hello")
                equal(read_exactly(client, 5), b"hello", "the echo")
                with contextlib.suppress(ssl.SSLEOFError):
                    client.unwrap()  # the servers of a and b just close
        proxy.stop()
        equal([(line["server_name"], line["tls"], line["reason"])
               for line in proxy.lines()],
              [("a.test", "-", "done"), ("b.test", "-", "done"),
               ("proxy.test", "TLSv1.3", "done")], "the log")


class Splitting:
    """Sends TLS output byte by byte."""

    def __init__(self, proxy, name, size=1, context=None):
        self.sock = proxy.connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.size = size
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(
            self.incoming, self.outgoing, server_hostname=name)

    def flush(self):
        data = self.outgoing.read()
        for i in range(0, len(data), self.size):
            self.sock.sendall(data[i:i + self.size])

    def call(self, method, *args):
        while True:
            try:
                result = method(*args)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                assert data, "the end"
                self.incoming.write(data)


def test_a_hello_in_single_bytes_is_understood():
    with Secured(echo, "a") as a, Secured(echo, "b") as b, \
            Server(echo) as c, routed(a, b, c) as proxy:
        for name in ("a.test", "proxy.test"):
            client = Splitting(proxy, name)
            client.call(client.tls.do_handshake)
            client.call(client.tls.write, b"hello")
            equal(client.call(client.tls.read, 5), b"hello", "the echo")
            client.sock.close()


def test_what_is_no_hello_is_refused():
    with Secured(echo, "a") as a, Secured(echo, "b") as b, \
            Server(echo) as c, routed(a, b, c) as proxy:
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff",
                     b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"):
            expect_reset(proxy, data)
        proxy.stop_by(["hello"] * 3)


def test_a_hello_that_does_not_come_is_waited_for_in_vain():
    with Secured(echo, "a") as a, Proxy(
            "tls://127.0.0.1:0", plain(a), "--passthrough", "--hello-timeout",
            "50ms") as proxy:
        expect_reset(proxy, b"\x16\x03\x01")
        proxy.stop_by(["hello"])


def test_a_name_without_a_route_is_refused():
    with Secured(echo, "a") as a, Proxy(
            "--listen", "tls://127.0.0.1:0", "--route", "a.test",
            "--passthrough", "--to", plain(a)) as proxy:
        with contextlib.suppress(OSError):
            with secure(proxy, "b.test"):
                assert False, "a handshake"
        proxy.stop_by(["no-route"])


# ---- the time of certificates ----

def test_a_certificate_that_cannot_serve_now_is_told():
    with tempfile.TemporaryDirectory() as folder:
        good = certificates()["proxy"]
        old = dated(f"{folder}/old", "20200101000000Z", "20210102030405Z")
        new = dated(f"{folder}/new", "20900101000000Z", "20910101000000Z")
        alone = f"{folder}/alone.pem"
        with open(good, encoding="ascii") as file:
            text = file.read()
        begin = text.index("-----BEGIN CERTIFICATE", 1)
        with open(alone, "w", encoding="ascii") as out:
            out.write(text[:begin] + text[text.index("-----BEGIN PRIVATE"):])
        for cert, words in (
                (old, f"z: warning: a certificate in '{old}' expired at "
                      "2021-01-02 03:04:05 UTC\n"),
                (new, f"z: warning: a certificate in '{new}' is not valid "
                      "before 2090-01-01 00:00:00 UTC\n"),
                (alone, f"z: warning: '{alone}' does not contain the "
                        "issuer's certificate, so peers must already have it\n"),
                (good, "")):
            flags = ("tls://127.0.0.1:0", "tcp://127.0.0.1:1", "--name", "z",
                     "--cert", cert)
            outcome = command(PROXY, "-t", *flags)
            equal(outcome.status, 0, "exit status")
            equal(outcome.err.replace("weir-proxy: ", ""),
                  words + "the configuration is good\n", "what it says")
        outcome = command(PROXY, "-t", "tcp://127.0.0.1:0", "tls://localhost:1",
                          "--name", "z", "--to-cert", old)
        matches(outcome.err, "expired at 2021-01-02")


def test_an_expired_certificate_is_told_once_whatever_its_block_is_called():
    with tempfile.TemporaryDirectory() as folder:
        old = dated(f"{folder}/old", "20200101000000Z", "20210102030405Z")
        with open(old, encoding="ascii") as file:
            text = file.read().replace(" CERTIFICATE-", " X509 CERTIFICATE-")
        with open(old, "w", encoding="ascii") as file:
            file.write(text)
        outcome = command(
            PROXY, "-t", "--listen", "tls://127.0.0.1:0", "--cert",
            certificates()["proxy"], "--to-cert", old, "--route", "a.test",
            "--to", "tls://localhost:1", "--route", "b.test", "--to",
            "tls://localhost:1")
        equal((outcome.status, outcome.err.count("expired at 2021-01-02")),
              (0, 1), f"the outcome, with {outcome.err!r}")


# ---- cuts ----

class Watching(Server):
    """A server that records how each connection ended."""

    def __init__(self):
        self.ends = []
        super().__init__(self.watch)

    def watch(self, connection, _number):
        try:
            while part := connection.recv(65536):
                connection.sendall(part)
            self.ends.append("end")
        except ConnectionResetError:
            self.ends.append("reset")


def test_a_client_that_is_cut_off_is_no_end_for_the_target():
    with Watching() as server, tls_proxy(server) as proxy:
        for ends_well in (True, False):
            client = secure(proxy, context=client_context())
            echoes(client)
            if ends_well:
                client.unwrap().close()
            else:
                client.shutdown(socket.SHUT_WR)
                with contextlib.suppress(OSError):
                    client.recv(1)
                client.close()
        wait_until(lambda: len(server.ends) == 2)
        equal(server.ends, ["end", "reset"], "what the target saw")
        proxy.stop_by(["done", "client-cut"])


def test_a_client_that_leaves_while_its_target_is_connected_to_is_gone():
    context = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with Server(echo) as server, tls_proxy(server) as proxy:
        for _ in range(100):  # some are sent in the same iteration
            client = Splitting(proxy, "proxy.test", 65536, context)
            client.call(client.tls.do_handshake)
            client.call(client.tls.write, b"hello")
            client.sock.close()
        wait_until(lambda: proxy.metric("close_total") == 100)
        equal(proxy.metric("close_total", reason="internal"), 0,
              "that are called the proxy's own fault")


# ---- renewal ----

def test_sighup_renews_the_certificate_for_new_handshakes_alone():
    path = os.path.join(folder.name, "served.pem")
    shutil.copy(certificates()["proxy"], path)
    with Server(echo) as server, Proxy(
            "tls://127.0.0.1:0", plain(server), "--cert", path,
            threads=2) as proxy:
        with secure(proxy) as before:
            equal(subject(before), "proxy.test", "the first certificate")
            shutil.copy(certificates()["other"], path)
            read_again(proxy)
            for _ in range(4):
                end = time.monotonic() + WAIT_S
                while True:
                    try:
                        with secure(proxy, "other.test") as after:
                            equal(subject(after), "other.test", "the second")
                        break
                    except ssl.SSLCertVerificationError:
                        assert time.monotonic() < end, "it was not renewed"
            before.sendall(b"x")
            equal(before.recv(1), b"x", "the echo of the first")
            with open(path, "w", encoding="ascii") as file:
                file.write("nothing")
            proxy.signal(signal.SIGHUP)
            matches(proxy.process.stderr.readline().decode(),
                    "in force")
            with secure(proxy, "other.test") as after:
                after.sendall(b"x")
                equal(after.recv(1), b"x", "the echo after a bad file")


def served_for(proxy, name):
    """Returns the certificate that the proxy sends to a client which requests a
    name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(proxy.connect(), server_hostname=name) as client:
        return client.getpeercert(True)


def test_a_folder_of_certificates_is_read_again():
    """Pairs in one file, and in two as in Kubernetes, through links."""
    with tempfile.TemporaryDirectory() as place, Server(echo) as server:
        base = os.path.join(folder.name, "a")
        shutil.copy(certificates()["proxy"], f"{place}/0.pem")
        os.mkdir(f"{place}/..data")
        shutil.copy(base + ".crt", f"{place}/..data/tls.crt")
        shutil.copy(base + ".key", f"{place}/..data/tls.key")
        for name in ("tls.crt", "tls.key"):
            os.symlink(f"..data/{name}", f"{place}/{name}")
        with open(f"{place}/README", "w", encoding="ascii") as file:
            file.write("no certificate\n")
        with Proxy("tls://127.0.0.1:0", plain(server), "--cert",
                   place) as proxy:
            first = served_for(proxy, None)
            equal(served_for(proxy, "proxy.test"), first, "the first")
            equal(served_for(proxy, "a.test") == first, False, "of its name")
            equal(served_for(proxy, "b.test"), first, "for a name of none")
            shutil.copy(certificates()["b"], f"{place}/b.pem")
            read_again(proxy)
            wait_until(lambda: served_for(proxy, "b.test") != first)
            with open(f"{place}/c.pem", "w", encoding="ascii") as file:
                file.write("nothing")
            proxy.signal(signal.SIGHUP)
            matches(proxy.process.stderr.readline().decode(),
                    r"c\.pem.*in force")
            os.unlink(f"{place}/c.pem")
        for name in ("0.pem", "tls.crt", "b.pem"):
            os.unlink(f"{place}/{name}")
        fails(command(PROXY, "-t", "tls://127.0.0.1:0", plain(server),
                      "--cert", place), r"has no certificate: no file that", 2)


def test_there_may_be_a_thousand_certificates():
    """With one key, and another name in each: no client verifies them."""
    name = b"n0000.test"
    path = make_certificate("thousand", name.decode())
    der = ssl.PEM_cert_to_DER_cert(
        pathlib.Path(path[:-4] + ".crt").read_text("ascii"))
    key = pathlib.Path(path[:-4] + ".key").read_text("ascii")
    with tempfile.TemporaryDirectory() as place, Server(echo) as server:
        made = {}
        for number in range(1000):
            other = b"n%04d.test" % number
            made[other] = der.replace(name, other)
            pathlib.Path(place, other.decode() + ".pem").write_text(
                ssl.DER_cert_to_PEM_cert(made[other]) + key, "ascii")
        with Proxy("tls://127.0.0.1:0", plain(server), "--cert", place,
                   threads=2) as proxy:
            for number in (0, 1, 64, 65, 66, 500, 998, 999):
                other = b"n%04d.test" % number
                equal(served_for(proxy, other.decode()) == made[other], True,
                      f"the certificate {number}")
            equal(served_for(proxy, "n1000.test") == made[name], True,
                  "the first for any other name")


def test_sighup_renews_what_targets_are_verified_by():
    path = os.path.join(folder.name, "trusted.pem")
    shutil.copy(make_certificate("stranger", "A Stranger"), path)
    with Secured(echo, "a") as server, Proxy(
            "tcp://127.0.0.1:0", f"tls://127.0.0.1:{server.port}", "--to-ca",
            path, "--to-name", "a.test", "--eject", "0",
            threads=2) as proxy:

        def is_served():
            with contextlib.suppress(OSError), proxy.connect() as client:
                client.sendall(b"x")
                return client.recv(1) == b"x"
            return False

        equal(is_served(), False, "by a stranger's authority")
        shutil.copy(certificates()["ca"], path)
        proxy.signal(signal.SIGHUP)
        wait_until(is_served)
        with open(path, "w", encoding="ascii") as file:
            file.write("nothing")
        proxy.signal(signal.SIGHUP)
        while "in force" not in read_line(proxy.process.stderr):
            pass
        for _ in range(8):
            equal(is_served(), True, "by the authority of before")


def test_a_renewal_under_load_fails_no_connection():
    context = client_context()

    class Clients(Churn):
        def talk(self, client):
            with context.wrap_socket(client,
                                     server_hostname="proxy.test") as secured:
                echoes(secured)

    with Server(echo) as server, tls_proxy(server, threads=2) as proxy, \
            Clients(proxy.port) as clients:
        for _ in range(20):
            read_again(proxy)
            clients.wait_for(1)
        equal(clients.failed, [], "connections that failed")


run(globals())
