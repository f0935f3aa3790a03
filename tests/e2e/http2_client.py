"""weir-load over HTTP/2 with other programs' servers: nginx, nghttpd, HAProxy and Node,
in clear text with prior knowledge and over TLS with ALPN."""

import contextlib
import json
import os
import shutil
import tempfile

from dns import find
from harness import (Program, Skip, command, equal, load, load_json, matches,
                     one_line, read_line, run)
from http_client import FOLDER, nginx, wait_for_port
from servers import free_port

OK, NOTHING = 0, 3

NODE = """
const http2 = require('http2'), fs = require('fs');
const server = process.argv[1]
  ? http2.createSecureServer({cert: fs.readFileSync(process.argv[1] + '.pem'),
      key: fs.readFileSync(process.argv[1] + '.key')})
  : http2.createServer();
server.on('stream', (stream, headers) => {
  const parts = [];
  stream.on('error', () => {});
  stream.on('data', (part) => parts.push(part));
  stream.on('end', () => {
    const body = Buffer.concat(parts);
    if (headers[':path'].startsWith('/echo')) {
      stream.respond({':status': 200}, {waitForTrailers: true});
      stream.on('wantTrailers', () => stream.sendTrailers({'x-sum': '1'}));
      stream.end(body);
    } else {
      console.log(JSON.stringify({...headers, body: body.toString()}));
      stream.respond({':status': 200});
      stream.end('seen');
    }
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


def judged(*args):
    outcome, result = load_json("--http2", *args)
    equal(outcome.status, OK, f"exit status; it said {outcome.err!r}")
    return result


HAPROXY = """
global
  tune.h2.max-concurrent-streams 5
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 60s
frontend front
  bind 127.0.0.1:{port} {bind}
  http-request return status 404 if {{ path /missing }}
  http-request return status 200 content-type text/plain string "seen"
