"""The site of guide and reference, seen in a browser, from a folder.

Four pages at the widths of a desk, a tablet and a phone: nothing is wider than the
page; code, tables and the contents are to be seen; the menu stays in view or opens,
and marks the page. The search is used by keys, and finds the page of each word in
WORDS among its first five results. Links lead somewhere, in programs only public
names and fields are links, and nothing comes from another host. The pictures stay in
WORK/shots, for whoever wants to look.

Usage: test_site.py WORK API [ARGUMENT...]
API and its arguments make the site (tests/checks/api.py). Exit status 77 (skipped)
without Doxygen or Chromium.
"""

import gzip
import json
import pathlib
import re
import shutil
import subprocess
import sys

import browser
from shell import left

SKIP = 77
WIDTHS = (1280, 820, 390)
INDEX_BYTES = 300 * 1000
# What must be seen on each page, by its selector.
CODE = "div.fragment"
PAGES = {
    "index.html": [".pitch", CODE, ".cost table"],
    "guide_tasks.html": [CODE, "table.markdownTable", "#contents", "#neighbours"],
    "pair_8h.html": [CODE, "table.memberdecls", ".memproto"],
    "manual_weir_proxy_1.html": ["#contents", ".manual dt"],
}
# Words that readers look for, and a page that must be among the first five results.
WORDS = {
    "affinity": "guide_threads", "ALPN": "guide_tls", "back-off": "guide_recipes",
    "back-pressure": "guide_streams", "broadcast": "guide_recipes",
    "cancel": "task_8h", "coroutine": "guide_cxx", "docker": "guide_containers",
    "drain": "writer_8h", "ECANCELED": "guide_tasks", "exception": "guide_cxx",
    "fork": "guide_rules", "graceful": "guide_servers", "http": "guide_http",
    "kubernetes": "guide_containers", "libuv": "guide_libuv_host",
    "logging": "guide_rules", "metrics": "guide_operating", "mTLS": "guide_tls",
    "multicast": "guide_recipes", "pool": "guide_recipes",
    "prometheus": "guide_operating", "rate": "guide_recipes",
    "restart": "guide_servers", "SCM_RIGHTS": "guide_servers",
    "seccomp": "guide_containers", "sendfile": "guide_fast",
    "server_stop": "server_8h", "SO_REUSEPORT": "guide_threads",
    "STARTTLS": "guide_tls", "static": "guide_install", "valgrind": "guide_testing",
}
# Elements that reach beyond the page and do not lie in one that scrolls.
TOO_WIDE = """[...document.querySelectorAll("body *")].filter(one => {
    const box = one.getBoundingClientRect();
    if (box.width == 0 || box.right <= %d + 1) return false;
    for (let up = one.parentElement; up; up = up.parentElement) {
        const style = getComputedStyle(up);
        if (style.overflowX == "auto" || style.overflowX == "scroll" ||
            style.overflowX == "hidden" || style.display == "none")
            return false;
    }
    return true;
}).map(one => one.tagName + "." + one.className).slice(0, 5).join(" ")"""
SEEN = """(() => {
    const one = document.querySelector(%r);
    if (!one) return "missing";
    one.scrollIntoView();
    const box = one.getBoundingClientRect();
    const style = getComputedStyle(one);
    const isSeen = box.width > 40 && box.height > 15 && box.left < innerWidth &&
        style.visibility == "visible" && style.opacity > 0;
    const at = document.elementFromPoint(
        Math.max(box.left, 0) + Math.min(box.width, innerWidth) / 2,
        Math.max(box.top, 0) + 8);
    return !isSeen ? "hidden" : at && (one.contains(at) || at.contains(one)) ?
        "seen" : "covered by " + (at ? at.tagName + "." + at.className : "none");
})()"""
DRAWN = """new Promise((resolve) => {
    const look = () => document.querySelector("#results:not([hidden]) a") ? resolve() :
        requestAnimationFrame(look);
    look();
})"""


def check_view(view, name, width):
    """All that a page must be at a width."""
    whole = view.evaluate("document.documentElement.scrollWidth")
    wide = view.evaluate(TOO_WIDE % width)
    assert whole <= width and not wide, (
        f"{name} at {width}: {whole} wide, by {wide}")
    for selector in PAGES[name]:
        how = view.evaluate(SEEN % selector)
        assert how == "seen", f"{name} at {width}: {selector} is {how}"
    is_open = view.evaluate('(document.getElementById("contents") || {}).open')
    assert is_open in (None, width >= 1200), f"{name} at {width}: contents {is_open}"


def check_menu(view, name, width):
    """At the end of a page, too, the menu is there, or at a touch."""
    view.evaluate("scrollTo(0, document.body.scrollHeight)")
    is_open = view.evaluate('document.getElementById("guide").open')
    assert is_open == (width >= 1000), f"{name} at {width}: open is {is_open}"
    if not is_open:
        view.evaluate("""(() => { const box = document.querySelector("#guide summary")
            .getBoundingClientRect(); document.elementFromPoint(
            box.left + box.width / 2, box.top + box.height / 2).click(); })()""")
    for link in ("a[aria-current]", 'a[href="guide_tasks.html"]'):
        how = view.evaluate(SEEN % f"#guide {link}")
        assert how == "seen", f"{name} at {width}: {link} of the menu is {how}"


def check_sizes(view, site):
    """The menu opens and closes with the width of the window; Escape closes it."""
    view.open(f"{site}/guide_tasks.html", 1280, 900)
    for width in 820, 1280, 820:
        view.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=False)
        is_open = view.evaluate("new Promise(requestAnimationFrame).then(() => menu.open)")
        assert is_open == (width == 1280), f"widened or narrowed to {width}: {is_open}"
    view.evaluate("menu.open = true")
    view.press("Escape")
    assert not view.evaluate("menu.open"), "Escape leaves the menu"


