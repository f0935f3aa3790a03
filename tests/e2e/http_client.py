"""weir-load over HTTP/1.1: nginx, whose log must agree with every count, Python's
http.server, and servers with special answers."""

import contextlib
import http.server
import json
import os
import re
import ssl
import tempfile
import threading

from dns import find
from harness import Program, Skip, equal, load, load_json, matches, one_line, run
from servers import Server, free_port, read_exactly

OK, NOTHING = 0, 3
FOLDER = os.environ.get("WEIR_TLS_CERTIFICATES")

NGINX = """
worker_processes 1;
daemon off;
pid {place}/pid;
error_log {place}/error.log;
events {{ worker_connections 512; }}
http {{
    log_format sums '$status $bytes_sent $request_length $connection';
    access_log {place}/access.log sums;
    keepalive_requests {requests};
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{port} {listen};
        {certificate}
        root {place}/pages;
        location /made {{ return 201 "made\\n"; }}
    }}
}}
"""


class Nginx:
    """A folder, a port, and the log after stop()."""

    def __init__(self, place, port, program):
        self.place = place
        self.url = f"http://127.0.0.1:{port}"
        self.program = program

    def stop(self):
        """Returns the log's rows: status, bytes sent, bytes received, connection."""
        self.program.signal(3)
        equal(self.program.finish()[0], 0, "exit status of nginx")
        with open(f"{self.place}/access.log", encoding="ascii") as file:
            return [[int(word) for word in line.split()] for line in file]


@contextlib.contextmanager
def nginx(requests=1000000, listen="", certificate=None):
    """Starts nginx. The arguments are directives after its address, and a certificate
    for TLS."""
    path = find("nginx")
    if not path:
        raise Skip("nginx is not installed")
    with tempfile.TemporaryDirectory(prefix="weir-http-") as place:
        os.mkdir(f"{place}/pages")
        with open(f"{place}/pages/small", "wb") as file:
            file.write(b"x" * 612)
        with open(f"{place}/pages/large", "wb") as file:
            file.write(b"y" * 300_000)
        os.chmod(place, 0o755)
        port = free_port()
        with open(f"{place}/nginx.conf", "w", encoding="ascii") as file:
            file.write(NGINX.format(
                place=place, port=port, requests=requests, listen=listen,
                certificate=certificate and
                f"ssl_certificate {certificate}.pem; "
                f"ssl_certificate_key {certificate}.key;" or ""))
        with Program(path, "-p", place, "-c", f"{place}/nginx.conf", "-e",
                    f"{place}/error.log") as program:
            wait_for_port(port, program)
            yield Nginx(place, port, program)


def wait_for_port(port, program):
    """Waits until it listens; nothing is requested, so that nothing is logged."""
    wanted = f"0100007F:{port:04X}"
    while program.process.poll() is None:
        with open("/proc/net/tcp", encoding="ascii") as file:
            if any(line.split()[1] == wanted and line.split()[3] == "0A"
                   for line in list(file)[1:]):
                return
    raise AssertionError(f"the server said {program.finish()}")


def judged(*args, status=OK):
    outcome, result = load_json(*args)
    equal(outcome.status, status, f"exit status; it said {outcome.err!r}")
    requests = result["requests"]
    equal(requests["sent"], requests["ok"] + requests["failed"]
          + requests["timeout"] + requests["in_flight"], "the ledger")
    return result


def compare_with_log(result, rows):
    """Every count of a run agrees with nginx's log. If connections are made again, the
    last ones may carry nothing."""
    statuses = {}
    for row in rows:
        statuses[str(row[0])] = statuses.get(str(row[0]), 0) + 1
    equal(result["status"], statuses, "answers by status")
    equal(result["requests"]["sent"], len(rows), "requests")
    equal(result["bytes"], {"in": sum(row[1] for row in rows),
                            "out": sum(row[2] for row in rows)}, "bytes")
    connections = result["connections"]
    used = len({row[3] for row in rows})
    equal(used <= connections["opened"] <= used + connections["asked"], True,
          f"{used} used, {connections}")


# ---- nginx ----

