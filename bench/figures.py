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
from results import BadDocument, count_text, interval_text, measured_of

HEADING = "## Figures"
COLUMNS = 96

# What a line of README compares: its name, its peers, and (row, case) of each
# figure. ";" stands between figures, "," between peers.
TLS_FIGURES = [("T11", "full handshake, ECDSA P-256"),
               ("T11r", "resumed handshake, TLS 1.3"),
               ("T11d", "1 MiB answers, 4 connections")]
SERVICES = ["nginx", "haproxy"]
ECHO = "128 B, 50 connections"
LINES = [
    ("echo of 128 B, 50 connections", ["uv_tuned", "uv", "event", "uring"],
     [("T1", ECHO)]),
    ("the same by tasks and streams", ["uvloop", "uring"],
     [("T3", f"128 B by streams, {ECHO[7:]}")]),
    ("proxy: 1 KiB; connect, ask, close", SERVICES,
     [("T16", "1 KiB, 50 connections"),
      ("T16c", "connect-request-close, client first")]),
    ("TLS by {engine}: handshake; resumed; 1 MiB", SERVICES, TLS_FIGURES),
]
OTHER_TLS = ("the same by {engine}", SERVICES, TLS_FIGURES)
# README calls what is written by hand so.
BY_HAND = {"uring": "the ring by hand"}

FIRST = ["first_weir", "weir", "uv", "first_asyncio", "first_go"]
FIRST_NAMES = {"first_weir": "weir, the program above",
               "weir": "its protocol", "uv": "libuv",
               "first_asyncio": "asyncio's streams", "first_go": "Go"}
FIRST_FIGURES = [("us CPU/msg", "CPU of a message, us"),
                 ("B/connection", "memory of an idle connection, KiB")]


def engine_of(document):
    """The library that weir's TLS had: its name, by the version that it says."""
    found = re.search(r"TLS by (\w+)", document["versions"].get("weir", ""))
    return found[1] if found else "no library"


# ---- README ----

def _ratio(document, row, case, peer):
    for result in document["results"]:
        if (result["row"], result["case"], result["peer"]) == (row, case, peer):
            measured = measured_of(result)
            return ("not run" if measured is None
                    else f"{measured:.2f}{_interval(result)}")
    return "not run"


def _interval(result):
    text = interval_text(result, "{:.2f}–{:.2f}")
    return f" ({text})" if text else ""


def _medians(document):
    """Runs from before intervals had rounds."""
    return (f"medians of {document['rounds']:.0f} rounds, without intervals,"
            if document["rounds"] else "medians, with intervals of 95 %,")


def _line(document, name, peers, cases):
    beside = ", ".join(BY_HAND.get(peer, name_of(peer)) for peer in peers)
    values = "; ".join(
        ", ".join(_ratio(document, row, case, peer) for peer in peers)
        for row, case in cases)
    return f"| {name.format(engine=engine_of(document))} | {beside} | {values} |"


def _first(document):
    """The table of first programs: absolute figures, for who pays them."""
    cells = {}
    for result in document["results"]:
        if result["row"] == "first" and result["subject"] is not None:
            cells[result["figure"], "first_weir"] = result["subject"]
            cells[result["figure"], result["peer"]] = result["peer_value"]
    if not cells:
        return []
    lines = ["", "| first programs: an echo of 128 B, 50 connections | "
             + " | ".join(FIRST_NAMES[name] for name in FIRST) + " |",
             "|---|" + "---|" * len(FIRST)]
    for figure, text in FIRST_FIGURES:
        scale = 1024 if figure == "B/connection" else 1
        values = [cells.get((figure, name)) for name in FIRST]
        lines.append(f"| {text} | " + " | ".join(
            "not run" if value is None else f"{value / scale:.1f}"
            for value in values) + " |")
    return lines


def kept(document):
    """What of a run is kept: all but what was started, which the page shows."""
    return document | {"commands": {}}


def _an(text):
    return ("an " if text[:1].upper() in "AEIOU" else "a ") + text


def _where(document):
    """The kind of machine, and the day."""
    date = document["date"].split()[:1]
    return (_an(machine.kind_of(document["machine"]))
            + "".join(f" ({day})" for day in date))


def section(document, other):
    """README's section, from its heading to the empty line after its last table."""
    text = (f"Server CPU for each message, as a ratio to others that take turns "
            f"with weir: {_medians(document)} on "
            f"{_where(document)}. `bench/run --report FILE` draws yours; "
            "`bench/README.md` has all rows and what is missed.")
    lines = [HEADING, "", *textwrap.wrap(text, COLUMNS,
                                         break_on_hyphens=False),
             "", "| | beside | weir |", "|---|---|---|"]
    lines += [_line(document, *line) for line in LINES]
    lines.append(_line(other, *OTHER_TLS))
    return "\n".join([*lines, *_first(document), ""]) + "\n"


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
            f"{_where(document)}; memory is of one run. "
            f"{count_text(document['results'])}.")
    return text + "".join(f" Failed: {failure}."
                          for failure in document["failures"])


def _table_of_all(document):
    lines = {}
    for result in document["results"]:
        key = result["row"], f"{result['case']}, {result['figure']}"
        lines.setdefault(key, []).append(result)
    return ["", *textwrap.wrap(_text_of_all(document), 85,
                               break_on_hyphens=False), "",
            "| row | what is measured | weir | weir as a ratio to |",
            "|---|---|---|---|",
            *[_case_line(*key, results) for key, results in lines.items()]]


def table(document, other):
    """bench/README.md's section of all rows, as that of README."""
    text = ("Written by `bench/report.py --update` from two kept runs: no line is "
            "by hand. A target stands in brackets, and what misses it in bold; "
            "in italics, what a run cannot tell.")
    if document["not_run"]:
        text += (" The first run has no row "
                 + ", ".join(sorted(document["not_run"])) + ".")
    return "\n".join([HEADING, "", *textwrap.wrap(text, 85),
                      *_table_of_all(document), *_table_of_all(other), ""]) + "\n"


# ---- in their places ----

def replace(readme, text):
    """A text with the section in the place of the one that it has."""
    start = readme.find(f"{HEADING}\n")
    end = readme.find("\n## ", start)
    if start < 0 or end < 0:
        raise BadDocument(f"no section '{HEADING}' that ends is there")
    return readme[:start] + text + readme[end + 1:]


def of_readme(readme):
    """The section as a text has it."""
    start = readme.find(f"{HEADING}\n")
    end = readme.find("\n## ", start)
    return readme[start:end + 1] if 0 <= start < end else ""
