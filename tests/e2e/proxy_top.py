"""The state of a running weir-proxy: /status, and `weir-proxy --top` on a terminal and
elsewhere."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from harness import WAIT_S, Program, Skip, command, equal, fails, matches, run
from proxying import PROXY, Proxy, target
from servers import Refusing, Server, echo, read_exactly


def where(proxy):
    return proxy.admin.removeprefix("http://")


def status(proxy, kind):
    """Returns the lines of a kind, as lists of their other words."""
    code, text = proxy.get("/status")
    equal(code, 200, "status of /status")
    lines = [line.split("\t") for line in text.splitlines()]
    return [words[1:] for words in lines if words[0] == kind]


def exchange(client, size):
    client.sendall(bytes(size))
    read_exactly(client, size)


def test_the_status_tells_services_targets_and_connections():
    with Server(echo) as server, Refusing() as refusing, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--name", "db", "--to",
            target(server), "--to", target(refusing), "--backup",
            threads=2) as proxy, proxy.connect() as client:
        exchange(client, 1000)
        (threads, state, *_, limit), = status(proxy, "proxy")
        equal((threads, state), ("2", "serves"), "the proxy")
        equal(float(limit), proxy.metric("memory_limit_bytes"), "the limit")
        equal(status(proxy, "service"), [["db", "1", "0", "1", "0"]],
              "services")
        equal([words[:6] for words in status(proxy, "target")],
              [["db", "*", target(server), "1", "1", "1"],
               ["db", "*", target(refusing), "1", "0", "0"]], "targets")
        line, = status(proxy, "connection")
        host, port = client.getsockname()
        equal(line[:4], [f"{host}:{port}", "db", f"127.0.0.1:{server.port}",
                         "relayed"], "the connection")
        equal(line[5:], ["1000", "1000"], "its bytes")


def test_the_connections_with_most_bytes_are_told_and_no_more_than_fifty():
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(echo))
        proxy = stack.enter_context(Proxy("tcp://127.0.0.1:0", target(server),
                                          threads=2))
        for number in range(60):
            client = stack.enter_context(proxy.connect())
            exchange(client, 1 + number * 7 % 60)
        told = [int(line[5]) for line in status(proxy, "connection")]
        equal(told, list(range(60, 10, -1)), "bytes")


def test_who_has_not_sent_a_header_is_told_as_opening():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--accept-proxy", "any") as proxy:
        with proxy.connect():
            while not status(proxy, "connection"):
                pass
            line, = status(proxy, "connection")
            equal(line[2:4], ["-", "opening"], "target and state")


def test_names_cannot_speak_to_the_terminal():
    with Server(echo) as server, Proxy(
            "--listen", "tcp://127.0.0.1:0", "--name", "a\033[2J\tb\nc",
            "--to", target(server)) as proxy:
        equal(status(proxy, "service")[0][0], "a?[2J?b?c", "the name")
        outcome = command(PROXY, "--top", where(proxy))
        equal("\033" in outcome.out, False, outcome.out)


def test_elsewhere_than_on_a_terminal_top_is_written_once():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--memory-limit", "16M") as proxy:
        with proxy.connect() as client:
            exchange(client, 10)
            for flags in (("--top", where(proxy)), ("--top=" + where(proxy),),
                          ("--admin", where(proxy), "--top")):
                outcome = command(PROXY, *flags)
                equal((outcome.status, outcome.err), (0, ""), "the outcome")
                matches(outcome.out, r"^weir-proxy at \S+ serves by 1 threads")
                matches(outcome.out, r", 0 B of 16 MiB wait, ")
                matches(outcome.out, rf"^{target(server)} +1 +up +- +1 +0 ")
                matches(outcome.out, r"^127\.0\.0\.1:\d+ .* 10 B +10 B ")


def test_top_tells_why_it_has_no_answer():
    def say_something_else(connection, _number):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n\033[2Jhello\n")

    with Server(say_something_else) as server, Refusing() as refusing:
        for address, why in ((f"127.0.0.1:{server.port}", r"Bad message"),
                             (f"127.0.0.1:{refusing.port}", r"refused")):
            fails(command(PROXY, "--top", address), why)
    fails(command(PROXY, "--top", "nothing"),
          r"^weir-proxy: --top: 'nothing' is not an address", 2)
    outcome = command(PROXY, "--top")
    equal(outcome.status, 2, "exit status without an address")


class Terminal:
    """`weir-proxy --top` on a terminal of this size."""

    def __init__(self, proxy, rows=24, columns=80):
        try:
            self.master, self.slave = pty.openpty()
        except OSError as error:
            raise Skip(f"no terminal to be had: {error}") from error
        self.seen = ""
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(self.slave)
        self.program = Program(PROXY, "--top", where(proxy), stdin=self.slave,
                               stdout=self.slave,
                               preexec_fn=self.take)

    def take(self):
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.program.__exit__(*rest)
        os.close(self.master)
        os.close(self.slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def frames(self):
        """Returns what was drawn each time, as lists of lines."""
        return [re.sub(r"\033\[\??\w*", "", frame).splitlines()
                for frame in re.findall(r"\033\[H(.*?)\033\[J", self.seen,
                                        re.S)]

    def wait_for(self, condition):
        """Waits until the last frame is like this."""
        end = time.monotonic() + WAIT_S
        while not (self.frames() and condition(self.frames()[-1])):
            ready = select.select([self.master], [], [],
                                  max(end - time.monotonic(), 0))[0]
            assert ready, f"not drawn: {self.seen[-4000:]!r}"
            self.seen += os.read(self.master, 65536).decode()

    def ends(self):
        """It has exited in order and left the terminal as it was."""
        equal(self.program.finish()[0], 0, "exit status")
        equal(termios.tcgetattr(self.slave), self.modes, "the modes")
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536).decode()
        equal(self.seen.rstrip("^C").endswith("\033[?25h\033[?1049l"), True,
              f"the end {self.seen[-40:]!r}")


def has(pattern):
    return lambda frame: any(re.search(pattern, line) for line in frame)


def test_on_a_terminal_top_shows_rates_and_ends_by_a_key():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server)) as proxy, Terminal(
                proxy) as terminal:
        terminal.wait_for(has(rf"^{target(server)} +0 +up +- "))
        with proxy.connect() as client:
            exchange(client, 100_000)
            terminal.wait_for(has(r"^127\.0\.0\.1:\d+ .* 97\.\d KiB"))
            terminal.wait_for(has(r"^SERVICE"))
            terminal.wait_for(has(rf"^{target(server)} +1 +up +\d+\.\d "))
        terminal.wait_for(has(rf"^{target(server)} +0 "))
        os.write(terminal.master, b"xq")
        terminal.ends()


def test_top_fits_the_terminal_and_follows_its_size():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server)) as proxy, Terminal(
                proxy, 3, 30) as terminal:
        terminal.wait_for(lambda frame: len(frame) == 3
                          and max(map(len, frame)) == 30)
        proxy.pause()  # nothing is drawn in reply
        terminal.resize(24, 120)
        terminal.wait_for(lambda frame: max(map(len, frame)) > 80
                          and frame[0].startswith("weir-proxy at "))
        proxy.signal(signal.SIGCONT)
        terminal.program.signal(signal.SIGINT)
        terminal.ends()


def test_top_goes_on_when_the_proxy_has_gone():
    with Server(echo) as server:
        with Proxy("tcp://127.0.0.1:0", target(server)) as proxy:
            terminal = Terminal(proxy)
            terminal.wait_for(has(r"^weir-proxy at "))
        with terminal:
            terminal.wait_for(has(r"^127\.0\.0\.1:\d+: Connection refused"))
            os.write(terminal.master, b"\3")
            terminal.ends()


run(globals())
