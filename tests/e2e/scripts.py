"""weir-load with requests and responses of protocols that it does not know: redis and
memcached, whose own counts must agree, and servers with length fields; and requests of
several kinds, also of HTTP."""

import contextlib
import re
import socket
import struct
import subprocess
import tempfile
import time
from collections import Counter

from dns import find
from harness import (WAIT_S, Program, Serve, Skip, equal, judged, load,
                     matches, one_line, read_line, read_request, run)
from servers import Server, read_exactly

NOTHING = 3


@contextlib.contextmanager
def redis():
    """Starts redis-server at a Unix path. Yields its target, and a function that
    returns INFO."""
    server, client = find("redis-server"), find("redis-cli")
    if not server or not client:
        raise Skip("redis is not installed")
    with tempfile.TemporaryDirectory(prefix="weir-redis-") as place:
        path = f"{place}/sock"
        with Program(server, "--port", "0", "--unixsocket", path, "--save", "",
                     "--dir", place, "--daemonize", "no") as program:
            while "eady to accept" not in read_line(program.process.stdout):
                pass

            def ask(*words):
                done = subprocess.run([client, "-s", path, *words], check=True,
                                      stdout=subprocess.PIPE, timeout=WAIT_S)
                return done.stdout.decode()

            yield f"unix:{path}", ask
            program.signal(15)
            equal(program.finish()[0], 0, "exit status of redis")


def calls_of(ask, name):
    found = re.search(rf"cmdstat_{name}:calls=(\d+)",
                      ask("INFO", "commandstats"))
    return int(found[1]) if found else 0


def test_redis_counts_what_weir_load_counts():
    with redis() as (target, ask):
        ping = judged("-c", "4", "-n", "3000", "--request", "PING\\r\\n",
                      "--expect", "delim:\\r\\n", "--expect-begin", "+PONG\\r",
                      target)
        equal(ping["requests"]["ok"], 3000, "ok")
        equal(ping["bytes"], {"in": 3000 * 7, "out": 3000 * 6}, "bytes")
        equal(calls_of(ask, "ping"), 3000, "calls")
        judged("-c", "3", "-p", "16", "-n", "2000", "--request",
               "SET key-{seq} {letters:20}\\r\\n", "--expect", "delim:\\r\\n",
               "--expect-begin", "+OK", target)
        equal(calls_of(ask, "set"), 2000, "calls")
        equal(ask("DBSIZE").strip(), "2000", "keys, of which each has a number")
        equal(len(ask("GET", "key-7").strip()), 20, "a value")


def test_redis_answers_of_two_lines():
    with redis() as (target, ask):
        ask("SET", "x", "v" * 100)
        result = judged("-c", "2", "-p", "4", "-n", "500", "--request",
                        "*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nx\\r\\n", "--expect",
                        "count:2:\\r\\n", "--expect-begin", "$100\\r\\n", target)
        equal(result["bytes"]["in"], 500 * (6 + 102), "bytes")
        equal(calls_of(ask, "get"), 500, "calls")


def test_an_answer_that_does_not_begin_as_it_should_is_a_failure():
    with redis() as (target, _):
        outcome = load("-c", "1", "-n", "20", "--request", "NOPE\\r\\n",
                       "--expect", "delim:\\r\\n", "--expect-begin", "+", target)
        equal(outcome.status, NOTHING, "exit status")
        one_line(outcome.err, r"ANSWER.*begins with '-ERR unknown command")
        result = judged("-c", "1", "-n", "20", "--request", "NOPE\\r\\n",
                        "--expect", "delim:\\r\\n", target)
        equal(result["requests"]["ok"], 20, "without the flag it is good")


def test_connections_are_made_anew():
    with redis() as (target, ask):
        judged("-c", "2", "-n", "60", "--mode", "crr", "--request",
               "PING\\r\\n", "--expect", "len:7", target)
        judged("-c", "2", "-n", "60", "--requests-per-conn", "7", "--request",
               "PING\\r\\n", "--expect", "len:7", target)
        equal(calls_of(ask, "ping"), 120, "calls")


def framed(connection, _number):
    """A kind, a length that includes itself, and this many bytes back."""
    while head := read_exactly(connection, 5):
        size = struct.unpack(">I", head[1:])[0] - 4
        body = read_exactly(connection, size)
        connection.sendall(b"R" + struct.pack(">I", 4 + 2 * size) + body + body)


