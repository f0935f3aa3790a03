"""The example of a redis server: redis' own programs, comparison with a redis-server
byte by byte, and rude clients."""

import contextlib
import os
import random
import re
import shutil
import socket
import tempfile

import rude
from dns import find
from harness import (ExampleService, Program, Skip, command, equal, fill,
                     matches, read_line, run)

SEED = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32))
print(f"# WEIR_TEST_SEED={SEED}")


def words(*texts):
    """Returns a request in redis' protocol."""
    parts = [text if isinstance(text, bytes) else text.encode()
             for text in texts]
    return b"*%d\r\n" % len(parts) + b"".join(
        b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def program(name):
    if not shutil.which(name):
        raise Skip(f"{name} is not installed")
    return name


# redis answers the same; the first protocol error ends each connection.
CONVERSATIONS = [
    b"".join([
        words("PING"), words("ping", "a b"), words("GET", "k"),
        words("SET", "k", b"\0\r\n$5\xff"), words("get", "k"),
        words("SET", "", ""), words("GET", ""), words("DEL", "k", "k", "", "x"),
        words("INCR", "n"), words("INCR", "n"), words("SET", "n", "-1"),
        words("INCR", "n"), words("GET"), words("SET", "k"), words("DEL"),
        words("PING", "a", "b"), words("INCR", "a", "b"), b"*0\r\n", b"\r\n",
        b"PING\r\n", b"  SET  a   b \r\n", b"GET a\n", words("QUIT")]),
    b"".join(words("SET", "n", text) + words("INCR", "n") for text in (
        "", "+1", "01", " 1", "1 ", "-", "-0", "0", "x", "1.0", "-7", b"1\0",
        "9223372036854775806", "9223372036854775807", "9223372036854775808",
        "-9223372036854775808", "-9223372036854775809", "9" * 30))
    + words("QUIT"),
    words("SET", "big", b"x" * 1_000_000) + words("GET", "big") + words("QUIT"),
    *(words("PING") + rest for rest in (
        b"*x\r\n", b"*99999999999\r\n", b"*1\r\n$x\r\n", b"*1\r\n$-2\r\n",
        b"*1\r\n$99999999999999999999\r\n", b"*1 \r\n")),
]


@contextlib.contextmanager
def redis():
    """Starts redis-server at a Unix path. Yields a function that sends it requests."""
    server = find("redis-server")
    if not server:
        raise Skip("redis-server is not installed")
    with tempfile.TemporaryDirectory(prefix="weir-redis-") as place:
        path = f"{place}/sock"
        with Program(server, "--port", "0", "--unixsocket", path, "--save", "",
                     "--dir", place, "--daemonize", "no") as real:
            while "eady to accept" not in read_line(real.process.stdout):
                pass

            def ask(request):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
                    sock.sendall(request)
                    # The client's end of stream would end redis' answers, too.
                    return rude.read_end(sock)

            yield ask


def test_it_answers_as_redis_does():
    with redis() as ask, ExampleService("redis_server") as server:
        for request in CONVERSATIONS:
            found, wanted = rude.ask(server, request), ask(request)
            at = len(os.path.commonprefix([found, wanted]))
            equal(found[at:][:200], wanted[at:][:200],
                  f"the answer from byte {at} to {request[:100]}")


def test_redis_cli_gets_what_it_set():
    cli = program("redis-cli")
    with ExampleService("redis_server") as server:
        def ask(*texts):
            outcome = command(cli, "-p", str(server.port), *texts)
            equal(outcome.err, "", "standard error")
            return outcome.out

        equal(ask("SET", "a", "one two"), "OK\n", "SET")
        equal(ask("GET", "a"), "one two\n", "GET")
        equal(ask("INCR", "count"), "1\n", "INCR")
        equal(ask("DEL", "a", "count", "none"), "2\n", "DEL")
        equal(ask("GET", "a"), "\n", "GET of what is gone")
        matches(ask("LPUSH", "a", "b"), r"^ERR unknown command")


def test_redis_benchmark_is_content():
    benchmark = program("redis-benchmark")
    with ExampleService("redis_server") as server, rude.unharmed(server):
        for depth in ("1", "32"):
            outcome = command(benchmark, "-p", str(server.port), "-n", "20000",
                              "-P", depth, "-r", "1000", "-d", "100", "--csv",
                              "-t", "ping,set,get,incr")
            equal(outcome.status, 0, f"exit status; it said {outcome.err}")
            told = re.findall(r'^"(\w+)","\d+\.', outcome.out, re.M)
            equal(told, ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"],
                  "what was measured")


def test_a_request_may_come_in_two_pieces():
    request = (words("SET", "k", b"a\r\nb") + words("GET", "k") + b"PING\r\n"
               + words("QUIT"))
    with ExampleService("redis_server") as server:
        rude.in_pieces(server, request)
        equal(rude.ask(server, request), b"+OK\r\n$4\r\na\r\nb\r\n+PONG\r\n"
              b"+OK\r\n", "the answer")


def test_nonsense_harms_nobody():
    chance = random.Random(SEED)
    beginnings = [words("SET", "k", "v"), b"*", b"*3\r\n$3\r\nSET\r\n$1\r\n",
                  b"*64\r\n", b"$", b"*1\r\n$1048576\r\n", b"PING"]
    with ExampleService("redis_server") as server:
        with rude.unharmed(server):
            rude.nonsense(server, chance, beginnings)
        equal(rude.ask(server, words("PING")), b"+PONG\r\n", "the next client")


def test_what_is_too_large_is_refused():
    key = words("SET", "k")[:-2].replace(b"*2", b"*3")
    with ExampleService("redis_server") as server:
        for request, answer in (
                (key + b"\r\n$1048577\r\n", b"invalid bulk length"),
                (b"*65\r\n", b"invalid multibulk length"),
                (b"a " * 65 + b"\r\n", b"too big inline request"),
                (b"x" * 70_000, b"too long a line"),
                (b"*1\r\n$" + b"1" * 70_000, b"too long a line"),
                (b"*1\r\n$1\r\nxyz", b"no line's end behind a bulk")):
            equal(rude.ask(server, request),
                  b"-ERR Protocol error: " + answer + b"\r\n", "the answer")


def test_a_length_takes_no_memory_before_its_bytes():
    with ExampleService("redis_server") as server, rude.unharmed(server), \
            contextlib.ExitStack() as stack:
        with rude.takes_at_most(server, 30 << 20):
            for _ in range(200):
                sock = stack.enter_context(rude.connect(server))
                sock.sendall(b"*1\r\n$1048000\r\nx")
            equal(rude.ask(server, words("PING")), b"+PONG\r\n", "another")


def test_the_store_has_an_end():
    value = b"x" * 1_000_000
    with ExampleService("redis_server") as server:
        with rude.connect(server) as sock, sock.makefile("rb") as answers:
            def ask(*texts):
                sock.sendall(words(*texts))
                return answers.readline()

            count = 0
            while (answer := ask("SET", f"k{count}", value)) == b"+OK\r\n":
                count += 1
            equal(answer, b"-OOM no room\r\n", "the answer")
            equal(count, (256 << 20) // 1_000_200, "values of a MB")
            equal(ask("DEL", "k0"), b":1\r\n", "DEL")
            equal(ask("SET", "again", value), b"+OK\r\n", "SET")


def test_a_client_that_does_not_read_is_waited_for():
    with ExampleService("redis_server") as server:
        rude.ask(server, words("SET", "k", b"x" * 10_000))
        with rude.takes_at_most(server, 30 << 20), \
                rude.connect(server) as sock:
            requests = words("GET", "k") * 1000
            fill(server, sock, lambda at, count:
                 requests[at % len(requests):][:count])
            equal(rude.ask(server, words("PING")), b"+PONG\r\n", "another")


run(globals())
