"""weir-proxy between clients and servers that know nothing of it: bytes, ends, resets,
failing targets, limits, and the end of the proxy."""

import contextlib
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import tempfile
import threading
import time

from harness import (WAIT_S, Program, Skip, command, equal, fails,
                     is_sanitized, matches, run, status_bytes)
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, target, told
from servers import (Refusing, Server, drain, echo, echoes, echoes_all,
                     read_exactly, reset)
import manual

SEED = 20
BIG = 10_000_000


def sees_a_reset(client):
    try:
        equal(client.recv(1), "a reset", "what the client sees")
    except ConnectionResetError:
        pass


# ---- bytes and ends ----

def test_bytes_go_both_ways_and_each_end_is_passed_on():
    data = random.Random(SEED).randbytes(3_000_000)
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       target(server)) as proxy:
        with proxy.connect() as client:
            echoes_all(client, data)
        proxy.stop()
        line, = proxy.lines()
        equal((line["reason"], line["in_bytes"], line["out_bytes"]),
              ("done", str(len(data)), str(len(data))), "the line of the log")


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


def test_what_is_spliced_comes_whole_and_ends():
    data = random.Random(SEED).randbytes(BIG)
    with Server(echo) as server, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--to",
            target(server)) as proxy:
        with proxy.connect() as client:
            echoes_all(client, data)
        proxy.stop()
        line, = proxy.lines()
        equal((line["reason"], line["in_bytes"], line["out_bytes"]),
              ("done", str(len(data)), str(len(data))), "the line of the log")


def test_after_the_clients_end_ten_megabytes_come_the_other_way():
    data = random.Random(SEED).randbytes(BIG)
    asked = []

    def answer_at_the_end(connection, _number):
        request = b""
        while part := connection.recv(65536):
            request += part
        asked.append(request)
        connection.sendall(data)

    with Server(answer_at_the_end) as server, Proxy(
            "tcp://127.0.0.1:0", target(server)) as proxy:
        if shutil.which("nc"):
            with Program("nc", "-N", "127.0.0.1", str(proxy.port),
                         stdin=-1) as program:
                out, _ = program.process.communicate(b"all of it",
                                                     timeout=2 * WAIT_S)
        else:
            raise Skip("nc is not installed")
        equal(asked, [b"all of it"], "the request")
        equal(out == data, True, f"{len(out)} bytes are what was sent")


def test_a_reset_of_the_target_resets_the_client():
    def answer_and_reset(connection, _number):
        connection.recv(1)
        reset(connection)

    with Server(answer_and_reset) as server, Proxy(
            "tcp://127.0.0.1:0", target(server)) as proxy:
        expect_reset(proxy, b"x")
        proxy.stop_by(["target-reset"])


def test_a_reset_of_the_client_resets_the_target():
    seen = []
    came = threading.Event()

    def see_the_end(connection, _number):
        connection.sendall(b"x")
        try:
            seen.append(connection.recv(1))
        except ConnectionResetError:
            seen.append("reset")
        came.set()

    with Server(see_the_end) as server, Proxy("tcp://127.0.0.1:0",
                                              target(server)) as proxy:
        client = proxy.connect()
        equal(client.recv(1), b"x", "a byte")
        reset(client)
        equal(came.wait(WAIT_S), True, "the target saw an end")
        equal(seen, ["reset"], "what the target saw")
        proxy.stop_by(["client-reset"])


def test_a_reader_that_stops_costs_no_memory():
    if is_sanitized(PROXY):
        raise Skip("sanitizers keep freed memory")
    taken = []

    def send_for_ever(connection, _number):
        connection.setblocking(False)
        block = bytes(1 << 20)
        sent = 0
        since = time.monotonic()
        while time.monotonic() - since < 3:
            with contextlib.suppress(BlockingIOError):
                sent += connection.send(block)
                since = time.monotonic()
        taken.append(sent)

    with Server(send_for_ever) as server, Proxy("tcp://127.0.0.1:0",
                                                target(server)) as proxy:
        before = status_bytes(proxy.process.pid, "VmRSS")
        with contextlib.closing(socket.socket()) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", proxy.port))
            wait_until(lambda: taken)
            more = status_bytes(proxy.process.pid, "VmRSS") - before
            assert more < 2 << 20, f"{more} bytes more"
        proxy.signal(signal.SIGTERM)
        equal(proxy.finish()[0], 0, "exit status")


# ---- targets ----

