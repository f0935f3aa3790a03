"""PROXY headers that weir-proxy reads and writes, and which clients may send them. Names
in those of version 2: weir-proxy sends its clients' server name, protocol and
certificate name to a server that reads all of it and to HAProxy; and reads them, from
HAProxy and from a peer that writes anything."""

import contextlib
import os
import pathlib
import socket
import struct
import tempfile

from harness import Program, command, equal, run
from proxy_certificates import (certificates, client_context, make_certificate,
                                secure)
from proxy_wait import wait_until
from proxying import SIGNATURE, Proxy, expect_reset, target, v2
from servers import Server, echo, echoes, free_port, read_exactly
from tls_ends import need as find_program
from tls_ends import wait_for_port

V1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n"
V2 = v2(1, ("192.0.2.1", 1111), ("192.0.2.2", 2222), b"\x04\x00\x02ab")

ALPN, AUTHORITY, SSL, VERSION, CN, CIPHER = 1, 2, 0x20, 0x21, 0x22, 0x23
LOGGED = ("--log-format", "{route} {server_name} {client_cn} {client}")
HAPROXY = """
global
    maxconn 100
defaults
    mode {mode}
    timeout connect 10s
    timeout client 60s
    timeout server 60s
"""


# ---- headers ----

def test_headers_name_the_client_and_are_taken_away():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--accept-proxy", "any") as proxy:
        for header in (V1, V2):
            for size in (len(header), 1):
                with proxy.connect() as client:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for at in range(0, len(header), size):
                        client.sendall(header[at:at + size])
                    echoes(client, b"hello")
        proxy.stop()
        equal([(line["client"], line["in_bytes"]) for line in proxy.lines()],
              [("192.0.2.1:1111", "5")] * 4, "the log")


def test_a_local_header_leaves_the_addresses_of_the_socket():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--accept-proxy", "v2") as proxy:
        with proxy.connect() as client:
            client.sendall(v2(0) + b"hello")
            equal(read_exactly(client, 5), b"hello", "the echo")
            host, port = client.getsockname()
        proxy.stop()
        equal([line["client"] for line in proxy.lines()], [f"{host}:{port}"],
              "the log")


def test_what_is_no_header_is_refused():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--accept-proxy", "v1") as proxy:
        for data in (b"GET / HTTP/1.1\r\n\r\n", V2,
                     b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
                     b"PROXY " + b"x" * 200):
            expect_reset(proxy, data)
        proxy.stop_by(["header"] * 4)


def test_a_header_of_datagrams_is_refused_and_one_of_streams_is_not():
    addresses = bytes(2 * 108)
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--accept-proxy", "v2") as proxy:
        for family in range(4):
            for transport in range(3):
                data = V2[:12] + bytes((0x21, family << 4 | transport,
                                        0, len(addresses))) + addresses
                if transport == 2:
                    expect_reset(proxy, data)
                else:
                    with proxy.connect() as client:
                        client.sendall(data)
                        echoes(client)
        with proxy.connect() as client:  # LOCAL: a check of another proxy
            client.sendall(V2[:12] + bytes((0x20, 0x12, 0, 0)))
            echoes(client)
        proxy.stop()
        equal(sorted(proxy.reasons()), ["done"] * 9 + ["header"] * 4,
              "the log")


def test_a_header_that_does_not_come_is_waited_for_in_vain():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--accept-proxy", "v1",
            "--hello-timeout", "50ms") as proxy:
        expect_reset(proxy, b"PROXY TCP4 ")
        proxy.stop_by(["header"])


def test_a_header_of_a_stranger_is_not_believed():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--accept-proxy", "any",
            "--trust", "10.0.0.0/8") as proxy:
        expect_reset(proxy, V1)
        proxy.stop_by(["untrusted"])


class Heading(Server):
    """A server that keeps everything it receives."""

    def __init__(self):
        self.heads = []
        super().__init__(self.keep)

    def keep(self, connection, _number):
        data = b""
        while part := connection.recv(4096):
            data += part
        self.heads.append(data)