def test_totals_are_those_of_nginx_own_log():
    with nginx() as server:
        result = judged("-c", "7", "-n", "5000", f"{server.url}/small")
        compare_with_log(result, server.stop())
        equal(result["status"], {"200": 5000}, "statuses")


def test_totals_are_exact_with_pipelining_and_several_targets():
    with nginx() as server:
        result = judged("-c", "9", "-p", "16", "-n", "3000", "--expect",
                        "2xx,404", f"{server.url}/small", f"{server.url}/made",
                        f"{server.url}/missing?n={{seq}}")
        equal(result["requests"]["ok"], 3000, "ok")
        equal(sorted(result["status"]), ["200", "201", "404"], "statuses")
        compare_with_log(result, server.stop())


def test_totals_are_exact_when_connections_are_made_anew():
    with nginx() as server:
        result = judged("-c", "5", "-p", "4", "-n", "600",
                        "--requests-per-conn", "3:9", f"{server.url}/small")
        opened = result["connections"]["opened"]
        equal(600 // 9 <= opened <= 600 // 3 + 5, True, f"opened: {opened}")
        compare_with_log(result, server.stop())


def test_a_server_may_end_connections_after_some_answers():
    with nginx(requests=10) as server:
        result = judged("-c", "3", "-n", "300", f"{server.url}/small")
        equal(result["requests"]["ok"], 300, "ok")
        equal(result["connections"]["opened"] >= 30, True, "connections")
        compare_with_log(result, server.stop())


def test_mode_crr_is_a_connection_for_each_request():
    with nginx() as server:
        result = judged("--mode", "crr", "-c", "3", "-n", "60",
                        f"{server.url}/small")
        rows = server.stop()
        compare_with_log(result, rows)
        equal(len({row[3] for row in rows}), 60, "connections")


def test_large_bodies_and_heads_alone_are_counted():
    with nginx() as server:
        large = judged("-c", "3", "-n", "60", "-p", "3", f"{server.url}/large")
        heads = judged("-c", "2", "-n", "40", "-p", "3", "-X", "HEAD",
                       f"{server.url}/large")
        rows = server.stop()
        compare_with_log(large, rows[:60])
        compare_with_log(heads, rows[60:])
        equal(large["bytes"]["in"] > 60 * 300_000, True, "bodies")
        equal(heads["bytes"]["in"] < 60 * 1000, True, "heads alone")


def test_bodies_are_sent_by_length_and_in_chunks():
    with nginx() as server, tempfile.NamedTemporaryFile() as file:
        file.write(b"{seq}" * 20_000)
        file.flush()
        results = [judged("-c", "2", "-n", "20", *flags, "--expect", "405",
                          f"{server.url}/small")
                   for flags in (("-b", '{"id": {seq}}'),
                                 ("-b", f"@{file.name}"),
                                 ("-b", f"@{file.name}", "--chunked"),
                                 ("-b", "{letters:40000}", "--chunked"))]
        rows = server.stop()
        for number, result in enumerate(results):
            # nginx does not read the body of a request that it refuses.
            part = rows[20 * number:20 * number + 20]
            equal(result["status"], {"405": 20}, "statuses")
            equal(result["bytes"]["in"], sum(row[1] for row in part), "bytes")


def test_a_status_that_is_not_expected_is_a_failure():
    with nginx() as server:
        result = judged("-c", "2", "-n", "20", "--max-errors", "19",
                        f"{server.url}/small", f"{server.url}/missing")
        # Each connection has sent at least one; the distribution of the others depends
        # on speed.
        counts = result["requests"]["ok"], result["requests"]["failed"]
        equal((sum(counts), min(counts) > 0), (20, True), f"{counts}")
        equal(counts, (result["status"]["200"], result["status"]["404"]),
              "ok and failed")
        equal(result["errors"][0]["code"], "STATUS", "code")
        matches(result["errors"][0]["first"], r"status 404, a body of \d+")
        outcome = load("-n", "5", "--expect", "500", f"{server.url}/small")
        equal(outcome.status, NOTHING, "nothing as expected")
        one_line(outcome.err, r"STATUS.*status 200")


# ---- Python's server, over TLS ----

class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@contextlib.contextmanager
def python_server(context):
    """An HTTPS server of a folder with the file small."""
    with tempfile.TemporaryDirectory(prefix="weir-http-") as place:
        with open(f"{place}/small", "wb") as file:
            file.write(b"x" * 612)

        def make(*args):
            return Handler(*args, directory=place)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make)
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def certificate():
    if not FOLDER:
        raise Skip("no certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{FOLDER}/ecdsa.pem", f"{FOLDER}/ecdsa.key")
    return context


