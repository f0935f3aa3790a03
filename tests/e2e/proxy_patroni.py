"""weir-proxy in front of PostgreSQL, with the guide's configuration for Patroni: two
servers, one of which follows the other, a replacement for Patroni's REST API, and
clients that write without pauses.

The leader is replaced repeatedly, in order or because it hangs, while the proxy is also
replaced, or restarted. No write reaches a replica. Five times, or fifty with
WEIR_LONG=1.
"""

import contextlib
import http.server
import os
import pathlib
import random
import re
import tempfile
import threading

from harness import LONG, SHORT, WAIT_S, equal, run
from postgresql import READ_ONLY, Client, Refusal, Server
from proxy_wait import wait_until
from proxying import Proxy
from servers import free_port, serving

ROUNDS = 50 if LONG else 2 if SHORT else 5
WRITERS = 4
HOSTS = "127.0.0.1", "127.0.0.2"
GUIDE = pathlib.Path(__file__).parents[2] / "include/guide/from-haproxy.md"


class Rest(http.server.ThreadingHTTPServer):
    """Reports which server is the leader, like Patroni."""

    def __init__(self, host, port):
        super().__init__((host, port), Answering)
        self.is_leader = False

    def handle_error(self, *_):
        """A check has ended before its answer, with its proxy."""


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        wanted = {"/primary": True, "/replica": False}[self.path]
        self.send_response(200 if self.server.is_leader == wanted else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Cluster:
    """Both servers, and the report of the leader."""

    def __init__(self, stack, folder):
        self.port = free_port()
        self.rest_port = free_port()
        self.servers = [stack.enter_context(Server(folder, host, self.port))
                        for host in HOSTS]
        self.rests = [Rest(host, self.rest_port) for host in HOSTS]
        for rest in self.rests:
            stack.enter_context(serving(rest))
            stack.callback(rest.server_close)
        self.leader = 0
        self.servers[0].make()
        self.servers[0].start()
        self.servers[0].ask("CREATE TABLE writes (writer int, number int)")
        self.servers[1].follow(self.servers[0])
        self.rests[0].is_leader = True

    def replace_leader(self, hangs):
        old, new = self.leader, 1 - self.leader
        self.rests[old].is_leader = False
        if hangs:
            self.servers[old].hang()
        else:
            self.servers[old].stop()
        equal(self.servers[new].ask("SELECT pg_promote()"), [b"t"], "promoted")
        self.rests[new].is_leader = True
        self.leader = new

    def let_follow(self):
        """The replaced leader follows the new one."""
        old = self.servers[1 - self.leader]
        if old.program:
            old.kill()
        old.follow(self.servers[self.leader])


class Writer(threading.Thread):
    """Writes until it is stopped, and reconnects after each error."""

    def __init__(self, number, port):
        super().__init__()
        self.number = number
        self.port = port
        self.written = 0
        self.errors = []
        self.is_over = False

    def write(self):
        with Client("127.0.0.1", self.port) as client:
            while not self.is_over:
                client.ask("INSERT INTO writes VALUES "
                           f"({self.number}, {self.written})")
                self.written += 1

    def run(self):
        while not self.is_over:
            try:
                self.write()
            except Refusal as error:
                self.errors.append(str(error))
            except TimeoutError:
                self.errors.append("it hangs")
            except OSError:
                pass


def configuration(cluster, listen):
    """Returns the guide's configuration, with this machine's addresses, and without
    pauses between checks."""
    text = re.search(r"### Patroni.*?```ini\n(.*?)```", GUIDE.read_text(),
                     re.DOTALL)[1]
    text = re.sub(r"to = tcp://10.0.0.3:5432\n", "", text)
    for old, new in (("tcp://:5000", f"tcp://127.0.0.1:{listen}"),
                     ("10.0.0.1:5432", f"{HOSTS[0]}:{cluster.port}"),
                     ("10.0.0.2:5432", f"{HOSTS[1]}:{cluster.port}"),
                     ("8008", str(cluster.rest_port)),
                     ("check = 1s", "check = 50ms")):
        assert old in text, f"the guide has no {old}"
        text = text.replace(old, new)
    return text


class Proxies:
    """The serving proxy, which is replaced, or restarted."""

    def __init__(self, stack, folder, text):
        self.stack = stack
        path = os.path.join(folder, "proxy.ini")
        pathlib.Path(path).write_text(text, encoding="ascii")
        self.flags = ("--config", path, "--handover",
                      os.path.join(folder, "handover"), "--drain", "1s")
        self.now = self.start()
        self.reasons = []

    def start(self):
        return self.stack.enter_context(Proxy(*self.flags, threads=2))

    def replace(self):
        old = self.now
        self.now = self.start()
        equal(old.finish(2 * WAIT_S)[0], 0, "exit status")
        self.reasons += old.reasons()

    def restart(self):
        self.now.stop()
        self.reasons += self.now.reasons()
        self.now = self.start()


def test_no_write_reaches_a_replica():
    seed = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32))
    print(f"# WEIR_TEST_SEED={seed}, {ROUNDS} rounds")
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, \
            contextlib.ExitStack() as stack:
        os.chmod(folder, 0o777)
        listen = free_port()
        cluster = Cluster(stack, folder)
        proxies = Proxies(stack, folder, configuration(cluster, listen))
        writers = [Writer(number, listen) for number in range(WRITERS)]
        for writer in writers:
            writer.start()

        def write_more():
            before = [writer.written for writer in writers]
            wait_until(lambda: all(
                writer.written > old + 10
                for writer, old in zip(writers, before)))

        try:
            write_more()
            for number in range(ROUNDS):
                act = dice.choice((proxies.replace, proxies.restart, None))
                moment = dice.randrange(3)
                for at in range(3):
                    if act and at == moment:
                        act()
                    if at == 0:
                        cluster.replace_leader(hangs=number % 2 == 1)
                    elif at == 1:
                        write_more()
                cluster.let_follow()
                write_more()
        finally:
            for writer in writers:
                writer.is_over = True
            for writer in writers:
                writer.join()
        proxies.now.stop()
        errors = [error for writer in writers for error in writer.errors]
        print(f"# {sum(writer.written for writer in writers)} writes, refused: "
              f"{ {code: errors.count(code) for code in set(errors)} }")
        equal(errors.count(READ_ONLY), 0, "writes that a replica refused")
        equal(errors.count("it hangs"), 0, "writes that hang with a server")
        equal([server.refused_writes() for server in cluster.servers], [0, 0],
              "writes in the logs of replicas")
        equal("target-down" in proxies.reasons + proxies.now.reasons(), True,
              "connections of leaders that hang are cut")


run(globals())
