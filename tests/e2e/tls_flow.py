"""TLS connections that weir serves, during data transfer and at their ends: key
updates, half-closes, truncation, slow peers, client certificates.

Usage: tls_flow.py TLS_PEER FOLDER
"""

import os
import socket
import ssl
import subprocess

from servers import echoes
from harness import WAIT_S, equal, run
from tls_ends import (AUTHORITY, KEY_UPDATE, VERSIONS, WeirServer, ask_http,
                      chain, converse, crawling_to, curl, end_well, gnutls_cli,
                      has_updated, key, nginx, openssl_version, pass_on,
                      proxy_lines, python_client, python_context, s_client,
                      scratch, send_behind, text_of)

SMALL = text_of(100_000)
# More than the kernel buffers between two programs. gnutls-cli takes some seconds for a
# megabyte.
FLOW = 16 << 20
FLOW_GNUTLS = 8 << 20


# ---- changes of keys ----

def update_keys(client, weir, commands, flow, is_done=lambda count: True):
    """The client receives data and requests new keys meanwhile; is_done() returns True
    once it has done so often enough."""
    data = text_of(flow)
    sender = send_behind(weir.process.stdin, data)
    got = bytearray()
    for number, command in enumerate(commands, 1):
        got += client.process.stdout.read(min(flow // (len(commands) + 1),
                                              flow - len(got)))
        client.process.stdin.write(command)
        client.process.stdin.flush()
        # s_client reads its input when nothing arrives, and takes two pending commands
        # for one.
        while not is_done(number):
            got += client.process.stdout.read(min(1 << 16, flow - len(got)))
    got += client.process.stdout.read(flow - len(got))
    sender.join()
    equal(got == data, True, "the bytes under changing keys")


def test_openssl_changes_its_keys_and_asks_for_ours_while_data_flows():
    with WeirServer("take", stdin=subprocess.PIPE) as weir, scratch() as place:
        with s_client(weir.port, "-msg", "-msgfile",
                      f"{place}/messages") as client:
            weir.hear_open()
            # K also requests new keys from the peer, and k does not.
            update_keys(client, weir, [b"K\n", b"k\n"] * 5, FLOW,
                        lambda count: has_updated(f"{place}/messages", count))
            pass_on(client, weir, SMALL)
            pass_on(weir, client, SMALL)
            end_well(client, weir)
        with open(f"{place}/messages", encoding="ascii") as file:
            messages = file.read()
    equal(messages.count(">>>" + KEY_UPDATE), 10,
          "changes of the client's keys")
    equal(messages.count("<<<" + KEY_UPDATE), 5, "changes of weir's keys")


def test_gnutls_changes_its_keys_and_asks_for_ours_while_data_flows():
    with WeirServer("take", stdin=subprocess.PIPE) as weir:
        with gnutls_cli(weir.port, "--inline-commands") as client:
            weir.hear_open()
            update_keys(client, weir, [b"^rekey^\n", b"^rekey1^\n"] * 5,
                        FLOW_GNUTLS)
            pass_on(client, weir, SMALL)
            end_well(client, weir)


def changes_of(path):
    """Returns how often the peer and openssl, whose messages these are, have updated
    their keys."""
    with open(path, encoding="ascii") as file:
        messages = file.read()
    return tuple(messages.count(way + KEY_UPDATE) for way in ("<<<", ">>>"))


def test_weir_changes_its_keys_after_many_records_and_openssl_reads_on():
    # The number is 2^24 unless a test sets a smaller one.
    with WeirServer("take", "good", "records=3",
                    stdin=subprocess.PIPE) as weir, scratch() as place:
        with s_client(weir.port, "-msg", "-msgfile",
                      f"{place}/messages") as client:
            weir.hear_open()
            pass_on(weir, client, text_of(FLOW))
            sent, _ = changes_of(f"{place}/messages")
            assert sent >= 10, f"{sent} changes of weir's keys while it sends"
            pass_on(client, weir, text_of(FLOW))
            pass_on(weir, client, SMALL)
            end_well(client, weir)
        ours, theirs = changes_of(f"{place}/messages")
        assert ours >= sent + 10, f"{ours} changes of weir's keys while it reads"
        assert theirs >= 10, f"{theirs} changes of openssl's keys, for which weir asked"