def test_a_header_is_sent_with_the_first_bytes():
    with Heading() as server:
        for version in ("v1", "v2"):
            with Proxy("tcp://127.0.0.1:0", target(server), "--send-proxy",
                       version) as proxy, proxy.connect() as client:
                host, port = client.getsockname()
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                equal(client.recv(1), b"", "the end of stream")
                if version == "v1":
                    wanted = (f"PROXY TCP4 {host} 127.0.0.1 {port} "
                              f"{proxy.port}\r\n").encode()
                else:
                    wanted = v2(1, (host, port), ("127.0.0.1", proxy.port))
                equal(server.heads[-1], wanted + b"hello", "what has come")


# ---- names in headers ----

def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def read_tlvs(data):
    """Returns the values by type."""
    found = {}
    while data:
        kind, size = struct.unpack("!BH", data[:3])
        found[kind] = data[3:3 + size]
        data = data[3 + size:]
    return found


class Reading(Server):
    """Keeps the TLVs of each header, and is an echo then."""

    def __init__(self):
        self.told = []
        super().__init__(self.read)

    def read(self, connection, number):
        head = read_exactly(connection, 16)
        equal(head[:12], SIGNATURE, "the signature")
        body = read_exactly(connection, struct.unpack("!H", head[14:])[0])
        self.told.append(read_tlvs(body[12:]))
        echo(connection, number)


def logged(proxy):
    """Returns the fields of LOGGED, line by line, once it has ended."""
    proxy.stop()
    return pathlib.Path(proxy.log_path).read_text("utf-8").splitlines()


def over(proxy):
    """All connections have ended, so the order of log lines is known."""
    wait_until(lambda: proxy.metric("connections_active") == 0)


def with_certificate():
    context = client_context()
    context.load_cert_chain(certificates()["client"])
    context.set_alpn_protocols(["x", "h2"])
    return context


WORDS = ("--send-proxy", "v2", "--send-proxy-tlv", "authority,alpn,ssl")


def test_a_target_learns_name_protocol_and_certificate():
    flags = ("--cert", certificates()["proxy"], "--alpn", "h2", "--client-ca",
             certificates()["ca"])
    # With and without a hello that is read before TLS is terminated.
    for more in ((), ("--client-conns", "9")):
        with Reading() as server, Proxy("tls://127.0.0.1:0", target(server),
                                        *flags, *WORDS, *more,
                                        *LOGGED) as proxy:
            with secure(proxy, context=with_certificate()) as client:
                echoes(client)
            over(proxy)
            with secure(proxy) as client:
                echoes(client)
            first, second = server.told
            equal((first[AUTHORITY], first[ALPN]), (b"proxy.test", b"h2"),
                  "name and protocol")
            equal(struct.unpack("!BI", first[SSL][:5]), (7, 0), "bits, verify")
            equal(read_tlvs(first[SSL][5:]),
                  {VERSION: b"TLSv1.3", CN: b"client.test",
                   CIPHER: b"TLS_AES_128_GCM_SHA256"}, "TLS")
            equal(struct.unpack("!BI", second[SSL][:5]), (1, 1),
                  "bits and verify without a certificate")
            equal(CN in read_tlvs(second[SSL][5:]), False, "a name")
            equal([line.split()[1:3] for line in logged(proxy)],
                  [["proxy.test", "client.test"], ["proxy.test", "-"]],
                  "the log")


def test_a_name_of_a_header_is_none_of_tls_that_is_opened_here():
    """The peer that sends the header is trusted, but only for a client without TLS; a
    target would take the name for one that was verified here."""
    unnamed = client_context()
    unnamed.load_cert_chain(make_certificate("unnamed", "unnamed.test", "ca",
                                             subject="/O=weir"))
    header = v2(1, ("192.0.2.1", 1111), ("192.0.2.2", 2222),
                tlv(SSL, struct.pack("!BI", 7, 0) + tlv(CN, b"boss")))
    with Reading() as server, Proxy(
            "tls://127.0.0.1:0", target(server), "--cert",
            certificates()["proxy"], "--client-ca", certificates()["ca"],
            "--accept-proxy", "v2", *WORDS, *LOGGED) as proxy:
        for context, told in ((unnamed, (7, 0)), (client_context(), (1, 1))):
            with proxy.connect() as plain:
                plain.sendall(header)
                with context.wrap_socket(
                        plain, server_hostname="proxy.test") as client:
                    echoes(client)
            over(proxy)
            equal(struct.unpack("!BI", server.told[-1][SSL][:5]), told,
                  "bits and verify")
            equal(read_tlvs(server.told[-1][SSL][5:]).get(CN), None, "a name")
        equal([line.split()[2] for line in logged(proxy)], ["-", "-"],
              "the log")


