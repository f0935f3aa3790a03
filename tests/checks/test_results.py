"""The script of weir-load: its statistics against published tables and made-up runs whose truth
is known, its search against servers with a limit, and what it makes of results, by tables.

Usage: test_results.py SOURCE
"""

import contextlib
import copy
import importlib.util
import io
import math
import pathlib
import random
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1)).resolve()
sys.dont_write_bytecode = True
SPEC = importlib.util.spec_from_file_location(
    "results", SOURCE / "tools/weir-load/analysis/results.py")
results = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(results)
for member, value in vars(sys.modules["weir_load_saved"]).items():
    if not hasattr(results, member):  # both files are one here
        setattr(results, member, value)
MS = 1_000_000
BASE = {"margin": "5%", "metric": "p50"}


def histogram(*values):
    """Of (value, number of it)."""
    made = results.Histogram()
    for value, count in values:
        index = results.index_of(value)
        made.counts[index] = made.counts.get(index, 0) + count
        made.count += count
        made.sum += value * count
        made.min = value if made.min is None else min(made.min, value)
        made.max = max(made.max, value)
    return made


def result(*values, host="h", **members):
    """A result whose requests took so long."""
    times = histogram(*(values or [(MS, 1000)]))
    row = {"begin_ns": 0, "end_ns": 10 ** 9, "offered": 5, "ok": 5, "failed": 0, "timeout": 0,
           "dropped": 0, "p50": MS, "p99": MS, "max": MS, "hdr": times.encode(), "errors": {}}
    made = {
        "schema": "weir-load/2", "config_hash": "1", "verdict": "VALID", "valid": True,
        "exit_code": 0, "model": {"kind": "open"}, "start": "now", "start_unix_ns": 10 ** 18,
        "duration_ns": 10 ** 9, "part": None,
        "config": {"mode": "http", "requests": 0, "duration_ns": 10 ** 9, "conn_stages": "1s@2"},
        "requests": {"offered": times.count, "sent": times.count, "ok": times.count, "failed": 0,
                     "timeout": 0, "dropped": 0, "in_flight": 0},
        "summary": {"attempts": times.count, "errors": 0}, "status": {"200": times.count},
        "rate": {"completed": times.count, "achieved": 1000.0, "offered": 1000.0,
                 "per_client_cpu_second": 5.0},
        "latency": {**dict.fromkeys(results.TIMES_ALL), "response": times.part(),
                    "service": times.part()},
        "http2": {"allowed": 0, "reached": 3}, "stall": {"longest_ns": 5, "at_ns": 1},
        "client": {"threads": [1], "cpu": 0.5, "cpu_user_ns": 10 ** 8, "cpu_system_ns": 0},
        "env": {"host": host, "clock": {"synchronised": True, "estimated_error_ns": 1,
                                        "greatest_error_ns": 2}},
        "errors": [], "slo": [], "invalid_reasons": [], "warnings": [], "intervals": [row],
        "waited": 1, "kinds": None, "connections": {"open_at_end": 2}}
    return {**copy.deepcopy(made), **members}


def saved(*values, name="a run", **members):
    return results.Run(result(*values, **members), name)


def kind(name, *values, **counts):
    times = histogram(*values)
    return {"name": name, "ok": times.count, "failed": 0, "timeout": 0, "completed": times.count,
            "status": {"200": times.count}, "latency": times.part(), **counts}


def printed(function, *args):
    """(what it returns or the exit code of Bad, what it prints, and says)"""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = function(*args)
        except results.Bad as bad:
            code = bad.code
            results.say(str(bad))
    return code, out.getvalue(), err.getvalue()


class Rows(unittest.TestCase):
    """Each row is a test of its own."""

    def rows(self, function, rows):
        for *args, wanted in rows:
            with self.subTest(args=args):
                self.assertEqual(function(*args), wanted)

    def refused(self, function, rows):
        for *args, why in rows:
            with self.subTest(args=args):
                with self.assertRaises(results.Bad) as caught:
                    function(*args)
                self.assertIn(why, str(caught.exception))


