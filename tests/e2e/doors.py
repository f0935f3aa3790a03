"""Connections to a server: to each address that it serves.

A door makes connections over TCP, Unix sockets, or TLS over either. Every connection
has the socket methods that attacks.py and honest.py call.
"""

import contextlib
import os
import socket
import ssl
import subprocess

CHUNK = 1 << 16


class TlsSocket:
    """TLS on a connected socket, with a socket's methods. A flag sends around TLS, as a
    man in the middle could."""

    def __init__(self, sock, context, session=None):
        self.sock = sock
        self.received = ssl.MemoryBIO()
        self.sealed = ssl.MemoryBIO()
        self.out = bytearray()
        self.plain = bytearray()
        self.ended = False
        self.tls = context.wrap_bio(self.received, self.sealed,
                                    server_hostname="localhost",
                                    session=session)
        while not self.shake():
            self.feed()

    def shake(self):
        """Runs one step of the handshake. Returns True if it was the last."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.out += self.sealed.read()
            self.flush()
        return True

    def flush(self):
        """Sends encrypted bytes. Returns True if all were sent."""
        while self.out:
            try:
                del self.out[:self.sock.send(self.out)]
            except BlockingIOError:
                return False
        return True

    def feed(self):
        data = self.sock.recv(CHUNK)
        if not data:
            raise ConnectionError("the stream ended without a close_notify")
        self.received.write(data)

    def send(self, data, flags=0):
        if flags:
            return self.sock.send(data, flags)
        if not self.flush():
            raise BlockingIOError
        count = self.tls.write(data[:CHUNK])
        self.out += self.sealed.read()
        self.flush()
        return count

    def sendall(self, data):
        while data:
            data = data[self.send(data):]
        self.flush()

    def recv(self, size):
        self.flush()
        while True:
            self.open_records()
            if self.plain or self.ended:
                data = bytes(self.plain[:size])
                del self.plain[:size]
                return data
            self.feed()

    def open_records(self):
        try:
            while not self.ended:
                data = self.tls.read(CHUNK)
                self.plain += data
                self.ended = not data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        self.out += self.sealed.read()

    def shutdown(self, how):
        """SHUT_WR ends this side of TLS; other values end the connection."""
        if how != socket.SHUT_WR:
            self.sock.shutdown(how)
            return
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.out += self.sealed.read()
        self.flush()

    def __getattr__(self, name):
        # close, fileno, getsockname, setblocking, setsockopt, settimeout
        return getattr(self.sock, name)


def has_unsent(sock):
    """Returns True if bytes accepted by send() wait for space in the kernel."""
    return bool(getattr(sock, "out", b""))


class Door:
    """One address of a server, by its URL."""

    def __init__(self, url, certificate=None):
        self.url = url
        scheme, _, rest = url.partition(":")
        self.is_tls = scheme.startswith("tls")
        self.is_datagram = scheme == "udp"
        if scheme.endswith("unix"):
            self.family, self.address = socket.AF_UNIX, rest
        else:
            host, _, port = rest.lstrip("/").rpartition(":")
            self.family, self.address = socket.AF_INET, (host, int(port))
        self.contexts = []
        self.sessions = {}
        if self.is_tls:
            self.contexts = [self.make_context(certificate, version)
                             for version in (ssl.TLSVersion.TLSv1_2,
                                             ssl.TLSVersion.TLSv1_3)]

    @staticmethod
    def make_context(certificate, version):
        context = ssl.create_default_context(cafile=certificate)
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def is_unix(self):
        return self.family == socket.AF_UNIX

    def connect(self, timeout_s, source=None, small=False):
        """Makes a connection without TLS. A small one leaves the kernels little buffer
        space between the two programs."""
        sock = socket.socket(self.family)
        try:
            if small:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            if not self.is_unix():
                if small:
                    # The server's buffer grows with the size of a segment.
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG,
                                    536)
                if source:
                    sock.bind((source, 0))
            sock.settimeout(timeout_s)
            sock.connect(self.address)
            if not self.is_unix():
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            sock.close()
            raise
        return sock

    def enter(self, sock, chance):
        """Starts the server's protocol on a connection: TLS 1.2 or 1.3, sometimes with
        the session of an earlier one, or nothing."""
        if not self.is_tls:
            return sock
        context = chance.choice(self.contexts)
        session = chance.choice((None, self.sessions.get(context)))
        try:
            made = TlsSocket(sock, context, session)
        except OSError:
            sock.close()
            raise
        self.sessions[context] = made.tls.session
        return made


def make_identity(folder):
    """Makes a self-signed certificate for localhost, and its key."""
    certificate = os.path.join(folder, "certificate.pem")
    key = os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", certificate],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return certificate, key
