"""The outputs of weir-load, read by programs that do not know it.

The JSON is checked with its schema, histograms with HdrHistogram's own Java library.
Runs are short and their figures do not matter here; load.py tests that they are right.
"""

import csv
import json
import os
import pathlib
import re
import shutil
import tempfile

from harness import (WAIT_S, WEIR_LOAD, Program, Skip, command, equal, load,
                     load_json, matches, one_line, read_json, run)
from servers import Server, drain, echo
import schema

JAR = "/usr/share/java/hdrhistogram.jar"
READ_LOG = os.path.join(os.path.dirname(__file__), "ReadLog.java")
OK, NOTHING, ERRORS, SLO = 0, 3, 4, 99


def measure(*flags, status=0):
    """Makes a short run. Returns the outcome and the result."""
    with Server(echo) as server:
        outcome, result = load_json("-c", "2", *flags, server.url)
    equal(outcome.status, status, f"exit status; it said {outcome.err!r}")
    return outcome, result


# ---- the schema ----

def test_the_manual_or_the_schema_tells_of_every_member_of_a_result():
    path = os.path.join(os.path.dirname(__file__),
                        "../../tools/man/weir-load.1")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    part = text[text.index(".Sh JSON"):text.index(".Sh EXIT STATUS")]
    named = set(re.findall(r"\w+", part))
    known = list(schema.members())
    equal(len(known) > 80, True, f"members: {known}")
    for member, about in known:
        equal(member[-1] in named or "description" in about, True,
              f"section JSON of tools/man/weir-load.1 names "
              f"{'.'.join(member)}, or the schema describes it, for a count "
              f"by the ABOUT of its row in tools/weir-load/result/fields.c")


# Members that a result may lack: results of earlier versions or merged from them, and
# unknown values.
OPTIONAL = {"labels", "parts", "client_lateness", "read_lateness", "hdr",
            "errors", "cpus", "host", "start"}


def test_the_schema_demands_every_member_that_it_names():
    for path, part in schema.objects():
        if path == "/properties/config":
            continue # it names a few of all options
        lacks = set(part["properties"]) ^ set(part.get("required", ()))
        equal(lacks - OPTIONAL, set(), f"members of {path} of "
              "tools/weir-load/result/result.schema.json.in that are 'optional', and "
              "not among OPTIONAL here")
        equal(part.get("additionalProperties"), False, f"{path}: others")


def test_the_schema_knows_a_result_from_another_thing():
    if not schema.jsonschema:
        raise Skip("no jsonschema (python3-jsonschema)")
    _, result = measure("-n", "20")
    schema.check(result)
    for change in ({"schema": "weir-load/1"}, {"valid": "yes"},
                   {"surplus": 1}, {"duration_ns": -1},
                   {"duration_ns": 1.5}, {"status": {"200": "many"}},
                   {"requests": {}}, {"start": 5}):
        try:
            schema.check({**result, **change})
        except schema.jsonschema.ValidationError:
            continue
        raise AssertionError(f"not refused: {change}")


HERE = pathlib.Path(__file__).parent
SOURCE = HERE / "../../tools/weir-load"


def text_of(*folders, without=()):
    """Returns all sources in some folders, as one text."""
    return "".join(path.read_text(encoding="utf-8") for folder in folders
                   for path in sorted(folder.rglob("*"))
                   if path.suffix in (".py", ".c") and
                   path.name not in without)


def test_each_count_of_a_result_is_counted_and_tested():
    """Each is counted by its member outside of its row, and tested by a word of a
    test."""
    rows = re.findall(r"^    (?!FIELD|PART|TIMES)[A-Z]+\((\"?)(\w+)\"?(?:, (\w+)[,)])?",
                      (SOURCE / "result/fields.c").read_text(encoding="utf-8"), re.M)
    equal(len(rows) > 50, True, f"rows: {rows}")
    program = text_of(SOURCE, without=("fields.c",))
    tests = text_of(HERE, HERE / "../unit", HERE / "../trace")
    for quote, name, member in rows:
        member = member if quote else name
        equal(bool(re.search(rf"(->|\.){member}\b", program)), True,
              f"a place that counts {name}")
        equal(bool(re.search(rf"\b({name}|{member})\b", tests)), True,
              f"a test that looks at {name}")


def test_each_error_of_weir_load_is_met_by_a_test():
    codes = re.findall(r"X\(([A-Z_]+), \"[a-z][^\"]* [^\"]*\"\)",
                       (SOURCE / "measure/measure.h").read_text(encoding="utf-8"))
    equal(len(codes) > 8, True, f"codes: {codes}")
    tests = text_of(HERE, HERE / "../unit")
    for code in codes:
        equal(bool(re.search(rf"(ERROR_|[\"'(]){code}\b", tests)), True,
              f"a test that meets {code}")


# ---- the text report ----

