"""weir-load compare, ab, search, sweep and report.

Results come from short runs, whose figures do not matter, or are changed by hand.
WEIR_LONG=1 also tests that ab finds real differences, and search a server's capacity.
"""

import base64
import collections
import html.parser
import json
import os
import shutil
import struct
import sys
import tempfile
import zlib

from harness import (LONG, Serve, Skip, WAIT_S, WEIR_LOAD, command, command_apart,
                     equal, extend_limit, matches, one_line, read_json, run,
                     write_json)
from hdr import decode_hdr
import schema

OK, INTERNAL, USAGE, INVALID, SLO = 0, 1, 2, 5, 99


def tool(*args, status=OK, **options):
    """Runs a command of weir-load that ends with this status. Returns its outcome. A
    run may wait for a CPU as long as the machine makes it wait."""
    forced = ("--force",) if args[0] == "run" else ()
    outcome = command(WEIR_LOAD, *args[:1], *forced, *args[1:], **options)
    equal(outcome.status, status, f"{args}: it said {outcome.err!r}")
    return outcome


def results(folder, count):
    """Makes short runs with one server. Returns the files of their results."""
    names = [f"{folder}/run-{number}.json" for number in range(count)]
    with Serve() as server:
        for name in names:
            tool("run", "-c", "2", "-n", "3000", "-q", f"--json={name}",
                 "--timeout", "60s", server.url)
    return names


# ---- merging ----

def test_parts_are_merged_without_loss():
    with tempfile.TemporaryDirectory() as folder:
        one, other = results(folder, 2)
        tool("report", "--force", f"--json={folder}/both.json",
             f"{one},{other}")
        a, b, both = read_json(one), read_json(other), read_json(f"{folder}/both.json")
        schema.check(both)
        for part in ("requests", "bytes", "connections"):
            for name, value in both[part].items():
                equal(value, a[part][name] + b[part][name], f"{part} {name}")
        service = [part["latency"]["service"] for part in (a, b, both)]
        for name in ("count", "sum"):
            equal(service[2][name], service[0][name] + service[1][name], name)
        equal(service[2]["max"], max(service[0]["max"], service[1]["max"]),
              "max")
        equal(len(both["parts"]), 2, "parts")
        for rows in zip(*(part["intervals"] for part in (a, b, both))):
            one_row, other_row, sum_row = (counts_of(row) for row in rows)
            equal(sum_row, one_row + other_row, "latencies of an interval")
            equal(rows[2]["p50"] <= rows[2]["p99"] <= rows[2]["max"], True,
                  f"percentiles of {rows[2]}")
        # A result is equal to itself merged with nothing.
        tool("report", f"--json={folder}/same.json", one)
        equal(read_json(f"{folder}/same.json"), a, "the same result")


def counts_of(row):
    """Returns how many latencies of an interval are in each bucket."""
    return collections.Counter(decode_hdr(row["hdr"]) if row["hdr"] else {})


def test_intervals_have_all_latencies():
    with tempfile.TemporaryDirectory() as folder:
        name, = results(folder, 1)
        result = read_json(name)
        schema.check(result)
        rows = [counts_of(row) for row in result["intervals"]]
        service = result["latency"]["service"]
        equal(sum(sum(row.values()) for row in rows), service["count"],
              "latencies of all intervals")
        last = max(max(row) for row in rows if row)
        equal(last, bucket(service["max"]) | 31, "the bucket of the slowest")
        equal({index % 32 for row in rows for index in row}, {31}, "buckets")
        equal([row["errors"] for row in result["intervals"]],
              [{}] * len(rows), "errors of intervals")


def test_files_that_are_no_results_are_refused():
    with tempfile.TemporaryDirectory() as folder:
        good, = results(folder, 1)
        bad = f"{folder}/bad.json"
        for text in ("", "{", "[]", "null", '{"schema": NaN}',
                     json.dumps({**read_json(good), "model": None})):
            with open(bad, "w", encoding="utf-8") as file:
                file.write(text)
            one_line(tool("compare", good, "--", bad, status=USAGE).err, "bad.json: ")
        one_line(tool("compare", good, "--", f"{folder}/none.json",
                      status=USAGE).err, "No such file")


