"""weir-proxy between clients and servers that know nothing of it: bytes, ends, failing
targets, the end of the proxy, and the reason of each end, in a line of its log. The
other reasons are tested with their subject, in proxy_*.py of this folder."""

import contextlib
import fcntl
import os
import pathlib
import random
import re
import select
import signal
import socket
import ssl
import threading
import time

from harness import WAIT_S, Program, command, equal, fails, matches, run
from proxy_certificates import certificates, secure
from proxy_wait import wait_until
from proxying import (PROXY, Proxy, expect_reset, port_of, sees_a_reset,
                      target, told)
from servers import (Refusing, Server, drain, echo, echoes, echoes_all, free_port,
                     read_exactly, reset)
import manual

SEED = 20
BIG = 10_000_000


# ---- bytes and ends ----

def count_pipes(proxy):
    """Returns the number of pipe descriptors, without its standard streams."""
    folder = f"/proc/{proxy.process.pid}/fd"
    count = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            count += int(name) > 2 and "pipe:" in os.readlink(
                os.path.join(folder, name))
    return count


def test_bulk_is_spliced_unless_it_is_not_to_be():
    data = random.Random(SEED).randbytes(BIG)
    # Without large receive buffers no transfer counts as bulk, and nothing is spliced.
    some = 0 if os.environ.get("WEIR_FEATURES_MASK") == "all" else 2
    for words, pipes in ([], some), (["--no-splice"], 0):
        with Server(drain) as server, Proxy(
                "--listen", "tcp://127.0.0.1:0", *words, "--to",
                target(server)) as proxy:
            before = count_pipes(proxy)
            with proxy.connect() as client:
                end = time.monotonic() + WAIT_S if pipes else 0
                client.sendall(data)
                while (count_pipes(proxy) < before + pipes
                       and time.monotonic() < end):
                    client.sendall(data)
                equal(count_pipes(proxy), before + pipes, "pipes")
                client.shutdown(socket.SHUT_WR)
                equal(client.recv(1), b"", "the end of stream")


def test_the_first_line_has_the_listener_once_and_then_the_targets():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "tcp://127.0.0.1:1") as proxy:
        matches("".join(proxy.said), r"^weir-proxy: serves tcp://127\.0\.0\.1:"
                rf"{proxy.port} to {target(server)} and 1 more$")


def test_bytes_go_both_ways_and_each_end_is_passed_on():
    data = random.Random(SEED).randbytes(BIG)
    with Server(echo) as server, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--to",
            target(server)) as proxy:
        with proxy.connect() as client:
            echoes_all(client, data)
        proxy.stop()
        line, = proxy.lines()
        equal([line[name] for name in ("reason", "in_bytes", "out_bytes",
                                       "tries", "tried")],
              ["done", str(len(data)), str(len(data)), "1", "-"],
              "the line of the log")


# ---- targets ----

def half_close(client):
    client.shutdown(socket.SHUT_WR)


# What a client does, what its target then does, and the reason of the end.
CAUSED = (
    (lambda client: client.sendall(b"garbage"), reset, "target-reset"),
    (half_close, reset, "target-reset"),
    (lambda client: client.sendall(b"x") or half_close(client),
     lambda connection: connection.recv(1) or reset(connection),
     "target-reset"),
    (lambda client: client.sendall(b"x"), lambda connection:
     connection.sendall(b"x") or reset(connection), "target-reset"),
    (lambda client: client.sendall(b"x"), lambda _: None, "done"),
)


def test_what_a_client_causes_ejects_no_target():
    for act, answer, reason in CAUSED:
        def serve(connection, _number, answer=answer):
            connection.recv(1)  # otherwise the connect may see the reset
            answer(connection)

        with Server(serve) as server, Proxy(
                "tcp://127.0.0.1:0", target(server), "--eject", "1") as proxy:
            for _ in range(3):
                with contextlib.suppress(ConnectionResetError), \
                        proxy.connect() as client:
                    act(client)
                    while client.recv(1):
                        pass
            wait_until(lambda: proxy.metric("connections_active") == 0)
            equal((proxy.metric("upstream_errors_total"),
                   proxy.metric("upstream_ejections_total"),
                   server.accepted), (0, 0, 3), f"by {reason}")
            proxy.stop_by([reason] * 3)


