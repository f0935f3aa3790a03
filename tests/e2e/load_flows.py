"""Flows of weir-load: requests that each connection sends once (--preamble), values
from responses (--capture), and the number of connections over time.

Servers count requests; Redis has a password; Node is one of the servers.
"""

import collections
import json
import re
import tempfile
import threading

from dns import find
from harness import (WAIT_S, Program, Skip, command, equal, load, load_json, matches,
                     run, WEIR_LOAD)
from servers import Server, free_port

OK, USAGE, NOTHING = 0, 2, 3

# For a busy machine.
SLOW = ("--lateness-limit", "60s", "--force")


class Logins(Server):
    """HTTP: POST /login/USER returns a separate token to each connection, in its body,
    a header and a cookie; other requests are counted by token."""

    def __init__(self, answer=None):
        super().__init__(self.talk)
        self.url = self.url.replace("tcp", "http")
        self.lock = threading.Lock()
        self.answer = answer or self.token
        self.heads = []
        self.logins = collections.Counter()
        self.seen = collections.Counter()

    @staticmethod
    def token(number):
        body = json.dumps({"data": {"tokens": [{"value": f"t{number}"}]},
                           "id": number, "no": None, "list": [1]})
        half = len(body) // 2
        return ("HTTP/1.1 103 Early Hints\r\nX-Token: early\r\n\r\n"
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                f"x-token:  h{number} \r\nSet-Cookie: a=b\r\n"
                f"Set-Cookie: SID=c{number}; Path=/\r\n\r\n"
                f"{half:x}\r\n{body[:half]}\r\n"
                f"{len(body) - half:x}\r\n{body[half:]}\r\n0\r\n\r\n")

    def talk(self, connection, number):
        data = b""
        while more := connection.recv(1 << 16):
            data += more
            while b"\r\n\r\n" in data:
                head, data = data.split(b"\r\n\r\n", 1)
                length = re.search(rb"Content-Length: (\d+)", head)
                length = int(length.group(1)) if length else 0
                while len(data) < length:
                    data += connection.recv(1 << 16)
                body, data = data[:length].decode(), data[length:]
                self.take(connection, number, head.decode(), body)

    def take(self, connection, number, head, body):
        path = head.split()[1]
        if path.startswith("/login"):
            with self.lock:
                self.heads.append(head)
                self.logins[path + body] += 1
            connection.sendall(self.answer(number).encode())
            return
        field = re.search(r"(?m)^X: (.*?)\r?$", head)
        with self.lock:
            self.seen[number, path, body, field and field.group(1)] += 1
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def answering(head, body=""):
    """A server whose logins have one answer."""
    return Logins(lambda _: f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}"
                  f"\r\n\r\n{body}")


# ---- preambles ----

def test_each_connection_asks_once_and_has_its_own_values():
    for model in ((), ("-R", "2000", *SLOW), ("-p", "4"), ("-t", "3")):
        with Logins() as server:
            outcome, result = load_json(
                "-c", "3", "-n", "300", *model,
                "--preamble", 'POST /login {"user": "u{conn}"}',
                "--capture", "tok_1=json:data.tokens[0].value",
                "--capture", "id=json:id", "--capture", "sid=cookie:SID",
                "--capture", "Head=header:X-Token",
                "-H", "X: {sid} {Head}", "-b", "{tok_1}",
                f"{server.url}/item/{{id}}")
        equal(outcome.status, OK, outcome.err)
        equal(sorted(server.logins.items()),
              [(f'/login{{"user": "u{i}"}}', 1) for i in range(3)], "logins")
        equal(any("\nX:" in head for head in server.heads), False,
              f"fields without their values in {server.heads}")
        # A connection may be too late for the last request.
        equal({key for key in server.seen} -
              {(n, f"/item/{n}", f"t{n}", f"c{n} h{n}") for n in range(3)},
              set(), "requests with other values")
        equal(sum(server.seen.values()), 300, "requests")
        equal(result["requests"]["ok"], 300, "counted")
        equal(result["status"], {"200": 300}, "statuses")
        equal((result["connections"]["preambles"],
               result["connections"]["preambles_failed"]), (3, 0), "preambles")
        equal(result["latency"]["service"]["count"], 300, "times")
        equal(result["config"]["preamble"]["captures"][1], "id=json:id",
              "the configuration")
        equal("user" in json.dumps(result["config"]["preamble"]), False,
              "requests in the configuration")


