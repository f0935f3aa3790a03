"""weir-load with requests that have times, from a file.

The server notes what arrives. Order and counts are looked at here, and that
nothing comes before its time; exact times are looked at on the fake machine.
"""

import contextlib
import tempfile
import time
from collections import Counter

from harness import (PATIENT, WEIR_LOAD, Serve, command, equal, load, load_json,
                     matches, one_line, read_request, run)
from servers import Server
import schema

OK, USAGE, INVALID = 0, 2, 5


@contextlib.contextmanager
def replay(*lines):
    with tempfile.NamedTemporaryFile("w", suffix=".replay") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        yield file.name


def replayed(*args, statuses=(OK, INVALID)):
    """A run; one that was late on a busy machine will do."""
    outcome, result = load_json(*args)
    equal(outcome.status in statuses, True,
          f"exit {outcome.status}; it said {outcome.err!r}")
    schema.check(result)
    return result


class Noting(Server):
    """Answers requests of HTTP with their bodies, or paths, and notes them."""

    def __init__(self, ends=()):
        super().__init__(self.talk)
        self.url = self.url.replace("tcp", "http")
        self.ends = ends
        self.seen = []
        self.began = time.monotonic()

    def talk(self, connection, _number):
        file = connection.makefile("rb")
        while request := read_request(file):
            word, path, body = request
            self.seen.append((time.monotonic() - self.began, word, path, body))
            last = path in self.ends
            text = body or path
            connection.sendall(
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n"
                f"{'Connection: close' if last else 'X: y'}\r\n\r\n"
                f"{'' if word == 'HEAD' else text}".encode())
            if last:
                return

    def requests(self):
        return [request[1:] for request in self.seen]


def test_requests_arrive_in_order_and_not_before_their_times():
    lines = ("# a record", "0 /first", "", "0.05 HEAD /head",
             '0.1 POST /items {"id": {seq}}', "0.15 /first",
             "0.4 PUT /empty", "0.4 GET /last?q={seq}")
    wanted = [("GET", "/first", ""), ("HEAD", "/head", ""),
              ("POST", "/items", '{"id": 2}'), ("GET", "/first", ""),
              ("PUT", "/empty", ""), ("GET", "/last?q=5", "")]
    with Noting() as server, replay(*lines) as path:
        result = replayed("-c", "1", "--replay", path, server.url)
    equal(server.requests(), wanted, "requests")
    for (when, *_), second in zip(server.seen, (0, .05, .1, .15, .4, .4)):
        equal(when >= second, True, f"{when} is not before {second}")
    equal(result["model"], {"kind": "open", "arrival": "replay"}, "model")
    equal((result["requests"]["offered"], result["requests"]["ok"]), (6, 6),
          "requests")
    equal(result["latency"]["response"]["count"], 6, "responses")
    equal(result["latency"]["send_lateness"]["count"], 6, "sent")
    equal(result["duration_ns"] >= 4 * 10 ** 8, True, "all of the file")
    part = result["config"]["replay"]
    matches(part.pop("hash"), r"\A[0-9a-f]{16}\Z")
    equal(part, {"requests": 6, "different": 5, "last_ns": 4 * 10 ** 8,
                 "speed": 1.0}, "config")


def test_threads_send_each_line_once():
    lines = [f"{i / 1000:.3f} /{i}" for i in range(200)]
    for threads in ("1", "2", "3"):
        with Noting() as server, replay(*lines) as path:
            result = replayed("-c", "6", "-p", "4", "-t", threads, "--replay",
                              path, server.url)
        equal(Counter(server.requests()),
              Counter(("GET", f"/{i}", "") for i in range(200)), "requests")
        equal(result["requests"]["ok"], 200, f"ok of {threads} threads")
        equal(sum(row["offered"] for row in result["intervals"]), 200,
              "offered in intervals")


def test_a_thread_without_a_request_ends_with_the_others():
    with Noting() as server, replay("0 /a", "0.01 /b") as path:
        result = replayed("-c", "3", "-t", "3", "--replay", path, server.url)
    equal(result["requests"]["ok"], 2, "ok")
    equal("ended early" in " ".join(result["invalid_reasons"]), False,
          "it ends by itself")
    # The two that send do not wait for each other.
    equal(sorted(server.requests()), [("GET", "/a", ""), ("GET", "/b", "")],
          "requests")


