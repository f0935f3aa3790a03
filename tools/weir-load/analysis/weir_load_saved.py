"""Reads, merges and writes results of weir-load, and evaluates objectives. Files are not trusted:
every value that is used is checked."""

import base64
import contextlib
import errno
import json
import math
import os
import re
import stat
import struct
import sys
import tempfile
import time
import zlib

OK, INTERNAL, USAGE, NOTHING, ERRORS, INVALID, SLO, INTERRUPTED = 0, 1, 2, 3, 4, 5, 99, 130
CODES = (INTERRUPTED, NOTHING, ERRORS, INVALID, SLO, OK)  # exit codes of a run, the worst first
SECOND = 1_000_000_000
RUNS_MAX, LEVEL = 200, 0.95


class Bad(Exception):
    """An error with a line for the user, and the exit code."""

    def __init__(self, text, code=USAGE):
        super().__init__(text)
        self.code = code


class Interrupted(Exception):
    """SIGINT or SIGTERM has arrived."""


def clean(text):
    """Returns untrusted text without control characters, for a terminal."""
    return re.sub("[\x80-\x9f]", "??", re.sub("[\x00-\x1f\x7f]", "?", text))


def say(text):
    sys.stdout.flush()
    print(f"weir-load: {clean(text)}", file=sys.stderr, flush=True)