def test_https_is_verified_and_counted():
    with python_server(certificate()) as url:
        result = judged("-c", "3", "-n", "60", "--ca", f"{FOLDER}/ca.pem",
                        f"{url}/small")
        equal(result["status"], {"200": 60}, "statuses")
        equal(result["tls"]["full"], 3, "handshakes")
        judged("-c", "2", "-n", "20", "--ca", f"{FOLDER}/ca.pem", "--expect",
               "re:^x{612}$", f"{url}/small")
        outcome = load("-n", "5", f"{url}/small")
        equal(outcome.status, NOTHING, "an unknown authority")
        said, advice, line = outcome.err.splitlines()
        one_line(said + "\n", r"WEIR_ETLSISSUER")
        equal(advice, "weir-load: to trust it all the same, write:", "advice")
        assert line.endswith(f"-n 5 {url}/small -k"), line
        outcome = load("-n", "5", "-k", "--http2", f"{url}/small")
        matches(outcome.err, r"the server chose no protocol by ALPN$")
        assert outcome.err.endswith(f" -n 5 -k {url}/small\n"), outcome.err


def test_http2_over_tls_is_named_with_the_line_to_write():
    def serve(raw, _number):
        with certificate().wrap_socket(raw, server_side=True) as connection:
            connection.recv(9999)
            connection.sendall(bytes.fromhex("000000040000000000"))
            connection.recv(1)

    certificate()
    with Server(serve) as server:
        url = f"https://localhost:{server.port}/"
        outcome = load("-n", "5", "-k", url)
    matches(outcome.err, r"the server speaks HTTP/2, .*\(HTTP_HTTP2\).*\n"
            rf"weir-load: write:\n.* -n 5 -k {url} --http2\n$")


# ---- answers of every kind ----

def read_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return None
        head += byte
    return head


class Answering(Server):
    """Answers each request without a body with the same bytes, and keeps the
    requests."""

    def __init__(self, answer, closes=False):
        super().__init__(self.answer_all)
        self.answer = answer
        self.closes = closes
        self.heads = []
        self.url = f"http://127.0.0.1:{self.port}"

    def answer_all(self, connection, _number):
        while head := read_head(connection):
            self.heads.append(head)
            connection.sendall(self.answer)
            if self.closes:
                return


def test_answers_of_every_framing_are_understood():
    for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
                   b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: x\r\n\r\n",
                   b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
                   b"HTTP/1.1 204 None\r\n\r\n",
                   b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
                   b"Content-Length: 1\r\n\r\nx"):
        with Answering(answer) as server:
            result = judged("-c", "2", "-n", "20", "-p", "2", server.url)
            equal(result["connections"]["opened"], 2, "opened")
            equal(result["bytes"]["in"], 20 * len(answer), "bytes")