def test_a_name_is_told_whole_or_not_at_all():
    """A certificate has up to 64 characters of one or more bytes, and a header whatever
    a peer writes."""
    name = "\N{LATIN SMALL LETTER E WITH ACUTE}" * 40
    context = client_context()
    context.load_cert_chain(make_certificate("long", "long.test", "ca",
                                             subject=f"/CN={name}"))
    with Reading() as server, Proxy(
            "tls://127.0.0.1:0", target(server), "--cert",
            certificates()["proxy"], "--client-ca", certificates()["ca"],
            *WORDS, *LOGGED) as proxy:
        with secure(proxy, context=context) as client:
            echoes(client)
        equal(read_tlvs(server.told[0][SSL][5:])[CN], name.encode(), "a name")
        equal([line.split()[2] for line in logged(proxy)], ["?" * 80],
              "the log")
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--accept-proxy", "v2",
                                       *LOGGED) as proxy:
        for told in (b"a" * 65, b"admin\0evil", b"a" * 257):
            with proxy.connect() as client:
                client.sendall(v2(1, ("192.0.2.1", 1), ("192.0.2.2", 2),
                                  tlv(SSL, struct.pack("!BI", 7, 0)
                                      + tlv(CN, told))))
                echoes(client)
            over(proxy)
        equal([line.split()[2] for line in logged(proxy)],
              ["a" * 65, "-", "-"], "the log")


def test_only_what_is_asked_for_is_said_and_what_is_known():
    with Reading() as server, Proxy(
            "tls://127.0.0.1:0", target(server), "--cert",
            certificates()["proxy"], "--send-proxy", "v2", "--send-proxy-tlv",
            "authority") as proxy:
        with secure(proxy) as client:
            echoes(client)
        equal(server.told, [{AUTHORITY: b"proxy.test"}], "TLVs")
    with Reading() as server, Proxy("any://127.0.0.1:0", target(server), "--cert",
                                    certificates()["proxy"], *WORDS) as proxy:
        with proxy.connect() as client:
            echoes(client)
        equal(server.told, [{}], "of a client without TLS")


def test_what_a_header_said_passes_through():
    ssl = tlv(SSL, struct.pack("!BI", 7, 0) + tlv(CN, b"app"))
    told = tlv(ALPN, b"h2") + tlv(AUTHORITY, b"a.test") + ssl
    header = v2(1, ("192.0.2.1", 1111), ("192.0.2.2", 2222),
                told + tlv(4, b"padding"))
    with Reading() as server, Proxy("tcp://127.0.0.1:0", target(server),
                                    "--accept-proxy", "v2", *WORDS,
                                    *LOGGED) as proxy:
        for in_pieces in (False, True):
            with proxy.connect() as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for piece in ([bytes([byte]) for byte in header] if in_pieces
                              else [header]):
                    client.sendall(piece)
                echoes(client)
        equal(server.told, [read_tlvs(told)] * 2, "TLVs")
        equal(logged(proxy), ["* a.test app 192.0.2.1:1111"] * 2, "the log")


