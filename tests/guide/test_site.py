"""The site of guide and reference, seen in a browser.

Three pages at the widths of a desk and of a phone: nothing is wider than the page,
and the navigation, code and tables are to be seen; the list of pages opens on a
phone; a search finds a function; links of the pages lead somewhere. The pictures
stay in WORK/shots, for whoever wants to look.

Usage: test_site.py WORK API [ARGUMENT...]
API and its arguments make the site (tests/checks/api.py). Exit status 77 (skipped)
without Doxygen or Chromium.
"""

import functools
import http.server
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import browser
from shell import left

SKIP = 77
WIDTHS = (1280, 390)
# What must be seen on each page, by its selector.
NAVIGATION = "#guide"
CODE = "div.fragment"
PAGES = {
    "index.html": [NAVIGATION, "table.markdownTable"],
    "guide_tasks.html": [NAVIGATION, CODE, "table.markdownTable"],
    "pair_8h.html": [NAVIGATION, CODE, "table.memberdecls", ".memproto"],
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
FOUND = """new Promise((resolve, reject) => {
    const field = document.getElementById("MSearchField");
    field.focus();
    field.value = "weir_sleep_until";
    field.dispatchEvent(new KeyboardEvent("keyup", {keyCode: 76}));
    const look = () => {
        const frame = document.getElementById("MSearchResults");
        const text = frame.contentDocument && frame.contentDocument.body ?
            frame.contentDocument.body.innerText : "";
        if (text.includes("weir_sleep_until")) resolve(text);
        else setTimeout(look, 20);
    };
    look();
    setTimeout(() => reject(new Error("no result")), 50000);
})"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files, without a line for each."""

    def log_message(self, *_):
        pass


def serve(folder):
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def check_view(view, name, width):
    """All that a page must be at a width."""
    whole = view.evaluate("document.documentElement.scrollWidth")
    wide = view.evaluate(TOO_WIDE % width)
    assert whole <= width and not wide, (
        f"{name} at {width}: {whole} wide, by {wide}")
    for selector in PAGES[name]:
        how = view.evaluate(SEEN % selector)
        assert how == "seen", f"{name} at {width}: {selector} is {how}"
    view.evaluate("scrollTo(0, 0)")


def check_navigation(view, name, width):
    """On a wide screen the pages are listed; on a phone they are at a touch."""
    is_open = view.evaluate('document.getElementById("guide").open')
    assert is_open == (width >= 1000), f"{name} at {width}: open is {is_open}"
    if not is_open:
        view.evaluate('document.querySelector("#guide summary").click()')
    how = view.evaluate(SEEN % '#guide a[href="guide_tasks.html"]')
    assert how == "seen", f"{name} at {width}: the list of pages is {how}"


def check_pictures(folder, site):
    view = browser.Browser(browser.find())
    try:
        for name in PAGES:
            for width in WIDTHS:
                view.open(f"{site}/{name}", width, 900 if width > 600 else 844)
                check_view(view, name, width)
                view.screenshot(folder / f"{name.split('.')[0]}-{width}.png")
                check_navigation(view, name, width)
        for width in WIDTHS:
            view.open(f"{site}/index.html", width, 844)
            view.evaluate(FOUND)
            whole = view.evaluate("document.documentElement.scrollWidth")
            assert whole <= width, f"the results at {width}: {whole} wide"
            view.screenshot(folder / f"search-{width}.png")
    finally:
        view.close()


def check_links(html):
    """Links of the guide's pages lead to files of the site, and anchors there."""
    count = 0
    for path in [html / "index.html", *sorted(html.glob("guide_*.html"))]:
        text = path.read_text(encoding="utf-8")
        for file, anchor in re.findall(r'href="([\w./-]+\.html)(?:#(\w+))?"',
                                       text):
            target = html / file
            assert target.exists(), f"{path.name}: no {file}"
            assert not anchor or f'id="{anchor}"' in target.read_text(
                encoding="utf-8"), f"{path.name}: no {file}#{anchor}"
            count += 1
    assert count > 500, f"only {count} links"


def main():
    left.keep_account()
    work = pathlib.Path(sys.argv[1])
    if not shutil.which("doxygen"):
        print("skipped: no Doxygen here", file=sys.stderr)
        return SKIP
    subprocess.run([sys.executable, *sys.argv[2:], "--work", work], check=True)
    check_links(work / "html")
    if not browser.find():
        print("skipped: no Chromium here", file=sys.stderr)
        return SKIP
    shots = work / "shots"
    shots.mkdir(exist_ok=True)
    check_pictures(shots, serve(work / "html"))
    return 0


sys.exit(main())
