#!/usr/bin/env python3
"""The commands ab, compare, report, search and sweep of weir-load, and the files about a run for a
CI pipeline (Markdown, JUnit, Prometheus).

weir-load parses the command line and starts this script:

    results.py PROGRAM COMMAND [--NAME=VALUE]... -- [WORD]...

Options have their long names. The arguments after "--" are options and targets of runs, or files.
"""

import collections
import functools
import json
import math
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from xml.sax.saxutils import escape

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from weir_load_saved import (  # noqa: E402
    COUNTS, ERRORS, FORMATS, INTERNAL, INTERRUPTED, INVALID, LEVEL, NOTHING, OK, PERCENT,
    RUNS_MAX, SECOND, SLO, SUMMARY, WHOLE, Bad, Interrupted, Run, WholeFile, clean, dump,
    load_text, parse, parse_time, read_objectives, read_results, say, show_progress, tell_bad,
    time_text, write_json)


# ---- the statistics of a comparison ----
#
# Intervals are computed from ranks, so they are exact for a few runs and for any distribution.
# Pairs of runs use the signed ranks of their ratios (Wilcoxon), other runs the ranks of all runs
# (Mann and Whitney). Both intervals lie between two elements of a sorted list of ratios. How far
# these elements are from the ends of the list is a quantile of the rank statistic, computed from
# the number of ways to each sum of ranks. The estimates are the medians of the lists (Hodges and
# Lehmann). A run is one value, because its requests are not independent of each other.

Change = collections.namedtuple("Change", "change low high has_interval")


def find_tail(ways, total, level):
    """Returns how many of the lowest sums are below the interval, or 0 if there is no interval."""
    below = 0
    for index, count in enumerate(ways):
        below += count
        if below / total > (1 - level) / 2:
            return index
    return len(ways)