def test_the_script_is_found_however_the_program_is_started():
    """By a path that is not open, or without /proc."""
    outcome = command(sys.executable, "-c", "import os, sys; os.execve(os.open("
                      "sys.argv[1], os.O_RDONLY), sys.argv[1:], os.environ)",
                      WEIR_LOAD, "report", "-o", "page", "none.json")
    matches(outcome.err, "none.json: No such file")
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(WEIR_LOAD, f"{folder}/link")
        outcome = command_apart(
            'mount -t tmpfs none /proc || exit 77; cd "${0%/*}" && PATH=.:$PATH && '
            'for name in "$0" "./${0##*/}" "${0##*/}" "$1"; do '
            '"$name" report -o page none.json; done', WEIR_LOAD, f"{folder}/link")
        equal(outcome.err.count("none.json: No such file"), 4, outcome.err)


# ---- compare ----

def hdr_text(*numbers):
    """Returns the text of a histogram from counts; a negative number is a run of
    zeros."""
    counts = b"".join(leb(number) for number in numbers)
    header = struct.pack(">IIIIqqd", 0x1C849313, len(counts), 0, 3, 1,
                         (1 << 42) - 1, 1.0)
    packed = zlib.compress(header + counts)
    return base64.b64encode(struct.pack(">II", 0x1C849314, len(packed))
                            + packed).decode()


def bucket(value):
    shift = max(value.bit_length() - 11, 0)
    return (value >> shift) + (shift << 10)


def leb(value):
    value = (value << 1) ^ (-1 if value < 0 else 0)
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def test_compare_refuses_what_was_not_the_same_load():
    with tempfile.TemporaryDirectory() as folder:
        good, = results(folder, 1)
        result = read_json(good)
        other = write_json(f"{folder}/other.json",
                      {**result, "config_hash": "0123456789abcdef"})
        failed = write_json(f"{folder}/failed.json",
                       {**result, "verdict": "FAILED", "exit_code": 4})
        for bad, why in ((other, "its options differ"), (failed, "FAILED")):
            one_line(tool("compare", good, "--", bad, status=USAGE).err, why)
            tool("compare", "--force", good, "--", bad, status=INVALID)
        for args in ([], [good], ["--", good], ["--zero", good, "--", good]):
            one_line(tool("compare", *args, status=USAGE).err, ".")


# ---- ab ----

def test_ab_compares_pairs_of_runs():
    with Serve() as one, Serve() as other, \
            tempfile.TemporaryDirectory() as folder:
        outcome = command(WEIR_LOAD, "ab", "--runs", "6", "--force", "-n", "200", "-w",
                          "0", "-c", "2", "--timeout", "60s", "--json",
                          "--save", folder, one.url, other.url)
        equal(outcome.status in (OK, SLO, INVALID), True, outcome.err)
        told = json.loads(outcome.out)
        equal((told["paired"], told["runs"]), (True, [6, 6]), "pairs")
        names = sorted(os.listdir(folder))
        equal(names, [f"{side}-{number:03}.json" for side in "ab"
                      for number in range(1, 7)], "saved results")
        for name in names:
            result = read_json(f"{folder}/{name}")
            equal(result["config"]["targets"],
                  [one.url if name[0] == "a" else other.url], "targets")


def test_ab_forces_its_runs():
    flags = ("-n", "10", "-w", "0", "--server-cpu",
             str(min(os.sched_getaffinity(0))))
    with Serve() as server:
        ab = (WEIR_LOAD, "ab", "--runs", "6", *flags, server.url, server.url)
        outcome = command(*ab)
        equal((outcome.status, outcome.out), (USAGE, ""), "without --force")
        matches(outcome.err, r"--server-cpu: CPU \d+ is one of the client's")
        outcome = command(*ab, "--force")
        equal(outcome.status in (OK, SLO, INVALID), True, outcome.err)
        matches(outcome.out, r"^Verdict .* pairs of runs")


# ---- sweep ----

def test_sweep_makes_a_run_for_each_load():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        outcome = tool("sweep", "--conns", "1,2..6/3", "-n", "50", "--slo",
                       "p50<60s", "--timeout", "60s", "--save", folder,
                       f"--json={folder}/all.json", server.url)
        equal([line.split()[0] for line in outcome.out.splitlines()[1:]],
              ["1", "2", "4", "6"], "connections")
        equal([step["passed"] for step in read_json(f"{folder}/all.json")["steps"]],
              [True] * 4, "all hold")
        equal(read_json(f"{folder}/step-002.json")["config"]["connections"], 2,
              "connections of the second")
        tool("sweep", "--conns", "1,2", "--shuffle", "-n", "50", "--slo", "p50<1ns",
             server.url, status=SLO)


# ---- report ----