def show_progress(text=""):
    """Prints a line that replaces the previous one, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


# ---- numbers and their units ----

COUNTS = {"": 1, "k": 10 ** 3, "K": 10 ** 3, "m": 10 ** 6, "M": 10 ** 6, "g": 10 ** 9,
          "G": 10 ** 9}
TIMES = {"": SECOND, "ns": 1, "us": 1000, "ms": 10 ** 6, "s": SECOND, "sec": SECOND, "S": SECOND,
         "m": 60 * SECOND, "min": 60 * SECOND, "M": 60 * SECOND, "h": 3600 * SECOND,
         "H": 3600 * SECOND, "d": 86400 * SECOND}
PERCENT = {"%": 10000}


def parse(text, units):
    """Parses a number with a unit into an integer. Returns None if it is invalid."""
    found = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?([A-Za-z%]*)", text)
    if not found or found[3] not in units:
        return None
    billionths = int((found[2] or "0")[:9].ljust(9, "0"))
    return int(found[1]) * units[found[3]] + billionths * units[found[3]] // SECOND


def parse_time(text):
    """Parses a time such as 10s or 1m30s. Returns nanoseconds, or None if it is invalid."""
    parts = re.findall(r"[0-9.]+[A-Za-z]+", text)
    values = [parse(part, TIMES) for part in parts]
    if len(parts) < 2:
        return parse(text, TIMES)
    sizes = [TIMES.get(part.lstrip("0123456789."), 0) for part in parts]
    is_good = "".join(parts) == text and sizes == sorted(set(sizes), reverse=True)
    return sum(values) if is_good and None not in values else None


def time_text(ns):
    ns = int(ns)
    if ns < 1000:
        return f"{ns}ns"
    unit, factor = ("us", 1e3) if ns < 999500 else ("ms", 1e6) if ns < 999500000 else ("s", 1e9)
    value = ns / factor
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{unit}"


FORMATS = {"time": time_text, "count": lambda value: f"{value:.0f}",
           "rate": lambda value: f"{value:.{1 if value < 100 else 0}f}/s",
           "share": lambda value: f"{value * 100:.4g}%"}


# ---- histograms ----

STEP_BITS, SIZE, COUNT_MAX, WHOLE = 10, 33 << 10, 1 << 53, 100000
SHARES = {"50": 50000, "75": 75000, "90": 90000, "95": 95000, "99": 99000, "99.9": 99900,
          "99.99": 99990, "99.999": 99999}


def index_of(value):
    shift = max(value.bit_length() - STEP_BITS - 1, 0)
    return (value >> shift) + (shift << STEP_BITS) if shift < 32 else SIZE - 1


def bounds_of(index):
    """Returns the smallest and the largest value of a bucket."""
    shift = 0 if index < 2 << STEP_BITS else (index >> STEP_BITS) - 1
    low = (index - (shift << STEP_BITS)) << shift
    return low, low + (1 << shift) - 1


def need(is_so, what="a member"):
    """Raises ValueError, which is in BROKEN, if a value of a file is invalid."""
    if not is_so:
        raise ValueError(what)


def need_counts(part, names):
    for name in names:
        need(type(part[name]) is int and part[name] >= 0, name)


def need_of(share):
    """Returns how many values a percentile needs so that ten are beyond it."""
    return -(-10 * WHOLE // (WHOLE - share))


class Histogram:
    """An HdrHistogram with three digits: counts of buckets, and the exact sum and extremes."""

    def __init__(self, text=None):
        """Decodes @text, or makes an empty histogram. Raises one of BROKEN if @text is invalid."""
        self.counts = {}
        self.count = self.sum = self.max = self.overflows = 0
        self.min = None
        if text is not None:
            self._decode(text)

    def _decode(self, text):
        packed = base64.b64decode(text, validate=True)
        inflate = zlib.decompressobj()
        plain = inflate.decompress(packed[8:], 40 + 10 * SIZE)
        need(struct.unpack(">II", packed[:8]) == (0x1c849314, len(packed) - 8) and inflate.eof)
        need(struct.unpack(">IIIIQ", plain[:24]) == (0x1c849313, len(plain) - 40, 0, 3, 1))
        index = value = shift = 0
        for byte in plain[40:]:
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte >= 0x80:
                continue
            number = value >> 1 ^ -(value & 1)
            need(index < SIZE and number <= COUNT_MAX)
            if number > 0:
                low, high = bounds_of(index)
                self.counts[index] = number
                self.count += number
                self.min, self.max = low if self.min is None else self.min, high
            index += max(-number, 1)
            value = shift = 0
        need(shift == 0 and index <= SIZE and self.count <= COUNT_MAX)

    @classmethod
    def read(cls, part):
        """Reads the object of part(), with its exact values."""
        need_counts(part, ("count", "sum", "min", "max", "overflows"))
        self = cls(part["hdr"])
        need(self.count == part["count"] and part["overflows"] <= self.count)
        if self.count:
            need(part["min"] <= part["max"])
            for name in ("min", "max"):
                need(index_of(part[name]) == index_of(getattr(self, name)))
            for name in ("sum", "min", "max", "overflows"):
                setattr(self, name, part[name])
        return self

    def merge(self, other):
        if other and other.count:
            for index, number in other.counts.items():
                self.counts[index] = self.counts.get(index, 0) + number
            for name in ("count", "sum", "overflows"):
                setattr(self, name, getattr(self, name) + getattr(other, name))
            self.min = other.min if self.min is None else min(self.min, other.min)
            self.max = max(self.max, other.max)
        return self

    def encode(self):
        out, last = bytearray(), -1

        def put(number):
            value = number << 1 ^ (-1 if number < 0 else 0)
            while value >= 0x80:
                out.append(value & 0x7f | 0x80)
                value >>= 7
            out.append(value)

        for index in sorted(self.counts):
            if index > last + 1:
                put(last + 1 - index)
            put(self.counts[index])
            last = index
        head = struct.pack(">IIIIQQd", 0x1c849313, len(out), 0, 3, 1, (1 << 42) - 1, 1.0)
        packed = zlib.compress(head + out)
        return base64.b64encode(struct.pack(">II", 0x1c849314, len(packed)) + packed).decode()

    def at_rank(self, rank):
        """Returns the largest value of the bucket, so that no latency is reported too low."""
        for index in sorted(self.counts):
            rank -= self.counts[index]
            if rank <= 0:
                return self.max if index == SIZE - 1 else min(bounds_of(index)[1], self.max)
        return self.max

    def quantile(self, share):
        return self.at_rank(max(-(-self.count * share // WHOLE), 1))

    def find(self, share):
        """Returns a quantile, the mean for 0, or the maximum for WHOLE. Returns None if there are
        too few values."""
        if share in (0, WHOLE):
            return (self.mean() if share == 0 else self.max) if self.count else None
        return self.quantile(share) if self.count >= need_of(share) else None

    def mean(self):
        return self.sum / self.count if self.count else 0

    def deviation(self):
        mean = self.mean()
        squares = sum((sum(bounds_of(index)) / 2 - mean) ** 2 * number
                      for index, number in sorted(self.counts.items()))
        return math.sqrt(squares / self.count) if self.count else 0

    def interval(self, share):
        """Returns the 95 % confidence interval of a quantile, by ranks."""
        middle = self.count * (share / WHOLE)
        spread = 1.96 * math.sqrt(middle * (1 - share / WHOLE))
        low, high = middle - spread, middle + spread + 2
        return [self.at_rank(max(int(low), 1)), self.at_rank(min(int(high), self.count))]

    def part(self):
        """Returns the histogram as an object of a result."""
        values = {name: self.find(share) for name, share in SHARES.items()}
        return {"count": self.count, "min": self.min or 0, "sum": self.sum,
                "mean": int(self.mean()), "stdev": int(self.deviation()), "max": self.max,
                "overflows": self.overflows, "percentiles": values,
                "ci95": {name: self.interval(SHARES[name]) for name, value in values.items()
                         if value is not None},
                "hdr": self.encode()}


# ---- objectives ----

TIMES_NAMES = {"late": "send_lateness", "client": "client_lateness", "read": "read_lateness",
               **{name: name for name in ("response", "service", "connect", "tls", "ttfb",
                                          "blocked")}}
TERM = re.compile(
    r"[ \t]*((?:status\.(?P<status>[1-5]xx|[1-9][0-9]{2})|(?:(?P<times>[a-z]+)\.)?"
    r"(?P<figure>p[0-9][0-9.]*|mean|min|max|errors|timeouts|dropped|rate|achieved))[ \t]*"
    r"(?:\{(?P<kind>.+?)\}(?=[ \t]*[<>]))?[ \t]*"
    r"(?P<compare>[<>]=?)[ \t]*(?P<limit>[^, \t]+))[ \t]*")


class Objective:
    """A term of --slo. weir-load has checked its syntax."""

    def __init__(self, found):
        self.text, self.kind, self.compare = found[1], found["kind"], found["compare"]
        self.status, self.figure = found["status"], found["figure"] or ""
        self.times = TIMES_NAMES[found["times"] or "response"]
        self.is_latency = self.figure[:1] in ("p", "m")
        self.share, self.is_share = None, False
        if self.is_latency:
            self.limit = parse_time(found["limit"])
            if self.figure[0] == "p":
                self.share = parse(self.figure[1:] + "%", PERCENT) // 10
        else:
            self.limit = None if self.figure == "achieved" else parse(found["limit"], COUNTS)
            self.is_share = self.limit is None
            self.limit = parse(found["limit"], PERCENT) if self.is_share else self.limit
        need(self.limit is not None)

    def find(self, part):
        """Returns the figure of a run or of a kind of its requests, or None if it is unknown."""
        if self.is_latency:
            times = part.times.get(self.times)
            if not times or not times.count:
                return None
            return times.find(self.share) if self.share else (
                times.mean() if self.figure == "mean" else getattr(times, self.figure))
        if self.figure == "rate":
            return part.rate
        if self.figure == "achieved":
            return part.rate / part.offered_rate * 1e6 if part.offered_rate > 0 else None
        if not self.status:
            value = part.counts[self.figure]
        elif part.status is None:
            return None
        else:  # 5xx includes 600 and above
            pattern = self.status.replace("5xx", "[5-9]..").replace("x", ".")
            value = sum(count for status, count in part.status.items()
                        if re.fullmatch(pattern, status))
        if self.is_share:
            return value * 1e6 / part.offered if part.offered > 0 else None
        return value

    def judge(self, run):
        """Returns the value or None, whether the objective holds, and the value as text."""
        part = run if self.kind is None else run.kinds.get(self.kind)
        value = self.find(part) if part else None
        if value is None:
            times = part and self.is_latency and part.times.get(self.times)
            if times and times.count:
                return None, False, (f"not known from {times.count} values, "
                                     f"{need_of(self.share)} needed")
            why = ", as no such times were taken" if self.is_latency else ""
            return None, False, f"not known{why}"
        passed = {"<": value < self.limit, "<=": value <= self.limit,
                  ">": value > self.limit, ">=": value >= self.limit}[self.compare]
        text = (time_text(value) if self.is_latency else f"{value / 1e4:.4g}%" if self.is_share
                else f"{value:.1f}/s" if self.figure == "rate" else f"{value:.0f}")
        return float(value), passed, text


def read_objectives(text):
    """Returns the terms of --slo. Raises an error of BROKEN if the text is invalid."""
    terms, at = [], 0
    while not terms or at < len(text):
        need(not terms or text[at] == ",")
        found = TERM.match(text, at + bool(terms))
        terms.append(Objective(found))
        at = found.end()
    return terms


# ---- saved results ----

TIMES_ALL = {"response": True, "service": True, "ttfb": True, "connect": True, "tls": True,
             "send_lateness": True, "client_lateness": False, "blocked": False,
             "read_lateness": False}  # True if every result has it
KIND_COUNTS = ("ok", "failed", "timeout", "completed")
REQUESTS = ("offered", "ok", "failed", "timeout", "dropped")
SUMMARY = {"mean": 0, "p50": 50000, "p90": 90000, "p95": 95000, "p99": 99000, "p99_9": 99900,
           "max": WHOLE}
BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, zlib.error,
          struct.error)


def unique(pairs):
    found = dict(pairs)
    need(len(found) == len(pairs), "a name stands twice in an object")
    return found


def finite(text):
    need(math.isfinite(float(text)), f"{text} is no number")
    return float(text)


def load_text(text):
    return json.loads(text, object_pairs_hook=unique, parse_constant=finite, parse_float=finite)


class Kind:
    """The results of one kind of requests, with the figures that objectives use."""

    offered_rate = 0

    def __init__(self, part, seconds):
        self.name, self.status, self.all = part["name"], part["status"], part
        need_counts(part, KIND_COUNTS)
        need(isinstance(self.name, str) and isinstance(self.status, dict))
        self.latency = Histogram.read(part["latency"])
        self.ok, self.errors = part["ok"], part["failed"] + part["timeout"]
        self.offered = self.ok + self.errors
        self.counts = {"errors": self.errors, "timeouts": part["timeout"]}
        self.times = {"response": self.latency}
        self.rate = part["completed"] / seconds if seconds else 0


class Run:
    """A result. Raises Bad if it is not valid."""

    def __init__(self, all_, name):
        self.all, self.name = all_, name
        with self.refusing("not a result of weir-load"):
            for text in (all_["schema"], all_["config_hash"], all_["verdict"]):
                need(isinstance(text, str))
            self.is_open, self.exit_code = all_["model"]["kind"] == "open", all_["exit_code"]
        if all_["schema"] != "weir-load/2":
            raise self.refuse(f"its schema is {all_['schema'][:40]} and not weir-load/2")
        if self.exit_code not in CODES:
            raise self.refuse(f"no run ends with exit_code {self.exit_code}")
        with self.refusing("requests, rates or duration_ns are not those of a result"):
            need_counts(all_, ("duration_ns", "start_unix_ns"))
            self.start, self.duration = all_["start_unix_ns"], all_["duration_ns"]
            self.requests, rate = all_["requests"], all_["rate"]
            need_counts(self.requests, (*REQUESTS, "sent", "in_flight"))
            need_counts(all_["summary"], ("attempts", "errors"))
            self.rate, self.offered_rate = rate["achieved"], rate["offered"] or 0
            need(self.rate >= 0 and self.offered_rate >= 0)
            self.counts = {"errors": all_["summary"]["errors"],
                           "timeouts": self.requests["timeout"],
                           "dropped": self.requests["dropped"]}
            self.offered = self.requests["offered"]
            self.status = all_["status"] if all_["config"]["mode"] == "http" else None
        self.times = {}
        for name, is_always in TIMES_ALL.items():
            with self.refusing(f"the histogram of {name} is none"):
                part = all_["latency"][name] if is_always else all_["latency"].get(name)
                if part is not None or name == "service":
                    self.times[name] = Histogram.read(part)
        # Response times, or in a closed loop service times.
        self.latency = self.times.setdefault("response", self.times["service"])
        self.kinds = {}
        for number, part in enumerate(all_.get("kinds") or ()):
            with self.refusing(f"kind {number} of requests is none"):
                kind = Kind(part, self.duration / 1e9)
                self.kinds[kind.name] = kind
        with self.refusing("'intervals' is no list of intervals"):
            need(isinstance(all_["intervals"], list))
        for number, row in enumerate(all_["intervals"]):
            with self.refusing(f"interval {number} is none"):
                times = [name for name in ("p50", "p99", "max") if row[name] is not None]
                need_counts(row, ("begin_ns", "end_ns", *REQUESTS, *times))
                need_counts(row.get("errors", {}), row.get("errors", {}).keys())
                need(row["begin_ns"] < row["end_ns"])
                Histogram(row.get("hdr"))

    def refuse(self, text):
        return Bad(f"{self.name[:120]}: {text}")

    @contextlib.contextmanager
    def refusing(self, text):
        try:
            yield
        except BROKEN as err:
            raise self.refuse(text) from err

    @property
    def verdict(self):
        return self.all["verdict"]

    def objection(self):
        """Returns the first reason why the run is invalid, or ""."""
        return next((text for text in self.all.get("invalid_reasons", ())
                     if isinstance(text, str)), "")

    def most_frequent_error(self):
        return max(self.all["errors"], key=lambda error: error["requests"], default=None)

    def failure(self):
        """Returns a text with the number of failed requests and their most frequent error."""
        most, failed = self.most_frequent_error(), self.requests["failed"] + self.counts["timeouts"]
        what = (f"{failed} of {self.offered} requests failed" if self.offered
                else "not one request was sent")
        return f"{what}; {most['text'][:80]}" if most else what

    def summary(self):
        attempts, errors = (self.all["summary"][name] for name in ("attempts", "errors"))
        values = {name: self.latency.find(share) for name, share in SUMMARY.items()}
        return {"verdict": self.verdict, "rate": float(self.rate), "attempts": attempts,
                "errors": errors, "error_share": errors / attempts if attempts else None,
                **{name: None if value is None else value / 1e6
                   for name, value in values.items()}}


def is_ours(value):
    return isinstance(value, dict) and str(value.get("schema")).startswith("weir-load/")


def find_result(line):
    """Returns the result in a line, or None. It may follow a prefix, or be in the last event of
    --json-stream."""
    for brace in [found.start() for found in re.finditer("{", line)][:8]:
        with contextlib.suppress(*BROKEN):
            found = load_text(line[brace:])
            data = found.get("data")
            if is_ours(found):
                return found
            return data if is_ours(data) and data.get("verdict") else None
    return None


def read_input(text):
    """Returns the results on standard input: one, or one in each line."""
    with contextlib.suppress(*BROKEN):
        whole = load_text(text)
        if is_ours(whole):
            return [Run(whole, "standard input")]
    lines = [(number, find_result(line)) for number, line in enumerate(text.split("\n"), 1)]
    runs = [Run(found, f"standard input, line {number}") for number, found in lines if found]
    if not runs:
        raise Bad("standard input: no line of it has a result")
    return runs


def read_path(path):
    """Returns the results in one file."""
    try:
        if path == "-":
            return read_input(sys.stdin.buffer.read().decode(errors="replace"))
        with open(path, "rb") as file:
            return [Run(load_text(file.read().decode()), path)]
    except OSError as err:
        raise Bad(f"{path[:120]}: {err.strerror}") from err
    except BROKEN as err:
        raise Bad(f"{path[:120]}: {err}") from err


def read_results(paths, force):
    """Returns the result merged from files. Paths are separated by commas. @force skips checks."""
    whole = None
    for part in (run for path in paths.split(",") for run in read_path(path)):
        if whole and not force:
            check_part(whole, part)
        whole = merge(whole, part) if whole else part
    if not force:
        check_parts(whole)
    return whole


# ---- parts of one run ----

def parts_of(run):
    """Returns the parts of a merged result, or one part that describes any other result."""
    if isinstance(run.all.get("parts"), list):
        return run.all["parts"]
    part = {"file": run.name, "host": run.all["env"].get("host"), "start": run.all.get("start"),
            "part": run.all.get("part"), "config_hash": run.all["config_hash"]}
    return [{name: value for name, value in part.items()
             if value is not None or name not in ("host", "start")}]


def place_of(part):
    """Returns the number of a part, from 1, and the number of parts; 0 and 1 without parts."""
    place = part.get("part") or {"index": 0, "count": 1}
    need_counts(place, ("index", "count"))
    return place["index"], min(max(place["count"], 1), 10000)


def check_part(whole, part):
    """Raises Bad unless a result is another part of the same run."""
    if whole.all["config_hash"] != part.all["config_hash"]:
        raise part.refuse("its options differ from those of the previous parts; "
                          "--force merges it anyway")
    with part.refusing("its part is invalid"):
        there = [place_of(item) for item in parts_of(whole)]
        places = [place_of(item) for item in parts_of(part)]
    for index, count in places:
        if count != there[0][1]:
            raise part.refuse(f"one of {count} parts, but the previous ones are of "
                              f"{there[0][1]}; --force merges it anyway")
        if count > 1 and index in (number for number, _ in there):
            raise part.refuse(f"part {index} of {count} is given twice")
    config = part.all["config"]
    ends_by_count = (config.get("requests") or 0) > 0 and not config.get("duration_ns")
    # The windows must overlap by the longer duration or, if each part ends with its requests, by
    # the shorter one.
    is_part = (whole.duration < part.duration) != ends_by_count
    longer = part.duration if is_part else whole.duration
    shared = max(min(whole.start + whole.duration, part.start + part.duration)
                 - max(whole.start, part.start), 0)
    if shared * 100 < longer * 95:
        raise part.refuse(f"only {shared / longer * 100:.1f} % of its window overlaps the "
                          "previous parts; start parts together (--start-at), or merge "
                          "them with --force")


def check_parts(whole):
    """Raises Bad if a part of the run is missing."""
    with whole.refusing("its parts are invalid"):
        places = [place_of(part) for part in parts_of(whole)]
    count = places[0][1]
    missing = sorted(set(range(1, count + 1)) - {index for index, _ in places})
    if count > 1 and len(places) > 1 and missing:
        raise Bad(f"of the {count} parts of the run these are missing: "
                  f"{', '.join(map(str, missing[:8]))}{' and more' if len(missing) > 8 else ''}; "
                  "--force merges the others")


def add_numbers(into, other, names=None, least=(), greatest=()):
    """Adds the numbers of @other to those of @into with the same name, and copies missing ones. For
    names in @least and @greatest, keeps the smaller or the larger number instead."""
    if not isinstance(into, dict) or not isinstance(other, dict):
        return
    for name in [name for name in (names or list(other)) if name in other]:
        one, value = into.get(name), other[name]
        if name not in into:
            into[name] = value
        elif name in greatest:
            into[name] = value if (value or 0) > (one or 0) else one
        elif name in least:  # 0 means that there is no value
            into[name] = value if value and (not one or value < one) else one
        elif type(one) in (int, float) and type(value) in (int, float):
            into[name] = min(one + value, 1e300) if one + value > 1e300 else one + value


def merge_row(row, other):
    """Merges two intervals of the same time. Omits a member that one of them does not have."""
    add_numbers(row, other, [name for name in other if name not in ("begin_ns", "hdr", "errors")],
                greatest=("end_ns", "p50", "p99", "max"))
    for name in ("errors", "hdr"):
        if not (name in row and name in other):
            row.pop(name, None)
    add_numbers(row.get("errors"), other.get("errors"))
    row["p50"] = row["p99"] = None
    times = Histogram()
    if "hdr" in row:
        times.merge(Histogram(row["hdr"])).merge(Histogram(other["hdr"]))
    if times.count:
        for name, share in (("p50", 50000), ("p99", 99000)):
            row[name] = min(times.quantile(share), row["max"] or 0)
        row["hdr"] = times.encode()


def merge_kinds(one, other):
    """Merges the kinds of requests. Kinds that only the second result has are at the end."""
    merged = []
    for name, kind in {**other.kinds, **one.kinds}.items():
        parts = [run.kinds[name] for run in (one, other) if name in run.kinds]
        part = {"name": name, "status": dict(kind.status), "latency": Histogram().merge(
            parts[0].latency).merge(parts[-1].latency if len(parts) > 1 else None).part(),
                **{count: kind.all[count] for count in KIND_COUNTS}}
        if len(parts) > 1:
            add_numbers(part["status"], parts[1].status)
            add_numbers(part, parts[1].all, KIND_COUNTS)
        merged.append(part)
    order = [*one.kinds, *(name for name in other.kinds if name not in one.kinds)]
    return sorted(merged, key=lambda part: order.index(part["name"]))


def merge_errors(errors, others):
    for other in others:
        like = next((error for error in errors if all(
            error.get(name) == other.get(name) for name in ("phase", "code", "text"))), None)
        if like:
            add_numbers(like, other, ("count", "requests"))
        else:
            errors.append(other)


def name_remark(all_, text):
    """Returns "HOST, part 2: TEXT". A merged result's text already has this prefix."""
    host, (index, _) = all_["env"].get("host"), place_of(all_)
    place = ", ".join([host] * bool(host) + [f"part {index}"] * bool(index))
    return text if "parts" in all_ or not place else f"{place}: {text}"