def check_keys(view, site, width, shots):
    """The search is reached, used and left by keys, and keeps within the page."""
    view.open(f"{site}/index.html", width, 844)
    view.press("/")
    view.call("Input.insertText", text="server_stop")
    view.evaluate(DRAWN)
    whole = view.evaluate("document.documentElement.scrollWidth")
    assert whole <= width, f"the results at {width}: {whole} wide"
    view.screenshot(shots / f"search-{width}.png")
    view.press("Escape")
    assert view.evaluate("list.hidden"), f"at {width} Escape leaves the results"
    view.call("Input.insertText", text="server_stop")
    view.evaluate(DRAWN)
    for key, index in ("ArrowDown", 1), ("ArrowUp", 0):
        view.press(key)
        marked = view.evaluate('field.getAttribute("aria-activedescendant")')
        assert marked == f"result-{index}", f"at {width} {key} marks {marked}"
    view.press("Enter")
    view.wait_loaded()
    name = view.evaluate("location.pathname").rsplit("/", 1)[1]
    assert name == "server_8h.html", f"at {width} Enter leads to {name}"


def check_words(view):
    """Each word has its page among the first five results."""
    for word, page in WORDS.items():
        found = view.evaluate(f"weirSearch({json.dumps(word)}).then("
                              "(rows) => rows.slice(0, 5).map((row) => row.url))")
        assert any(url.split(".")[0] == page for url in found), (
            f"{word}: no {page} in {found}")


def check_pictures(shots, site):
    view = browser.Browser(browser.find())
    grounds = set()
    try:
        for name in PAGES:
            for width in WIDTHS:
                view.open(f"{site}/{name}", width, 900 if width > 600 else 844)
                view.screenshot(shots / f"{name.split('.')[0]}-{width}.png")
                check_view(view, name, width)
                check_menu(view, name, width)
        for width in WIDTHS:
            check_keys(view, site, width, shots)
        check_sizes(view, site)
        check_words(view)
        for scheme in ("light", "dark"):
            view.call("Emulation.setEmulatedMedia", features=[
                {"name": "prefers-color-scheme", "value": scheme}])
            grounds.add(view.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 2, f"light and dark are {grounds}"
    finally:
        view.close()


def check_links(html):
    """Links lead to files of the site, and anchors there; nothing but a link leads to
    another host."""
    texts = {path.name: path.read_text(encoding="utf-8")
             for path in html.glob("*.html")}
    ids = {name: set(re.findall(r'\bid="([^"]+)"', text))
           for name, text in texts.items()}
    count = 0
    for name, text in texts.items():
        prose = re.sub(r'(?s)<div class="fragment">.*?</div><!-- f|<code>.*?</code>', "", text)
        wrong = re.search(r"ilinebr|<code>[^<]*(?:–|&ndash;)", text)
        assert not wrong and not (name.startswith("guide_") and "**" in prose), (
            f"{name}: Markdown is left: {wrong}")
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", text):
            assert "//" not in tag, f"{name}: {tag}"
        for file, anchor in re.findall(r'<a\b[^>]*href="([\w./-]*)(?:#([^"]+))?"',
                                       text):
            file = file or name
            assert file in texts, f"{name}: no {file}"
            assert not anchor or anchor in ids[file], f"{name}: no {file}#{anchor}"
            count += 1
    assert count > 5000, f"only {count} links"


def check_programs(html):
    """In programs public names are links, and fields."""
    count = 0
    for path in html.glob("*.html"):
        for program in re.findall(r'<div class="fragment">.*?</div><!-- fragment -->',
                                  path.read_text(encoding="utf-8"), re.S):
            for before, name in re.findall(r'(.{0,5})<a class="code[^>]*>([^<]*)</a>',
                                           program):
                assert name.startswith(("weir", "WEIR_")) or \
                    before.endswith((".", "-&gt;")), f"{path.name}: {before}{name}"
                count += 1
    assert count > 500, f"only {count} links in programs"


def check_reference(html):
    """The lists name what the headers declare, and a header begins with its purpose."""
    for name, part in {"functions": "weir_server_stop", "types": "weir_server_options",
                       "constants": "WEIR_PROTOCOL_STREAM", "errors": "WEIR_EINCOMPLETE",
                       "headers": "server.h"}.items():
        text = (html / f"list_{name}.html").read_text(encoding="utf-8")
        assert f">{part}</a></dt>" in text, f"{name}: no {part}"
    for path in html.glob("*_8h.html"):
        text = path.read_text(encoding="utf-8")
        body = text[text.index('<div class="contents">'):]
        assert re.match(r'<div[^>]*>\s*<a [^>]*></a>\s*<div class="textblock"><p >',
                        body), f"{path.name} does not begin with its purpose"
    text = (html / "server_8h.html").read_text(encoding="utf-8")
    assert 'struct &#160;' in text and '>weir_server_options</a>' in text, "no struct"
    size = len(gzip.compress((html / "search_index.js").read_bytes()))
    assert size < INDEX_BYTES, f"the index of the search has {size} bytes"


def main():
    left.keep_account()
    work = pathlib.Path(sys.argv[1]).resolve()
    if not shutil.which("doxygen"):
        print("skipped: no Doxygen here", file=sys.stderr)
        return SKIP
    subprocess.run([sys.executable, *sys.argv[2:], "--work", work], check=True)
    check_links(work / "html")
    check_programs(work / "html")
    check_reference(work / "html")
    if not browser.find():
        print("skipped: no Chromium here", file=sys.stderr)
        return SKIP
    shots = work / "shots"
    shots.mkdir(exist_ok=True)
    check_pictures(shots, (work / "html").as_uri())
    return 0


sys.exit(main())
