"""weir-proxy between other programs: curl and nginx, redis, PostgreSQL, nc. Servers use
temporary folders, and their own ports."""

import contextlib
import hashlib
import http.server
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile

from harness import WAIT_S, Program, command, equal, prints, run
from proxy_certificates import certificates
from postgresql import other_user, postgres_program
from proxy_wait import wait_until
from proxying import Proxy
from servers import free_port, serving
from tls_ends import need, nginx, wait_for_port

SEED = 20
BIG = 10_000_000


def at(port):
    return f"tcp://127.0.0.1:{port}"


def tls_proxy(port, *flags, **options):
    return Proxy("tls://127.0.0.1:0", at(port), "--cert",
                 certificates()["proxy"], *flags, **options)


def both_proxies(port, *flags):
    """Yields a proxy that passes bytes on, and one that terminates TLS: curl's
    arguments for them, and the proxies."""
    yield "http", (), Proxy("tcp://127.0.0.1:0", at(port), *flags)
    yield "https", ("--cacert", certificates()["ca"]), tls_proxy(port, *flags)


def add_up(proxy, reasons=("done",)):
    """Each connection has ended, with one reason, in the counts and the log. No error
    counts against the target."""
    wait_until(lambda: proxy.metric("connections_active") == 0)
    total = proxy.metric("connections_total")
    equal(proxy.metric("close_total"), total, "reasons")
    equal(proxy.metric("upstream_active"), 0, "slots")
    equal(proxy.metric("upstream_errors_total"), 0, "errors of the target")
    sums = {direction: proxy.metric("bytes_total", dir=direction)
            for direction in ("in", "out")}
    proxy.stop()
    lines = proxy.lines()
    equal(len(lines), total, "lines of the log")
    equal({line["reason"] for line in lines} - set(reasons), set(),
          "other reasons")
    for direction, wanted in sums.items():
        equal(sum(int(line[f"{direction}_bytes"]) for line in lines), wanted,
              f"bytes {direction}")


# ---- nc ----

def test_after_the_targets_end_ten_megabytes_come_from_the_client():
    data = random.Random(SEED).randbytes(BIG)
    port = free_port()
    with tempfile.TemporaryFile() as came, Program(
            need("nc"), "-N", "-l", "127.0.0.1", str(port), stdout=came,
            stdin=subprocess.DEVNULL) as target:
        # A connection to check that it listens would be the only one that it accepts.
        wait_until(lambda: f":{port:04X} 00000000:0000 0A" in
                   pathlib.Path("/proc/net/tcp").read_text("ascii"))
        with Proxy("tcp://127.0.0.1:0", at(port)) as proxy:
            with proxy.connect() as client:
                equal(client.recv(1), b"", "the target's end")
                client.sendall(data)
            equal(target.process.wait(2 * WAIT_S), 0, "exit status of nc")
            came.seek(0)
            equal(came.read() == data, True, "what nc got is what was sent")
            add_up(proxy)


# ---- curl and nginx ----

def curl(proxy, scheme, path, *flags):
    name = "proxy.test"
    return command(need("curl"), "-sS", "--noproxy", "*", "--resolve",
                   f"{name}:{proxy.port}:127.0.0.1", *flags,
                   f"{scheme}://{name}:{proxy.port}/{path}")


def test_curl_gets_files_of_nginx():
    data = random.Random(SEED).randbytes(BIG)
    with nginx("") as (place, port):
        pathlib.Path(place, "root", "big").write_bytes(data)
        for scheme, flags, proxy in both_proxies(port):
            got = os.path.join(place, "got")
            with proxy:
                for more in (("--http1.0",), (), ("--limit-rate", "40M")):
                    outcome = curl(proxy, scheme, "big", "-o", got, *flags,
                                   *more)
                    equal((outcome.status, outcome.err), (0, ""), "curl")
                    equal(pathlib.Path(got).read_bytes() == data, True,
                          "the file")
                outcome = curl(proxy, scheme, "[1-30]", "-o", "/dev/null",
                               "-w", "%{http_code} %{num_connects}\n", *flags)
                equal(outcome.out, "404 1\n" + "404 0\n" * 29,
                      "statuses and new connections")
                # curl closes as soon as it has the file. If nginx's close_notify has
                # arrived by then, the kernel resets on its behalf.
                add_up(proxy, ("done", "client-reset") if flags else ("done",))


