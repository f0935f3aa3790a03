"""weir-proxy compared with HAProxy, nginx and stunnel: the same job, configured for
each, with the same targets and traffic: the same clients are served and refused, by the
same targets.

The jobs are from configurations that people run, with names and addresses of this test.
"""

import collections
import contextlib
import os
import shutil
import socket
import ssl
import tempfile
import time

from harness import WAIT_S, Program, Skip, equal, run
from proxying import PROXY
from servers import Server, free_port

MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
HAPROXY = """
global
    nbthread 1
defaults
    mode tcp
    timeout connect 60s
    timeout client 60s
    timeout server 60s
    timeout check 60s
"""
FAST = "inter 50ms rise 1 fall 1"
OURS_FAST = "check = 50ms\ncheck-timeout = 60s\ncheck-rise = 1\ncheck-fall = 1\n"


class Target(Server):
    """Sends its name and the received bytes to each client that sends something, and
    answers checks: a GET with its status, PING with its word."""

    def __init__(self, name):
        super().__init__(self.talk, free_port())  # no other program gets it
        self.name = name
        self.status = 200
        self.word = b"PONG"

    def talk(self, connection, _number):
        data = connection.recv(65536)
        if data.startswith((b"GET ", b"OPTIONS ")):
            connection.sendall(b"HTTP/1.0 %d x\r\n\r\n" % self.status)
            return
        if data == b"PING\r\n":
            connection.sendall(self.word + b"\r\n")
            connection.recv(1)
            return
        while data:
            connection.sendall(self.name.encode() + b":" + data[:12])
            data = connection.recv(65536)


def hello(name=None, alpn=()):
    """Returns the first bytes of a TLS client."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    sent = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return sent.read()


def certificate(name):
    """Returns a file of the test's authority."""
    folder = os.environ.get("WEIR_TLS_CERTIFICATES")
    if not folder:
        raise Skip("there are no certificates")
    return os.path.join(folder, name)


class Secured(Target):
    """The same over TLS, with a certificate for localhost."""

    def talk(self, connection, number):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate("rsa.pem"), certificate("rsa.key"))
        with context.wrap_socket(connection, server_side=True) as secured:
            super().talk(secured, number)


class Clients:
    """Clients of one proxy."""

    def __init__(self, port):
        self.port = port
        self.held = []

    def connect(self, data, source):
        try:
            client = socket.create_connection(
                ("127.0.0.1", self.port), WAIT_S, (source, 0))
            client.sendall(data)
            answer = client.recv(100)
        except OSError:
            answer = b""
        if not answer:
            return None, "refused"
        return client, answer.split(b":")[0].decode()

    def ask(self, data=b"x", source="127.0.0.1"):
        """Returns the name of the server that answers a client, which then closes."""
        client, name = self.connect(data, source)
        if client:
            client.close()
        return name

    def ask_by_tls(self, name="localhost", shows=None):
        """The same over TLS, optionally with a client certificate."""
        context = ssl.create_default_context(cafile=certificate("ca.pem"))
        if shows:
            context.load_cert_chain(certificate(f"{shows}.pem"),
                                    certificate(f"{shows}.key"))
        try:
            with socket.create_connection(("127.0.0.1", self.port),
                                          WAIT_S) as client, \
                    context.wrap_socket(client,
                                        server_hostname=name) as secured:
                secured.sendall(b"x")
                return secured.recv(100).split(b":")[0].decode() or "refused"
        except OSError:
            return "refused"

    def hold(self, data=b"x", source="127.0.0.1"):
        """The same for a client that stays connected."""
        client, name = self.connect(data, source)
        if client:
            self.held.append(client)
        return name

    def count(self, number, **options):
        """Returns how many of these clients each target has."""
        return sorted(collections.Counter(
            self.ask(**options) for _ in range(number)).items())

    def answer(self, data=b"x"):
        """Returns what the target received from a client, by its first bytes."""
        with socket.create_connection(("127.0.0.1", self.port),
                                      WAIT_S) as client:
            client.sendall(data)
            return client.recv(100).split(b":", 1)[1][:12]

    def until(self, wanted, number=6):
        """Makes requests until only these targets answer."""
        until = time.monotonic() + WAIT_S
        while (names := {self.ask() for _ in range(number)}) != set(wanted):
            assert time.monotonic() < until, f"{names}, not {wanted}"
        return sorted(names)

    def goes(self):
        """Expects that the client held longest is disconnected."""
        self.held[0].settimeout(WAIT_S)
        try:
            return "ended" if self.held[0].recv(1) == b"" else "served"
        except ConnectionResetError:
            return "ended"

    def leave(self):
        for client in self.held:
            client.close()
        self.held.clear()