def test_a_connection_that_is_made_again_asks_again():
    with Logins() as server:
        outcome, result = load_json(
            "-c", "2", "-n", "40", "--requests-per-conn", "5",
            "--preamble", "POST /login", "--capture", "id=json:id",
            "-H", "X: {id}", f"{server.url}/x")
    equal(outcome.status, OK, outcome.err)
    equal(all(str(number) == value for number, _, _, value in server.seen),
          True, f"{server.seen}")
    # At the end each may be in the next one.
    equal(result["connections"]["opened"] -
          result["connections"]["preambles"] in (0, 1, 2), True, "preambles")
    equal(server.logins["/login"] >= 8, True, f"{server.logins}")


def test_a_file_has_requests_with_their_captures():
    with Logins() as server, tempfile.NamedTemporaryFile("w") as file:
        file.write("# first\nPOST /login/a\nX-Own: yes\ncapture a=json:id\n\n"
                   "  POST /login/{a} body\r\nX-Two: {a}\r\n"
                   " capture\t  b=header:X-Token \t\r\n")
        file.flush()
        outcome = load("-c", "1", "-n", "5", "--preamble", f"@{file.name}",
                       "-H", "X: {a}{b}", f"{server.url}/")
        equal(outcome.status, OK, outcome.err)
        matches(outcome.out, r"^Preamble +answered 1  failed 0$")
        plan = command(WEIR_LOAD, "--dry-run", "--preamble", f"@{file.name}",
                       "-b", "{a}{b}", server.url)
    matches(plan.out, r"^Preamble    2 requests on each connection, capture "
            r"a=json:id, b=header:X-Token$")
    equal(dict(server.logins), {"/login/a": 1, "/login/0body": 1}, "logins")
    equal({key[3] for key in server.seen}, {"0h0"}, "values")
    matches(server.heads[0], "^X-Own: yes")
    matches(server.heads[1], "^X-Two: 0")


def test_a_password_of_a_preamble_is_not_in_the_result():
    text = 'POST /login {"password": "hunter2"}'
    with Logins() as server, tempfile.NamedTemporaryFile("w") as file:
        file.write("POST /login/file\n")
        file.flush()
        outcome, result = load_json(
            "-c", "1", "-n", "1", "--preamble", text, f"--preamble={text}",
            "-preamble", text, "--preamble", f"@{file.name}", server.url)
        equal(outcome.status, OK, outcome.err)
    equal(server.logins['/login{"password": "hunter2"}'], 3, "logins")
    equal("hunter2" in outcome.out + outcome.err, False, "a password")
    words = result["command"]
    equal(words[words.index("--preamble"):-1],
          ["--preamble", "...", "--preamble=...", "-preamble", "...",
           "--preamble", f"@{file.name}"], "the command")
    with Logins() as server:
        outcome = command(WEIR_LOAD, "ab", "-d", "100ms", "-w", "0", "--runs",
                          "6", "--force", "--a-flags",
                          "--preamble 'POST /login hunter2'", server.url)
    matches(outcome.out, r"^A +--preamble \.\.\. http")
    equal("hunter2" in outcome.out + outcome.err, False, "a password")


def test_a_preamble_may_come_out_of_a_pipe():
    with Logins() as server:
        outcome = load("-c", "1", "-n", "1", "--preamble", "@/dev/stdin",
                       "-H", "X: {id}", server.url,
                       input=b"POST /login/pipe\ncapture id=json:id\n")
    equal(outcome.status, OK, outcome.err)
    equal(dict(server.logins), {"/login/pipe": 1}, "logins")
    equal([key[3] for key in server.seen], ["0"], "values")


