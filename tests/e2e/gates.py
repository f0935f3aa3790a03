"""Outputs of weir-load for scripts and pipelines: the summary of a result, pages, tests
and metrics, and ab and compare as gates.

Runs are short and their figures do not matter; load.py tests that they are right.
"""

import contextlib
import csv
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading

from formats import properties_of, read_junit, read_prometheus, read_tables
from harness import (PATIENT, Program, Serve, WAIT_S, WEIR_LOAD, command, equal,
                     load, load_json, matches, need, one_line, read_json,
                     read_line, run, write_json)
from servers import Server, free_port
import schema
import seccomp

OK, INTERNAL, USAGE, NOTHING, INVALID, SLO, INTERRUPTED = 0, 1, 2, 3, 5, 99, 130
MANUAL = os.path.join(os.path.dirname(__file__), "../../tools/man/weir-load.1")
NAMES = ["verdict", "rate", "attempts", "errors", "error_share", "mean", "p50",
         "p90", "p95", "p99", "p99_9", "max"]


def in_ms(value_ns):
    return None if value_ns is None else value_ns / 1e6


def near(found, wanted, what):
    """Numbers of a summary have nine digits."""
    if found is None or wanted is None:
        equal(found, wanted, what)
    else:
        equal(abs(found - wanted) <= 1e-6 * abs(wanted), True,
              f"{what}: {found} is {wanted}")


def is_summary_of(result, kind):
    """Returns True if the figures are those of the whole result."""
    schema.check(result)
    summary, latency = result["summary"], result["latency"][kind]
    equal(list(summary), NAMES, "names of the summary")
    equal(summary["verdict"], result["verdict"], "verdict")
    near(summary["rate"], result["rate"]["achieved"], "rate")
    near(summary["max"], in_ms(latency["max"]), "max")
    equal(abs(summary["mean"] - in_ms(latency["mean"])) < 1e-5, True, "mean")
    for name in ("50", "90", "95", "99", "99.9"):
        near(summary["p" + name.replace(".", "_")],
             in_ms(latency["percentiles"][name]), name)


# ---- the summary ----

def test_a_summary_has_the_same_names_in_both_loops():
    with Serve() as server:
        _, closed = load_json("-c", "2", "-n", "3000", server.url)
        _, opened = load_json("-c", "2", "-n", "300", "-R", "3000", server.url)
    is_summary_of(closed, "service")
    is_summary_of(opened, "response")
    equal(closed["summary"]["attempts"], 3000, "attempts")
    equal(closed["summary"]["error_share"], 0, "share of errors")
    equal(closed["summary"]["p99"] is None, False, "p99 of 3000 requests")
    equal(opened["summary"]["p99_9"], None, "p99.9 of 300 requests")


def test_a_server_that_is_not_there_is_all_errors_and_no_latency():
    outcome, result = load_json("-c", "2", "-n", "10",
                                f"tcp://127.0.0.1:{free_port()}")
    equal(outcome.status, NOTHING, outcome.err)
    schema.check(result)
    summary = result["summary"]
    equal((summary["verdict"], summary["error_share"], summary["rate"]),
          ("FAILED", 1, 0), "verdict, share and rate")
    equal([summary[name] for name in NAMES[5:]], [None] * 7, "latencies")


def test_short_flag_and_dash_write_to_standard_output():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/run.json"
        for flags in (["-j"], ["-qj"], ["-j=-"], ["--json=-"]):
            outcome = load(*flags, "-c", "1", "-n", "20", server.url)
            equal(outcome.json()["summary"]["attempts"], 20, f"by {flags}")
        outcome = load(f"-j={path}", "-c", "1", "-n", "20", server.url)
        matches(outcome.out, r"^Requests +sent 20 ")
        outcome = command(WEIR_LOAD, "compare", "-j=-", path, "--", path)
        equal(outcome.json()["verdict"], "cannot tell", "of one run each")
        outcome = command(WEIR_LOAD, "report", "-j", "-", "-o",
                          f"{folder}/page.html", path)
        equal(outcome.json()["summary"]["attempts"], 20, "of report")
        equal(sorted(os.listdir(folder)), ["page.html", "run.json"], "files")