def test_answers_that_end_their_connection_are_whole():
    for answer in (b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
                   b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
                   b"Content-Length: 3\r\n\r\nabc",
                   b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"):
        with Answering(answer, closes=True) as server:
            result = judged("-c", "2", "-n", "10", server.url)
            equal(result["requests"]["ok"], 10, "ok")
            equal(len(server.heads), 10, "requests")
            equal(server.accepted >= 10, True, "connections")
            equal(result["connections"]["lost"], 0, "lost")


def refused(answer, code, pattern, closes=True):
    with Answering(answer, closes=closes) as server:
        outcome, result = load_json("-c", "1", "-n", "3", server.url)
    equal(outcome.status, NOTHING, f"exit status; it said {outcome.err!r}")
    one_line(outcome.err, pattern)
    equal(code in [error["code"] for error in result["errors"]], True,
          f"{code} in {result['errors']}")


FRAMINGS = (
    lambda body: (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                  % (len(body), body)),
    lambda body: (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  + b"".join(b"%x;a=b\r\n%s\r\n" % (len(part), part)
                             for part in (body[:3], body[3:]) if part)
                  + b"0\r\n\r\n"),
    lambda body: b"HTTP/1.1 200 OK\r\n\r\n" + body,
)


def test_bodies_of_every_framing_are_compared():
    body = b"hello\n" * 20_000
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        for number, wanted in enumerate(("re:^(hello\n){2}.*hello\n$",
                                         f"file:{file.name}", "len:120000")):
            with Answering(FRAMINGS[number](body), closes=number == 2) as server:
                result = judged("-c", "2", "-n", "20", "-p",
                                "1" if number == 2 else "2", "--expect", wanted,
                                server.url)
            equal(result["requests"]["ok"], 20, f"ok of {wanted}")
            equal(result["config"]["http"]["expect_body"], wanted, "config")


def wrong_body(wanted, answer, pattern, *flags, code="ANSWER", closes=False):
    with Answering(answer, closes=closes) as server:
        outcome, result = load_json("-c", "1", "-n", "9", *flags, "--expect",
                                    wanted, server.url)
    equal(outcome.status, NOTHING, f"exit status; it said {outcome.err!r}")
    one_line(outcome.err, code + r".*" + pattern)
    equal([(error["phase"], error["code"], error["count"])
           for error in result["errors"]], [("validate", code, 9)], "errors")
    equal(result["status"], {"200": 9}, "statuses")
    if not closes:
        equal(result["connections"]["opened"], 1, "the connection goes on")


def test_a_body_that_is_not_as_expected_is_a_failure_and_its_bytes_are_shown():
    for number, framing in enumerate(FRAMINGS):
        wrong_body("text:hallo\\n", framing(b"hello\n"),
                   r"byte 2 of the body is wrong; it begins with 'hello\\n'",
                   closes=number == 2)
    wrong_body("re:.", FRAMINGS[1](b"x" * 1_048_577), r"a body of 1048577 byte",
               code="BODY_SIZE")
    wrong_body("text:x", FRAMINGS[0](b""), r"a body of 0 bytes, not 1", "-p", "4")


def test_what_has_no_body_has_an_empty_one_and_heads_are_not_looked_at():
    empty = b"HTTP/1.1 204 None\r\n\r\n"
    same = b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n"
    for answer in (empty, same):
        with Answering(answer) as server:
            judged("-c", "1", "-n", "9", "-p", "3", "--expect", "len:0",
                   server.url)
            outcome = load("-c", "1", "-n", "9", "--expect", "len:5", server.url)
            equal(outcome.status, NOTHING, "a body that does not come")
            one_line(outcome.err, r"ANSWER.*a body of 0 bytes, not 5")

    def serve(connection, _number):
        while head := read_head(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                               + (b"" if head.startswith(b"HEAD") else b"hello"))

    with Server(serve) as server, tempfile.NamedTemporaryFile("w") as file:
        file.write("HEAD /\nGET /\n")
        file.flush()
        judged("-c", "2", "-n", "200", "-p", "5", "--mix", file.name,
               "--expect", "text:hello", f"http://127.0.0.1:{server.port}")


def test_a_status_is_judged_before_its_body():
    with nginx() as server:
        result = judged("-c", "2", "-n", "40", "-p", "4", "--expect", "2xx",
                        "--expect", "re:^x{612}$", "--max-errors", "39",
                        f"{server.url}/small", f"{server.url}/missing")
        equal([(error["code"], error["count"]) for error in result["errors"]],
              [("STATUS", result["status"]["404"])], "errors")
        result = judged("-c", "2", "-n", "40", "--expect", "text:made\\n",
                        "--expect", "201,200", "--max-errors", "39",
                        f"{server.url}/made", f"{server.url}/small")
        equal([(error["code"], error["count"]) for error in result["errors"]],
              [("ANSWER", result["status"]["200"])], "errors")
        judged("-c", "2", "-n", "40", "-p", "3", "--expect", "len:300000",
               f"{server.url}/large")


def test_an_answer_that_is_not_understood_shows_its_first_bytes():
    refused(b"SSH-2.0-OpenSSH_9.2\r\n", "HTTP_STATUS_LINE",
            r"begins with 'SSH-2\.0-OpenSSH_9\.2\\r\\n'")
    refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\x01",
            "HTTP_CHUNK", r"the body continues with 'zz\\x01'")