def test_a_target_that_begins_to_fail_and_works_again_is_told():
    for threads, more in ((1, ()), (2, ("--eject", "0"))):
        with Server(echo, free_port()) as server:
            with Proxy("--listen", "tcp://127.0.0.1:0", "--name", "a", "--to",
                       target(server), *more, threads=threads) as proxy:
                for _ in range(2):
                    with proxy.connect() as client:
                        echoes(client)
                server.stop_listening()
                for _ in range(2):
                    expect_reset(proxy, b"x")
                matches(told(proxy, "target"),
                        rf"a, route \*: target {target(server)} starts to "
                        r"fail: Connection refused$")
                server.listen_again()
                for _ in range(3):
                    with proxy.connect() as client:
                        echoes(client)
                matches(told(proxy, "target"),
                        rf"target {target(server)} works again$")
                equal(proxy.stop(), "", "more words")


# ---- time-outs ----

def test_a_half_closed_connection_has_a_time_of_its_own():
    def wait(connection, _number):
        while connection.recv(1):
            pass
        connection.settimeout(WAIT_S)
        time.sleep(WAIT_S)

    with Server(wait) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--half-closed-timeout",
                                       "50ms") as proxy:
        with proxy.connect() as client:
            client.shutdown(socket.SHUT_WR)
            sees_a_reset(client)
        proxy.stop_by(["half-closed"])


# ---- the end ----

def refuses(proxy):
    """Returns True if no socket listens any more. A client that connected just before
    is reset."""
    try:
        proxy.connect().close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass
    return False


def test_sigterm_lets_a_transfer_end():
    data = random.Random(SEED).randbytes(BIG)
    begun = threading.Event()
    go_on = threading.Event()

    def send_in_two(connection, _number):
        connection.sendall(data[:1000])
        begun.set()
        go_on.wait(WAIT_S)
        connection.sendall(data[1000:])

    with Server(send_in_two) as server, Proxy("tcp://127.0.0.1:0",
                                              target(server)) as proxy:
        with proxy.connect() as client:
            equal(begun.wait(WAIT_S), True, "the transfer has begun")
            first = read_exactly(client, 1000)
            proxy.signal(signal.SIGTERM)
            wait_until(lambda: proxy.get("/readyz")[0] == 503)
            wait_until(lambda: refuses(proxy))
            go_on.set()
            rest = read_exactly(client, len(data) - 1000)
            equal(first + rest == data, True, "the transfer is whole")
            equal(client.recv(1), b"", "the end of stream")
        equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")
        equal(proxy.reasons(), ["done"], "the log")


def test_it_accepts_for_a_while_after_it_is_no_longer_ready():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--drain-delay",
            f"{WAIT_S}s") as proxy:
        proxy.signal(signal.SIGTERM)
        wait_until(lambda: proxy.get("/readyz")[0] == 503)
        equal(proxy.get("/healthz")[0], 200, "it runs")
        with proxy.connect() as client:
            echoes(client)
        proxy.stop()  # at once, by a second signal
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--drain-delay",
            "50ms") as proxy:
        proxy.stop()


def test_the_drain_time_ends_a_hundred_at_once():
    """The last of them are closed after the task that waited for them."""
    with Server(drain) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                        "--drain", "100ms") as proxy:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(proxy.connect())
                       for _ in range(100)]
            wait_until(lambda: proxy.metric("upstream_active") == 100)
            proxy.signal(signal.SIGTERM)
            for client in clients:
                sees_a_reset(client)
        status, _, err = proxy.finish()
        equal(status, 0, "exit status")
        matches(err, r"connections were cut off")
        equal(proxy.reasons(), 100 * ["drain"], "the log")


# ---- reasons to which a client or a target has to be led ----

