"""Connections of weir-load run: local addresses, connecting to another place than the
target's, a PROXY header, a path; and what a result keeps besides figures."""

import ctypes
import os
import re
import socket
import struct
import tempfile
import threading

from harness import (WAIT_S, WEIR_LOAD, Program, Serve, ServeAt, Skip, command_apart,
                     equal, load, load_json, matches, one_line, place, run)
from http_client import Answering
from servers import Noting, Refusing, Server, read_exactly

OK, USAGE, NOTHING = 0, 2, 3


def judged(*args):
    outcome, result = load_json(*args)
    equal((outcome.status, outcome.err), (OK, ""), "exit status and error")
    return result


class Remembering(Noting):
    """An echo server that keeps the address of each client, and what each has sent
    before the first payload."""

    def __init__(self, head_of=lambda connection: b""):
        super().__init__()
        self.peers = []
        self.heads = []
        self.head_of = head_of

    def serve(self, connection, _number):
        self.peers.append(connection.getpeername())
        self.heads.append(self.head_of(connection))
        while data := connection.recv(65536):
            connection.sendall(data)

    @property
    def url(self):
        return self.server.url


# ---- own addresses ----

def test_connections_take_turns_on_own_addresses():
    with Remembering() as server:
        result = judged("-c", "6", "-n", "600", "--bind",
                        "127.0.0.2,127.0.0.3", server.url)
        hosts = sorted(host for host, _ in server.peers)
    equal(hosts, ["127.0.0.2"] * 3 + ["127.0.0.3"] * 3, "own addresses")
    equal(result["config"]["bind"], ["127.0.0.2:0", "127.0.0.3:0"], "config")


def test_datagrams_come_from_own_addresses():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(WAIT_S)
        with Program(WEIR_LOAD, "-c", "1", "-n", "1", "-q", "--timeout",
                     f"{WAIT_S}s", "--bind", "127.0.0.4",
                     f"udp://127.0.0.1:{sock.getsockname()[1]}") as program:
            data, peer = sock.recvfrom(65536)
            sock.sendto(data, peer)
            equal(program.finish()[0], OK, "exit status")
    equal(peer[0], "127.0.0.4", "own address")


def test_a_lack_names_the_address_and_the_own_one():
    """This machine does not have the address, so it cannot connect from it."""
    with Serve() as server:
        outcome, result = load_json("-c", "1", "-n", "1", "--bind", "192.0.2.1",
                                    server.url)
    equal(outcome.status, NOTHING, "exit status")
    one_line(outcome.err, r"\(EADDRNOTAVAIL\)")
    matches(result["errors"][0]["first"],
            r"\A127\.0\.0\.1:\d+: Cannot assign requested address "
            r"\(from 192\.0\.2\.1:\d+\)\Z")


def test_an_endpoint_that_cannot_be_made_names_its_addresses():
    _, result = load_json("-c", "1", "-n", "1", "--bind", "192.0.2.1",
                          "udp://127.0.0.1:1")
    matches(result["errors"][0]["first"],
            r"\A127\.0\.0\.1:1: Cannot assign requested address "
            r"\(from 192\.0\.2\.1:\d+\)\Z")


def test_all_addresses_of_a_name_are_told():
    """Six of them, which all refuse."""
    if "WEIR_WITHOUT_NAMES" in os.environ:
        raise Skip("built without c-ares")
    hosts = "".join(f"127.0.0.{i} many.test\n" for i in range(1, 7))
    with Refusing() as server, tempfile.NamedTemporaryFile("w") as file:
        file.write(hosts)
        file.flush()
        os.chmod(file.name, 0o644)
        outcome = command_apart(
            'mount --bind "$0" /etc/hosts || exit 77; exec "$@"', file.name,
            WEIR_LOAD, "--json", "-c", "1", "-n", "1",
            f"tcp://many.test:{server.port}")
    first = outcome.json()["errors"][0]["first"]
    equal(re.findall(r"(127\.0\.0\.\d):\d+: Connection refused "
                     r"\(from 127\.0\.0\.1:\d+\)", first),
          [f"127.0.0.{i}" for i in range(1, 7)], first)


# ---- shares of targets ----