def test_an_answer_that_is_cut_is_an_end_of_stream():
    for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
                   b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
                   b"HTTP/1.1 200 O"):
        refused(answer, "EOF", r"the server closed the connection")


def test_bytes_that_were_not_asked_for_are_an_error():
    refused(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", "SURPLUS",
            r"more bytes were received")


# ---- requests ----

def test_a_request_is_as_the_flags_say():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with Answering(answer) as server:
        judged("-n", "1", "-c", "1", f"{server.url}/a?b=c")
        judged("-n", "1", "-c", "1", "-X", "DELETE", "-H", "Host: other",
               "-H", "accept:", "-H", "X-Id: {conn}/{seq}", server.url)
    port = server.port
    equal(server.heads[0].decode(),
          f"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
          "User-Agent: weir-load\r\nAccept: */*\r\n\r\n", "the plain request")
    matches(server.heads[1].decode(),
            r"\ADELETE / HTTP/1\.1\r\nUser-Agent: weir-load\r\n"
            r"Host: other\r\nX-Id: 0/\d+\r\n\r\n\Z", "the other one")


def test_each_request_is_filled_anew_and_by_the_seed():
    seen = []
    for seed in ("1", "1", "2"):
        with Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as server:
            judged("-n", "20", "-c", "1", "--seed", seed,
                   server.url + "/{seq}/{rand:10:99}/{letters:5}")
        seen.append([re.match(rb"GET /(\d+)/(\d\d)/([a-z]{5}) ", head).groups()
                     for head in server.heads])
    equal(seen[0], seen[1], "the same seed")
    equal(len({row[0] for row in seen[0]}), 20, "numbers")
    equal(len({row[2] for row in seen[0]}), 20, "letters")
    equal([row[2] for row in seen[0]] != [row[2] for row in seen[2]], True,
          "another seed")


def test_a_body_arrives_whole():
    bodies = []

    def serve(connection, _number):
        while head := read_head(connection):
            if b"chunked" in head:
                body = b""
                while size := int(read_line(connection), 16):
                    body += read_exactly(connection, size)
                    read_line(connection)
                read_line(connection)
            else:
                length = re.search(rb"Content-Length: (\d+)", head)
                body = read_exactly(connection, int(length[1]))
            bodies.append(body)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def read_line(connection):
        line = b""
        while not line.endswith(b"\r\n"):
            line += connection.recv(1)
        return line.strip()

    with tempfile.NamedTemporaryFile() as file, Server(serve) as server:
        data = os.urandom(70_000)
        file.write(data)
        file.flush()
        url = f"http://127.0.0.1:{server.port}"
        for flags in (("-b", f"@{file.name}"),
                      ("-b", f"@{file.name}", "--chunked"), ("-b", ""),
                      ("-b", "", "--chunked"), ("-b", "{letters:30}",),
                      ("-b", "{letters:40000}", "--chunked"), ("-X", "PUT")):
            judged("-n", "1", "-c", "1", *flags, url)
    equal([len(body) for body in bodies], [70_000, 70_000, 0, 0, 30, 40_000, 0],
          "sizes")
    equal(bodies[0] == data and bodies[1] == data, True, "bytes")


def test_the_result_has_what_was_asked_for():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with Answering(answer) as server:
        result = judged("-n", "1", "-c", "1", "-X", "POST", "-H", "A: b",
                        "-b", "text", server.url)
    config = result["config"]
    equal(config["mode"], "http", "mode")
    equal(config["http"], {"method": "POST", "path": None, "headers": ["A: b"],
                           "body": "text", "chunked": False, "expect": None,
                           "expect_body": None},
          "what was asked for")
    equal(json.dumps(result["status"]), '{"200": 1}', "statuses")


if __name__ == "__main__":
    run(globals())
