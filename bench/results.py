"""The document of a run: what is written to a file of results, and read again.

It is JSON, a result a line, so that two runs can be compared by a tool for texts.
What is read was written by somebody: each field is checked, and what is wrong is
said with its place. Fields that are not known are passed over, for a later
version may write more.
"""
import contextlib
import datetime
import json
import operator
import os
import sys

FORMAT = "weir-bench 1"
SIZE_MAX = 16 << 20
NUMBER_MAX = 10**18


class BadDocument(Exception):
    """A file that is no document of results: its text says why."""


def _is_number(value):
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and -NUMBER_MAX <= value <= NUMBER_MAX)


def _is_text(value):
    """Half of a surrogate pair, which JSON can name, is no text of UTF-8."""
    return isinstance(value, str) and not any(
        "\ud800" <= char <= "\udfff" for char in value)


def _are_texts(values):
    return all(map(_is_text, values))


KINDS = {
    "a text": _is_text,
    "a number": _is_number,
    "a number or null": lambda v: v is None or _is_number(v),
    "a number above 0 or null": lambda v: v is None or (
        _is_number(v) and v > 0),
    "true or false": lambda v: isinstance(v, bool),
    "a list of numbers": lambda v: isinstance(v, list) and all(
        _is_number(n) for n in v),
    # Empty if there were too few starts; any value is then possible.
    "an interval or null": lambda v: v is None or (
        KINDS["a list of numbers"](v) and (v == [] or (
            len(v) == 2 and 0 <= v[0] <= v[1]))),
    "a list of texts": lambda v: isinstance(v, list) and _are_texts(v),
    "an object of texts": lambda v: (
        isinstance(v, dict) and _are_texts(v) and _are_texts(v.values())),
    "an object of lists of texts": lambda v: (
        isinstance(v, dict) and _are_texts(v) and all(
            KINDS["a list of texts"](n) for n in v.values())),
}

# For each object: its fields, each with its kind and its default. A field without a
# default is required.
DOCUMENT = [
    ("subject", "a text"), ("window_ms", "a number"),
    ("rounds", "a number or null", None),  # only in old runs, without intervals
    ("warm_ms", "a number"), ("date", "a text", ""),
    ("command", "a text", ""), ("build", "a text", ""),
    ("revision", "a text", ""), ("versions", "an object of texts", {}),
    ("rows", "an object of texts", {}), ("not_run", "an object of texts", {}),
    ("left_out", "an object of texts", {}),
    ("commands", "an object of lists of texts", {}),
    ("failures", "a list of texts"),
]
MACHINE = [
    ("kernel", "a text"), ("processor", "a text"),
    ("caches", "an object of texts"), ("server_cpu", "a number"),
    ("client_cpu", "a number"), ("one_core", "true or false"),
    ("own_network", "true or false"), ("congestion_control", "a text"),
    ("load", "a number"), ("system", "a text", ""),
    ("cpus", "a number or null", None), ("memory_mib", "a number or null", None),
    ("is_guest", "true or false", False),
    ("call_ns", "a number or null", None),
    ("mitigations", "a list of texts", []), ("masked", "a text", ""),
    ("engine", "a text", ""),
]
RESULT = [
    ("row", "a text"), ("case", "a text"), ("figure", "a text"),
    ("subject", "a number or null"), ("peer", "a text"), ("note", "a text"),
    ("peer_value", "a number or null"), ("ratio", "a number or null"),
    ("target", "a number or null"), ("ratios", "a list of numbers", []),
    ("interval", "an interval or null", None),
    ("x", "a number above 0 or null", None),
]


def _take(value, fields, place):
    """The known fields of an object, each of its kind."""
    if not isinstance(value, dict):
        raise BadDocument(f"{place} is no object")
    ret = {}
    for name, kind, *otherwise in fields:
        where = f"{place}.{name}" if place else name
        if name not in value:
            if not otherwise:
                raise BadDocument(f"{where} is missing")
            ret[name] = otherwise[0]
        elif not KINDS[kind](value[name]):
            raise BadDocument(f"{where} is not {kind}")
        else:
            ret[name] = value[name]
    return ret


def _refuse(name):
    raise BadDocument(f"{name} is no number")


