"""The TLS alert with which a target refuses weir-proxy has its name in the log and in a
target's status, wherever it arrives: inside the connect, after a PROXY header, or in a
check."""

import contextlib
import json
import ssl

from harness import equal, matches, run
from proxy_certificates import Secured, certificates, make_certificate, plain
from proxying import Proxy, expect_reset, told
from servers import Refusing, Server, drain, echo

# Some alerts that OpenSSL sends when its server-name callback requests them.
ALERTS = ("unknown_ca", "access_denied", "protocol_version", "decode_error",
          "insufficient_security", "internal_error", "certificate_expired",
          "unrecognized_name")


class Headed(Secured):
    """Reads a PROXY header before TLS."""

    def serve_secured(self, connection, number):
        header = b""
        while not header.endswith(b"\r\n"):
            header += connection.recv(1)
        super().serve_secured(connection, number)


def refusing(alert, kind=Secured):
    """A target whose TLS answers each ClientHello with this alert."""
    number = getattr(ssl, f"ALERT_DESCRIPTION_{alert.upper()}")
    return kind(echo, "a", sni_callback=lambda *_: number)


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


def test_inside_the_connect():
    for alert in ALERTS:
        with refusing(alert) as server, begun(server) as proxy:
            expect_reset(proxy)
            equal(proxy.metric("close_total", reason="connect-tls"), 1,
                  "the metric of the reason")
            expect_logged(proxy, ("connect-tls", alert))


def test_in_a_log_of_json():
    with refusing("unknown_ca") as server, begun(server, "--log-format",
                                                 "json") as proxy:
        expect_reset(proxy)
        proxy.stop()
        with open(proxy.log_path, encoding="utf-8") as file:
            line = json.loads(file.read())
        equal((line["reason"], line["alert"]), ("connect-tls", "unknown_ca"),
              "the log")


def test_by_numbers_that_nobody_knows_and_each_that_is_known():
    """Not with OpenSSL, which sends only a few."""
    for number, name in ((48, "unknown_ca"), (116, "certificate_required"),
                         (121, "ech_required"), (21, "decryption_failed"),
                         (77, "unassigned")):
        def answer(connection, _number, alert=bytes((21, 3, 3, 0, 2, 2,
                                                     number))):
            connection.recv(65536)
            connection.sendall(alert)
            drain(connection, 0)

        with Server(answer) as server, begun(server) as proxy:
            expect_reset(proxy)
            expect_logged(proxy, ("connect-tls", name))


def test_for_want_of_a_certificate_or_for_a_strange_one():
    """In TLS 1.3 the connect is complete before the target has seen it."""
    strange = ("--to-cert", make_certificate("strange", "strange.test"))
    for version, flags, end in (
            (ssl.TLSVersion.TLSv1_2, (), ("connect-tls", "handshake_failure")),
            (ssl.TLSVersion.TLSv1_2, strange, ("connect-tls", "unknown_ca")),
            (ssl.TLSVersion.TLSv1_3, (), ("target-alert",
                                          "certificate_required")),
            (ssl.TLSVersion.TLSv1_3, strange, ("target-alert", "unknown_ca"))):
        with demanding(version) as server, begun(server, *flags) as proxy:
            with contextlib.suppress(ConnectionResetError):
                with proxy.connect() as client:
                    equal(client.recv(1), "a reset", "what is seen")
            expect_logged(proxy, end)


def test_behind_a_header():
    with refusing("access_denied", Headed) as server, begun(
            server, "--send-proxy", "v1") as proxy:
        expect_reset(proxy)
        expect_logged(proxy, ("connect-tls", "access_denied"))


def test_of_the_last_target_that_was_tried_alone():
    with refusing("access_denied") as one, Refusing() as other, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--to-name", "a.test",
            "--to", f"tls://127.0.0.1:{one.port}",
            "--to", plain(other), "--backup", "--tries", "2") as proxy:
        expect_reset(proxy)
        expect_logged(proxy, ("connect-refused", "-"))


def test_a_target_that_is_ejected_or_down_says_why():
    with refusing("access_denied") as server:
        with begun(server, "--eject", "1") as proxy:
            expect_reset(proxy)
            matches(told(proxy, " is ejected"), "is ejected: The peer sent a "
                                                "fatal alert: access_denied$")
        with begun(server, "--check", "tls", "--check", "50ms") as proxy:
            matches(told(proxy, " is down"), "is down: The peer sent a fatal "
                                             "alert: access_denied$")
    with demanding(ssl.TLSVersion.TLSv1_3) as server, begun(
            server, "--check", "http", "--check", "50ms") as proxy:
        matches(told(proxy, " is down"), "is down: The peer sent a fatal "
                                         "alert: certificate_required$")


run(globals())
