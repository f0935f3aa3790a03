"""SIGHUP: a running weir-proxy reads the whole configuration again. Changes apply to
new connections, and nothing is lost: no connection, no count, no knowledge about a
target."""

import contextlib
import os
import signal
import socket
import tempfile

from harness import LONG, WAIT_S, equal, matches, run
from proxy_certificates import Secured, certificates, make_certificate
from proxy_checks_peers import BAD, Checked, named, say
from proxy_churn import Churn
from proxy_wait import wait_until
from proxying import Proxy, files_of, read_again, sees_a_reset, target, told
from servers import Server, echo, echoes, free_port, read_exactly


def ask(port):
    """Returns the name of the server for a new connection."""
    with socket.create_connection(("127.0.0.1", port),
                                  timeout=WAIT_S) as client:
        return say(client)


class Written:
    """A proxy with a file, which can be rewritten."""

    def __init__(self, text, **options):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "proxy.conf")
        self.write(text)
        self.proxy = Proxy("--config", self.path, **options)

    def write(self, text):
        with open(self.path, "w", encoding="ascii") as file:
            file.write(text)

    def reload(self, text, answer="the configuration was read again"):
        self.write(text)
        self.proxy.said.clear()
        self.proxy.signal(signal.SIGHUP)
        return told(self.proxy, answer)

    def __enter__(self):
        self.proxy.__enter__()
        return self

    def __exit__(self, *rest):
        try:
            self.proxy.__exit__(*rest)
        finally:
            self.folder.cleanup()


def service(name, port, to, *words):
    return "\n".join([f"[{name}]", f"listen = tcp://127.0.0.1:{port}",
                      *words, f"to = tcp://127.0.0.1:{to}", ""])


# ---- what changes, and what stays ----

def test_a_target_is_checked_with_the_new_tls_beside_old_connections():
    """The old services exist as long as any of their connections."""
    with Server(echo) as plain, Secured(
            echo, "a") as secure:
        ports = [free_port() for _ in range(2)]
        other = make_certificate("else", "Another Authority")

        def text(authority):
            return service("echo", ports[0], plain.port) + "\n".join([
                "[web]", f"listen = tcp://127.0.0.1:{ports[1]}",
                "check = tls", "check = 50ms", "check-timeout = 60s",
                "check-fall = 1", "check-rise = 1", "to-name = a.test",
                f"to-ca = {authority}",
                f"to = tls://127.0.0.1:{secure.port}", ""])

        with Written(text(other)) as written:
            def is_up():
                return written.proxy.metric("upstream_up", service="web")
            with socket.create_connection(("127.0.0.1", ports[0])) as old:
                echoes(old)
                wait_until(lambda: is_up() == 0)
                written.reload(text(certificates()["ca"]))
                wait_until(lambda: is_up() == 1)
                written.reload(text(other))
                wait_until(lambda: is_up() == 0)
                echoes(old)


def test_services_come_go_and_change_and_connections_keep_theirs():
    ports = [free_port() for _ in range(3)]
    with named(b"1") as one, named(b"2") as two, Written(
            service("a", ports[0], one.port) +
            service("b", ports[1], one.port), threads=2) as written:
        proxy = written.proxy
        with socket.create_connection(("127.0.0.1", ports[0])) as a, \
                socket.create_connection(("127.0.0.1", ports[1])) as b:
            equal((say(a), say(b)), (b"1", b"1"), "before")
            written.reload(service("a", ports[0], two.port) +
                           service("c", ports[2], two.port))
            equal([ask(ports[0]), ask(ports[2])], [b"2", b"2"], "new ones")
            equal((say(a), say(b)), (b"1", b"1"), "those of before")
            with contextlib.suppress(ConnectionRefusedError):
                ask(ports[1])
                raise AssertionError("an address that is gone is served")
        wait_until(lambda: proxy.metric("connections_active") == 0)
        equal(proxy.metric("connections_total", service="a"), 2,
              "connections of a service that has changed")
        equal(proxy.metric("connections_total", service="b"), 0,
              "those of one that is gone")


def test_settings_of_a_connection_are_those_that_it_began_with():
    port = free_port()
    with Server(echo) as server, Written(
            service("a", port, server.port)) as written:
        with socket.create_connection(("127.0.0.1", port)) as before:
            echoes(before)
            written.reload(service("a", port, server.port,
                                   "idle-timeout = 50ms"))
            with socket.create_connection(("127.0.0.1", port),
                                          timeout=WAIT_S) as after:
                sees_a_reset(after)
            echoes(before)


