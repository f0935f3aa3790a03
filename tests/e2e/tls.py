"""weir as the server of TLS connections, with other programs as clients.

Usage: tls.py TLS_PEER FOLDER
"""

import asyncio
import os
import re
import socket
import ssl
import subprocess

from harness import equal, matches, run
from servers import echoes, read_exactly
from tls_ends import (BULK, EXPORT, KEYS, RESUME, VERSIONS, WeirServer,
                      ask_http, chain, converse, curl, end_well, exported,
                      gnutls_cli, key, nginx, openssl_version, pass_on,
                      proxy_lines, python_client, python_context, s_client,
                      s_server, scratch, text_of)

SMALL = text_of(100_000)


# ---- every client, version and key ----

def test_openssl_is_served_in_both_versions_with_three_keys():
    for name in KEYS:
        with WeirServer("echo", name) as weir:
            for version in VERSIONS:
                with s_client(weir.port, openssl_version(version)) as client:
                    converse(client, SMALL)
                    weir.hear_open(version, name="localhost", resumed=0)
                    end_well(client, weir)


def test_gnutls_is_served_in_both_versions_with_three_keys():
    for name in KEYS:
        with WeirServer("echo", name) as weir:
            for version in VERSIONS:
                with gnutls_cli(weir.port, version=version) as client:
                    converse(client, SMALL)
                    weir.hear_open(version, name="localhost")
                    end_well(client, weir)


def test_python_is_served_in_both_versions_with_three_keys():
    for name in KEYS:
        with WeirServer("echo", name) as weir:
            for version in VERSIONS:
                with python_client(weir.port,
                                   python_context(version)) as client:
                    client.sendall(SMALL[:5000])
                    equal(read_exactly(client, 5000), SMALL[:5000], "the echo")
                    client.unwrap()
                    weir.hear_open(version, name="localhost")
                    weir.hear(r"^end ok$")


def test_curl_is_served_in_both_versions_with_three_keys():
    for name in KEYS:
        with WeirServer("http", name) as weir:
            for version in VERSIONS:
                outcome = curl(weir.port, f"--tlsv{version}", "--tls-max",
                               version, "--data", "to and fro")
                equal((outcome.status, outcome.out), (0, "to and fro"),
                      f"the answer, or {outcome.err!r}")
                weir.hear_open(version, name="localhost")
                weir.hear(r"^end ok$")


def test_nginx_is_served_in_both_versions_with_three_keys():
    for name in KEYS:
        with WeirServer("http", name) as weir:
            for version in VERSIONS:
                with nginx(proxy_lines(weir.port, version)) as (_, port):
                    equal(ask_http(port, SMALL), (200, SMALL), "the answer")
                    weir.hear_open(version, name="localhost")
                weir.hear(r"^end ")


# ---- asyncio ----

async def echo_with_asyncio(port, context, data):
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost")
    writer.write(data)
    equal(await reader.readexactly(len(data)) == data, True, "the echo")
    writer.close()
    await writer.wait_closed()


def test_forty_clients_of_asyncio_are_served_at_once():
    async def all_of_them(port):
        await asyncio.gather(*(
            echo_with_asyncio(port, python_context(VERSIONS[i % 2]), SMALL)
            for i in range(40)))

    with WeirServer("echo") as weir:
        asyncio.run(all_of_them(weir.port))
        lines = sorted(weir.hear("^(open|end)")[:10] for _ in range(80))
        equal(lines, ["end ok\n"] * 40 + ["open TLSv1"] * 40, "the reports")


# ---- bulk ----

def test_openssl_sends_and_gets_a_bulk():
    for version in VERSIONS:
        with WeirServer("echo") as weir:
            with s_client(weir.port, openssl_version(version)) as client:
                converse(client, text_of(BULK))
                weir.hear_open(version)
                end_well(client, weir)


def test_gnutls_sends_a_bulk_and_gets_one():
    # One after another: gnutls-cli does not read while it cannot write. It reads at
    # most a megabyte a second, from any server.
    data = text_of(BULK)
    for version in VERSIONS:
        with WeirServer("take", stdin=subprocess.PIPE) as weir:
            with gnutls_cli(weir.port, version=version) as client:
                weir.hear_open(version)
                pass_on(client, weir, data)
                pass_on(weir, client, data[:2 << 20])
                end_well(client, weir)


