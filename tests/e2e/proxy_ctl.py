"""An operator sends commands to a running weir-proxy through its Unix socket."""

import contextlib
import os
import re
import shutil
import socket
import stat
import struct
import sys
import tempfile
import threading

from harness import WAIT_S, Skip, command, equal, matches, read_line, run
from proxy_certificates import certificates
from proxy_checks_peers import GOOD, Checked, named, say
from proxy_wait import wait_until
from proxying import PROXY, Proxy, read_again, sees_a_reset, told
from servers import Server, echoes, free_port, read_exactly


class Pair:
    """A proxy with a file and two targets, a and b, and its socket."""

    def __init__(self, stack, *words, threads=2):
        self.folder = stack.enter_context(tempfile.TemporaryDirectory())
        self.port = free_port()
        self.a, self.b = (stack.enter_context(named(name))
                          for name in (b"a", b"b"))
        self.ctl = os.path.join(self.folder, "ctl")
        self.path = os.path.join(self.folder, "proxy.conf")
        with open(self.path, "w", encoding="ascii") as file:
            file.write("\n".join([
                f"ctl = {self.ctl}", f"handover = {self.folder}/handover",
                "[db]", f"listen = tcp://127.0.0.1:{self.port}", *words,
                f"to = tcp://127.0.0.1:{self.a.port}",
                f"to = tcp://127.0.0.1:{self.b.port}", ""]))
        self.proxy = stack.enter_context(self.start(threads=threads))

    def start(self, **options):
        return Proxy("--config", self.path, **options)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)

    def names(self, count=8):
        """Returns the targets of this many new connections."""
        found = set()
        for _ in range(count):
            with self.connect() as client:
                found.add(say(client).decode())
        return "".join(sorted(found))

    def order(self, *words, status=0):
        """Sends a command. Returns the output."""
        outcome = command(PROXY, "--ctl", self.ctl, *words)
        equal(outcome.status, status,
              f"exit code, with the words {outcome.out!r} {outcome.err!r}")
        equal(outcome.err if status == 0 else outcome.out, "", "the other")
        return outcome.out + outcome.err


def test_a_target_is_drained_and_ready_again():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        name = f"127.0.0.1:{pair.a.port}"
        with pair.connect() as one, pair.connect() as other:
            equal({say(one), say(other)}, {b"a", b"b"}, "in turn")
            for word, shown in (("drain", "draining"),
                                ("disable", "disabled")):
                equal(pair.order(word, f"db/{name}"),
                      f"db/{name}: {shown}, weight 1\n", "the answer")
                matches(told(pair.proxy, "operator"),
                        rf"by an operator \(uid {os.getuid()}\): {word} "
                        rf"db/{name}$")
                equal(pair.names(), "b", "new connections")
                matches(pair.proxy.get("/status")[1],
                        rf"(?m)^target\tdb\t\*\ttcp://{name}\t0\t.*\t{shown}$")
                matches(pair.order("status"),
                        rf"(?m)^db/{name} {shown}, weight 1, route \*, 1 ")
            equal({say(one), say(other)}, {b"a", b"b"}, "old connections")
        equal(pair.order("ready", f"*/tcp://{name}"),
              f"db/{name}: ready, weight 1\n", "the answer")
        equal(pair.names(), "ab", "new connections")


def test_a_target_that_stays_down_is_up_by_command():
    """The target's checks continue, and find it down again."""
    with contextlib.ExitStack() as stack:
        pair = Pair(stack, "check = 10ms", "check-timeout = 60s",
                    "check-rise = 99999999", "check-fall = 2")

        def fail():
            pair.a.stop_listening()
            wait_until(lambda: pair.proxy.metric("upstream_up") == 1)

        wait_until(lambda: pair.proxy.metric("upstream_checks_total") >= 2)
        port = pair.a.port
        fail()
        pair.a.listen_again()
        for word in "ready", "reload":
            pair.order(word, *([f"*/127.0.0.1:{port}"]
                               if word == "ready" else []))
            equal(pair.names(), "b", f"new connections after {word}")
        equal(pair.order("up", f"*/127.0.0.1:{port}"), "", "the answer")
        equal(pair.names(), "ab", "new connections")
        fail()
        equal(pair.names(), "b", "new connections after two bad checks")


