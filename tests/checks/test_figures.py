"""bench/report.py draws what a file of results says, and refuses what is none.

The sections of figures in README.md and bench/README.md are those that the kept
results give: bench/results.json and bench/results-openssl.json. No figure in them is
written by hand.

Usage: test_figures.py SOURCE
"""

import contextlib
import html.parser
import importlib.machinery
import importlib.util
import itertools
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

SOURCE = pathlib.Path(sys.argv.pop(1)).resolve()
REPORT = SOURCE / "bench" / "report.py"
KEPT = [SOURCE / "bench" / name
        for name in ("results.json", "results-openssl.json")]
sys.path.insert(0, str(SOURCE / "bench"))
sys.dont_write_bytecode = True

import compare  # noqa: E402
import figures  # noqa: E402
import harness  # noqa: E402
import machine  # noqa: E402
import page  # noqa: E402
import peers  # noqa: E402
import proxy_cost  # noqa: E402
import results  # noqa: E402
import rows_first  # noqa: E402
import rows_growth  # noqa: E402


def program_of_rows():
    """bench/run as a module, whose name ends in no .py."""
    loader = importlib.machinery.SourceFileLoader(
        "bench_run", str(SOURCE / "bench" / "run"))
    ret = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(ret)
    return ret


def result(**fields):
    return {"row": "T1", "case": "128 B, 50 connections",
            "figure": "ns CPU/msg", "subject": 4000, "peer": "uv", "note": "",
            "peer_value": 8000, "ratio": 0.5, "target": 0.62,
            "ratios": [0.5, 0.45, 0.7], "interval": [0.45, 0.6]} | fields


def document(*lines, **fields):
    return {"format": results.FORMAT, "subject": "weir", "window_ms": 1000, "warm_ms": 100,
            "date": "2026-01-02 03:04 UTC",
            "command": "bench/run --rows T1", "failures": [],
            "rows": {"T1": "an echo"}, "versions": {"libuv": "1.44.2"},
            "machine": {
                "kernel": "6.18", "processor": "AMD EPYC 7R13 Processor",
                "caches": {"L2": "1024K", "L3": "32768K"}, "server_cpu": 0,
                "client_cpu": 1, "one_core": False, "own_network": True,
                "congestion_control": "reno", "load": 0.5, "call_ns": 200,
                "is_guest": True},
            "results": list(lines) or [result()]} | fields


def parsed(*lines, **fields):
    return results.parse(json.dumps(document(*lines, **fields)))


class Page(html.parser.HTMLParser):
    """The text of a page, and the names of its elements."""

    def __init__(self, text):
        super().__init__()
        self.text, self.names, self.open = "", [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} has {name}"
            assert name not in ("src", "srcset"), f"{tag} takes {value}"
            if name == "href":
                assert value.startswith("#"), f"{tag} goes to {value}"
        if tag not in ("meta", "circle", "line", "path", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, data):
        self.text += data


def shown(*lines, **fields):
    ret = Page(page.write(parsed(*lines, **fields)))
    assert ret.open == [], f"not closed: {ret.open}"
    return ret