class Statistics(Rows):
    def test_tails_are_those_of_the_tables(self):
        """Two-sided critical values at 5 %: sums up to these are significant."""
        self.rows(lambda n: results.signed_tail(n, 0.95) - 1, [
            (5, -1), (6, 0), (8, 3), (10, 8), (15, 25), (20, 52), (50, 434)])
        self.rows(lambda n, m: results.rank_tail(n, m, 0.95) - 1, [
            (3, 3, -1), (4, 4, 0), (4, 5, 1), (5, 5, 2), (3, 10, 3), (10, 3, 3), (8, 8, 13),
            (10, 10, 23), (20, 20, 127)])
        self.assertEqual(results.signed_tail(8, 0.99) - 1, 0)

    def test_changes_are_found_exactly(self):
        one, some = [1] * 4, [1, 2, 3, 4]
        doubled = [100 << i for i in range(10)]
        for a, b, is_paired, wanted in (
                (doubled, [1.25 * x for x in doubled], True, (0.25, 0.25, 0.25, True)),
                (one, some, False, (1.5, 0, 3, True)),
                (some, one, False, ((1 / 2 + 1 / 3) / 2 - 1, -0.75, 0, True)),
                ([100] * 6, [150, 150, 150, 300, 300, 300], True,
                 ((1.5 * 3) ** 0.5 - 1, 0.5, 2, True)),
                ([1, 2, 4, 8], [3, 5, 7, 11], False, (1.125, -0.625, 10, True)),
                ([1] * 5, [1, 4, 9, 16, 25], True, (7, 0, 24, False))):
            found = results.compare_sides(a, b, is_paired, 0.95)
            for value, other in zip(found, wanted):
                self.assertAlmostEqual(value, other)

    def test_verdicts_follow_interval_and_margin(self):
        same, worse, better, unknown = "no difference", "worse", "better", "cannot tell"
        self.rows(lambda *change: results.judge_change(results.Change(*change), 0.05, False), [
            (0.01, -0.03, 0.04, True, same), (0.03, 0.01, 0.05, True, same),
            (0.01, -0.03, 0.06, True, unknown), (0.04, 0.01, 0.07, True, unknown),
            (-0.01, -0.05, 0.03, True, same), (0.05, 0.01, 0.07, True, unknown),
            (-0.05, -0.07, -0.01, True, unknown), (0.10, 0, 0.20, True, unknown),
            (-0.10, -0.20, 0, True, unknown), (0.10, -0.01, 0.20, True, unknown),
            (0.10, 0.01, 0.20, True, worse), (-0.10, -0.20, -0.01, True, better),
            (0.10, 0.08, 0.12, False, unknown), (0.01, 0, 0.02, False, unknown)])
        for change, wanted in ((0.1, better), (-0.1, worse)):
            found = results.Change(change, min(change, 2 * change), max(change, 2 * change), True)
            self.assertEqual(results.judge_change(found, 0.05, True), wanted)

    def test_more_runs_are_asked_for_as_their_scatter_needs(self):
        self.rows(lambda half, count, margin: results.runs_needed(
            results.Change(0, -half, half, True), count, margin), [
            (0.2, 10, 0.1, 41), (0.02, 10, 0.1, 10), (0.2, 10, 0.2, 10), (0.2, 10, 0, 10),
            (0.2, 10, 1e-6, 1000000)])

    def test_servers_that_are_made_up_are_told_apart(self):
        """On a machine whose speed is another one for each pair, by a factor of up to three; a run
        scatters by some percent about it, and somebody else's work meets some."""
        def noise():
            return sum(lot.random() for _ in range(3)) / 1.5 - 1

        for slower, is_paired, verdict, least in ((1, True, "no difference", 0.95),
                                                  (1.1, True, "worse", 0.9)):
            lot, found = random.Random(1), 0
            for _ in range(100):
                pairs = []
                for _ in range(20):
                    speed = 2 + noise()
                    pairs.append([speed * (1 + 0.04 * noise()) * factor
                                  * (1.5 if noise() > 0.7 else 1) for factor in (1, slower)])
                change = results.compare_sides(*zip(*pairs), is_paired, 0.95)
                found += results.judge_change(change, 0.05, False) == verdict
            self.assertGreaterEqual(found, 100 * least, (slower, is_paired, verdict))


