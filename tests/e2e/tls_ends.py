"""Both ends of TLS connections: weir's (tls_peer.c) and other programs'.

FOLDER has the certificates that tests/unit/tls_matrix.sh makes in the build; each name
describes the fault. Tests of programs that are not installed are skipped.
"""

import contextlib
import http.client
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

from dns import find
from harness import Program, Skip, command, equal, matches, read_line
from servers import Server, free_port

TLS_PEER = os.path.abspath(sys.argv[1]) if sys.argv[1:] else ""
FOLDER = os.path.abspath(sys.argv[2]) if sys.argv[2:] else ""
BULK = 64 << 20
VERSIONS = ("1.2", "1.3")
KEYS = ("good", "good-rsa", "good-ed25519")  # "good" has a P-256 key


def need(name):
    path = find(name)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


# ---- certificates ----

def chain(name):
    return os.path.join(FOLDER, f"{name}.pem")


def key(name):
    return os.path.join(FOLDER, f"{name}.key")


AUTHORITY = "trusted"


@contextlib.contextmanager
def scratch():
    """Yields a folder for the block."""
    with tempfile.TemporaryDirectory(prefix="weir-tls-") as place:
        yield place


# ---- weir ----

class Weir(Program):
    """tls_peer, whose reports are its standard error."""

    def report(self):
        return read_line(self.process.stderr)

    def hear(self, pattern):
        """Reads its next report, which must be this one."""
        line = self.report()
        matches(line, pattern, "the report")
        return line

    def hear_open(self, version="1.3", **facts):
        return self.judge_open(self.report(), version, facts)

    def hear_ends_and_opens(self, end_count, open_count, version, **facts):
        """Reads ends of connections and starts of the following ones, for which the
        client does not wait: their reports have no order."""
        reports = sorted(self.report() for _ in range(end_count + open_count))
        equal(reports[:end_count], ["end ok\n"] * end_count, "the ends")
        for opening in reports[end_count:]:
            self.judge_open(opening, version, facts)

    @staticmethod
    def judge_open(line, version, facts):
        matches(line, rf"^open TLSv{re.escape(version)} ", "the report")
        for name, value in facts.items():
            matches(line, rf" {name}={re.escape(str(value))}( |$)", "the facts")
        return line


class WeirServer(Weir):
    """weir as the server; at the end of the block it must exit with 0."""

    def __init__(self, mode, name="good", *settings, **options):
        super().__init__(TLS_PEER, mode, "0", f"cert={chain(name)}",
                         f"key={key(name)}", *settings, **options)
        line = read_line(self.process.stdout)
        matches(line, r"^serving on 127\.0\.0\.1:\d+\n\Z")
        self.ends_itself = mode == "take"
        self.port = int(line.rsplit(":", 1)[1])
        self.address = ("127.0.0.1", self.port)

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                if not self.ends_itself:
                    self.signal(15)
                status, _, err = self.finish()
                equal((status, err), (0, ""), "the end of tls_peer")
        finally:
            super().__exit__(kind, *rest)


def weir_client(port, *settings, authority=AUTHORITY, mode="talk", **options):
    """weir as the client, connected with pipes."""
    options.setdefault("stdin", subprocess.PIPE)
    return Weir(TLS_PEER, mode, str(port), f"ca={chain(authority)}",
                *settings, **options)


# ---- talking ----

def send_behind(file, data):
    """Writes to a pipe in a thread, which is returned."""
    def work():
        with contextlib.suppress(BrokenPipeError, ValueError):
            file.write(data)
            file.flush()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def converse(program, data):
    """Sends these bytes through a program, which must return them."""
    sender = send_behind(program.process.stdin, data)
    got = program.process.stdout.read(len(data))
    equal(len(got), len(data), "bytes that came back")
    assert got == data, "other bytes came back"
    sender.join()


def pass_on(source, sink, data):
    """Sends these bytes from one program's input to the other's output."""
    sender = send_behind(source.process.stdin, data)
    assert sink.process.stdout.read(len(data)) == data, "other bytes came"
    sender.join()


def end_well(stranger, weir):
    """Both sides send a close_notify."""
    status, _, err = stranger.finish()
    equal(status, 0, f"exit status of the stranger, which said {err!r}")
    weir.hear(r"^end ok$")