def test_a_weight_holds_for_all_threads_until_ready():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack, threads=4)
        name = f"db/127.0.0.1:{pair.a.port}"
        pair.order("weight", name, "3")
        told_ = [pair.names(1) for _ in range(40)]
        equal((told_.count("a"), told_.count("b")), (30, 10), "shares")
        pair.order("weight", name, "0")
        equal(pair.names(), "b", "without weight")
        pair.order("ready", name)
        told_ = [pair.names(1) for _ in range(40)]
        equal((told_.count("a"), told_.count("b")), (20, 20), "shares")


def test_connections_are_cut():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        clients = [stack.enter_context(pair.connect()) for _ in range(8)]
        names = [say(client) for client in clients]
        equal(pair.order("cut", f"db/127.0.0.1:{pair.a.port}"),
              "4 connections were reset\n", "the answer")
        for client, name in zip(clients, names):
            if name == b"b":
                equal(say(client), b"b", "of the other target")
                continue
            sees_a_reset(client)
        equal(pair.names(), "ab", "new connections")
        wait_until(lambda: pair.proxy.metric("connections_active") == 4)
        equal(pair.proxy.metric("close_total", reason="target-down"), 4, "reasons")


def test_one_that_is_disabled_is_not_checked_and_one_that_is_drained_is():
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ctl = os.path.join(folder, "ctl")
        one, two = (stack.enter_context(Checked(GOOD)) for _ in range(2))
        proxy = stack.enter_context(Proxy(
            "--listen", "tcp://127.0.0.1:0", "--name", "db", "--ctl", ctl,
            "--check", "http", "--check", "20ms", "--check-timeout", "60s",
            "--to", one.url, "--to", two.url, threads=3))
        client = stack.enter_context(proxy.connect())
        echoes(client)

        def checks_go_on(server):
            before = len(server.requests)
            wait_until(lambda: len(server.requests) > before + 4)

        def order(word):
            outcome = command(PROXY, "--ctl", ctl, word,
                              f"db/127.0.0.1:{one.port}")
            equal(outcome.status, 0, "exit code")

        checks_go_on(one)
        order("drain")
        checks_go_on(one)
        order("disable")
        before = len(one.requests)
        checks_go_on(two)
        checks_go_on(two)
        equal(len(one.requests) - before <= 1, True, "none but one under way")
        before = len(one.requests)
        read_again(proxy)
        checks_go_on(two)
        equal(len(one.requests) - before <= 1, True, "after a reload, too")
        echoes(client)
        order("ready")
        checks_go_on(one)