def test_report_is_a_page_that_needs_nothing_else():
    with tempfile.TemporaryDirectory() as folder:
        names = results(folder, 3)
        page = f"{folder}/page.html"
        outcome = tool("report", "-o", page, "--title", "A <b> & C", *names)
        equal(outcome.out, f"{page}\n", "standard output")
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for part in ("https://", "src=", "href=", "url(", "@import", "@RUNS@", "<b>"):
            equal(part in text, False, part)
        matches(text, "<title>A &lt;b&gt; &amp; C</title>")
        one_line(tool("report", *names, status=USAGE).err, "-o is required")
        one_line(tool("report", "-o", page, status=USAGE).err, "no result")
        one_line(tool("report", "-o", f"{folder}/no/x", names[0],
                      status=INTERNAL).err, "No such file")


def test_a_page_that_is_read_meanwhile_stays_whole():
    with tempfile.TemporaryDirectory() as folder:
        name, = results(folder, 1)
        page = f"{folder}/page.html"
        with open(page, "w", encoding="utf-8") as file:
            file.write("old")
        os.chmod(page, 0o640)
        with open(page, encoding="utf-8") as old:
            tool("report", "-o", page, name)
            equal(old.read(), "old", "the one that was opened before")
        equal(os.stat(page).st_mode & 0o777, 0o640, "permissions")
        equal(sorted(os.listdir(folder)), ["page.html", "run-0.json"], "files")
        outcome = tool("report", "-o", "-", name)
        matches(outcome.out, "^<!DOCTYPE html>\n(.*\n)*</html>\n$")


def with_errors(name, path):
    """Returns the same result with errors in its intervals, three of one kind in each,
    and two of another kind in the last; and a thousand answers after 50 us and one
    after 1 ms."""
    result = read_json(name)
    fast, slow = bucket(50_000), bucket(1_000_000)
    for row in result["intervals"]:
        row["errors"] = {"transfer ECONNRESET": 3}
        row["hdr"] = hdr_text(-fast, 1000, fast + 1 - slow, 1)
    row["errors"]["validate <STATUS>"] = 2
    row["dropped"] = 1
    return write_json(path, result)


CHROMIUM = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync")