def test_names_and_protocols_of_a_header_choose_the_route():
    def header(*tlvs, command=1):
        return v2(command, ("192.0.2.1", 1), ("192.0.2.2", 2), b"".join(tlvs))

    with Server(echo) as one, Server(echo) as two, Server(echo) as three, \
            Server(echo) as rest, Proxy(
                "--listen", "tcp://127.0.0.1:0", "--accept-proxy", "any",
                *LOGGED, "--route", "a.test", "--to", target(one), "--route",
                "*.b.test", "--to", target(two), "--route", "*",
                "--route-alpn", "h2", "--to", target(three), "--route", "*",
                "--to", target(rest)) as proxy:
        cases = ((header(tlv(AUTHORITY, b"A.test")), "a.test A.test"),
                 (header(tlv(AUTHORITY, b"x.b.test")), "*.b.test x.b.test"),
                 (header(tlv(AUTHORITY, b"c"), tlv(ALPN, b"h2")), "*/h2 c"),
                 (header(tlv(ALPN, b"x")), "* -"),
                 (header(tlv(AUTHORITY, b"a.test"), command=0), "* -"),
                 (header(tlv(AUTHORITY, b"a.test\0")), "* -"),
                 (header(tlv(AUTHORITY, b"a" * 300)), "* -"),
                 (header(tlv(AUTHORITY, b"a b\n\"")), '* a?b??'),
                 (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "* -"))
        for data, _ in cases:
            with proxy.connect() as client:
                client.sendall(data)
                echoes(client)
            over(proxy)
        equal([" ".join(line.split()[:2]) for line in logged(proxy)],
              [words for _, words in cases], "route and name")


def test_names_that_were_not_verified_are_not_told():
    for value in (struct.pack("!BI", 1, 1) + tlv(CN, b"app"),
                  struct.pack("!BI", 7, 0)):
        with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                           "--accept-proxy", "v2",
                                           *LOGGED) as proxy:
            with proxy.connect() as client:
                client.sendall(v2(1, ("192.0.2.1", 1), ("192.0.2.2", 2),
                                  tlv(SSL, value)))
                echoes(client)
            equal(logged(proxy), ["* - - 192.0.2.1:1"], "the log")


# ---- HAProxy ----

@contextlib.contextmanager
def haproxy(mode, lines):
    """HAProxy with these lines, in which {} is its port."""
    program = find_program("haproxy")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="weir-haproxy-") as place:
        path = os.path.join(place, "config")
        pathlib.Path(path).write_text(
            HAPROXY.format(mode=mode) + lines.replace("PORT", str(port)),
            "ascii")
        with Program(program, "-db", "-f", path) as server:
            wait_for_port(port, server)
            yield port
            server.process.terminate()


def test_haproxy_reads_the_name_of_the_server():
    lines = """
frontend f
    bind 127.0.0.1:PORT accept-proxy
    http-request return content-type text/plain lf-string "%[fc_pp_authority]"
"""
    find_program("curl")
    with haproxy("http", lines) as port, Proxy(
            "tls://127.0.0.1:0", f"tcp://127.0.0.1:{port}", "--cert",
            certificates()["proxy"], *WORDS) as proxy:
        outcome = command("curl", "-sS", "--noproxy", "*", "--cacert",
                          certificates()["ca"], "--resolve",
                          f"proxy.test:{proxy.port}:127.0.0.1",
                          f"https://proxy.test:{proxy.port}/")
        equal((outcome.status, outcome.out), (0, "proxy.test"), outcome.err)


def test_names_that_haproxy_sends_choose_the_route_and_are_logged():
    files = certificates()
    with Server(echo) as named, Server(echo) as rest, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--accept-proxy", "v2", *LOGGED,
            "--route", "proxy.test", "--to", target(named), "--route", "*",
            "--to", target(rest)) as proxy:
        lines = f"""
listen l
    bind 127.0.0.1:PORT ssl crt {files['proxy']} ca-file {files['ca']} verify optional
    server s 127.0.0.1:{proxy.port} send-proxy-v2-ssl-cn proxy-v2-options authority,crc32c
"""
        with haproxy("tcp", lines) as port:
            for context, name in ((with_certificate(), "proxy.test"),
                                  (client_context(check_hostname=False),
                                   "other.test")):
                with socket.create_connection(("127.0.0.1", port)) as plain, \
                        context.wrap_socket(plain,
                                            server_hostname=name) as client:
                    echoes(client)
                over(proxy)
        equal([line.split()[:3] for line in logged(proxy)],
              [["proxy.test", "proxy.test", "client.test"],
               ["*", "other.test", "-"]], "the log")
        equal((named.accepted, rest.accepted), (1, 1), "connections")


run(globals())