def test_the_text_has_p95():
    with Serve() as server:
        outcome = load("-c", "1", "-n", "20", server.url)
    matches(outcome.out, r"^ +p50 +p90 +p95 +p99 +p99\.9 +p99\.99 +max +mean$")


# ---- files for a pipeline ----

FORMATS = ("markdown", "junit", "prometheus")


def publish(folder, *args, status=OK):
    """Runs a command that writes all three files. Returns their parsed contents. A run
    may wait for a CPU as long as the machine makes it wait."""
    forced = ("--force",) if args[0] == "run" else ()
    outcome = command(WEIR_LOAD, args[0], *forced, *(
        word for name in FORMATS for word in (f"--{name}", f"{folder}/{name}")
    ), *args[1:])
    equal(outcome.status, status, f"{args}: {outcome.err}")
    found = {}
    for name in FORMATS:
        with open(f"{folder}/{name}", encoding="utf-8") as file:
            found[name] = file.read()
        os.unlink(f"{folder}/{name}")
    equal([name for name in os.listdir(folder) if name.endswith(".tmp")], [],
          "files that are left")
    cases = read_junit(found["junit"])
    bad = [name for name, (state, _) in cases.items()
           if state in ("failure", "error")]
    equal(bad == [], status == OK, f"failures of {cases} at exit {status}")
    metrics = read_prometheus(found["prometheus"])
    (_, code), = metrics["weir_load_exit_code"]
    equal(code, status, "exit code")
    equal({labels["check"]: value for labels, value in
           metrics["weir_load_check_passed"]},
          {name: float(state == "passed") for name, (state, _) in
           cases.items()}, "checks")
    return outcome, found, cases, metrics


def test_a_run_is_written_in_each_format():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        outcome, found, cases, metrics = publish(
            folder, "run", "-c", "2", "-n", "3000", "--slo",
            "p99<60s,errors<1,rate>100M", "--max-errors", "1", "--label",
            "branch=main", f"--json={folder}/run.json", server.url, status=SLO)
        summary = read_json(f"{folder}/run.json")["summary"]
    matches(outcome.out, r"^Requests +sent 3000 ")
    equal({name: state for name, (state, _) in cases.items()},
          {"valid": "passed", "p99<60s": "passed", "errors<1": "passed",
           "rate>100M": "failure"}, "cases")
    equal(properties_of(found["junit"])["branch"], "main", "a label")
    for name, key, unit in (("rate", "rate", 1), ("attempts", "attempts", 1),
                            ("error_ratio", "error_share", 1),
                            ("latency_p50_seconds", "p50", 1e-3),
                            ("latency_p99_seconds", "p99", 1e-3),
                            ("latency_max_seconds", "max", 1e-3)):
        (labels, value), = metrics[f"weir_load_{name}"]
        near(value, summary[key] * unit, name)
        equal(labels, {"command": "run", "target": server.url,
                       "label_branch": "main"}, "labels")
    figures, checks = read_tables(found["markdown"])
    equal([row[0] for row in figures[1:]],
          ["rate", "mean", "p50", "p90", "p95", "p99", "p99.9", "max",
           "attempts", "errors", "error share"], "figures")
    equal(checks[-1][1], "**failed**", "the last check")
    equal(found["markdown"].startswith("### weir-load run: FAILED\n"), True,
          "title")


def test_a_figure_that_is_not_known_is_no_number():
    with tempfile.TemporaryDirectory() as folder:
        _, found, cases, metrics = publish(
            folder, "run", "-n", "5", f"tcp://127.0.0.1:{free_port()}",
            status=NOTHING)
    equal(cases["valid"], ("failure", "not one request succeeded: "
                           "Connection refused (ECONNREFUSED)"), "case")
    equal("weir_load_latency_p99_seconds" in metrics, False, "p99")
    equal(dict((row[0], row[1]) for row in read_tables(found["markdown"])[0])[
        "p99"], "-", "p99")