def test_a_target_that_refuses_is_passed_over_and_bytes_stay_whole():
    data = random.Random(SEED).randbytes(100_000)
    with Server(echo) as server, Refusing() as refusing, Proxy(
            "tcp://127.0.0.1:0", f"{target(refusing)},{target(server)}",
            "--eject", "0") as proxy:
        for _ in range(4):
            with proxy.connect() as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                equal(read_exactly(client, len(data)) == data, True, "the echo")
        proxy.stop_by(["done"] * 4)
        equal({line["tries"] for line in proxy.lines()}, {"1", "2"},
              "targets that were tried")


def test_without_a_target_the_client_is_reset_at_once():
    with Refusing() as refusing, Proxy("tcp://127.0.0.1:0",
                                       target(refusing)) as proxy:
        expect_reset(proxy, b"x")
        proxy.stop_by(["connect-refused"])


def test_round_robin_follows_the_weights():
    def say(name):
        return lambda connection, _number: connection.sendall(name)

    with Server(say(b"a")) as a, Server(say(b"b")) as b, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--to", target(a), "--weight",
            "3", "--to", target(b)) as proxy:
        told = b""
        for _ in range(40):
            with proxy.connect() as client:
                told += client.recv(1)
    equal((told.count(b"a"), told.count(b"b")), (30, 10), "answers")


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
        with Server(echo) as server:
            port = server.port
            with Proxy("--listen", "tcp://127.0.0.1:0", "--name", "a", "--to",
                       target(server), *more, threads=threads) as proxy:
                for _ in range(2):
                    with proxy.connect() as client:
                        echoes(client)
                server.stop_listening()
                for _ in range(2):
                    expect_reset(proxy, b"x")
                matches(told(proxy, "target"),
                        rf"a, route \*: target {target(server)} begins to "
                        r"fail: Connection refused$")
                server.listener = socket.create_server(("127.0.0.1", port))
                server.thread = threading.Thread(target=server.accept,
                                                 daemon=True)
                server.thread.start()
                for _ in range(3):
                    with proxy.connect() as client:
                        echoes(client)
                matches(told(proxy, "target"),
                        rf"target {target(server)} works again$")
                equal(proxy.stop(), "", "more words")


def test_a_backup_is_used_when_all_others_are_down():
    with Server(echo) as server, Refusing() as refusing, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--to", target(refusing), "--to",
            target(server), "--backup", "--eject", "1") as proxy:
        for _ in range(3):
            with proxy.connect() as client:
                echoes(client)


def test_threads_choose_as_one_does():
    for balance in "roundrobin", "leastconn":
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(Server(echo)) for _ in range(4)]
            proxy = stack.enter_context(Proxy(
                "tcp://127.0.0.1:0", ",".join(target(one) for one in servers),
                "--balance", balance, threads=16))
            for _ in range(16):  # which stay
                echoes(stack.enter_context(proxy.connect()))
            equal([one.accepted for one in servers], [4] * 4, balance)


def test_a_target_that_fails_its_checks_is_not_used():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--check", "tcp", "--check",
            "50ms", "--check-fall", "1", "--check-rise", "1") as proxy:
        wait_until(lambda: proxy.metric("upstream_checks_total") > 0)
        server.stop_listening()
        wait_until(lambda: proxy.metric("upstream_up") == 0)
        expect_reset(proxy)
        proxy.stop_by(["no-target"])


# ---- time-outs ----

def test_a_connection_without_bytes_is_reset_after_the_idle_time():
    with Server(drain) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                        "--idle-timeout", "50ms") as proxy:
        expect_reset(proxy)
        proxy.stop_by(["idle"])


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


def test_the_drain_time_ends_what_does_not_end():
    with Server(drain) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                        "--drain", "100ms") as proxy:
        with proxy.connect() as client:
            client.sendall(b"x")
            wait_until(lambda: proxy.metric("upstream_active") == 1)
            proxy.signal(signal.SIGTERM)
            sees_a_reset(client)
        status, _, err = proxy.finish()
        equal(status, 0, "exit status")
        matches(err, r"connections were cut off")
        equal(proxy.reasons(), ["drain"], "the log")


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
        equal(proxy.finish()[0], 0, "exit status")
        equal(proxy.reasons(), 100 * ["drain"], "the log")


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
        port = None
        while not port:
            line = program.process.stderr.readline().decode()
            assert line, "it has ended"
            if " serves " in line:
                port = line.split(" to ")[0].rsplit(":", 1)[1]
        for _ in range(1500):  # a pipe holds about 700 lines
            with socket.create_connection(("127.0.0.1", int(port)),
                                          timeout=WAIT_S) as client:
                echoes(client)
        program.process.stdout.close()
        with socket.create_connection(("127.0.0.1", int(port)),
                                      timeout=WAIT_S) as client:
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

CONFIG = """\
threads = 1
[db]
listen = tcp://127.0.0.1:0
to = {to}
weight = 2
balance = leastconn
"""