class Comparisons(Rows):
    def made(self, a, b, pairs=0, **options):
        comparison = results.Comparison("ab" if pairs else "compare", {**BASE, **options}, pairs)
        comparison.names = ["a.json", "b.json"]
        for values in comparison.values.values():
            values[0].extend(a)
            values[1].extend(b)
        return comparison

    def text(self, comparison):
        return comparison.text({name: comparison.row(name) for name in results.METRICS})

    def test_the_table_has_each_figure_and_what_would_help(self):
        a = [100 + run for run in range(6)]
        b = [2 * value for value in a]
        turns = [50, 100] * 3
        looks = {"undecided": "until=5m"}
        for comparison, wanted in (
                (self.made(a, b), "A           a.json\nB           b.json\n"),
                (self.made(a, b), "\nrate           102/s      205/s   +100.0%  ["),
                (self.made(a, b), "\np50            102ns      205ns   +100.0%  ["),
                (self.made(a, b), "+94.3%, +105.9%]  worse\n"),
                (self.made(a, b), "Verdict     p50: worse, from 6 and 6 runs; up to 5% is no "),
                (self.made(a, b, 6), "Verdict     p50: worse, from 6 pairs of runs; up to 5% "),
                (self.made([100] * 6, [150] * 3 + [300] * 3, 6),
                 "\np50            100ns      225ns   +112.1%  [+50.0%, +200.0%]  worse\n"),
                (self.made(a[:3], b[:3]), "3 runs of each are too few for a 95 % interval; make 4"),
                (self.made(a, b[:2]), "            2 runs of each are too few"),
                (self.made(a[:5], b[:5], 6), "5 pairs are too few for a 95 % interval; make 6"),
                (self.made(a, b, 7, **looks), "6 pairs are too few for a 99.2 % interval; make 8"),
                (self.made(turns, turns[::-1]), "            the runs vary too much; about "),
                (self.made(a, b[:5] + [0]), "\np50                -          -\n"),
                (self.made(a, [-1] + b[:5]), "            p50 is not known in every run")):
            self.assertIn(wanted, self.text(comparison))

    def test_figures_of_a_run_are_those_of_its_result(self):
        comparison = results.Comparison("compare", BASE)
        comparison.add(1, saved((1, 500), (2, 400), (3, 100), rate={
            "achieved": 500.0, "offered": 1.0, "per_client_cpu_second": 7.0}))
        self.assertEqual({name: sides[1] for name, sides in comparison.values.items()}, {
            "rate": [500], "p50": [1], "p90": [2], "p99": [3], "p99.9": [0], "mean": [1.6],
            "cpu-rate": [7]})

    def test_the_figure_that_decides_makes_the_exit_code(self):
        a, b = [100 + run for run in range(6)], [200 + run for run in range(6)]
        for options, b_runs, wanted in (
                ({}, b, 99), ({"metric": "rate"}, b, 0), ({"metric": "cpu-rate"}, b, 0),
                ({}, b[:2], 5), ({"undecided": "pass"}, b[:2], 0),
                ({"undecided": "fail"}, b[:2], 5), ({}, a, 0)):
            comparison = self.made(a, b_runs, **options)
            code, out, _ = printed(comparison.finish)
            self.assertEqual((code, "Verdict" in out), (wanted, True), options)

    def test_undecided_is_read_strictly(self):
        self.rows(lambda text: (lambda made: (made.passes, made.until))(
            results.Comparison("ab", {**BASE, "undecided": text}, 20)), [
            ("pass", (True, 0)), ("until=5m,fail", (False, 300 * 10 ** 9)),
            ("until=1s,pass", (True, 10 ** 9))])
        made = results.Comparison
        self.refused(lambda text, pairs: made("", {**BASE, "undecided": text}, pairs), [
            *((text, 20, "is not pass, fail or until=TIME") for text in (
                "", "maybe", "until=", "until=0", "pass,", "until=25h", "until=5x", "pass fail")),
            ("until=5m", 0, "is not pass or fail")])

    def test_several_looks_together_err_as_one_does(self):
        erred = {}
        for looks in ("until=1h", "fail"):
            lot, erred[looks] = random.Random(3), 0
            for _ in range(60):
                runs = [[1000 + lot.randrange(1000) for _ in range(160)] for _ in range(2)]
                told = False
                for count in (20, 40, 80, 160):
                    comparison = self.made(*(side[:count] for side in runs), 20, undecided=looks,
                                           margin="0.0001%")
                    told = told or not comparison.is_undecided()
                erred[looks] += told
        self.assertLessEqual(erred["until=1h"], 3)
        self.assertGreaterEqual(erred["fail"], 4, "more often with intervals of one look")