def test_texts_of_others_are_no_markup():
    evil = 'a"b\\c\nd|e<f>&`g`*_[x](y)\t{h}'
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        _, found, cases, metrics = publish(
            folder, "run", "-c", "1", "-n", "20", "--label", f"x={evil}",
            "--label", "a-b=1", "--label", "a_b=2", "--label", "a b=3",
            "--label", "\u00e9=4", "--slo", " p50 < 60s ,p50 < 60s",
            server.url)
        (labels, _), = metrics["weir_load_rate"]
        equal(labels["label_x"], evil.replace("\t", "\t"), "label")
        equal(labels["label_a_b"], "3", "the last of one name")
        equal(labels["label___"], "4", "a name that is no letter")
        equal(properties_of(found["junit"])["x"].split()[0], 'a"b\\c', "label")
        equal("p50 < 60s" in cases, True, f"{cases}")
        bad = os.fsencode("x=") + b"\xff\x01"
        outcome = command(WEIR_LOAD, "-n", "9", "--label", bad, "--prometheus",
                          "-", "--junit", f"{folder}/j", server.url)
        (labels, _), = read_prometheus(outcome.out)["weir_load_rate"]
        equal(labels["label_x"], "?\x01", "bytes that are none")
        with open(f"{folder}/j", encoding="utf-8") as file:
            equal(properties_of(file.read())["x"], "??", "no characters of XML")


def test_one_of_them_takes_the_place_of_the_text():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/run.json"
        load("-c", "1", "-n", "20", "-q", f"--json={path}", server.url)
        for name, read in (("markdown", read_tables), ("junit", read_junit),
                           ("prometheus", read_prometheus)):
            outcome = load("-n", "9", f"--{name}", "-", server.url)
            equal(bool(read(outcome.out)), True, f"{name} of run")
            outcome = command(WEIR_LOAD, "compare", f"--{name}=-", path, "--",
                              path)
            equal(outcome.status, INVALID, outcome.err)
            equal(bool(read(outcome.out)), True, f"{name} of compare")
        outcome = command(WEIR_LOAD, "compare", "--json", "--junit", "-", path,
                          "--", path)
        equal((outcome.status, outcome.out), (USAGE, ""), "both")
        one_line(outcome.err, "--junit: --json already uses standard output")


def test_each_file_of_a_run_may_be_standard_output():
    heads = {"hgrm": r"^ +Value +Percentile ", "csv": "^begin",
             "log": "^number,"}
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        for name, head in heads.items():
            outcome = command(WEIR_LOAD, "run", *PATIENT, "-c", "1", "-n", "9",
                              f"--{name}", "-", server.url, cwd=folder)
            equal(outcome.status, OK, outcome.err)
            equal(bool(re.match(head, outcome.out)), True,
                  f"{name}: {outcome.out}")
            equal("Requests " in outcome.out, False, f"the text with {name}")
            equal(os.listdir(folder), [], "files")
            for other in (["--csv=-"] if name != "csv" else ["--log=-"],
                          ["--json"], ["--markdown=-"], ["--json-stream"]):
                outcome = load("-n", "9", f"--{name}", "-", *other, server.url)
                equal((outcome.status, outcome.out), (USAGE, ""), other)
                one_line(outcome.err, "already uses standard output")


def test_names_that_stand_by_themselves_are_no_links():
    with Serve() as server:
        outcome = load("-c", "1", "-n", "9", "--markdown", "-", "--label",
                       "x=http://a_b.example www.example.org WWW.example",
                       server.url)
    equal(outcome.status, OK, outcome.err)
    equal(re.findall(r"\w://|www\.", outcome.out, re.I), [], outcome.out)


def test_controls_of_a_terminal_are_not_obeyed():
    """In other programs' results, on standard error."""
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/run.json"
        load("-c", "1", "-n", "20", "-q", f"--json={path}", server.url)
        result = read_json(path)
        for name in ("schema", "verdict"):
            write_json(path, result | {name: "a\x1b[2Jb\x9bc\x7f\u00e9", "exit_code":
                                       INVALID})
            outcome = command(WEIR_LOAD, "compare", path, "--", path)
            equal(outcome.status, USAGE, outcome.err)
            matches(outcome.err, r"a\?\[2Jb\?\?c\?\u00e9")
            equal(re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f]", outcome.err), [],
                  "controls")