def test_weir_changes_its_keys_after_many_records_and_gnutls_reads_on():
    with WeirServer("take", "good", "records=100",
                    stdin=subprocess.PIPE) as weir:
        with gnutls_cli(weir.port) as client:
            weir.hear_open()
            pass_on(weir, client, text_of(FLOW_GNUTLS))
            pass_on(client, weir, text_of(2 << 20))
            pass_on(weir, client, SMALL)
            end_well(client, weir)


def test_the_keys_of_tls_12_serve_for_any_number_of_records():
    with WeirServer("take", "good", "records=100",
                    stdin=subprocess.PIPE) as weir:
        with s_client(weir.port, openssl_version("1.2")) as client:
            weir.hear_open("1.2")
            pass_on(weir, client, text_of(FLOW))
            pass_on(client, weir, text_of(FLOW))
            end_well(client, weir)


# ---- ends ----

def test_the_rest_arrives_after_our_half_close():
    for version in VERSIONS:
        # The end of its standard input ends weir's writing.
        with WeirServer("take", stdin=subprocess.PIPE) as weir:
            with python_client(weir.port, python_context(version)) as client:
                weir.hear_open(version)
                weir.process.stdin.write(b"first")
                weir.process.stdin.close()
                weir.process.stdin = None
                equal(client.recv(10), b"first", "bytes before the end")
                # OpenSSL raises an error in TLS 1.2, too, and can still send.
                end_of(client)
                client.sendall(SMALL)
                client.unwrap()
                got = weir.process.stdout.read(len(SMALL))
                equal(got == SMALL, True, "the rest")
                weir.hear(r"^end ok$")


def end_of(client):
    """Reads the peer's close_notify, which Python reports as an error or as b""."""
    try:
        equal(client.recv(1), b"", "the end")
    except ssl.SSLZeroReturnError:
        pass


def test_our_rest_arrives_after_the_close_notify_of_a_client():
    """weir answers the end of stream and then ends."""
    for version in VERSIONS:
        with WeirServer("echo") as weir:
            with raw_client(weir, version) as client:
                client.say(SMALL)
                client.shutdown()
                equal(client.rest() == SMALL, True, "the echo")
                weir.hear_open(version)
                weir.hear(r"^end ok$")


class raw_client:  # pylint: disable=invalid-name
    """Yields Python's TLS over memory; the test moves its records itself."""

    def __init__(self, weir, version):
        self.sock = socket.create_connection(weir.address)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = python_context(version).wrap_bio(
            self.incoming, self.outgoing, server_hostname="localhost")
        self.step(self.tls.do_handshake)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def flush(self):
        self.sock.sendall(self.outgoing.read())

    def step(self, function, *args):
        """Calls it until it succeeds. Returns None at the peer's end of stream."""
        while True:
            try:
                result = function(*args)
                self.flush()
                return result
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(1 << 16)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

    def say(self, data):
        self.step(self.tls.write, data)

    def shutdown(self):
        """Sends only the close_notify, without waiting."""
        try:
            self.tls.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            pass
        self.flush()

    def rest(self):
        data = b""
        while part := self.step(self.tls.read, 1 << 16):
            data += part
        return data



# ---- cuts ----

def test_a_cut_is_told_from_an_end():
    for version in VERSIONS:
        with WeirServer("echo") as weir:
            with python_client(weir.port, python_context(version)) as client:
                echoes(client)
            # Closed without a close_notify: the kernel's end of stream.
            weir.hear_open(version)
            weir.hear(r"^end WEIR_ETLSTRUNCATED: ")


def test_a_client_that_is_killed_has_cut_the_connection():
    for start in (s_client, gnutls_cli):
        with WeirServer("echo") as weir:
            with start(weir.port) as client:
                converse(client, SMALL)
                weir.hear_open()
                client.kill()
                weir.hear(r"^end (WEIR_ETLSTRUNCATED|ECONNRESET): ")


def test_a_cut_inside_a_record_is_a_cut():
    with WeirServer("echo") as weir:
        with raw_client(weir, "1.3") as client:
            client.tls.write(b"to be cut")
            client.sock.sendall(client.outgoing.read()[:-1])
            client.sock.shutdown(socket.SHUT_WR)
            weir.hear_open()
            weir.hear(r"^end WEIR_ETLSTRUNCATED: ")