class Texts(Rows):
    def test_numbers_have_units(self):
        self.rows(lambda text: results.parse(text, results.COUNTS), [
            ("5", 5), ("1k", 1000), ("1.5M", 1500000), ("0.0000000019G", 1), ("", None),
            ("k", None), ("1.", None), ("-1", None), ("1x", None), ("1 k", None)])
        self.rows(results.parse_time, [
            ("5", 5 * 10 ** 9), ("5ms", 5 * MS), ("1m30s", 90 * 10 ** 9), ("1h", 3600 * 10 ** 9),
            ("30s1m", None), ("1m1m", None), ("1m30", None), ("1.5us", 1500), ("x", None)])
        self.rows(results.time_text, [
            (999, "999ns"), (1000, "1.00us"), (9994, "9.99us"), (9996, "10.0us"),
            (999499, "999us"), (999500, "1.00ms"), (999499999, "999ms"), (1500 * MS, "1.50s")])
        self.rows(results.dump, [(1.0, "1.0"), (0.1 + 0.2, "0.3"), (1e20, "1e20"), (1e-7, "1e-7"),
                                 (123456789012.0, "1.23456789e11"), ([], "[]"),
                                 ({"a": [1, None]}, '{\n  "a": [\n    1,\n    null\n  ]\n}')])

    def test_objectives_are_judged(self):
        run = saved((MS, 990), (9 * MS, 10), status={"200": 900, "404": 60, "503": 30, "600": 10},
                    summary={"attempts": 1000, "errors": 40}, kinds=[
                        kind("GET /a", (2 * MS, 100), failed=25), kind("a,b", (MS, 20))])
        self.rows(lambda text: [objective.judge(run)[1:] for objective in
                                results.read_objectives(text)], [
            ("p50<1.1ms", [(True, "1.00ms")]), ("p99<=1ms", [(False, "1.00ms")]),
            (" p50 < 60s ,errors<1", [(True, "1.00ms"), (False, "40")]),
            ("max>=9ms", [(True, "9.00ms")]), ("min>1ms", [(False, "1.00ms")]),
            ("mean<1.09ms", [(True, "1.08ms")]), ("rate>1k", [(False, "1000.0/s")]),
            ("rate>=1k", [(True, "1000.0/s")]), ("errors<=4%", [(True, "4%")]),
            ("errors<4%", [(False, "4%")]), ("achieved>=100%", [(True, "100%")]),
            ("status.404<60", [(False, "60")]), ("status.5xx<=40", [(True, "40")]),
            ("status.4xx>5%", [(True, "6%")]), ("timeouts<1", [(True, "0")]),
            ("p99.99<1s", [(False, "not known from 1000 values, 100000 needed")]),
            ("tls.p50<1s", [(False, "not known, as no such times were taken")]),
            ("p50{GET /a}<3ms", [(True, "2.00ms")]), ("errors{GET /a}<=20%", [(True, "20%")]),
            ("rate{GET /a}>=100", [(True, "100.0/s")]), ("p50{a,b}<1ms,max<1s",
                                                         [(False, "1.00ms"), (True, "9.00ms")]),
            ("p50{none}<1s", [(False, "not known, as no such times were taken")])])

    def test_figures_are_written_for_others(self):
        kinds = [kind(f"k{number}", (MS, 100 - number)) for number in range(12)]
        found = results.findings_of_run(saved(kinds=kinds), "t\udcff", ["a-b=1", "x=2", "a_b=<3"],
                                        ["11"])
        text = results.write_prometheus(found)
        for number in range(12):
            self.assertEqual(f'kind="k{number}"' in text, number != 10, number)
        self.assertIn('weir_load_rate{command="run",target="t?",label_x="2",label_a_b="<3"} 1000\n',
                      text)
        self.assertIn('name="a_b" value="&lt;3"', results.write_junit(found))
        refused = saved(exit_code=3, errors=[
            {"text": "rare", "code": "E1", "requests": 1},
            {"text": "Connection refused", "code": "ECONNREFUSED", "requests": 5}])
        self.assertIn('message="not one request succeeded: Connection refused (ECONNREFUSED)"',
                      results.write_junit(results.findings_of_run(refused, "t", [], [])))


class Histograms(Rows):
    def test_every_count_is_read_again(self):
        lot = random.Random(2)
        for size in (0, 1, 3, 500):
            made = histogram(*((lot.getrandbits(lot.randrange(45)), 1 + lot.randrange(300))
                               for _ in range(size)))
            part = made.part()
            again = results.Histogram.read(part)
            self.assertEqual((again.counts, again.part()), (made.counts, part))

    def test_quantiles_are_never_better_than_the_values(self):
        made = histogram((1, 50), (3000, 49), (5001, 1))
        self.rows(made.find, [(50000, 1), (0, 1520.51), (results.WHOLE, 5001), (90000, 3001),
                              (95000, None)])
        self.rows(results.bounds_of, [(0, (0, 0)), (2047, (2047, 2047)), (2048, (2048, 2049)),
                                      (3072, (4096, 4099))])
        self.assertEqual(histogram((5, 100), (9, 100)).interval(50000), [5, 9])
        each = histogram(*((value, 1) for value in range(1, 1001)))
        self.assertEqual(each.interval(50000), [469, 532])

    def test_what_is_no_histogram_is_refused(self):
        good = histogram((5, 7), (5000, 3)).part()
        bad = [{**good, name: value} for name, value in (
            ("count", 9), ("count", True), ("sum", -1), ("min", 6), ("max", 9999),
            ("overflows", 11), ("hdr", good["hdr"][:-4]), ("hdr", good["hdr"] + "AAAA"),
            ("hdr", "HIST"), ("hdr", None), ("hdr", 5))]
        for part in (*bad, None, [], {"count": 1}):
            with self.assertRaises(results.BROKEN):
                results.Histogram.read(part)


