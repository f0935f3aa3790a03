"""The examples with TLS, used by other programs.

Usage: examples_tls.py TLS_PEER FOLDER EXAMPLE...
"""

import contextlib
import http.server
import os
import random
import shutil
import ssl
import threading

from harness import (ExampleService, command, command_apart, equal, example,
                     fails, matches, prints, run)
from servers import Server, read_exactly
from tls_ends import (AUTHORITY, KEYS, VERSIONS, chain, converse, curl,
                      gnutls_cli, key, openssl_version, python_client,
                      python_context, s_client, scratch, text_of)


# ---- in the middle of a connection ----

def test_starttls_goes_on_with_tls():
    outcome = command(example("starttls"), chain("good"), key("good"),
                      chain(AUTHORITY), f"@starttls-{os.getpid()}")
    prints(outcome, "plain: 220 go ahead\nTLS: 250 sealed\n")


def test_starttls_says_that_it_does_not_trust_the_server():
    outcome = command(example("starttls"), chain("good"), key("good"),
                      chain("stranger"), f"@starttls-{os.getpid()}")
    equal(outcome.status, 1, "exit status")
    equal(outcome.out, "plain: 220 go ahead\n", "the output")


# ---- https ----

class Pages(http.server.BaseHTTPRequestHandler):
    """Answers HEAD, always in the same way."""

    def do_HEAD(self):  # pylint: disable=invalid-name
        self.send_response(200)
        self.send_header("X-Weir", "flows")
        self.end_headers()

    def date_time_string(self, timestamp=None):
        return "Sat, 21 Nov 2026 10:00:00 GMT"

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Ignores a client that does not trust it and ends the handshake."""


@contextlib.contextmanager
def pages(name):
    """An https server; the block gets its port."""
    with QuietServer(("127.0.0.1", 0), Pages) as server:
        context = python_context(server=True, name=name)
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield str(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def http_headers(*words, **options):
    return command(example("http_headers"), *words, **options)


def ask(port, *flags, **options):
    return http_headers(*(flags or ("-a", chain(AUTHORITY))), "localhost",
                        port, "/page", **options)


def test_headers_by_https_are_those_that_curl_sees():
    for name in KEYS:
        with pages(name) as port:
            outcome = ask(port)
            equal((outcome.status, outcome.err), (0, ""), "the outcome")
            matches(outcome.out, r"^X-Weir: flows\r\n\Z")
            equal(outcome.out + "\r\n", curl(port, "-I", "--http1.0").out,
                  "the headers")


def with_system_authorities(folder, *words):
    """Returns a command in its own mount namespace, with this folder instead of the
    system's."""
    script = 'mount --bind "$0" /etc/ssl/certs || exit 77; exec "$@"'
    return command_apart(script, folder, *words)


def test_the_authorities_of_the_system_are_trusted_by_default():
    with pages("good") as port, scratch() as place:
        shutil.copy(chain(AUTHORITY), f"{place}/ca-certificates.crt")
        words = (example("http_headers"), "-s", "localhost", port, "/page")
        outcome = with_system_authorities(place, *words)
        equal((outcome.status, outcome.err), (0, ""), "the outcome")
        matches(outcome.out, r"^X-Weir: flows\r\n\Z")


def test_an_authority_that_the_system_does_not_know_is_not_trusted():
    with pages("good") as port:
        outcome = ask(port, "-s")
        fails(outcome, "no trusted issuer")


def test_a_server_that_is_not_the_one_asked_for_is_not_asked():
    for name, why in (("other-name", "another name"),
                      ("expired", "expired"),
                      ("not-yet", "not valid yet"),
                      ("self-signed", "self-signed"),
                      ("wrong-issuer", "no trusted issuer")):
        with pages(name) as port:
            outcome = ask(port)
        fails(outcome, why)


def test_https_to_a_server_of_http_says_why_it_cannot():
    with Server(lambda connection, _: connection.recv(4096)
                and connection.sendall(b"HTTP/1.0 400 Bad\r\n\r\n")) as server:
        outcome = ask(str(server.port))
    fails(outcome, "TLS")