def test_a_cut_inside_the_handshake_is_a_cut():
    with WeirServer("echo") as weir:
        with socket.create_connection(weir.address) as sock:
            sock.sendall(b"\x16\x03\x01\x02\0\1")
            sock.shutdown(socket.SHUT_WR)
            weir.hear(r"^failed WEIR_ETLSTRUNCATED: ")


def test_what_is_no_tls_is_refused():
    for text in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100, os.urandom(1000)):
        with WeirServer("echo") as weir:
            with socket.create_connection(weir.address) as sock:
                sock.sendall(text)
                sock.shutdown(socket.SHUT_WR)
                weir.hear(r"^failed WEIR_ETLS(PROTOCOL|VERSION|TRUNCATED): ")


# ---- slow peers ----

def test_bytes_that_come_one_at_a_time_are_served():
    for version in VERSIONS:
        with WeirServer("echo") as weir, crawling_to(weir.address) as slow:
            with s_client(slow.port, openssl_version(version)) as client:
                converse(client, SMALL[:3000])
                weir.hear_open(version)
                end_well(client, weir)
            with gnutls_cli(slow.port, version=version) as client:
                converse(client, SMALL[:3000])
                weir.hear_open(version)
                end_well(client, weir)


# ---- certificates of clients ----

def auth_server(how):
    return WeirServer("echo", "good", f"auth={how}", f"ca={chain(AUTHORITY)}")


def identity(name):
    return ["-cert", chain(name), "-key", key(name)]


def test_a_client_shows_its_certificate():
    for how in ("optional", "required"):
        with auth_server(how) as weir:
            for version in VERSIONS:
                for name in ("good", "good-rsa", "good-ed25519",
                             "for-clients"):
                    with s_client(weir.port, openssl_version(version),
                                  *identity(name)) as client:
                        converse(client, SMALL)
                        weir.hear_open(version, certificate=1)
                        end_well(client, weir)
                with gnutls_cli(weir.port, "--x509certfile", chain("good"),
                                "--x509keyfile", key("good"),
                                version=version) as client:
                    converse(client, SMALL)
                    weir.hear_open(version, certificate=1)
                    end_well(client, weir)


def test_curl_and_nginx_show_their_certificates():
    with WeirServer("http", "good", "auth=required",
                    f"ca={chain(AUTHORITY)}") as weir:
        outcome = curl(weir.port, "--cert", chain("good-rsa"), "--key",
                       key("good-rsa"), "--data", "words")
        equal((outcome.status, outcome.out), (0, "words"), "the answer")
        weir.hear_open(certificate=1)
        weir.hear(r"^end ok$")
        lines = (f"proxy_ssl_certificate {chain('good')};"
                 f"proxy_ssl_certificate_key {key('good')};")
        with nginx(proxy_lines(weir.port, lines=lines)) as (_, port):
            equal(ask_http(port, SMALL), (200, SMALL), "the answer")
            weir.hear_open(certificate=1)
        weir.hear(r"^end ")


def test_a_client_without_a_certificate_is_served_where_that_is_allowed():
    with auth_server("optional") as weir:
        for version in VERSIONS:
            with s_client(weir.port, openssl_version(version)) as client:
                converse(client, SMALL)
                weir.hear_open(version, certificate=0)
                end_well(client, weir)


def refuse(weir, version, flags, error):
    """The client fails, and weir reports why."""
    with s_client(weir.port, openssl_version(version), *flags) as client:
        equal(client.process.stdout.read(), b"", "bytes that came back")
        client.process.wait(WAIT_S)
        weir.hear(rf"^failed {error}: ")


def test_a_client_without_a_certificate_is_refused_where_one_is_required():
    with auth_server("required") as weir:
        for version in VERSIONS:
            refuse(weir, version, [], "WEIR_ETLSNOCERT")


def test_wrong_certificates_of_clients_are_refused_with_their_reason():
    for how in ("optional", "required"):
        with auth_server(how) as weir:
            for name, error in (("wrong-issuer", "WEIR_ETLSISSUER"),
                                ("expired", "WEIR_ETLSEXPIRED"),
                                ("not-yet", "WEIR_ETLSNOTYET"),
                                ("self-signed", "WEIR_ETLSSELFSIGNED"),
                                ("for-servers", "WEIR_ETLSPURPOSE")):
                for version in VERSIONS:
                    refuse(weir, version, identity(name), error)


if __name__ == "__main__":
    run(globals(), short="openssl_changes_its_keys_and_asks_for_ours_while_data_flows")