def ends(proxy, reason, tried=None, tries=1, data=b""):
    """A client is reset, with this reason, after this number of tries, with these tried
    addresses (a pattern)."""
    expect_reset(proxy, data)
    proxy.stop()
    equal([(line["reason"], line["tries"]) for line in proxy.lines()],
          [(reason, str(tries))], "the log")
    if tried:
        matches(proxy.lines()[0]["tried"], rf"\A{tried}\Z", "what was tried")


# ---- connecting ----

def test_a_name_that_is_unknown_is_a_lookup():
    """Names of this kind are never queried (RFC 7686)."""
    with Proxy("tcp://127.0.0.1:0", "tcp://nothing.onion:1") as proxy:
        ends(proxy, "connect-lookup", r"nothing\.onion:_\w+")


def test_a_target_without_an_answer_is_a_time_out():
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0),
                                                          backlog=0))
        stack.enter_context(socket.create_connection(silent.getsockname()))
        to = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with Proxy("tcp://127.0.0.1:0", to, "--connect-timeout",
                   "50ms") as proxy:
            ends(proxy, "connect-timeout",
                 r"127\.0\.0\.1:\d+:_Connection_timed_out_"
                 r"\(from_127\.0\.0\.1:\d+\)")


def test_a_target_without_a_route_is_unreachable():
    """A connection to a broadcast address is impossible."""
    with Proxy("tcp://127.0.0.1:0", "tcp://127.255.255.255:1") as proxy:
        ends(proxy, "connect-unreachable")


def test_a_unix_socket_that_is_not_there_is_a_refusal():
    with Proxy("tcp://127.0.0.1:0", "unix:/nothing/is/here") as proxy:
        ends(proxy, "connect-refused",
             "unix:/nothing/is/here:_No_such_file_or_directory")


def test_another_error_of_a_connect_is_just_that():
    """A link-local address needs a scope."""
    with Proxy("tcp://127.0.0.1:0", "tcp://[fe80::1]:1") as proxy:
        ends(proxy, "connect")


TRIED = (r"127\.0\.0\.1:{}:_Connection_refused_"
         r"\(from_127\.0\.0\.1:\d+\)")


def test_a_target_that_was_passed_over_is_told_beside_the_one_that_served():
    with Server(echo) as server, Refusing() as refusing, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--to", target(refusing), "--to",
            target(server), "--backup", "--tries", "2") as proxy:
        with proxy.connect() as client:
            client.sendall(b"1")
            equal(client.recv(1), b"1", "the echo")
        proxy.stop_by(["done"])
        line = proxy.lines()[0]
    equal(line["tries"], "2", "tries")
    matches(line["tried"], rf"\A{TRIED.format(refusing.port)}\Z", "what was tried")


def test_all_of_many_targets_that_refuse_are_told():
    """More than fit into the library's text."""
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(Refusing()) for _ in range(12)]
        flags = [flag for one in targets for flag in ("--to", target(one))]
        with Proxy("--listen", "tcp://127.0.0.1:0", *flags, "--tries",
                   "12") as proxy:
            expect_reset(proxy, b"x")
            proxy.stop_by(["connect-refused"])
            tried = proxy.lines()[0]["tried"]
    equal(sorted(re.findall(TRIED.format(r"(\d+)"), tried)),
          sorted(str(one.port) for one in targets), tried)


def test_a_queue_behind_a_target_that_refused_has_reasons_of_its_own():
    for queue, reason in (("0", "queue-full"), ("5:100ms", "queue-timeout")):
        with Server(echo) as server, Refusing() as refusing, Proxy(
                "--listen", "tcp://127.0.0.1:0", "--to", target(refusing),
                "--to", target(server), "--limit", "1", "--tries", "2",
                "--eject", "0", "--queue", queue) as proxy:
            with proxy.connect() as first:
                first.sendall(b"1")
                equal(first.recv(1), b"1", "the first")
                expect_reset(proxy)
            proxy.stop()
            equal([(line["reason"], line["tries"]) for line in proxy.lines()
                   if line["reason"] != "done"], [(reason, "1")],
                  f"the log with --queue {queue}")


# ---- the client's TLS ----

