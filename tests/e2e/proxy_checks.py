"""Checks of weir-proxy's targets, and ejections after failures: which targets get
connections before the first check has ended, after a replacement, and during shortages
of the proxy's machine."""

import contextlib
import os
import resource
import signal
import socket
import struct
import tempfile
import threading

from harness import WAIT_S, command, equal, matches, run
from proxy_certificates import Secured, certificates
from proxy_checks_peers import BAD, GOOD, Checked, first_checks_end
from proxy_wait import wait_until
from proxying import (PROXY, Proxy, expect_reset, sees_a_reset, target, told,
                      use)
from servers import Server, drain, echo, echoes, free_port, reset

LONG = f"{WAIT_S}s"


def by_http(every):
    """Returns flags for checks that do not fail because a machine is slow."""
    return ("--check", "http", "--check", every, "--check-timeout", LONG)


OFTEN = by_http("20ms")


def checked(*servers, every=LONG, flags=()):
    """Returns the flags of a proxy that checks these targets."""
    return ("tcp://127.0.0.1:0", ",".join(target(one) for one in servers),
            *by_http(every), *flags)


def test_a_check_may_go_to_another_port_and_want_another_status():
    """Like Patroni's, whose port reports which server is the leader."""
    with Checked(BAD) as one, Checked(GOOD) as other, Server(echo) as data, \
            Server(echo) as more:
        def flags(status, check, to):
            return ("--listen", "tcp://127.0.0.1:0", "--name",
                    f"{status} of {check.port}", *OFTEN, "--check-path",
                    "/primary", "--check-port", str(check.port), "--check-status", status,
                    "--to", target(to))
        with Proxy(*flags("200", one, data), *flags("200-399", other, more),
                   *flags("503", one, data)) as proxy:
            wait_until(lambda: one.requests and other.requests)
            expect_reset(proxy, b"x")  # its port says 503
            for index in (1, 2):
                with proxy.connect(index) as client:
                    echoes(client)
            equal(one.requests[0].split(b"\r\n")[:2],
                  [b"GET /primary HTTP/1.1",
                   f"Host: 127.0.0.1:{one.port}".encode()], "the request")


# ---- fail-over ----

def served_by(proxy, servers):
    """Returns the connection of a new client, and the index of its target."""
    before = [server.clients for server in servers]
    client = proxy.connect()
    echoes(client)
    now = [server.clients for server in servers]
    return client, [a - b for a, b in zip(now, before)].index(1)


def expect_cut(client):
    sees_a_reset(client)
    client.close()


def test_connections_to_a_target_that_is_down_are_cut():
    with Checked(GOOD) as one, Checked(GOOD) as other, Proxy(
            *checked(one, other, every="20ms", flags=("--when-down", "cut")),
            threads=3) as proxy:
        first_checks_end(one, other)
        clients = [served_by(proxy, (one, other)) for _ in range(8)]
        equal(sorted({index for _, index in clients}), [0, 1], "targets")
        one.answer = BAD
        for client, index in clients:
            if index == 0:
                expect_cut(client)
            else:
                echoes(client)
                client.close()
        for _ in range(4):
            client, index = served_by(proxy, (one, other))
            equal(index, 1, "the one that is up")
            client.close()
        proxy.stop()
        equal(sorted(set(proxy.reasons())), ["done", "target-down"], "the log")


def test_one_target_at_a_time_is_used_and_left_for_a_better_one():
    """The first one that is up, for databases with one writer."""
    with Checked(GOOD) as one, Checked(GOOD) as other, Proxy(
            "tcp://127.0.0.1:0", *OFTEN, "--balance", "first", "--when-down",
            "cut", "--when-back", "cut", "--to", target(one), "--to",
            target(other), "--backup", threads=2) as proxy:
        servers = (one, other)
        first_checks_end(*servers)
        clients = [served_by(proxy, servers) for _ in range(6)]
        equal({index for _, index in clients}, {0}, "the first alone")
        one.answer = BAD
        for client, _ in clients:
            expect_cut(client)
        clients = [served_by(proxy, servers) for _ in range(6)]
        equal({index for _, index in clients}, {1}, "the backup alone")
        one.answer = GOOD
        for client, _ in clients:
            expect_cut(client)
        client, index = served_by(proxy, servers)
        equal(index, 0, "the first again")
        client.close()