def test_targets_and_own_addresses_are_taken_in_turn():
    with Remembering() as one, Remembering() as two:
        judged("-c", "5", "-t", "2", "-n", "400",
               "--bind", "127.0.0.2,127.0.0.3", one.url, two.url)
        hosts = [sorted(host for host, _ in server.peers)
                 for server in (one, two)]
    equal(hosts, [["127.0.0.2", "127.0.0.2", "127.0.0.3"], ["127.0.0.2", "127.0.0.3"]],
          "own addresses of each target")


# ---- a run that is only planned ----

def test_a_dry_run_tells_the_plan_and_sends_nothing():
    with Remembering() as server, tempfile.TemporaryDirectory() as folder:
        kept = f"{folder}/kept"
        with open(kept, "w", encoding="ascii") as file:
            file.write("old")
        outcome = load("--dry-run", "-c", "12", "-t", "2", "-R", "5k",
                       f"--json={kept}", "--csv", f"{folder}/new",
                       "--late", "skip", server.url, f"tcp://localhost:{server.server.port}")
        equal((outcome.status, outcome.err), (OK, ""), "the outcome")
        equal((os.listdir(folder), open(kept, encoding="ascii").read()),
              (["kept"], "old"), "files")
        equal(server.peers, [], "connections")
    for pattern in (r"dry run: nothing was sent$",
                    rf"^Command +\S+ run .*--dry-run .* --late skip {server.url} ",
                    r"^Model +open constant 5000\.0/s, mode echo, 12 conns, "
                    r"depth 1, 2 threads$",
                    rf"^Target +{server.url}, 6 conns to 127\.0\.0\.1:\d+$",
                    r"^Target +tcp://localhost:\d+, 6 conns to .*127\.0\.0\.1:",
                    r"^Limits +84 of \d+ descriptors, 6 of \d+ ports",
                    rf"^Output +--json {kept}$"):
        matches(outcome.out, pattern)
    equal(load("--dry-run", "-q", server.url).out, "", "output with -q")


def test_a_dry_run_tells_what_would_end_the_run():
    for arguments, says in (
            (["tcp://nowhere.invalid:9"], r"\(WEIR_E(DNS\w+|NONAMES)\)"),
            (["--csv", "/nonexistent/x", "tcp://127.0.0.1:9"],
             r"--csv: /nonexistent/x: No such file"),
            (["-b", "@/nonexistent/x", "http://127.0.0.1:9"], r"-b: /nonexis"),
            (["--ca", "/nonexistent/x", "tls://127.0.0.1:9"], r"\(ENOENT\)")):
        if "tls" in arguments[-1] and "WEIR_TLS_CERTIFICATES" not in os.environ:
            continue  # TLS may not be built at all
        outcome = load("--dry-run", *arguments)
        equal((outcome.status, outcome.out), (USAGE, ""), "the outcome")
        one_line(outcome.err, says)


# ---- another place ----

def test_another_place_is_connected_to_and_the_host_stays():
    with Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as server:
        result = judged("-c", "1", "-n", "3", "--connect-to",
                        f"127.0.0.1:{server.port}",
                        "http://nowhere.invalid/page")
    equal(len(server.heads), 3, "requests")
    matches(server.heads[0].decode(), r"^GET /page HTTP/1\.1\r\n")
    matches(server.heads[0].decode(), r"Host: nowhere\.invalid\r\n")
    equal(result["config"]["targets"], ["http://nowhere.invalid/page"],
          "targets")


def test_another_place_may_have_a_name():
    with Serve() as server:
        judged("-c", "2", "-n", "20", "--connect-to",
               f"localhost:{server.port}", "tcp://192.0.2.1:9")


def test_a_place_without_a_server_is_told():
    with Refusing() as refusing:
        outcome = load("-c", "1", "-n", "1", "--connect-to",
                       f"127.0.0.1:{refusing.port}", "http://h/")
    equal(outcome.status, NOTHING, "exit status")
    one_line(outcome.err, r"\(ECONNREFUSED\)")