def test_a_request_that_is_dropped_takes_its_text_with_it():
    seen = []

    def slow(connection, _number):
        file = connection.makefile("rb")
        while line := file.readline():
            seen.append(line.decode())
            time.sleep(0.02)
            connection.sendall(line)

    lines = [f"{i / 1000:.3f} delim:\\n begin:{i}/ {i}/{{seq}}\\n"
             for i in range(300)]
    with Server(slow) as server, replay(*lines) as path:
        result = replayed("-c", "2", "-t", "2", "--late", "skip", "--replay",
                          path, server.url, statuses=(INVALID,))
    dropped = result["requests"]["dropped"]
    equal(dropped > 100, True, "dropped")
    equal(result["requests"]["ok"], 300 - dropped, "all others are right")
    for line in seen:
        matches(line, r"\A(\d+)/\1\n\Z")
    numbers = {int(line.split("/")[0]) for line in seen}
    equal(len(numbers), 300 - dropped, "each is sent once")
    equal(max(numbers) >= len(numbers), True, "some before the last are not")


def test_what_a_server_does_not_take_is_sent_again():
    """With -p a connection that the server ends has more requests behind its
    last answer; they are the same ones on the next."""
    lines = [f"0 /{i}" for i in range(4)] + ["0.3 HEAD /4", "0.3 /5"]
    with Noting(ends=("/1",)) as server, replay(*lines) as path:
        result = replayed("-c", "1", "-p", "4", "--replay", path, server.url)
    equal(server.requests(),
          [("GET", f"/{i}", "") for i in range(4)]
          + [("HEAD", "/4", ""), ("GET", "/5", "")], "requests")
    equal((result["requests"]["ok"], result["requests"]["sent"]), (6, 6),
          "requests")
    equal(result["connections"]["requests_repeated"], 2, "sent again")
    equal(result["errors"], [], "errors")


def test_connections_made_anew_carry_the_lines_in_turn():
    lines = [f"{i / 100:.2f} len:3 a{i % 10}\\n" for i in range(20)]
    seen = []

    def echo(connection, _number):
        seen.append(connection.recv(3).decode())
        connection.sendall(b"abc")
        connection.recv(1)

    with Server(echo) as server, replay(*lines) as path:
        result = replayed("-c", "1", "--mode", "crr", "--replay", path,
                          server.url)
    equal(seen, [f"a{i % 10}\n" for i in range(20)], "requests")
    equal(result["requests"]["ok"], 20, "ok")


def test_echoes_are_compared_with_the_bodies_of_their_lines():
    lines = [f"{i / 1000:.3f} POST /{i} {i * 'x'}-{{seq}}" for i in range(50)]
    with Noting() as server, replay(*lines) as path:
        result = replayed("-c", "2", "-p", "5", "-t", "2", "--expect", "echo",
                          "--replay", path, server.url)
    equal(Counter(server.requests()),
          Counter(("POST", f"/{i}", f"{i * 'x'}-{i}") for i in range(50)),
          "requests")
    equal(result["requests"]["ok"], 50, "echoes that are right")


def test_a_speed_divides_the_times():
    lines = ("0 /a", "100 /b")
    with Noting() as server, replay(*lines) as path:
        result = replayed("-c", "1", "--replay", path, "--replay-speed", "1000",
                          server.url)
        equal(server.requests(), [("GET", "/a", ""), ("GET", "/b", "")], "all")
        equal((result["config"]["replay"]["speed"],
               result["config"]["replay"]["last_ns"]), (1000.0, 10 ** 8),
              "config")
        plan = load("--dry-run", "--replay", path, "--replay-speed", "10",
                    server.url)
    matches(plan.out, r"^Model +open replay of 2 requests, 2 different, in "
                      r"10\.0s at speed 10, mode http")


def test_a_long_pause_is_no_reason_to_give_up():
    """Without an answer for 10 s, or twice the time-out, other runs end."""
    with Noting() as server, replay("0 /a", "12 /b") as path:
        result = replayed("-c", "1", "--timeout", "5s", "--replay", path,
                          server.url)
    equal(server.requests(), [("GET", "/a", ""), ("GET", "/b", "")], "all")
    equal(result["requests"]["ok"], 2, "ok")
    equal("ended early" in " ".join(result["invalid_reasons"]), False,
          "it ends by itself")


def test_the_page_says_what_sent_the_requests():
    with Noting() as server, replay("0 /a", "0 /a") as path, \
            tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/result.json"
        text = load("-c", "1", "--replay", path, f"--json={file}", server.url)
        matches(text.out, r"^weir-load .* open replay \d.*, depth 1, "
                          r"a replay of 2 requests, measured ")
        outcome = command(WEIR_LOAD, "report", "-o", f"{folder}/page", file)
        equal((outcome.status, outcome.err), (OK, ""), "the outcome")
        with open(f"{folder}/page", encoding="utf-8") as page:
            matches(page.read(), r'"kind":"open","arrival":"replay"')