def in_use(proxy):
    """Returns the target in use, and for how many milliseconds."""
    lines = [line.split("\t") for line in proxy.get("/status")[1].splitlines()]
    (name, age), = [(words[3], int(words[8])) for words in lines
                    if words[0] == "target" and words[8] != "-"]
    return name, age


def is_up(proxy, server):
    return proxy.metric("upstream_up", target=target(server)) == 1


def turn(proxy, server, answer):
    """Waits until the proxy sees that the server is up, or down."""
    server.answer = answer
    wait_until(lambda: is_up(proxy, server) == (answer == GOOD))


STAYING = (*OFTEN, "--balance", "first", "--stay", "--name", "db")


def test_one_that_is_to_stay_is_used_while_it_is_up():
    with Checked(GOOD) as one, Checked(GOOD, at_once=False) as other, \
            replacing(one, other, flags=STAYING, then=STAYING) as (
                first, replace):
        servers = (one, other)
        first_checks_end(one)
        other.may_answer.set()
        first_checks_end(other)
        equal(served_by(first, servers)[1], 0, "the first")
        equal(in_use(first)[0], target(one), "in use")
        turn(first, one, BAD)
        equal(told(first, "in use").split(": ", 1)[1].strip(),
              f"db, route *: target {target(other)} is in use instead of "
              f"{target(one)}", "what it says")
        equal({served_by(first, servers)[1] for _ in range(6)}, {1}, "then")
        turn(first, one, GOOD)
        equal({served_by(first, servers)[1] for _ in range(6)}, {1}, "it stays")
        name, age = in_use(first)
        equal(name, target(other), "in use")
        second = replace()
        equal({served_by(second, servers)[1] for _ in range(6)}, {1},
              "after a replacement")
        later = in_use(second)
        equal((later[0], later[1] >= age), (target(other), True), "in use")
        matches(command(PROXY, "--top", second.admin[7:]).out,
                rf"^{target(other)} .* db, in use for \S+")
        turn(second, other, BAD)
        equal({served_by(second, servers)[1] for _ in range(6)}, {0},
              "when it is down")


def test_cuts_are_spread_over_a_time_and_none_is_saved():
    """The first two connections are cut at once; although the target is up again, with
    new connections, the others are cut, too."""
    with Checked(GOOD) as server, Proxy(
            *checked(server, every="20ms", flags=(
                "--check-rise", "1", "--check-fall", "1", "--when-down",
                "cut:20s"))) as proxy:
        clients = [served_by(proxy, (server,))[0] for _ in range(32)]
        turn(proxy, server, BAD)
        turn(proxy, server, GOOD)
        newer = proxy.connect()
        echoes(newer)
        wait_until(lambda: proxy.metric("connections_active") <= 29)
        equal(proxy.metric("connections_active") > 1, True, "some are left")
        for client in clients:
            client.close()
        echoes(newer)
        newer.close()
        proxy.stop()
        equal(set(proxy.reasons()), {"done", "target-down"}, "the log")


def test_who_waits_for_the_tls_of_a_target_that_is_down_is_let_go():
    """If a header precedes the TLS, it is cut, otherwise it continues."""
    with Server(drain) as deaf, Checked(GOOD) as check:
        for header in (), ("--send-proxy", "v2"):
            check.answer = GOOD
            with Proxy("--listen", "tcp://127.0.0.1:0", *OFTEN, "--check-port",
                       str(check.port), "--check-tls", "off", "--when-down", "cut",
                       "--connect-timeout", LONG, "--to-insecure", *header,
                       "--to", f"tls://127.0.0.1:{deaf.port}") as proxy:
                before = deaf.accepted
                client = proxy.connect()
                client.sendall(b"x")
                wait_until(lambda: deaf.accepted > before)
                check.answer = BAD
                expect_cut(client)
                proxy.stop_by(["target-down" if header else "no-target"])