def test_a_file_is_whole_or_as_it_was():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        files = (*FORMATS, "json", "hgrm")
        for name in files:
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write("old")
        outcome = command(WEIR_LOAD, "run", *(
            f"--{name}={folder}/{name}" for name in files), "-n", "9", "--ca",
            "/nonexistent", server.url.replace("tcp", "tls"))
        equal(outcome.status, USAGE, outcome.err)
        for name in files:
            with open(f"{folder}/{name}", encoding="utf-8") as file:
                equal(file.read(), "old", name)
        equal(sorted(os.listdir(folder)), sorted(files), "files")
        outcome = load("-n", "9", "--junit", "/dev/full", "--markdown",
                       f"{folder}/markdown", server.url)
        equal(outcome.status, INTERNAL, "exit")
        matches(outcome.err, r"^weir-load: --junit: /dev/full: No space left")
        with open(f"{folder}/markdown", encoding="utf-8") as file:
            equal(len(read_tables(file.read())), 2, "the other one")


def test_a_file_that_fails_leaves_the_others_of_compare():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/run.json"
        load("-c", "1", "-n", "20", "-q", f"--json={path}", server.url)
        outcome = command(WEIR_LOAD, "compare", "--json=/dev/full",
                          f"--markdown={folder}/markdown", path, "--", path)
        equal(outcome.status, INTERNAL, outcome.err)
        matches(outcome.err, r"^weir-load: --json: /dev/full: No space left")
        with open(f"{folder}/markdown", encoding="utf-8") as file:
            equal(len(read_tables(file.read())) > 0, True, "the other one")


def test_names_of_these_files_have_the_machine_and_the_part():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        flags = ("-c", "3", "-n", "9", "--part", "2/3", "--junit",
                 f"{folder}/%h-%p-%%-%x.xml")
        name = f"{socket.gethostname()}-2-%-%x.xml"
        outcome = load(*flags, "--dry-run", server.url)
        equal(outcome.status, OK, outcome.err)
        matches(outcome.out, rf"^Output +--junit {folder}/{re.escape(name)}$")
        outcome = load("-n", "9", "--csv", f"{folder}/%h/x", "--dry-run",
                       server.url)
        equal((outcome.status, outcome.out), (USAGE, ""), "no such folder")
        one_line(outcome.err, rf"--csv: {folder}/{socket.gethostname()}/x: No ")
        outcome = load(*flags, "-q", server.url)
        equal(outcome.status, OK, outcome.err)
        equal(os.listdir(folder), [name], "files")


def test_an_objective_may_be_about_statuses():
    def answer(connection, number):
        for count in range(1 << 30):
            if not connection.recv(4096):
                return
            status = 404 if count % 10 == 9 else 200
            connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n"
                               % status)

    with Server(answer) as server, tempfile.TemporaryDirectory() as folder:
        target = server.url.replace("tcp", "http")
        for slo, status in (("status.404<=10%,status.2xx>=90%", OK),
                            ("status.4xx<10,status.500<1", SLO)):
            _, _, cases, _ = publish(
                folder, "run", "-c", "1", "-n", "100", "--expect", "200,404",
                "--slo", slo, f"--json={folder}/run.json", target,
                status=status)
            equal(slo.split(",")[0] in cases, True, f"{cases}")
        equal(read_json(f"{folder}/run.json")["status"], {"200": 90, "404": 10},
              "statuses")


# ---- the log of requests ----