def test_headers_that_are_cut_are_an_error():
    context = python_context(server=True, name="good")

    def cut(connection, _number):
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.0 200 OK\r\nX-Weir: flows\r\n")

    with Server(cut) as server:
        outcome = ask(str(server.port))
    equal((outcome.status, outcome.out),
          (1, "HTTP/1.0 200 OK\r\nX-Weir: flows\r\n"), "the outcome")
    matches(outcome.err, "was cut")


def test_authorities_that_cannot_be_read_are_an_error():
    outcome = http_headers("-a", "/nowhere.pem", "localhost", "1", "/")
    fails(outcome, "/nowhere.pem: No such file")


# ---- echo ----

def serving(name="good"):
    """The echo server."""
    return ExampleService("tls_echo_server_streams", chain(name), key(name), "0")


def test_the_echo_server_gives_back_every_byte():
    data = text_of(5_000_000)
    with serving() as server:
        with s_client(server.port) as client:
            converse(client, data)
            equal(client.finish()[0], 0, "exit status of openssl")


def test_the_echo_server_serves_openssl_and_gnutls_in_both_versions():
    data = text_of(10_000)
    with serving() as server:
        for version in VERSIONS:
            for client in (s_client(server.port, openssl_version(version)),
                           gnutls_cli(server.port, version=version)):
                with client:
                    converse(client, data)
                    equal(client.finish()[0], 0, "exit status")


# ---- files ----

@contextlib.contextmanager
def serving_files():
    """Yields the server, and a large file's bytes."""
    data = random.Random(len(KEYS)).randbytes(20_000_001)
    with scratch() as folder:
        for name, size in (("large", len(data)), ("small", 10), ("empty", 0)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data[:size])
        with ExampleService("file_server_streams", "0", chain("good"),
                            key("good"), cwd=folder) as server:
            yield server, data


def download(port, path, sip=1 << 18, most=None):
    """Returns the body of a response, or with `most` its beginning, if the client then
    closes. The end must be a proper one."""
    with python_client(port, python_context()) as tls:
        tls.sendall(f"GET /{path} HTTP/1.0\r\n\r\n".encode())
        got = bytearray()
        while most is None or len(got) < most:
            piece = tls.recv(sip)
            if not piece:
                break
            got += piece
    return bytes(got).split(b"\r\n\r\n", 1)[1]


def test_files_arrive_whole_over_tls():
    with serving_files() as (server, data):
        for name, size in (("large", len(data)), ("small", 10), ("empty", 0)):
            equal(download(server.port, name) == data[:size], True,
                  f"the bytes of {name}")


def test_many_clients_some_of_them_slow_or_gone_get_their_bytes():
    wrong = []
    with serving_files() as (server, data):
        def get(number):
            most = (None, 1_000_000 * number)[number % 3 == 2]
            body = download(server.port, "large", (1 << 18, 5000)[number % 2],
                            most)
            if body != data[:len(body)] or (most is None and
                                            len(body) != len(data)):
                wrong.append(number)
        threads = [threading.Thread(target=get, args=(number,))
                   for number in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    equal(wrong, [], "clients with other bytes")


# ---- both ----

def test_the_two_talk_to_each_other():
    for name in KEYS:
        with serving(name) as server:
            outcome = command(example("tls_echo_client_streams"), "localhost",
                              str(server.port), chain(AUTHORITY))
        prints(outcome, "received by TLSv1.3: Hello World!\n")


def test_the_echo_client_shows_the_answer():
    for version in VERSIONS:
        context = python_context(version, server=True, name="good")

        def echo(connection, _number, context=context):
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(read_exactly(tls, 12))
                with contextlib.suppress(ssl.SSLError):
                    tls.unwrap()

        with Server(echo) as server:
            outcome = command(example("tls_echo_client_streams"), "localhost",
                              str(server.port), chain(AUTHORITY))
        prints(outcome, f"received by TLSv{version}: Hello World!\n")


def test_the_echo_client_does_not_talk_to_a_stranger():
    with serving("wrong-issuer") as server:
        outcome = command(example("tls_echo_client_streams"), "localhost",
                          str(server.port), chain(AUTHORITY))
    fails(outcome, "no trusted issuer")


def test_a_certificate_and_a_key_that_do_not_fit_are_an_error():
    outcome = command(example("tls_echo_server_streams"), chain("good"),
                      key("expired"), "0")
    fails(outcome, "not that of the certificate")


if __name__ == "__main__":
    run(globals())