def test_a_rest_after_failures_cuts_nothing():
    """Nor does a target that is down if connections are to be kept."""
    with Checked(GOOD) as server, Proxy(
            *checked(server, every="20ms")) as proxy:
        client, _ = served_by(proxy, (server,))
        server.answer = BAD
        wait_until(lambda: proxy.metric("upstream_up") == 0)
        echoes(client)
        client.close()


def stay(proxy, count):
    """Expects that this many clients are connected, and not served."""
    clients = [proxy.connect() for _ in range(count)]
    for client in clients:
        client.sendall(b"x")
    wait_until(lambda: proxy.metric("connections_active") == count)
    return clients


# ---- before the first check has ended ----

def test_no_connection_goes_to_a_target_that_fails_its_first_check():
    with Checked(BAD) as bad, Checked(GOOD) as good, Proxy(
            *checked(bad, good), threads=3) as proxy:
        use(proxy, 100)
        proxy.signal(signal.SIGHUP)
        use(proxy, 100)
        equal((bad.clients, good.clients), (0, 200), "clients")
        equal(proxy.metric("upstream_up"), 1, "targets that are up")


def test_clients_wait_for_the_first_check():
    with Checked(GOOD, at_once=False) as server, Proxy(
            *checked(server)) as proxy:
        clients = stay(proxy, 5)
        reset(clients.pop())
        wait_until(lambda: proxy.metric("connections_active") == 4)
        equal(server.clients, 0, "clients before the check has ended")
        equal(proxy.metric("upstream_up"), 0, "targets that are up")
        server.may_answer.set()
        for client in clients:
            equal(client.recv(1), b"x", "what comes back")
            client.close()
        proxy.stop()
        equal(sorted(proxy.reasons()), ["client-gone"] + ["done"] * 4,
              "the log")


def test_targets_are_used_unchecked_where_that_is_said():
    with Checked(BAD, at_once=False) as server, Proxy(*checked(
            server, flags=("--unchecked", "use"))) as proxy:
        use(proxy, 10)
        equal(server.clients, 10, "clients")
        server.may_answer.set()


# ---- after a replacement ----

CHECKS = by_http(LONG)


@contextlib.contextmanager
def replacing(*servers, flags=CHECKS, then=CHECKS, threads=(2, 3)):
    """A proxy with these targets, and a function that replaces it by one with different
    flags."""
    with tempfile.TemporaryDirectory() as folder, \
            contextlib.ExitStack() as stack:
        listen = f"tcp://127.0.0.1:{free_port()}"
        common = (listen, ",".join(getattr(one, "at", None) or target(one)
                                   for one in servers),
                  "--handover", os.path.join(folder, "handover"))
        first = stack.enter_context(
            Proxy(*common, *flags, threads=threads[0]))

        def replace():
            second = stack.enter_context(
                Proxy(*common, *then, threads=threads[1]))
            equal(first.finish(2 * WAIT_S)[0], 0, "exit status")
            return second

        yield first, replace


def test_a_replacement_knows_what_checks_have_found():
    with Checked(BAD) as bad, Checked(GOOD) as good, replacing(
            bad, good) as (first, replace):
        use(first, 40)
        # Its own first checks end with the test: no client waits for them.
        bad.may_answer.clear()
        good.may_answer.clear()
        second = replace()
        use(second, 40)
        equal((bad.clients, good.clients), (0, 80), "clients")
        equal(second.metric("upstream_up"), 1, "targets that are up")
        good.may_answer.set()
        bad.may_answer.set()


def test_a_replacement_that_checks_otherwise_begins_anew():
    with Checked(BAD, {b"/other": GOOD}) as server, replacing(
            server, then=(*CHECKS, "--check-path", "/other")) as (
                first, replace):
        wait_until(lambda: first.metric("upstream_checks_failed_total") == 1)
        expect_reset(first)
        use(replace(), 10)
        equal(server.clients, 10, "clients")


# ---- rests after failures, after a replacement ----

class Breaking(Secured):
    """A target that breaks off each handshake until it is told not to."""

    def __init__(self):
        super().__init__(echo, "proxy")
        self.is_broken = True

    def serve_secured(self, connection, number):
        if not self.is_broken:
            super().serve_secured(connection, number)

    @property
    def at(self):
        return f"tls://127.0.0.1:{self.port}"