def test_curl_sends_and_gets_a_bulk():
    data = os.urandom(BULK)
    with WeirServer("http") as weir, scratch() as place:
        with open(f"{place}/sent", "wb") as file:
            file.write(data)
        outcome = curl(weir.port, "-T", f"{place}/sent", "-H", "Expect:",
                       "-o", f"{place}/got")
        equal((outcome.status, outcome.err), (0, ""), "the outcome")
        with open(f"{place}/got", "rb") as file:
            equal(file.read() == data, True, "what came back is what was sent")
        weir.hear_open()
        weir.hear(r"^end ok$")


def test_python_sends_and_gets_a_bulk():
    data = os.urandom(BULK)
    with WeirServer("echo") as weir:
        asyncio.run(echo_with_asyncio(weir.port, python_context(), data))
        weir.hear_open()
        weir.hear(r"^end ok$")


def test_nginx_sends_and_gets_a_bulk():
    data = os.urandom(BULK)
    with WeirServer("http") as weir:
        with nginx(proxy_lines(weir.port)) as (_, port):
            status, got = ask_http(port, data)
            equal((status, got == data), (200, True), "what came back")
            weir.hear_open()
        weir.hear(r"^end ")


# ---- resumption ----

def test_openssl_resumes_its_session():
    for version in VERSIONS:
        with WeirServer("echo") as weir, scratch() as place:
            with s_client(weir.port, openssl_version(version), "-sess_out",
                          f"{place}/session") as client:
                converse(client, SMALL)
                weir.hear_open(version, resumed=0)
                end_well(client, weir)
            with s_client(weir.port, openssl_version(version), "-sess_in",
                          f"{place}/session") as client:
                converse(client, SMALL)
                weir.hear_open(version, resumed=1)
                end_well(client, weir)


def test_a_session_is_resumed_under_its_name_alone():
    for version in VERSIONS:
        with WeirServer("echo") as weir, scratch() as place:
            for resumed, name, flag in ((0, "localhost", "-sess_out"),
                                        (1, "LOCALHOST", "-sess_in"),
                                        (0, "example.org", "-sess_in")):
                with s_client(weir.port, openssl_version(version), flag,
                              f"{place}/session", "-servername",
                              name) as client:
                    converse(client, SMALL)
                    weir.hear_open(version, resumed=resumed)
                    end_well(client, weir)


def test_another_process_with_the_same_keys_resumes_a_session():
    for version in VERSIONS:
        with scratch() as place:
            with open(f"{place}/keys", "wb") as file:
                file.write(os.urandom(96))
            for resumed, flag in ((0, "-sess_out"), (1, "-sess_in")):
                with WeirServer("echo", "good",
                                f"tickets={place}/keys") as weir:
                    with s_client(weir.port, openssl_version(version), flag,
                                  f"{place}/session") as client:
                        converse(client, SMALL)
                        weir.hear_open(version, resumed=resumed)
                        end_well(client, weir)


def test_another_process_with_other_keys_makes_a_whole_handshake():
    for version in VERSIONS:
        with scratch() as place:
            for flag in ("-sess_out", "-sess_in"):
                with WeirServer("echo") as weir:
                    with s_client(weir.port, openssl_version(version), flag,
                                  f"{place}/session") as client:
                        converse(client, SMALL)
                        weir.hear_open(version, resumed=0)
                        end_well(client, weir)


def test_gnutls_resumes_its_session():
    for version in VERSIONS:
        with WeirServer("echo") as weir:
            with gnutls_cli(weir.port, *RESUME, version=version) as client:
                weir.hear_open(version, resumed=0)
                converse(client, SMALL)
                weir.hear_ends_and_opens(1, 1, version, resumed=1)
                end_well(client, weir)