def test_a_handshake_that_fails_behind_a_hello_that_was_read_is_refused():
    stranger = ssl.create_default_context()  # it trusts no authority of ours
    with Server(echo) as server, Proxy(
            "--listen", "tls://127.0.0.1:0", "--cert",
            certificates()["proxy"], "--to", target(server), "--route",
            "a.test", "--passthrough", "--to", target(server)) as proxy:
        with contextlib.suppress(ssl.SSLCertVerificationError):
            secure(proxy, context=stranger)
            raise AssertionError("a handshake")
        proxy.stop_by(["handshake"])


# ---- the limits of a relay ----

def floods(sock):
    """Floods until the other side has enough."""
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(bytes(1 << 20))


def test_a_client_that_takes_nothing_is_stalled():
    with Server(lambda connection, _number: floods(connection)) as server, \
            Proxy("tcp://127.0.0.1:0", target(server), "--stall-timeout",
                  "100ms") as proxy:
        with proxy.connect():
            wait_until(lambda: proxy.metric("close_total") == 1)
        proxy.stop_by(["client-stall"])


def test_a_target_that_takes_nothing_is_stalled():
    done = threading.Event()
    with Server(lambda *_: done.wait(WAIT_S)) as server, \
            Proxy("tcp://127.0.0.1:0", target(server), "--stall-timeout",
                  "100ms") as proxy:
        with proxy.connect() as client:
            floods(client)
        done.set()
        proxy.stop_by(["target-stall"])


def test_a_connection_that_is_too_old_is_ended():
    with Server(drain) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                        "--lifetime", "100ms") as proxy:
        ends(proxy, "lifetime", data=b"x")


# ---- counts ----

def test_every_close_has_one_reason_and_the_counts_add_up():
    rng = random.Random(SEED)

    def behave(connection, number):
        data = connection.recv(100)
        if number % 3 == 0:
            reset(connection)
        elif number % 3 == 1:
            connection.sendall(data)

    with Server(behave) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                         "--eject", "0", threads=2) as proxy:
        for _ in range(90):
            client = proxy.connect()
            client.sendall(rng.randbytes(10))
            with contextlib.suppress(OSError):
                client.recv(100)
            if rng.random() < 0.3:
                reset(client)
            else:
                client.close()
        wait_until(lambda: proxy.metric("connections_active") == 0)
        accepted = proxy.metric("connections_total")
        equal(accepted, 90, "connections")
        equal(proxy.metric("close_total"), accepted, "reasons")
        equal(proxy.metric("upstream_active"), 0, "slots")
        proxy.stop()
        equal(len(proxy.lines()), 90, "lines of the log")


def test_without_a_log_all_is_counted():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       log=False) as proxy:
        for _ in range(3):
            with proxy.connect() as client:
                client.sendall(b"1234567")
                equal(read_exactly(client, 7), b"1234567", "the echo")
        wait_until(lambda: proxy.metric("connections_active") == 0)
        equal(proxy.metric("close_total", reason="done"), 3, "ends in order")
        equal(proxy.metric("close_total"), 3, "ends")
        equal(proxy.metric("bytes_total"), 42, "bytes, both ways")


def test_a_log_that_nobody_reads_stops_nothing():
    with Server(echo) as server, Program(
            PROXY, "--threads", "1", "--log", "-", "tcp://127.0.0.1:0",
            target(server)) as program:
        address = ("127.0.0.1", port_of(program.process.stderr))
        # The pipe holds one page instead of 64 KiB, which is about 700 lines.
        fcntl.fcntl(program.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        for _ in range(100):
            with socket.create_connection(address, timeout=WAIT_S) as client:
                echoes(client)
        program.process.stdout.close()
        with socket.create_connection(address, timeout=WAIT_S) as client:
            echoes(client)
        program.signal(signal.SIGTERM)
        equal(program.process.wait(2 * WAIT_S), 0, "exit status")


def test_the_page_of_the_operator():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       target(server)) as proxy:
        equal(proxy.get("/healthz"), (200, "ok\n"), "/healthz")
        equal(proxy.get("/readyz"), (200, "ok\n"), "/readyz")
        equal(proxy.get("/nothing")[0], 404, "status of another path")
        text = proxy.get("/metrics")[1]
        matches(text, r"^# TYPE weir_proxy_connect_seconds histogram$")
        for line in text.splitlines():
            matches(line, r"^# (HELP|TYPE) \w+ |^\w+(\{[^}]*\})? [0-9.]+$")