def test_each_connection_logs_in_with_a_row_of_its_own():
    with Logins() as server, tempfile.NamedTemporaryFile("w") as file:
        file.write("user,word\nann,x\nbob,y\n")
        file.flush()
        outcome = load("-c", "3", "-n", "30", "--data", file.name,
                       "--preamble", "POST /login/{csv:user} {csv:word}",
                       server.url)
    equal(outcome.status, OK, outcome.err)
    equal(dict(server.logins), {"/login/annx": 2, "/login/boby": 1}, "logins")


def test_the_fields_of_rows_may_stand_in_a_file_of_preambles_alone():
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("rows", "user\nann\n"),
                           ("login", "POST /login/{csv:user}\n")):
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        outcome = load("--dry-run", "-c", "1", "--data", f"{folder}/rows",
                       "--preamble", f"@{folder}/login", "http://127.0.0.1:9")
    equal(outcome.status, OK, outcome.err)
    matches(outcome.out, r"^Data +1 rows in turn, of user$")


def test_preambles_take_rows_in_turn_whatever_the_order():
    with Logins() as server, tempfile.NamedTemporaryFile("w") as file:
        file.write("user\n" + "".join(f"u{i}\n" for i in range(8)))
        file.flush()
        words = ("--data", file.name, "--preamble", "POST /login/{csv:user}")
        everyone = {f"/login/u{i}": 1 for i in range(8)}
        for order, *more in (("random", f"{server.url}/{{csv:user}}"),
                             ("once", server.url)):
            server.logins.clear()
            outcome = load("-c", "8", "-n", "40", *words, "--data-order", order,
                           *more)
            equal(outcome.status, OK, outcome.err)
            equal(dict(server.logins), everyone, order)
        outcome = load("--dry-run", "-c", "8", "-d", "5s", *words,
                       "--data-order", "once", server.url)
        equal(outcome.status, OK, outcome.err)
        matches(outcome.out, r"measured 5\.00s")
        outcome = load("--dry-run", "-c", "9", *words, server.url)
        equal((outcome.status, outcome.err.count("share")), (OK, 1), outcome.err)
        matches(outcome.err, "warning: the preambles of 9 connections share 8 "
                "rows of --data$")
        outcome = load("--dry-run", "-c", "9", *words, "--data-order", "once",
                       server.url)
        equal(outcome.status, USAGE, outcome.err)
        matches(outcome.err, "--data-order: the preambles of 9 connections need "
                "as many rows; there are 8; -c 8 uses each once$")


def test_values_fill_the_lines_of_a_mix_and_of_a_list():
    for flag, weight in (("--mix", "1 "), ("--urls", "")):
        with Logins() as server, tempfile.NamedTemporaryFile("w") as file:
            file.write(f"{weight}GET /a/{{id}}\n{weight}POST /b b{{id}}\n")
            file.flush()
            outcome = load("-c", "2", "-n", "60", flag, file.name,
                           "--preamble", "POST /login",
                           "--capture", "id=json:id", server.url)
        equal(outcome.status, OK, outcome.err)
        # How many of each a connection gets is random.
        equal({key[:3] for key in server.seen} -
              {(n, *words) for n in range(2)
               for words in ((f"/a/{n}", ""), ("/b", f"b{n}"))}, set(),
              "requests with other values")
        equal({key[1][:2] for key in server.seen}, {"/a", "/b"}, "lines")


def test_the_echo_of_a_body_is_compared_with_its_values():
    class Echo(Logins):
        def take(self, connection, number, head, body):
            if "/login" in head:
                super().take(connection, number, head, body)
            else:
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: "
                                   f"{len(body)}\r\n\r\n{body}".encode())

    with Echo() as server:
        outcome = load("-c", "2", "-p", "3", "-n", "60", "-b", "{seq} {id}",
                       "--expect", "echo", "--preamble", "POST /login",
                       "--capture", "id=json:id", server.url)
    equal(outcome.status, OK, outcome.err)