def ask_once(url_of, answer, *args):
    """Makes one request to an IPv6 server with this answer. Returns the result, the
    fields that the server received, and the outcome."""
    fields = []

    def serve(connection, _number):
        with connection.makefile("rb") as file:
            while (line := file.readline()) and line != b"\r\n":
                fields.append(line.decode().strip())
        connection.sendall(answer)
        connection.recv(1)

    server = Server(serve)
    server.listener.close()
    server.listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    with server:
        outcome, result = load_json("-c", "1", "-n", "1", *args,
                                    url_of(server.listener.getsockname()[1]))
    return outcome, result, fields


def test_the_zone_of_an_address_is_no_part_of_the_host():
    for zone in ("%25lo", "%lo", ""):
        outcome, _, fields = ask_once(
            lambda port, zone=zone: f"http://[::1{zone}]:{port}/",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        equal(outcome.status, OK, outcome.err)
        hosts = [field for field in fields if field.startswith("Host:")]
        equal(len(hosts), 1, "fields")
        matches(hosts[0], r"^Host: \[::1\]:\d+\Z")


def test_a_status_of_no_class_is_a_failure_of_the_server():
    answer = b"HTTP/1.1 677 Odd\r\nContent-Length: 0\r\n\r\n"
    _, result, _ = ask_once(lambda port: f"http://[::1]:{port}/", answer)
    equal(result["status"], {"677": 1}, "answers")
    equal(result["requests"]["failed"], 1, "failures")
    outcome, result, _ = ask_once(lambda port: f"http://[::1]:{port}/", answer,
                                  "--expect", "5xx")
    equal((outcome.status, result["requests"]["failed"]), (OK, 0), "as of 5xx")


def test_no_connection_is_its_own_server():
    ports = "/proc/sys/net/ipv4/ip_local_port_range"
    outcome = command_apart(
        f'ip link set lo up && echo "40000 40000" > {ports} || exit 77; '
        'exec "$@"', "sh", WEIR_LOAD, "run", "-c", "1", "-n", "30",
        "tcp://127.0.0.1:40000", flags=("-n",))
    equal(outcome.status, NOTHING, "exit status")
    matches(outcome.out, r"opened 0\b")
    one_line(outcome.err, r"not one request succeeded")


def test_http_goes_over_a_path():
    with place() as path:
        with ServeAt("--mode", "http", f"unix:{path}"):
            for target in (["--mode", "http", "--path", "/?s=100",
                            f"unix:{path}"],
                           ["--connect-to", f"unix:{path}",
                            "http://h/?s=100"],
                           ["--unix", path, "http://h/?s=100"],
                           ["--unix-socket", path, "http://h/?s=100"]):
                result = judged("-c", "2", "-n", "50", *target)
                equal(result["status"], {"200": 50}, "status")


# ---- families and sockets ----

def test_a_name_is_reached_by_the_family_that_is_asked_for():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as probe:
        port = probe.getsockname()[1]
    with ServeAt(f"tcp://[::1]:{port}"):
        url = f"tcp://localhost:{port}"
        result = judged("-c", "2", "-n", "20", "-6", url)
        equal(result["config"]["family"], 6, "family")
        outcome = load("-c", "1", "-n", "1", "-4", url)
    equal(outcome.status, NOTHING, "exit status with -4")
    one_line(outcome.err, r"\(ECONNREFUSED\)")


def sockets_of(pid, kind):
    """Returns copies of a process's connected sockets of a type."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    for number in os.listdir(f"/proc/{pid}/fd"):
        fd = libc.syscall(438, pidfd, int(number), 0)  # pidfd_getfd
        if fd < 0:
            raise Skip(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            continue
        with sock:
            if sock.family == socket.AF_INET and sock.type == kind:
                yield sock
    os.close(pidfd)


def test_options_of_sockets_are_set():
    asked = threading.Event()

    def serve(connection, _number):
        read_exactly(connection, 128)
        asked.set()
        connection.recv(1)

    options = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),
               (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
               (socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * 20 << 10),
               (socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * 10 << 10),
               (socket.IPPROTO_IP, socket.IP_TOS, 0xb8))
    with Server(serve) as server, Program(
            WEIR_LOAD, "-q", "-c", "1", "-d", "1h", "--timeout", "1h",
            "--nodelay", "off", "--keepalive", "--sndbuf", "20K", "--rcvbuf",
            "10K", "--tos", "0xb8", server.url) as program:
        equal(asked.wait(WAIT_S), True, "a request")
        found = [tuple(sock.getsockopt(level, name)
                       for level, name, _ in options)
                 for sock in sockets_of(program.process.pid,
                                        socket.SOCK_STREAM)]
    equal(found, [tuple(value for _, _, value in options)], "options")


def test_options_of_sockets_of_datagrams_are_set():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(WAIT_S)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        with Program(WEIR_LOAD, "-q", "-c", "1", "-d", "1h", "--tos", "8",
                     "--rcvbuf", "10K",
                     f"udp://127.0.0.1:{sock.getsockname()[1]}") as program:
            _, facts, _, _ = sock.recvmsg(65536, 100)
            sizes = [one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                     for one in sockets_of(program.process.pid,
                                           socket.SOCK_DGRAM)]
    equal(facts, [(socket.IPPROTO_IP, socket.IP_TOS, b"\x08")], "facts")
    equal(sizes, [2 * 10 << 10], "receive buffers")


def test_a_buffer_that_the_kernel_does_not_allow_is_told_before_the_run():
    with open("/proc/sys/net/core/wmem_max", encoding="ascii") as file:
        most = int(file.read())
    if most >= 1 << 29:
        raise Skip("the kernel allows all sizes")
    outcome = load("-n", "1", "--sndbuf", str(most + 1), "tcp://127.0.0.1:9")
    equal((outcome.status, outcome.out), (USAGE, ""), "the outcome")
    one_line(outcome.err, rf"--sndbuf: the kernel allows {most} bytes; raise "
                          r"net\.core\.wmem_max")


# ---- PROXY headers ----

def line_of(connection):
    head = b""
    while not head.endswith(b"\r\n"):
        head += read_exactly(connection, 1)
    return head


def binary_of(connection):
    head = read_exactly(connection, 16)
    return head + read_exactly(connection, struct.unpack("!H", head[14:])[0])


def needs_headers():
    if "WEIR_WITHOUT_PROXY" in os.environ:
        raise Skip("built without PROXY headers")


def test_a_build_without_headers_alone_refuses_them():
    with Remembering(line_of) as server:
        outcome = load("-c", "1", "-n", "1", "--proxy-protocol", "v1", server.url)
    is_refused = "built without it (-Dproxy=disabled)" in outcome.err
    equal(is_refused, "WEIR_WITHOUT_PROXY" in os.environ, outcome.err)
    equal(outcome.status, USAGE if is_refused else OK, "exit status")


def test_a_line_names_both_ends():
    needs_headers()
    with Remembering(line_of) as server:
        judged("-c", "3", "-n", "30", "--proxy-protocol", "v1", server.url)
        wanted = {f"PROXY TCP4 {host} 127.0.0.1 {port} {server.server.port}"
                  "\r\n".encode() for host, port in server.peers}
    equal(set(server.heads), wanted, "headers")
    equal(len(server.heads), 3, "number of headers")


def test_a_binary_header_names_both_ends():
    needs_headers()
    with Remembering(binary_of) as server:
        judged("-c", "2", "-n", "20", "--proxy-protocol", "v2", server.url)
        wanted = {
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(host)
            + socket.inet_aton("127.0.0.1")
            + struct.pack("!HH", port, server.server.port)
            for host, port in server.peers}
    equal(set(server.heads), wanted, "headers")


# ---- what is kept ----

def test_labels_are_kept():
    with Serve() as server:
        result = judged("-n", "10", "--label", "build=a1", "--label",
                        "note=x=y", server.url)
        plain = judged("-n", "10", server.url)
    equal(result["labels"], {"build": "a1", "note": "x=y"}, "labels")
    equal(plain["labels"], {}, "none")
    equal(result["config_hash"], plain["config_hash"], "config hash")


def test_the_report_has_the_percentiles_that_are_asked_for():
    with Serve() as server:
        outcome = load("-n", "2000", "--percentiles", "10,75,99.5",
                       server.url)
    matches(outcome.out, r"\n +p10 +p75 +p99\.5 +max +mean\n")
    matches(outcome.out, r"\nService( +\S+){5}  from")


run(globals())