def merge_clock(env, other):
    """Keeps the larger error of both clocks, which limits how well the parts' times agree."""
    clock, more = env.get("clock"), other.get("clock")
    if not clock or not more:
        env["clock"] = None
        return
    names = ("estimated_error_ns", "greatest_error_ns")
    add_numbers(clock, more, names, greatest=names)
    clock["synchronised"] = clock["synchronised"] and more["synchronised"]


def merge(one, other):
    """Merges two results. Values that cannot be added are from the first one."""
    if one.is_open != other.is_open:
        raise other.refuse("an open and a closed loop cannot be parts of one run")
    with other.refusing("it cannot be merged; a part of it is not that of a result"):
        merged = Run(merge_objects(one, other), f"{one.name[:150]},{other.name[:150]}")
        judge_merged(merged)
        merged.all["summary"] = merged.summary()
    return merged


def merge_objects(one, other):
    into, more = json.loads(json.dumps(one.all)), json.loads(json.dumps(other.all))
    parts = parts_of(one) + parts_of(other)
    for name in TIMES_ALL:
        if into["latency"].get(name) or more["latency"].get(name):
            times = [run.times.get(name) for run in (one, other)]
            into["latency"][name] = Histogram().merge(times[0]).merge(times[1]).part()
    for row, like in zip(into["intervals"], more["intervals"]):
        merge_row(row, like)
    into["intervals"] += more["intervals"][len(into["intervals"]):]
    if one.kinds or other.kinds:
        into["kinds"] = merge_kinds(one, other)
    into["parts"] = parts
    for name in ("requests", "warmup", "datagrams", "http2", "tls", "connections", "client",
                 "bytes", "status", "rate"):
        add_numbers(into.get(name), more.get(name), least=("allowed",), greatest=("reached",))
    add_numbers(into, more, ("waited", "unserved", "errors_of_other_kinds", "intervals_dropped",
                             "log_lines", "log_dropped"))
    into["part"], into["duration_ns"] = None, max(one.duration, other.duration)
    into["stall"] = max(into["stall"], more["stall"], key=lambda stall: stall["longest_ns"])
    merge_errors(into["errors"], more["errors"])
    client, rate = into["client"], into["rate"]
    client["threads"] += more["client"]["threads"]
    cpu = client["cpu_user_ns"] + client["cpu_system_ns"]
    rate["per_client_cpu_second"] = rate["completed"] * 1e9 / cpu if cpu > 0 else 0.0
    if CODES.index(other.exit_code) < CODES.index(one.exit_code):
        into.update({name: more[name] for name in ("valid", "verdict", "exit_code")})
    for name in ("invalid_reasons", "warnings"):
        into[name] = [name_remark(run.all, text) for run in (one, other) for text in run.all[name]]
    merge_clock(into["env"], more["env"])
    summary = into.pop("summary")
    into["summary"] = {name: summary[name] + more["summary"][name]
                       for name in ("attempts", "errors")}
    return into