def test_python_resumes_its_session():
    for version in VERSIONS:
        context = python_context(version)
        session = None
        with WeirServer("echo") as weir:
            for resumed in (0, 1, 1):
                with python_client(weir.port, context,
                                   session=session) as client:
                    echoes(client)
                    session = client.session
                    equal(client.session_reused, resumed == 1, "resumed")
                    client.unwrap()
                weir.hear_open(version, resumed=resumed)
                weir.hear(r"^end ok$")


def test_without_tickets_nothing_is_resumed():
    for version in VERSIONS:
        context = python_context(version)
        session = None
        with WeirServer("echo", "good", "tickets=none") as weir:
            for _ in range(2):
                with python_client(weir.port, context,
                                   session=session) as client:
                    echoes(client)
                    session = client.session
                    client.unwrap()
                weir.hear_open(version, resumed=0)
                weir.hear(r"^end ok$")


# ---- early data ----

def save_early_session(path, *flags):
    """Saves a ticket of another server, with which early data may be sent."""
    with s_server("good", "-tls1_3", "-rev", "-max_early_data", "16384",
                  *flags) as (_, port):
        with s_client(port, "-tls1_3", "-sess_out", path) as client:
            client.process.stdin.write(b"ab\n")
            client.process.stdin.flush()
            equal(client.process.stdout.read(3), b"ba\n", "the answer")
            equal(client.finish()[0], 0, "exit status of openssl")


def send_early(weir, place, size, *flags):
    with open(f"{place}/early", "wb") as file:
        file.write(SMALL[:size])
    with s_client(weir.port, "-tls1_3", "-sess_in", f"{place}/session",
                  "-early_data", f"{place}/early", *flags) as client:
        converse(client, SMALL)
        weir.hear_open("1.3", resumed=0)
        end_well(client, weir)


def test_early_data_by_a_ticket_of_another_server_is_skipped():
    with scratch() as place, WeirServer("echo") as weir:
        for kind in ("-anti_replay", "-no_anti_replay"):
            save_early_session(f"{place}/session", kind)
            send_early(weir, place, 1)
            send_early(weir, place, 16384)
            send_early(weir, place, 5000, "-no_middlebox")
            send_early(weir, place, 16384, "-split_send_frag", "512")


def test_early_data_before_a_second_hello_is_skipped():
    # With a ticket of another hash the second hello would not show this.
    with scratch() as place, WeirServer("echo") as weir:
        save_early_session(f"{place}/session", "-ciphersuites",
                           "TLS_AES_128_GCM_SHA256")
        send_early(weir, place, 16384, "-groups", "X448:X25519")


# ---- keys of a connection's secret ----

def test_openssl_exports_the_same_keys():
    for version in VERSIONS:
        with WeirServer("echo", "good", "export=1") as weir:
            with s_client(weir.port, openssl_version(version), *EXPORT,
                          quiet=False) as client:
                keys = exported(client)
                weir.hear_open(version, export=keys)
                end_well(client, weir)


def test_keys_are_exported_of_resumed_sessions_too():
    for version in VERSIONS:
        with WeirServer("echo", "good", "export=1") as weir, \
                scratch() as place:
            told = []
            for resumed, flag in ((0, "-sess_out"), (1, "-sess_in")):
                with s_client(weir.port, openssl_version(version), *EXPORT,
                              flag, f"{place}/session", quiet=False) as client:
                    told.append(exported(client))
                    client.process.stdin.write(b"ping\n")
                    client.process.stdin.flush()
                    weir.hear_open(version, resumed=resumed, export=told[-1])
                    while client.process.stdout.readline() != b"ping\n":
                        pass
                    end_well(client, weir)
            assert told[0] != told[1], "two connections with the same keys"


# ---- ALPN and names ----

def test_the_servers_first_protocol_that_both_speak_is_agreed_on():
    with WeirServer("echo", "good", "alpn=h2,http/1.1") as weir:
        for offered, agreed in ((["h2", "http/1.1"], "h2"),
                                (["http/1.1", "h2"], "h2"),
                                (["h2x", "h", "http/1.1"], "http/1.1"),
                                (["spdy/3", "http/1.1"], "http/1.1"),
                                ([], None)):
            for version in VERSIONS:
                context = python_context(version)
                if offered:
                    context.set_alpn_protocols(offered)
                with python_client(weir.port, context) as client:
                    equal(client.selected_alpn_protocol(), agreed, "ALPN")
                    client.unwrap()
                weir.hear_open(version, alpn=agreed or "-")
                weir.hear(r"^end ok$")