def parse(text):
    """The document that a text is."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"no JSON: {error}") from error
    if not isinstance(value, dict) or "results" not in value:
        raise BadDocument("no results of bench/run are in it")
    chosen = value.get("format", FORMAT)
    if chosen != FORMAT:
        raise BadDocument(f"its format is {chosen!r}, and not {FORMAT!r}")
    ret = _take(value, DOCUMENT, "")
    ret["machine"] = _take(value.get("machine"), MACHINE, "machine")
    if not isinstance(value["results"], list):
        raise BadDocument("results is no list")
    ret["results"] = []
    for number, result in enumerate(value["results"]):
        taken = _take(result, RESULT, f"results[{number}]")
        taken["verdict"] = verdict_of(taken)
        ret["results"].append(taken)
    return ret


def measured_of(result):
    """What a target is compared with: the ratio, or the figure by itself."""
    return (result["ratio"] if result["ratio"] is not None
            else result["subject"])


def interval_text(result, low_to_high="{:.3f}..{:.3f}"):
    """Of one number it is empty."""
    if result["interval"] is None:
        return ""
    return (low_to_high.format(*result["interval"]) if result["interval"]
            else "few starts")


def verdict_of(result):
    """Met, missed, or cannot tell, where the target lies in the interval; nothing
    without a target or a figure. One number without an interval is compared."""
    measured = measured_of(result)
    if result["target"] is None or measured is None:
        return ""
    interval = result["interval"]
    if interval is None:
        interval = [measured, measured]
    if not interval or interval[0] <= result["target"] < interval[1]:
        return "cannot tell"
    return "met" if interval[1] <= result["target"] else "missed"


def count_text(results):
    """How many targets are met, and how many the run cannot tell."""
    words = [verdict for verdict in map(operator.itemgetter("verdict"), results)
             if verdict]
    unknown = words.count("cannot tell")
    return (f"{words.count('met')} of {len(words)} targets are met"
            + f", {unknown} cannot be told" * (unknown > 0))


def read(path):
    """The document in a file."""
    try:
        if os.path.getsize(path) > SIZE_MAX:
            raise BadDocument(f"{path}: larger than {SIZE_MAX >> 20} MiB")
        with open(path, encoding="utf-8") as file:
            return parse(file.read())
    except OSError as error:
        raise BadDocument(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadDocument(f"{path}: no UTF-8") from error
    except BadDocument as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise BadDocument(f"{path}: {error}") from error


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime(
        "%Y-%m-%d %H:%M UTC")


def as_text(document):
    """The text of a file: every field a line, and every result."""
    parts = [f' "format": {json.dumps(FORMAT)}']
    for name, value in document.items():
        if name == "format":
            continue
        if name == "results":
            lines = ",\n".join("  " + json.dumps(result) for result in value)
            parts.append(f' "results": [\n{lines}\n ]')
        else:
            parts.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write(path, text):
    """Write a whole file or leave it as it was; "-" is standard output."""
    if path == "-":
        sys.stdout.write(text)
        return
    data = text.encode()
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:  # a device or a pipe
            file.write(data)
        return
    path = os.path.realpath(path)
    try:
        with open(f"{path}.new", "wb") as file:
            file.write(data)
        os.replace(f"{path}.new", path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(f"{path}.new")
        raise


def _of_one_run(document):
    """What a page and README say once of all rows: of runs that differ in it, one
    would stand under the other's day, machine or build."""
    machine = {f"machine's {name}": document["machine"][name]
               for name in ("processor", "caches", "kernel", "own_network",
                            "congestion_control", "masked", "engine",
                            "server_cpu", "client_cpu")}
    return machine | {"day": document["date"].split()[:1]} | {
        name: document[name] for name in (
            "subject", "revision", "build", "rounds", "window_ms", "warm_ms")}


def join(documents):
    """One document of several runs of one day, build and machine: a row is taken
    from the last that has it, and what failed in it from there as well."""
    first = _of_one_run(documents[0])
    for document in documents[1:]:
        for name, value in _of_one_run(document).items():
            if value != first[name]:
                raise BadDocument("runs that are not one: their "
                                  f"{name} is {first[name]} and {value}")
    ret = dict(documents[0])
    ret["commands"] = {}
    for document in documents:
        rows = {result["row"] for result in document["results"]}
        ret["results"] = [result for result in ret["results"]
                          if document is documents[0]
                          or result["row"] not in rows]
        if document is not documents[0]:
            ret["results"] += document["results"]
            ret["failures"] = [
                failure for failure in ret["failures"]
                if failure.split(":")[0] not in rows] + document["failures"]
            ret["command"] += "\n" + document["command"]
        ret["commands"] |= document["commands"]
        ret["rows"] = ret["rows"] | document["rows"]
        ret["versions"] = document["versions"] | ret["versions"]
        ret["left_out"] = ret["left_out"] | document["left_out"]
    there = {result["row"] for result in ret["results"]}
    ret["not_run"] = {row: why for document in documents
                      for row, why in document["not_run"].items()
                      if row not in there}
    return ret