def text_of(count):
    """Returns bytes that no program takes for a command, in lines of 64."""
    lines = os.urandom(4096).hex()
    block = "".join(f"x{lines[i:i + 62]}\n" for i in range(0, 8192, 64))
    return (block.encode() * (count // len(block) + 1))[:count]


def crawl(source, sink):
    """Sends each byte on its own."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            for byte in data:
                sink.sendall(bytes([byte]))
        sink.shutdown(socket.SHUT_WR)


def crawling_to(address):
    """A server that passes bytes on one at a time, in both directions."""
    def serve(connection, _number):
        with socket.create_connection(address) as other:
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=crawl, args=(other, connection))
            back.start()
            crawl(connection, other)
            back.join()

    return Server(serve)


# ---- strangers ----

def python_context(version=None, *, server=False, name=None,
                   authority=AUTHORITY):
    """Returns a context of Python, with a certificate if one is named."""
    if server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    else:
        context = ssl.create_default_context(cafile=chain(authority))
    if version:
        context.minimum_version = context.maximum_version = {
            "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3
        }[version]
    if name:
        context.load_cert_chain(chain(name), key(name))
    return context


@contextlib.contextmanager
def python_client(port, context, **options):
    """Yields a connection of Python, whose close_notify is not sent yet."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        with context.wrap_socket(sock, server_hostname="localhost",
                                 suppress_ragged_eofs=False,
                                 **options) as tls:
            yield tls


# A key update of the sender, as openssl's -msg prints it.
KEY_UPDATE = " TLS 1.3, Handshake [length 0005], KeyUpdate"


def has_updated(path, count):
    """Returns True if openssl, whose messages are printed there, has updated its keys
    this often."""
    with open(path, encoding="ascii") as file:
        return file.read().count(">>>" + KEY_UPDATE) >= count


# Flags with which openssl exports the same keys as tls_peer with export=1.
EXPORT = ("-keymatexport", "EXPORTER-weir", "-keymatexportlen", "32")


def exported(program):
    """Returns the keys that openssl prints when started with these flags."""
    for line in program.process.stdout:
        found = re.match(rb" *Keying material: ([0-9A-F]{64})$", line)
        if found:
            return found[1].decode()
    raise AssertionError("openssl told no keys")


def s_client(port, *flags, authority=AUTHORITY, name="localhost",
             quiet=True):
    """Starts openssl, which sends a close_notify at the end of its input."""
    return Program(need("openssl"), "s_client", "-connect",
                   f"127.0.0.1:{port}", "-CAfile", chain(authority),
                   "-verify_return_error", "-verify_hostname", name,
                   "-servername", name, *(["-quiet"] if quiet else []),
                   "-no_ign_eof", *flags,
                   stdin=subprocess.PIPE)


def openssl_version(version):
    return "-tls" + version.replace(".", "_")


def gnutls_cli(port, *flags, version=None, authority=AUTHORITY):
    if version:
        flags += (f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}",)
    return Program(need("gnutls-cli"), "--x509cafile", chain(authority),
                   "--port", str(port), "--logfile=/dev/null", *flags,
                   "localhost", stdin=subprocess.PIPE)


# gnutls-cli reconnects with its session; in TLS 1.3 it has one once the server's ticket
# has arrived, for which it does not wait.
RESUME = ("--resume", "--waitresumption")


def listens(port):
    """Queries the kernel: a test connection would be one too many."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        return any(f":{port:04X} 00000000:0000 0A" in line for line in file)


def wait_for_port(port, program):
    """Waits until a program that prints nothing listens there."""
    while not listens(port):
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.process.wait(0.02)
            raise AssertionError(f"it ended: {program.finish()}")


def python_server(serve, version=None, name="good", **settings):
    """Calls serve(tls) for each connection, which may send a close_notify."""
    context = python_context(version, server=True, name=name)
    for field, value in settings.items():
        if callable(getattr(context, field)):
            getattr(context, field)(value)
        else:
            setattr(context, field, value)

    def work(connection, _number):
        with contextlib.suppress(ssl.SSLError):
            with context.wrap_socket(connection, server_side=True,
                                     suppress_ragged_eofs=False) as tls:
                serve(tls)

    return Server(work)


def read_all(tls):
    """Reads up to the peer's close_notify."""
    data = bytearray()
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while part := tls.recv(1 << 16):
            data += part
    return bytes(data)


@contextlib.contextmanager
def s_server(name, *flags, quiet=True):
    """openssl's server, connected with pipes; the block gets it and its port."""
    port = free_port()
    with Program(need("openssl"), "s_server", "-accept", f"127.0.0.1:{port}",
                 "-cert", chain(name), "-key", key(name), *(["-quiet"] if quiet else []), *flags,
                 stdin=subprocess.PIPE) as program:
        wait_for_port(port, program)
        yield program, port


@contextlib.contextmanager
def gnutls_serv(name, *flags, version=None):
    """gnutls-serv, which echoes lines; the block gets its port."""
    port = free_port()
    if version:
        flags += (f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}",)
    with Program(need("gnutls-serv"), "--echo", "--crlf", "--quiet", "--port",
                 str(port), "--x509certfile", chain(name), "--x509keyfile",
                 key(name), *flags, stdin=subprocess.DEVNULL,
                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                 ) as program:
        wait_for_port(port, program)
        yield port


NGINX = """
daemon off;
master_process off;
error_log {place}/error.log;
pid {place}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    client_max_body_size 100m;
    server {{
        listen 127.0.0.1:{port} {listen};
        root {place}/root;
        {lines}
    }}
}}
"""


@contextlib.contextmanager
def nginx(lines, listen=""):
    """nginx with these lines in its server block; the block gets folder and port."""
    with scratch() as place:
        os.mkdir(f"{place}/root")
        port = free_port()
        path = f"{place}/nginx.conf"
        with open(path, "w", encoding="ascii") as file:
            file.write(NGINX.format(place=place, port=port, lines=lines,
                                    listen=listen))
        with Program(need("nginx"), "-p", place, "-c", path, "-e",
                    f"{place}/error.log") as program:
            wait_for_port(port, program)
            yield place, port
            program.signal(3)
            equal(program.finish()[0], 0, "exit status of nginx")


def curl(port, *flags, authority=AUTHORITY, **options):
    return command(need("curl"), "-sS", "--noproxy", "*", "--cacert",
                   chain(authority), "--resolve", f"localhost:{port}:127.0.0.1",
                   *flags, f"https://localhost:{port}/", **options)


PROXY = """
location / {{
    proxy_pass https://127.0.0.1:{port};
    proxy_ssl_name localhost;
    proxy_ssl_server_name on;
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate {authority};
    proxy_ssl_protocols TLSv{version};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    {lines}
}}
"""


def proxy_lines(port, version="1.3", lines=""):
    return PROXY.format(port=port, authority=chain(AUTHORITY),
                        version=version, lines=lines)


def ask_http(port, body, method="PUT"):
    """Returns the response through a proxy, and its status."""
    link = http.client.HTTPConnection("127.0.0.1", port)
    with contextlib.closing(link):
        link.request(method, "/", body)
        answer = link.getresponse()
        return answer.status, answer.read()
