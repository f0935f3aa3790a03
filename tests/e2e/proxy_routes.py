"""Routes of weir-proxy by a client's start: TLS or not, first bytes, application
protocols, silence; byte by byte, cut off, late; and ssh, TLS, HTTP and SMTP on one
port, with other programs."""

import contextlib
import os
import pathlib
import smtplib
import socket
import subprocess
import tempfile

from harness import Program, command, equal, matches, need, run
from proxy_certificates import Secured, certificates, client_context, secure
from proxy_wait import wait_until
from proxying import Proxy, expect_reset, read_again, target
from servers import Server, free_port, reset
from tls_ends import need as find_program
from tls_ends import nginx, wait_for_port

ANY = "any://127.0.0.1:0"
LATE = ("--hello-timeout", "500ms")
# For silent clients, and for clients that send something.
SOON = ("--silent-after", "50ms")
NEVER = ("--silent-after", "1h", "--hello-timeout", "2h")
LOGGED = ("--log-format", "{route} {reason} {tls} {client}")


class Named(Server):
    """Sends its name, then keeps everything until the end, and sends it back."""

    def __init__(self, name):
        self.name = name
        self.came = []
        super().__init__(self.answer)

    def answer(self, connection, _number):
        connection.sendall(self.name.encode() + b":")
        data = b""
        while part := connection.recv(65536):
            data += part
        self.came.append(data)
        connection.sendall(data)


@contextlib.contextmanager
def routed(listen, *routes, flags=()):
    """A proxy with a separate target for each route; a route is the directives that
    select its clients."""
    with contextlib.ExitStack() as stack:
        words = []
        for number, route in enumerate(routes):
            server = stack.enter_context(Named(str(number)))
            words += ["--route", *route, "--to", target(server)]
        yield stack.enter_context(Proxy("--listen", listen, *LOGGED, *flags,
                                        *words))


def over(proxy):
    """All connections have ended, so the order of log lines is known."""
    wait_until(lambda: proxy.metric("connections_active") == 0)


def logged(proxy, *fields):
    """Returns these fields of its log lines, once it has ended."""
    proxy.stop()
    with open(proxy.log_path, encoding="utf-8") as file:
        lines = [dict(zip(("route", "reason", "tls", "client"), line.split()))
                 for line in file]
    return [line[fields[0]] if len(fields) == 1 else
            tuple(line[field] for field in fields) for line in lines]


def read_all(sock):
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


def sent(sock, data, *, in_pieces=False):
    """Returns the response to these bytes, followed by an end of stream."""
    for piece in ([data[i:i + 1] for i in range(len(data))] if in_pieces
                  else [data]):
        sock.sendall(piece)
    sock.shutdown(socket.SHUT_WR)
    return read_all(sock)


def gets(proxy, data, number, *, in_pieces=False):
    """A client without TLS reaches this route, with all of its bytes."""
    with proxy.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        equal(sent(client, data, in_pieces=in_pieces),
              b"%d:" % number + data, f"what {data!r} gets")
    over(proxy)


def begins_with(proxy, number, data=b""):
    """The target of this route sends, while the client sends nothing more."""
    with proxy.connect() as client:
        client.sendall(data)
        equal(client.recv(100), b"%d:" % number, f"what {data!r} gets")
        client.shutdown(socket.SHUT_WR)
        equal(read_all(client), data, "the bytes that were kept")
    over(proxy)


SSH = ("*", "--route-begin", "SSH-")
HTTP = ("*", "--route-begin", "GET ", "--route-begin", "POST ")
REST = ("*",)
SILENT = ("*", "--route-as", "silent")
TLS = ("*", "--route-as", "tls", "--passthrough")
PLAIN = ("*", "--route-as", "plain")


# ---- first bytes ----

def test_the_first_bytes_choose_a_route_and_all_bytes_get_there():
    for listen in ("tcp://127.0.0.1:0", ANY):
        more = (TLS,) if listen == ANY else ()
        with routed(listen, SSH, HTTP, REST, *more) as proxy:
            for in_pieces in (False, True):
                for data, number in ((b"SSH-2.0-x\r\n", 0), (b"GET / x", 1),
                                     (b"POST /", 1), (b"GEX", 2), (b"S", 2),
                                     (b"\0\xff", 2), (b"\x16", 2),
                                     (b"\x16\x03\x01\x02", 2),
                                     (b"SSH-" + bytes(200_000), 0)):
                    if len(data) < 1000 or not in_pieces:
                        gets(proxy, data, number, in_pieces=in_pieces)
            equal(set(logged(proxy, "route")),
                  {"*/plain/SSH-", "*/plain/GET%20+POST%20", "*"},
                  "the routes in the log")