def test_length_fields():
    with Server(framed) as server:
        result = judged("-c", "3", "-p", "5", "-n", "900", "--request",
                        "Q\\0\\0\\0\\x0e{letters:10}", "--expect",
                        "prefix:4be@1-4", "--expect-begin", "R", server.url)
        equal(result["bytes"], {"in": 900 * 25, "out": 900 * 15}, "bytes")


def test_a_length_that_cannot_be_shows_the_first_bytes():
    def serve(connection, _number):
        while read_exactly(connection, 1):
            connection.sendall(b"R\x00\x00\x00\x03")

    with Server(serve) as server:
        outcome = load("-c", "1", "-n", "3", "--request", "x", "--expect",
                       "prefix:4be@1-4", server.url)
        equal(outcome.status, NOTHING, "exit status")
        one_line(outcome.err, r"LENGTH.*'R\\x00\\x00\\x00\\x03'")


def test_surplus_bytes_are_an_error():
    def serve(connection, _number):
        while read_exactly(connection, 1):
            connection.sendall(b"one\ntwo\n")

    with Server(serve) as server:
        outcome = load("-c", "1", "-n", "3", "--request", "x", "--expect",
                       "delim:\\n", server.url)
        equal(outcome.status, NOTHING, "exit status")
        matches(outcome.err, r"SURPLUS|more bytes were received")


# ---- memcached ----

@contextlib.contextmanager
def memcached():
    """Starts the program at a Unix path. Yields its target, and a function that returns
    one of its counts."""
    program = find("memcached")
    if not program:
        raise Skip("memcached is not installed")
    with tempfile.TemporaryDirectory(prefix="weir-memcached-") as place:
        path = f"{place}/s"
        with Program(program, "-u", "root", "-s", path) as server, \
                socket.socket(socket.AF_UNIX) as client:
            client.settimeout(WAIT_S)
            deadline = time.monotonic() + WAIT_S
            while client.connect_ex(path) != 0:
                equal(server.process.poll(), None, "exit status of memcached")
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.01)
            lines = client.makefile("rwb")

            def count(name):
                lines.write(b"stats\r\n")
                lines.flush()
                stats = b"".join(iter(lines.readline, b"END\r\n")).decode()
                return int(re.search(rf"STAT {name} (\d+)", stats)[1])

            yield f"unix:{path}", count
            server.signal(15)
            server.finish()


SET = "set key{rand:1:9} 0 0 5\\r\\nhello\\r\\n"
GET = "get key{rand:1:9}\\r\\n"


@contextlib.contextmanager
def mix(*lines):
    with tempfile.NamedTemporaryFile("w", suffix=".mix") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        yield file.name


def test_memcached_counts_what_weir_load_counts():
    with memcached() as (target, count):
        judged("-c", "3", "-p", "8", "-n", "2000", "--request", SET, "--expect",
               "delim:\\r\\n", "--expect-begin", "STORED", target)
        equal(count("cmd_set"), 2000, "sets")
        result = judged("-c", "3", "-p", "8", "-n", "3000", "--request", GET,
                        "--expect", "delim:END\\r\\n", "--expect-begin",
                        "VALUE key", target)
        equal((count("cmd_get"), count("get_hits")), (3000, 3000), "gets")
        equal(result["bytes"]["in"], 3000 * len("VALUE key1 0 5..hello..END.."),
              "bytes of answers")
        missed = judged("-c", "1", "-n", "5", "--request", "get none\\r\\n",
                        "--expect", "delim:END\\r\\n", "--expect-begin",
                        "VALUE", target, status=NOTHING)
        equal([error["code"] for error in missed["errors"]], ["ANSWER"], "miss")


def test_memcached_is_asked_and_told_by_weights():
    lines = (f"9 delim:END\\r\\n {GET}",
             f"1 delim:\\r\\n begin:STORED {SET}")
    with memcached() as (target, count), mix("# a cache", "", *lines) as path:
        for seed in ("1", "2"):
            result = judged("-c", "4", "-p", "16", "-t", "2", "-n", "5000",
                            "--seed", seed, "--mix", path, target)
            equal(result["requests"]["ok"], 5000, "ok")
        equal(result["config"]["mix"], list(lines), "config")
        equal(count("cmd_get") + count("cmd_set"), 10000, "all")
        # Nine parts in ten, and six standard deviations.
        equal(8820 < count("cmd_get") < 9180, True, f"{count('cmd_get')} gets")