def test_clients_whose_connection_is_being_made_are_cut():
    """The target accepts, but does not answer the handshake."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ctl = os.path.join(folder, "ctl")
        silent = stack.enter_context(Server(lambda sock, _: sock.recv(0x10000)
                                            and sock.recv(1)))
        proxy = stack.enter_context(Proxy(
            "--listen", "tcp://127.0.0.1:0", "--name", "db", "--ctl", ctl,
            "--to-insecure", "--connect-timeout", "10m", "--to",
            f"tls://127.0.0.1:{silent.port}", threads=2))
        clients = [stack.enter_context(proxy.connect()) for _ in range(5)]
        wait_until(lambda: silent.accepted == 5)
        outcome = command(PROXY, "--ctl", ctl, "cut",
                          f"db/127.0.0.1:{silent.port}")
        equal(outcome.out, "5 connections were reset\n", "the answer")
        for client in clients:
            sees_a_reset(client)
        wait_until(lambda: proxy.metric("connections_active") == 0)
        proxy.stop_by(["target-down"] * 5)


def test_orders_outlive_reloads_and_replacements():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        a = f"db/127.0.0.1:{pair.a.port}"
        pair.order("drain", a)
        pair.order("weight", f"db/127.0.0.1:{pair.b.port}", "7")
        with pair.connect() as old:  # of the first setup
            equal(say(old), b"b", "the target")
            equal(pair.order("reload"), "", "the answer")
            told(pair.proxy, "the configuration was read again")
            equal(pair.names(), "b", "after a reload")
        for _ in range(2):
            proxy = stack.enter_context(pair.start(admin=False, threads=3))
            equal(pair.names(), "b", "after a replacement")
            matches(pair.order("status"), rf"(?m)^{a} draining, weight 1, .*\n"
                    rf"db/127.0.0.1:{pair.b.port} up, weight 7,")
            read_again(proxy)
            equal(pair.names(), "b", "after a reload of it")
        equal(pair.proxy.finish(2 * WAIT_S)[0], 0, "exit status of the first")
        pair.order("ready", a)
        equal(pair.names(16), "ab", "when it is ready")


def test_orders_hold_whatever_the_tls_of_the_target_is():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)

        def write(authority):
            with open(pair.path, "w", encoding="ascii") as file:
                file.write("\n".join([
                    f"ctl = {pair.ctl}", f"handover = {pair.folder}/handover",
                    "[db]", f"listen = tcp://127.0.0.1:{pair.port}",
                    f"to-ca = {authority}", "to-name = db.test",
                    "to = tls://127.0.0.1:9", ""]))

        one = certificates()["ca"]
        other = shutil.copy(one, os.path.join(pair.folder, "other.pem"))
        write(one)
        pair.order("reload")
        pair.order("drain", "db/127.0.0.1:9")
        write(other)
        stack.enter_context(pair.start(admin=False))
        pair.proxy.finish(2 * WAIT_S)
        matches(pair.order("status"), r"(?m)^db/127.0.0.1:9 draining,")


def test_a_socket_of_another_program_stays():
    """The predecessor has none, or one elsewhere."""
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        other = os.path.join(pair.folder, "other")
        with open(pair.path, encoding="ascii") as file:
            text = file.read()
        with open(pair.path, "w", encoding="ascii") as file:
            file.write(text.replace(f"ctl = {pair.ctl}", f"ctl = {other}"))
        with socket.socket(socket.AF_UNIX) as program:
            program.bind(other)
            program.listen()
            before = os.stat(other).st_ino
            outcome = command(PROXY, "--config", pair.path)
            equal(outcome.status, 1, "exit code")
            matches(outcome.err, "ctl: .*/other: .* in use")
            equal(os.stat(other).st_ino, before, "the file")
            equal(pair.names(), "ab", "targets of the one before")


def test_a_command_whose_sender_has_gone_is_dropped():
    """The command had to wait for a successor that sent nothing."""
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        name = f"db/127.0.0.1:{pair.a.port}"
        with socket.socket(socket.AF_UNIX) as successor:
            successor.connect(os.path.join(pair.folder, "handover"))
            successor.recv(1)
            with socket.socket(socket.AF_UNIX) as sender:
                sender.connect(pair.ctl)
                sender.sendall(f"drain {name}\n".encode())
                # This command is read before the one that is answered.
                pair.order("status")
        told(pair.proxy, "the new proxy has disconnected; this proxy continues to serve")
        told(pair.proxy, f"has disconnected: drain {name} is dropped")
        matches(pair.order("status"), rf"(?m)^{name} up,")


def take_all(successor):
    """Returns what a proxy sends to its successor, to the last byte."""
    while (kind := read_exactly(successor, 1)) != b".":
        if kind in b"SKW":
            count, size = struct.unpack("=QQ", read_exactly(successor, 16))
            read_exactly(successor, count * size)


def test_a_command_that_waited_while_a_successor_started_is_refused():
    """The proxy that got it no longer serves new connections."""
    for words in "drain {}", "reload":
        with contextlib.ExitStack() as stack:
            pair = Pair(stack)
            sockets = [stack.enter_context(socket.socket(socket.AF_UNIX))
                       for _ in range(2)]
            for sock, name in zip(sockets, ("handover", "ctl")):
                sock.settimeout(WAIT_S)
                sock.connect(os.path.join(pair.folder, name))
            successor, operator = sockets
            take_all(successor)
            operator.sendall((words.format(f"db/127.0.0.1:{pair.a.port}")
                              + "\n").encode())
            pair.order("status") # the other one is read before it
            successor.sendall(b"R")
            answer = b""
            while part := operator.recv(200):
                answer += part
            matches(answer.decode(), r"^1\nanother proxy serves now")
            equal(pair.proxy.finish(2 * WAIT_S)[0], 0, "exit status")


def test_mistakes_are_told_and_change_nothing():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        name = f"db/127.0.0.1:{pair.a.port}"
        for words, status, why in (
                (["drian", name], 2, "unknown command 'drian'; did you mean 'drain'"),
                (["drain"], 2, "it is 'drain TARGET'"),
                (["weight", name], 2, "it is 'weight TARGET N'"),
                (["weight", name, "257"], 2, "'257' is not a weight from 0 to 25"),
                (["weight", name, "-1"], 2, "is not a weight"),
                (["drain", "db/127.0.0.1:1"], 1, "there is no target 'db/127"),
                (["drain", "bd" + name[2:]], 1, f"did you mean '{name}'"),
                (["drain", "*"], 1, "there is no target"),
                (["status", "now"], 2, "it is 'status'"),
                (["x" * 2000], 2, "--ctl PATH COMMAND")):
            matches(pair.order(*words, status=status), why)
        matches(pair.order("help"), r"(?m)^drain +TARGET +send it no new connections")
        equal(pair.names(), "ab", "new connections")
        with open(pair.path, "a", encoding="ascii") as file:
            file.write("wieght = 1\n")
        matches(pair.order("reload", status=1), "did you mean 'weight'")
        outcome = command(PROXY, "--ctl", "/nowhere/ctl", "status")
        equal(outcome.status, 1, "exit code without a proxy")
        matches(outcome.err, "/nowhere/ctl: No such file")


def test_its_owner_alone_may_command():
    if os.geteuid() != 0:
        raise Skip("only root can be somebody else")
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        equal(stat.S_IMODE(os.stat(pair.ctl).st_mode), 0o600, "its mode")
        os.chmod(pair.folder, 0o755)
        os.chmod(pair.ctl, 0o666)  # any user may connect
        outcome = command(sys.executable, "-c", f"""