"""


@contextlib.contextmanager
def haproxy(bind):
    path = find("haproxy")
    if not path:
        raise Skip("HAProxy is not installed")
    with tempfile.TemporaryDirectory(prefix="weir-http-") as place:
        port = free_port()
        with open(f"{place}/conf", "w", encoding="ascii") as file:
            file.write(HAPROXY.format(port=port, bind=bind))
        with Program(path, "-db", "-f", f"{place}/conf") as program:
            wait_for_port(port, program)
            yield port
            program.signal(15)
            program.finish()


class Node(Program):
    """Prints the fields and the body of each request as a line of JSON, and echoes
    requests for /echo."""

    def __init__(self, certificate=""):
        if not shutil.which("node"):
            raise Skip("Node is not installed")
        super().__init__("node", "-e", NODE, certificate)
        self.url = f"127.0.0.1:{int(read_line(self.process.stdout))}"

    def seen(self, count):
        return [json.loads(read_line(self.process.stdout)) for _ in range(count)]


def secured():
    if not FOLDER:
        raise Skip("there are no certificates")
    return f"{FOLDER}/ecdsa"


@contextlib.contextmanager
def nghttpd(*flags):
    path = find("nghttpd")
    if not path:
        raise Skip("nghttpd is not installed")
    with tempfile.TemporaryDirectory(prefix="weir-http-") as place:
        with open(f"{place}/small", "wb") as file:
            file.write(b"x" * 612)
        with open(f"{place}/large", "wb") as file:
            file.write(b"y" * 3_000_000)
        port = free_port()
        with Program(path, "-a", "127.0.0.1", "-d", place, *flags,
                     str(port)) as program:
            wait_for_port(port, program)
            yield port
            program.signal(15)
            program.finish()


# ---- nginx ----

def test_counts_are_those_of_nginx_own_log():
    for shape in (("-c", "1", "-p", "1"), ("-c", "3", "-p", "20"),
                  ("-c", "1", "-p", "100", "-t", "1")):
        with nginx(listen="http2") as server:
            result = judged(*shape, "-n", "3000", f"{server.url}/small")
            rows = server.stop()
            equal(result["status"], {"200": 3000}, "statuses")
            equal(len(rows), 3000, "lines of the log")


def test_requests_above_nginx_last_stream_are_sent_again():
    with nginx(requests=20, listen="http2") as server:
        result = judged("-c", "2", "-p", "16", "-n", "1000",
                        f"{server.url}/small")
        rows = server.stop()
        equal(result["requests"]["ok"], 1000, "ok")
        equal(len(rows), 1000, "lines of the log")
        equal(result["http2"]["goaways"] >= 45, True, "GOAWAYs")


def test_several_targets_mixes_and_large_bodies():
    with nginx(listen="http2") as server, tempfile.NamedTemporaryFile(
            "w", encoding="ascii") as mix:
        mix.write("3 GET /small\n1 GET /missing/{seq}\n1 HEAD /large\n")
        mix.flush()
        result = judged("-c", "4", "-p", "8", "-n", "900", "--mix", mix.name,
                        "--expect", "200,404", "-t", "2", f"{server.url}/")
        equal(result["requests"]["ok"], 900, "ok")
        equal(sorted(result["status"]), ["200", "404"], "statuses")
        large = judged("-c", "2", "-p", "5", "-n", "50", "--expect", "200",
                       "--expect", "len:300000", f"{server.url}/large")
        equal(large["bytes"]["in"] > 50 * 300_000, True, "bytes")


# ---- nghttpd ----

def test_a_smaller_window_changes_no_byte():
    for flags, is_stopped in ((("--window", "65535", "--conn-window",
                                "100000"), True), ((), False)):
        with nghttpd("--no-tls") as port:
            result = judged("-c", "2", "-p", "3", "-n", "12", *flags,
                            "--expect", "200", "--expect", "len:3000000",
                            f"http://127.0.0.1:{port}/large")
            equal(result["requests"]["ok"], 12, "ok")
            equal(result["http2"]["window_stopped_ns"] > 0, is_stopped,
                  f"stopped with {flags}")


def test_the_tables_of_headers_have_the_size_that_is_asked_for():
    packed = {}
    with nghttpd("--no-tls") as port:
        for size in ("0", "4K", "1M"):
            http2 = judged("-c", "1", "-p", "5", "-n", "100", "--header-table",
                           size, "-H", "x-long: " + 100 * "z",
                           f"http://127.0.0.1:{port}/small")["http2"]
            packed[size] = http2["packed_bytes_in"], http2["packed_bytes_out"]
    for way in (0, 1):
        equal(packed["0"][way] > 2 * packed["4K"][way], True, f"{packed}")


def test_frames_are_as_large_as_is_allowed():
    for size in ("16K", "1M"):
        with nghttpd("--no-tls") as port:
            result = judged("-c", "1", "-p", "2", "-n", "4", "--max-frame",
                            size, "--expect", "200", "--expect", "len:3000000",
                            f"http://127.0.0.1:{port}/large")
            equal(result["config"]["http2"]["max_frame_bytes"],
                  {"16K": 16384, "1M": 1048576}[size], "as it was asked for")


def test_the_limit_of_nghttpd_is_told():
    with nghttpd("--no-tls", "-m", "7") as port:
        result = judged("-c", "1", "-p", "30", "-n", "300",
                        f"http://127.0.0.1:{port}/small")
        equal((result["http2"]["allowed"], result["http2"]["reached"]), (7, 7),
              "allowed and reached")


def test_it_says_as_much_as_h2load():
    if not find("h2load"):
        raise Skip("h2load is not installed")
    with nghttpd("--no-tls") as port:
        url = f"http://127.0.0.1:{port}/small"
        result = judged("-c", "2", "-p", "10", "-n", "200", url)
        other = command(find("h2load"), "-c", "2", "-m", "10", "-n", "200",
                        url)
        matches(other.out, r"200 succeeded, 0 failed")
        equal(result["requests"]["ok"], 200, "ok")
        http2 = result["http2"]
        equal(http2["packed_bytes_out"] < http2["header_bytes_out"] / 2, True,
              "packed")
        equal(http2["packed_bytes_in"] < http2["header_bytes_in"] / 2, True,
              f"packed, of answers: {http2}")


# ---- HAProxy ----

def test_haproxy_allows_five_streams():
    with haproxy("proto h2") as port:
        url = f"http://127.0.0.1:{port}"
        result = judged("-c", "3", "-p", "20", "-n", "600", "--expect", "200",
                        "--expect", "text:seen", f"{url}/x")
        equal(result["status"], {"200": 600}, "statuses")
        http2 = result["http2"]
        equal((http2["allowed"], http2["reached"], http2["limited"] > 0),
              (5, 5, True), "allowed, reached, limited")
        result = judged("-n", "20", "--expect", "404", f"{url}/missing")
        equal(result["status"], {"404": 20}, "statuses")


def test_haproxy_agrees_on_h2_by_alpn():
    folder = secured()
    with tempfile.NamedTemporaryFile() as pair:
        for part in (".pem", ".key"):
            with open(folder + part, "rb") as file:
                pair.write(file.read())
        pair.flush()
        with haproxy(f"ssl crt {pair.name} alpn h2,http/1.1") as port:
            result = judged("-c", "2", "-p", "4", "-n", "100", "-k",
                            f"https://127.0.0.1:{port}/")
            equal(result["tls"]["alpn"], "h2", "ALPN")
            equal(result["requests"]["ok"], 100, "ok")


# ---- Node ----

def test_a_server_sees_what_was_asked_for():
    with Node() as node:
        judged("-c", "1", "-p", "4", "-n", "6", "-H", "X-Number: {seq}", "-H",
               "Host: example.org", "-H", "Connection: keep-alive", "-H",
               "TE: trailers", "-b", '{"id": {seq}}',
               f"http://{node.url}/x?n={{seq}}")
        seen = sorted(node.seen(6), key=lambda fields: fields[":path"])
        equal([fields[":path"] for fields in seen],
              [f"/x?n={number}" for number in range(6)], "paths")
        for number, fields in enumerate(seen):
            body = f'{{"id": {number}}}'
            equal({name: fields.get(name) for name in (
                ":method", ":scheme", ":authority", "x-number", "te", "body",
                "content-length", "user-agent", "connection", "host")}, {
                ":method": "POST", ":scheme": "http",
                ":authority": "example.org", "x-number": str(number),
                "te": "trailers", "body": body,
                "content-length": str(len(body)), "user-agent": "weir-load",
                "connection": None, "host": None}, "fields")


def test_a_list_of_urls_goes_in_turn():
    with Node() as node, tempfile.NamedTemporaryFile(
            "w", encoding="ascii") as urls:
        urls.write("/a\nPOST /b n={seq}\n/c?x={seq}\n")
        urls.flush()
        wanted = [("GET", "/a", ""), ("POST", "/b", "n=1"),
                  ("GET", "/c?x=2", ""), ("GET", "/a", ""),
                  ("POST", "/b", "n=4"), ("GET", "/c?x=5", "")]
        for shape in (("-c", "1", "-p", "1"), ("-c", "2", "-p", "3")):
            judged(*shape, "-n", "6", "-t", "1", "--urls", urls.name,
                   f"http://{node.url}/")
            seen = [(fields[":method"], fields[":path"], fields["body"])
                    for fields in node.seen(6)]
            if shape[1] == "2":
                seen, wanted = sorted(seen), sorted(wanted)
            equal(seen, wanted, "requests")


def test_parts_of_a_load_are_one_load():
    with Node() as node:
        paths = []
        for part in ("1/3", "2/3", "3/3"):
            result = judged("-c", "6", "-p", "2", "-n", "20", "--part", part,
                            f"http://{node.url}/{{seq}}")
            paths += [fields[":path"]
                      for fields in node.seen(result["requests"]["ok"])]
        equal(sorted(paths), sorted(f"/{number}" for number in range(20)),
              "paths of all parts")


def test_bodies_come_back_as_they_were_sent():
    with Node() as node, tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(300_000))
        file.flush()
        for body in ("{letters:60000}{seq}", f"@{file.name}", "short"):
            for chunked in ([], ["--chunked"]):
                result = judged("-c", "2", "-p", "5", "-n", "40", "-b", body,
                                *chunked, "--expect", "200", "--expect",
                                "echo", f"http://{node.url}/echo")
                equal(result["requests"]["ok"], 40, "ok")


def test_tls_agrees_on_h2_by_alpn():
    with Node(secured()) as node:
        port = node.url.rpartition(":")[2]
        result = judged("-c", "2", "-p", "4", "-n", "40", "--ca",
                        f"{FOLDER}/ca.pem", "--connect-to", node.url,
                        f"https://localhost:{port}/")
        equal(result["requests"]["ok"], 40, "ok")
        equal(result["tls"]["alpn"], "h2", "ALPN")
        equal({fields[":scheme"] for fields in node.seen(40)}, {"https"},
              "scheme")


def test_a_server_of_tls_that_has_no_h2_is_told():
    secured()
    with nginx(listen="ssl", certificate=f"{FOLDER}/ecdsa") as server:
        port = server.url.rpartition(":")[2]
        outcome = load("--http2", "-n", "1", "-k",
                       f"https://127.0.0.1:{port}/small")
        equal(outcome.status, NOTHING, "exit status")
        one_line(outcome.err, r"tls: ")


def test_the_same_load_by_both_versions():
    with nginx(listen="http2") as second, nginx() as first:
        for flags, url in ((("--http", "2"), second.url),
                           (("--http", "1.1"), first.url)):
            outcome, result = load_json(*flags, "-c", "2", "-p", "4", "-n",
                                        "100", f"{url}/small")
            equal(outcome.status, OK, "exit status")
            equal((result["http2"] is None, "http2" in result["config"]),
                  (flags[1] == "1.1", flags[1] == "2"), "HTTP/2")


run(globals())
