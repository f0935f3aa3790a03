"""README's section of figures, made from a kept run.

README shows few rows of many. Which, is said here once; the figures, the kind of
machine and the day are the run's. A row that the run has not is said to be so:
no figure of another day stands beside it.
"""
import textwrap

import machine
from peers import name_of
from results import BadDocument, measured_of

HEADING = "## Figures"
COLUMNS = 96

# What a line of README compares: its name, and (row, case, peers). The peers of a
# row follow one another; "," stands between rows, ";" between peers.
ECHO = "128 B, 50 connections"
LINES = [
    ("echo of 128 B, 50 connections", [("T1", ECHO, ["uv", "event", "uring"])]),
    ("the same by tasks and streams",
     [("T3", f"128 B by streams, {ECHO[7:]}", ["uvloop", "uring"])]),
    ("TLS 1.3: handshakes; 1 MiB answers",
     [("T11", "full handshake, ECDSA P-256", ["nginx"]),
      ("T11d", "1 MiB answers, 4 connections", ["nginx"])]),
    ("UDP echo of 64 B, 50 sockets",
     [("T12", "64 B, 50 sockets x 1", ["mmsg", "uv_udp"])]),
    ("proxy: 1 KiB; TLS, 1 KiB; connect, ask, close",
     [("T16", "1 KiB, 50 connections", ["haproxy"]),
      ("T16t", "1 KiB answers, 50 connections", ["haproxy"]),
      ("T16c", "connect-request-close, client first", ["haproxy"])]),
]
# README calls what is written by hand so.
BY_HAND = {"uring": "the ring by hand", "epoll": "epoll by hand",
           "mmsg": "recvmmsg by hand"}

FIRST = ["first_weir", "weir", "uv", "first_asyncio", "first_go"]
FIRST_NAMES = {"first_weir": "weir, the program above",
               "weir": "its protocol", "uv": "libuv",
               "first_asyncio": "asyncio's streams", "first_go": "Go"}
FIRST_FIGURES = [("us CPU/msg", "CPU of a message, us"),
                 ("B/connection", "memory of an idle connection, KiB")]


def _find(document, row, case, peer):
    for result in document["results"]:
        if (result["row"], result["case"], result["peer"]) == (
                row, case, peer):
            return result
    return None


def _ratio(document, row, case, peer):
    found = _find(document, row, case, peer)
    if found is None or measured_of(found) is None:
        return "not run"
    return f"{measured_of(found):.2f}"


def _line(document, name, parts):
    beside, values = [], []
    for row, case, peers in parts:
        for peer in peers:
            called = BY_HAND.get(peer, name_of(peer))
            if called not in beside:
                beside.append(called)
            values.append(_ratio(document, row, case, peer))
    return f"| {name} | {'; '.join(beside)} | {'; '.join(values)} |"


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
    """What of a run README's section is made of: small enough for the tree."""
    cases = {(row, case, peer) for _, parts in LINES
             for row, case, peers in parts for peer in peers}
    chosen = [result for result in document["results"]
              if result["row"] == "first" or
              (result["row"], result["case"], result["peer"]) in cases]
    rows = {result["row"] for result in chosen}
    return document | {
        "results": chosen, "commands": {}, "not_run": {}, "left_out": {},
        "failures": [],
        "rows": {row: text for row, text in document["rows"].items()
                 if row in rows}}


def section(document):
    """The section, from its heading to the empty line after its last table."""
    rounds = document["rounds"]
    date = document["date"].split()[:1]
    text = (f"Server CPU for each message, as a ratio to others that take turns "
            f"with weir: medians of {rounds:.0f} rounds on "
            f"{_an(machine.kind_of(document['machine']))}"
            + "".join(f" ({day})" for day in date)
            + ". `bench/run --report FILE` draws yours; "
            "`bench/README.md` has all rows and what is missed.")
    lines = [HEADING, "", *textwrap.wrap(text, COLUMNS,
                                         break_on_hyphens=False),
             "", "| | beside | weir |", "|---|---|---|"]
    lines += [_line(document, name, parts) for name, parts in LINES]
    return "\n".join([*lines, *_first(document), ""]) + "\n"


def _an(text):
    return ("an " if text[:1].upper() in "AEIOU" else "a ") + text


def replace(readme, text):
    """README with the section in the place of the one that it has."""
    start = readme.find(f"{HEADING}\n")
    end = readme.find("\n## ", start)
    if start < 0 or end < 0:
        raise BadDocument(f"README has no section '{HEADING}' that ends")
    return readme[:start] + text + readme[end + 1:]


def of_readme(readme):
    """The section as README has it."""
    start = readme.find(f"{HEADING}\n")
    end = readme.find("\n## ", start)
    return readme[start:end + 1] if 0 <= start < end else ""