def config_file(folder, text):
    path = os.path.join(folder, "proxy.ini")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def test_a_file_says_the_same_as_flags():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       target(server)) as first:
        path = config_file(first.folder.name, CONFIG.format(to=target(server)))
        equal(command(PROXY, "-t", "--config", path).status, 0, "-t")
        with Proxy("--config", path) as proxy, proxy.connect() as client:
            echoes(client)


def test_files_of_other_systems_quotes_and_long_names_are_read():
    name = "n" * 100
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0",
                                       target(server)) as first:
        text = CONFIG.format(to=target(server)) + "name = \"a ;b\" ; that\n"
        path = config_file(first.folder.name,
                           text.replace("[db]", f"[{name}] ; a comment")
                           .replace("\n", "\r\n"))
        with Proxy("--config", path) as proxy:
            equal(proxy.metric("connections_total", service="a ;b"), 0, "count")
            matches("".join(proxy.said),
                    rf"a ;b serves tcp://\S+ to {target(server)}\n")
        path = config_file(first.folder.name,
                           text.replace("name =", "; name =")
                           + f"[{name}2]\nlisten = tcp://127.0.0.1:0\n"
                             f"to = {target(server)}\n"
                             f"[{name}3]\nlisten = tcp://127.0.0.1:0\n"
                             f"to = {target(server)}\n")
        equal(command(PROXY, "-t", "--config", path).status, 0, "-t")


def test_a_wrong_file_is_told_with_its_line():
    with Proxy("tcp://127.0.0.1:0", "tcp://127.0.0.1:1") as proxy:
        folder = proxy.folder.name
        for text, wanted in (
                (CONFIG.format(to="tcp://127.0.0.1:1") + "weigth = 1\n",
                 r":7: there is no word 'weigth'; did you mean 'weight'\?"),
                (CONFIG.format(to="http://x"), r":4: .*tcp://"),
                (CONFIG.format(to="tcp://127.0.0.1:1") + "lifetime = 5\n",
                 r":7: lifetime: '5' has no unit; write 5ms for"),
                (CONFIG.format(to="tcp://127.0.0.1:1") + "idle-timeout = x\n",
                 r":7: idle-timeout: 'x' is not a time such as"),
                ("listen = tcp://:1\n", r":1: this word belongs into a sec"),
                ("[a]\nlisten = tcp://:1\n", r"has no target"),
                ("what\n", r":1: neither 'WORD = VALUE' nor"),
                ("; " + "x" * 1000 + "\nthreads = 1\nx" + "y" * 100 + "= 1\n",
                 r":3: there is no word 'xyyy"),
                ("threads = 1\r\n[a\r\n", r":2: a section is '\[NAME\]'"),
                ("threads = \"1\n", r":1: a quote lacks its other end"),
                ("threads = 1\n[a]\nto = \"tcp://x:1\" y\n", r":3: a quote"),
                ("threads = 1\0\n", r":1: a byte of the line is 0")):
            path = config_file(folder, text)
            outcome = command(PROXY, "-t", "--config", path)
            fails(outcome, wanted, 2)
            equal(outcome.err.count("\n"), 1, f"lines in {outcome.err!r}")


def test_values_have_variables_of_the_environment():
    def look(text, **variables):
        with tempfile.TemporaryDirectory() as folder:
            path = config_file(folder, text)
            return command(PROXY, "-t", "--config", path,
                           env=dict(os.environ, **variables))

    text = ("[a]\nlisten = tcp://${HERE}:${PORT:-0}\n"
            "check = text\nto = tcp://a.example:1\n"
            "check-send = ${not}${WORDS:-}$\n"
            .replace("${not}", "$not"))
    equal(look(text, HERE="127.0.0.1").err,
          "weir-proxy: the configuration is good\n", "with all of them")
    fails(look(text, HERE="127.0.0.1", PORT="x"),
          r":2: listen: 'tcp://127\.0\.0\.1:x': the port must be", 2)
    fails(look(text), r":2: the environment has no variable 'HERE'; "
                      r"\$\{HERE:-TEXT\} is TEXT then", 2)
    many = ",".join(f"tcp://127.0.0.1:{port}" for port in range(1, 400))
    equal(look(f"[a]\nlisten = tcp://127.0.0.1:0\nto = {many}\n").status, 0,
          "a long list")