def test_who_is_late_gets_the_route_that_asks_for_no_more():
    with routed(ANY, SSH, REST, TLS, flags=LATE) as proxy:
        for data in (b"", b"SSH", b"\x16\x03"):
            begins_with(proxy, 1, data)


def test_without_a_route_for_it_a_client_is_reset():
    with routed("tcp://127.0.0.1:0", SSH, HTTP, flags=LATE) as proxy:
        expect_reset(proxy, b"PUT")
        expect_reset(proxy, b"SS")
        expect_reset(proxy)
        equal(logged(proxy, "route", "reason"), [("-", "no-route")] * 3,
              "the log")


def test_who_resets_before_its_route_leaves_nothing():
    with routed(ANY, SSH, REST, TLS) as proxy:
        for data in (b"SS", b"\x16\x03\x01", b"\x16\x03\x01\x01\0\x01\0"):
            with proxy.connect() as client:
                client.sendall(data)
                wait_until(
                    lambda: proxy.metric("connections_active") == 1)
                reset(client)
            wait_until(lambda: proxy.metric("connections_active") == 0)
        equal(proxy.metric("buffer_bytes"), 0, "bytes")
        equal(logged(proxy, "reason"), ["client-gone"] * 3, "the log")


def test_half_a_record_of_tls_is_no_hello():
    with routed(ANY, REST, TLS, flags=LATE) as proxy:
        expect_reset(proxy, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03")
        equal(logged(proxy, "reason"), ["hello"], "the log")
    with routed(ANY, REST, TLS) as proxy:
        with proxy.connect() as client:
            client.sendall(b"\x16\x03\x01\x02\0\x01\0")
            client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                equal(client.recv(1), b"", "what comes")
        equal(logged(proxy, "reason"), ["client-gone"], "the log")


# ---- who speaks first ----

def test_a_silent_client_gets_the_server_that_speaks_first():
    with routed(ANY, SILENT, SSH, REST, TLS, flags=SOON) as proxy:
        begins_with(proxy, 0)
        equal(logged(proxy, "route"), ["*/silent"], "routes")
    with routed(ANY, SILENT, SSH, REST, TLS, flags=NEVER) as proxy:
        begins_with(proxy, 1, b"SSH-")
        gets(proxy, b"x", 2)
        equal(logged(proxy, "route"), ["*/plain/SSH-", "*"], "routes")


def test_nothing_is_waited_for_where_one_route_is_possible():
    """The time limit is so long that a wait would end the test."""
    other = ("--listen", ANY, "--cert", certificates()["proxy"])
    for listen, route, flags in (("tcp://127.0.0.1:0", REST, other),
                                 (ANY, ("*", "--passthrough"), ())):
        with routed(listen, route, flags=("--hello-timeout", "1h", *flags)) as proxy:
            begins_with(proxy, 0)


def test_a_header_comes_before_all_of_it():
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n"
    for limit, begins in ((SOON, ((b"", 1),)), (NEVER, ((b"SSH-", 0),
                                                         (b"x", 2)))):
        with routed(ANY, SSH, SILENT, REST, TLS,
                    flags=("--accept-proxy", "any", *limit)) as proxy:
            for rest, number in begins:
                with proxy.connect() as client:
                    for byte in header + rest:
                        client.sendall(bytes((byte,)))
                    equal(client.recv(9), b"%d:" % number, "the server")
            equal(set(logged(proxy, "client")), {"192.0.2.1:1111"}, "clients")


# ---- TLS ----

def opened(proxy, data=b"", alpn=(), name="proxy.test"):
    """Returns the response to a TLS client, whose TLS the proxy terminates."""
    context = client_context()
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with secure(proxy, name, context) as client:
        client.sendall(data)
        got = client.recv(100)
    over(proxy)
    return got


def test_tls_is_opened_beside_plain_clients():
    cert = ("--cert", certificates()["proxy"])
    with routed(ANY, SSH, PLAIN, REST, flags=cert) as proxy:
        gets(proxy, b"SSH-", 0)
        gets(proxy, b"x", 1, in_pieces=True)
        equal(opened(proxy, b"x"), b"2:", "a client of TLS")
        equal(logged(proxy, "route", "tls"),
              [("*/plain/SSH-", "-"), ("*/plain", "-"), ("*", "TLSv1.3")],
              "the log")


def test_clients_of_tls_show_certificates_beside_plain_ones():
    files = certificates()
    flags = ("--cert", files["proxy"], "--client-ca", files["ca"],
             "--require-client-cert")
    with routed(ANY, PLAIN, ("*", "--route-as", "tls"), flags=flags) as proxy:
        gets(proxy, b"x", 0)
        context = client_context()
        context.load_cert_chain(files["client"])
        with secure(proxy, context=context) as client:
            equal(client.recv(100), b"1:", "with a certificate")
        over(proxy)
        with contextlib.suppress(OSError):
            equal(opened(proxy), b"", "without one")
        equal(logged(proxy, "route", "reason")[::2],
              [("*/plain", "done"), ("-", "handshake")], "the log")


def test_the_protocol_that_was_agreed_chooses_and_then_what_is_inside():
    flags = ("--cert", certificates()["proxy"], "--alpn", "h2,x-turn")
    routes = (("*", "--route-alpn", "h2"), ("*", "--route-begin", "Q"),
              SILENT, REST)
    with routed("tls://127.0.0.1:0", *routes, flags=flags + NEVER) as proxy:
        equal(opened(proxy, alpn=["x-turn", "h2"]), b"0:", "h2")
        equal(opened(proxy, b"Q", alpn=["x-turn"]), b"1:", "a begin")
        equal(opened(proxy, b"R", alpn=["x-turn"]), b"3:", "another begin")
    with routed("tls://127.0.0.1:0", *routes, flags=flags + SOON) as proxy:
        equal(opened(proxy), b"2:", "silence")


def test_protocols_of_the_hello_choose_what_passes_unopened():
    """One protocol of the list is enough, and a name is more specific."""
    routes = (("*", "--route-alpn", "h2,http/1.1"), ("a.test",), REST)
    with Secured(lambda sock, _: sock.sendall(b"h2"), "proxy") as web, \
            Secured(lambda sock, _: sock.sendall(b"a"), "a") as named, \
            Secured(lambda sock, _: sock.sendall(b"turn"), "proxy") as turn:
        words = ["--passthrough"]
        for route, server in zip(routes, (web, named, turn)):
            words += ["--route", *route, "--to", target(server)]
        with Proxy("--listen", ANY, *LOGGED, *words) as proxy:
            equal(opened(proxy, alpn=["x", "http/1.1"]), b"h2", "the web")
            equal(opened(proxy, alpn=["x"]), b"turn", "another protocol")
            equal(opened(proxy), b"turn", "no protocol")
            equal(opened(proxy, alpn=["h2"], name="a.test"), b"a", "a name")
            equal(logged(proxy, "route"),
                  ["*/h2+http/1.1", "*", "*", "a.test"], "routes")


# ---- the programs of others on one port ----

@contextlib.contextmanager
def sshd():
    """Starts sshd for the user that runs this, with a key. Yields its folder and
    port."""
    program = find_program("sshd")
    need("ssh")
    need("ssh-keygen")
    with tempfile.TemporaryDirectory(prefix="weir-sshd-") as place:
        os.makedirs("/run/sshd", exist_ok=True)
        for name in ("host", "key"):
            outcome = command("ssh-keygen", "-q", "-t", "ed25519", "-N", "",
                              "-f", f"{place}/{name}")
            equal(outcome.status, 0, f"ssh-keygen: {outcome.err!r}")
        port = free_port()
        pathlib.Path(place, "config").write_text(
            f"ListenAddress 127.0.0.1:{port}\nHostKey {place}/host\n"
            f"AuthorizedKeysFile {place}/key.pub\nStrictModes no\nUsePAM no\n"
            f"PidFile {place}/pid\nPermitRootLogin yes\n", "ascii")
        with Program(program, "-D", "-e", "-f", f"{place}/config",
                     stderr=subprocess.DEVNULL) as server:
            wait_for_port(port, server)
            yield place, port
            server.process.terminate()


def ssh(place, port, words):
    return command("ssh", "-F", "none", "-i", f"{place}/key", "-p", str(port),
                   "-o", "StrictHostKeyChecking=no", "-o",
                   f"UserKnownHostsFile={place}/known", "-o", "LogLevel=ERROR",
                   "-o", "BatchMode=yes", "127.0.0.1", words)


def speak_smtp(connection, _number):
    connection.sendall(b"220 mail.test ESMTP\r\n")
    connection.recv(100)
    connection.sendall(b"250 mail.test\r\n")
    connection.recv(100)
    connection.sendall(b"221 bye\r\n")


def talk_to_all(proxy, place, scheme_flags):
    outcome = ssh(place, proxy.port, "echo $((6 * 7))")
    equal((outcome.status, outcome.out), (0, "42\n"), outcome.err)
    url = f"proxy.test:{proxy.port}/file"
    at = ("--noproxy", "*", "-sS", "--resolve",
          f"proxy.test:{proxy.port}:127.0.0.1")
    outcome = command("curl", *at, f"http://{url}")
    equal((outcome.status, outcome.out), (0, "a file"), outcome.err)
    outcome = command("curl", *at, *scheme_flags, f"https://{url}")
    equal((outcome.status, outcome.out), (0, "a file"), outcome.err)
    with smtplib.SMTP("127.0.0.1", proxy.port) as mail:
        equal(mail.noop()[0], 250, "the mail server")
    outcome = command("openssl", "s_client", "-connect",
                      f"127.0.0.1:{proxy.port}", "-servername", "proxy.test",
                      "-CAfile", certificates()["ca"], "-brief",
                      stdin=subprocess.DEVNULL)
    matches(outcome.err, r"Verification: OK", "openssl s_client")


def test_ssh_and_tls_and_http_and_mail_have_one_port():
    for program in ("curl", "openssl"):
        need(program)
    flags = ("--cacert", certificates()["ca"])
    with sshd() as (place, ssh_port), nginx("") as (root, web_port), \
            Server(speak_smtp) as mail:
        pathlib.Path(root, "root", "file").write_text("a file", "ascii")
        at = [f"tcp://127.0.0.1:{port}" for port in
              (ssh_port, mail.port, web_port)]
        # Longer than any of these programs needs to send something.
        with Proxy("--listen", ANY, *LOGGED, "--silent-after", "10s",
                   "--hello-timeout", "2h", "--cert", certificates()["proxy"],
                   "--alpn", "http/1.1", "--route", "*", "--route-begin",
                   "SSH-", "--to", at[0], "--route", "*", "--route-as",
                   "silent", "--to", at[1], "--route", "*", "--to",
                   at[2]) as proxy:
            talk_to_all(proxy, place, flags)
            equal(set(logged(proxy, "route")),
                  {"*/plain/SSH-", "*/silent", "*"}, "routes")


# ---- configurations ----

def test_a_client_in_its_first_bytes_keeps_the_routes_that_it_began_with():
    """Clients after a reload get other routes."""
    port = free_port()

    def text(begin, first, rest):
        return (f"[a]\nlisten = any://127.0.0.1:{port}\nroute = *\n"
                f"route-as = tls\npassthrough = on\nto = {target(rest)}\n"
                f"route = *\nroute-begin = {begin}\nto = {target(first)}\n"
                f"route = *\nto = {target(rest)}\n")

    with Named("0") as one, Named("1") as two, \
            tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "config")
        path.write_text(text("SSH-", one, two), "ascii")
        with Proxy("--config", str(path), threads=2) as proxy:
            with proxy.connect() as early, proxy.connect() as other:
                for client in (early, other):
                    client.sendall(b"SS")
                wait_until(lambda: proxy.metric("connections_active") == 2)
                path.write_text(text("SSX", two, one), "ascii")
                read_again(proxy)
                equal(sent(early, b"H-"), b"0:SSH-", "what began before")
                equal(sent(other, b"X"), b"1:SSX", "the rest of before")
            gets(proxy, b"SSX", 1)
            gets(proxy, b"SSH-", 0)



run(globals())