def logged(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_measured_request_has_a_line_in_the_log():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        for flags in (["-n", "2000", "-t", "2"],
                      ["-R", "2000", "-d", "500ms", "-w", "100ms"]):
            outcome, result = load_json("-c", "4", "--log", f"{folder}/log",
                                        *flags, server.url)
            schema.check(result)
            rows = logged(f"{folder}/log")
            requests = result["requests"]
            equal(result["log_dropped"], 0, "dropped")
            equal(len(rows), requests["ok"] + requests["failed"] +
                  requests["timeout"], "lines")
            equal(result["log_lines"], len(rows), "lines of the result")
            equal(len({row["number"] for row in rows}), len(rows), "numbers")
            for row in rows:
                equal(row["end"], "ok", f"{row}")
                equal(0 <= int(row["conn"]) < 4, True, f"{row}")
                equal(-10 ** 9 < int(row["meant_ns"]) <= int(row["sent_ns"])
                      <= int(row["end_ns"]), True, f"{row}")
            times = sorted(int(row["end_ns"]) - int(row["sent_ns"])
                           for row in rows)
            equal(times[-1], result["latency"]["service"]["max"], "the longest")


def test_the_log_tells_how_requests_ended():
    def answer(connection, number):
        if not connection.recv(4096):
            return
        if number == 0:
            connection.sendall(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n"
                               b"Connection: close\r\n\r\n")
        elif number == 1:
            connection.sendall(b"HTTP/1.1 200 X\r\nContent-Le")
        else:
            connection.recv(4096)

    with Server(answer) as server, tempfile.TemporaryDirectory() as folder:
        load("-c", "1", "-n", "3", "--timeout", "1s", "--log",
             f"{folder}/log", "-b", "x", server.url.replace("tcp", "http"))
        rows = logged(f"{folder}/log")
    # A busy machine may be late for the others.
    for row, wanted in zip(rows, (("failed", "503"), ("lost", ""), ("timeout", "")),
                           strict=True):
        equal((row["end"], row["status"]) in (wanted, ("timeout", "")), True, row)


def test_a_log_that_is_too_slow_leaves_out_and_says_so():
    """A FIFO that is read only after all requests were answered."""
    count, size = 100000, 16
    answered = threading.Event()

    def answer(connection, _number):
        total = 0
        while data := connection.recv(1 << 16):
            connection.sendall(data)
            total += len(data)
            if total == count * size:
                answered.set()

    with Server(answer) as server, tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/fifo"
        os.mkfifo(path)
        with Program(WEIR_LOAD, "run", "--json", "-c", "1", "-p", "1000", "-n",
                     str(count), "--send", str(size), "--log", path, *PATIENT,
                     server.url) as program:
            with open(path, "rb") as fifo:
                equal(answered.wait(WAIT_S), True, "all requests came")
                lines = fifo.read().count(b"\n")
            status, out, err = program.finish(WAIT_S)
    equal(status, OK, err)
    result = json.loads(out)
    equal(result["requests"]["ok"], count, "answers")
    equal(result["log_lines"], lines - 1, "lines")
    equal(result["log_dropped"], count - result["log_lines"], "the others")
    equal(result["log_dropped"] > 0, True, "what was left out")
    matches("\n".join(result["warnings"]), "are not in the file of --log")


def test_a_log_that_nobody_reads_any_more_does_not_keep_the_run():
    count = 100000
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/fifo"
        os.mkfifo(path)
        with Program(WEIR_LOAD, "run", "--json", "-c", "1", "-p", "1000", "-n",
                     str(count), "--log", path, *PATIENT,
                     server.url) as program:
            with open(path, "rb"):
                status, out, err = program.finish(WAIT_S)
    equal(status, OK, err)
    result = json.loads(out)
    equal(result["requests"]["ok"], count, "answers")
    equal(result["log_lines"] + result["log_dropped"], count, "requests")
    equal(result["log_dropped"] > 0, True, "what was left out")


def full_fifo(path):
    """Returns a full FIFO, its reading end, and how much it holds."""
    os.mkfifo(path)
    fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    held = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            held += os.write(fifo, bytes(4096))
    os.set_blocking(fifo, True)
    return fifo, held


def test_intervals_do_not_wait_for_a_reader_that_reads_no_more():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        fifo, _ = full_fifo(f"{folder}/fifo")
        outcome = load("-c", "1", "-n", "100", "--csv", f"{folder}/fifo",
                       server.url)
        os.close(fifo)
    equal(outcome.status, INTERNAL, outcome.err)
    matches(outcome.out, "^Requests .* ok 100 ", "the report")
    one_line(outcome.err, r"^weir-load: --csv: .*/fifo could not be "
             r"written: its reader was too slow for \d+ lines$")


def test_intervals_reach_a_reader_that_was_slow():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        fifo, held = full_fifo(f"{folder}/fifo")
        with Program(WEIR_LOAD, "run", "--json-stream", "-c", "1", "-d", "100s",
                     "--interval", "100ms", "--csv", f"{folder}/fifo",
                     *PATIENT, server.url) as program:
            matches(read_line(program.process.stdout), '"start"')
            matches(read_line(program.process.stdout), '"interval"')
            while held > 0:
                held -= len(os.read(fifo, held))
            program.signal(signal.SIGINT)
            status, out, err = program.finish(WAIT_S)
        equal(status, INTERRUPTED, err)
        lines = os.read(fifo, 1 << 16).decode()
        os.close(fifo)
    # The first interval was read from standard output above.
    equal(lines.count("\n"), out.count('"interval"') + 2, "lines")
    matches(lines, "^begin_ns,")


def test_a_fifo_without_a_reader_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(f"{folder}/fifo")
        outcome = load("-n", "1", "--csv", f"{folder}/fifo",
                       "tcp://127.0.0.1:1")
        equal((outcome.status, outcome.out), (USAGE, ""), "the outcome")
        one_line(outcome.err, "--csv: .*/fifo: no process reads this FIFO$")


def test_a_socket_is_not_taken_for_a_fifo():
    with tempfile.TemporaryDirectory() as folder, \
            socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        outcome = load("-n", "1", "--csv", f"{folder}/socket",
                       "tcp://127.0.0.1:1")
        equal((outcome.status, outcome.out), (USAGE, ""), "the outcome")
        one_line(outcome.err, "--csv: .*/socket: No such device or address$")


# ---- waiting for a server ----

def test_a_server_that_comes_later_is_waited_for():
    """The server starts once weir-load has printed that it waits."""
    with tempfile.TemporaryDirectory() as folder:
        for target in (f"tcp://127.0.0.1:{free_port()}",
                       f"http://127.0.0.1:{free_port()}",
                       f"unix:{folder}/socket"):
            with Program(WEIR_LOAD, "run", "--wait", "60s", "-n", "9", target,
                         stderr=subprocess.PIPE) as program:
                line = program.process.stderr.readline().decode()
                matches(line, rf"^weir-load: waiting up to 60\.0s for {target}.*: ")
                with Program(WEIR_LOAD, "serve", target):
                    status, out, err = program.finish(WAIT_S)
            equal(status, OK, err)
            matches(out, r"^Requests +sent 9 ")


def test_a_door_without_a_server_behind_it_is_no_server():
    """Connections are accepted and closed; from the third on they are answered."""
    def answer_later(connection, number):
        connection.recv(4096)
        if number >= 3:
            while True:
                connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n"
                                   b"\r\n")
                if not connection.recv(4096):
                    return

    with Server(answer_later) as server:
        outcome = load("--wait", "60s", "-n", "3", "-c", "1", "--expect", "503",
                       server.url.replace("tcp", "http"))
    equal(outcome.status, OK, outcome.err)
    matches(outcome.err, r"^weir-load: waiting up to 60\.0s for http://")