def speak(proxy, count=1):
    """Makes clients that may be reset."""
    for _ in range(count):
        with contextlib.suppress(ConnectionResetError), \
                proxy.connect() as client:
            client.sendall(b"x")
            client.recv(1)
    wait_until(lambda: proxy.metric("connections_active") == 0)


def rest(proxy):
    """Makes clients until the failing target is ejected on all threads."""
    wait_until(lambda: speak(proxy) or
               proxy.metric("upstream_ejections_total") == 1)


def test_a_target_that_rests_is_not_used_by_a_replacement():
    flags = ("--to-insecure", "--eject", "2", "--eject-time", LONG)
    with Breaking() as bad, Server(echo) as good, replacing(
            bad, good, flags=flags, then=flags) as (first, replace):
        rest(first)
        before = bad.accepted
        use(first, 10)
        second = replace()
        use(second, 60)
        equal(bad.accepted - before, 0, "connections to it")
        equal(second.metric("upstream_up"), 1, "targets that are up")


def test_after_a_rest_a_replacement_forgives_no_more_than_the_proxy():
    flags = ("--to-insecure", "--eject", "3", "--eject-time", "200ms")
    with Breaking() as bad, Server(echo) as good, replacing(
            bad, good, flags=flags, then=flags, threads=(1, 1)) as (
                first, replace):
        rest(first)
        wait_until(lambda: first.metric("upstream_up") == 2)
        second = replace()
        before = bad.accepted
        rest(second)
        equal(bad.accepted - before, 1, "failures until it rests again")


def test_a_replacement_with_another_configuration_begins_anew():
    flags = ("--to-insecure", "--eject", "2", "--eject-time", LONG)
    for then in (("--to-insecure", "--eject", "0"), (*flags, "--name", "other")):
        with Breaking() as bad, Server(echo) as good, replacing(
                bad, good, flags=flags, then=then, threads=(1, 1)) as (
                    first, replace):
            rest(first)
            second = replace()
            bad.is_broken = False
            before = bad.accepted
            use(second, 10)
            equal(bad.accepted - before, 5, "connections to it")


# ---- what a predecessor says that is of another version, or mad ----

FACTS = "rests", "reported", "error", "rest", "slow start", "in use"


def key_of(service, to, name):
    """Returns the key of a fact about a target, with default settings."""
    key = 0xcbf29ce484222325
    for text in (service, "*", to, *[None] * 8, name):
        data = b"" if text is None else text.encode() + b"\0"
        for byte in (int(text is None), *data):
            key = ((key ^ byte) * 0x100000001b3) % (1 << 64)
    return key


def succeed(facts, servers, flags=()):
    """Starts a proxy that gets its socket from a predecessor made by this test, with
    these facts."""
    listen = socket.create_server(("127.0.0.1", 0))
    address = f"tcp://127.0.0.1:{listen.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder, listen, \
            socket.socket(socket.AF_UNIX) as old:
        path = os.path.join(folder, "handover")
        old.bind(path)
        old.listen()

        def give():
            peer, _ = old.accept()
            with peer:
                socket.send_fds(peer, [b"F"], [listen.fileno()])
                peer.sendall(b"S" + struct.pack("=QQ", len(facts), 16))
                for key, value in facts:
                    peer.sendall(struct.pack("=QQ", key, value))
                peer.sendall(b".")
                peer.recv(1)

        thread = threading.Thread(target=give)
        thread.start()
        proxy = Proxy(address, ",".join(target(one) for one in servers),
                      "--name", "web", "--handover", path, *flags)
        thread.join()
        return proxy


def test_facts_that_nothing_is_known_of_change_nothing():
    with Server(echo) as one, Server(echo) as other:
        facts = [(0, 0), (7, 1 << 63), ((1 << 64) - 1, 5)] * 5
        facts.append((key_of("web", target(one), "of a later version"), 9))
        facts.append((key_of("else", target(one), "rest"), 60 * 10 ** 9))
        facts.append((key_of("web", "tcp://127.0.0.1:1", "rest"), 10 ** 10))
        with succeed(facts, (one, other)) as proxy:
            use(proxy, 10)
            equal((one.accepted, other.accepted), (5, 5), "connections")


