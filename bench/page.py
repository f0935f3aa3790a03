"""The page of a run: every row beside its peers, with how the starts scatter.

One file without scripts, without anything from elsewhere, for a screen that is
light or dark, for paper and for a phone. What a result says stands there as a
text; the drawings repeat it. A target that was missed is named at the top, what
was not run has its reason, and the commands that repeat the run are there.
"""
import html
import math

import machine
from peers import name_of
from results import count_text, interval_text, measured_of

STYLE = """
:root{color-scheme:light dark;--text:#1f2933;--soft:#52606d;--back:#f5f7fa;
--card:#fff;--edge:#d9e2ec;--rule:#e4e7eb;--axis:#7b8794;--good:#05734d;
--bad:#b42318;--doubt:#8a5300;--dot:#2563eb}
@media(prefers-color-scheme:dark){:root{--text:#e4e7eb;--soft:#a8b3bf;
--back:#14181d;--card:#1d232a;--edge:#36414c;--rule:#323c46;--axis:#7b8794;
--good:#4ade9f;--bad:#ff8a7d;--doubt:#f5b75c;--dot:#60a5fa}}
@media print{:root{color-scheme:light;--text:#000;--soft:#444;--back:#fff;
--card:#fff;--edge:#bbb;--rule:#ddd;--axis:#777;--good:#05734d;--bad:#b42318;
--doubt:#8a5300;--dot:#1d4ed8}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);
background:var(--back);margin:0}
main{max-width:1100px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:26px;margin:0 0 2px}
h2{font-size:18px;margin:0 0 6px}
section>table+p{margin-top:8px}
section{background:var(--card);border:1px solid var(--edge);border-radius:8px;
padding:16px 20px;margin:16px 0}
p{margin:0 0 8px}.sub,.remark{color:var(--soft)}
.frame{overflow-x:auto}svg{display:block;max-width:100%}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:4px 12px 4px 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--rule)}
th{font-weight:600}td.number,th.number{text-align:right;white-space:nowrap}
td.strip{padding-top:6px;min-width:180px}
tr.case td{border-bottom:0;padding-top:10px;font-weight:600}
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
.doubt{color:var(--doubt)}
a{color:inherit}
code,pre{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
pre{white-space:pre-wrap;margin:0 0 8px}
summary{cursor:pointer;color:var(--soft)}
.axis{stroke:var(--axis)}.grid{stroke:var(--rule)}
.even{stroke:var(--axis);stroke-dasharray:3 3}
.dot{fill:var(--dot);fill-opacity:.45}.median{stroke:var(--text);
stroke-width:2.5}.target{fill:none;stroke:var(--doubt);stroke-width:2}
.interval{stroke:var(--text);stroke-width:1.5}
.line{fill:none;stroke-width:2;stroke:var(--dot)}
.c1{stroke:var(--bad)}.c2{stroke:var(--good)}.c3{stroke:var(--doubt)}
.c4{stroke:var(--axis)}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}
@media(max-width:640px){main{padding:12px 8px 32px}
section{padding:12px;border-radius:6px}
table.rows thead{display:none}
table.rows,table.rows tbody,table.rows tr,table.rows td{display:block}
table.rows td{border:0;padding:1px 0}
table.rows td.number{text-align:left;display:inline-block;
margin-right:14px}
table.rows td[data-of]:before{content:attr(data-of) ": ";color:var(--soft)}
table.rows tr{border-bottom:1px solid var(--rule);padding:6px 0}
table.rows tr.case{border:0;padding:10px 0 0}}
@media print{@page{margin:12mm}body{font-size:10.5px}
main{max-width:none;padding:0}
section{border:0;padding:0;margin:0 0 16px}
h1{font-size:20px}h2{font-size:14px}h2,tr.case{break-after:avoid}
tr,svg{break-inside:avoid}code,pre{font-size:9.5px}.frame{overflow:visible}}
"""
WIDTH, HEIGHT = 240, 22
CURVE_WIDTH, CURVE_HEIGHT = 640, 220
NUMBERS = ("its", "ratio", "target")
QUOTE = '"'


def text_of(value):
    return html.escape(str(value), quote=True)


def number(value):
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


# ---- strips ----