def test_a_header_of_the_proxy_protocol_is_on_each_connection_that_asks():
    heads = []

    def answer(connection, _number):
        head = b""
        while more := connection.recv(1 << 16):
            if not head:
                heads.append(more[:6])
            head += more
            if head.endswith(b"\r\n\r\n"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                                   b"\r\n")

    with Server(answer) as server:
        outcome = load("--wait", "60s", "-n", "3", "-c", "1",
                       "--proxy-protocol", "v1",
                       server.url.replace("tcp", "http"))
    equal(outcome.status, OK, outcome.err)
    equal(heads, [b"PROXY "], "what came first")


def test_waiting_that_breaks_is_no_server_that_is_not_there():
    target = f"tcp://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        outcome = command(
            WEIR_LOAD, "run", "--wait", "60s", "-n", "9",
            f"--json={folder}/json", f"--junit={folder}/junit", target,
            preexec_fn=seccomp.refuse(seccomp.NO_LOOP))
        equal((outcome.status, outcome.out), (INTERNAL, ""), outcome.err)
        one_line(outcome.err, r"--wait: ")
        equal(os.listdir(folder), [], "files")


def test_a_server_that_never_comes_has_an_exit_code_and_a_result():
    target = f"tcp://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        outcome, found, cases, _ = publish(
            folder, "run", "--wait", "300ms", "-n", "9",
            f"--json={folder}/r.json", target, status=NOTHING)
        result = read_json(f"{folder}/r.json")
    matches(outcome.err, rf"--wait: {target} did not answer in 300ms: Conn.*"
                         r" refused \(ECONNREFUSED\)$")
    schema.check(result)
    equal(result["summary"]["verdict"], "FAILED", "verdict")
    equal(cases["valid"][0], "failure", "case")


