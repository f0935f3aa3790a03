"""Parsers of weir-load's files for pipelines, as strict as the formats allow, so that
files accepted here are accepted by others, too."""

import re
from xml.etree import ElementTree

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'


def need(condition, why):
    if not condition:
        raise AssertionError(why)


# ---- Prometheus ----

def unescape(text):
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]),
                  text)


def labels_of(text):
    labels, at = {}, 0
    while at < len(text):
        found = re.compile(LABEL).match(text, at)
        need(found, f"no label in {text[at:]!r}")
        need(found[1] not in labels, f"{found[1]} stands twice in {text!r}")
        need(not found[1].startswith("__"), f"{found[1]} is reserved")
        labels[found[1]] = unescape(found[2])
        at = found.end()
        need(at == len(text) or text[at] == ",", f"no comma in {text[at:]!r}")
        at += at < len(text)
    return labels


def read_prometheus(text):
    """Returns the samples of version 0.0.4 as {metric: [(labels, value)]}. Requires
    comments before samples, all samples of a metric together, and no duplicates."""
    need(text.endswith("\n"), "no newline at the end")
    metrics, kinds, helped = {}, {}, set()
    for line in text.split("\n")[:-1]:
        comment = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.*)", line)
        if comment:
            word, name, rest = comment.groups()
            need(name not in metrics, f"{word} of {name} behind its samples")
            if word == "TYPE":
                need(rest == "gauge" and name not in kinds, f"type: {line!r}")
                kinds[name] = rest
            else:
                need(rest and name not in helped, f"help: {line!r}")
                helped.add(name)
            continue
        sample = re.fullmatch(rf"({NAME})\{{(.*)\}} (\S+)", line)
        need(sample, f"no sample: {line!r}")
        name, labels, value = sample.groups()
        need(name in kinds and name in helped, f"no comments before {line!r}")
        need(name in metrics or list(kinds)[-1] == name, f"{name} is torn")
        need(list(kinds)[-1] == name, f"{name} is torn apart")
        samples = metrics.setdefault(name, [])
        labels = labels_of(labels)
        need(labels not in [other for other, _ in samples], f"twice: {line!r}")
        samples.append((labels, float(value)))
    need(set(kinds) == set(metrics), f"without samples: {kinds}")
    return metrics


# ---- JUnit ----

ATTRIBUTES = {"tests", "failures", "errors", "skipped"}
ORDER = ["properties", "testcase", "system-out"]


def read_junit(text):
    """Returns the test cases as {name: (state, message)}, after checking the form."""
    need(text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n'), "prolog")
    root = ElementTree.fromstring(text.encode())
    need(root.tag == "testsuites" and len(root) == 1, "one suite in testsuites")
    suite = root[0]
    need(suite.tag == "testsuite" and suite.get("name"), "a suite with a name")
    tags = [child.tag for child in suite]
    need(tags == sorted(tags, key=ORDER.index), f"order: {tags}")
    cases, states = {}, []
    for case in suite.iter("testcase"):
        need(case.get("name") and case.get("classname"), "names of a case")
        need(len(case) <= 1, "one state of a case")
        state = case[0].tag if len(case) else "passed"
        need(state in ("passed", "failure", "error", "skipped"), state)
        cases[case.get("name")] = (
            state, case[0].get("message") if len(case) else None)
        states.append(state)
    for place in (root, suite):
        need(ATTRIBUTES | {"name", "time"} == set(place.keys()), "attributes")
        need([int(place.get(name)) for name in
              ("tests", "failures", "errors", "skipped")] ==
             [len(states), states.count("failure"), states.count("error"),
              states.count("skipped")], f"counts of {place.attrib}")
        need(float(place.get("time")) >= 0, "time")
    return cases


def properties_of(text):
    return {item.get("name"): item.get("value") for item in
            ElementTree.fromstring(text.encode()).iter("property")}


# ---- Markdown ----

def read_tables(text):
    """Returns the tables as lists of rows of cells; all rows have the same number."""
    tables, rows = [], []
    for line in [*text.split("\n"), ""]:
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)
            need(cells[0] == cells[-1] == "", f"row: {line!r}")
            rows.append([cell.strip() for cell in cells[1:-1]])
        elif rows:
            need(len({len(row) for row in rows}) == 1, f"cells: {rows}")
            need(all(set(cell) <= set("-:") for cell in rows[1]), "rule")
            tables.append([rows[0], *rows[2:]])
            rows = []
    return tables