class Scale:
    """Ratios of a row on one axis, by their logarithm, with 1 on it."""

    def __init__(self, results):
        values = [1.0]
        for result in results:
            values += result["ratios"]
            if result["ratio"] is not None:
                values += [result["ratio"]]
                values += [result["target"]] if result["target"] else []
        values = [value for value in values if value > 0]
        self.low = math.log2(min(values)) - 0.08
        self.high = math.log2(max(values)) + 0.08

    def text(self):
        return f"{2 ** self.low:.2f} to {2 ** self.high:.2f}"

    def place(self, value):
        value = min(max(math.log2(max(value, 1e-9)), self.low), self.high)
        share = (value - self.low) / (self.high - self.low)
        return 6 + share * (WIDTH - 12)


def strip(result, scale):
    """The starts of a result as dots, their median, its interval and the target
    as marks."""
    if result["ratio"] is None:
        return ""
    middle = HEIGHT / 2
    told = f"median {result['ratio']:.3f}"
    if result["ratios"]:
        told += "; starts " + ", ".join(f"{r:.3g}" for r in result["ratios"])
    parts = [f'<svg role="img" width="{WIDTH}" height="{HEIGHT}" '
             f'viewBox="0 0 {WIDTH} {HEIGHT}"><title>{told}</title>'
             f'<line class="grid" x1="0" x2="{WIDTH}" y1="{middle}" '
             f'y2="{middle}"/>']
    even = scale.place(1.0)
    parts.append(f'<line class="even" x1="{even:.1f}" x2="{even:.1f}" y1="0" '
                 f'y2="{HEIGHT}"/>')
    for ratio in result["ratios"]:
        parts.append(f'<circle class="dot" cx="{scale.place(ratio):.1f}" '
                     f'cy="{middle}" r="4"/>')
    if result["interval"]:
        low, high = map(scale.place, result["interval"])
        parts.append(f'<line class="interval" x1="{low:.1f}" x2="{high:.1f}" '
                     f'y1="{middle}" y2="{middle}"/>')
    at = scale.place(result["ratio"])
    parts.append(f'<line class="median" x1="{at:.1f}" x2="{at:.1f}" y1="4" '
                 f'y2="{HEIGHT - 4}"/>')
    if result["target"] is not None:
        at = scale.place(result["target"])
        parts.append(f'<path class="target" d="M{at + 4:.1f} 2h-4v'
                     f'{HEIGHT - 4}h4"/>')
    return "".join(parts) + "</svg>"


# ---- verdicts ----

def verdict(result):
    """Whether the target was met, and what is to be said against it."""
    target = result["target"]
    if target is None:
        return ""
    if not result["verdict"]:
        return '<span class="doubt">not measured</span>'
    if result["verdict"] == "cannot tell":
        return '<span class="doubt">? cannot tell</span>'
    measured = measured_of(result)
    if result["verdict"] == "missed":
        share = f" by {(measured / target - 1) * 100:.0f} %" if target else ""
        return f'<span class="bad">✗ missed{share}</span>'
    return '<span class="good">✓ met</span>'


def peer_text(result):
    name = name_of(result["peer"])
    return f"{name}, {result['note']}" if result["note"] else name


def of_many(result):
    return f"of {result['x']:,.0f}" if result["x"] else ""


# ---- curves ----

def curve_scale(points):
    xs = [math.log10(x) for x, _ in points]
    top = max(y for _, y in points) * 1.15 or 1.0
    left, right = min(xs), max(xs)
    span = (right - left) or 1.0

    def place(x, y):
        return (56 + (math.log10(x) - left) / span * (CURVE_WIDTH - 76),
                CURVE_HEIGHT - 30 - y / top * (CURVE_HEIGHT - 46))

    return place, top