def test_a_client_that_must_send_its_hello_again_agrees_on_a_protocol():
    # The client's first key share is for a group that weir does not support.
    with WeirServer("echo", "good", "alpn=h2,http/1.1") as weir:
        with s_client(weir.port, "-tls1_3", "-groups", "ffdhe2048:P-256",
                      "-alpn", "http/1.1,h2") as client:
            converse(client, SMALL)
            weir.hear_open(alpn="h2")
            end_well(client, weir)


def test_curl_and_gnutls_agree_on_a_protocol():
    with WeirServer("http", "good", "alpn=h2,http/1.1") as weir:
        equal(curl(weir.port, "--http1.1").status, 0, "curl's exit status")
        weir.hear_open(alpn="http/1.1")
        weir.hear(r"^end ok$")
    with WeirServer("echo", "good", "alpn=a,b") as weir:
        with gnutls_cli(weir.port, "--alpn=b") as client:
            converse(client, SMALL)
            weir.hear_open(alpn="b")
            end_well(client, weir)


def fail(context, port, pattern, **options):
    """Python cannot connect, or its first read fails."""
    try:
        with python_client(port, context, **options) as client:
            client.recv(1)
    except (ssl.SSLError, ConnectionError) as error:
        matches(str(error), pattern, "Python's error")
    else:
        raise AssertionError("the connection stands")


def test_no_protocol_in_common_is_refused():
    with WeirServer("echo", "good", "alpn=h2") as weir:
        for version in VERSIONS:
            context = python_context(version)
            context.set_alpn_protocols(["ftp"])
            fail(context, weir.port, "(?i)no.application.protocol")
            weir.hear(r"^failed WEIR_ETLSALPN: ")


NAMES = ("good", "good-wildcard", "other-name")


def test_the_name_that_is_asked_for_chooses_the_certificate():
    ids = [f"id={chain(name)}:{key(name)}" for name in NAMES[1:]]
    with WeirServer("echo", NAMES[0], *ids) as weir:
        for name, asked in ((NAMES[0], "localhost"),
                            (NAMES[1], "www.example.org"),
                            (NAMES[2], "example.org")):
            for version in VERSIONS:
                with s_client(weir.port, openssl_version(version),
                              name=asked) as client:
                    converse(client, SMALL)
                    weir.hear_open(version, name=asked)
                    end_well(client, weir)
                with gnutls_cli(weir.port, f"--sni-hostname={asked}",
                                f"--verify-hostname={asked}",
                                version=version) as client:
                    converse(client, SMALL)
                    weir.hear_open(version, name=asked)
                    end_well(client, weir)
            equal(shown_certificate(weir, asked), leaf(name), "the certificate")


def shown_certificate(weir, name):
    """Returns the first certificate that a client gets which requests a name."""
    context = python_context()
    with socket.create_connection(weir.address) as sock:
        with context.wrap_socket(sock, server_hostname=name) as client:
            der = client.getpeercert(True)
            client.unwrap()
    weir.hear_open(name=name)
    weir.hear(r"^end ok$")
    return der