class Merging(Rows):
    def test_each_member_is_added_as_it_can_be(self):
        one = saved((MS, 1000), http2={"allowed": 0, "reached": 3}, stall={"longest_ns": 5},
                    errors=[{"phase": "a", "code": "b", "text": "c", "count": 1, "requests": 1}])
        clock = {"synchronised": False, "estimated_error_ns": 3, "greatest_error_ns": 9}
        other = saved((3 * MS, 500), duration_ns=10 ** 9 + 5, stall={"longest_ns": 7},
                      env={"host": "g", "clock": clock}, http2={"allowed": 9, "reached": 2},
                      summary={"attempts": 500, "errors": 3},
                      errors=[{"phase": "a", "code": "b", "text": "c", "count": 2, "requests": 5},
                              {"phase": "a", "code": "x", "text": "c", "count": 2, "requests": 5},
                              {"phase": "a", "code": "b", "text": "d", "count": 2, "requests": 5}],
                      status={"200": 400, "500": 3}, waited=4, warnings=["slow"])
        both = results.merge(one, other).all
        for path, wanted in (
                ("requests/ok", 1500), ("http2/allowed", 9), ("http2/reached", 3), ("waited", 5),
                ("duration_ns", 10 ** 9 + 5), ("stall/longest_ns", 7), ("status/200", 1400),
                ("status/500", 3), ("rate/achieved", 2000), ("rate/per_client_cpu_second", 7500),
                ("client/threads", [1, 1]), ("client/cpu", 1), ("errors/0/count", 3),
                ("errors/0/requests", 6), ("errors/1/code", "x"), ("errors/2/text", "d"),
                ("warnings", ["g: slow"]), ("config/conn_stages", "1s@2"), ("part", None),
                ("latency/response/count", 1500), ("latency/response/max", 3 * MS),
                ("latency/tls", None), ("summary/error_share", 0.002), ("summary/p50", 1.000447),
                ("summary/errors", 3), ("summary/attempts", 1500), ("parts/1/host", "g"),
                ("env/host", "h"), ("env/clock", clock), ("connections/open_at_end", 4)):
            value = both
            for name in path.split("/"):
                value = value[int(name) if isinstance(value, list) else name]
            self.assertEqual(value, wanted, path)

    def test_intervals_of_the_same_number_are_one(self):
        def row(*without, **members):
            made = {**result((MS, 10), (3 * MS, 30))["intervals"][0], "max": 3 * MS, **members}
            return {name: value for name, value in made.items() if name not in without}

        plain = row(errors={"x": 2})
        for one, other, wanted in (
                (plain, row(errors={"x": 1, "y": 4}), {"errors": {"x": 3, "y": 4}, "ok": 10,
                                                       "p50": 3 * MS, "max": 3 * MS}),
                (plain, row("hdr"), {"p50": None, "p99": None}),
                (row("errors"), plain, {"p99": 3 * MS}),
                (row(hdr=None, max=None), row(hdr=None, max=None), {"hdr": None, "max": None}),
                (plain, row(begin_ns=5, end_ns=MS ** 2), {"begin_ns": 0, "end_ns": MS ** 2}),
                (row(open=2), row(max=4 * MS, open=1), {"max": 4 * MS, "open": 3})):
            merged = dict(one)
            results.merge_row(merged, other)
            self.assertLessEqual(wanted.items(), merged.items())
            for name in ("hdr", "errors"):
                self.assertEqual(name in merged, name in one and name in other)
        longer = saved(intervals=[plain, plain])
        self.assertEqual(len(results.merge(saved(intervals=[plain]), longer).all["intervals"]), 2)

    def test_kinds_of_one_name_are_one(self):
        merged = results.merge(saved(kinds=[kind("a", (MS, 10), failed=1), kind("b", (MS, 1))]),
                               saved(kinds=[kind("c", (MS, 2)), kind("a", (2 * MS, 5), timeout=2)]))
        self.assertEqual([(part["name"], part["ok"], part["failed"], part["timeout"],
                           part["status"]["200"], part["latency"]["count"])
                          for part in merged.all["kinds"]],
                         [("a", 15, 1, 2, 15, 15), ("b", 1, 0, 0, 1, 1), ("c", 2, 0, 0, 2, 2)])

    def test_a_verdict_is_as_bad_as_the_worst_but_for_objectives(self):
        slo = [{"expr": "rate>=1500", "value": None, "pass": None}]
        wrong = [{"expr": "rate>=2001", "value": None, "pass": None}]
        for one, other, terms, wanted in (
                (0, 0, [], 0), (0, 5, [], 5), (5, 4, [], 4), (4, 5, [], 4), (3, 130, [], 130),
                (99, 99, slo, 0), (0, 0, wrong, 99), (5, 0, slo, 5), (0, 99, slo, 0)):
            first = saved(exit_code=one, verdict=f"V{one}", slo=copy.deepcopy(terms))
            merged = results.merge(first, saved(exit_code=other, verdict=f"V{other}"))
            self.assertEqual(merged.exit_code, wanted, (one, other, terms))
            self.assertEqual(merged.verdict, {0: "VALID", 99: "FAILED"}.get(wanted, f"V{wanted}"))
            for term in merged.all["slo"]:
                self.assertEqual((term["value"], term["pass"]), (2000, terms is slo))

    def test_parts_are_of_one_run(self):
        def part(index, count=3, **members):
            return saved(part={"index": index, "count": count}, name=f"p{index}", **members)

        first = part(1)
        for good in (part(2), part(3, start_unix_ns=10 ** 18 + 4 * 10 ** 7)):
            results.check_part(first, good)
        by_count = {"mode": "http", "requests": 5, "duration_ns": 0}
        results.check_part(first, part(2, duration_ns=10 ** 8, config=by_count))
        self.refused(results.check_part, [
            (first, part(2, config_hash="2"), "p2: its options differ"),
            (first, part(1), "p1: part 1 of 3 is given twice"),
            (part(2, 2), part(2, 2), "p2: part 2 of 2 is given twice"),
            (first, part(2, 4), "p2: one of 4 parts, but the previous ones are of 3"),
            (first, part(2, start_unix_ns=10 ** 18 + 6 * 10 ** 7), "only 94.0 % of its window"),
            (first, part(2, duration_ns=10 ** 8), "only 10.0 % of its window"),
            (results.merge(first, part(2)), part(2), "part 2 of 3 is given twice")])
        self.refused(results.check_parts, [
            (results.merge(first, part(3)), "of the 3 parts of the run these are missing: 2;"),
            (results.merge(part(1, 12), part(2, 12)), "3, 4, 5, 6, 7, 8, 9, 10 and more;")])
        results.check_parts(first)
        results.check_parts(results.merge(results.merge(first, part(2)), part(3)))
        self.assertEqual(results.merge(part(2, warnings=["w"]), saved(host="")).all["warnings"],
                         ["h, part 2: w"])
        self.refused(results.merge, [
            (first, saved(model={"kind": "closed"}, name="c"), "c: an open")])

    def test_what_is_no_result_is_refused(self):
        row = result()["intervals"][0]
        self.refused(lambda members: saved(**members), [
            ({"schema": "weir-load/1"}, "its schema is weir-load/1"),
            ({"model": None}, "not a result of weir-load"),
            ({"exit_code": 256}, "no run ends with exit_code 256"),
            ({"requests": {"offered": -1}}, "requests, rates or"),
            ({"summary": {}}, "requests, rates"),
            ({"rate": {"achieved": -1, "offered": 0}}, "requests, rates or"),
            ({"intervals": None}, "'intervals' is no list"),
            ({"intervals": [{}]}, "interval 0 is none"),
            ({"intervals": [row, {**row, "hdr": row["hdr"][:-4]}]}, "interval 1 is none"),
            ({"intervals": [{**row, "end_ns": 0}]}, "interval 0 is none"),
            ({"intervals": [{**row, "errors": {"a": -1}}]}, "interval 0 is none"),
            ({"intervals": [{**row, "errors": []}]}, "interval 0 is none"),
            ({"intervals": [{**row, "hdr": 5}]}, "interval 0 is none"),
            ({"latency": {**result()["latency"], "service": None}},
             "the histogram of service is none"),
            ({"kinds": [{}]}, "kind 0 of requests is none")])
        self.rows(lambda line: bool(results.find_result(line)), [
            ('host: {"schema": "weir-load/2"}', True), ('{x {"schema": "weir-load/2"}', True),
            ('{"event": "end", "data": {"schema": "weir-load/2", "verdict": "V"}}', True),
            ('{"event": "start", "data": {"schema": "weir-load/2"}}', False), ("{}", False),
            ('{"schema": "other"}', False), ("nothing", False)])