def curve(results):
    """A figure over a number of something, a line for each case."""
    lines = {}
    for result in results:
        if result["x"] and result["subject"] is not None:
            lines.setdefault(result["case"], []).append(
                (result["x"], result["subject"]))
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    place, top = curve_scale(points)
    parts = [f'<svg role="img" width="{CURVE_WIDTH}" height="{CURVE_HEIGHT}" '
             f'viewBox="0 0 {CURVE_WIDTH} {CURVE_HEIGHT}"><title>'
             f'{text_of(results[0]["figure"])}</title>']
    for share in (0, 0.5, 1):
        value = top / 1.15 * share
        _, y = place(points[0][0], value)
        parts.append(f'<line class="grid" x1="56" x2="{CURVE_WIDTH - 20}" '
                     f'y1="{y:.1f}" y2="{y:.1f}"/><text x="50" '
                     f'y="{y + 4:.1f}" text-anchor="end">{number(value)}'
                     '</text>')
    for x in sorted({x for x, _ in points}):
        at, _ = place(x, 0)
        parts.append(f'<text x="{at:.1f}" y="{CURVE_HEIGHT - 12}" '
                     f'text-anchor="middle">{x:,.0f}</text>')
    for index, line in enumerate(lines.values()):
        places = [place(*point) for point in sorted(line)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="line c{index % 5}" d="M{path}"/>')
        for x, y in places:
            parts.append(f'<circle class="line c{index % 5}" cx="{x:.1f}" '
                         f'cy="{y:.1f}" r="3"/>')
    key = " ".join(f'<span><svg width="18" height="8" style="display:inline">'
                   f'<path class="line c{index % 5}" d="M0 4h18"/></svg> '
                   f'{text_of(name)}</span>'
                   for index, name in enumerate(lines))
    return "".join(parts) + f'</svg><p class="remark">{key}</p>'


def curves(results):
    """The curves of a row, one for each figure, in a frame."""
    figures = {}
    for result in results:
        if result["x"]:
            figures.setdefault(result["figure"], []).append(result)
    return "".join(f'<p>{text_of(figure)}</p><div class="frame">{curve(of)}'
                   '</div>' for figure, of in figures.items())


# ---- sections ----

def row_table(results, subject):
    scale = Scale(results)
    lines = []
    heading = None
    for result in results:
        if heading != (result["case"], result["figure"]):
            heading = result["case"], result["figure"]
            lines.append('<tr class="case"><td colspan="7">'
                         f'{text_of(", ".join(heading))}</td></tr>')
        target = ("" if result["target"] is None
                  else f"≤ {result['target']:.4g}")
        ratio = "" if result["ratio"] is None else f"{result['ratio']:.3f}"
        if result["interval"] is not None:
            ratio += f" ({interval_text(result, '{:.3f} to {:.3f}')})"
        cells = [
            ("", "", text_of(peer_text(result) or of_many(result)
                             or "by itself")),
            ("number", subject, number(result["subject"])),
            ("number", "its", number(result["peer_value"])
             if result["peer"] else ""),
            ("number", "ratio", ratio),
            ("strip", "", strip(result, scale)),
            ("number", "target", target), ("", "", verdict(result))]
        lines.append("<tr>" + "".join(
            f'<td{f" class={kind}" if kind else ""}'
            f'{f" data-of={QUOTE}{name}{QUOTE}" if name and cell else ""}>'
            f'{cell}</td>'
            for kind, name, cell in cells) + "</tr>")
    heads = ["beside", subject, "its", "ratio", f"starts, {scale.text()}",
             "target", ""]
    return ('<table class="rows"><thead><tr>' + "".join(
        f'<th{" class=number" if head in (subject, *NUMBERS) else ""}>{head}</th>'
        for head in heads) + "</tr></thead><tbody>"
        + "".join(lines) + "</tbody></table>")


def name_of_subject(document):
    return "weir" if document["subject"] == "weir" else name_of(
        document["subject"])


def row_section(document, row, results):
    about = document["rows"].get(row, "")
    commands = document["commands"].get(row, [])
    told = ""
    if commands:
        told = ("<details><summary>what was started</summary><pre>"
                + "\n".join(text_of(line) for line in commands)
                + "</pre></details>")
    return (f'<section id="{text_of(row)}"><h2>{text_of(row)}'
            f'{": " if about else ""}{text_of(about)}</h2>'
            f'{curves(results)}'
            f'{row_table(results, text_of(name_of_subject(document)))}'
            f'{told}</section>')


def pairs_table(pairs):
    return "<table>" + "".join(
        f"<tr><th>{text_of(name)}</th><td>{text_of(value)}</td></tr>"
        for name, value in pairs) + "</table>"


def machine_section(document):
    of = document["machine"]
    caches = ", ".join(f"{name} {size}" for name, size in of["caches"].items())
    calls = ("not measured" if of["call_ns"] is None
             else f"{of['call_ns']:.0f} ns")
    pairs = [("kind", machine.kind_of(of)), ("processor", of["processor"]),
             ("caches of a core", caches or "not known"),
             ("CPUs", f"{of['cpus'] or 'number not known'}; server on "
              f"{of['server_cpu']:.0f}, client on {of['client_cpu']:.0f}"
              + (", threads of one core: everything scatters"
                 if of["one_core"] else ", no threads of one core")),
             ("a system call", calls),
             ("works around", ", ".join(of["mitigations"]) or "nothing known"),
             ("memory", f"{of['memory_mib'] / 1024:.0f} GiB"
              if of["memory_mib"] else "not known"),
             ("system", f"{of['system'] or 'not known'}, Linux {of['kernel']}"
              + (", a guest" if of["is_guest"] else "")),
             ("network", f"TCP {of['congestion_control']} on "
              + ("a loopback of its own" if of["own_network"]
                 else "the machine's loopback")),
             ("load at the start", f"{of['load']:.1f}"),
             ("features of the kernel masked", of["masked"] or "none"),
             ("weir runs on", of["engine"] or "not known")]
    return f"<section><h2>The machine</h2>{pairs_table(pairs)}</section>"


def repeat_section(document):
    lines = ["tools/deps --bench",
             "meson setup build --buildtype=release", "ninja -C build",
             document["command"] or "bench/run"]
    parts = ["<section><h2>To repeat it</h2>"]
    if document["revision"]:
        parts.append(f"<p>At revision <code>{text_of(document['revision'])}"
                     "</code>:</p>")
    parts.append("<pre>" + "\n".join(text_of(line) for line in lines)
                 + "</pre>")
    if document["build"]:
        parts.append(f"<p>Built: {text_of(document['build'])}.</p>")
    parts.append(pairs_table(sorted(document["versions"].items(),
                                    key=lambda pair: pair[0].lower())))
    return "".join(parts) + "</section>"


def absent_section(document):
    """What is not there, and why; those with one reason together."""
    reasons = {}
    for row, why in document["not_run"].items():
        about = document["rows"].get(row, "")
        reasons.setdefault(why, []).append(
            f"{row} ({about})" if about else row)
    for peer, why in document["left_out"].items():
        reasons.setdefault(why, []).append(name_of(peer))
    if not reasons:
        return ""
    return ("<section><h2>Not run, and why</h2><table>" + "".join(
        f"<tr><td>{text_of('; '.join(names))}</td><td>{text_of(why)}</td></tr>"
        for why, names in reasons.items()) + "</table></section>")


def summary_section(document):
    results = document["results"]
    missed = [r for r in results if r["verdict"] in ("missed", "cannot tell")]
    parts = [f"<section><h2>{count_text(results)}</h2>"]
    parts += [f'<p class="bad">Failed: {text_of(failure)}</p>'
              for failure in document["failures"]]
    if missed:
        parts.append('<table class="rows"><tbody>' + "".join(
            f'<tr><td><a href="#{text_of(r["row"])}">{text_of(r["row"])}</a> '
            f'{text_of(r["case"])}, {text_of(r["figure"])}</td>'
            f"<td>{text_of(peer_text(r) or of_many(r))}</td>"
            f'<td class="number">{number(measured_of(r))}'
            f", target {r['target']:.4g}</td><td>{verdict(r)}</td></tr>"
            for r in missed) + "</tbody></table>")
    parts.append(
        '<p class="remark">All take turns on the same CPUs. A figure is the '
        "server's CPU time for a message by the scheduler's account, or what "
        "stands beside the case; less is better, and a ratio below 1 is in "
        "favour of weir. A dot is the ratio of one start, in slices of "
        f"{document['window_ms']:.0f} ms, the bar their median, the line its "
        "interval of 95 %, which runs from before have not, the bracket the "
        "target, the broken line 1.</p></section>")
    return "".join(parts)


def write(document):
    """The page as a text."""
    rows = {}
    for result in document["results"]:
        rows.setdefault(result["row"], []).append(result)
    title = "weir beside its peers"
    version = document["versions"].get("weir", "")
    sub = "; ".join(part for part in (
        document["date"], f"weir {version}" if version else "",
        machine.kind_of(document["machine"])) if part)
    body = [summary_section(document)]
    body += [row_section(document, row, results)
             for row, results in rows.items()]
    body += [absent_section(document), machine_section(document), repeat_section(document)]
    return ('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width">\n'
            f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            f'<main>\n<h1>{title}</h1>\n<p class="sub">{text_of(sub)}</p>\n'
            + "\n".join(body) + "\n</main>\n</body>\n</html>\n")
