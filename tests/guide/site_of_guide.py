"""The pages of the guide as Doxygen wants them, beside the reference.

The pages are written for whoever reads them in the tree: links lead to files. Here
they become links within the site: to other pages, to the reference of a header,
and from each function that is named to its description. The order of the pages is
that of index.md, which must name each of them; it is also the navigation that
stands on every page of the site.

Used by tests/checks/api.py.
"""

import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
PAGE = re.compile(r"\[([^]]+)\]\(([\w-]+\.md)\)")
HEADER = re.compile(r"\[([^]]+)\]\(\.\./(weir/\w+\.h)\)")
OUTSIDE = re.compile(r"\[([^]]+)\]\(\.\./\.\./([^)]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
SPAN = re.compile(r"`(weir_\w+)(\(\))?`")


def order(guide):
    """The names of the pages, the index first, as the index has them."""
    index = (guide / "index.md").read_text(encoding="utf-8")
    names = ["index.md", *dict.fromkeys(name for _, name in PAGE.findall(index))]
    there = {path.name for path in guide.glob("*.md")}
    for name in sorted(there - set(names)):
        raise SystemExit(f"include/guide/{name} is not in the index")
    tested = (HERE / "meson.build").read_text(encoding="utf-8")
    for name in names:
        if f"'{pathlib.Path(name).stem}'," not in tested:
            raise SystemExit(f"include/guide/{name} is tested nowhere")
    return names


def label(name):
    """The name by which the site knows a page."""
    return "guide_" + pathlib.Path(name).stem.replace("-", "_")


def convert_text(text, functions):
    """Links of what stands outside of code blocks."""
    text = HEADER.sub(r"[\1](@ref \2)", text)
    text = OUTSIDE.sub(r"`\1`", text)
    text = PAGE.sub(lambda match: f"[{match[1]}](@ref {label(match[2])})", text)
    return SPAN.sub(lambda match: f"<code>@ref {match[1]} \"{match[1]}()\"</code>"
                    if match[1] in functions else match[0], text)


def convert(name, text, functions):
    """A page with a label, and its links."""
    parts, last = [], 0
    for fence in FENCE.finditer(text):
        parts += [convert_text(text[last:fence.start()], functions), fence[0]]
        last = fence.end()
    parts.append(convert_text(text[last:], functions))
    title, rest = "".join(parts).split("\n", 1)
    return f"{title} {{#{label(name)}}}\n{rest}"


def title_of(text):
    return text.split("\n", 1)[0].removeprefix("# ")


def navigation(guide, names):
    """The links on every page."""
    items = []
    for name in names:
        text = (guide / name).read_text(encoding="utf-8")
        target = "index" if name == "index.md" else label(name)
        items.append(f'<li><a href="$relpath^{target}.html">{title_of(text)}'
                     "</a></li>")
    items.append('<li class="reference"><a href="$relpath^files.html">'
                 "Reference</a></li>")
    return "\n".join(items)


def prepare(source, work, functions):
    """Write pages and header into work; what the Doxyfile needs of them."""
    guide = source / "include" / "guide"
    pages = work / "pages"
    pages.mkdir(parents=True)
    names = order(guide)
    for name in names:
        text = (guide / name).read_text(encoding="utf-8")
        (pages / name).write_text(convert(name, text, functions),
                                  encoding="utf-8")
    header = (HERE / "header.html").read_text(encoding="utf-8")
    (work / "header.html").write_text(
        header.replace("@NAVIGATION@", navigation(guide, names)),
        encoding="utf-8")
    return {"PAGES": pages, "HEADER": work / "header.html",
            "MAINPAGE": pages / "index.md", "STYLE": HERE / "site.css",
            "FOOTER": HERE / "footer.html"}
