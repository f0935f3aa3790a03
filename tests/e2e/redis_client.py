"""weir-load as a Redis client: commands, replies of every form, logins, errors by their
first word; with redis-server, whose own counts must agree, and with scripted servers
that break the rules."""

import contextlib
import os
import re
import subprocess
import tempfile
import time

from dns import find
from harness import (WAIT_S, WEIR_LOAD, Program, Skip, command, equal, judged,
                     load, load_json, matches, one_line, read_line, run)
from servers import Server, echo, free_port, read_exactly

OK, USAGE, NOTHING, ERRORS = 0, 2, 3, 4


@contextlib.contextmanager
def redis(*flags):
    """Starts redis-server on a port. Yields its HOST:PORT, and a function that sends it
    commands."""
    server, client = find("redis-server"), find("redis-cli")
    if not server or not client:
        raise Skip("redis is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="weir-redis-") as place:
        with Program(server, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                     "--dir", place, "--daemonize", "no", *flags) as program:
            while "eady to accept" not in read_line(program.process.stdout):
                pass

            def ask(*words):
                done = subprocess.run([client, "-p", str(port), *words], check=True,
                                      stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, timeout=WAIT_S)
                return done.stdout.decode()

            yield f"127.0.0.1:{port}", ask
            program.signal(15)
            equal(program.finish()[0], 0, "exit status of redis")


def calls_of(ask, name, *login):
    found = re.search(rf"cmdstat_{name}:calls=(\d+)",
                      ask(*login, "INFO", "commandstats"))
    return int(found[1]) if found else 0


def write_file(folder, text):
    path = os.path.join(folder, "lines")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def errors_of(result):
    return {error["code"]: error["requests"] for error in result["errors"]}


# ---- against redis-server ----

def test_redis_counts_what_weir_load_counts():
    with redis() as (place, ask):
        result = judged("-c", "4", "-n", "3000", f"redis://{place}")
        equal((result["requests"]["ok"], calls_of(ask, "ping")), (3000, 3000), "PING")
        equal(result["bytes"], {"in": 3000 * 7, "out": 3000 * 14}, "bytes")
        judged("-c", "3", "-p", "16", "-n", "2000", "-b", "SET key-{seq} {letters:20}",
               f"redis://{place}/")
        equal(calls_of(ask, "set"), 2000, "calls")
        equal(ask("DBSIZE").strip(), "2000", "keys, of which each has a number")
        equal(len(ask("GET", "key-7").strip()), 20, "a value")


def test_nil_is_an_answer():
    with redis() as (place, ask):
        result = judged("-n", "500", "-p", "8", "-b", "GET nothing", f"redis://{place}")
        equal((result["requests"]["ok"], result["requests"]["failed"]), (500, 0), "nil")
        equal(result["bytes"]["in"], 500 * 5, "bytes of $-1")
        judged("-n", "500", "-p", "8", "-b", "GET nothing",
               f"redis://{place}/?protocol=3")
        judged("-n", "10", "-c", "2", f"redis://{place}?protocol=3")
        equal(calls_of(ask, "hello"), 12, "each connection says HELLO 3 once")


SHAPES = """# every shape that a server sends
5 SET key{rand:1:9} "two words"
9 GET key{rand:1:9}
3 INCR counter
2 LRANGE list 0 -1
2 HGETALL hash
2 SMEMBERS set
2 ZRANGE zset 0 -1 WITHSCORES
1 COMMAND DOCS
1 CONFIG GET *
2 EVAL "return {1,{2,{3,{false,'x'}}}}" 0
1 LOLWUT VERSION 5
1 CLIENT TRACKINGINFO
1 GEOPOS geo nobody
1 OBJECT HELP
"""


def test_replies_of_every_shape_are_pipelined_in_both_versions():
    with redis() as (place, ask), tempfile.TemporaryDirectory() as folder:
        ask("RPUSH", "list", *"abcdef")
        ask("HSET", "hash", "a", "1", "b", "2")
        ask("SADD", "set", "x", "y")
        ask("ZADD", "zset", "1.5", "a", "inf", "b")
        path = write_file(folder, SHAPES)
        for version in "23":
            result = judged("-c", "5", "-p", "10", "-n", "2000", "--mix", path,
                            f"redis://{place}/?protocol={version}")
            equal((result["requests"]["ok"], result["errors"]), (2000, []), "answers")
            equal(result["config"]["redis"], {"command": None, "has_login": False},
                  "configuration")


def test_messages_of_no_request_are_passed_over():
    """With client-side caching each SET sends an invalidation to the reader."""
    with redis() as (place, _), tempfile.TemporaryDirectory() as folder:
        path = write_file(folder, "1 CLIENT TRACKING ON BCAST NOLOOP\n"
                                  "8 SET k{rand:1:5} x\n8 GET k{rand:1:5}\n")
        result = judged("-c", "6", "-p", "4", "-n", "5000", "--mix", path,
                        f"redis://{place}/?protocol=3")
        equal((result["requests"]["ok"], result["errors"]), (5000, []), "answers")
        # The longest answer has 7 bytes; Redis sends one message for several keys.
        equal(result["bytes"]["in"] > 5000 * 8, True, f"{result['bytes']}: messages")


def test_errors_are_counted_by_their_first_word():
    with redis() as (place, ask), tempfile.TemporaryDirectory() as folder:
        ask("SET", "text", "x")
        path = write_file(folder, "LPUSH text x\nNOSUCH a\nGET text\nEVALSHA "
                          + 40 * "0" + " 0\n")
        result = judged("-c", "1", "-n", "400", "--urls", path, f"redis://{place}",
                        status=ERRORS)
        equal(errors_of(result), {"REDIS_WRONGTYPE": 100, "REDIS_ERR": 100,
                                  "REDIS_NOSCRIPT": 100}, "errors")
        equal(result["requests"]["ok"], 100, "ok")


def test_a_connection_logs_in_and_selects_once():
    with redis("--requirepass", "s3cret") as (place, ask):
        judged("-c", "4", "-n", "400", "-b", "SET k{seq} x", f"redis://:s3cret@{place}/5")
        login = ("-a", "s3cret")
        equal(ask(*login, "-n", "5", "DBSIZE").strip(), "400", "keys of database 5")
        equal(calls_of(ask, "select", *login) - 1, 4, "SELECT, and that of redis-cli")
        result = judged("-n", "10", f"redis://{place}", status=NOTHING)
        equal(list(errors_of(result)), ["REDIS_NOAUTH"], "without a password")
        result = judged("-n", "10", f"redis://:wrong@{place}", status=NOTHING)
        equal(list(errors_of(result)), ["REDIS_WRONGPASS"], "with a wrong one")
        judged("-n", "10", f"redis://default:s3cret@{place}/?protocol=3")


def test_the_password_of_redis_cli_is_taken_and_no_password_is_shown():
    with redis("--requirepass", "s3cret") as (place, _):
        environment = dict(os.environ, REDISCLI_AUTH="s3cret")
        result = judged("-n", "10", f"redis://{place}", env=environment)
        equal(result["config"]["redis"]["has_login"], True, "login")
        outcome, result = load_json("-n", "10", f"redis://u:hidden%21@{place}/1")
        equal(outcome.status, NOTHING, "a user that is none")
        for text in (outcome.out, outcome.err):
            equal("hidden" in text, False, f"the password in {text!r}")
        equal(result["command"][-1], f"redis://{place}/1", "the command")


SECRET = "s3cretPW"


def written_by(folder, *words):
    """Returns everything that a command of weir-load prints and writes, as one text."""
    names = {"--json=": "json", "--markdown=": "md", "--junit=": "xml",
             "--prometheus=": "prom"}
    outcome = command(WEIR_LOAD, *words,
                      *(flag + os.path.join(folder, name)
                        for flag, name in names.items()
                        if words[0] in ("run", "ab") or flag == "--json="))
    texts = [outcome.out, outcome.err]
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            texts.append(file.read())
        os.unlink(os.path.join(folder, name))
    return outcome.status, "\n".join(texts)


def test_no_command_shows_a_password_wherever_it_writes():
    right, wrong = f":{SECRET}", f"nobody:{SECRET}"
    with redis("--requirepass", SECRET) as (place, _), \
            tempfile.TemporaryDirectory() as folder:
        for words, login, status in (
                (("run", "-n", "20"), right, (OK,)),
                (("run", "-n", "20"), wrong, (NOTHING,)),
                (("ab", "--runs", "6", "-n", "20", "-w", "0"), right, (0, 5, 99)),
                (("ab", "--runs", "6", "-n", "20", "-w", "0"), wrong, (NOTHING,)),
                (("search", "--slo", "p99<9s"), wrong, (NOTHING,)),
                (("sweep", "--rates", "5,10", "-d", "100ms"), wrong, (NOTHING,))):
            targets = [f"redis://{login}@{place}/{n}" for n in "01"]
            if words[0] != "ab":
                targets.pop()
            found, text = written_by(folder, *words, *targets)
            equal(found in status, True, f"{words}: {found}, {text}")
            equal(SECRET in text, False, f"{words}: the password in {text}")
            equal(place in text, True, f"{words}: the target in {text}")


def test_a_login_on_the_command_line_is_warned_of_once_and_left_out_of_results():
    with Server(echo) as server, tempfile.TemporaryDirectory() as folder:
        place = f"127.0.0.1:{server.port}"
        login = f"http://user:{SECRET}@{place}/x"
        few = ("-c", "1", "-w", "0", "--force")
        for words in (
                ("run", "-n", "20", *few, "--label", f"a={login},{login}",
                 f"--label=b={login}", f"tcp://{place}"),
                ("run", "-n", "20", *few, "--preamble",
                 f"len:4 {SECRET}", "--request", "x", "--expect", "len:1",
                 f"tcp://{place}"),
                ("ab", "--runs", "6", "-n", "5", *few, "--a-flags",
                 f"--label b={login} --label c={login}", f"tcp://{place}"),
                ("sweep", "--rates", "5,10", "-d", "100ms", *few, "--label",
                 f"b={login}", f"tcp://{place}"),
                ("search", "--slo", "p99<9s", "-d", "100ms", "--max", "10", *few,
                 "--label", f"b={login}", f"tcp://{place}")):
            status, text = written_by(folder, *words)
            equal(SECRET in text, False, f"{words}: the password in {text}")
            equal(text.count("other users of this machine can read the login"), 1,
                  f"{words}: {status}, {text}")
        page = f"{folder}/page.html"
        load("-n", "9", *few, f"--json={folder}/result", "--label", f"a={login}",
             f"tcp://{place}")
        equal(command(WEIR_LOAD, "report", "-o", page, f"{folder}/result").status,
              OK, "the report")
        with open(page, encoding="utf-8") as file:
            equal(SECRET in file.read(), False, "the password in the page")


def test_a_login_that_is_refused_is_not_shown():
    for url, pattern in (
            ("redis://:s3cr/tPW@H/0", r"'redis://H/0': in a .* write %2F for /, %23 for"),
            ("redis://:s3cr#tPW@H/0", "%23 for #"),
            ("redis://:s3cr?tPW@H/0", r"%3F for \?"),
            ("redis://:s3cr@tPW@H/0", "%40 for @"),
            ("rediss://:s3cr%tPW@H", "rediss://H: .* a % without two digits"),
            ("redis+tls://:s3cr@H", "write redis:// or rediss://")):
        others = (("ab", "--runs", "6"), ("search", "--slo", "p99<1s"),
                  ("sweep", "--rates", "1,2"), ("serve",)) if "cr/" in url else ()
        for words in (("run",), *others):
            outcome = command(WEIR_LOAD, *words, url, *([url] if words[0] == "ab" else []))
            equal(outcome.status, USAGE, outcome.err)
            equal(re.search("s3cr|tPW|Authorization", outcome.out + outcome.err), None,
                  outcome.err)
            if words[0] == "run":
                one_line(outcome.err, pattern)


def test_an_open_loop_and_connections_for_one_command():
    with redis() as (place, ask):
        judged("-R", "1000", "-n", "500", "-c", "4", "--lateness-limit", "60s", "--force",
               f"redis://{place}/2")
        equal(calls_of(ask, "ping"), 500, "calls")
        result = judged("--mode", "crr", "-n", "50", "-c", "2", "-b", "GET x",
                        f"redis://{place}")
        equal(result["connections"]["opened"] >= 50, True, "a connection each")


def test_a_path_and_the_waiting_for_a_server():
    with redis() as (place, ask):
        folder = ask("CONFIG", "GET", "dir").split()[1]
        equal(os.path.isdir(folder), True, "folder")
        judged("--wait", "60s", "-n", "10", "--mode", "redis", "-b", "ECHO hi",
               f"tcp://{place}")


def test_words_are_filled_with_rows_of_data():
    with redis() as (place, ask), tempfile.TemporaryDirectory() as folder:
        path = write_file(folder, 'key,value\na,"one two"\nb,x\n')
        judged("-c", "1", "-n", "2", "--data", path, "-b", "SET {csv:key} {csv:value}",
               f"redis://{place}")
        equal([ask("GET", key).strip() for key in "ab"], ["one two", "x"], "values")


# ---- scripted servers ----

def replying(reply, count=1):
    def serve(connection, _):
        read_exactly(connection, count * 14)  # PING
        connection.sendall(reply)
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass
    return serve


def first_error(reply, *flags, count=1):
    with Server(replying(reply, count)) as server:
        outcome, result = load_json("-c", "1", "-n", "1", *flags,
                                    server.url.replace("tcp", "redis"))
        equal(outcome.status in (NOTHING, ERRORS), True, outcome.err)
        error = result["errors"][0]
        return error["code"], error["first"]


def test_what_is_no_reply_is_named():
    for reply, pattern in (
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no type of RESP, in 'H'"),
            (b"*1\r\n>1\r\n:1\r\n", "a push message inside a reply")):
        code, detail = first_error(reply)
        equal(code, "RESP", reply[:20])
        matches(detail, pattern)


def test_a_push_message_is_not_the_first_byte_of_a_reply():
    """The second reply arrives long after the message before it, in two parts. A slow
    machine makes that longer, never shorter."""
    pause_s = 0.3

    def serve(connection, _):
        read_exactly(connection, len(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"))
        connection.sendall(b"%0\r\n")
        read_exactly(connection, 14)
        connection.sendall(b"+PO")
        connection.sendall(b"NG\r\n")
        read_exactly(connection, 14)
        for part in (b">2\r\n+inv", b"alidate\r\n:1\r\n", b"$4\r\n", b"PONG\r\n"):
            time.sleep(pause_s / 2)
            connection.sendall(part)
        connection.recv(1)
    with Server(serve) as server:
        result = judged("-c", "1", "-n", "2", "-w", "0", "--timeout", "60s",
                        server.url.replace("tcp", "redis") + "/?protocol=3")
        equal(result["latency"]["ttfb"]["max"] >= pause_s * 1e9, True, "ns")


def test_a_reply_too_many_is_an_error():
    equal(first_error(b"+PONG\r\n+PONG\r\n")[0], "SURPLUS", "two replies")


def test_an_end_inside_a_reply_is_an_error():
    def serve(connection, _):
        read_exactly(connection, 14)
        connection.sendall(b"$9\r\nabc")
    with Server(serve) as server:
        result = judged("-c", "1", "-n", "1", server.url.replace("tcp", "redis"),
                        status=NOTHING)
        equal(list(errors_of(result)), ["EOF"], "errors")


def test_a_server_that_ends_or_is_silent_at_the_login_fails():
    def end(connection, _):
        connection.recv(4096)

    def wait(connection, _):
        while connection.recv(4096):
            pass
    with Server(end) as server:
        outcome = load("-c", "1", "-n", "1", "-d", "60s",
                       server.url.replace("tcp://", "redis://u:p@"))
        equal(outcome.status, NOTHING, outcome.err)
        matches(outcome.err, "the server closed the connection")
    with Server(wait) as server:
        outcome = load("-c", "1", "-n", "1", "--connect-timeout", "5s",
                       server.url.replace("tcp://", "redis://u:p@"))
        equal(outcome.status, NOTHING, outcome.err)
        matches(outcome.err, "no answer within the time-out")


def refused_greeting(reply, login, path):
    def serve(connection, _):
        connection.recv(4096)
        connection.sendall(reply)
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass
    with Server(serve) as server:
        result = judged("-c", "1", "-n", "1",
                        server.url.replace("tcp://", "redis://" + login) + path,
                        status=NOTHING)
        error = result["errors"][0]
        return error["code"], error["first"]


def test_of_a_refused_greeting_the_first_word_is_shown():
    """A server older than Redis 6 repeats what it does not understand."""
    unknown = (b"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, "
               b"`default`, `s3cretPW`, \r\n")
    login = ":s3cretPW@"
    hello = "HELLO: 'ERR'; the server has no HELLO 3; leave ?protocol=3 out"
    for reply, given, path, code, detail in (
            (unknown, login, "/?protocol=3", "REDIS_ERR", hello),
            (unknown, "", "/?protocol=3", "REDIS_ERR", hello),
            (b"!%d\r\n%s\r\n" % (len(unknown) - 3, unknown[1:-2]), login,
             "/?protocol=3", "REDIS_ERR", hello),
            (b"-NOPROTO x\r\n", "", "/?protocol=3", "REDIS_NOPROTO",
             hello.replace("ERR", "NOPROTO")),
            (b"-WRONGPASS s3cretPW\r\n", login, "", "REDIS_WRONGPASS",
             "AUTH: 'WRONGPASS'"),
            (b"-ERR no index\r\n", "", "/99", "REDIS_ERR", "SELECT: 'ERR no index'"),
            (b"400 s3cretPW\r\n", login, "", "RESP",
             "connection 0: no type of RESP, in '4'")):
        equal(refused_greeting(reply, given, path), (code, detail), f"{reply}")


# ---- the command line ----

def refusal(*args):
    outcome = load(*args)
    equal((outcome.status, outcome.out), (USAGE, ""), outcome.err)
    return outcome.err


def test_what_is_not_for_redis_is_refused():
    url = "redis://127.0.0.1:1"
    for args, pattern in (
            (("-b", "SUBSCRIBE x", url), "SUBSCRIBE does not have exactly one answer"),
            (("-b", "GET \"x", url), "at byte 5, .* the quote is not closed"),
            (("-H", "a: b", url), "-H: it is for HTTP"),
            (("--expect", "len:3", url), "--expect: it is for HTTP and --request"),
            (("--request", "x", url), "a command is -b 'GET key'"),
            (("--mode", "echo", url), "echo is not for redis://"),
            ((url, "tcp://127.0.0.1:1"), "redis:// and other targets"),
            ((url, "redis://u:p@127.0.0.1:1", "redis://v:p@127.0.0.1:1"),
             "all targets have one user"),
            (("redis://:p@127.0.0.1:1", url), "the login in all targets .* or in none"),
            ((url, "redis://:p@127.0.0.1:1", url), "all targets of Redis or in none"),
            (("-b", "SHUTDOWN NOSAVE", url), "SHUTDOWN ends the connection, or has"),
            (("-b", "QUIT", url), "QUIT ends the connection, or has"),
            (("-b", "GET", "tcp://127.0.0.1:1"), "-b: it is for HTTP")):
        matches(one := refusal(*args), pattern)
        one_line(one, pattern)


run(globals())