def leaf(name):
    with open(chain(name), encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


def test_a_name_without_a_certificate_is_refused_where_it_is_asked_for():
    with WeirServer("echo", "good", "strict=1") as weir:
        context = python_context()
        with socket.create_connection(weir.address) as sock:
            try:
                context.wrap_socket(sock, server_hostname="nowhere.test")
            except ssl.SSLError as error:
                matches(str(error), "(?i)unrecognized.name")
            else:
                raise AssertionError("the connection stands")
        weir.hear(r"^failed WEIR_ETLSNONAME: ")


# ---- versions and groups ----

def test_a_version_that_is_not_accepted_is_refused():
    # A client that requires 1.3 offers no suite that a 1.2 server knows, which is
    # wolfSSL's reason; OpenSSL's is the version.
    for setting, version, alert, error in (
            ("min=3", "1.2", "protocol.version", "WEIR_ETLSVERSION"),
            ("max=2", "1.3", "handshake.failure|protocol.version",
             "WEIR_ETLS(CIPHER|VERSION)")):
        with WeirServer("echo", "good", setting) as weir:
            fail(python_context(version), weir.port, f"(?i){alert}")
            weir.hear(rf"^failed {error}: ")
            with s_client(weir.port, openssl_version(version)) as client:
                equal(client.finish()[0], 1, "exit status of openssl")
            weir.hear(rf"^failed {error}: ")


def test_openssl_that_falls_back_to_a_lower_version_is_refused():
    for best, accepted in ((3, False), (2, True)):
        with WeirServer("echo", "good", f"max={best}") as weir:
            with s_client(weir.port, "-tls1_2", "-fallback_scsv") as client:
                if accepted:
                    converse(client, SMALL[:100])
                    weir.hear_open("1.2", name="localhost")
                    end_well(client, weir)
                else:
                    matches(client.finish()[2], r"alert inappropriate fallback",
                            "what openssl says")
                    weir.hear(r"^failed WEIR_ETLSPROTOCOL: The client fell")


def test_old_versions_are_refused():
    with WeirServer("echo") as weir:
        for flag in ("-tls1", "-tls1_1"):
            with s_client(weir.port, flag, "-cipher",
                          "ALL:@SECLEVEL=0") as client:
                equal(client.finish()[0], 1, "exit status of openssl")
            weir.hear(r"^failed WEIR_ETLSVERSION: ")


def test_a_client_with_one_group_is_served():
    # In TLS 1.2 the group of the certificate's key would have to be offered.
    with WeirServer("echo", "good-rsa") as weir:
        for group in ("X25519", "P-256", "P-384"):
            for version in VERSIONS:
                with s_client(weir.port, openssl_version(version), "-groups",
                              group) as client:
                    converse(client, SMALL)
                    weir.hear_open(version)
                    end_well(client, weir)


def test_a_client_whose_first_share_is_not_known_is_asked_again():
    for groups in ("X448:X25519", "X448:P-256", "X448:P-384"):
        with WeirServer("echo") as weir, scratch() as place:
            with s_client(weir.port, "-tls1_3", "-groups", groups, "-msg",
                          "-msgfile", f"{place}/messages") as client:
                converse(client, SMALL)
                weir.hear_open()
                end_well(client, weir)
            with open(f"{place}/messages", encoding="ascii") as file:
                equal(file.read().count(", ClientHello"), 2, "hellos")


def test_no_group_in_common_is_refused():
    with WeirServer("echo") as weir:
        with s_client(weir.port, "-tls1_3", "-groups", "X448") as client:
            equal(client.finish()[0], 1, "exit status of openssl")
        weir.hear(r"^failed WEIR_ETLSGROUP: ")


def test_messages_for_old_middleboxes_come_or_not():
    for version, flags, of_client, of_server in (
            ("1.3", (), 1, 1), ("1.3", ("-no_middlebox",), 0, 0),
            ("1.3", ("-groups", "X448:P-256"), 1, 1), ("1.2", (), 1, 1)):
        with WeirServer("echo") as weir, scratch() as place:
            with s_client(weir.port, openssl_version(version), "-msg",
                          "-msgfile", f"{place}/messages", *flags) as client:
                converse(client, SMALL)
                weir.hear_open(version)
                end_well(client, weir)
            with open(f"{place}/messages", encoding="ascii") as file:
                text = file.read()
            for sign, count in ((">>>", of_client), ("<<<", of_server)):
                # Of ignored messages OpenSSL prints only the header.
                found = re.findall(rf"{sign} TLS 1.2, RecordHeader .*\n"
                                   r" +14 03 03 00 01", text)
                equal(len(found), count, f"{sign} by {version} {flags}")


if __name__ == "__main__":
    run(globals(), short="openssl_is_served_in_both_versions_with_three_keys")
