"""TLS to single targets of weir-proxy: the name requested from each, and the
authorities that verify it, from the directives after its 'to'."""

import contextlib
import ctypes
import os
import struct

from harness import Skip, command, equal, fails, matches, run
from proxy_certificates import (Secured, certificates, make_certificate,
                                make_list)
from proxying import PROXY, Proxy, expect_reset
from servers import echo, echoes

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
    """Records the names that clients request."""

    def __init__(self, name):
        self.names = []
        super().__init__(echo, name)
        self.context.sni_callback = lambda _, asked, __: self.names.append(
            asked)


def to(server, *words):
    return ("--to", f"tls://127.0.0.1:{server.port}", *words)


@contextlib.contextmanager
def between(*flags):
    with Proxy("--listen", "tcp://127.0.0.1:0", *flags) as proxy:
        yield proxy


def use(proxy, count):
    for _ in range(count):
        with proxy.connect() as client:
            echoes(client)


def test_each_target_has_its_name_and_its_authorities():
    """With a PROXY header before TLS, weir-proxy starts TLS, not the library."""
    far_ca = other()
    for header in ((), ("--target-proxy", "v1")):
        with Named("a") as a, Named("far") as far:
            if header:
                skip_headers(a, far)
            with between(
                    "--to-ca", certificates()["ca"],
                    *to(a, "--target-tls-name", "a.test", *header),
                    *to(far, "--target-tls-name", "far.test",
                        "--target-tls-ca", far_ca, *header)) as proxy:
                use(proxy, 4)
            equal((set(a.names), set(far.names)),
                  ({"a.test"}, {"far.test"}), "names that they were asked for")
            equal((a.accepted, far.accepted), (2, 2), "connections")


def skip_headers(*servers):
    """Reads a line before TLS."""
    for server in servers:
        def serve(connection, number, inner=server.serve_secured):
            while connection.recv(1) != b"\n":
                pass
            inner(connection, number)
        server.serve = serve


def test_a_target_of_other_authorities_or_another_name_is_refused():
    far_ca = other()
    good = certificates()["ca"]
    with Named("far") as far:
        for words in (("--target-tls-name", "far.test"),
                      ("--target-tls-name", "a.test", "--target-tls-ca",
                       far_ca)):
            with between("--to-ca", good, *to(far, *words)) as proxy:
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


def test_words_behind_a_list_are_about_each():
    far_ca = other()
    with Named("far") as one, Named("far") as two:
        with between("--to", f"tls://127.0.0.1:{one.port},"
                     f"tls://127.0.0.1:{two.port}", "--target-tls-name",
                     "far.test", "--target-tls-ca", far_ca) as proxy:
            use(proxy, 4)
        equal((one.names, two.names), (["far.test"] * 2,) * 2, "names")


def test_checks_see_the_certificate_of_their_target():
    far_ca = other()
    with Named("far") as far:
        with between("--to-ca", certificates()["ca"], "--check", "tls",
                     "--check", "50ms", "--check-rise", "1",
                     *to(far, "--target-tls-name", "far.test",
                         "--target-tls-ca", far_ca)) as proxy:
            use(proxy, 1)
            equal(proxy.metric("upstream_checks_failed_total"), 0, "bad checks")
            equal(set(far.names), {"far.test"}, "names")


def test_they_need_a_target_with_tls():
    for word in ("--target-tls-name", "--target-tls-ca"):
        fails(command(PROXY, "-t", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1",
                      word, "x"), f"{word[2:]} needs a target with tls://",
              status=2)
    matches(command(PROXY, "-t", "tcp://127.0.0.1:0", "tls://a.test:1",
                    "--target-tls-ca", "/nowhere/ca.pem").err,
            "/nowhere/ca.pem")


run(globals())