class Rows(html.parser.HTMLParser):
    """Reads the rows of the tables below each heading, as texts of their cells; the
    plots, as counts of their elements; and the names of the page."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.title, self.cell, self.plots, self.names = {}, None, None, {}, []
        self.is_name = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "h2":
            self.title = ""
        elif tag == "h1" or (tag == "title" and not self.names):
            self.is_name = True
        elif tag == "svg":
            self.plots[self.title] = collections.Counter()
        elif tag in ("path", "circle", "rect"):
            self.plots[self.title][tag] += 1
            self.plots[self.title]["joins"] += dict(attrs).get("d", "").count("L")
        elif tag == "tr":
            self.tables.setdefault(self.title, []).append([])
        elif tag in ("td", "th"):
            self.cell = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[self.title][-1].append(self.cell)
            self.cell = None

    def handle_data(self, data):
        if self.is_name:
            self.names.append(data)
            self.is_name = False
        elif self.cell is not None:
            self.cell += data
        elif self.title == "":
            self.title = data


def drawn(browser, folder, *names):
    """Returns the page of these results after the browser has run its script; it must
    fit a window of 1,200 pixels."""
    page = f"{folder}/page.html"
    tool("report", "-o", page, *names)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    # Elements wider than their frame would scroll.
    look = ("const wide=[...document.querySelectorAll('.frame,html')].filter("
            "f=>f.scrollWidth>f.clientWidth).length;document.body.dataset.wide=wide;")
    done = "document.body.dataset.done = 'yes';"
    equal(text.count(done), 1, "where the page is done")
    with open(page, "w", encoding="utf-8") as file:
        file.write(text.replace(done, done + look))
    outcome = command(browser, *CHROMIUM, "--dump-dom", "--window-size=1200,900",
                      "--virtual-time-budget=60000",
                      f"--user-data-dir={folder}/profile", f"file://{page}",
                      limit_s=4 * WAIT_S)
    if "<h2>" not in outcome.out:
        raise Skip(f"chromium does not start: {outcome.err[-200:]!r}")
    matches(outcome.out, '<body data-done="yes" data-wide="0">')
    return Rows(outcome.out)


def test_a_browser_shows_how_runs_were_judged():
    browser = shutil.which("chromium")
    if not browser:
        raise Skip("no chromium")
    with tempfile.TemporaryDirectory() as folder:
        name, = results(folder, 1)
        result = read_json(name)
        result.update(
            verdict="INVALID", exit_code=INVALID, valid=False,
            invalid_reasons=["overload: <b>the server</b> answers 1/s"],
            warnings=["a &amp; warning", "\u00e9\u2028another"],
            status={"200": 3, "503": 1},
            slo=[{"expr": "p99<5ms", "value": 7.5e6, "pass": False},
                 {"expr": "errors<0.1%", "value": 500, "pass": True},
                 {"expr": "rate>5", "value": None, "pass": None},
                 {"expr": "<i>", "value": 3, "pass": False}])
        write_json(name, result)
        page = drawn(browser, folder, name)
        tables = page.tables
    run_name = os.path.basename(name)
    for title, rows in (
            ("Objectives", [["p99<5ms", "7.50ms", "does not hold"],
                            ["errors<0.1%", "0.05%", "holds"],
                            ["rate>5", "not known", "of all parts together"],
                            ["<i>", "3", "does not hold"]]),
            ("Doubts and warnings",
             [["invalid", "overload: <b>the server</b> answers 1/s"],
              ["warning", "a &amp; warning"],
              ["warning", "\u00e9\u2028another"]]),
            ("Statuses", [["200", "3", "75.00 %"], ["503", "1", "25.00 %"]])):
        equal(tables[title][1:], [[run_name, *row] for row in rows], title)
    target, = result["config"]["targets"]
    equal(tables["Runs"][1][:5], [run_name, target, "INVALID", "closed", "\u2013"], "the run")
    equal(tables["Runs"][0][-5:], ["p90", "p95", "p99", "p99.9", "max"], "figures")
    equal(page.names, [f"Load report: {target}"] * 2, "the title and the first heading")


def test_a_browser_shows_the_plots():
    browser = shutil.which("chromium")
    if not browser:
        raise Skip("no chromium")
    with tempfile.TemporaryDirectory() as folder:
        names = results(folder, 2)
        bad = with_errors(names[0], f"{folder}/bad.json")
        plots = drawn(browser, folder, bad).plots
        for title in ("Latency by percentile", "Rate over time", "Latency over time",
                      "Heat map of latencies", "Errors over time"):
            equal(plots[title]["path"] + plots[title]["rect"] > 0, True, title)
        # Two values in each interval, three kinds of errors in the last.
        rows = len(read_json(bad)["intervals"])
        equal(plots["Heat map of latencies"]["rect"], 2 * rows, "cells")
        equal(plots["Errors over time"]["rect"], rows + 2, "bars")
        # Runs of the same load at another rate are joined, other runs are not.
        result = read_json(names[0])
        for rate in (1, 2):
            result["rate"]["achieved"] *= rate
            result["config"]["rate"] = rate
            names.append(write_json(f"{folder}/rate-{rate}.json", result))
        other = write_json(f"{folder}/other.json", {**result, "config": {
            **result["config"], "depth": 9}})
        for chosen, joins in ((names[2:], 3), ([names[2], other], 0)):
            plot = drawn(browser, folder, *chosen).plots["Latency against rate"]
            equal((plot["circle"], plot["joins"]), (6, joins), "points and lines")


# ---- what takes minutes ----

def test_search_finds_the_capacity_of_a_server_with_a_limit():
    if not LONG:
        raise Skip("takes two minutes: WEIR_LONG=1")
    with Serve("--mode", "rr", "--limit-rate", "2000") as server:
        outcome = tool("search", "--slo", "p99<50ms", "-c", "20", "-d", "2s",
                       "--precision", "2%", "--mode", "rr", "--json", server.url,
                       limit_s=200)
    found = json.loads(outcome.out)
    equal(1960 <= found["capacity"] <= 2040, True, f"the capacity: {found}")
    equal(found["low"] <= 2000 <= found["high"], True, f"interval: {found}")


def test_ab_finds_ten_percent_and_nothing_where_there_is_nothing():
    if not LONG:
        raise Skip("takes half an hour: WEIR_LONG=1")
    extend_limit(2 * 3600)
    verdicts = {"same": [], "slower": []}
    with Serve("--delay", "5ms") as one, Serve("--delay", "5ms") as same, \
            Serve("--delay", "5500us") as slow:
        for _ in range(20):
            for name, other in (("same", same), ("slower", slow)):
                outcome = command(WEIR_LOAD, "ab", "-c", "5", "-d", "500ms",
                                  "-w", "50ms", "--json", one.url, other.url,
                                  limit_s=20 * WAIT_S)
                verdicts[name].append(json.loads(outcome.out)["verdict"])
    print("#", verdicts)
    equal(verdicts["same"].count("no difference") >= 17, True, "no difference")
    equal(verdicts["slower"].count("worse") >= 19, True, "worse")


run(globals(), short="parts_are_merged_without_loss")
