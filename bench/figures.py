"""The figures that are kept in the tree: README's few, and all of bench/README.md.

Two runs are kept, of one day and machine: of a build with wolfSSL, all rows, and
of one with OpenSSL, those of TLS. Which figures README shows is said here once;
figures, misses, the kind of machine and the day are the runs'. A row that a run
has not is said to be so: no figure of another day stands beside it.
"""
import re
import textwrap

import machine
from peers import name_of
from results import BadDocument, count_text, interval_text

COST = "**What it costs.**"
HEADING = "## Figures"
# The section of figures in README.md or in bench/README.md.
SECTION = re.compile(rf"^(?:{re.escape(COST)}.*?\n(?=- \*\*)|{HEADING}\n.*?\n(?=## ))",
                     re.M | re.S)
COLUMNS = 99

# A line of README: its name, its rows, its peers, and the indexes of the kept runs
# with these rows. The line shows the best and the worst of all its cases.
LIBRARIES = ["uring", "uv_tuned", "uv", "event"]
SERVICES = ["nginx", "haproxy"]
LINES = [
    ("echo, callbacks", ["T1", "T5"], LIBRARIES, [0]),
    ("echo, tasks and streams", ["T3"], [*LIBRARIES, "uvloop"], [0]),
    ("echo, callbacks, on epoll", ["T20", "T20b", "T20p"], ["epoll", "uv"], [0]),
    ("weir-proxy", ["T16", "T16c"], SERVICES, [0]),
    ("TLS", ["T11", "T11r", "T11d"], SERVICES, [0, 1]),
]

FIRST = ["first_weir", "weir", "uv", "first_asyncio", "first_go"]
FIRST_NAMES = {"first_weir": "weir, tasks", "weir": "weir, callbacks",
               "uv": "libuv", "first_asyncio": "asyncio streams",
               "first_go": "Go"}
FIRST_FIGURES = [("us CPU/msg", "CPU per message, µs (ratio)"),
                 ("B/connection", "memory per idle connection, KiB")]


def engine_of(document):
    """The library that weir's TLS had: its name, by the version that it says."""
    found = re.search(r"TLS by (\w+)", document["versions"].get("weir", ""))
    return found[1] if found else "no library"


# ---- README ----

def _interval(result):
    """Of runs from before intervals the range of the rounds."""
    text = interval_text(result, "{:.2f}–{:.2f}")
    if not text and result["interval"] is None and len(result["ratios"]) > 1:
        text = f"{min(result['ratios']):.2f}–{max(result['ratios']):.2f}"
    return f" ({text})" if text else ""


def _medians(document):
    """Runs from before intervals had rounds."""
    return (f"medians of {document['rounds']:.0f} rounds (lowest to highest)"
            if document["rounds"] else "medians (intervals of 95 %)")


def _case(result, engine):
    return (f"{engine}{result['case']}: {result['ratio']:.2f} of "
            f"{name_of(result['peer'])}{_interval(result)}")


def _line(documents, name, rows, peers, runs):
    """A case that more than one run has is shown with the run's TLS library."""
    found = sorted(((result["ratio"], _case(result, f"{engine_of(documents[run])}, "
                                            * (len(runs) > 1)))
                    for run in runs for result in documents[run]["results"]
                    if result["row"] in rows and result["peer"] in peers
                    and result["ratio"] is not None))
    cells = [case for _, case in found[:1] + found[-1:]] or ["not run"] * 2
    return f"| {name} | " + " | ".join(cells) + " |"


def _first(document):
    """The table of first programs, in absolute figures. Only the ratios to weir's
    first program have intervals."""
    cells = {}
    for result in document["results"]:
        if result["row"] == "first" and result["subject"] is not None:
            scale = 1024 if result["figure"] == "B/connection" else 1
            cells[result["figure"], "first_weir"] = f"{result['subject'] / scale:.1f}"
            if result["peer_value"] is not None:
                cells[result["figure"], result["peer"]] = (
                    f"{result['peer_value'] / scale:.1f}{_interval(result)}")
    if not cells:
        return []
    return ["| | " + " | ".join(FIRST_NAMES[name] for name in FIRST) + " |",
            "|---|" + "---|" * len(FIRST),
            *(f"| {text} | " + " | ".join(cells.get((figure, name), "not run")
                                          for name in FIRST) + " |"
              for figure, text in FIRST_FIGURES), ""]