def test_results_are_compared_by_times_and_texts():
    def hash_of(*lines):
        with Noting() as server, replay(*lines) as path:
            return replayed("-c", "1", "--replay", path,
                            server.url)["config_hash"]

    equal(hash_of("0 /a", "0.01 /b", "0.02 /a"),
          hash_of("# x", "0.0 /a", "0.010  /b", "0.02 /a"), "of the same")
    equal(len({hash_of("0 /a", "0.01 /b", "0.02 /a"),
               hash_of("0 /a", "0.011 /b", "0.02 /a"),
               hash_of("0 /a", "0.01 /a", "0.02 /b"),
               hash_of("0 /a", "0.01 /c", "0.02 /a")}), 4, "of others")


def test_what_contradicts_a_replay_is_refused():
    url = "http://127.0.0.1:9"
    with replay("0 /", "0.5 GET /x", "0.4 /") as bad, replay("0 /") as good, \
            replay("0 /", "400000 /") as long:
        for arguments, says in (
                ((bad, url), rf"--replay: {bad}: line 3: 0\.4 is before the"),
                (("/nonexistent/x", url), r"/nonexistent/x: No such file"),
                ((good, "-R", "5", url), r"-R: --replay has the times"),
                ((good, "--stages", "1s@5", url), r"--stages: --replay has the"),
                ((good, "--arrival", "const", url), r"--arrival: --replay has"),
                ((good, "--mix", good, url), r"--mix: --replay has the requ"),
                ((good, "-n", "5", url), r"-n: --replay sends all of its file"),
                ((good, "-d", "5", url), r"-d: --replay ends with its last"),
                ((good, "-w", "1", url), r"-w: --replay measures all of its"),
                ((good, "--think", "1s", url), r"--think: the schedule says"),
                ((long, "-i", "10ms", url), r"-i: too short for this --repl"),
                ((good, "-X", "GET", url), r"--replay: it stands for -X, -b"),
                ((good, url + "/x"), r"--replay: it has the paths; write"),
                ((good, "udp://127.0.0.1:9"), r"--replay: it is not for udp:"),
                ((good, "--mode", "stream", "tcp://127.0.0.1:9"),
                 r"--replay: it is not for mode stream"),
                ((good, "tcp://127.0.0.1:9"),
                 rf"--replay: {good}: line 1: '/': at byte 1: write delim:"),
                ((good, "--replay-speed", "0", url), r"'0' is not a number fr")):
            outcome = load("--replay", *arguments)
            equal((outcome.status, outcome.out), (USAGE, ""), "the outcome")
            one_line(outcome.err, says)


# ---- lists ----

def test_requests_of_a_list_take_turns():
    lines = ["/a", "POST /b {seq}", "HEAD /c", "/a", "/d"]
    with Noting() as server, replay(*lines) as path:
        for flags in (["-c", "1", "-p", "3"], ["-c", "1", "-w", "100ms"]):
            server.seen.clear()
            outcome, result = load_json("--urls", path, *flags, "-n", "23",
                                        server.url)
            equal(outcome.status, OK, outcome.err)
            schema.check(result)
            equal(result["config"]["urls"]["requests"], 5, "requests")
            equal(result["config"]["urls"]["different"], 4, "different ones")
            seen = [(word, path) for _, word, path, _ in server.seen]
            turn = [("GET", "/a"), ("POST", "/b"), ("HEAD", "/c"),
                    ("GET", "/a"), ("GET", "/d")]
            equal(seen, [turn[i % 5] for i in range(len(seen))], "turns")
            equal([body for _, word, _, body in server.seen if word == "POST"],
                  [str(5 * i + 1) for i in range((len(seen) + 3) // 5)],
                  "numbers")


def test_all_connections_and_threads_share_one_list():
    lines = [f"/{number}" for number in range(1000)]
    with Noting() as server, replay(*lines) as path:
        outcome = load("--urls", path, "-c", "4", "-t", "2", "-n", "2000",
                       *PATIENT, server.url)
        equal(outcome.status, OK, outcome.err)
        seen = Counter(path for _, _, path, _ in server.seen)
    matches(outcome.out, r", a list of 1000 requests, ")
    # Threads go on at their own pace, each with every second line.
    equal(sum(seen.values()), 2000, "requests")
    equal(set(seen), set(lines), "every line was sent")


def test_a_list_for_another_protocol_has_rules():
    with Serve() as server, replay("len:3 abc", "len:2 de") as path:
        outcome = load("--urls", path, "-c", "1", "-n", "9", server.url)
        equal(outcome.status, OK, outcome.err)
    with replay("/a", "http://elsewhere/") as path:
        outcome = load("--urls", path, "http://127.0.0.1:9")
        equal(outcome.status, USAGE, "exit")
        one_line(outcome.err, r"line 2: 'http://elsewhere/' is not of the targ")


run(globals())