class Server:
    """In place of runs of weir-load: a server that carries so many requests a second."""

    def __init__(self, capacity, cut=0, verdict=None):
        self.capacity, self.cut, self.verdict, self.words = capacity, cut, verdict or {}, []

    def measure(self, words, save=None):
        self.words.append(words)
        if len(self.words) == self.cut:
            raise results.Interrupted
        load = int(words[words.index("-R" if "-R" in words else "-c") + 1]) if "-R" in words \
            or "-c" in words else self.capacity
        holds = self.capacity and load <= self.capacity
        members = {} if self.capacity else {
            "exit_code": 3, "errors": [{"text": "refused", "requests": 1}], "requests": {
                "offered": 10, "sent": 10, "ok": 0, "failed": 10, "timeout": 0, "dropped": 0,
                "in_flight": 0}}
        return saved((MS if holds else 1000 * MS, 20000), **{"rate": {
            "achieved": float(load), "offered": float(load)}, **members, **self.verdict})


def call(command, server, **options):
    """A command against the server: its code, JSON, and what it prints and says."""
    options = {"target": "tcp://h:1", "precision": "2%", "slo": "p99<500ms", **options}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "json")
        runner, results.Runner = results.Runner, lambda: server
        try:
            code, out, err = printed(command, {**options, "json": str(path)}, ["tcp://h:1"])
        finally:
            results.Runner = runner
        found = results.load_text(path.read_text(encoding="utf-8")) if path.exists() else None
    return code, found, out, err