def test_the_page_for_those_who_come_from_others_names_words_that_there_are():
    """And its first configuration is valid."""
    path = os.path.join(os.path.dirname(__file__),
                        "../../include/guide/from-haproxy.md")
    with open(path, encoding="utf-8") as file:
        page = file.read()
    known = command(PROXY, "--help").out
    named = set(re.findall(r"`([a-z][a-z-]*) = ", page))
    equal(len(named) > 30, True, f"words: {named}")
    equal({word for word in named if not re.search(rf"--{word}\s", known)} -
          # Of stunnel.
          {"accept", "connect", "cert", "client", "sni", "protocol"}, set(),
          "words that weir-proxy has not")
    with tempfile.TemporaryDirectory() as folder:
        text = re.search(r"```\n(admin = .*?)```", page, re.S)[1]
        outcome = command(PROXY, "-t", "--config", config_file(folder, text))
    equal(outcome.status, 0, outcome.err)


def test_what_is_seldom_meant_is_a_warning():
    with tempfile.TemporaryDirectory() as folder:
        path = config_file(
            folder, "[a]\nlisten = tcp://127.0.0.1:0\ncheck = 2s\n"
            "to = tcp://127.0.0.1:3306\nto = tcp://127.0.0.1:1,tcp://[::1]:2\n"
            "[b]\nlisten = tcp://127.0.0.1:0\n"
            "to = tcp://127.0.0.1:1\nweight = 2\nto = tcp://127.0.0.1:3306\n")
        outcome = command(PROXY, "-t", "--config", path)
    equal(outcome.status, 0, "exit status")
    matches(outcome.err, r":4: warning: 'tcp://127\.0\.0\.1:3306': MySQL and "
                         r"MariaDB count a check as a handshake")
    equal(outcome.err.count("warning"), 1, f"warnings in {outcome.err!r}")


def test_a_time_says_its_unit():
    for flag, value in (("--connect-timeout", "5000"), ("--drain", "30"),
                        ("--lifetime", "0.5")):
        fails(command(PROXY, "-t", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1",
                      flag, value),
              rf"{flag}: '{value}' has no unit; write {value}ms for "
              rf"milliseconds, {value}s for seconds", 2)
    for flag, value in (("--queue", "5:2"), ("--check", "2"),
                        ("--keepalive", "30")):
        fails(command(PROXY, "-t", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1",
                      flag, value), rf"{flag}: '{value}' is n", 2)
    outcome = command(PROXY, "-t", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1",
                      "--idle-timeout", "0", "--lifetime", "7d", "--drain",
                      "1m30s")
    equal(outcome.status, 0, outcome.err)


def test_wrong_flags_are_told():
    for flags, wanted in (
            ((), r"there is nothing to do"),
            (("tcp://:1",), r"has no target"),
            (("tcp://:1", "nothing"), r"'nothing' is not a target"),
            (("tls://:1", "tcp://a:1"), r"needs a certificate"),
            (("--blance", "x"), r"did you mean --balance"),
            (("--admin-token", "x"), "--admin-token was removed; use ctl"),
            (("tcp://:1", "tcp://a:1", "--balance", "best"),
             r"'best' is not roundrobin, leastconn, random, source, sni or first"),
            (("--weight", "1"), r"--weight: it comes after the 'to'"),
            (("--max-conns", "1"), r"listens nowhere"),
            (("--to", "tcp://a:1", "tcp://:1"), r"--to: it comes after the 'listen'"),
            (("--listen",), r"--listen needs a value"),
            (("tcp://:1", "tcp://a:1", "--trust", "10.0.0.0/8"),
             r"trust needs accept-proxy")):
        fails(command(PROXY, *flags), wanted, 2)


def test_flags_may_stand_before_the_addresses():
    with Server(echo) as server:
        outcome = command(PROXY, "-t", "--max-conns", "5", "--balance",
                          "leastconn", "--buffer", "32K", "tcp://127.0.0.1:0",
                          target(server), "--weight", "3")
    equal((outcome.status, outcome.out), (0, ""), f"with {outcome.err}")


def test_help_names_every_word():
    outcome = command(PROXY, "--help")
    equal((outcome.status, outcome.err), (0, ""), "the outcome")
    for word in ("--listen", "--to", "--balance", "--accept-proxy", "--cert",
                 "--handover", "--config"):
        matches(outcome.out, rf"^      {word}\b")
    assert max(map(len, outcome.out.splitlines())) < 80, "a long line"


def test_the_manual_page_has_every_word():
    told = set(re.findall(r"(?:^\.It Fl |, )-([a-z-]+)",
                          manual.page("weir-proxy.1"), re.M))
    equal(told ^ set(manual.helps(PROXY)), set(), "words that one of the two "
          "lacks")


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
        told = re.search(r"look at targets: ([\w, ]+), and how often", text,
                         re.I)
        equal(re.split(", | or ", told[1]),
              ["off", *(kind.lower() for kind in kinds)], text)


run(globals())