import os, socket
os.setuid(65534)
sock = socket.socket(socket.AF_UNIX)
sock.connect({pair.ctl!r})
try:
    sock.sendall(b"drain db/127.0.0.1:{pair.a.port}\\n")
    print(sock.recv(100))
except ConnectionError:
    print("refused")
""")
        equal(outcome.out in ("refused\n", "b''\n"), True, outcome.out)
        told(pair.proxy, "ctl: a process of another user was refused")
        equal(pair.names(), "ab", "new connections")


def raw(pair, data):
    """Returns the response to these bytes, which may not be read to the end."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT_S)
        client.connect(pair.ctl)
        with contextlib.suppress(BrokenPipeError):
            client.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(4096):
                answer += part
    return answer


def test_who_says_nothing_or_nonsense_keeps_nobody_out():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        idle = []
        for _ in range(1000):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(pair.ctl)
            idle.append(client)
        matches(pair.order("status"), "up, weight 1")
        for data, wanted in ((b"\n", b"2\nit is not a command"),
                             (b"status\x00\n", b"2\nit has bytes that are no"),
                             (b"a" * 5000 + b"\n", b"2\na command has 1024"),
                             (b"a b c d e f\n", b"2\nit is not a command"),
                             (b"status\nstatus\n", b"0\ndb/")):
            equal(raw(pair, data)[:len(wanted)], wanted, f"{data[:20]}")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(pair.ctl)
            client.sendall(b"stat")  # and the end
        matches(pair.order("status"), "up, weight 1")


def test_what_would_change_is_said_before():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)

        def look():
            outcome = command(PROXY, "-t", "--config", pair.path)
            equal(outcome.status, 0, f"exit code, with {outcome.err!r}")
            return [line.removeprefix("weir-proxy: ") for line in
                    outcome.err.splitlines()]

        equal(look(), [f"the proxy that serves {pair.ctl} has the same",
                       "the configuration is good"], "without a change")
        with open(pair.path, encoding="ascii") as file:
            text = file.read()
        with open(pair.path, "w", encoding="ascii") as file:
            file.write(text.replace(
                "[db]", "drain = 5s\n[db]\nidle-timeout = 1m").replace(
                f"to = tcp://127.0.0.1:{pair.b.port}\n",
                "to = tcp://127.0.0.1:9\nweight = 2\n"
                "listen = tcp://127.0.0.1:0\nto = tcp://127.0.0.1:9\n"))
        a, b = "a reload would ", "[db] target 2: "
        other = "[tcp://127.0.0.1:0] "  # has no name
        changes = [("add", "[db] idle-timeout = 1m"), ("add", "drain = 5s"),
                   ("add", f"{other}listen = tcp://127.0.0.1:0"),
                   ("add", f"{other}target 1: to = tcp://127.0.0.1:9"),
                   ("add", f"{b}to = tcp://127.0.0.1:9"),
                   ("add", f"{b}weight = 2"),
                   ("remove", f"{b}to = tcp://127.0.0.1:{pair.b.port}")]
        equal(sorted(look()), sorted([
            *(f"{a}{verb}: {line}" for verb, line in changes),
            "the configuration is good"]), "with a change")
        pair.order("reload")
        for verb, line in sorted(changes, key=lambda change: change[1]):
            told(pair.proxy, f"{verb.removesuffix('e')}ed: {line}")
        equal(len(look()), 2, "lines after it was read")
        pair.proxy.stop()
        equal(look(), ["the configuration is good"], "without a proxy")