class Parser(unittest.TestCase):
    def refused(self, text, *words):
        with self.assertRaises(results.BadDocument) as caught:
            results.parse(text)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_what_was_written_is_read(self):
        text = results.as_text(document())
        self.assertEqual(results.parse(text)["results"][0]["ratio"], 0.5)
        self.assertEqual(results.parse(text)["results"][0]["interval"], [0.45, 0.6])

    def test_no_json_is_refused(self):
        for text in ("", "{", "[1", "\0", "[" * 100000):
            self.refused(text, "no JSON")

    def test_other_json_is_refused(self):
        for text in ("[]", "1", "{}", "null", '{"runs": []}'):
            self.refused(text, "no results")

    def test_a_later_format_is_refused(self):
        self.refused(json.dumps(document(format="weir-bench 9")),
                     "weir-bench 9")

    def test_a_field_of_another_kind_is_told_with_its_place(self):
        for field, value in (("row", 1), ("ratio", "1"), ("subject", True),
                             ("ratios", ["x"]), ("ratios", 3), ("case", None),
                             ("interval", [1]), ("interval", [2, 1]),
                             ("target", [])):
            self.refused(json.dumps(document(result(), result(**{field: value}))),
                         f"results[1].{field}")

    def test_a_missing_field_is_told(self):
        broken = document()
        del broken["results"][0]["ratio"]
        self.refused(json.dumps(broken), "results[0].ratio is missing")
        broken = document()
        del broken["machine"]
        self.refused(json.dumps(broken), "machine is no object")

    def test_numbers_that_are_none_are_refused(self):
        for value in ("NaN", "Infinity", "1e999"):
            self.refused(json.dumps(document()).replace("8000", value), "")

    def test_results_that_are_no_list_are_refused(self):
        self.refused(json.dumps(document(results={})), "results is no list")
        self.refused(json.dumps(document() | {"results": [1]}), "results[0]")

    def test_whatever_a_file_says_is_drawn_or_refused(self):
        seed = os.environ.get("WEIR_TEST_SEED") or str(random.randrange(2**32))
        print(f"# WEIR_TEST_SEED={seed}", flush=True)
        chance = random.Random(seed)
        odd = [None, True, "", "x", -1, 0, 1e-300, 10**400, 1e300, [], {}, [{}],
               [1], {"a": "b"}, "<b>", 0.5, "\ud800", {"\udfff": "x"},
               {"L2": "\N{SUPERSCRIPT TWO}K"}, {"L2": "9" * 5000 + "K"}]
        drawn = 0
        for _ in range(2000):
            value = document(result(x=10), result(x=1000, peer=""))
            holders = [value, value["machine"], *value["results"]]
            for _ in range(chance.randrange(1, 4)):
                holder = chance.choice(holders)
                name = chance.choice(list(holder))
                if name not in ("machine", "results"):
                    holder[name] = chance.choice(odd)
            try:
                read = results.parse(json.dumps(value))
            except results.BadDocument:
                continue
            page.write(read).encode()
            figures.section(read, read).encode()
            figures.table(read, read).encode()
            drawn += 1
        self.assertGreater(drawn, 100)

    def test_a_verdict_of_a_file_is_not_believed(self):
        read = parsed(result(interval=[0.9, 1]) | {"verdict": "met"})
        self.assertEqual(read["results"][0]["verdict"], "missed")

    def test_a_target_in_the_interval_cannot_be_told(self):
        for interval, target, verdict in (
                ([0.9, 1.1], 1.1, "met"), ([0.9, 1.1], 1.09, "cannot tell"),
                ([0.9, 1.1], 0.9, "cannot tell"), ([0.9, 1.1], 0.89, "missed"),
                ([1, 1], 1, "met"), ([], 9, "cannot tell"), (None, 0.5, "met"),
                (None, 0.4, "missed"), ([0.9, 1.1], None, "")):
            read, = parsed(result(interval=interval, target=target))["results"]
            self.assertEqual(read["verdict"], verdict, (interval, target))

    def test_runs_of_two_machines_are_not_one(self):
        other = parsed()
        other["machine"]["processor"] = "another"
        with self.assertRaises(results.BadDocument):
            results.join([parsed(), other])

    def test_runs_of_two_days_or_builds_are_not_one(self):
        for field, value in (("date", "2026-01-03 03:04 UTC"),
                             ("revision", "abc"), ("build", "buildtype=debug"),
                             ("rounds", 3), ("window_ms", 10),
                             ("subject", "uv")):
            with self.assertRaises(results.BadDocument):
                results.join([parsed(), parsed(**{field: value})])
        results.join([parsed(), parsed(date="2026-01-02 20:00 UTC",
                                       command="bench/run --rows T7")])

    def test_a_failure_goes_with_the_row_that_a_later_run_has(self):
        joined = results.join([
            parsed(failures=["T1: no answer", "T7: interrupted"]),
            parsed(failures=["T9: no memory"])])
        self.assertEqual(joined["failures"],
                         ["T7: interrupted", "T9: no memory"])

    def test_a_later_run_takes_the_place_of_a_row(self):
        joined = results.join([parsed(result(), result(row="T7")),
                               parsed(result(ratio=0.6), result(ratio=0.7))])
        self.assertEqual([r["ratio"] for r in joined["results"]],
                         [0.5, 0.6, 0.7])