def is_listening(port):
    """Checks without a connection, which a proxy would count."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        return any(line.split()[1].endswith(f":{port:04X}")
                   and line.split()[3] == "0A" for line in file)


@contextlib.contextmanager
def started(words, port, folder):
    """Starts a program in the foreground. Yields it once it listens."""
    with open(os.path.join(folder, "said"), "w+b") as said:
        with Program(*words, stdout=said, stderr=said, cwd=folder) as program:
            until = time.monotonic() + WAIT_S
            while not is_listening(port):
                said.seek(0)
                text = said.read()
                if b'unknown directive "stream"' in text:
                    raise Skip("this nginx has no stream")
                assert program.process.poll() is None, f"{words}: {text}"
                assert time.monotonic() < until, f"{words}: {text}"
                time.sleep(0.01)
            yield


def words_of(program, text, folder):
    """Returns the command of a program with this configuration."""
    path = os.path.join(folder, "configuration")
    if program == "nginx":
        load = f"load_module {MODULE};" if os.path.exists(MODULE) else ""
        text = (f"{load} daemon off; pid {folder}/pid; error_log stderr; "
                f"events {{}} stream {{ {text} }}")
    elif program == "haproxy":
        text = HAPROXY + text
    elif program == "stunnel":
        text = f"foreground = yes\npid =\n{text}"
    if program in ("stunnel", "weir-proxy"):
        for name in ("CA", "CERT", "KEY"):
            if f"<{name}>" in text:
                file = {"CA": "ca.pem", "CERT": "rsa.pem", "KEY": "rsa.key"}
                text = text.replace(f"<{name}>", certificate(file[name]))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    place = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    return {"haproxy": [place, "-db", "-f", path],
            "nginx": [place, "-c", path, "-p", folder],
            "stunnel": [place, path],
            "weir-proxy": [PROXY, "--threads", "1", "--config", path]}[program]


def compare(program, theirs, ours, use, targets=3, kind=Target):
    """Both do the same: what @use observes with one it observes with the other."""
    if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
        raise Skip(f"there is no {program}")
    seen = {}
    for name, text in ((program, theirs), ("weir-proxy", ours)):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            servers = [stack.enter_context(kind(letter))
                       for letter in "abcde"[:targets]]
            port = free_port()
            values = {server.name: server.port for server in servers}
            with open(f"{folder}/networks", "w", encoding="utf-8") as file:
                file.write("127.0.0.9/32\n")
            for key, value in dict(values, port=port, folder=folder,
                                   fast=FAST).items():
                text = text.replace(f"<{key}>", str(value))
            stack.enter_context(started(words_of(name, text, folder), port,
                                        folder))
            clients = Clients(port)
            stack.callback(clients.leave)
            seen[name] = use(clients, servers)
    equal(seen["weir-proxy"], seen[program],
          f"what weir-proxy does beside {program}")
    return seen["weir-proxy"]


def servers_of(words="", names="abc"):
    return "".join(f"    server {name} 127.0.0.1:<{name}> {words}\n"
                   for name in names)


LISTEN = "listen l\n    bind 127.0.0.1:<port>\n"
OURS = "[l]\nlisten = tcp://127.0.0.1:<port>\n"
TO = "to = tcp://127.0.0.1:<a>,tcp://127.0.0.1:<b>,tcp://127.0.0.1:<c>\n"
UPSTREAM = ("upstream u { server 127.0.0.1:<a>; server 127.0.0.1:<b>; "
            "server 127.0.0.1:<c>; } ")


# ---- HAProxy: balance, checks, backups ----

def test_an_api_server_of_three_masters_of_which_one_goes():
    def use(clients, servers):
        seen = [clients.count(9)]
        servers[2].stop_listening()
        until = time.monotonic() + WAIT_S
        while (counts := clients.count(8)) != [("a", 4), ("b", 4)]:
            assert time.monotonic() < until, counts
        return seen + [counts]
    compare("haproxy", LISTEN + "    balance roundrobin\n    option tcp-check\n"
            + servers_of("check <fast>"), OURS + OURS_FAST + TO, use)


def test_weights_of_a_default_server():
    compare("haproxy", LISTEN + "    balance roundrobin\n"
            "    default-server weight 10\n" + servers_of("", "ab")
            + servers_of("weight 40", "c"),
            OURS + "to = tcp://127.0.0.1:<a>,tcp://127.0.0.1:<b>\nweight = 10\n"
            "to = tcp://127.0.0.1:<c>\nweight = 40\n",
            lambda clients, _: clients.count(12))


def test_least_connections_with_clients_that_stay():
    def use(clients, _):
        return [sorted(clients.hold() for _ in range(6))]
    compare("haproxy", LISTEN + "    balance leastconn\n" + servers_of(),
            OURS + "balance = leastconn\n" + TO, use)


def test_a_full_server_and_a_queue_whose_time_ends():
    def use(clients, _):
        seen = [sorted(clients.hold() for _ in range(3)), clients.hold()]
        clients.held.pop(0).close()
        while clients.ask() == "refused":  # until the place is free
            pass
        return seen
    seen = compare("haproxy", LISTEN + "    timeout queue 300ms\n"
                   + servers_of("maxconn 1 maxqueue 256"),
                   OURS + "queue = 768:300ms\n" + TO + "limit = 1\n", use)
    equal(seen[1], "refused", "who waits too long")


def test_a_backup_serves_while_the_first_is_down():
    def use(clients, servers):
        seen = [clients.count(4)]
        servers[0].status = 503
        seen.append(clients.until("b"))
        servers[0].status = 200
        seen.append(clients.until("a"))
        return seen
    compare("haproxy", LISTEN + "    option httpchk GET /health\n"
            + servers_of("check <fast>", "a")
            + servers_of("check <fast> backup", "b"),
            OURS + OURS_FAST + "check = http\ncheck-path = /health\n"
            "to = tcp://127.0.0.1:<a>\nto = tcp://127.0.0.1:<b>\nbackup = on\n",
            use)


def test_the_first_of_two_backups_alone():
    def use(clients, servers):
        servers[0].stop_listening()
        return [clients.until("b"), clients.count(6)]
    compare("haproxy", LISTEN + servers_of("check <fast>", "a")
            + servers_of("check <fast> backup", "bc"),
            OURS + OURS_FAST + "backup-use = first\nto = tcp://127.0.0.1:<a>\n"
            "to = tcp://127.0.0.1:<b>,tcp://127.0.0.1:<c>\nbackup = on\n", use)


def test_a_role_that_another_port_tells():
    """Connections to a server that has lost the role are ended."""
    def use(clients, servers):
        servers[3].status = 200
        servers[4].status = 503
        seen = [clients.until("a"), clients.hold()]
        servers[3].status, servers[4].status = 503, 200
        return seen + [clients.until("b"), clients.goes()]
    compare("haproxy", LISTEN + "    option httpchk OPTIONS /master\n"
            "    http-check expect status 200\n"
            "    default-server inter 50ms rise 1 fall 1 "
            "on-marked-down shutdown-sessions\n"
            "    server a 127.0.0.1:<a> check port <d>\n"
            "    server b 127.0.0.1:<b> check port <e>\n",
            OURS + OURS_FAST + "check = http\ncheck-path = /master\n"
            "check-status = 200\nwhen-down = cut:0s\n"
            "to = tcp://127.0.0.1:<a>\ncheck-at = tcp://:<d>\n"
            "to = tcp://127.0.0.1:<b>\ncheck-at = tcp://:<e>\n", use, 5)


def test_a_dialogue_that_one_server_does_not_know():
    def use(clients, servers):
        servers[1].word = b"NOAUTH"
        seen = [clients.until("ac")]
        servers[1].word = b"PONG"
        return seen + [clients.until("abc", 12)]
    # Both read until the check's limit, in case that PONG still arrives.
    compare("haproxy", LISTEN + "    option tcp-check\n    timeout check 2s\n"
            "    tcp-check send PING\\r\\n\n    tcp-check expect string PONG\n"
            + servers_of("check <fast>"),
            OURS + OURS_FAST.replace("60s", "2s") + "check = text\ncheck-send = PING\\r\\n\n"
            "check-expect = PONG\n" + TO, use)


def test_one_client_has_one_server():
    def use(clients, _):
        return len({clients.ask() for _ in range(12)})
    equal(compare("haproxy", LISTEN + "    balance source\n" + servers_of(),
                  OURS + "balance = source\n" + TO, use), 1, "servers")


def test_all_servers_are_down():
    def use(clients, servers):
        for server in servers:
            server.stop_listening()
        return clients.until(["refused"])
    compare("haproxy", LISTEN + servers_of("check <fast>"),
            OURS + OURS_FAST + TO, use)


def test_a_server_that_refuses_without_checks():
    def use(clients, servers):
        servers[0].stop_listening()
        clients.until("bc", 20)
        return [name for name, _ in clients.count(20)]
    compare("haproxy", LISTEN + "    retries 2\n    option redispatch 1\n"
            + servers_of(), OURS + TO, use)


# ---- HAProxy: headers, names, clients ----

def test_a_header_of_version_2_to_a_broker():
    def use(clients, _):
        return clients.answer(b"MQTT")
    equal(compare("haproxy", LISTEN + "    option clitcpka\n"
                  + servers_of("send-proxy-v2", "a"),
                  OURS + "send-proxy = v2\nto = tcp://127.0.0.1:<a>\n", use),
          b"\r\n\r\n\0\r\nQUIT\n", "the header")


def test_a_header_of_a_balancer_before_names_who_is_denied():
    def use(clients, _):
        def header(address):
            return f"PROXY TCP4 {address} 10.0.0.1 1000 80\r\nx".encode()
        return [clients.ask(header("192.0.2.1")), clients.ask(header("10.1.1.1"))]
    equal(compare("haproxy", "listen l\n    bind 127.0.0.1:<port> accept-proxy\n"
                  "    tcp-request session reject if { src 192.0.2.0/24 }\n"
                  + servers_of("", "a"),
                  OURS + "accept-proxy = v1\nclient-deny = 192.0.2.0/24\n"
                  "to = tcp://127.0.0.1:<a>\n", use), ["refused", "a"],
          "who is served")


NAMES = ("a.example", "x.kube.example", "deep.x.kube.example", "kube.example",
         "A.EXAMPLE", None)


def by_name(clients, _):
    return [clients.ask(hello(name)) for name in NAMES]


def test_names_of_clients_choose_and_the_rest_has_a_default():
    seen = compare("haproxy", "frontend f\n    bind 127.0.0.1:<port>\n"
                   "    tcp-request inspect-delay 60s\n"
                   "    tcp-request content accept if { req_ssl_hello_type 1 }\n"
                   "    use_backend a if { req_ssl_sni -i a.example }\n"
                   "    use_backend b if { req_ssl_sni -m end .kube.example }\n"
                   "    default_backend c\n"
                   + "".join(f"backend {name}\n" + servers_of("", name)
                             for name in "abc"),
                   "[f]\nlisten = tls://127.0.0.1:<port>\npassthrough = on\n"
                   "to = tcp://127.0.0.1:<c>\nroute = a.example\n"
                   "passthrough = on\nto = tcp://127.0.0.1:<a>\n"
                   "route = *.kube.example\npassthrough = on\n"
                   "to = tcp://127.0.0.1:<b>\n", by_name)
    equal(seen, ["a", "b", "b", "c", "a", "c"], "targets")


def test_ssh_and_tls_on_one_port():
    def use(clients, _):
        return [clients.ask(hello("a.example")), clients.ask(b"SSH-2.0-x\r\n"),
                clients.ask(b"GARBAGE-of-a-client\r\n")]
    compare("haproxy", "frontend f\n    bind 127.0.0.1:<port>\n"
            "    tcp-request inspect-delay 60s\n"
            "    tcp-request content accept if { req.len ge 7 }\n"
            "    use_backend a if { req.ssl_hello_type 1 }\n"
            "    use_backend b if { req.payload(0,7) -m str SSH-2.0 }\n"
            "    default_backend c\n"
            + "".join(f"backend {name}\n" + servers_of("", name)
                      for name in "abc"),
            "[f]\nlisten = any://127.0.0.1:<port>\nroute = *\nroute-as = tls\n"
            "passthrough = on\nto = tcp://127.0.0.1:<a>\nroute = *\n"
            "route-as = plain\nroute-begin = SSH-2.0\nto = tcp://127.0.0.1:<b>\n"
            "route = *\nto = tcp://127.0.0.1:<c>\n", use)


def test_networks_in_a_file_may_not_come():
    def use(clients, _):
        return [clients.ask(), clients.ask(source="127.0.0.9")]
    compare("haproxy", LISTEN + "    tcp-request connection reject if "
            "{ src -f <folder>/networks }\n" + servers_of("", "a"),
            OURS + "client-deny = @<folder>/networks\nto = tcp://127.0.0.1:<a>\n",
            use)


def test_one_client_has_so_many_connections():
    def use(clients, _):
        return ([clients.hold() for _ in range(4)]
                + [clients.ask(source="127.0.0.9")])
    equal(compare("haproxy", LISTEN + "    stick-table type ip size 1m expire "
                  "30s store conn_cur\n    tcp-request connection track-sc0 src\n"
                  "    tcp-request connection reject if { sc0_conn_cur gt 3 }\n"
                  + servers_of("", "a"),
                  OURS + "client-conns = 3\nto = tcp://127.0.0.1:<a>\n", use,
                  1).count("refused"), 1, "refused")


def test_one_client_makes_so_many_connections_in_a_time():
    def use(clients, _):
        served = [clients.ask(source="127.0.0.8") for _ in range(8)]
        return served + [clients.ask(source="127.0.0.9")]
    compare("haproxy", LISTEN + "    stick-table type ip size 1m expire 60s "
            "store conn_rate(60s)\n    tcp-request connection track-sc0 src\n"
            "    tcp-request connection reject if { sc0_conn_rate gt 5 }\n"
            + servers_of("", "a"),
            OURS + "client-rate = 5/60s\nto = tcp://127.0.0.1:<a>\n", use)


def test_a_client_that_is_idle_is_ended():
    def use(clients, _):
        clients.held.append(socket.create_connection(
            ("127.0.0.1", clients.port)))
        return clients.goes()
    compare("haproxy", LISTEN + "    timeout client 3s\n"
            "    timeout server 3s\n" + servers_of("", "a"),
            OURS + "idle-timeout = 3s\nto = tcp://127.0.0.1:<a>\n", use)


# ---- nginx ----

def test_servers_that_fail_are_passed_over():
    def use(clients, servers):
        servers[0].stop_listening()
        return clients.count(10)
    compare("nginx", "upstream u { server 127.0.0.1:<a> max_fails=2 "
            "fail_timeout=30s; server 127.0.0.1:<b> max_fails=2 "
            "fail_timeout=30s; } server { listen 127.0.0.1:<port>; "
            "proxy_pass u; }",
            OURS + "eject = 2\neject-time = 30s\n"
            "to = tcp://127.0.0.1:<a>,tcp://127.0.0.1:<b>\n", use)


def test_weights_of_an_upstream():
    compare("nginx", "upstream u { server 127.0.0.1:<a> weight=3; "
            "server 127.0.0.1:<b>; } server { listen 127.0.0.1:<port>; "
            "proxy_pass u; }",
            OURS + "to = tcp://127.0.0.1:<a>\nweight = 3\n"
            "to = tcp://127.0.0.1:<b>\n",
            lambda clients, _: clients.count(16))


def test_least_conn_and_max_conns():
    def use(clients, _):
        return [sorted(clients.hold() for _ in range(3)), clients.hold()]
    compare("nginx", "upstream u { least_conn; server 127.0.0.1:<a> "
            "max_conns=1; server 127.0.0.1:<b> max_conns=2; } "
            "server { listen 127.0.0.1:<port>; proxy_pass u; }",
            OURS + "balance = leastconn\nto = tcp://127.0.0.1:<a>\nlimit = 1\n"
            "to = tcp://127.0.0.1:<b>\nlimit = 2\n", use)


def test_a_backup_of_an_upstream():
    def use(clients, servers):
        seen = [clients.count(4)]
        servers[0].stop_listening()
        return seen + [clients.count(4)]
    compare("nginx", "upstream u { server 127.0.0.1:<a>; "
            "server 127.0.0.1:<b> backup; } server { listen 127.0.0.1:<port>; "
            "proxy_connect_timeout 1s; proxy_pass u; }",
            OURS + "connect-timeout = 1s\nto = tcp://127.0.0.1:<a>\n"
            "to = tcp://127.0.0.1:<b>\nbackup = on\n", use)


def test_a_hash_of_the_address():
    def use(clients, _):
        return len({clients.ask() for _ in range(12)})
    compare("nginx", UPSTREAM.replace("{", "{ hash $remote_addr consistent;", 1)
            + "server { listen 127.0.0.1:<port>; proxy_pass u; }",
            OURS + "balance = source\n" + TO, use)


def test_a_map_of_names():
    compare("nginx", "map $ssl_preread_server_name $to { hostnames; "
            "a.example 127.0.0.1:<a>; *.kube.example 127.0.0.1:<b>; "
            "default 127.0.0.1:<c>; } server { listen 127.0.0.1:<port>; "
            "ssl_preread on; proxy_pass $to; }",
            "[f]\nlisten = tls://127.0.0.1:<port>\npassthrough = on\n"
            "to = tcp://127.0.0.1:<c>\nroute = a.example\npassthrough = on\n"
            "to = tcp://127.0.0.1:<a>\nroute = *.kube.example\n"
            "passthrough = on\nto = tcp://127.0.0.1:<b>\n", by_name)


def test_a_map_of_protocols_of_the_application():
    def use(clients, _):
        return [clients.ask(hello("x", ["h2", "http/1.1"])),
                clients.ask(hello("x", ["http/1.1"])), clients.ask(hello("x"))]
    compare("nginx", "map $ssl_preread_alpn_protocols $to { "
            "~\\bh2\\b 127.0.0.1:<a>; default 127.0.0.1:<b>; } "
            "server { listen 127.0.0.1:<port>; ssl_preread on; "
            "proxy_pass $to; }",
            "[f]\nlisten = tls://127.0.0.1:<port>\npassthrough = on\n"
            "to = tcp://127.0.0.1:<b>\nroute = *\nroute-alpn = h2\n"
            "passthrough = on\nto = tcp://127.0.0.1:<a>\n", use)


def test_networks_that_may_come():
    def use(clients, _):
        return [clients.ask(), clients.ask(source="127.0.0.9")]
    compare("nginx", UPSTREAM + "server { listen 127.0.0.1:<port>; "
            "allow 127.0.0.9; deny all; proxy_pass u; }",
            OURS + "client-allow = 127.0.0.9\n" + TO,
            lambda clients, servers: ["refused" if name == "refused" else "served"
                                      for name in use(clients, servers)])


def test_a_limit_of_connections_of_a_client():
    def use(clients, _):
        return [clients.hold() for _ in range(4)]
    compare("nginx", "limit_conn_zone $binary_remote_addr zone=z:1m; "
            "server { listen 127.0.0.1:<port>; limit_conn z 2; "
            "proxy_pass 127.0.0.1:<a>; }",
            OURS + "client-conns = 2\nto = tcp://127.0.0.1:<a>\n", use)


def test_a_header_to_a_server():
    def use(clients, _):
        return clients.answer()
    equal(compare("nginx", "server { listen 127.0.0.1:<port>; "
                  "proxy_protocol on; proxy_timeout 12h; "
                  "proxy_pass 127.0.0.1:<a>; }",
                  OURS + "send-proxy = v1\nidle-timeout = 12h\n"
                  "to = tcp://127.0.0.1:<a>\n", use), b"PROXY TCP4 1",
          "the header")


def test_two_ports_and_one_upstream():
    def use(clients, _):
        other = Clients(clients.port)
        return sorted(clients.ask() + other.ask() for _ in range(3))
    compare("nginx", UPSTREAM + "server { listen 127.0.0.1:<port>; "
            "proxy_connect_timeout 1s; proxy_pass u; } "
            "server { listen unix:<folder>/sock; proxy_pass u; }",
            OURS + "listen = unix:<folder>/sock\nto = @u\n"
            "[targets u]\nconnect-timeout = 1s\n" + TO, use)


# ---- stunnel ----

def test_a_server_with_clients_that_show_a_certificate():
    def use(clients, _):
        return [clients.ask_by_tls(), clients.ask_by_tls(shows="rsa")]
    equal(compare("stunnel", "[r]\naccept = 127.0.0.1:<port>\n"
                  "connect = 127.0.0.1:<a>\ncert = <CERT>\nkey = <KEY>\n"
                  "CAfile = <CA>\nverifyChain = yes\n",
                  "[r]\nlisten = tls://127.0.0.1:<port>\ncert = <CERT>\n"
                  "key = <KEY>\nclient-ca = <CA>\nrequire-client-cert = on\n"
                  "to = tcp://127.0.0.1:<a>\n", use), ["refused", "a"],
          "who is served")


def test_two_targets_in_turn_or_the_first_that_answers():
    """Or one after another if they fail, which is stunnel's default."""
    def use(clients, servers):
        seen = [sorted(clients.ask_by_tls() for _ in range(4))]
        servers[0].stop_listening()
        return seen + [clients.ask_by_tls() for _ in range(2)]
    for theirs, ours in (("failover = rr\n", "balance = roundrobin\n"),
                         ("", "balance = first\ntries = 2\n")):
        compare("stunnel", "[r]\naccept = 127.0.0.1:<port>\n"
                "connect = 127.0.0.1:<a>\nconnect = 127.0.0.1:<b>\n"
                f"{theirs}cert = <CERT>\nkey = <KEY>\n",
                "[r]\nlisten = tls://127.0.0.1:<port>\ncert = <CERT>\n"
                f"key = <KEY>\n{ours}"
                "to = tcp://127.0.0.1:<a>,tcp://127.0.0.1:<b>\n", use)


def test_a_client_of_a_server_whose_name_is_right_or_wrong():
    for name, wanted in (("localhost", "a"), ("other.example", "refused")):
        seen = compare("stunnel", "[r]\nclient = yes\n"
                       "accept = 127.0.0.1:<port>\nconnect = 127.0.0.1:<a>\n"
                       f"CAfile = <CA>\nverifyChain = yes\ncheckHost = {name}\n",
                       "[r]\nlisten = tcp://127.0.0.1:<port>\n"
                       f"to = tls://127.0.0.1:<a>\nto-ca = <CA>\n"
                       f"to-name = {name}\n",
                       lambda clients, _: clients.ask(), 1, Secured)
        equal(seen, wanted, name)


run(globals(), short="an_api_server_of_three_masters_of_which_one_goes")