@functools.lru_cache(maxsize=None)
def signed_tail(count, level):
    """The statistic is a sum of some of the ranks 1 to @count."""
    ways = [1] + [0] * (count * (count + 1) // 2)
    for rank in range(1, count + 1):
        for index in range(rank * (rank + 1) // 2, rank - 1, -1):
            ways[index] += ways[index - rank]
    return find_tail(ways, 2 ** count, level)


@functools.lru_cache(maxsize=None)
def rank_tail(n, m, level):
    """The statistic is the number of pairs in which a run of A is below one of B, for @n and @m
    runs. Its generating function, a Gaussian binomial coefficient, is symmetrical."""
    half = n * m // 2 + 1
    ways = [1] + [0] * (half - 1)
    for i in range(1, n + 1):
        for index in range(half - 1, m + i - 1, -1):
            ways[index] -= ways[index - m - i]
        for index in range(i, half):
            ways[index] += ways[index - i]
    return find_tail(ways, math.comb(n + m, n), level)


def compare_sides(a, b, is_paired, level):
    """Returns B / A - 1 and its confidence interval of level @level."""
    if is_paired:
        ratios = [y / x for x, y in zip(a, b)]
        ratios = [math.sqrt(one * more) for i, one in enumerate(ratios) for more in ratios[i:]]
        tail = signed_tail(len(a), level)
    else:
        ratios = [y / x for x in a for y in b]
        tail = rank_tail(len(a), len(b), level)
    ratios.sort()
    outside = max(tail - 1, 0)
    return Change(statistics.median(ratios) - 1, ratios[outside] - 1, ratios[-1 - outside] - 1,
                  tail > 0)


def judge_change(change, margin, is_better_higher):
    """Returns the verdict. There is no difference if the whole interval is within the margin. B is
    better or worse if 0 is not in the interval and the estimate is beyond the margin."""
    if change.has_interval and change.low >= -margin and change.high <= margin:
        return "no difference"
    is_higher = change.low > 0 and change.change > margin
    is_lower = change.high < 0 and change.change < -margin
    if not change.has_interval or not (is_higher or is_lower):
        return "cannot tell"
    return "better" if is_higher == is_better_higher else "worse"


def runs_needed(change, count, margin):
    """Returns how many runs make the interval as narrow as the margin, if they vary like these."""
    half = (change.high - change.low) / 2
    if half <= margin or margin <= 0:
        return count
    return int(min(count * (half / margin) ** 2, 999_999)) + 1


# ---- findings: contents of the files for a CI pipeline ----

Figure = collections.namedtuple("Figure", "name unit values change verdict", defaults=(None, None))
Check = collections.namedtuple("Check", "name state text", defaults=("",))


class Findings:
    """Findings about a run, or about two sides. An unknown value is None."""

    def __init__(self, command, verdict, code, sides, counts=(1,)):
        self.command, self.verdict, self.code = command, verdict, code
        self.sides, self.counts, self.labels, self.kinds, self.named = sides, counts, [], [], ()
        self.seconds = self.margin = self.level = 0
        self.figures, self.checks, self.notes = [], [], []


def findings_of_run(run, target, labels, named):
    """Returns the findings about a run. It passes if its exit code is 0."""
    code, summary, most = run.exit_code, run.summary(), run.most_frequent_error()
    found = Findings("run", run.verdict, code, [target])
    found.labels, found.seconds = [label.split("=", 1) for label in labels], run.duration / 1e9
    found.kinds, found.named = list(run.kinds.values()) if len(run.kinds) > 1 else [], named
    found.figures = [Figure("rate", "rate", [run.rate])]
    found.figures += [Figure(name, "time", [run.latency.find(share)])
                      for name, share in SUMMARY.items()]
    found.figures += [Figure(name, unit, [summary[name]]) for name, unit in
                      (("attempts", "count"), ("errors", "count"), ("error_share", "share"))]
    state = ("passed" if code in (OK, SLO) else "failed" if code in (NOTHING, ERRORS)
             else "broken")
    why = f": {most['text']} ({most['code']})" if most else ""
    found.checks.append(Check("valid", state, {
        NOTHING: f"not one request succeeded{why}", INTERRUPTED: "interrupted",
        ERRORS: f"{summary['errors']} errors, which is more than --max-errors allows",
        INVALID: run.objection()}.get(code, "")))
    for term in run.all["slo"]:
        objective, = read_objectives(term["expr"])
        _, passed, text = objective.judge(run)
        found.checks.append(Check(term["expr"], "passed" if passed else "failed", text))
    found.notes = run.all["invalid_reasons"] + run.all["warnings"]
    return found


def value_texts(figure):
    return ["-" if None in figure.values else FORMATS[figure.unit](value)
            for value in figure.values]


def xml(text):
    """Returns text with only characters that XML 1.0 allows, escaped."""
    allowed = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
    return escape(re.sub(allowed, "?", text), {'"': "&quot;"})


def write_junit(found):
    states = [check.state for check in found.checks]
    counts = (f' tests="{len(states)}" failures="{states.count("failed")}" '
              f'errors="{states.count("broken")}" skipped="{states.count("skipped")}" '
              f'time="{found.seconds:.3f}">\n')
    out = [f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="weir-load"{counts}'
           f'  <testsuite name="weir-load {found.command}"{counts}    <properties>\n']
    names = ["target"] if len(found.sides) == 1 else ["A", "B"]
    for name, value in (*zip(names, found.sides), ("verdict", found.verdict), *found.labels):
        out.append(f'      <property name="{xml(name)}" value="{xml(value)}"/>\n')
    out.append("    </properties>\n")
    for check in found.checks:
        element = {"failed": "failure", "broken": "error"}.get(check.state, check.state)
        out.append(f'    <testcase classname="weir-load.{found.command}" '
                   f'name="{xml(check.name)}" time="{found.seconds:.3f}"')
        out.append("/>\n" if element == "passed" else
                   f'>\n      <{element} message="{xml(check.text)}"/>\n    </testcase>\n')
    out.append("    <system-out>")
    for figure in found.figures:
        words = [figure.name, *value_texts(figure), *filter(None, [figure.verdict])]
        out.append(" ".join(words) + "\n")
    out += [xml(note) + "\n" for note in found.notes]
    return "".join(out) + "</system-out>\n  </testsuite>\n</testsuites>\n"


def plain(text):
    """Returns untrusted text for Markdown, without markup and links."""
    text = re.sub("[\x00-\x1f\x7f]", " ", re.sub("[\ud800-\udfff]", "?", text))
    return re.sub(r"([\\`*_{}\[\]<>()#|~&$@]|:(?=//)|(?<=www)\.)", r"\\\1", text, flags=re.I)


def percent(value):
    return f"{value * 100:+.1f} %"


def write_markdown(found):
    out = [f"### weir-load {found.command}: {plain(found.verdict)}\n\n"]

    def row(*cells):
        out.append(f"| {' | '.join(cells)} |\n")

    if len(found.sides) == 1:
        out.append(f"{plain(found.sides[0])}, measured for {found.seconds:.3g} s\n\n"
                   "| figure | value |\n| --- | ---: |\n")
    else:
        out += [f"- {side}: {plain(name)}, {count} runs\n"
                for side, name, count in zip("AB", found.sides, found.counts)] + ["\n"]
        if found.figures:
            out.append(f"Changes up to {found.margin * 100:.3g} % are no difference.\n\n| figure "
                       f"| A | B | B to A | {found.level * 100:.3g} % interval | |\n"
                       "| --- | ---: | ---: | ---: | --- | --- |\n")
    for figure in found.figures:
        name = figure.name.replace("_", "." if re.match("p[0-9]", figure.name) else " ")
        change, cells = figure.change, []
        if figure.verdict:
            cells = [percent(change.change) if change else "-",
                     f"{percent(change.low)} to {percent(change.high)}"
                     if change and change.has_interval else "-", figure.verdict]
        row(name, *value_texts(figure), *cells)
    out.append("\n" if found.figures else "")
    if found.kinds:
        row("requests", "ok", "errors", "p50", "p95", "p99")
        row("---", *["---:"] * 5)
        for kind in found.kinds:
            times = [kind.latency.find(share) for share in (50000, 95000, 99000)]
            row(plain(kind.name), str(kind.ok), str(kind.errors),
                *("-" if value is None else time_text(value) for value in times))
        out.append("\n")
    words = {"passed": "passed", "failed": "**failed**", "broken": "**not known**",
             "skipped": "not known"}
    out.append("| check | | |\n| --- | --- | --- |\n")
    for check in found.checks:
        row(plain(check.name), words[check.state], plain(check.text))
    out += ["\n"] * bool(found.notes) + [f"- {plain(note)}\n" for note in found.notes]
    return "".join(out)


METRIC_HELP = {"time": "Latency of answers.", "rate": "Answers a second.",
               "share": "Errors among attempts, from 0 to 1.",
               "count": "A number of requests, with connections that carried none."}
KIND_METRICS = (
    ("ok_requests", "Requests of a kind, answered as expected.", lambda kind: kind.ok),
    ("error_requests", "Failed and unanswered requests of a kind.", lambda kind: kind.errors),
    ("p50_seconds", "Median latency of a kind.", 50000),
    ("p95_seconds", "95th percentile of a kind.", 95000),
    ("p99_seconds", "99th percentile of a kind.", 99000))
CHANGE_METRICS = (("change_ratio", "B over A, minus 1.", "change"),
                  ("change_low_ratio", "Lower end of the interval of the change.", "low"),
                  ("change_high_ratio", "Upper end of the interval of the change.", "high"))


def write_prometheus(found):
    """Returns the metrics. The user's labels begin with label_, so that they differ from all
    others. If two have the same name, the last one counts."""
    out, labels = [], {}

    def quote(text):
        text = re.sub("[\ud800-\udfff]", "?", text).replace("\\", "\\\\")
        return '"' + text.replace('"', '\\"').replace("\n", "\\n") + '"'

    def metric(name, help_, samples, scale=1):
        for number, (tags, value) in enumerate(samples):
            if number == 0:
                out.append(f"# HELP weir_load_{name} {help_}\n# TYPE weir_load_{name} gauge\n")
            tags = "".join(f",{key}={quote(text)}" for key, text in {**tags, **labels}.items())
            out.append(f'weir_load_{name}{{command="{found.command}"{tags}}} '
                       f"{value / scale:.9g}\n")

    for name, value in found.labels:
        name = "label_" + re.sub("[^A-Za-z0-9]", "_", os.fsencode(name).decode("latin-1"))
        labels.pop(name, None)
        labels[name] = value
    sides = [{"target": side} for side in found.sides]
    if len(sides) == 2:
        sides = [{"side": letter, **side} for letter, side in zip("AB", sides)]
    for figure in found.figures:
        name = {"time": f"latency_{figure.name}_seconds", "share": "error_ratio"}.get(
            figure.unit, figure.name)
        metric(name, METRIC_HELP[figure.unit],
               () if None in figure.values else list(zip(sides, figure.values)),
               1e9 if figure.unit == "time" else 1)
    # Each kind is a time series, so only the ten largest are written, and those named by the
    # user.
    most = sorted(found.kinds, key=lambda kind: -kind.offered)[:10]
    kinds = [kind for number, kind in enumerate(found.kinds)
             if kind in most or str(number) in found.named]
    for name, help_, what in KIND_METRICS:
        values = [(kind, what(kind) if callable(what) else kind.latency.find(what))
                  for kind in kinds]
        metric(f"kind_{name}", help_, [({"kind": kind.name}, value) for kind, value in values
                                       if value is not None], 1 if callable(what) else 1e9)
    for name, help_, end in CHANGE_METRICS:
        metric(name, help_, [({"figure": figure.name}, getattr(figure.change, end))
                             for figure in found.figures if figure.change
                             and (end == "change" or figure.change.has_interval)])
    checks = {check.name: check.state for check in reversed(found.checks)}
    metric("check_passed", "1: the check has passed, 0: it has not.",
           [({"check": name}, state == "passed") for name, state in reversed(checks.items())])
    metric("exit_code", "Exit code of weir-load.", [({"verdict": found.verdict}, found.code)])
    return "".join(out)


WRITERS = {"markdown": write_markdown, "junit": write_junit, "prometheus": write_prometheus}


def publish(options, words):
    """Writes files about the result on standard input, to open descriptors."""
    run = Run(load_text(sys.stdin.buffer.read()), "the result")
    found = findings_of_run(run, options["target"], words, options["named"].split(","))
    for name in WRITERS:
        if name in options:
            with open(int(options[name]), "wb") as file:
                file.write(WRITERS[name](found).encode(errors="replace"))
    return OK


# ---- comparisons ----

# Only one figure decides. Each errs once in twenty cases, so if seven decided, a server would often
# differ from itself.
METRICS = {"rate": None, "p50": 50000, "p90": 90000, "p99": 99000, "p99.9": 99900, "mean": 0,
           "cpu-rate": None}
Row = collections.namedtuple("Row", "medians change verdict")


class Comparison:
    def __init__(self, command, options, pairs=0):
        self.command, self.options, self.pairs = command, options, pairs
        self.margin, self.metric = parse(options["margin"], PERCENT) / 1e6, options["metric"]
        self.passes, self.until = self.read_undecided(options.get("undecided", "fail"))
        # If the runs are evaluated several times, the intervals are wider, so that all evaluations
        # together err as often as one would.
        looks = 1
        while self.until and 0 < pairs < RUNS_MAX:
            looks, pairs = looks + 1, pairs * 2
        self.level = 1 - (1 - LEVEL) / looks
        self.names, self.values = [None, None], {name: ([], []) for name in METRICS}
        taken, self.files, self.takes_stdout = options.get("json") == "-" and "--json", {}, False
        for name in (name for name in WRITERS if name in options):
            if options[name] == "-":
                if taken:
                    raise Bad(f"--{name}: {taken} already uses standard output")
                taken, self.takes_stdout = f"--{name}", True
            try:
                self.files[name] = WholeFile(f"--{name}", options[name])
            except Bad as err:
                raise Bad(str(err)) from err

    def read_undecided(self, text):
        passes, until, is_ab = False, 0, self.pairs > 0
        for word in text.split(","):
            limit = parse_time(word[6:]) if is_ab and word.startswith("until=") else None
            if word in ("pass", "fail"):
                passes = word == "pass"
            elif limit and limit <= 24 * 3600 * SECOND:
                until = limit
            else:
                raise Bad(f"--undecided: '{text}' is not pass" + (
                    ", fail or until=TIME, or until=TIME,pass" if is_ab else " or fail"))
        return passes, until

    def add(self, side, run):
        for name, share in METRICS.items():
            self.values[name][side].append(
                run.rate if name == "rate" else run.latency.find(share) or 0 if share is not None
                else run.all["rate"].get("per_client_cpu_second") or 0)

    def counts(self):
        return [len(values) for values in self.values["rate"]]

    def drop_half(self):
        """Drops the run of an incomplete pair. Returns the number of pairs."""
        fewer = min(self.counts())
        for sides in self.values.values():
            for values in sides:
                del values[fewer:]
        return fewer

    def row(self, name):
        sides = self.values[name]
        if min(map(min, sides)) <= 0:
            return Row(None, None, "cannot tell")
        change = compare_sides(*sides, self.pairs > 0, self.level)
        return Row([statistics.median(side) for side in sides], change,
                   judge_change(change, self.margin, "rate" in name))

    def is_undecided(self):
        return self.row(self.metric).verdict == "cannot tell"

    def text(self, rows):
        out = [f"A           {self.names[0]}", f"B           {self.names[1]}",
               f"{'':9} {'A':>10} {'B':>10} {'B to A':>9}  "
               f"{f'{self.level * 100:.3g}% interval':18}"]
        for name, row in rows.items():
            if row.change is None:
                out.append(f"{name:9} {'-':>10} {'-':>10}")
                continue
            low, high = row.change.low * 100, row.change.high * 100
            interval = f"[{low:+.1f}%, {high:+.1f}%]" if row.change.has_interval else "-"
            a, b = map(FORMATS["rate" if "rate" in name else "time"], row.medians)
            out.append(f"{name:9} {a:>10} {b:>10} {row.change.change * 100:+8.1f}%  "
                       f"{interval:18} {row.verdict}")
        a, b = self.counts()
        made = f"{a} pairs of runs" if self.pairs else f"{a} and {b} runs"
        out.append(f"Verdict     {self.metric}: {rows[self.metric].verdict}, from {made}; "
                   f"up to {self.margin * 100:.3g}% is no difference")
        if rows[self.metric].verdict == "cannot tell":
            out.append(f"            {self.power(rows[self.metric])}")
        return "\n".join(out)

    def power(self, row):
        """Returns why the verdict is "cannot tell", and what would help."""
        count, what = min(self.counts()), "pairs" if self.pairs else "runs of each"
        if row.change is None:
            return f"{self.metric} is not known in every run"
        if row.change.has_interval:
            return ("the runs vary too much; about "
                    f"{runs_needed(row.change, count, self.margin)} {what} would show "
                    f"{self.margin * 100:.3g}%")
        enough = 4
        while self.pairs and 2 / (1 << enough) > 1 - self.level:
            enough += 1
        return (f"{count} {what} are too few for a {self.level * 100:.3g} % interval; make "
                f"{enough} or more")

    def json(self, rows):
        figures = []
        for name, row in rows.items():
            a, b = map(float, row.medians) if row.change else (None, None)
            has_interval = row.change and row.change.has_interval
            figures.append({"figure": name, "a": a, "b": b,
                            "change": row.change and row.change.change,
                            "interval": [row.change.low, row.change.high] if has_interval else None,
                            "verdict": row.verdict})
        return {"schema": "weir-load-comparison/1", "a": self.names[0], "b": self.names[1],
                "paired": self.pairs > 0, "runs": self.counts(), "level": self.level,
                "margin": self.margin, "metric": self.metric,
                "verdict": rows[self.metric].verdict, "figures": figures}

    def publish(self, verdict, code, rows=None, cut=None):
        """Writes the files for a CI pipeline. Without @rows there is no result. Returns False on
        error."""
        found = Findings(self.command, verdict, code, self.names, self.counts())
        found.level, found.margin = self.level, self.margin
        for name, row in (rows or {}).items():
            found.figures.append(Figure(re.sub("[.-]", "_", name),
                                        "rate" if "rate" in name else "time",
                                        row.medians or [None, None], row.change, row.verdict))
        if rows:
            change = rows[self.metric].change
            state = {"worse": "failed", "cannot tell": "skipped" if self.passes else "broken"}
            text = ("not known in every run" if change is None else "too few runs"
                    if not change.has_interval else f"{verdict}: {change.change * 100:+.1f}%, "
                    f"interval {change.low * 100:+.1f}% to {change.high * 100:+.1f}%")
            found.checks.append(Check(f"{self.metric} is not worse",
                                      state.get(verdict, "passed"), text))
        if cut:
            found.checks.append(Check("all runs were made", "broken", cut))
        return all([tell_bad(file.write, WRITERS[name](found))
                    for name, file in self.files.items()])

    def finish(self, cut=None):
        """Prints and writes the comparison, and returns the exit code. @cut is the reason if runs
        are missing."""
        rows = {name: self.row(name) for name in METRICS}
        verdict, json_path = rows[self.metric].verdict, self.options.get("json")
        code = {"worse": SLO, "cannot tell": OK if self.passes else INVALID}.get(verdict, OK)
        if json_path != "-" and not self.takes_stdout:
            print(self.text(rows))
        is_good = json_path is None or write_json(json_path, self.json(rows))
        is_good &= self.publish(verdict, INTERRUPTED if cut else code, rows, cut)
        return code if is_good else INTERNAL

    def give_up(self, code, why):
        """Writes the files for a CI pipeline after a failed run. Returns the exit code."""
        return code if self.publish("no result", code, cut=why) else INTERNAL


def compare(options, words):
    comparison, force = Comparison("compare", options), "force" in options
    at = words.index("--") if "--" in words else len(words)
    sides, first = [words[:at], words[at + 1:]], None
    for side, paths in enumerate(sides):
        for path in paths:
            if comparison.counts()[side] == RUNS_MAX:
                raise Bad(f"more than {RUNS_MAX} runs")
            run = read_results(path, force)
            first = first or run.all["config_hash"]
            if not force and run.all["config_hash"] != first:
                raise run.refuse("its options differ from the first run's; "
                                 "--force compares them anyway")
            if not force and run.exit_code not in (OK, SLO):
                raise run.refuse(f"its verdict is {run.verdict}; --force compares them anyway")
            comparison.add(side, run)
    if not all(sides):
        raise Bad("write A.json... -- B.json... (see weir-load compare --help)")
    comparison.names = [sides[0][0], sides[1][0]]
    return comparison.finish()


# ---- runs ----

class Runner:
    """Runs weir-load as child processes until a signal arrives."""

    program = None

    def __init__(self):
        self.child, self.is_stopped = None, False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)

    def stop(self, *_):
        self.is_stopped = True
        if self.child:
            self.child.kill()

    def measure(self, words, save=None):
        """Runs weir-load with the arguments @words, saves the result to @save, and returns it."""
        if self.is_stopped:
            raise Interrupted
        pipe = subprocess.PIPE
        with subprocess.Popen(["weir-load", "run", "--json", "--quiet", *words],
                              executable=self.program, stdin=subprocess.DEVNULL, stdout=pipe,
                              stderr=pipe) as self.child:
            if self.is_stopped:
                self.child.kill()
            out, err = self.child.communicate()
        self.child = None
        if self.is_stopped:
            raise Interrupted
        if not out:
            line = err.decode(errors="replace").rstrip("\n").split("\n")[-1]
            raise Bad(line.removeprefix("weir-load: ")[:300] or "a run ended without a result")
        run = Run(load_text(out), "a run")
        try:
            if save:
                with open(save, "wb") as file:
                    file.write((dump(run.all) + "\n").encode(errors="replace"))
        except OSError as error:
            raise Bad(f"--save: {save}: {error.strerror}") from error
        return run


def name_saved(options, name):
    return f"{options['save']}/{name}.json" if "save" in options else None


def measure_side(comparison, options, runner, side):
    number = comparison.counts()[side] + 1
    run = runner.measure(options["ab"[side]], name_saved(options, f"{'ab'[side]}-{number:03}"))
    if run.exit_code not in (OK, SLO) and "force" not in options:
        reason = f": {run.objection()}" if run.objection() else ""
        raise Bad(f"a run of {'AB'[side]}, {comparison.names[side]}: {run.verdict}{reason}; "
                  "--force continues", run.exit_code)
    comparison.add(side, run)


def make_pairs(comparison, options, runner):
    """Makes pairs of runs, and doubles their number while the verdict is "cannot tell" and time is
    left. The order in a pair is random, because the first run may change the conditions."""
    begin, wanted = time.monotonic_ns(), comparison.pairs
    while True:
        for number in range(comparison.counts()[0], wanted):
            passed = time.monotonic_ns() - begin
            if number >= comparison.pairs and passed >= comparison.until:
                return
            left = passed / 1e9 / number * (wanted - number) if number else 0
            show_progress(f"pair {number + 1} of {wanted}, about {left:.0f} s left")
            first = random.getrandbits(1)
            for side in (first, 1 - first):
                measure_side(comparison, options, runner, side)
        if wanted == RUNS_MAX or time.monotonic_ns() - begin >= comparison.until \
                or not comparison.is_undecided():
            return
        wanted = min(2 * wanted, RUNS_MAX)


def ab(options, _words):
    comparison = Comparison("ab", options, parse(options["runs"], COUNTS))
    comparison.names = [options["a-name"], options["b-name"]]
    try:
        make_pairs(comparison, options, Runner())
    except Interrupted:
        show_progress()
        made = comparison.drop_half()
        why = f"interrupted after {made} pairs"
        code = comparison.finish(why) if made else comparison.give_up(INTERRUPTED, why)
        raise Bad(why, INTERNAL if code == INTERNAL else INTERRUPTED) from None
    except Bad as err:
        show_progress()
        comparison.drop_half()
        err.code = comparison.give_up(err.code, str(err))
        raise
    show_progress()
    return comparison.finish()


# ---- search and sweep ----

def judge_step(run, objectives):
    """Returns whether a step passes, and why not. A run must have kept its schedule. If the client
    was only late, latencies seemed longer, never shorter, so objectives that hold are met."""
    is_invalid, reason = run.exit_code == INVALID, run.objection()
    was_only_late = is_invalid and run.is_open and run.rate >= run.offered_rate * 0.99
    if run.exit_code not in (OK, SLO) and not was_only_late:
        busy = re.search("; all [^:,]*", reason)
        return False, (reason.split(";")[0] + (busy[0] if busy else "") if is_invalid and reason
                       else run.failure())
    for objective in objectives:
        _, passed, text = objective.judge(run)
        if not passed:
            return False, f"{objective.text[:40]}: {text[:50]}"
    # Without objectives an invalid run is not a failure, but its figures are doubtful.
    return True, f"invalid: {reason[:80]}" if is_invalid and not objectives else ""


class Steps:
    """Makes runs at different loads, and prints a line about each."""

    def __init__(self, options, words, flag):
        self.options, self.words, self.flag, self.list = options, words, flag, []
        self.slo, self.runner = options.get("slo"), Runner()
        self.objectives = read_objectives(self.slo) if self.slo else []

    def print(self, text):
        if self.options.get("json") != "-":
            print(text, flush=True)

    def print_header(self):
        self.print(f"{'rate/s' if self.flag == '-R' else 'conns':>10} {'achieved':>10} {'ok%':>7} "
                   f"{'p50':>8} {'p99':>8} {'max':>8}  ")

    def measure(self, load, duration=0):
        """Makes a step. Without @duration the options of the run set its duration."""
        if len(self.list) == 200:
            raise Bad("more than 200 steps")
        show_progress(f"{self.flag} {load} ...")
        words = [*self.words, self.flag, str(load)]
        words += ["--slo", self.slo] if self.slo else []
        words += ["-d", f"{duration}ns"] if duration else []
        run = self.runner.measure(words, name_saved(self.options, f"step-{len(self.list) + 1:03}"))
        show_progress()
        passed, why = judge_step(run, self.objectives)
        times = {"p50": run.latency.find(50000), "p99": run.latency.find(99000),
                 "max": run.latency.max or None}
        ok = run.requests["ok"]
        share = 100 * ok / run.offered if run.offered else 0
        self.list.append({"rate" if self.flag == "-R" else "connections": load,
                          "duration_ns": run.duration, "achieved": float(run.rate),
                          "offered": run.offered, "ok": ok, **times, "passed": passed, "why": why})
        texts = [f"{'-' if value is None else time_text(value):>8}" for value in times.values()]
        self.print(f"{load:10} {run.rate:10.1f} {share:7.2f} "
                   f"{' '.join(texts)}  {'holds' if passed and self.objectives else why}")
        return self.list[-1]

    def finish(self, result, is_good, why):
        """Writes the result and returns the exit code. @why is the reason if the steps were
        interrupted, else None."""
        if "json" in self.options and not write_json(self.options["json"],
                                                     {**result, "steps": self.list}):
            return INTERNAL
        if why:
            raise Bad(why, INTERRUPTED)
        if not any(step["ok"] for step in self.list):
            self.refuse_none(self.list[0]["why"])
        return OK if is_good else SLO

    def refuse_none(self, failure):
        raise Bad(f"{self.options['target']}: not one request succeeded: {failure}", NOTHING)


class Threshold:
    """The rate below which runs pass and above which they fail, estimated from all runs.

    Near this rate chance decides whether a run passes, in a range of unknown width. Bayes' rule
    gives a probability to each place and width, and an interval follows from these. Any run may
    also fail or pass for another reason. Places are logarithms of rates. The least width is not 0,
    because no server is the same in each run.
    """

    PLACES, FAILS_ANYWAY, PASSES_ANYWAY, WIDEST = 4096, 0.05, 0.01, 0.16

    def __init__(self, low, high, least_width):
        first, last = math.log(low), math.log(high)
        step = (last - first) / (self.PLACES - 1)
        self.places = [first + k * step for k in range(self.PLACES)]
        self.widths = [least_width * (self.WIDEST / least_width) ** (i / 6) for i in range(7)]
        self.shares = [[1 / 7 / self.PLACES] * self.PLACES for _ in self.widths]

    def odds(self, rate, width):
        """Returns, for each place of the threshold, how probable a pass at this rate is."""
        at, rest = math.log(rate), 1 - self.PASSES_ANYWAY - self.FAILS_ANYWAY
        return [self.PASSES_ANYWAY + rest / (1 + math.exp(min(-1.702 * (place - at) / width, 700)))
                for place in self.places]

    def add(self, rate, passed):
        shares = [[share * (odds if passed else 1 - odds)
                   for share, odds in zip(shares, self.odds(rate, width))]
                  for shares, width in zip(self.shares, self.widths)]
        total = sum(map(sum, shares))
        self.shares = [[share / total for share in row] for row in shares]

    def quantile(self, share):
        below = 0
        for place, here in zip(self.places, map(sum, zip(*self.shares))):
            if below + here >= share:
                return math.exp(place)
            below += here
        return math.exp(self.places[-1])


class Search:
    """Searches the highest rate at which the objectives hold.

    The rate is doubled until a step fails twice. Then runs are made near the rate at which half of
    them fail, until the interval from all runs is narrow. Near the end runs are longer. A run that
    passes shows that the server can answer the achieved rate, which may be slightly lower than the
    requested one. A queue that grows by less than a hundredth of the rate is not noticed, so the
    lower end of the interval is reduced by a hundredth.
    """

    STEP_MAX, RATE_MAX, NARROW_RUNS, UNSEEN = 60 * SECOND, SECOND, 40, 0.01
    # The factor by which the threshold may be outside the bounds, and the number of responses that
    # are needed beyond the highest percentile.
    BOUNDS_MAY_ERR, BEYOND = 1.5, 50

    def __init__(self, options, words):
        self.steps, self.options, self.slo = Steps(options, words, "-R"), options, options["slo"]
        self.start, self.to = (parse(options.get(name, "0"), COUNTS) for name in ("from", "to"))
        self.precision = parse(options["precision"], PERCENT) / 1e6
        self.duration = parse_time(options.get("duration", "3s"))
        # The objectives are met at low, but not at high; 0 is unknown. At the end, low and high are
        # the reported interval.
        self.low = self.high = 0
        self.first = self.last = self.middle = 0.0
        self.is_narrow = self.was_cut = False

    def measure(self, rate, longer=1):
        share = max((objective.share or 0 for objective in self.steps.objectives), default=0)
        needed = self.BEYOND / (1 - share / WHOLE) / rate * 1e9 if share else 0
        return self.steps.measure(
            rate, int(min(max(needed, self.duration), self.STEP_MAX)) * longer)

    def probe(self):
        """Sets the first rate to half of a closed loop's. Raises Bad if no request succeeds."""
        if not self.start:
            run = self.steps.runner.measure([*self.steps.words, "-d", "1s"])
            self.start = int(run.rate / 2) or 1
            if not run.requests["ok"]:
                self.steps.refuse_none(run.failure())

    def at_most(self, rate):
        return min(rate, self.to) if self.to else rate

    def find_bounds(self):
        """Doubles or halves the rate until the objectives hold at one rate and not at another."""
        rate = self.at_most(self.start)
        while 0 < rate < self.RATE_MAX // 2 and rate != self.low and not (self.low and self.high):
            if self.measure(rate)["passed"] or self.measure(rate)["passed"]:
                self.low, rate = rate, self.at_most(rate * 2)
            else:
                self.high, rate = rate, rate // 2

    def learn(self, threshold, step):
        rate = step["rate"]
        if step["passed"] and step["achieved"] < rate:
            rate = max(step["achieved"], rate * (1 - self.UNSEEN))
        threshold.add(rate, step["passed"])
        self.first = threshold.quantile((1 - LEVEL) / 2)
        self.last = threshold.quantile((1 + LEVEL) / 2)
        self.is_narrow = (self.last <= self.first * (1 + self.precision)
                          or math.floor(self.last) <= math.floor(self.first))

    def narrow(self):
        threshold = Threshold(self.low / self.BOUNDS_MAY_ERR, self.high * self.BOUNDS_MAY_ERR,
                              self.precision / 8)
        for step in self.steps.list:
            self.learn(threshold, step)
        for number in range(self.NARROW_RUNS):
            if self.is_narrow:
                return
            # Once the threshold is nearly known, rates at both sides of it show its width best.
            is_near = self.last < self.first * (1 + 4 * self.precision)
            rate = threshold.quantile(0.5 if not is_near else 0.3 if number % 2 else 0.7)
            rate = max(self.at_most(int(rate + 0.5)), 1)
            self.learn(threshold, self.measure(rate, 2 if is_near else 1))

    def make_runs(self):
        self.probe()
        self.steps.print_header()
        try:
            self.find_bounds()
            if self.low and self.high:
                self.narrow()
        finally:  # rates are reported as integers
            self.middle = float(self.low)
            if self.low and self.last:
                self.first *= 1 - self.UNSEEN
                self.low, self.high = max(int(self.first), 1), math.ceil(self.last)
                self.middle = math.sqrt(self.first * self.last)

    def outcome(self):
        """Returns the line about the capacity."""
        if not self.low:
            if not self.was_cut:
                return f"none: {self.slo} holds at no rate that was tried"
            return (f"not known: interrupted; {self.slo} does not hold at {self.high}/s, and lower "
                    "rates were not tried enough" if self.high
                    else "not known: interrupted before a rate was tried enough")
        if not self.last:
            why = "the search was interrupted" if self.was_cut else "no higher rate was tried"
            return f"{self.low}/s or more: {self.slo} holds there, and {why}"
        text = (f"{self.middle:.0f}/s; between {self.low}/s and {self.high}/s at 95 %: {self.slo} "
                "holds below, and not above")
        step = min((step for step in self.steps.list
                    if not step["passed"] and step["rate"] >= self.middle),
                   key=lambda step: step["rate"], default=None)
        if step:
            text += f"\n            ({step['rate']}/s: {step['why']})"
        if not self.is_narrow:
            text += "\n            The " + (
                "search was interrupted before the interval was as narrow as --precision"
                if self.was_cut else "runs differ too much for an interval as narrow as "
                "--precision; longer ones (-d) differ less")
        return text

    def run(self):
        """Makes all runs and prints the capacity. Returns the exit code."""
        try:
            self.make_runs()
        except Interrupted:
            show_progress()
            self.was_cut = True
        self.steps.print(f"Capacity    {self.outcome()}")
        rates = {name: int(rate + 0.5) or None for name, rate in
                 (("capacity", self.middle), ("low", self.low), ("high", self.high))}
        return self.steps.finish(
            {"schema": "weir-load-search/2", "slo": self.slo, **rates, "level": LEVEL,
             "narrow": self.is_narrow, "interrupted": self.was_cut}, self.low,
            f"interrupted after {len(self.steps.list)} steps" if self.was_cut else None)


def search(options, words):
    return Search(options, words).run()


LOADS_MAX, LOAD_MAX = 100, SECOND


def read_loads(flag, text):
    """Parses a list of loads such as 1k,2k or 1k..10k/4."""
    loads, at = [], 1
    for item in text.split(","):
        found = re.fullmatch(r"(.*?)\.\.(.*?)/(.*)", item)
        numbers = [parse(part, COUNTS) for part in (found.groups() if found else [item])]
        is_good = None not in numbers
        if is_good and found:
            low, high, count = numbers
            is_good = low < high and 2 <= count <= LOADS_MAX
            numbers = [low + (high - low) * i // max(count - 1, 1)
                       for i in range(count if is_good else 1)]
        loads += numbers
        if not is_good or len(loads) > LOADS_MAX or min(numbers) < 1 or max(numbers) > LOAD_MAX:
            raise Bad(f"--{flag}: at character {at}: expected a number or LOW..HIGH/COUNT, "
                      f"at most {LOADS_MAX} of them")
        at += len(item) + 1
    return loads


def sweep(options, words):
    flag, why = "conns" if "conns" in options else "rates", None
    loads = read_loads(flag, options[flag])
    if "shuffle" in options:  # otherwise a machine that slows down looks like an effect of the load
        random.Random(parse(options.get("seed", "1"), COUNTS)).shuffle(loads)
    steps = Steps(options, words, "-c" if flag == "conns" else "-R")
    steps.print_header()
    try:
        for load in loads:
            steps.measure(load)
    except Interrupted:
        show_progress()
        why = f"interrupted after {len(steps.list)} runs"
    is_good = not steps.objectives or all(step["passed"] for step in steps.list)
    return steps.finish({"schema": "weir-load-sweep/1"}, is_good, why)


# ---- report ----

def write_page(runs, title, path):
    """Writes the template in the script's folder, filled with the results."""
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "weir-load-page.html"), encoding="utf-8") as file:
        page = file.read()
    data = json.dumps([{"name": run.name, **run.all} for run in runs], separators=(",", ":"))
    page = page.replace("@TITLE@", escape(title, {'"': "&quot;"}), 1)
    WholeFile("-o", path).write(page.replace("@RUNS@", data.replace("<", "\\u003c"), 1))