class Report(unittest.TestCase):
    def test_a_page_stands_alone(self):
        seen = shown()
        self.assertNotIn("script", seen.names)
        self.assertNotIn("link", seen.names)
        for text in ("an echo", "libuv", "1.44.2", "✓ met", "AMD EPYC",
                     "bench/run --rows T1", "0.500 (0.450 to 0.600)"):
            self.assertIn(text, seen.text)
        self.assertEqual(seen.names.count("circle"), 3)

    def test_a_miss_is_said_at_the_top(self):
        seen = shown(result(ratio=0.93, interval=[0.9, 1]),
                     result(peer="uring", ratio=1.0, interval=[0.99, 1.01],
                            target=1.03))
        self.assertIn("1 of 2 targets are met", seen.text)
        self.assertIn("✗ missed by 50 %", seen.text)

    def test_what_was_not_run_has_its_reason(self):
        seen = shown(not_run={"T9": "no time"}, failures=["T22: <no> h2load"],
                     left_out={"uvloop": "no Python here has uvloop"})
        for text in ("no time", "T22: <no> h2load", "no Python here"):
            self.assertIn(text, seen.text)

    def test_texts_are_texts(self):
        seen = shown(result(case="<script>alert(1)</script>", note="<b>",
                            peer="<i>", row='"><img src=x>', figure="<p>"),
                     date="</style><script>", rows={'"><img src=x>': "<u>"})
        self.assertNotIn("script", seen.names)
        self.assertNotIn("img", seen.names)
        self.assertIn("<script>alert(1)</script>", seen.text)

    def test_figures_that_are_missing_are_not_drawn(self):
        seen = shown(result(ratio=None, subject=None, peer_value=None,
                            ratios=[]), result(ratio=0, ratios=[0, 0],
                                               interval=[0, 0]),
                     result(target=0), result(interval=[0.6, 0.7]))
        self.assertIn("not measured", seen.text)
        self.assertIn("? cannot tell", seen.text)

    def test_a_subject_that_is_not_weir_has_its_name(self):
        text = shown(subject="epoll").text
        self.assertIn("bare epoll", text)
        self.assertNotIn("weir", text.split("beside")[1].split("its")[0])

    def test_a_curve_has_a_line_for_each_case(self):
        points = [result(case=case, peer="", ratio=None, ratios=[], x=x)
                  for case in ("one", "two") for x in (100, 1000)]
        self.assertIn("1,000", shown(*points).text)

    def test_each_figure_of_a_case_has_its_heading(self):
        seen = shown(*[result(figure=figure) for figure in
                       ("entries/msg", "entries/msg", "calls/msg")])
        for figure in ("entries", "calls"):
            self.assertEqual(
                seen.text.count(f"128 B, 50 connections, {figure}/msg"), 1)

    def test_what_cannot_be_written_leaves_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "README.md"
            results.write(path, "old")
            with self.assertRaises(UnicodeEncodeError):
                results.write(path, "\ud800")
            with mock.patch("os.replace", side_effect=OSError):
                with self.assertRaises(OSError):
                    results.write(path, "new")
            self.assertEqual(path.read_text(encoding="utf-8"), "old")
            results.write(path, "new")
            self.assertEqual(path.read_text(encoding="utf-8"), "new")
            self.assertEqual(os.listdir(folder), ["README.md"])
            results.write(os.devnull, "new")

    def test_a_cache_of_an_odd_size_is_shown_as_it_is(self):
        odd = "\N{SUPERSCRIPT TWO}K"
        self.assertIn(f"{odd} of L2", machine.kind_of(
            parsed()["machine"] | {"caches": {"L2": odd}}))

    def test_bad_files_are_told(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = pathlib.Path(folder) / "bad.json"
            bad.write_bytes(b"\xff\xfe")
            for path in (bad, bad.with_name("none.json"), folder):
                done = subprocess.run(
                    [sys.executable, REPORT, path], text=True,
                    capture_output=True, check=False)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertRegex(done.stderr, f"^report: {path}: .+\n$")


class Readme(unittest.TestCase):
    def test_the_kind_of_machine_and_the_figures_are_the_run_s(self):
        text = figures.section(parsed(), parsed())
        kind = "an AMD EPYC 7R13 guest"
        self.assertIn(f"on {kind} (2026-01-02) with libuv 1.44.2",
                      " ".join(text.split()))
        self.assertIn(f"on {kind}, 1 MiB of L2 and 32 MiB of L3",
                      " ".join(figures.table(parsed(), parsed()).split()))
        case = "128 B, 50 connections: 0.50 of libuv (0.45–0.60)"
        self.assertIn(f"| echo, callbacks | {case} | {case} |", text)
        self.assertIn("| weir-proxy | not run | not run |", text)

    def test_the_worst_case_stands_beside_the_best(self):
        run = parsed(*[result(case=case, ratio=ratio, interval=None,
                              ratios=[ratio - 0.1, ratio, ratio + 0.2])
                       for case, ratio in (("a", 0.9), ("b", 1.2), ("c", 0.5))])
        self.assertIn("| echo, callbacks | c: 0.50 of libuv (0.40–0.70) | "
                      "b: 1.20 of libuv (1.10–1.40) |", figures.section(run, run))

    def test_a_first_program_has_its_figure_and_the_interval_of_the_ratio(self):
        run = parsed(*[result(row="first", subject=5900, peer=peer, figure=figure,
                              peer_value=2048, interval=interval, ratios=[0.5])
                       for figure, interval in (("us CPU/msg", [0.4, 0.6]),
                                                ("B/connection", None))
                       for peer in ("weir", "uv")])
        text = figures.section(run, run)
        self.assertIn("| 5900.0 | 2048.0 (0.40–0.60) | 2048.0 (0.40–0.60) | not run |",
                      text)
        self.assertIn("| 5.8 | 2.0 | 2.0 | not run |", text)

    def test_each_run_says_whose_tls_it_had(self):
        text = figures.section(*[
            parsed(result(row="T11", case="hello", peer="nginx", ratio=ratio),
                   versions={"weir": f"0.1.0, TLS by {name}"})
            for name, ratio in (("wolfSSL 5.7.2", 0.5), ("OpenSSL 3.0.19", 1.5))])
        self.assertIn("| TLS | wolfSSL, hello: 0.50 of ", text)
        self.assertIn(" | OpenSSL, hello: 1.50 of ", text)

    def test_all_rows_show_what_is_missed_and_what_was_not_run(self):
        text = figures.table(
            parsed(result(ratio=0.93, interval=[0.9, 0.94]),
                   result(peer="uring", ratio=1.0, interval=[], target=1.03),
                   result(row="T8", peer="", ratio=None, subject=600,
                          peer_value=None, target=512, figure="B", interval=None),
                   not_run={"T9": "no time"}, failures=["T22: no h2load"]),
            parsed())
        self.assertIn("| 4000 | **libuv 0.93 (0.90–0.94) (≤ 0.62)**, *bare liburing "
                      "1.00 (few starts) (≤ 1.03)* |", text)
        self.assertIn(", B | **600 (≤ 512)** |  |", text)
        words = " ".join(text.split())
        for told in ("0 of 3 targets are met, 1 cannot be told.",
                     "no row T9.", "Failed: T22: no h2load."):
            self.assertIn(told, words)

    def test_what_is_kept_gives_the_same_sections(self):
        run = parsed(result(), result(row="T7"), result(row="first"),
                     commands={"T1": ["what was started"]})
        text = results.as_text(figures.kept(run))
        self.assertNotIn("what was started", text)
        for make in (figures.section, figures.table):
            self.assertEqual(make(results.parse(text), run), make(run, run))

    def test_a_section_takes_the_place_of_the_other(self):
        for make, head, rest in (
                (figures.section, f"{figures.COST} a\n\n", "- **In it:** old\n"),
                (figures.table, "## Figures\n\n", "## More\n\ntext\n")):
            section = make(parsed(), parsed())
            changed = figures.replace(f"# x\n\n{head}old\n\n{rest}", section)
            self.assertEqual(changed, f"# x\n\n{section}{rest}")
            self.assertEqual(figures.of_readme(changed), section)
        with self.assertRaises(results.BadDocument):
            figures.replace("# x\n", "")

    def test_the_readmes_have_the_figures_of_the_kept_runs(self):
        runs = [results.read(path) for path in KEPT]
        for name, make in (("README.md", figures.section),
                           ("bench/README.md", figures.table)):
            text = (SOURCE / name).read_text(encoding="utf-8")
            self.assertEqual(figures.of_readme(text), make(*runs),
                             f"{name}: bench/report.py --update")

    def test_the_first_kept_run_has_the_default_tls_and_the_other_openssl(self):
        self.assertEqual([figures.engine_of(results.read(path))
                          for path in KEPT], ["wolfSSL", "OpenSSL"])


class Run(unittest.TestCase):
    def test_results_are_written_where_git_and_pythons_are_missing(self):
        run = program_of_rows()
        with tempfile.TemporaryDirectory() as build:
            about = pathlib.Path(build) / "meson-info" / "meson-info.json"
            about.parent.mkdir()
            about.write_text(json.dumps({"directories": {"source": build}}),
                             encoding="utf-8")
            with mock.patch("subprocess.run", side_effect=FileNotFoundError):
                self.assertEqual(run.revision(build), "")
                peers.versions(build)
                self.assertEqual(peers.engine(build), "")
        self.assertEqual(run.revision("no-build"), "")

    def alternate(self, cost, *names, case_s=1000, **rest):
        """What is measured where cost(name) is a slice's, with what was left out
        and in which order they were asked."""
        order = []

        @contextlib.contextmanager
        def measure(name):
            def take():
                order.append(name)
                return {"cpu_ns": cost(name)}

            if name == "later":
                raise harness.Absent("wants a later kernel")
            yield take

        settings = mock.Mock(case_s=case_s, left_out={})
        progress = mock.Mock(is_interrupted=False)
        pairs = compare.alternate(settings, progress, "T1", names, measure, **rest)
        self.assertEqual(settings.left_out, {
            name: "wants a later kernel" for name in names if name == "later"})
        return pairs, order, progress

    def test_the_interval_is_of_the_order_alone(self):
        for count, left in ((5, 0), (6, 1), (8, 1), (9, 2), (12, 3), (20, 6)):
            ratios = random.Random(count).sample(range(1, count + 1), count)
            self.assertEqual(compare.interval_of(ratios),
                             [left, count + 1 - left] if left else [], count)

    def test_the_interval_holds_the_median_as_often_as_it_says(self):
        chance = random.Random(59)
        held = 0
        for _ in range(2000):
            low, high = compare.interval_of(
                [chance.lognormvariate(0, 0.1) for _ in range(9)])
            held += low <= 1 <= high
        self.assertGreater(held, 0.94 * 2000)
        self.assertLess(held, 0.98 * 2000)

    def test_two_alternate_and_drift_falls_on_both(self):
        clock = itertools.count(100)
        pairs, order, _ = self.alternate(
            lambda name: next(clock) * (2 if name == "uv" else 1), "weir", "uv")
        self.assertEqual("".join(name[0] for name in order[:8]), "wuuwuwwu")
        self.assertEqual(len(pairs["uv"]), compare.STARTS_MIN)
        for ratio in compare.ratios_of(pairs["uv"]):
            self.assertAlmostEqual(ratio, 0.5, 3)

    def test_a_comparison_ends_when_it_is_narrow_or_its_time_is_up(self):
        chance = random.Random(59)

        def cost(name):
            return chance.lognormvariate(0, 0.04 if name == "wide" else 0.001)

        pairs, _, _ = self.alternate(cost, "weir", "wide", "uv")
        self.assertEqual(len(pairs["uv"]), compare.STARTS_MIN)
        self.assertGreater(len(pairs["wide"]), compare.STARTS_MIN)
        low, high = compare.interval_of(compare.ratios_of(pairs["wide"]))
        self.assertLess(high - low, 0.035)
        pairs, _, _ = self.alternate(cost, "weir", "wide", "uv", judged=["uv"])
        self.assertEqual(len(pairs["wide"]), compare.STARTS_MIN)
        pairs, _, _ = self.alternate(cost, "weir", "wide", "uv", case_s=0)
        self.assertEqual([len(starts) for starts in pairs.values()], [1, 1])
        line, _ = compare.compare("T1", "an echo", pairs, {"wide": 9})
        self.assertEqual((line.interval, line.verdict), ([], "cannot tell"))

    def test_what_was_measured_before_an_interruption_is_kept(self):
        slices = itertools.count()

        def cost(_):
            if next(slices) == 14:  # in the second start of both
                raise KeyboardInterrupt
            return 1

        pairs, _, progress = self.alternate(cost, "weir", "uv", "event")
        self.assertEqual([len(starts) for starts in pairs.values()], [2, 1])
        self.assertTrue(progress.is_interrupted)

    def test_a_slice_in_which_nothing_came_to_pass_is_followed_by_a_longer_one(self):
        reports = [{"messages": 0, "server_cpu_ns": 5},
                   {"messages": 3, "server_cpu_ns": 0},
                   {"messages": 2, "server_cpu_ns": 8}]
        server = mock.Mock(settings=mock.Mock(time_ms=150))
        with mock.patch("harness.Client") as client:
            client.return_value.finish.side_effect = reports
            self.assertEqual(harness.load(server, [])["cpu_ns"], 4)
            self.assertEqual([call.kwargs["time_ms"] for call
                              in client.call_args_list], [150, 300, 600])
            client.return_value.finish.side_effect = itertools.repeat(reports[0])
            with self.assertRaisesRegex(harness.Failure, "no message"):
                harness.load(server, [])

    def test_what_is_left_is_what_the_rows_may_take(self):
        run = program_of_rows()
        options = mock.Mock(rows=["T1", "T8", "T1"], time=3)
        progress = run.Progress(options)
        with mock.patch.object(run.time, "monotonic", return_value=50) as now:
            progress.begin_row()
            whole = [run.row_seconds(name, 3) for name in options.rows]
            self.assertEqual(progress.left_seconds(), sum(whole))
            now.return_value += 7
            self.assertEqual(progress.left_seconds(), sum(whole) - 7)
            progress.begin_row()  # the first was quicker than it might be
            self.assertEqual(progress.left_seconds(), sum(whole[1:]))

    def test_a_peer_that_does_not_start_is_left_out(self):
        pairs, _, _ = self.alternate(lambda name: 1000, "weir", "later", "epoll")
        self.assertEqual(list(pairs), ["epoll"])
        with self.assertRaisesRegex(harness.Failure, "wants a later kernel"):
            self.alternate(lambda name: 1000, "later", "weir")

    def test_without_any_peer_the_figure_stands_by_itself(self):
        pairs, _, _ = self.alternate(lambda name: 8000, "weir", "later")
        alone, = compare.compare("T19", "a file", pairs, {"nginx": 1.05}, scale=1000)
        self.assertEqual((alone.subject, alone.ratio, alone.verdict),
                         (8.0, None, ""))

    def test_a_row_that_breaks_costs_no_other(self):
        run = program_of_rows()
        settings = mock.Mock(case="", left_out={})
        results_ = []

        def breaks(*_):
            raise PermissionError("no SCHED_FIFO")

        def lacks(*_):
            raise harness.Absent("wrk is not installed")

        def works(*_):
            yield "a result"

        with mock.patch.dict(run.ROWS, {
                "a": (breaks, "", 1, 0), "b": (lacks, "", 1, 0),
                "c": (works, "", 1, 0)}, clear=True):
            options = mock.Mock(rows=["a", "b", "c"], subject="weir", time=1)
            failures = run.run_rows(options, settings, run.Progress(options),
                                    results_)
        self.assertEqual(failures, ["a: PermissionError: no SCHED_FIFO"])
        self.assertEqual(settings.left_out, {"b": "wrk is not installed"})
        self.assertEqual(results_, ["a result"])

    def test_what_is_wrong_is_said_with_the_way_out(self):
        for words, told in ((["--rows", "T99"], "T99; --help lists all"),
                            (["--build", "/none"], "in it: /none; see --help")):
            done = subprocess.run(
                [sys.executable, SOURCE / "bench" / "run", *words], text=True,
                capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(told, done.stderr)

    def test_standard_output_is_given_once(self):
        asked = subprocess.run(
            [sys.executable, SOURCE / "bench" / "run", "--json", "-",
             "--report", "-"], text=True,
            capture_output=True, check=False)
        self.assertEqual((asked.returncode, asked.stdout), (2, ""))
        self.assertIn("one of --json and --report", asked.stderr)

    def test_a_number_of_connections_is_no_port(self):
        self.assertEqual(
            harness.without_port(["client", "--conns", "10000", "10000"],
                                 10000),
            ["client", "--conns", "10000", "PORT"])
        self.assertEqual(
            harness.without_port(
                ["example-dns", "10000", "unix:@weir-bench-10000",
                 "tcp://127.0.0.1:10000", "tcp://127.0.0.1:100001"], 10000),
            ["example-dns", "PORT", "unix:@weir-bench-PORT",
             "tcp://127.0.0.1:PORT", "tcp://127.0.0.1:100001"])

    def test_both_ways_to_print_a_certificate_s_name_are_read(self):
        for text in ("subject=CN = h1.test\n", "subject=CN=h1.test\n",
                     " 0 s:CN=h1.test\n   i:CN=h1.test\n"):
            self.assertTrue(rows_growth._is_of("h1.test", text), text)
        for text in ("subject=CN = h1.test2\n", "subject=CN = h1xtest\n", ""):
            self.assertFalse(rows_growth._is_of("h1.test", text), text)

    def test_a_first_program_may_stand_in_a_folder_with_a_space(self):
        with tempfile.TemporaryDirectory(suffix=" of a run") as folder:
            program = pathlib.Path(folder) / "first_go"
            program.write_text("#!/bin/sh\necho started with $PORT\n",
                               encoding="utf-8")
            program.chmod(0o700)
            command = rows_first._command(
                mock.Mock(programs=folder), "first_go", 1, ())
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                  start_new_session=True) as started:
                line = started.stdout.readline()
                os.killpg(started.pid, signal.SIGKILL)
        self.assertEqual(line, "started with 1\n")


class ProxyCost(unittest.TestCase):
    def test_a_connection_that_ends_early_is_an_error(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def answer_half():
                peer, _ = listener.accept()
                with peer:
                    peer.recv(proxy_cost.SIZE, socket.MSG_WAITALL)
                    peer.sendall(bytes(10))

            thread = threading.Thread(target=answer_half)
            thread.start()
            with self.assertRaises(RuntimeError):
                proxy_cost.visit(listener.getsockname()[1])
            thread.join()

    def test_nothing_runs_on_behind_an_error(self):
        script = "echo x serves tcp://127.0.0.1:5 to x >&2; sleep 600 & wait"
        with self.assertRaises(KeyError):
            with proxy_cost.serving(["sh", "-c", script], "proxy", "poll", [],
                                    1) as (process, port):
                self.assertEqual(port, 5)
                raise KeyError
        self.assertEqual(process.returncode, -signal.SIGKILL)
        with self.assertRaises(RuntimeError):
            with proxy_cost.serving(["false"], "proxy", "poll", [], 1):
                pass


if __name__ == "__main__":
    unittest.main()
