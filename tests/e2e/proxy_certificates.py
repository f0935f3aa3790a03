"""Certificates for the tests of weir-proxy, and both ends of its TLS in Python: a
client that verifies, and a server with its own certificate. The authority and its
certificates are made once per program."""

import contextlib
import os
import ssl
import tempfile

from harness import command, equal, need
from servers import Server

folder = tempfile.TemporaryDirectory()


CURVE = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def make_certificate(name, cn, issuer=None, kind=CURVE, subject=None):
    """Makes a key and a certificate for a name, in one file; signed by an authority in
    the folder, or self-signed."""
    need("openssl")
    base = os.path.join(folder.name, name)
    flags = ["-CA", f"{folder.name}/{issuer}.pem",
             "-CAkey", f"{folder.name}/{issuer}.pem"] if issuer else []
    usage = [] if issuer else ["-addext", "basicConstraints=critical,CA:TRUE"]
    if issuer:
        usage = ["-addext", "basicConstraints=CA:FALSE",
                 "-addext", "keyUsage=digitalSignature",
                 "-addext", "extendedKeyUsage=serverAuth,clientAuth"]
    outcome = command("openssl", "req", "-x509", "-newkey", *kind, "-nodes",
                      "-days", "30", "-utf8", "-subj",
                      subject or f"/CN={cn}", "-addext",
                      f"subjectAltName=DNS:{cn},IP:127.0.0.1", "-keyout",
                      f"{base}.key", "-out", f"{base}.crt", *usage, *flags)
    equal(outcome.status, 0, f"openssl, which said {outcome.err!r}")
    if issuer:
        with open(f"{folder.name}/{issuer}.crt", "rb") as above, \
                open(f"{base}.crt", "ab") as chain:
            chain.write(above.read())
    with open(f"{base}.pem", "wb") as out:
        for part in (".crt", ".key"):
            with open(base + part, "rb") as file:
                out.write(file.read())
    return f"{base}.pem"


def certificates():
    """Returns paths by name; the files are made once."""
    if not made:
        made["ca"] = make_certificate("ca", "The Authority")
        for name in ("proxy", "other", "a", "b", "client"):
            made[name] = make_certificate(name, f"{name}.test", "ca")
    return made


made = {}


def at(name):
    return os.path.join(folder.name, name)


def make_list(name, revoked=(), issuer="ca"):
    """Makes a revocation list of an authority."""
    index = at(f"{name}.index")
    with open(index, "w", encoding="ascii"):
        pass
    with open(at(f"{name}.cnf"), "w", encoding="ascii") as file:
        file.write(f"[ca]\ndefault_ca = it\n[it]\ndatabase = {index}\n"
                   f"certificate = {at(f'{issuer}.pem')}\n"
                   f"private_key = {at(f'{issuer}.key')}\n"
                   "default_md = sha256\ndefault_crl_days = 30\n")
    for certificate in revoked:
        outcome = command("openssl", "ca", "-config", at(f"{name}.cnf"),
                          "-revoke", certificate)
        equal(outcome.status, 0, outcome.err)
    outcome = command("openssl", "ca", "-config", at(f"{name}.cnf"), "-gencrl",
                      "-out", at(f"{name}.crl"))
    equal(outcome.status, 0, outcome.err)
    return at(f"{name}.crl")


def dated(base, begin, end):
    """Writes the proxy's certificate with another date, signed with its own key, and
    this key to base.pem."""
    known = certificates()["proxy"]
    place = os.path.dirname(base)
    with open(f"{place}/index", "w", encoding="utf-8"):
        pass
    with open(f"{place}/ca.cnf", "w", encoding="utf-8") as file:
        file.write(f"[ca]\ndefault_ca = x\n[x]\ndatabase = {place}/index\n"
                   f"new_certs_dir = {place}\nrand_serial = yes\n"
                   "default_md = sha256\npolicy = p\nunique_subject = no\n"
                   "[p]\ncommonName = supplied\n")
    outcome = command("openssl", "req", "-new", "-key", known, "-subj",
                      "/CN=proxy.test", "-out", f"{base}.csr")
    equal(outcome.status, 0, outcome.err)
    outcome = command("openssl", "ca", "-batch", "-config", f"{place}/ca.cnf",
                      "-selfsign", "-keyfile", known, "-in", f"{base}.csr",
                      "-out", f"{base}.crt", "-notext", "-startdate", begin,
                      "-enddate", end)
    equal(outcome.status, 0, outcome.err)
    with open(f"{base}.pem", "wb") as out:
        for path in (f"{base}.crt", known):
            with open(path, "rb") as file:
                out.write(file.read())
    return f"{base}.pem"


def client_context(**options):
    context = ssl.create_default_context(cafile=certificates()["ca"])
    context.check_hostname = True
    for name, value in options.items():
        setattr(context, name, value)
    return context


def secure(proxy, name="proxy.test", context=None):
    return (context or client_context()).wrap_socket(proxy.connect(),
                                                     server_hostname=name)


def subject(sock):
    return dict(pair[0] for pair in sock.getpeercert()["subject"])["commonName"]


class Secured(Server):
    """A TLS server with its own certificate."""

    def __init__(self, serve, name, **options):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates()[name])
        for key, value in options.items():
            setattr(self.context, key, value)
        super().__init__(self.serve_secured)
        self.inner = serve

    def serve_secured(self, connection, number):
        with contextlib.suppress(ssl.SSLError):
            with self.context.wrap_socket(connection,
                                          server_side=True) as sock:
                self.inner(sock, number)


def plain(server):
    return f"tcp://127.0.0.1:{server.port}"
