"""weir as the client of TLS connections, with other programs as servers.

Usage: tls_client.py TLS_PEER FOLDER
"""

import asyncio
import contextlib
import os
import ssl
import threading
from unittest import mock

from harness import ENV, WAIT_S, equal, matches, run
from servers import Server
from tls_ends import (AUTHORITY, BULK, EXPORT, KEY_UPDATE, KEYS, VERSIONS, chain,
                      converse, crawling_to, exported, gnutls_serv, key, nginx,
                      openssl_version, pass_on, python_context, python_server,
                      read_all, s_server, scratch, send_behind, text_of,
                      weir_client)

SMALL = text_of(100_000)
FLOW = 16 << 20


def end_input(weir):
    """weir sends its close_notify, and continues to read."""
    weir.process.stdin.close()
    weir.process.stdin = None


def end_well(weir):
    """Both sides have sent a close_notify."""
    status, _, err = weir.finish()
    equal((status, err), (0, "end ok\n"), "the end of weir")


# ---- servers of Python ----

def echo(tls):
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while data := tls.recv(1 << 16):
            tls.sendall(data)
    tls.unwrap()


class AsyncioEcho:
    """asyncio's server, in a thread."""

    def __init__(self, version=None, name="good"):
        self.context = python_context(version, server=True, name=name)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0,
                                                 ssl=self.context)
        return self.server.sockets[0].getsockname()[1]

    async def stop(self):
        self.server.close()

    @staticmethod
    async def serve(reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT_S)

    def __enter__(self):
        self.thread.start()
        self.port = self.run(self.start())
        return self

    def __exit__(self, *_):
        self.run(self.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


# ---- every server, version and key ----

def test_openssl_serves_in_both_versions_with_three_keys():
    for name in KEYS:
        for version in VERSIONS:
            with s_server(name, openssl_version(version)) as (server, port):
                with weir_client(port) as weir:
                    weir.hear_open(version, certificate=1)
                    pass_on(weir, server, SMALL)
                    pass_on(server, weir, SMALL)
                    end_input(weir)
                    end_well(weir)


def test_gnutls_serves_in_both_versions_with_three_keys():
    for name in KEYS:
        for version in VERSIONS:
            with gnutls_serv(name, version=version) as port:
                with weir_client(port) as weir:
                    weir.hear_open(version, certificate=1)
                    converse(weir, SMALL)
                    end_input(weir)
                    end_well(weir)


def test_python_serves_in_both_versions_with_three_keys():
    for name in KEYS:
        for version in VERSIONS:
            with python_server(echo, version, name) as server:
                with weir_client(server.port) as weir:
                    weir.hear_open(version, certificate=1)
                    converse(weir, SMALL)
                    end_input(weir)
                    end_well(weir)


def test_asyncio_serves_in_both_versions_with_three_keys():
    for name in KEYS:
        for version in VERSIONS:
            with AsyncioEcho(version, name) as server:
                with weir_client(server.port) as weir:
                    weir.hear_open(version, certificate=1)
                    converse(weir, SMALL)
                    weir.finish()


def serve_by_tls(name, version="1.3", more=""):
    lines = (f"ssl_certificate {chain(name)};"
             f"ssl_certificate_key {key(name)};"
             f"ssl_protocols TLSv{version}; dav_methods PUT; {more}")
    return nginx(lines, "ssl")


def ask(weir, head, body=b""):
    """Returns the head and the body of the response to a request, after which nginx
    ends the connection."""
    request = f"{head}\r\nHost: localhost\r\nConnection: close\r\n" \
              f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    sender = send_behind(weir.process.stdin, request)
    answer = weir.process.stdout.read()
    sender.join()
    return answer.split(b"\r\n\r\n", 1)


def test_nginx_serves_in_both_versions_with_three_keys():
    for name in KEYS:
        for version in VERSIONS:
            with serve_by_tls(name, version) as (_, port):
                with weir_client(port) as weir:
                    weir.hear_open(version, certificate=1)
                    head, _ = ask(weir, "GET /none HTTP/1.1")
                    matches(head.decode(), r"\AHTTP/1\.1 404 ")
                    end_well(weir)


# ---- bulk ----

def test_openssl_gets_and_sends_a_bulk():
    data = text_of(BULK)
    for version in VERSIONS:
        with s_server("good", openssl_version(version)) as (server, port):
            with weir_client(port) as weir:
                weir.hear_open(version)
                pass_on(weir, server, data)
                pass_on(server, weir, data)
                end_input(weir)
                end_well(weir)


def test_openssl_exports_the_same_keys():
    for version in VERSIONS:
        with s_server("good", openssl_version(version), *EXPORT,
                      quiet=False) as (server, port):
            with weir_client(port, "export=1") as weir:
                line = weir.hear_open(version)
                matches(line, f" export={exported(server)}$", "the keys")
                end_input(weir)


OLD = """openssl_conf = all
[all]
ssl_conf = tls
[tls]
system_default = old
[old]
Options = -ExtendedMasterSecret
"""


def test_no_keys_are_exported_without_the_extended_master_secret():
    for version, told in (("1.2", False), ("1.3", True)):
        with scratch() as place:
            with open(f"{place}/old.cnf", "w", encoding="ascii") as file:
                file.write(OLD)
            with mock.patch.dict(ENV, OPENSSL_CONF=f"{place}/old.cnf"), \
                    s_server("good", openssl_version(version)) as (_, port):
                with weir_client(port, "export=1") as weir:
                    line = weir.hear_open(version)
                    equal(" export=" in line, told, "whether keys are told")
                    end_input(weir)


def test_gnutls_gets_and_sends_a_bulk():
    # gnutls-serv keeps the bytes to echo and searches all of them for the end of the
    # line: with more than this it takes minutes.
    with gnutls_serv("good") as port, weir_client(port) as weir:
        weir.hear_open()
        converse(weir, text_of(2 << 20))
        end_input(weir)
        end_well(weir)


def test_python_gets_and_sends_a_bulk():
    data = os.urandom(BULK)
    with python_server(echo) as server, weir_client(server.port) as weir:
        weir.hear_open()
        converse(weir, data)
        end_input(weir)
        end_well(weir)


def test_asyncio_gets_and_sends_a_bulk():
    data = os.urandom(BULK)
    with AsyncioEcho() as server, weir_client(server.port) as weir:
        weir.hear_open()
        converse(weir, data)
        weir.finish()


def test_nginx_gets_and_sends_a_bulk():
    data = os.urandom(BULK)
    with serve_by_tls("good") as (place, port):
        os.chmod(place, 0o777)
        os.chmod(f"{place}/root", 0o777)
        with weir_client(port) as weir:
            weir.hear_open()
            matches(ask(weir, "PUT /bulk HTTP/1.1", data)[0].decode(),
                    r"\AHTTP/1\.1 201 ")
            end_well(weir)
        with weir_client(port) as weir:
            weir.hear_open()
            head, body = ask(weir, "GET /bulk HTTP/1.1")
            matches(head.decode(), r"\AHTTP/1\.1 200 ")
            equal(body == data, True, "what came back is what was sent")
            end_well(weir)


# ---- certificates that are refused ----

REFUSED = (("other-name", "HOSTNAME"), ("expired", "EXPIRED"),
           ("not-yet", "NOTYET"), ("self-signed", "SELFSIGNED"),
           ("wrong-issuer", "ISSUER"), ("missing-issuer", "ISSUER"),
           ("for-clients", "PURPOSE"), ("weak-rsa", "WEAK"))


def test_bad_certificates_are_refused_with_their_reason():
    for name, error in REFUSED:
        for version in VERSIONS:
            with s_server(name, openssl_version(version), "-cipher",
                          "ALL:@SECLEVEL=0") as (_, port):
                with weir_client(port) as weir:
                    weir.hear(rf"^failed WEIR_ETLS{error}: ")
                    equal(weir.finish()[0], 1, "exit status")


def test_a_name_is_verified_that_is_not_the_hosts():
    with s_server("good-wildcard") as (_, port):
        for name, report in (("www.example.org", r"^open "),
                             ("a.b.example.org", r"^failed WEIR_ETLSHOSTNAME"),
                             ("example.org", r"^failed WEIR_ETLSHOSTNAME")):
            with weir_client(port, f"name={name}") as weir:
                weir.hear(report)


# ---- certificates of clients ----

def test_weir_shows_its_certificate():
    for version in VERSIONS:
        for name in (*KEYS, "for-clients"):
            with s_server("good", openssl_version(version), "-Verify", "3",
                          "-verify_return_error", "-CAfile",
                          chain(AUTHORITY)) as (server, port):
                with weir_client(port, f"cert={chain(name)}",
                                 f"key={key(name)}") as weir:
                    weir.hear_open(version)
                    pass_on(weir, server, SMALL)
                    pass_on(server, weir, SMALL)
                    end_input(weir)
                    end_well(weir)


def hear_alert(weir, alert):
    """In TLS 1.3 the client's handshake is complete when the server refuses it."""
    line = weir.hear("^(open|failed WEIR_ETLSALERT: )")
    if line.startswith("open"):
        line = weir.hear("^end WEIR_ETLSALERT: ")
    return matches(line, alert)


def test_a_server_refuses_weir_without_a_certificate_or_with_a_wrong_one():
    for version, alert in zip(VERSIONS, ("handshake_failure|ETLSALERT",
                                         "certificate_required")):
        for settings, why in (
                ([], alert),
                ([f"cert={chain('wrong-issuer')}",
                  f"key={key('wrong-issuer')}"], "unknown_ca|ETLSALERT"),
                ([f"cert={chain('expired')}", f"key={key('expired')}"],
                 "certificate_expired|ETLSALERT")):
            with s_server("good", openssl_version(version), "-Verify", "3",
                          "-verify_return_error", "-CAfile",
                          chain(AUTHORITY)) as (_, port):
                with weir_client(port, *settings) as weir:
                    hear_alert(weir, why)


# ---- ALPN and names ----

def test_a_protocol_is_agreed_on():
    for version in VERSIONS:
        for offered, agreed in (("h2,http/1.1", "http/1.1"), ("ftp", "-")):
            with python_server(echo, version,
                               set_alpn_protocols=["http/1.1"]) as server:
                with weir_client(server.port, f"alpn={offered}") as weir:
                    weir.hear_open(version, alpn=agreed)
                    converse(weir, SMALL)
                    end_input(weir)
                    end_well(weir)


def test_openssl_refuses_a_protocol_that_it_does_not_know():
    for version in VERSIONS:
        with s_server("good", openssl_version(version), "-alpn",
                      "h2") as (_, port):
            with weir_client(port, "alpn=ftp") as weir:
                weir.hear("^failed WEIR_ETLSALERT: ")


def test_servers_see_the_name_that_is_asked_for():
    names = []

    def note(_tls, name, _context):
        names.append(name)

    for settings in ([], ["host=127.0.0.1", "name=localhost"]):
        with python_server(echo, sni_callback=note) as server:
            with weir_client(server.port, *settings) as weir:
                weir.hear_open()
                converse(weir, b"x\n")
                end_input(weir)
                end_well(weir)
    equal(names, ["localhost"] * 2, "names")


# ---- keys and groups ----

def test_openssl_changes_its_keys_and_asks_for_ours_while_data_flows():
    data = text_of(FLOW)
    with scratch() as place:
        with s_server("good", "-msg", "-msgfile", f"{place}/messages",
                      quiet=False) as (server, port):
            with weir_client(port) as weir:
                weir.hear_open()
                sender = send_behind(weir.process.stdin, data)
                got = bytearray()
                for command in [b"K\n", b"k\n"] * 5:
                    got += read_lines(server, FLOW // 11)
                    server.process.stdin.write(command)
                    server.process.stdin.flush()
                got += read_lines(server, FLOW - len(got))
                sender.join()
                equal(got == data, True, "the bytes under changing keys")
                pass_on(server, weir, SMALL)
                end_input(weir)
                end_well(weir)
        with open(f"{place}/messages", encoding="ascii") as file:
            messages = file.read()
    for sign, count in ((">>>", 10), ("<<<", 5)):
        equal(messages.count(sign + KEY_UPDATE), count, "changes of keys")


def read_lines(server, count):
    """Reads at least this many bytes of our own lines, which begin with an x; other
    output of s_server is left out."""
    data = bytearray()
    while len(data) < count:
        line = server.process.stdout.readline()
        assert line, "the end of s_server's output"
        if line.startswith(b"x") and len(line) == 64:
            data += line
    return data


def test_a_server_asks_for_another_share():
    # The first share is for X25519.
    for group, count in (("X25519", 1), ("P-256", 2), ("P-384", 2)):
        with scratch() as place:
            with s_server("good", "-groups", group, "-msg", "-msgfile",
                          f"{place}/messages") as (server, port):
                with weir_client(port) as weir:
                    weir.hear_open()
                    pass_on(weir, server, SMALL)
                    pass_on(server, weir, SMALL)
                    end_input(weir)
                    end_well(weir)
            with open(f"{place}/messages", encoding="ascii") as file:
                equal(file.read().count(", ClientHello"), count, "hellos")


def test_no_group_in_common_is_refused():
    with s_server("good", "-groups", "X448") as (_, port):
        with weir_client(port) as weir:
            weir.hear(r"^failed WEIR_ETLSALERT: ")


def test_messages_for_old_middleboxes_come_or_not():
    for flags in ((), ("-no_middlebox",)):
        with s_server("good", *flags) as (server, port):
            with weir_client(port) as weir:
                weir.hear_open()
                pass_on(weir, server, SMALL)
                pass_on(server, weir, SMALL)
                end_input(weir)
                end_well(weir)


def test_old_versions_are_refused():
    for flag in ("-tls1", "-tls1_1"):
        with s_server("good", flag, "-cipher", "ALL:@SECLEVEL=0") as (_, port):
            with weir_client(port) as weir:
                weir.hear(r"^failed WEIR_ETLS(VERSION|ALERT): ")


def test_a_version_that_is_not_accepted_is_refused():
    for setting, version in (("min=3", "1.2"), ("max=2", "1.3")):
        with s_server("good", openssl_version(version)) as (_, port):
            with weir_client(port, setting) as weir:
                weir.hear(r"^failed WEIR_ETLS(VERSION|ALERT): ")


# ---- ends ----

def test_the_rest_arrives_after_our_half_close():
    asked = []

    def answer(tls):
        asked.append(read_all(tls))
        tls.sendall(SMALL)
        tls.unwrap()

    for version in VERSIONS:
        with python_server(answer, version) as server:
            with weir_client(server.port) as weir:
                weir.hear_open(version)
                weir.process.stdin.write(b"the question")
                end_input(weir)
                equal(weir.process.stdout.read() == SMALL, True, "the rest")
                end_well(weir)
    equal(asked, [b"the question"] * 2, "what the servers read")


def test_the_close_notify_of_the_server_is_an_end():
    def answer(tls):
        tls.sendall(b"bye")
        tls.unwrap()

    for version in VERSIONS:
        with python_server(answer, version) as server:
            with weir_client(server.port) as weir:
                weir.hear_open(version)
                equal(weir.process.stdout.read(), b"bye", "the answer")
                end_well(weir)


def hear_cut(weir):
    weir.hear("^end (WEIR_ETLSTRUNCATED|ECONNRESET): ")
    equal(weir.finish()[0], 1, "exit status")


def test_a_cut_is_told_from_an_end():
    for version in VERSIONS:
        with python_server(lambda tls: tls.sendall(b"bye"), version) as server:
            with weir_client(server.port) as weir:
                weir.hear_open(version)
                equal(weir.process.stdout.read(), b"bye", "the answer")
                weir.hear("^end WEIR_ETLSTRUNCATED: ")
                equal(weir.finish()[0], 1, "exit status")


def test_a_server_that_is_killed_has_cut_the_connection():
    for version in VERSIONS:
        with s_server("good", openssl_version(version)) as (server, port):
            with weir_client(port) as weir:
                weir.hear_open(version)
                pass_on(server, weir, SMALL)
                server.kill()
                hear_cut(weir)


def test_a_server_that_ends_within_the_handshake_is_a_cut():
    with Server(lambda connection, _: connection.recv(4096)) as server:
        with weir_client(server.port) as weir:
            weir.hear("^failed WEIR_ETLSTRUNCATED: ")


def test_a_server_of_http_is_no_server_of_tls():
    with Server(lambda connection, _: connection.recv(4096) and
                connection.sendall(b"HTTP/1.0 400 Bad\r\n\r\n")) as server:
        with weir_client(server.port) as weir:
            weir.hear("^failed WEIR_ETLS(PROTOCOL|VERSION): ")


def test_bytes_that_come_one_at_a_time_are_understood():
    for version in VERSIONS:
        with s_server("good", openssl_version(version)) as (server, port):
            with crawling_to(("127.0.0.1", port)) as slow:
                with weir_client(slow.port) as weir:
                    weir.hear_open(version)
                    pass_on(weir, server, SMALL[:3000])
                    pass_on(server, weir, SMALL[:3000])
                    end_input(weir)
                    end_well(weir)


def test_a_ticket_in_several_records_is_understood():
    # The ticket contains the client's certificate, and the records of the server are
    # small.
    with s_server("good", "-tls1_3", "-max_send_frag", "512", "-verify", "1",
                  "-CAfile", chain(AUTHORITY)) as (server, port):
        with weir_client(port, f"cert={chain('good')}",
                         f"key={key('good')}") as weir:
            weir.hear_open()
            pass_on(server, weir, SMALL)
            pass_on(weir, server, SMALL)
            end_input(weir)
            end_well(weir)


# ---- resumption ----

def resume(port, first="x"):
    with weir_client(port, f"first={first}") as weir:
        weir.hear_open(resumed=0, certificate=1)
        weir.hear_open(resumed=1, certificate=0)


def test_sessions_of_every_server_are_resumed():
    with s_server("good", "-rev", quiet=False) as (_, port):
        resume(port)
    with gnutls_serv("good") as port:
        resume(port)
    with python_server(echo) as server:
        resume(server.port)
    with AsyncioEcho() as server:
        resume(server.port)
    with serve_by_tls("good", more="ssl_session_tickets on;") as (_, port):
        resume(port, "GET / HTTP/1.0")


if __name__ == "__main__":
    run(globals(), short="openssl_serves_in_both_versions_with_three_keys")