def test_parts_number_their_connections_together():
    with Logins() as server:
        for part in ("1/2", "2/2"):
            outcome = load("-c", "4", "-n", "20", "--part", part,
                           "--preamble", "POST /login/{conn}", server.url)
            equal(outcome.status, OK, outcome.err)
    equal(dict(server.logins), {f"/login/{i}": 1 for i in range(4)}, "logins")


# ---- failures ----

def test_captures_that_cannot_succeed_are_refused_before_the_run():
    for where in ("header:X", "cookie:X"):
        for words in (("--preamble", "len:1 x", "--capture", f"a={where}"),
                      ("--preamble", "@/dev/stdin")):
            outcome = load("--dry-run", *words, "--request", "{a}",
                           "--expect", "len:1", "tcp://127.0.0.1:9",
                           input=f"len:1 x\ncapture a={where}\n".encode())
            equal(outcome.status, USAGE, outcome.err)
            matches(outcome.err, f"'a={where}': headers and cookies are HTTP's")
    outcome = load("--dry-run", "--preamble", "@/dev/stdin",
                   "http://127.0.0.1:9", input=b"POST /login\nX: a\0b\n")
    equal(outcome.status, USAGE, outcome.err)
    matches(outcome.err, "--preamble: /dev/stdin: it has a byte of zero$")


def fails_by(server, pattern, *words, code="CAPTURE", timeout="10s"):
    """Nothing succeeds, and one kind of error has the reason."""
    with server:
        outcome, result = load_json("-c", "2", "-n", "10", "--timeout", timeout,
                                    "--preamble", "POST /login?x", *words,
                                    server.url)
    equal(outcome.status, NOTHING, outcome.err)
    equal("--expect" in outcome.err, False, outcome.err)
    errors = result["errors"]
    equal([(error["phase"], error["code"]) for error in errors],
          [("preamble", code)], f"errors: {errors}")
    matches(errors[0]["first"],
            rf"^connection \d, --preamble 1 \(POST /login\): {pattern}")
    equal((result["requests"]["sent"], result["connections"]["preambles"]),
          (0, 0), "requests, preambles")
    equal(result["connections"]["preambles_failed"],
          result["connections"]["lost"], "connections that failed")
    equal(sum(server.seen.values()), 0, "requests")