class Searching(Rows):
    def test_a_search_tells_the_interval_of_the_capacity(self):
        _, found, _, _ = call(results.search, Server(1000), **{"from": "100"})
        # As it was when it was compared with another implementation, to the byte.
        self.assertEqual([found[name] for name in ("low", "capacity", "high")], [986, 1001, 1016])
        self.assertEqual(len(found["steps"]), 28)
        for capacity in (1, 99, 123456):
            server = Server(capacity)
            code, found, _, _ = call(results.search, server, **{"from": "100"})
            self.assertEqual((code, found["narrow"], found["interrupted"]), (0, True, False))
            self.assertLessEqual(found["low"], capacity)
            self.assertGreaterEqual(found["high"], capacity)
            self.assertAlmostEqual(found["capacity"], capacity, delta=capacity / 50 + 1)
            self.assertLessEqual(len(server.words), 50)

    def test_a_search_goes_no_further_than_it_may(self):
        for first, most, wanted in (("100", "500", 500), ("800", "500", 500),
                                    ("1000", "1k", 1000)):
            _, found, out, _ = call(results.search, Server(1000), **{"from": first, "to": most})
            self.assertEqual([found[name] for name in ("low", "capacity", "high")],
                             [wanted, wanted, None])
            self.assertIn("or more: p99<500ms holds there, and no higher rate was tried", out)
        _, found, _, _ = call(results.search, Server(1000))
        self.assertEqual(found["steps"][0]["rate"], 500, "half of what a closed loop reaches")

    def test_a_run_that_passes_has_shown_what_it_achieved(self):
        class Threshold:
            def add(self, *args):
                self.added = args

            def quantile(self, share):
                return 1

        def learned(achieved, passed):
            threshold, runner, results.Runner = Threshold(), results.Runner, lambda: None
            try:
                results.Search({"slo": "p99<1s", "precision": "2%"}, []).learn(
                    threshold, {"rate": 1000, "achieved": achieved, "passed": passed})
            finally:
                results.Runner = runner
            return threshold.added

        self.rows(learned, [(995, True, (995, True)), (900, True, (990, True)),
                            (1100, True, (1000, True)), (900, False, (1000, False))])

    def test_steps_are_as_long_as_their_percentiles_need(self):
        for slo, rate, wanted in (("p99<1s", "1000", 5), ("p99<1s", "10k", 3), ("max<1s", "1", 3),
                                  ("p50<1s,p99.9<1s", "1000", 50), ("p99.99<1s", "10", 60)):
            server = Server(int(rate) if rate.isdigit() else 10000)
            call(results.search, server, slo=slo, **{"from": rate, "to": rate})
            words = server.words[0]
            duration = int(words[words.index("-d") + 1].removesuffix("ns"))
            self.assertAlmostEqual(duration, wanted * 10 ** 9, delta=1)
            self.assertEqual(words[words.index("--slo") + 1], slo)

    def test_a_search_that_finds_nothing_says_why(self):
        for server, wanted, line in (
                (Server(0), 3, "tcp://h:1: not one request succeeded: 10 of 10 requests failed;"),
                (Server(1000, 1), 130, "not known: interrupted before a rate was tried enough"),
                (Server(1000, 3), 130, "not known: interrupted; p99<500ms does not hold at 4000/s"),
                (Server(8000, 3), 130, "8000/s or more: p99<500ms holds there, and the search was"),
                (Server(1000, 8), 130, "The search was interrupted before the interval was")):
            code, _, out, err = call(results.search, server, **{"from": "4000"})
            self.assertEqual(code, wanted)
            self.assertIn(line, out + err)
        server = Server(1000, 6)
        call(results.search, server, **{"from": "4000"})
        self.assertEqual([words[words.index("-R") + 1] for words in server.words[:5]],
                         ["4000", "4000", "2000", "2000", "1000"])
        _, _, out, _ = call(results.search, Server(1000), **{"from": "600"})
        self.assertRegex(out, r"\n            \(10\d\d/s: p99<500ms: 1\.00s\)\n")

    def test_a_capacity_that_chance_blurs_lies_in_the_interval(self):
        """A run near the capacity passes by chance, over a tenth of the rate."""
        inside = 0
        for seed in range(5):
            lot = random.Random(seed)
            server = Server(1000)

            def measure(words, save=None, server=server, lot=lot):
                rate = int(words[words.index("-R") + 1])
                passes = lot.random() < 1 / (1 + math.exp((rate - 1000) / 30))
                server.capacity = rate if passes else 1
                return Server.measure(server, words)

            server.measure = measure
            _, found, _, _ = call(results.search, server, **{"from": "600"})
            inside += found["low"] <= 1000 <= found["high"]
            self.assertLessEqual(len(found["steps"]), 50)
        self.assertGreaterEqual(inside, 4)

    def test_a_step_passes_or_tells_why(self):
        reason = ["50 % were answered; all 2 connections were busy, more connections (-c) may"]
        late = {"exit_code": 5, "invalid_reasons": reason}
        slow = {**late, "rate": {"achieved": 98.0, "offered": 100.0}}
        self.rows(lambda members, slo: results.judge_step(
            saved((MS, 20000), **members), results.read_objectives(slo) if slo else []), [
            ({}, "p50<2s,p99<1ms", (False, "p99<1ms: 1.00ms")), ({}, "", (True, "")),
            (slow, "p99<1s", (False, "50 % were answered; all 2 connections were busy")),
            ({**slow, "model": {"kind": "closed"}}, "", (False, reason[0].split(",")[0])),
            (late, "p99<1s", (True, "")), (late, "", (True, "invalid: " + reason[0][:80])),
            ({"exit_code": 4, "errors": [{"text": "some", "requests": 1},
                                         {"text": "most", "requests": 3}]}, "",
             (False, "0 of 20000 requests failed; most")),
            ({"exit_code": 99}, "errors<1", (True, ""))])

    def test_a_sweep_is_made_at_each_load_of_its_list(self):
        self.rows(lambda text: results.read_loads("rates", text), [
            ("5,1k,20", [5, 1000, 20]), ("1..10/4", [1, 4, 7, 10]), ("3,2..1k/2", [3, 2, 1000]),
            ("1..1G/2", [1, 10 ** 9])])
        self.refused(lambda text, at: results.read_loads("rates", text), [
            (text, at, f"--rates: at character {at}: expected a number") for text, at in (
                ("", 1), ("x", 1), ("1,x", 3), ("0", 1), ("5,,6", 3), ("1..5", 1), ("5..1/2", 1),
                ("1..5/1", 1), ("1..500/101", 1), ("2G", 1), ("3,0..1k/3", 3), ("1../2", 1))])
        for options, wanted, code in (({"rates": "5,6"}, [5, 6], 0),
                                      ({"rates": "5,2k"}, [5, 2000], 99),
                                      ({"conns": "1,2"}, [1, 2], 0)):
            found = call(results.sweep, Server(1000), **options)
            key = "rate" if "rates" in options else "connections"
            self.assertEqual(([step[key] for step in found[1]["steps"]], found[0]), (wanted, code))
        self.assertEqual(call(results.sweep, Server(0), rates="5,6")[0], 3)
        code, found, _, err = call(results.sweep, Server(9, 2), rates="5,6")
        self.assertEqual((code, len(found["steps"])), (130, 1))
        self.assertIn("interrupted after 1 runs", err)
        orders = [[step["rate"] for step in call(results.sweep, Server(99), rates="1..20/20",
                                                 shuffle="", seed=seed)[1]["steps"]]
                  for seed in ("1", "1", "2")]
        self.assertEqual(orders[0], orders[1])
        self.assertNotEqual(orders[0], orders[2])
        self.assertEqual(sorted(orders[0]), list(range(1, 21)))