def test_what_is_wrong_changes_nothing_and_is_said_in_one_line():
    port = free_port()
    with Server(echo) as server, socket.create_server(
            ("127.0.0.1", 0)) as taken, Written(
                service("a", port, server.port)) as written:
        good = service("a", port, server.port)
        other = service("b", taken.getsockname()[1], server.port)
        for text, why in (
                (good + "wieght = 3\n", r"proxy\.conf:4: unknown directive "
                 r"'wieght'; did you mean 'weight'\?"),
                ("", r"no service|there is no"),
                (good + "weight = many\n", r"proxy\.conf:4: weight"),
                (good + other, r"Address already in use"),
                (good + other.replace("127.0.0.1", "a" * 64 + ".test", 1),
                 r": tcp://a{64}\.test:\d+: Name or service not known;"),
                ("log = /nowhere/log\n" + good, r"/nowhere/log: No such file"),
                (service("a", port, server.port, "client-allow = @/nowhere"),
                 r"/nowhere")):
            line = written.reload(text, "weir-proxy: ")
            matches(line, why)
            matches(line, r"; the previous configuration stays in force$")
            equal(written.proxy.metric("reload_done"), 0, "the last reload")
            with socket.create_connection(("127.0.0.1", port)) as client:
                echoes(client)
        written.reload(good)
        equal(written.proxy.metric("reload_done"), 1, "the last reload")


def test_what_a_process_keeps_is_said():
    port = free_port()
    with Server(echo) as server, Written(
            service("a", port, server.port)) as written:
        line = written.reload("handover = /nowhere/socket\n" +
                              service("a", port, server.port),
                              "needs a new process")
        matches(line, r"a change of handover needs a new process")


# ---- what goes on ----

def test_counts_of_services_and_targets_go_on():
    port = free_port()
    with Server(echo) as server, Written(
            service("a", port, server.port), threads=2) as written:
        for count in range(1, 4):
            with socket.create_connection(("127.0.0.1", port)) as client:
                echoes(client)
                written.reload(service("a", port, server.port,
                                       f"tries = {count}"))
                for name in ("connections_total", "upstream_chosen_total",
                             "connections_active", "upstream_active"):
                    equal(written.proxy.metric(name),
                          1 if "active" in name else count, name)
            wait_until(lambda:
                       written.proxy.metric("connections_active") == 0)
        equal(written.proxy.metric("upstream_chosen_total"), 3,
              "when the old ones are gone")


def test_what_is_known_of_targets_is_kept():
    port = free_port()
    with named(b"1") as down, named(b"2") as up:
        def text(*words):
            return service("a", port, down.port, "check = text", "check = 1h",
                           "check-timeout = 60s",
                           "check-send = x", "check-expect = 2", *words) + (
                               f"to = tcp://127.0.0.1:{up.port}\n")

        with Written(text(), threads=2) as written:
            proxy = written.proxy
            wait_until(lambda: proxy.metric("upstream_checks_total") == 1 and
                       proxy.metric("upstream_checks_failed_total") == 1)
            for count in range(1, 4):
                # A target of which nothing is known would be used.
                written.reload(text("unchecked = use", f"tries = {count}"))
                equal([ask(port) for _ in range(8)], 8 * [b"2"], "servers")
            equal(proxy.metric("upstream_up"), 1, "targets that are up")


def test_the_status_of_a_target_is_that_of_its_present_checks():
    port = free_port()
    with Checked(BAD) as one, Checked(
            b"HTTP/1.1 404 None\r\n\r\n") as other, contextlib.ExitStack() as held:
        def text(server):
            return service("a", port, one.port, "check = http", "check = 20ms",
                           f"check-port = {server.port}", "check-fall = 1000",
                           "unchecked = use")

        def status(proxy):
            return [name.split('status="')[1] for name in proxy.metrics()
                    if name.startswith("weir_proxy_upstream_last_error{")]

        with Written(text(one)) as written:
            wait_until(lambda: status(written.proxy) == ['503"}'])
            for server, wanted in (other, '404"}'), (one, '503"}'):
                echoes(held.enter_context(
                    socket.create_connection(("127.0.0.1", port))))
                written.reload(text(server))
                wait_until(lambda: status(written.proxy) == [wanted])
            held.close()


def test_limits_count_connections_of_before():
    port = free_port()
    text = service("a", port, 0, "max-conns = 2", "{}", "queue = 10:60s")
    with Server(echo) as server, Written(
            text.replace("{}", "tries = 1").replace(
                "127.0.0.1:0", f"127.0.0.1:{server.port}") + "limit = 1\n",
            threads=2) as written:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(
                socket.create_connection(("127.0.0.1", port), timeout=WAIT_S))
                for _ in range(3)]
            for client in clients:
                client.sendall(b"x")
            wait_until(lambda: server.accepted == 1)
            written.reload(text.replace("{}", "tries = 2").replace(
                "127.0.0.1:0", f"127.0.0.1:{server.port}") + "limit = 1\n")
            clients.append(stack.enter_context(
                socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)))
            clients[-1].sendall(b"x")
            while clients:
                # Only one is served at a time, whichever it is.
                served = None
                while not served:
                    for client in clients:
                        client.settimeout(0.05)
                        with contextlib.suppress(TimeoutError):
                            if client.recv(1) == b"x":
                                served = client
                                break
                equal(written.proxy.metric("upstream_active"), 1, "at once")
                clients.remove(served)
                served.close()
        equal(server.accepted, 4, "connections in all")