def test_who_is_slow_does_not_hold_the_page_of_the_operator():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       target(server)) as proxy:
        host, port = proxy.admin.removeprefix("http://").split(":")
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(socket.create_connection(
                (host, int(port)), timeout=WAIT_S)) for _ in range(64)]
            while slow:  # one byte each time: none of them is idle
                for sock in select.select(slow, [], [], 0.3)[0]:
                    slow.remove(sock)
                for sock in slow:
                    with contextlib.suppress(OSError):
                        sock.sendall(b"G")
        equal(proxy.get("/healthz"), (200, "ok\n"), "/healthz")


# ---- the configuration ----

def test_wrong_flags_are_told():
    for flags, wanted in (
            ((), r"there is no service"),
            (("tcp://:1",), r"has no target"),
            (("tcp://:1", "nothing"), r"'nothing' is not a target"),
            (("tls://:1", "tcp://a:1"), r"needs a certificate"),
            (("--blance", "x"), r"did you mean --balance"),
            (("--admin-token", "x"), "--admin-token was removed; use ctl"),
            (("--max-conns", "1"), r"has no address"),
            (("--to", "tcp://a:1", "tcp://:1"), r"--to: it must follow the 'listen'"),
            (("--listen",), r"--listen needs a value")):
        fails(command(PROXY, *flags), wanted, 2)


def test_flags_may_stand_before_the_addresses():
    with Server(echo) as server:
        outcome = command(PROXY, "-t", "--max-conns", "5", "--balance",
                          "leastconn", "--buffer", "32K", "tcp://127.0.0.1:0",
                          target(server), "--weight", "3")
    equal((outcome.status, outcome.out), (0, ""), f"with {outcome.err}")


def test_the_manual_page_has_every_word():
    told = set(re.findall(r"(?:^\.It Fl |, )-([a-z-]+)",
                          manual.page("weir-proxy.1"), re.M))
    equal(told ^ set(manual.helps(PROXY)), set(), "words that one of the two "
          "lacks")
    longest = max(map(len, command(PROXY, "--help").out.splitlines()))
    equal(longest < 80, True, f"a line of --help with {longest}")


def test_the_manual_page_has_the_defaults_of_the_help():
    count = manual.compare_defaults(manual.page("weir-proxy.1"), PROXY)
    equal(count > 20, True, f"{count} defaults")


def test_each_field_of_a_directive_is_read_somewhere():
    """Outside of its row, the code that sets it, and its initial value."""
    folder = pathlib.Path(manual.TOOLS, "weir-proxy")
    text = {path.name: path.read_text("utf-8") for path in folder.rglob("*.[ch]")}
    rows = re.findall(r"\bAT_[A-Z]+\((\w+)\)[,}]", text.pop("words.c"))
    del text["words_set.c"]
    equal(len(rows) > 50, True, f"{rows}")
    for field in rows:
        used = re.compile(rf"(?:->|\.){field}\b(?! = )")
        equal(any(map(used.search, text.values())), True,
              f"a place in tools/weir-proxy that reads {field}")


def test_help_and_manual_have_all_kinds_of_checks():
    """The kinds in the library's header."""
    with open(os.path.join(manual.TOOLS, "../include/weir/upstream_check.h"),
              encoding="utf-8") as file:
        kinds = re.findall(r"^    WEIR_UPSTREAM_CHECK_(\w+)", file.read(), re.M)
    for text in (manual.helps(PROXY)["check"][0],
                 *manual.says(manual.page("weir-proxy.1"), "check")[:1]):
        told = re.search(r"kind of check: ([\w, ]+);", text, re.I)
        equal(re.split(", | or ", told[1]),
              ["off", *(kind.lower() for kind in kinds)], text)


run(globals())