class Digesting(http.server.BaseHTTPRequestHandler):
    """Answers a POST with its digest."""

    def do_POST(self):  # pylint: disable=invalid-name
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256(self.rfile.read(left)).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(digest)))
        self.end_headers()
        self.wfile.write(digest)

    def log_message(self, *_):
        pass


def test_curl_posts_what_comes_whole():
    data = random.Random(SEED).randbytes(BIG)
    with http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Digesting) as server, serving(server), \
            tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        for scheme, flags, proxy in both_proxies(server.server_port):
            with proxy:
                outcome = curl(proxy, scheme, "", "--data-binary",
                               f"@{file.name}", *flags)
                equal((outcome.status, outcome.out, outcome.err),
                      (0, hashlib.sha256(data).hexdigest(), ""), "curl")
                add_up(proxy)


def test_nginx_reads_the_header_that_tells_who_the_client_is():
    lines = 'location / { return 200 "$proxy_protocol_addr\\n"; }'
    with nginx(lines, "proxy_protocol") as (_, port):
        for version in ("v1", "v2"):
            for scheme, flags, proxy in both_proxies(
                    port, "--send-proxy", version, "--accept-proxy", "v1"):
                with proxy:
                    outcome = curl(proxy, scheme, "", "--haproxy-protocol",
                                   "--interface", "127.0.0.9", *flags)
                    prints(outcome, "127.0.0.9\n")


def test_nginx_with_tls_is_verified():
    pem = certificates()["a"]
    lines = f"ssl_certificate {pem}; ssl_certificate_key {pem};"
    data = random.Random(SEED).randbytes(BIG)
    with nginx(lines, "ssl") as (place, port):
        pathlib.Path(place, "root", "big").write_bytes(data)
        got = os.path.join(place, "got")
        # nginx sends no close_notify after a client's end. curl returns 7 for a reset
        # before its connect has returned.
        for name, statuses, reason in (("a.test", (0,), "target-cut"),
                                       ("b.test", (7, 56), "connect-tls")):
            with Proxy("tcp://127.0.0.1:0", f"tls://127.0.0.1:{port}",
                       "--to-ca", certificates()["ca"], "--to-name",
                       name) as proxy:
                outcome = curl(proxy, "http", "big", "-o", got)
                equal(outcome.status in statuses, True,
                      f"{outcome.status} of {statuses}, curl: {outcome.err}")
                add_up(proxy, (reason,))
        equal(pathlib.Path(got).read_bytes() == data, True, "the file")


# ---- redis ----

@contextlib.contextmanager
def redis():
    """Yields a port of redis. Debian's server is the program that checks its files,
    under another name."""
    path = shutil.which("redis-server") or need("redis-check-rdb")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with Program("redis-server", "--port", str(port), "--bind",
                     "127.0.0.1", "--save", "", "--dir", folder,
                     executable=path, stdout=subprocess.DEVNULL) as program:
            wait_for_port(port, program)
            yield port


def test_redis_is_used_through_the_proxy():
    value = random.Random(SEED).randbytes(1 << 20).hex()
    with redis() as port:
        for scheme, _, proxy in both_proxies(port):
            flags = ["-h", "127.0.0.1", "-p", str(proxy.port)]
            if scheme == "https":
                flags += ["--tls", "--cacert", certificates()["ca"], "--sni",
                          "proxy.test"]
            with proxy:
                # Standard input has no other end than its end of file.
                equal(command(need("redis-cli"), *flags, "-x", "SET", "key",
                              input=value.encode()).out, "OK\n", "SET")
                equal(command("redis-cli", *flags, "GET", "key").out
                      == value + "\n", True, "GET")
                outcome = command(
                    need("redis-benchmark"), *flags, "-n", "4000", "-c", "20",
                    "-P", "4", "-q", "-t", "set,get,lpush,lrange_100")
                equal(outcome.status, 0, outcome.err)
                equal("rror" in outcome.out + outcome.err, False, outcome.out)
                add_up(proxy, ("done", "client-reset", "client-cut"))