def test_the_order_of_targets_and_bytes_of_files_are_what_would_change():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        certs = os.path.join(pair.folder, "certs")
        os.mkdir(certs)
        names = shutil.copy(certificates()["proxy"], f"{certs}/one.pem")
        networks = os.path.join(pair.folder, "networks")

        def write(words=(), first="127.0.0.1:1", second="127.0.0.1:2", secret="secret", turn=1):
            with open(pair.path, "w", encoding="utf-8") as file:
                file.write("\n".join([
                    f"ctl = {pair.ctl}", f"handover = {pair.folder}/handover",
                    "[db]",
                    f"listen = tls://127.0.0.1:{pair.port}",
                    f"cert = {certs}", f"client-deny = @{networks}",
                    "check = text", "check = 60s",
                    *[f"check-send = AUTH {secret}", "check-expect = OK"][::turn],
                    f"to = tcp://{first}", f"to = tcp://{second}", *words,
                    "route = a.test", "to = tcp://127.0.0.1:3", ""]))

        def change(path, text):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)

        def look(wanted=""):
            outcome = command(PROXY, "-t", "--config", pair.path)
            equal(outcome.status, 0, f"exit code, with {outcome.err!r}")
            matches(outcome.err, wanted)
            equal("secret" in outcome.err, False, "a secret")
            equal(re.search(" = bytes [0-9a-f]+$", outcome.err, re.M), None, "a hash")
            return sum("a reload would " in line for line in outcome.err.splitlines())

        change(networks, "192.0.2.0/24\n")
        write()
        proxy = stack.enter_context(pair.start(admin=False))
        pair.proxy.finish(2 * WAIT_S)
        equal(look(), 0, "lines without a change")
        equal("secret" in pair.order("facts"), False, "a secret")
        write(first="127.0.0.1:2", second="127.0.0.1:1")
        equal(look(), 4, "lines with another order")
        write(secret="secret2")
        equal(look(), 2, "lines with another secret")
        write(turn=-1)
        equal(look(), 2, "lines with another order of steps")
        matches(pair.order("facts"), r"\[db\] route 1, a.test: target 1: to = ")
        many = ["client-conns = 9", "client-share = xy = bytes " + "\u00f6" * 800]
        write(words=many)
        pair.order("reload")
        told(proxy, "added: [db] client-share")
        equal(["..." in read_line(proxy.process.stderr) for _ in range(3)],
              [True, True, False], "lines after the first piece of a long value")
        write(words=[*many[:-1], many[-1] + "9"])
        equal(look("add: \\.\\.\\.\u00f6{16}9$"), 10, "pieces with another end of the value")
        for change_it in (lambda: change(networks, "192.0.2.1\n"),
                          lambda: shutil.copy(certificates()["a"], names)):
            before = look()
            change_it()
            equal(look() > before, True, "a file with other bytes")
        write(secret="secret2")
        pair.order("reload")
        for what in "[db] check-send", f"file {names}", f"file {networks}":
            equal(told(proxy, f"ed: {what}").split(": ")[2], f"{what}\n", "the line in the journal")


def test_commands_at_the_same_time_all_hold():
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        outcomes = []

        def work(number):
            target = pair.a if number % 2 else pair.b
            words = (["reload"] if number % 5 == 0 else
                     ["weight", f"db/127.0.0.1:{target.port}", str(number)])
            outcomes.append(command(PROXY, "--ctl", pair.ctl, *words).status)

        threads = [threading.Thread(target=work, args=(number,))
                   for number in range(1, 21)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            pair.names(2)
        equal(outcomes, [0] * 20, "exit codes")


run(globals())
