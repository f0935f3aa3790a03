"""TLS to single targets of weir-proxy: the name requested from each, and the authorities
that verify it, from the directives after its 'to'. The TLS alert with which a target
refuses weir-proxy has its name in the log and in a target's status, wherever it
arrives: inside the connect, after a PROXY header, or in a check."""

import contextlib
import ctypes
import os
import ssl
import struct

from harness import Skip, command, equal, matches, run
from proxy_certificates import (Secured, certificates, make_certificate,
                                make_list)
from proxying import PROXY, Proxy, expect_reset, target, told, use
from servers import Refusing, drain, echo

OTHER = {}


def other():
    """Returns a second authority, and its certificate for far.test."""
    certificates()
    if not OTHER:
        OTHER["ca"] = make_certificate("ca2", "Another Authority")
        OTHER["far"] = certificates()["far"] = make_certificate(
            "far", "far.test", "ca2")
    return OTHER["ca"]


class Named(Secured):
    """Records the names that clients request, and may read a PROXY header first."""

    def __init__(self, name, is_headed=False):
        self.names = []
        self.is_headed = is_headed
        super().__init__(echo, name)
        self.context.sni_callback = lambda _, asked, __: self.names.append(
            asked)

    def serve_secured(self, connection, number):
        while self.is_headed and connection.recv(1) != b"\n":
            pass
        super().serve_secured(connection, number)


def to(server, *words):
    return ("--to", f"tls://127.0.0.1:{server.port}", *words)


@contextlib.contextmanager
def between(*flags):
    with Proxy("--listen", "tcp://127.0.0.1:0", *flags) as proxy:
        yield proxy


def test_each_target_has_its_name_and_its_authorities():
    """With a PROXY header before TLS, weir-proxy starts TLS, not the library."""
    far_ca = other()
    for header in ((), ("--target-proxy", "v1")):
        with Named("a", bool(header)) as a, \
                Named("far", bool(header)) as far:
            with between(
                    "--to-ca", certificates()["ca"],
                    *to(a, "--target-tls-name", "a.test", *header),
                    *to(far, "--target-tls-name", "far.test",
                        "--target-tls-ca", far_ca, *header)) as proxy:
                use(proxy, 4)
            equal((set(a.names), set(far.names)),
                  ({"a.test"}, {"far.test"}), "names that they were asked for")
            equal((a.accepted, far.accepted), (2, 2), "connections")


def test_a_target_of_other_authorities_or_another_name_is_refused():
    far_ca = other()
    good = certificates()["ca"]
    with Named("far") as far:
        for words in (("--target-tls-name", "far.test", "--to-ca", good),
                      ("--target-tls-name", "a.test", "--target-tls-ca",
                       far_ca)):
            with between(*to(far, *words)) as proxy:
                expect_reset(proxy)
                proxy.stop_by(["connect-tls"])
        with between("--to-insecure",
                     *to(far, "--target-tls-ca", good)) as proxy:
            expect_reset(proxy)
            proxy.stop_by(["connect-tls"])


def test_the_list_of_revocations_is_of_the_authorities_of_all_targets():
    """A target with its own authorities has no list, and is used as before."""
    far_ca = other()
    revoked = make_list("targets", [certificates()["a"]])
    with Named("a") as a, Named("b") as b, Named("far") as far:
        with between("--to-ca", certificates()["ca"], "--to-crl", revoked,
                     *to(a, "--target-tls-name", "a.test"),
                     *to(b, "--target-tls-name", "b.test"),
                     *to(far, "--target-tls-name", "far.test",
                         "--target-tls-ca", far_ca)) as proxy:
            use(proxy, 6)
            tried = proxy.metric("upstream_connect_errors_total",
                                 target=f"tls://127.0.0.1:{a.port}")
        equal((tried > 0, len(b.names) + len(far.names)), (True, 6),
              "errors of the revoked one, and connections of the others")
        equal((set(b.names), set(far.names)), ({"b.test"}, {"far.test"}),
              "names that they were asked for")


def count_opens(path, *arguments):
    """Returns how often a command opens a file. Closes are recorded, too, because two
    equal consecutive events count as one."""
    opened, closed = 0x20, 0x10
    libc = ctypes.CDLL(None)
    fd = libc.inotify_init1(os.O_NONBLOCK)
    if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(path),
                                        opened | closed) < 0:
        raise Skip("no inotify")
    outcome = command(*arguments)
    equal(outcome.status, 0, outcome.err)
    with os.fdopen(fd, "rb", buffering=0) as events:
        masks = struct.iter_unpack("iIII", events.read(65536))
        return sum(bool(mask & opened) for _, mask, _, _ in masks)