def _peers(document, rows):
    """The versions of the programs that rows name, beside which weir's is not."""
    return ", ".join(f"{name} {text.split('-')[0]}"
                     for name, text in document["versions"].items()
                     if name != "weir" and f"of {name} " in " ".join(rows))


def kept(document):
    """What of a run is kept: all but what was started, which the page shows."""
    return document | {"commands": {}}


def _an(text):
    return ("an " if text[:1].upper() in "AEIOU" else "a ") + text


def _where(document, parts=None):
    """The kind of machine, or this many parts of its description, and the day."""
    date = document["date"].split()[:1]
    return (_an(", ".join(machine.kind_of(document["machine"]).split(", ")[:parts]))
            + "".join(f" ({day})" for day in date))


def section(document, other):
    """README's section, from its bold words to the end of its last table."""
    rows = [_line((document, other), *line) for line in LINES]
    text = (f"{COST} The first table compares echo servers (128 B, 50 connections) in each "
            "library's usual style, with the ratio of weir's tasks to each column. The second "
            "table has the lowest and the highest ratio of weir's CPU to that of another program: "
            "\"bare\" is a hand-written loop, \"tuned\" libuv has one read buffer and "
            "uv_try_write(). [Measured](bench/README.md) on "
            f"{_where(document, 1)} with {_peers(document, rows)}: {_medians(document)}; "
            "memory was measured once.")
    return "\n".join([
        *textwrap.wrap(text, COLUMNS, break_on_hyphens=False), "", *_first(document),
        "| | best case | worst case |", "|---|---|---|", *rows, ""]) + "\n"


# ---- all rows ----

def _number(value):
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _beside_target(text, result):
    """A figure with its target: in bold letters if it is missed, in italics where
    the run cannot tell."""
    if result["target"] is None:
        return text
    text = f"{text} (≤ {_number(result['target'])})"
    mark = {"missed": "**", "cannot tell": "*"}.get(result["verdict"], "")
    return f"{mark}{text}{mark}"


def _peer(result):
    ratio = "not run" if result["ratio"] is None else f"{result['ratio']:.2f}"
    note = f" ({result['note']})" if result["note"] else ""
    return _beside_target(
        f"{name_of(result['peer'])}{note} {ratio}{_interval(result)}", result)


def _case_line(row, what, results):
    """The line of a case and a figure, whoever it is compared with."""
    own = _number(results[0]["subject"])
    cells = [row, what, own if results[0]["peer"]
             else _beside_target(own, results[0]),
             ", ".join(_peer(result) for result in results if result["peer"])]
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _text_of_all(document):
    on = document["machine"]["engine"]
    text = (f"TLS by {engine_of(document)}{f', weir on {on}' if on else ''}: "
            f"{_medians(document)} in windows of {document['window_ms'] / 1000:g} s, "
            f"each after {document['warm_ms'] / 1000:g} s of warm-up, on "
            f"{_where(document)}; memory was measured once. "
            f"{count_text(document['results'])}.")
    return text + "".join(f" Failed: {failure}."
                          for failure in document["failures"])


def _table_of_all(document):
    lines = {}
    for result in document["results"]:
        key = result["row"], f"{result['case']}, {result['figure']}"
        lines.setdefault(key, []).append(result)
    return ["", *textwrap.wrap(_text_of_all(document), COLUMNS,
                               break_on_hyphens=False), "",
            "| row | what is measured | weir | weir as a ratio to |",
            "|---|---|---|---|",
            *[_case_line(*key, results) for key, results in lines.items()]]


def table(document, other):
    """bench/README.md's section of all rows, as that of README."""
    text = ("`bench/report.py --update` writes this section from two kept runs; do not "
            "edit it. A target is in brackets. A figure that misses its target is in bold; "
            "a figure for which the run cannot tell is in italics.")
    if document["rounds"]:
        text += (" These runs have rounds instead of starts, and the range of the rounds "
                 "instead of an interval.")
    if document["not_run"]:
        text += (" The first run has no row "
                 + ", ".join(sorted(document["not_run"])) + ".")
    return "\n".join([HEADING, "", *textwrap.wrap(text, COLUMNS, break_on_hyphens=False),
                      *_table_of_all(document), *_table_of_all(other), ""]) + "\n"


# ---- in their places ----

def replace(readme, text):
    """A text with the section in the place of the one that it has."""
    old = of_readme(readme)
    if not old:
        raise BadDocument(f"no section '{COST}' or '{HEADING}' that ends is there")
    return readme.replace(old, text)


def of_readme(readme):
    """The section as a text has it."""
    found = SECTION.search(readme)
    return found[0] if found else ""