def report(options, words):
    output, json_path = options.get("output"), options.get("json")
    if not output and json_path is None:
        raise Bad("-o is required: the file of the page (see weir-load report --help)")
    if not words:
        raise Bad("no result (see weir-load report --help)")
    if json_path is not None and len(words) > 1:
        raise Bad("--json: write the parts of one run separated by commas")
    runs = [read_results(paths, "force" in options) for paths in words]
    if json_path is not None and not write_json(json_path, runs[0].all):
        return INTERNAL
    prints = json_path != "-"
    if output:
        write_page(runs, options["title"], output)
        if prints and output != "-":
            print(output)
    # A merged result has a verdict of its own, which its parts do not determine.
    if len(runs) > 1 or "parts" not in runs[0].all:
        return OK
    for term in runs[0].all["slo"] if prints else ():
        print(clean(term["expr"]), "holds" if term["pass"] is True else
              "is not known" if term["value"] is None else "DOES NOT HOLD")
    if prints:
        print(f"{len(runs[0].all['parts'])} parts together: {clean(runs[0].verdict)}")
    return runs[0].exit_code


COMMANDS = {"ab": ab, "check": lambda *_: OK, "compare": compare, "publish": publish,
            "report": report, "search": search, "sweep": sweep}


def main(argv):
    Runner.program, command, *rest = argv
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for file in (sys.stdout, sys.stderr):
        file.reconfigure(encoding="utf-8", errors="surrogateescape")
    at, options = rest.index("--"), {"a": [], "b": []}  # the arguments of each side's runs
    for word in rest[:at]:
        name, _, value = word[2:].partition("=")
        if name in ("a", "b"):
            options[name].append(value)
        else:
            options[name] = value
    try:
        code = COMMANDS[command](options, rest[at + 1:])
    except Bad as err:
        code = err.code
        say(str(err))
    try:
        sys.stdout.flush()
    except OSError as err:
        print(f"weir-load: standard output could not be written: {err.strerror}", file=sys.stderr)
        code = code or INTERNAL
    sys.stderr.flush()
    os._exit(code)  # does not flush again


if __name__ == "__main__":
    main(sys.argv[1:])
