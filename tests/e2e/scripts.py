"""weir-load with requests and answers of protocols that it does not know:
redis, whose own counts must agree, and servers with length fields.
"""

import contextlib
import re
import struct
import subprocess
import tempfile

from dns import find
from harness import (WAIT_S, Program, Skip, equal, load, load_json, matches,
                     one_line, read_line, run)
from servers import Server, read_exactly

NOTHING = 3


@contextlib.contextmanager
def redis():
    """redis-server at a Unix path: its target, and what INFO says."""
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


def judged(*args, status=0):
    outcome, result = load_json(*args)
    equal(outcome.status, status, f"exit status; it said {outcome.err!r}")
    return result


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
    """A kind, a length that counts itself, and that many bytes back."""
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
        matches(outcome.err, r"SURPLUS|more bytes came back")


def test_the_result_has_the_script():
    with Server(framed) as server:
        result = judged("-c", "1", "-n", "2", "--request", "Q\\0\\0\\0\\x04",
                        "--expect", "len:5", server.url)
    equal(result["config"]["mode"], "script", "mode")
    equal(result["config"]["script"], {"request": "Q\\0\\0\\0\\x04",
                                       "expect": "len:5",
                                       "expect_begin": None}, "script")


run(globals())