def judge_merged(run):
    """Evaluates the objectives of a merged result. A single part may miss an objective that the
    whole meets."""
    for term in run.all["slo"]:
        with contextlib.suppress(*BROKEN):
            objective, = read_objectives(term["expr"])
            term["value"], term["pass"], _ = objective.judge(run)
    if run.exit_code in (OK, SLO):
        all_hold = all(term["pass"] is True for term in run.all["slo"])
        run.exit_code = OK if all_hold else SLO
        run.all.update(exit_code=run.exit_code, verdict="VALID" if all_hold else "FAILED",
                       valid=all_hold)


# ---- files ----

def dump(value, indent="\n"):
    """Returns the value as JSON. Floating-point numbers have nine digits."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        return "{" + ",".join(deeper + json.dumps(name, ensure_ascii=False) + ": "
                              + dump(item, deeper) for name, item in value.items()) + indent + "}"
    if isinstance(value, list) and value:
        return "[" + ",".join(deeper + dump(item, deeper) for item in value) + indent + "]"
    if isinstance(value, float):
        text = re.sub(r"e\+?(-?)0*", r"e\1", f"{value:.9g}")
        return text if re.search("[.e]", text) else text + ".0"
    return json.dumps(value, ensure_ascii=False)


class WholeFile:
    """A file that is written completely or not at all; "-" is standard output."""

    def __init__(self, flag, path):
        self.flag, self.path, self.target = flag, path, os.path.realpath(path)
        with self.told():
            folder, self.mode = os.path.dirname(self.target), None
            if path != "-" and os.path.exists(self.target):
                self.mode = os.stat(self.target).st_mode
                os.close(os.open(self.target, os.O_WRONLY | os.O_NONBLOCK))
            elif path != "-" and not os.access(folder, os.W_OK):
                os.stat(folder)
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    @contextlib.contextmanager
    def told(self):
        try:
            yield
        except OSError as err:
            name = "standard output" if self.path == "-" else self.path
            raise Bad(f"{self.flag}: {name}: {err.strerror}", INTERNAL) from err

    def write(self, text):
        data = text.encode(errors="replace")
        with self.told():
            if self.path == "-":
                sys.stdout.flush()
                sys.stdout.buffer.write(data)
                sys.stdout.flush()
            elif self.mode is not None and not stat.S_ISREG(self.mode):
                with open(self.path, "wb") as file:
                    file.write(data)
            else:
                self._replace(data)

    def _replace(self, data):
        handle, beside = tempfile.mkstemp(".tmp", os.path.basename(self.target)[:200] + ".",
                                          os.path.dirname(self.target))
        try:
            with open(handle, "wb") as file:
                file.write(data)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(beside, 0o666 & ~mask if self.mode is None else stat.S_IMODE(self.mode))
            os.replace(beside, self.target)
        except OSError as err:
            os.unlink(beside)
            if err.errno != errno.EBUSY:
                raise
            with open(self.target, "wb") as file:  # the name is a mount point
                file.write(data)


def tell_bad(function, *args):
    """Calls a function. Returns False, after printing the error, if it raises Bad."""
    try:
        function(*args)
    except Bad as err:
        say(str(err))
        return False
    return True


def write_json(path, value):
    """Writes a value as JSON. Returns False after printing an error."""
    return tell_bad(lambda: WholeFile("--json", path).write(dump(value) + "\n"))