def test_facts_with_mad_values_end_nothing():
    for value in 1, 1 << 37, (1 << 63) - 1, 1 << 63, (1 << 64) - 1:
        with Server(echo) as one, Server(echo) as other:
            facts = [(key_of("web", target(one), name), value)
                     for name in FACTS]
            with succeed(facts, (one, other),
                         ("--slow-start", "1s", "--eject", "1")) as proxy:
                speak(proxy, 6)
                if value == 1:  # an ejection that was over at once
                    wait_until(lambda: speak(proxy) or one.accepted > 0)
                else:
                    equal(one.accepted, 0, "connections to it")
                    equal(proxy.metric("upstream_up"), 1, "that are up")


# ---- what a check says ----

def test_a_check_speaks_http_1_1_and_its_status_is_told():
    with Checked(b"HTTP/1.1 426 Upgrade Required\r\n\r\n") as server, Proxy(
            *checked(server, flags=("--name", "web", "--check-path",
                                    "/ready"))) as proxy:
        matches(told(proxy, " is down"),
                f"web, route \\*: target {target(server)} is down: "
                "HTTP 426, not 200 to 399")
        equal(server.requests, [
            b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            b"User-Agent: weir\r\nConnection: close\r\n\r\n" % server.port],
            "the request")
        expect_reset(proxy)
        proxy.stop_by(["no-target"])


def test_the_last_error_of_a_target_is_a_metric():
    with Checked(BAD) as bad, Checked(GOOD) as good, Proxy(
            *checked(bad, good, every="20ms")) as proxy:
        wait_until(lambda: proxy.metric("upstream_checks_failed_total") > 0)
        use(proxy, 1)
        found = [name for name in proxy.metrics()
                 if name.startswith("weir_proxy_upstream_last_error{")]
        equal(len(found), 1, f"targets with an error in {found}")
        matches(found[0],
                f'target="{target(bad)}",error="EPROTO",status="503"}}$')


def test_the_host_of_a_check_may_be_told():
    with Checked(GOOD) as server, Proxy(*checked(
            server, flags=("--check-host", "app.example"))) as proxy:
        use(proxy, 1)
        matches(server.requests[0].decode(), "\r\nHost: app.example\r\n")


class SlowlySecured(Secured):
    """Starts each handshake after eleven seconds."""

    def serve_secured(self, connection, number):
        threading.Event().wait(11)
        super().serve_secured(connection, number)


def test_a_handshake_may_take_as_long_as_a_connect_and_a_check():
    with SlowlySecured(echo, "a") as server, Proxy(
            "tcp://127.0.0.1:0", f"tls://127.0.0.1:{server.port}", "--to-ca",
            certificates()["ca"], "--check", "tls", "--check-timeout", LONG,
            "--connect-timeout", LONG, "--unchecked", "use") as proxy:
        with proxy.connect() as client:
            echoes(client)
        wait_until(lambda: proxy.metric("upstream_checks_total") > 0)
        equal(proxy.metric("upstream_checks_failed_total"), 0, "bad checks")


# ---- while this machine lacks something ----

def test_a_lack_of_descriptors_makes_no_target_down():
    with Checked(GOOD) as server, Proxy(*checked(
            server, every="20ms", flags=(
                "--check-fall", "1"))) as proxy:
        use(proxy, 1)
        pid = proxy.process.pid
        wait_until(lambda: proxy.metric("upstream_checks_total") > 2)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        lacking = told(proxy, "could not be checked")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        equal(proxy.metric("upstream_up"), 1, "targets that are up")
        use(proxy, 5)
        assert proxy.metric("upstream_checks_skipped_total") > 0, "none"
        equal(proxy.metric("upstream_checks_failed_total"), 0, "bad checks")
        matches(lacking, f"target {target(server)} could not be checked, and "
                "keeps its state: Too many open files")
        equal("is down" in proxy.stop(), False, "a target is down")


run(globals(), short="a_check_may_go_to_another_port_and_want_another_status")