def test_a_preamble_that_fails_is_told_by_its_name():
    fails_by(answering("401 No"), "status 401, a body of 0 bytes",
             code="STATUS")
    fails_by(answering("200 OK\r\nConnection: close"), "the server closes "
             "the connection after the answer, status 200", code="EOF")
    fails_by(Logins(lambda _: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx"),
             "there are bytes behind the answer", code="SURPLUS")
    fails_by(Logins(lambda _: ""), "there is no answer", code="NO_ANSWER",
             timeout="200ms")


def test_a_value_that_is_not_there_fails_its_connection():
    for body, where, why in (
            ('{"a": {"b": "%s"}}' % ("x" * 8193), "json:a.b",
             "it has more than 8192 bytes"),
            ("[" * 5000, "json:a.b", "the body is not JSON: maximum parsing"),
            ("x" * 70000, "json:a.b", "the body has more than 65536 bytes"),
            ("", "header:X-None", "the answer has none"),
            ("", "cookie:none", "the answer has none")):
        fails_by(answering("200 OK\r\nSet-Cookie: nonesuch=1", body),
                 rf"v={re.escape(where)}: {why}", "--capture", f"v={where}",
                 "-H", "X: {v}")


def test_a_value_is_encoded_in_a_path_alone():
    with answering("200 OK", '{"a": "b c#d?e"}') as server:
        outcome = load("-c", "1", "-n", "3", "--preamble", "POST /login",
                       "--capture", "a=json:a", "--preamble", "POST /login/{a}",
                       "--path", "/{a}", "-H", "X: {a}", server.url)
        equal(outcome.status, OK, outcome.err)
    equal(set(server.logins), {"/login", "/login/b%20c%23d?e"}, "logins")
    equal({key[1:] for key in server.seen},
          {("/b%20c%23d?e", "", "b c#d?e")}, "values")


def test_one_connection_that_fails_is_an_error_of_a_valid_rest():
    """The second login is refused once, and repeated. No request is answered before the
    connection of the repeated login has sent one."""
    refused = []
    is_again = threading.Event()

    def answer(number):
        if number == 1 and not refused:
            refused.append(number)
            return "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
        return Logins.token(number)

    class Waiting(Logins):
        def take(self, connection, number, head, body):
            if "/login" not in head:
                if number == 2:
                    is_again.set()
                is_again.wait(WAIT_S)
            super().take(connection, number, head, body)

    with Waiting(answer) as server:
        outcome, result = load_json(
            "-c", "2", "-n", "20", "-w", "0", "--max-errors", "1",
            "--preamble", "POST /login", "--capture", "id=json:id",
            "-H", "X: {id}", server.url)
    equal(outcome.status in (OK, 5), True, outcome.err)
    equal((result["connections"]["preambles"],
           result["connections"]["preambles_failed"]), (2, 1), "preambles")
    equal(result["errors"][0]["code"], "STATUS", "the error")
    equal(1 in {number for number, *_ in server.seen}, False, "connections")


# ---- other servers ----

def test_redis_wants_its_password_first():
    path = find("redis-server")
    if not path:
        raise Skip("redis is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, \
            Program(path, "--port", str(port), "--requirepass", "sesame",
                    "--save", "", "--dir", folder):
        words = ("--request", "SET k{conn} v\\r\\n", "--expect", "delim:\\r\\n",
                 "--expect-begin", "+OK", f"tcp://127.0.0.1:{port}",
                 "--wait", "30s", "-c", "3", "-n", "99")
        outcome, result = load_json(
            "--preamble", "delim:\\r\\n begin:+OK AUTH sesame\\r\\n", *words)
        equal(outcome.status, OK, outcome.err)
        equal((result["requests"]["ok"], result["connections"]["preambles"]),
              (99, 3), "requests, preambles")
        outcome, result = load_json(
            "--preamble", "delim:\\r\\n begin:+OK AUTH simsalabim\\r\\n", *words)
        equal(outcome.status, NOTHING, outcome.err)
        equal([(error["phase"], error["code"]) for error in result["errors"]],
              [("preamble", "ANSWER")], "errors")
        matches(result["errors"][0]["first"],
                "--preamble 1: the answer begins with '-WRONGPASS")
        equal("simsalabim" in json.dumps(result["errors"]), False,
              "a password in an error")


NODE = """
let count = 0;
const users = new Map();
require('http').createServer((request, response) => {
    let body = '';
    request.on('data', part => { body += part; });
    request.on('end', () => {
        if (request.url === '/login') {
            const token = 'node-' + ++count;
            users.set(token, JSON.parse(body).user);
            response.setHeader('Content-Type', 'application/json');
            response.write('{"auth": {"token"');
            setTimeout(() => response.end(`: "${token}"}}`), 5);
            return;
        }
        const token = (request.headers.authorization || '').slice(7);
        response.statusCode = users.has(token) ? 200 : 401;
        response.end(users.get(token));
    });
}).listen(+process.argv[1], '127.0.0.1');
"""


def test_node_gives_tokens_and_wants_them():
    path = find("node")
    if not path:
        raise Skip("node is not installed")
    port = free_port()
    with Program(path, "-e", NODE, str(port)):
        words = ("--wait", "30s", "-c", "4", "-n", "200", "-t", "2",
                 "-H", "Content-Type: application/json",
                 f"http://127.0.0.1:{port}/items")
        outcome, result = load_json(
            "--preamble", 'POST /login {"user": "u{conn}"}',
            "--capture", "token=json:auth.token",
            "-H", "Authorization: Bearer {token}",
            "--expect", "200", "--expect", "re:^u[0-3]$", *words)
        equal(outcome.status, OK, outcome.err)
        equal(result["status"], {"200": 200}, "statuses")
        outcome, result = load_json(*words)
        equal((outcome.status, result["status"]), (NOTHING, {"401": 200}),
              "without a login")


run(globals())
