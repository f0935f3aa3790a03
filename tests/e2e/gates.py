"""What scripts and pipelines read of weir-load: the summary of a result.

Runs are short and their figures do not matter; that they are right is tested
in load.py.
"""

import json
import os
import re
import tempfile

from harness import (Serve, WEIR_LOAD, command, equal, load, load_json, matches,
                     need, run)
from servers import free_port
import schema

OK, NOTHING = 0, 3
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
    """Are the figures those of the whole result?"""
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


def test_a_merged_result_has_the_summary_of_both():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{name}.json" for name in ("one", "other")]
        for name in names:
            load("-c", "2", "-n", "3000", "-q", f"--json={name}", server.url)
        outcome = command(WEIR_LOAD, "report", "--force", "--json", "-",
                          ",".join(names))
    equal(outcome.status, OK, outcome.err)
    both = outcome.json()
    is_summary_of(both, "service")
    equal(both["summary"]["attempts"], 6000, "attempts")


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
                          f"{folder}/page.html", "--svg", f"{folder}/p.svg",
                          path)
        equal(outcome.json()["summary"]["attempts"], 20, "of report")
        equal(sorted(os.listdir(folder)), ["p.svg", "page.html", "run.json"],
              "files")


def test_the_text_has_p95():
    with Serve() as server:
        outcome = load("-c", "1", "-n", "20", server.url)
    matches(outcome.out, r"^ +p50 +p90 +p95 +p99 +p99\.9 +p99\.99 +max +mean$")


# ---- the lines of the manual ----

def manual_lines(program):
    """The lines of the manual's section JSON that begin with a program."""
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
        with open(f"{folder}/run.json", encoding="utf-8") as file:
            result = json.load(file)

        def ask(line, change=None, status=0):
            whole = {**result, "summary": {**result["summary"],
                                           **(change or {})}}
            with open(f"{folder}/run.json", "w", encoding="utf-8") as file:
                json.dump(whole, file)
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


run(globals())