# ---- PostgreSQL ----

@contextlib.contextmanager
def postgres():
    """Yields a port of PostgreSQL that offers TLS."""
    user = other_user()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(certificates()["a"], f"{folder}/a.pem")
        os.chmod(f"{folder}/a.pem", 0o600)
        if user:
            for path in (folder, f"{folder}/a.pem"):
                shutil.chown(path, **user)
        outcome = command(postgres_program("initdb"), "--no-sync", "-A",
                          "trust", "-U", "weir", "-D", f"{folder}/data",
                          cwd=folder, **user)
        equal(outcome.status, 0, f"initdb, which said {outcome.err}")
        settings = {"port": port, "listen_addresses": "127.0.0.1",
                    "unix_socket_directories": "", "ssl": "on", "fsync": "off",
                    "ssl_cert_file": f"{folder}/a.pem",
                    "ssl_key_file": f"{folder}/a.pem"}
        flags = [f"--{name}={value}" for name, value in settings.items()]
        with Program(postgres_program("postgres"), "-D", f"{folder}/data",
                     *flags, cwd=folder, stderr=subprocess.DEVNULL,
                     **user) as program:
            wait_for_port(port, program)
            wait_until(lambda: command(
                postgres_program("pg_isready"), "-h", "127.0.0.1", "-p",
                str(port)).status == 0)
            yield port
            program.signal(signal.SIGINT)  # it ends without its clients
            equal(program.finish()[0], 0, "exit status of PostgreSQL")


def psql(proxy, mode, *flags):
    """Returns what psql prints; its server is verified if @mode requires it."""
    outcome = command(
        postgres_program("psql"), f"host=a.test hostaddr=127.0.0.1 "
        f"port={proxy.port} user=weir dbname=postgres sslmode={mode} "
        f"sslrootcert={certificates()['ca']}", "-XqAt", *flags)
    equal((outcome.status, outcome.err), (0, ""), "psql")
    return outcome.out


def test_postgresql_is_used_through_the_proxy():
    rows = [(number, "%032x" % random.Random(number).getrandbits(128))
            for number in range(100_000)]
    text = "".join(f"{number}\t{word}\n" for number, word in rows)
    with postgres() as port, Proxy("tcp://127.0.0.1:0", at(port)) as proxy:
        for mode, ssl in (("disable", "f"), ("verify-full", "t")):
            equal(psql(proxy, mode, "-c", "SELECT ssl FROM pg_stat_ssl "
                       "WHERE pid = pg_backend_pid()"), f"{ssl}\n", "TLS")
            with tempfile.NamedTemporaryFile("w+") as file:
                file.write(text)
                file.flush()
                copied = psql(
                    proxy, mode, "-c", "CREATE TEMP TABLE t(n int, w text)",
                    "-c", rf"\copy t FROM '{file.name}'", "-c", "COPY t TO "
                    "STDOUT")
            equal(copied == text, True, "the table that comes back")
        for flags in (("-i", "-I", "dtgvp", "-q"), ("-c", "4", "-t", "50")):
            outcome = command(
                postgres_program("pgbench"), *flags, "-h", "127.0.0.1", "-p",
                str(proxy.port), "-U", "weir", "postgres")
            equal(outcome.status, 0, f"pgbench, which said {outcome.err}")
        # The last bytes of each of the two may arrive after the other has closed.
        add_up(proxy, ("done", "client-reset", "target-reset"))


run(globals(), short="curl_gets_files_of_nginx")