def test_waiting_ends_by_a_signal():
    target = f"tcp://127.0.0.1:{free_port()}"
    with Program(WEIR_LOAD, "run", "--wait", "1h", "-n", "9", target,
                 stderr=subprocess.PIPE) as program:
        program.process.stderr.readline()
        program.signal(signal.SIGINT)
        status, _, err = program.finish(WAIT_S)
    equal(status, INTERRUPTED, err)


# ---- ab and compare as gates ----

def made_up(folder, url):
    """Returns results of one run each with these medians, in milliseconds."""
    load("-c", "1", "-n", "3000", "-q", f"--json={folder}/base.json", url)
    base = read_json(f"{folder}/base.json")

    def make(name, rates):
        paths = []
        for number, rate in enumerate(rates):
            base["rate"]["achieved"] = rate
            paths.append(write_json(f"{folder}/{name}-{number}.json", base))
        return paths
    return make


def test_what_compare_cannot_tell_passes_or_fails_as_asked():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        make = made_up(folder, server.url)
        old = make("old", [100, 200, 300, 400])
        near_old = make("near", [150, 250, 350, 450])
        slow = make("slow", [10, 11, 12, 13])
        metric = ("--metric", "rate")

        def ask(new, *flags, status):
            return publish(folder, "compare", *metric, *flags, *old, "--", *new,
                           status=status)

        for flags, status, state in (((), INVALID, "error"),
                                     (("--undecided=fail",), INVALID, "error"),
                                     (("--undecided=pass",), OK, "skipped")):
            _, found, cases, _ = ask(near_old, *flags, status=status)
            equal(cases["rate is not worse"][0], state, "case")
            matches(found["markdown"], r"compare: cannot tell$")
        _, found, cases, metrics = ask(slow, "--undecided=pass", status=SLO)
        equal(cases["rate is not worse"][0], "failure", "case")
        sides = {labels["side"]: (labels["target"], value) for labels, value in
                 metrics["weir_load_rate"]}
        equal(sides, {"A": (old[0], 250), "B": (slow[0], 11.5)}, "rates")
        change = {labels["figure"]: value for labels, value in
                  metrics["weir_load_change_ratio"]}
        equal(change["rate"] < -0.9, True, f"{change}")
        equal(read_tables(found["markdown"])[0][1][-1], "worse", "the rate")


def test_flags_of_one_side_hold_for_it_alone():
    flags = ("--runs", "6", "--force", "-w", "0", "-n", "50", "--metric", "p99.9")
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        outcome, _, _, metrics = publish(
            folder, "ab", *flags, "--save", folder, "-c", "3", "--a-flags",
            "-c 2 --label 'a b=c d'", "--b-flags=-p 4", server.url,
            status=INVALID)
        for side, wanted in (("a", (2, 1, {"a b": "c d"})), ("b", (3, 4, {}))):
            result = read_json(f"{folder}/{side}-006.json")
            config = result["config"]
            equal((config["connections"], config["depth"], result["labels"]),
                  wanted, f"side {side}")
    matches(outcome.out, rf"^A +-c 2 --label a b=c d {server.url}$")
    matches(outcome.out, rf"^B +-p 4 {server.url}$")
    equal([labels["target"] for labels, _ in metrics["weir_load_rate"]][1],
          f"-p 4 {server.url}", "target")


