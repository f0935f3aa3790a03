"""weir-load with different requests: headers and bodies in a file's lines, fields from
the rows of a file, and counts by kind.

The server records the heads and bodies that it receives.
"""

import contextlib
import csv
import os
import re
import tempfile
import time
from collections import Counter

from harness import (WEIR_LOAD, command, equal, load, load_json, matches,
                     one_line, read_request, run)
from servers import Server
import schema

OK, USAGE, ERRORS, FAILED = 0, 2, 4, 99


@contextlib.contextmanager
def files(**texts):
    """Makes files in a folder, by their names. Yields the folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", newline="",
                      encoding="utf-8") as file:
                file.write(text)
        yield folder


class Noting(Server):
    """Answers HTTP requests with the status after /status, and records them: method,
    path, headers and body."""

    def __init__(self):
        super().__init__(self.talk)
        self.url = self.url.replace("tcp", "http")
        self.seen = []

    def talk(self, connection, _number):
        file = connection.makefile("rb")
        while line := file.readline():
            method, path, _ = line.decode().split()
            headers = {}
            while (field := file.readline()) not in (b"\r\n", b""):
                name, value = field.decode().rstrip("\r\n").split(": ", 1)
                equal(name.lower() in headers, False, f"{name} twice")
                headers[name.lower()] = value
            body = file.read(int(headers.get("content-length", 0))).decode()
            self.seen.append((method, path, headers, body))
            status = path[-3:] if "/status" in path else "200"
            connection.sendall(f"HTTP/1.1 {status} Fine\r\n"
                               "Content-Length: 2\r\n\r\nok".encode())


def done(*args):
    outcome, result = load_json(*args)
    equal(outcome.status, OK, f"it said {outcome.err!r}; the exit code")
    schema.check(result)
    return result


# ---- headers and bodies of lines ----

def test_lines_below_a_request_are_its_headers_and_its_body():
    text = ("POST /a {\"n\": {seq}}\nContent-Type: application/json\n"
            "X-Number: {seq}\n\n/b\nuser-agent: mine\nAccept:\n")
    with Noting() as server, files(two=text) as folder:
        done("-c", "1", "-n", "4", "-H", "Accept: text/html", "-H",
             "User-Agent: all", "--urls", f"{folder}/two", server.url)
    first, second, third, _ = server.seen
    equal(first[:2] + first[3:], ("POST", "/a", '{"n": 0}'), "first")
    equal((first[2]["content-type"], first[2]["x-number"], first[2]["accept"],
           first[2]["user-agent"]),
          ("application/json", "0", "text/html", "all"), "headers")
    equal(second[:2] + second[3:], ("GET", "/b", ""), "second")
    equal(second[2].get("user-agent"), "mine", "instead of that of -H")
    equal("accept" in second[2], False, "left out")
    equal((third[2]["x-number"], third[3]), ("2", '{"n": 2}'), "filled anew")


# ---- rows of a file ----

USERS = "id,name,note\n" + "".join(
    f'{i},"user {i}","say ""{i}"", twice"\n' for i in range(50))


def numbers_of(server):
    return [int(path.split("/")[2]) for _, path, _, _ in server.seen]


def test_each_request_has_the_fields_of_one_row():
    with Noting() as server, files(users=USERS) as folder:
        result = done("-c", "1", "-n", "60", "--data", f"{folder}/users", "-H",
                      "X-Name: {csv:name}", "-b", '{"n": "{csv:note}"}',
                      f"{server.url}/u/{{csv:id}}/{{csv:name}}")
    equal(numbers_of(server), [*range(50), *range(10)], "rows in turn")
    for number, (_, path, headers, body) in zip(numbers_of(server),
                                                server.seen):
        equal((path, headers["x-name"], body),
              (f"/u/{number}/user%20{number}", f"user {number}",
               f'{{"n": "say "{number}", twice"}}'), "a request")
    part = result["config"]["data"]
    equal((part["rows"], part["columns"], part["order"]), (50, 3, "turn"),
          "config")


def test_rows_at_random_follow_from_the_seed():
    seen = []
    for seed in ("1", "1", "2"):
        with Noting() as server, files(users=USERS) as folder:
            done("-c", "1", "-n", "100", "--data", f"{folder}/users",
                 "--data-order", "random", "--seed", seed,
                 f"{server.url}/u/{{csv:id}}")
        seen.append(numbers_of(server))
    equal(seen[0], seen[1], "one seed")
    equal(seen[0] != seen[2], True, "another seed")
    equal(len(set(seen[0])) > 25, True, "most of the rows")
    equal(seen[0] != sorted(seen[0]), True, "not in turn")


def test_each_row_is_used_once_by_threads_and_by_parts():
    for threads in ("1", "3"):
        with Noting() as server, files(users=USERS) as folder:
            result = done("-c", "6", "-p", "2", "-t", threads, "--data",
                          f"{folder}/users", "--data-order", "once",
                          f"{server.url}/u/{{csv:id}}")
            equal(sorted(numbers_of(server)), [*range(50)], "each once")
            equal(result["requests"]["ok"], 50, "and the run ends")
    with Noting() as server, files(users=USERS) as folder:
        for part in ("1/3", "2/3", "3/3"):
            outcome, _ = load_json(
                "-c", "6", "-t", "2", "--part", part, "--data",
                f"{folder}/users", "--data-order", "once",
                f"{server.url}/u/{{csv:id}}")
            equal(outcome.status, OK, outcome.err)
        equal(sorted(numbers_of(server)), [*range(50)], "of all parts")
        for words, told in (
                (("-n", "51"), "51 requests need as many rows; there are 50; "
                 "-n 50 uses each once"),
                (("-c", "51", "--part", "1/51"),
                 "--part: 50 requests are less than one for each of 51 parts")):
            outcome = load(*words, "--data", f"{folder}/users", "--data-order",
                           "once", f"{server.url}/u/{{csv:id}}")
            one_line(outcome.err, told)


def test_fewer_requests_than_rows_and_a_rate_use_rows_once():
    with Noting() as server, files(users=USERS) as folder:
        done("-c", "2", "-n", "20", "--data", f"{folder}/users",
             "--data-order", "once", f"{server.url}/u/{{csv:id}}")
        equal(sorted(numbers_of(server)), [*range(20)], "the first ones")
        server.seen.clear()
        load_json("-c", "2", "-R", "500", "--data", f"{folder}/users",
                  "--data-order", "once", f"{server.url}/u/{{csv:id}}")
        equal(sorted(numbers_of(server)), [*range(50)], "of a rate")


def test_other_protocols_have_fields_too():
    def echo(connection, _number):
        file = connection.makefile("rb")
        while line := file.readline():
            seen.append(line.decode())
            connection.sendall(line)

    seen = []
    with Server(echo) as server, files(users=USERS) as folder:
        done("-c", "1", "-n", "3", "--data", f"{folder}/users", "--request",
             "GET {csv:id} {csv:name}\\n", "--expect", "delim:\\n", server.url)
    equal(seen, [f"GET {i} user {i}\n" for i in range(3)], "requests")


def test_lines_of_files_have_fields_too():
    lines = "POST /a/{csv:id} {csv:name}\nX: {csv:id}\n"
    with Noting() as server, files(users=USERS, lines=lines) as folder:
        for flag in ("--urls", "--mix"):
            done("-c", "1", "-n", "3", "--data", f"{folder}/users", flag,
                 f"{folder}/lines", server.url)
    equal([(path, headers["x"], body) for _, path, headers, body
           in server.seen],
          [(f"/a/{i}", f"{i}", f"user {i}") for i in (0, 1, 2)] * 2,
          "requests")


def test_what_does_not_fit_the_data_is_refused():
    lines = "GET /{csv:name}\nX: {csv:text}\n"
    with files(users=USERS, lines=lines,
               text='name,text\na,"1\n2"\n') as folder:
        users = ("--data", f"{folder}/users")
        text = ("--data", f"{folder}/text")
        for words, reason in (
                (("http://h/{csv:id}",), r"\{csv:id\} needs --data FILE"),
                ((*users, "http://h/{csv:nme}"),
                 r"/\{csv:nme\}: .*is not a column; the columns are id, name, note"),
                ((*users, "--data-order", "turn", "http://h/"),
                 r"--data: no request has \{csv:COLUMN\} of id, name, note"),
                ((*text, "-H", "A: {csv:text}", "http://h/{csv:name}"),
                 r"A: \{csv:text\}: .*line 2 of the data has a control"),
                ((*text, "--urls", f"{folder}/lines", "http://h/"),
                 r"X: \{csv:text\}: .*line 2 of the data has a control"),
                (("--data-order", "once", "http://h/"),
                 r"--data-order: there is no --data"),
                ((*users, "--data-order", "once", "-d", "1s",
                  "http://h/{csv:id}"), r"--data-order: .*omit -d"),
                ((*users, "--data-order", "once", "-w", "1s",
                  "http://h/{csv:id}"), r"--data-order: .*omit -w"),
                ((*users, "--data-order", "once", "-n", "51",
                  "http://h/{csv:id}"),
                 r"--data-order: 51 requests need as many rows; there are 50")):
            outcome = load(*words)
            equal(outcome.status, USAGE, "exit code")
            one_line(outcome.err, reason)


def test_rows_that_are_used_once_end_a_run_of_a_file():
    for flag, lines in (("--urls", "/u/{csv:id}\n"),
                        ("--mix", "1 /u/{csv:id}\n3 /u/{csv:id}/x\n")):
        with Noting() as server, files(users=USERS, lines=lines) as folder:
            result = done("-c", "3", "--data", f"{folder}/users",
                          "--data-order", "once", flag, f"{folder}/lines",
                          server.url)
        equal(sorted(numbers_of(server)), [*range(50)], f"{flag}: each once")
        equal(result["requests"]["ok"], 50, "and the run ends")


def test_rows_that_are_used_once_are_for_one_run():
    with files(users=USERS) as folder:
        for name, *words in (("search", "--slo", "p99<1s"),
                             ("sweep", "--conns", "1,2"), ("ab",)):
            for once in (("--data-order", "once"), ("--data-order=once",)):
                url = "http://127.0.0.1:9/{csv:id}"
                outcome = command(WEIR_LOAD, name, *words, "--data",
                                  f"{folder}/users", *once, url,
                                  *((url,) if name == "ab" else ()))
                equal(outcome.status, USAGE, outcome.err)
                one_line(outcome.err, f"--data-order: {name} makes several")


def test_fields_that_nothing_would_fill_are_refused():
    with files(users=USERS, body='{"id": "{csv:id}", "t": "{token}"}',
               lines="POST /{csv:id}\n@BODY\n") as folder:
        with open(f"{folder}/lines", "w", encoding="utf-8") as file:
            file.write(f"POST /{{csv:id}}\n@{folder}/body\n")
        data = ("--data", f"{folder}/users", "--data-order", "turn")
        login = ("--preamble", "/login", "--capture", "token=header:X")
        body = ("-b", f"@{folder}/body")
        url = "http://127.0.0.1:9/"
        for words, reason in (
                ((*data, "ws://127.0.0.1:9/"), "--data: ws:// messages have"),
                ((*data, *body, url + "{csv:id}"),
                 r"body: the file has \{csv:COLUMN\}, and its bytes are"),
                ((*login, *body, "-H", "X: {token}", url),
                 r"body: the file has \{token\}, and its bytes are"),
                ((*data, "--urls", f"{folder}/lines", url),
                 r"body: the file has \{csv:COLUMN\}, and its bytes are")):
            outcome = load(*words)
            equal(outcome.status, USAGE, f"{words}: {outcome.err}")
            one_line(outcome.err, reason)


def test_a_file_of_rows_is_not_taken_for_a_body():
    with files(**{"u.csv": USERS, "body": "x"}) as folder:
        for words, reason in (
                ((f"{folder}/u.csv", "-b", "{}"), "no request has"),
                ((f"{folder}/u.csv",), "no request has"),
                ((f"{folder}/body", "-b", "{csv:x}"), "no row in it")):
            outcome = load("--data", *words, "http://127.0.0.1:9/")
            equal(outcome.status, USAGE, outcome.err)
            one_line(outcome.err, reason)
        outcome = load("--data", f"{folder}/body", "http://127.0.0.1:9/")
        matches(outcome.err, "-b @FILE")


def test_a_dry_run_says_what_rows_there_are():
    with files(users=USERS) as folder:
        outcome = load("--dry-run", "--data", f"{folder}/users",
                       "--data-order", "once",
                       "http://127.0.0.1:9/{csv:id}")
    equal(outcome.status, OK, outcome.err)
    matches(outcome.out, r"(?m)^Data +50 rows once each, of id, name, note$")
    matches(outcome.out, r"measured 50 requests")


# ---- results by kinds ----

MIX = """6 GET /a?n={seq}
3 [log in] POST /b/status201 {}
1 GET /c/status503
"""


def kinds_of(result):
    return {kind["name"]: kind for kind in result["kinds"]}


def test_kinds_have_counts_statuses_and_times_of_their_own():
    for more in ((), ("-p", "3"), ("-t", "3"), ("-R", "2000")):
        with Noting() as server, files(mix=MIX) as folder:
            outcome, result = load_json(
                "-c", "3", "-n", "400", *more, "--max-errors", "100%", "--mix",
                f"{folder}/mix", server.url)
            equal(outcome.status in (OK, 5), True, outcome.err)
            schema.check(result)
            seen = Counter(path.split("?")[0] for _, path, _, _ in server.seen)
        kinds = kinds_of(result)
        equal(list(kinds), ["GET /a", "log in", "GET /c/status503"], "names")
        equal({name: kind["ok"] + kind["failed"]
               for name, kind in kinds.items()},
              {"GET /a": seen["/a"], "log in": seen["/b/status201"],
               "GET /c/status503": seen["/c/status503"]}, "requests")
        equal([kind["status"] for kind in kinds.values()],
              [{"200": seen["/a"]}, {"201": seen["/b/status201"]},
               {"503": seen["/c/status503"]}], "statuses")
        equal([kind["latency"]["count"] for kind in kinds.values()],
              [seen["/a"], seen["/b/status201"], 0], "times of good answers")
        model = "response" if "-R" in more else "service"
        for field in ("count", "sum"):
            equal(sum(kind["latency"][field] for kind in kinds.values()),
                  result["latency"][model][field], f"{field} of all times")


def test_a_kind_is_slow_and_the_others_are_not():
    class Slow(Noting):
        def talk(self, connection, _number):
            file = connection.makefile("rb")
            while request := read_request(file):
                if request[1] == "/slow":
                    time.sleep(0.05)
                connection.sendall(b"HTTP/1.1 200 OK\r\n"
                                   b"Content-Length: 0\r\n\r\n")

    lines = "/fast\n" * 9 + "/slow\n"
    with Slow() as server, files(lines=lines) as folder:
        result = done("-c", "1", "-n", "100", "--urls", f"{folder}/lines",
                      server.url)
    kinds = kinds_of(result)
    equal((kinds["GET /fast"]["ok"], kinds["GET /slow"]["ok"]), (90, 10), "ok")
    equal(kinds["GET /slow"]["latency"]["min"] >= 50_000_000, True, "slow")
    equal(kinds["GET /fast"]["latency"]["min"] < 50_000_000, True, "fast")


def test_timeouts_and_lost_requests_are_of_their_kind():
    def serve(connection, _number):
        file = connection.makefile("rb")
        while request := read_request(file):
            if request[1] == "/lost":
                return
            if request[1] != "/never":
                connection.sendall(b"HTTP/1.1 200 OK\r\n"
                                   b"Content-Length: 0\r\n\r\n")

    lines = "/a\n/never\nPOST /lost\n"
    with Server(serve) as server, files(lines=lines) as folder:
        outcome, result = load_json(
            "-c", "1", "-n", "9", "--timeout", "1s", "--max-errors", "100%",
            "--urls", f"{folder}/lines", server.url.replace("tcp", "http"))
        equal(outcome.status in (OK, 5), True, outcome.err)
    kinds = kinds_of(result)
    # A busy machine may be late for the others.
    equal([kind["ok"] + kind["failed"] + kind["timeout"] for kind in kinds.values()],
          [3, 3, 3], "requests")
    equal((kinds["GET /a"]["ok"] > 0, kinds["GET /a"]["failed"],
           kinds["GET /never"]["timeout"], kinds["POST /lost"]["failed"] > 0),
          (True, 0, 3, True), "ok, failed and timeout")
    equal(kinds["GET /never"]["latency"]["min"] >= 1_000_000_000, True,
          "a timeout is among the times")


def test_objectives_are_of_a_kind():
    for text, status, said in (
            ("p50{GET /a}<10s,errors{log in}<1,rate{GET /a}>1", OK, "holds"),
            ("errors{GET /c/status503}<50%", FAILED, "DOES NOT HOLD: 100%"),
            ("status.201{log in}<1", FAILED, "DOES NOT HOLD"),
            ("max{GET /c/status503}<10s", FAILED, "not known")):
        with Noting() as server, files(mix=MIX) as folder:
            outcome = load("-c", "2", "-n", "300", "--max-errors", "100%",
                           "--mix", f"{folder}/mix", "--slo", text, server.url)
        equal(outcome.status, status, f"{text}: {outcome.err}")
        matches(outcome.out, f"(?m)^Objective .*{said}")
        matches(outcome.out, r"(?m)^Kind .*  log in  ok \d+$")
        matches(outcome.out, r"(?m)^Kind .*  GET /c/status503  ok 0  errors "
                             r"\d+ \(100.00%\)$")


def test_errors_that_an_objective_speaks_of_are_its_affair():
    lines = "/a\n" * 8 + "/b/status503\n/c/status404\n"
    for slo, status in (
            ("status.503<50%,status.404<=10%", OK), ("status.503<50%", ERRORS),
            ("status.503<5%,status.404<50%", FAILED), ("errors<=20%", OK),
            ("errors{GET /b/status503}<=100%,status.404<11", OK)):
        with Noting() as server, files(lines=lines) as folder:
            outcome = load("-c", "1", "-n", "100", "--urls", f"{folder}/lines",
                           "--slo", slo, server.url)
        equal(outcome.status, status, f"{slo}: {outcome.err}")


def test_the_rate_of_a_kind_counts_as_that_of_all_does():
    """Answers after the window, and to requests of the warm-up."""
    def talk(connection, _number):
        file = connection.makefile("rb")
        while line := file.readline():
            while file.readline() not in (b"\r\n", b""):
                pass
            time.sleep(0.3)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    for words in (("-w", "500ms"), ()):
        with Server(talk) as server, files(lines="/a\n/b\n") as folder:
            outcome, result = load_json(
                "-c", "4", "-d", "1s", *words, "--force", "--urls",
                f"{folder}/lines", server.url.replace("tcp", "http"))
        schema.check(result)
        equal(sum(kind["completed"] for kind in result["kinds"]),
              result["rate"]["completed"], f"{words}: {outcome.err}")


def test_names_that_are_no_text_are_refused():
    for name in (b"\xff", b"a\x1b[1m", b"\xc2\x80", b"\x7f", b"\xed\xa0\x80"):
        for flag, before in (("--urls", b""), ("--mix", b"1 ")):
            with tempfile.TemporaryDirectory() as folder:
                with open(f"{folder}/lines", "wb") as file:
                    file.write(before + b"[" + name + b"] GET /\n")
                outcome = load(flag, f"{folder}/lines", "http://127.0.0.1:9")
            equal(outcome.status, USAGE, "exit code")
            one_line(outcome.err, "line 1: the name of a kind is UTF-8")
        slo = os.fsdecode(b"p50{" + name + b"}<1s")
        outcome = load("--slo", slo, "http://127.0.0.1:9")
        equal(outcome.status, USAGE, "exit code")
        one_line(outcome.err, "the name of a kind is UTF-8")


def test_reports_show_the_kinds_with_the_most_requests():
    lines = "".join(f"/{i}\n" for i in range(20)) + "/15\n[own] /19\n"
    with Noting() as server, files(lines=lines) as folder:
        outcome = load("-c", "1", "-n", "44", "--urls", f"{folder}/lines",
                       server.url)
    equal(len(re.findall(r"(?m)^Kind  ", outcome.out)), 10, outcome.out)
    matches(outcome.out, r"(?m)^Kind .*  GET /15  ok 4$")
    matches(outcome.out, r"(?m)^Kinds +21; those above have the most requests")


def test_objectives_of_a_kind_that_is_none_are_refused():
    with files(mix=MIX) as folder:
        for words, reason in (
                (("--slo", "p95{GET /b}<1s", "--mix", f"{folder}/mix"),
                 r"--slo: p95\{GET /b\}<1s: no request is of this kind; there "
                 r"are GET /a, log in, GET /c/status503"),
                (("--slo", "p95{GET /a}<1s"),
                 r"--slo: p95\{GET /a\}<1s: kinds of requests need --mix")):
            outcome = load(*words, "http://127.0.0.1:9")
            equal(outcome.status, USAGE, "exit code")
            one_line(outcome.err, reason)


def test_published_results_have_kinds():
    with Noting() as server, files(mix=MIX) as folder:
        outcome = load("-c", "2", "-n", "300", "--max-errors", "100%", "--mix",
                       f"{folder}/mix", f"--markdown={folder}/md",
                       f"--prometheus={folder}/prom", server.url)
        equal(outcome.status, OK, outcome.err)
        with open(f"{folder}/md", encoding="utf-8") as file:
            markdown = file.read()
        with open(f"{folder}/prom", encoding="utf-8") as file:
            prometheus = file.read()
    counts = Counter(path.split("?")[0] for _, path, _, _ in server.seen)
    matches(markdown, rf"(?m)^\| log in \| {counts['/b/status201']} \| 0 \| ")
    matches(markdown, rf"(?m)^\| GET /c/status503 \| 0 "
                      rf"\| {counts['/c/status503']} \| - \| - \| - \|$")
    matches(prometheus, rf'(?m)kind_ok_requests{{.*kind="log in".*}} '
                        rf"{counts['/b/status201']}$")
    equal(re.findall(r'(?m)kind_p50_seconds{.*kind="(.*)"} [\d.e-]+$',
                     prometheus), ["GET /a", "log in"], "with times")


def test_other_protocols_have_kinds_too():
    def echo(connection, _number):
        file = connection.makefile("rb")
        while line := file.readline():
            connection.sendall(line)

    lines = "delim:\\n get {seq}\\n\n[put] delim:\\n set {seq}\\n\n"
    with Server(echo) as server, files(lines=lines) as folder:
        result = done("-c", "2", "-n", "100", "-p", "2", "--urls",
                      f"{folder}/lines", server.url)
    equal([(kind["name"], kind["ok"], kind["status"])
           for kind in result["kinds"]],
          [("get", 50, {}), ("put", 50, {})], "kinds")


# ---- tables by kinds ----

def read_table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_log_has_the_kind_of_each_request():
    text = '3 [a, "b"] /a\n1 [b] /b/status404\n'
    with Noting() as server, files(mix=text) as folder:
        result = done("-c", "2", "-n", "200", "-p", "3", "--expect", "200",
                      "--log", f"{folder}/log", "--mix", f"{folder}/mix",
                      "--max-errors", "100%", server.url)
        rows = read_table(f"{folder}/log")
    kinds = {kind["name"]: kind for kind in result["kinds"]}
    equal(list(rows[0]), ["number", "conn", "meant_ns", "sent_ns", "end_ns",
                          "status", "end", "kind"], "columns")
    equal(Counter((row["kind"], row["status"], row["end"]) for row in rows),
          Counter({('a, "b"', "200", "ok"): kinds['a, "b"']["ok"],
                   ("b", "404", "failed"): kinds["b"]["failed"]}),
          "kinds, statuses, ends")


def test_intervals_have_rows_of_each_kind_behind_their_own():
    text = "3 [a] /a\n1 [b] /b/status404\n"
    with Noting() as server, files(mix=text) as folder:
        result = done("-c", "4", "-d", "600ms", "--interval", "200ms", "-t",
                      "2", "--expect", "200", "--max-errors", "100%", "--csv",
                      f"{folder}/csv", "--mix", f"{folder}/mix", "--force",
                      server.url)
        rows = read_table(f"{folder}/csv")
    kinds = {kind["name"]: kind for kind in result["kinds"]}
    equal(list(rows[0])[-1], "kind", "the last column")
    equal([row["kind"] for row in rows],
          ["", "a", "b"] * (len(rows) // 3), "kinds of the rows")
    for whole, *parts in zip(rows[::3], rows[1::3], rows[2::3]):
        for name in ("ok", "failed", "timeout"):
            equal(sum(int(part[name]) for part in parts), int(whole[name]),
                  f"{name} of {parts} and of the whole interval")
        for part in parts:
            equal((part["begin_ns"], part["end_ns"], part["open"],
                   part["offered"]),
                  (whole["begin_ns"], whole["end_ns"], "", ""), "the interval")
        equal((parts[0]["p99_ns"] != "", parts[1]["ok"], parts[1]["p99_ns"]),
              (int(parts[0]["ok"]) > 0, "0", ""), "times of answers as expected")
    equal(any(int(row["ok"]) for row in rows if row["kind"] == "a"), True, "ok")
    for kind in ("a", "b"):
        got = [sum(int(row[name]) for row in rows if row["kind"] == kind)
               for name in ("failed", "timeout")]
        equal(got[0] <= kinds[kind]["failed"] <= got[0] + 4, True,
              f"{got} of the intervals, {kinds[kind]} of the run")


def test_without_kinds_the_column_is_empty():
    with Noting() as server, files() as folder:
        result = done("-c", "1", "-n", "5", "--csv", f"{folder}/csv", "--log",
                      f"{folder}/log", server.url)
        equal(result["kinds"], None, "kinds")
        equal([row["kind"] for row in read_table(f"{folder}/log")], 5 * [""],
              "kinds of requests")
        equal({row["kind"] for row in read_table(f"{folder}/csv")}, {""},
              "kinds of intervals")


if __name__ == "__main__":
    run(globals())