def test_the_text_report_has_the_counts_of_the_result():
    """Each by the words before it, and none in two lines."""
    with Server(echo) as server, tempfile.TemporaryDirectory() as folder:
        outcome = load("-c", "2", "-n", "300", f"--json={folder}/result",
                       server.url)
        equal(outcome.status, OK, outcome.err)
        result = read_json(f"{folder}/result")
    for title, part, words in (
            ("Requests", "requests",
             ("sent", "ok", "failed", "timeout", "in_flight")),
            ("Connections", "connections",
             ("asked", "opened", "failed", "lost", "open_at_end"))):
        line = re.search(rf"^{title} +(.*)$", outcome.out, re.M).group(1)
        told = re.findall(r"([a-z ]+) (\d+)(?:  |$)", line)
        equal([number for _, number in told],
              [str(result[part][word]) for word in words], line)
        equal([words.removesuffix(" at the end") for words, _ in told],
              [word.replace("_at_end", "").replace("_", " ")
               for word in words], line)


# ---- files for other tools ----

def test_the_library_of_hdrhistogram_reads_histogram_and_table():
    if not shutil.which("javac") or not os.path.exists(JAR):
        raise Skip("no JDK, or no libhdrhistogram-java")
    with tempfile.TemporaryDirectory() as folder:
        _, result = measure("-d", "1s", "-w", "0",
                            "--hgrm", f"{folder}/hgrm")
        times = result["latency"]["service"]
        with open(f"{folder}/log", "w", encoding="ascii") as file:
            file.write("#[Histogram log format version 1.3]\n"
                       f"0.000,1.000,1.000,{times['hdr']}\n")
        outcome = command("java", "-cp", JAR, READ_LOG, f"{folder}/log")
        equal(outcome.status, OK, outcome.err)
        with open(f"{folder}/hgrm", encoding="utf-8") as file:
            table = file.read()
    head, _, java = outcome.out.partition("       Value")
    found = dict(line.split() for line in head.splitlines())
    equal(int(found["count"]), times["count"], "count")

    def rows(text):  # which round the last digit of a percentile differently
        return [[round(float(word), 11) for word in line.split()]
                for line in text.splitlines()[1:] if line[:1] != "#"]
    equal(rows(table), rows(java), "the tables")
    matches(table, r"^#\[Max     = +[0-9.]+, Total count    = +%d\]$"
            % times["count"])


def test_the_table_has_a_row_for_each_interval():
    with tempfile.TemporaryDirectory() as folder:
        _, result = measure("-d", "1s", "-w", "0", "-i", "200ms",
                            f"--csv={folder}/rows")
        with open(f"{folder}/rows", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    equal(len(rows), len(result["intervals"]), "rows")
    for row, interval in zip(rows, result["intervals"]):
        counts = {name: value for name, value in interval.items()
                  if name not in ("hdr", "errors")}
        times = {f"{name}_ns": counts.pop(name) for name in
                 ("p50", "p99", "max")}
        equal(row, {name: "" if value is None else str(value)
                    for name, value in {**counts, **times,
                                        "kind": None}.items()}, "a row")


def test_an_interval_without_an_answer_has_no_latencies():
    """The second request is never answered: all intervals but one or two."""
    def answer_once(connection, number):
        connection.sendall(connection.recv(1 << 16) if number == 0 else b"")
        drain(connection, number)

    with Server(answer_once) as server, \
            tempfile.TemporaryDirectory() as folder:
        outcome = load("-c", "1", "-d", "600ms", "-w", "0", "-i", "50ms",
                       "--timeout", "1s", "--send", "16", f"--csv={folder}/rows",
                       server.url)
        equal(outcome.status in (NOTHING, ERRORS), True, f"exit; {outcome.err!r}")
        with open(f"{folder}/rows", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        times = [[row[name] for name in ("p50_ns", "p99_ns", "max_ns")]
                 for row in rows]
        equal(["", "", ""] in times, True, f"rows without an answer in {times}")
        equal(["0", "0", "0"] in times, False, "rows of no time at all")


def test_a_live_line_without_an_answer_has_no_latencies():
    terminal, end = os.openpty()
    with Server(drain) as server, \
            Program(WEIR_LOAD, "run", "-c", "1", "-d", "400ms", "-w", "0", "-i",
                    "100ms", "--timeout", "500ms", server.url,
                    stderr=end) as program:
        os.close(end)
        equal(program.process.wait(WAIT_S), NOTHING, "exit")
    text = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    matches(text, r"^ *\d\S+ +0 +- +- +- +- +\|")
    equal("0ns" in text, False, "a latency of nothing")


def test_a_stream_has_a_line_for_each_interval():
    with Server(echo) as server:
        outcome = load("--json-stream", "-c", "2", "-d", "1s", "-w", "0", "-i",
                       "200ms", server.url)
    equal(outcome.status, OK, outcome.err)
    events = [json.loads(line) for line in outcome.out.splitlines()]
    result = events[-1]["data"]
    schema.check(result)
    equal([event["event"] for event in events],
          ["start"] + ["interval"] * len(result["intervals"]) + ["end"],
          "events")
    equal([event["data"] for event in events[1:-1]], result["intervals"],
          "intervals")
    equal(events[0]["data"]["config"], result["config"], "the configuration")


# ---- objectives ----

def test_objectives_decide_the_exit_code():
    outcome, result = measure("-n", "3000", "--slo", "p50<60s, p99<1ns",
                              status=SLO)
    one_line(outcome.err, r"--slo: p99<1ns does not hold: [0-9.]+\ws")
    equal([part["pass"] for part in result["slo"]], [True, False], "pass")


run(globals())