def test_ab_makes_more_pairs_until_it_can_tell():
    """p99.9 of 20 requests is never known: pairs are made until a signal, or until the
    time is over."""
    flags = ("-n", "20", "-w", "0", "--runs", "6", "--force", "--metric", "p99.9")
    with Serve() as server:
        outcome = command(WEIR_LOAD, "ab", *flags, "--undecided", "until=1ms",
                          server.url, server.url)
        equal(outcome.status, INVALID, outcome.err)
        matches(outcome.out, r"^Verdict +p99.9: cannot tell, from 6 pairs")
        with tempfile.TemporaryDirectory() as folder, \
                Program(WEIR_LOAD, "ab", *flags, "--undecided",
                        "until=1h,pass", "--save", folder, "--junit",
                        f"{folder}/z.xml", server.url, server.url) as program:
            while len(os.listdir(folder)) < 27:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    raise AssertionError(f"ended: {program.process.wait(0.02)}")
            program.signal(signal.SIGINT)
            status, out, err = program.finish(WAIT_S)
            with open(f"{folder}/z.xml", encoding="utf-8") as file:
                cases = read_junit(file.read())
    equal(status, INTERRUPTED, "exit status")
    pairs = int(re.search(r"^Verdict .* from (\d+) pairs", out, re.M)[1])
    one_line(err, rf"interrupted after {pairs} pairs")
    equal(pairs >= 12, True, f"pairs: {pairs}")
    equal(cases["all runs were made"],
          ("error", f"interrupted after {pairs} pairs"), "case")


def test_a_run_of_ab_that_fails_is_in_the_files():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        outcome, found, cases, _ = publish(
            folder, "ab", "--runs", "6", "-n", "20", server.url,
            f"tcp://127.0.0.1:{free_port()}", status=NOTHING)
    matches(outcome.err, "a run of B, .*: FAILED")
    state, why = cases["all runs were made"]
    equal(state, "error", "case")
    matches(why, "a run of B, .*: FAILED")
    matches(found["markdown"], r"^### weir-load ab: no result$")


# ---- the lines of the manual ----

def manual_lines(program):
    """Returns the lines of the manual's section JSON that begin with a program."""
    with open(MANUAL, encoding="utf-8") as file:
        text = file.read()
    part = text[text.index(".Sh JSON"):text.index(".Sh EXIT STATUS")]
    return [line.replace("\\e", "\\").replace("\\-", "-")
            for line in re.findall(rf"^{program} .*$", part, re.M)]


def test_each_line_of_jq_in_the_manual_does_what_it_says():
    need("jq")
    lines = manual_lines("jq")
    equal(len(lines), 4, f"lines: {lines}")
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        load("-c", "2", "-n", "3000", "-q", f"--json={folder}/run.json",
             server.url)
        result = read_json(f"{folder}/run.json")

        def ask(line, change=None, status=0):
            whole = {**result, "summary": {**result["summary"],
                                           **(change or {})}}
            write_json(f"{folder}/run.json", whole)
            outcome = command("sh", "-c", line, cwd=folder)
            equal(outcome.status, status, f"{line}: {outcome.err}")
            return outcome.out

        fast = {"verdict": "VALID", "p95": 1.5, "error_share": 0}
        gate, row, bench, maybe = lines
        equal(ask(gate, fast), "true\n", gate)
        for change in ({"p95": 20}, {"p95": None}, {"verdict": "INVALID"},
                       {"error_share": 0.5}, {"error_share": None}):
            equal(ask(gate, {**fast, **change}, 1), "false\n", f"{change}")
        summary = result["summary"]
        cells = ask(row).rstrip("\n").split("\t")
        near(float(cells[0]), summary["rate"], "rate of the row")
        equal(len(cells), 5, f"cells of {cells}")
        equal([item["unit"] for item in json.loads(ask(bench))], ["ms", "ms"],
              bench)
        equal(ask(maybe, {"p99_9": None}), "too few requests\n", maybe)
        near(float(ask(maybe, {"p99_9": 1.25})), 1.25, maybe)


run(globals(), short="a_summary_has_the_same_names_in_both_loops")