# ---- requests of several kinds ----

def test_http_requests_are_mixed_by_weights():
    seen = Counter()

    def serve(connection, _number):
        file = connection.makefile("rb")
        while request := read_request(file):
            word, path, body = (re.sub(r"\d+", "N", part) for part in request)
            seen[word, path, body] += 1
            status = "201 Created" if word == "POST" else "200 OK"
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\n"
                               f"{'' if word == 'HEAD' else 'abc'}".encode())

    with Server(serve) as one, Server(serve) as two, mix(
            "/plain", "3 GET /items/{rand:1:1000}", "2 HEAD /head",
            '2\tPOST /items {"id": {seq}}', "2 PUT /empty") as path:
        result = judged("-c", "4", "-p", "5", "-n", "4000", "--mix", path,
                        one.url.replace("tcp", "http"),
                        two.url.replace("tcp", "http"))
        crr = judged("-c", "2", "-n", "100", "--mode", "crr", "--mix", path,
                     one.url.replace("tcp", "http"))
    equal(crr["requests"]["ok"], 100, "ok of crr")
    posts = result["status"]["201"] + crr["status"]["201"]
    wanted = {("GET", "/plain", ""): 1, ("GET", "/items/N", ""): 3,
              ("HEAD", "/head", ""): 2, ("POST", "/items", '{"id": N}'): 2,
              ("PUT", "/empty", ""): 2}
    equal(set(seen), set(wanted), "kinds")
    equal(posts <= seen["POST", "/items", '{"id": N}'], True, "posts")
    for kind, weight in wanted.items():
        equal(abs(seen[kind] - 410 * weight) < 200, True, f"{kind} of {seen}")


def test_one_seed_sends_one_mix():
    def bytes_of(seed, path):
        with Serve("--mode", "http") as server:
            return judged("-c", "1", "-n", "200", "--seed", seed, "--mix",
                          path, server.url.replace("tcp", "http"))["bytes"]

    with mix("/?s=10", "/?s=1000") as path:
        equal(bytes_of("7", path), bytes_of("7", path), "bytes of one seed")
        equal(bytes_of("7", path) != bytes_of("8", path), True,
              "bytes of another seed differ")


def test_a_mix_that_is_wrong_is_told_with_its_line():
    url = "http://127.0.0.1:9"
    with mix("GET /", "# here", "2 GET x") as path:
        outcome = load("--mix", path, url)
        equal((outcome.status, outcome.out), (2, ""), "the outcome")
        one_line(outcome.err, rf"--mix: {path}: line 3: a path begins with /")
        for arguments, says in (
                ((path, url + "/x"), r"it has the paths; write .*:9/$"),
                ((path, "-X", "GET", url), r"--mix: --method belongs in its"),
                ((path, "udp://127.0.0.1:9"), r"--mix: it is not for udp://"),
                ((path, "--mode", "rr", "tcp://127.0.0.1:9"),
                 r"--mix: it is not for mode rr"),
                (("/nonexistent/x", url), r"/nonexistent/x: No such file")):
            outcome = load("--mix", *arguments)
            equal((outcome.status, outcome.out), (2, ""), "the outcome")
            one_line(outcome.err, says)


def test_a_request_that_is_gone_when_the_run_begins_is_told():
    """It is read for a check, and again; a pipe has its bytes only once."""
    target = "tcp://127.0.0.1:9"
    request = "{file:/dev/stdin}"
    with mix(f"len:1 {request}") as weighed:
        for arguments in (("--request", request, "--expect", "len:1"),
                          ("--mix", weighed), ("--urls", weighed)):
            outcome = load(*arguments, target, input=b"x")
            equal((outcome.status, outcome.out), (2, ""), "the outcome")
            one_line(outcome.err, rf"{arguments[0]}: it is empty$")


def test_the_result_has_the_script():
    with Server(framed) as server:
        result = judged("-c", "1", "-n", "2", "--request", "Q\\0\\0\\0\\x04",
                        "--expect", "len:5", server.url)
    equal(result["config"]["mode"], "script", "mode")
    equal(result["config"]["script"], {"request": "Q\\0\\0\\0\\x04",
                                       "expect": "len:5",
                                       "expect_begin": None}, "script")


run(globals(), short="redis_counts_what_weir_load_counts")