class Pairs(Rows):
    def test_ab_makes_pairs_until_it_can_tell(self):
        for undecided, slower, code, runs, cut in (
                ("fail", 1, 0, 6, 0), ("fail", 2, 99, 6, 0), ("until=1h", None, 0, 48, 0),
                ("fail", 1, results.INTERRUPTED, 2, 5)):
            made, lot = {"a": 0, "b": 0}, random.Random(4)

            class Runner:
                def measure(self, words, save=None, slower=slower, made=made, lot=lot, cut=cut):
                    side, = words
                    if cut and sum(made.values()) == cut:
                        raise results.Interrupted
                    made[side] += 1
                    factor = slower or lot.uniform(0.7, 1.4) ** (6 / (1 + made[side] // 3))
                    return saved((int(MS * (factor if side == "b" else 1)), 1000))

            runner, results.Runner = results.Runner, Runner
            try:
                found = printed(results.ab, {**BASE, "runs": "6", "undecided": undecided,
                                             "a": ["a"], "b": ["b"], "a-name": "A",
                                             "b-name": "B", "margin": "9%"}, [])
            finally:
                results.Runner = runner
            self.assertEqual(found[0], code, found)
            if cut:  # half of a pair tells nothing
                self.assertIn("from 2 pairs of runs", found[1])
                self.assertIn("interrupted after 2 pairs", found[2])
                continue
            self.assertEqual(made["a"], made["b"])
            self.assertLessEqual(made["a"], 200)
            self.assertGreaterEqual(made["a"], 12 if slower is None else runs)


if __name__ == "__main__":
    unittest.main()