def test_authorities_of_a_list_are_read_once():
    far_ca = other()
    words = ("--target-tls-name", "far.test", "--target-tls-ca", far_ca)
    counts = [count_opens(far_ca, PROXY, "-t", "tcp://127.0.0.1:0",
                          ",".join(f"tls://127.0.0.1:{port}"
                                   for port in range(1, 1 + count)), *words)
              for count in (1, 64)]
    equal(counts[0] > 0, True, "opens for one target")
    equal(counts[1], counts[0], "opens for 64 targets")


def test_checks_see_the_certificate_of_their_target():
    far_ca = other()
    with Named("far") as far:
        with between("--check", "tls", "--check", "50ms", "--check-timeout", "60s",
                     *to(far, "--target-tls-name", "far.test",
                         "--target-tls-ca", far_ca)) as proxy:
            use(proxy, 1)
            equal(proxy.metric("upstream_checks_failed_total"), 0, "bad checks")
            equal(set(far.names), {"far.test"}, "names")


# ---- alerts ----

def refusing(alert, is_headed=False):
    """A target whose TLS answers each ClientHello with this alert."""
    server = Named("a", is_headed)
    number = getattr(ssl, f"ALERT_DESCRIPTION_{alert.upper()}")
    server.context.sni_callback = lambda *_: number
    return server


def demanding(version):
    """A target that requires a certificate of ours."""
    server = Secured(drain, "a", verify_mode=ssl.CERT_REQUIRED,
                     minimum_version=version, maximum_version=version)
    server.context.load_verify_locations(certificates()["ca"])
    return server


def begun(server, *flags):
    return Proxy("tcp://127.0.0.1:0", f"tls://127.0.0.1:{server.port}",
                 "--to-ca", certificates()["ca"], "--to-name", "a.test",
                 *flags)


def expect_logged(proxy, *ends):
    proxy.stop()
    equal([(line["reason"], line["alert"]) for line in proxy.lines()],
          list(ends), "the log")


def test_the_alert_for_want_of_a_certificate_or_for_a_strange_one_is_logged():
    """In TLS 1.3 the connect is complete before the target has seen it."""
    strange = ("--to-cert", make_certificate("strange", "strange.test"))
    for version, flags, end in (
            (ssl.TLSVersion.TLSv1_2, (), ("connect-tls", "handshake_failure")),
            (ssl.TLSVersion.TLSv1_2, strange, ("connect-tls", "unknown_ca")),
            (ssl.TLSVersion.TLSv1_3, (), ("target-alert",
                                          "certificate_required")),
            (ssl.TLSVersion.TLSv1_3, strange, ("target-alert", "unknown_ca"))):
        with demanding(version) as server, begun(server, *flags) as proxy:
            expect_reset(proxy)
            expect_logged(proxy, end)


def test_the_alert_behind_a_header_is_logged():
    with refusing("access_denied", True) as server, begun(
            server, "--send-proxy", "v1") as proxy:
        expect_reset(proxy)
        equal(proxy.metric("upstream_errors_total"), 1, "errors")
        expect_logged(proxy, ("connect-tls", "access_denied"))


def test_the_alert_is_of_the_last_target_that_was_tried_alone():
    with refusing("access_denied") as one, Refusing() as other, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--to-name", "a.test",
            "--to", f"tls://127.0.0.1:{one.port}",
            "--to", target(other), "--backup", "--tries", "2") as proxy:
        expect_reset(proxy)
        expect_logged(proxy, ("connect-refused", "-"))


def often(kind):
    return ("--check", kind, "--check", "50ms", "--check-timeout", "60s")


def test_a_target_that_is_ejected_or_down_says_why():
    with refusing("access_denied") as server:
        with begun(server, "--eject", "1") as proxy:
            expect_reset(proxy)
            matches(told(proxy, " is ejected"), "is ejected: The peer sent a "
                                                "fatal alert: access_denied$")
        with begun(server, *often("tls")) as proxy:
            matches(told(proxy, " is down"), "is down: The peer sent a fatal "
                                             "alert: access_denied$")
    with demanding(ssl.TLSVersion.TLSv1_3) as server, begun(
            server, *often("http")) as proxy:
        matches(told(proxy, " is down"), "is down: The peer sent a fatal "
                                         "alert: certificate_required$")


run(globals())