def test_clients_that_are_limited_stay_so():
    port = free_port()
    with Server(echo) as server, Written(service(
            "a", port, server.port, "client-conns = 1", "client-ban = 1h"),
            threads=2) as written:
        def is_served():
            with contextlib.suppress(OSError), socket.create_connection(
                    ("127.0.0.1", port), timeout=WAIT_S) as client:
                return say(client) == b"x"
            return False

        with socket.create_connection(("127.0.0.1", port)) as client:
            echoes(client)
            written.reload(service("a", port, server.port,
                                   "client-conns = 1", "client-ban = 1h",
                                   "tries = 1"))
            equal(is_served(), False, "the second of one client")
        wait_until(lambda: written.proxy.metric("connections_active") == 0)
        written.reload(service("a", port, server.port, "client-conns = 1",
                               "client-ban = 1h"))
        equal(is_served(), False, "one that is banned")
        written.reload(service("a", port, server.port))
        equal(is_served(), True, "without a limit")


def test_a_port_that_the_kernel_has_chosen_stays():
    with Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), threads=2) as proxy:
        read_again(proxy)
        with proxy.connect() as client:
            echoes(client)


def test_files_of_unix_sockets_go_with_their_services():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        def text(*names):
            return "".join(
                f"[{name}]\nlisten = unix:{folder}/{name}\n"
                f"to = tcp://127.0.0.1:{server.port}\n" for name in names)

        def is_served(name):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{folder}/{name}")
                echoes(client)

        with Written(text("a", "b"), threads=2) as written:
            written.reload(text("b", "c"))
            equal(sorted(os.listdir(folder)), ["b", "c"], "the files")
            is_served("b")
            is_served("c")
            written.reload("nothing", "stays in force")
            is_served("b")
        equal(os.listdir(folder), [], "the files after the end")


def test_another_log_is_written_to():
    port = free_port()
    with Server(echo) as server, tempfile.TemporaryDirectory() as folder, \
            Written(f"log = {folder}/one\n" + service("a", port, server.port),
                    log=False, threads=2) as written:
        with socket.create_connection(("127.0.0.1", port)) as client:
            echoes(client)
        wait_until(lambda: written.proxy.metric("connections_active") == 0)
        equal(files_of(written.proxy).count(f"{folder}/one"), 2, "its files")
        written.reload(f"log = {folder}/two\nlog-format = json\n" +
                       service("a", port, server.port))
        equal(files_of(written.proxy).count(f"{folder}/two"), 2, "its files")
        with socket.create_connection(("127.0.0.1", port)) as client:
            echoes(client)
        written.proxy.stop()
        with open(f"{folder}/one", encoding="ascii") as file:
            equal(len(file.read().splitlines()), 1, "lines of the first")
        with open(f"{folder}/two", encoding="ascii") as file:
            equal(file.read()[0], "{", "the second")


# ---- again and again ----

def count_fds(proxy):
    return len(os.listdir(f"/proc/{proxy.process.pid}/fd"))


def test_a_configuration_is_freed_with_its_last_connection():
    port = free_port()
    with Server(echo) as server, Written(
            service("a", port, server.port), threads=2) as written:
        def use():
            with socket.create_connection(("127.0.0.1", port)) as client:
                echoes(client)

        use()
        written.reload(service("a", port, server.port))
        before = count_fds(written.proxy)
        with socket.create_connection(("127.0.0.1", port)) as client:
            echoes(client)
            for number in range(10):
                written.reload(service("a", port, server.port,
                                       f"tries = {number % 3 + 1}"))
                use()
            echoes(client)
        wait_until(lambda: count_fds(written.proxy) <= before)


class Bulk(Churn):
    """Clients that send and compare a hundred thousand bytes each."""

    data = bytes(range(256)) * 400

    def talk(self, client):
        got = b""
        client.sendall(self.data[:50000])
        got += read_exactly(client, 50000)
        client.sendall(self.data[50000:])
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(65536):
            got += part
        assert got == self.data, f"{len(got)} bytes"


def test_reloads_and_replacements_lose_no_connection_and_no_byte():
    reloads, replacements = (100, 20) if LONG else (5, 2)
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        path = f"{folder}/proxy.conf"

        def write(number):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"handover = {folder}/handover\n" +
                           service("a", port, server.port,
                                   f"tries = {number % 3 + 1}"))

        write(0)
        proxies = [Proxy("--config", path, admin=False, threads=2)]
        with Bulk(port) as churn, socket.create_connection(
                ("127.0.0.1", port)) as old:
            echoes(old)
            for number in range(max(reloads, replacements)):
                churn.wait_for(4)
                write(number)
                if number < reloads:
                    proxies[-1].signal(signal.SIGHUP)
                    told(proxies[-1], "the configuration was read again")
                    proxies[-1].said.clear()
                if number % (reloads // replacements) == 0:
                    churn.wait_for(4)
                    proxies.append(Proxy("--config", path, admin=False,
                                         threads=2))
            churn.wait_for(4)
            echoes(old)
        equal(churn.failed, [], f"failed, of {churn.done}")
        print(f"# {churn.done} connections, {reloads} reloads, "
              f"{len(proxies) - 1} replacements")
        for proxy in proxies:
            if proxy is proxies[-1]:
                proxy.signal(signal.SIGTERM)
            equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")
            proxy.__exit__(None, None, None)


run(globals())
