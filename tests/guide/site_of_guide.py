"""The pages of the site as Doxygen wants them, beside the reference of the headers.

The texts are written for readers of the tree: their links lead to files. Here a link
leads to the page that the site makes of the file, and the name of a function to its
description. The pages are README.md (as the entry), the guide in the order of
index.md, which also groups them in the menu, the examples, the manuals and the
documents of the top level. A second line of the form "<!-- also: mTLS, client certificates -->" has
words under which the search finds the page.

Used by tests/checks/api.py. finish_site.py completes what Doxygen writes.
"""

import html
import pathlib
import posixpath
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
LINK = re.compile(r"\[([^]]+)\]\(([^)#\s]*)(#[^)\s]+)?\)")
PAGE = re.compile(r"\[([^]]+)\]\(([\w-]+\.md)\)")
GROUP = re.compile(r"^\| \*\*([^*]+)\*\* \|")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
SPAN = re.compile(r"`(weir_\w+)(\(\))?`")
# Doxygen reads commands in code, too, where quotes stand beside it; a quotation mark
# ends code, and code or a quotation cannot begin what is bold.
CODE = re.compile(r"`([^`]+)`")
BOLD = re.compile(r"\*\*([`\"].*?)\*\*", re.S)
FILE = re.compile(r"(?<!\[)`([\w./-]+)`")
ALSO = re.compile(r"\A(# .*\n)<!-- also: (.*?) -->\n")
LISTS = {"headers": "Headers", "functions": "Functions", "types": "Types",
         "constants": "Constants", "errors": "Errors"}
# Pages beside the guide's, by their paths, at the end of a group of the menu.
MENU = {
    "Start": ["tools/examples/"],
    "Proxies and load": ["tools/man/weir-proxy.1", "tools/man/weir-load.1"],
    "Reference": [*LISTS, "tools/man/weir.7"],
    "Project": ["bench/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
                "LICENSE"],
}
ENTRY = """# weir

@htmlonly[block]<div class="entry"><div class="pitch">@endhtmlonly

{pitch}

@htmlonly[block]<p class="actions"><a href="guide_first_service.html">Your first service</a>
<a href="guide_index.html">Guide</a> <a href="list_functions.html">Reference</a>
<a href="examples.html">Examples</a></p>@endhtmlonly

{tries}

{install}

@htmlonly[block]</div><div class="code">@endhtmlonly

{program}

{compile}

@htmlonly[block]</div><div class="cost">@endhtmlonly

{cost}

{rest}

@htmlonly[block]</div></div>@endhtmlonly
"""


def index_of(guide):
    """The guide's pages in the order of its index: name to (group, short title). A
    group begins with a row of the table that has its name in bold."""
    found, group = {"index.md": ("Start", "The guide")}, "Start"
    for line in (guide / "index.md").read_text(encoding="utf-8").splitlines():
        begins = GROUP.match(line)
        group = begins[1] if begins else group
        for title, name in PAGE.findall(line):
            found.setdefault(name, (group, title))
    for name in sorted({path.name for path in guide.glob("*.md")} - set(found)):
        raise SystemExit(f"include/guide/{name} is not in the index")
    tested = (HERE / "meson.build").read_text(encoding="utf-8")
    for name in found:
        if f"'{pathlib.Path(name).stem}'," not in tested:
            raise SystemExit(f"include/guide/{name} is tested nowhere")
    return found


class Page:
    """A page of the site: what it is made of, its kind and where it is."""

    def __init__(self, path, kind, text, label=None):
        self.path, self.kind = path, kind
        name = re.sub(r"^(?:include/guide|tools/examples|tools/man)/|\.md$", "", path)
        self.label = label or f"{kind}_" + re.sub(r"\W", "_", name)
        self.url = self.label + ".html"
        also = ALSO.match(text)
        self.also = also[2] if also else ""
        self.text = ALSO.sub(r"\1", text)
        self.title = self.text.split("\n", 1)[0].removeprefix("# ")
        if path == "bench/README.md":
            self.title = "How it was measured"


def blocks(text):
    """Paragraphs, tables and programs, each in one piece."""
    return re.findall(r"^```.*?^```$|^[^\n].*?(?=\n\n|\n?\Z)", text, re.M | re.S)


def upright(table):
    """A table with a row for each column, for a narrow place."""
    rows = [line.strip("| ").split(" | ") if index else line.strip("|").split("|")
            for index, line in enumerate(table.splitlines()) if index != 1]
    columns = [" | ".join(cell.strip() for cell in column) for column in zip(*rows)]
    return "\n".join(f"| {line} |" for line in
                     [columns[0], "|".join("---" for _ in rows), *columns[1:]])


def entry(text):
    """README.md as a page: pitch, commands, of which two install weir, program, cost,
    and the list of its other parts."""
    parts = blocks(text)
    program = next(index for index, part in enumerate(parts)
                   if part.startswith("```c\n"))
    cost = next(index for index, part in enumerate(parts)
                if re.search(r"^\|(?=.*\n(?:.*\n)*\| CPU)", part))
    commands = [index for index, part in enumerate(parts) if part.startswith("    ")]
    compiled = next((index for index in commands if index > program), program)
    lines = parts[compiled].splitlines()
    return ENTRY.format(
        pitch=parts[1], program=parts[program],
        compile="" if compiled == program else "\n".join(lines[2:]),
        tries="\n\n".join(parts[index] for index in commands if index < program),
        install="\n".join(["To [install](include/guide/install.md) weir:\n", *lines[:2]]),
        cost="\n\n".join([parts[cost - 1], upright(parts[cost]), parts[cost + 1]]),
        rest="\n\n".join(part for part in parts if part.startswith("- **")))


def listing(path):
    """A page that shows a file."""
    text = path.read_text(encoding="utf-8").replace("\t", "    ")
    kind = {".c": "c", ".h": "c"}.get(path.suffix, "cpp")
    return f"# {path.name}\n\n```{kind}\n{text}```\n"


def first_sentence(path):
    """What the head of a program says first."""
    comment = re.match(r"(?:/\*.*?\*/|(?://.*\n)+)",
                       path.read_text(encoding="utf-8"), re.S)
    words = re.sub(r"^ ?(?:/\*|\*/|\*|//) ?", "", comment[0], flags=re.M)
    words = re.sub(r"\s*\*/\Z", "", " ".join(words.split()))
    return re.match(r".*?(?:[.:;](?= |\Z)|\Z)", words)[0].rstrip(":;.")


def examples(source):
    """The page of examples, and one for each of their files."""
    folder = source / "tools" / "examples"
    files = sorted(path for path in folder.rglob("*")
                   if path.suffix in (".c", ".h", ".cpp", ".hpp"))
    rows = [f"| [{path.name}]({path.relative_to(folder)}) | {first_sentence(path)} |"
            for path in files if path.suffix.startswith(".c")]
    text = ("# Examples\n\nThe tests compile and run each of these programs.\n\n"
            "| program | what it is |\n|---|---|\n" + "\n".join(rows) + "\n")
    return [Page("tools/examples/", "example", text, "examples"),
            *(Page(str(path.relative_to(source)), "example", listing(path))
              for path in files)]


def manual(path):
    """A manual page as a page, or None without mandoc."""
    if not shutil.which("mandoc"):
        return None
    drawn = subprocess.run(["mandoc", "-Thtml", "-Ofragment", path], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    drawn = re.sub(r'<table class="(?:head|foot)">.*?</table>', "", drawn, flags=re.S)
    text = (f"# {path.stem}({path.suffix[1:]})\n\n@htmlonly[block]\n"
            f'<div class="manual">{drawn}</div>\n@endhtmlonly\n')
    return Page(f"tools/man/{path.name}", "manual", text)


def pages_of(source):
    """All pages but those of the headers."""
    def read(name):
        return (source / name).read_text(encoding="utf-8")

    pages = [Page("README.md", "entry", entry(read("README.md")), "index")]
    pages += [Page(f"include/guide/{name}", "guide", read(f"include/guide/{name}"))
              for name in index_of(source / "include" / "guide")]
    pages += examples(source)
    pages += filter(None, map(manual, sorted((source / "tools/man").glob("*.[1-9]"))))
    pages += [Page(name, "list", f"# {title}\n\n@htmlonly[block]\n<!--list-->\n"
                   "@endhtmlonly\n") for name, title in LISTS.items()]
    pages += [Page(name, "document", read(name)) for name in
              ("bench/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
    pages.append(Page("LICENSE", "document",
                      f"# Licence\n\n```text\n{read('LICENSE')}```\n"))
    return pages


def convert_text(page, text, urls, functions):
    """Links of what stands outside of code blocks."""
    def target(path):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.path), path))
        return urls.get(path) or urls.get(path + "/")

    def link(match):
        words, path, anchor = match[1], match[2], match[3] or ""
        if "//" in path:
            return match[0]
        if not path:
            return f"[{words}]({page.url}{anchor})"
        if re.fullmatch(r"(?:\.\./)*(?:include/)?weir/\w+\.h", path):
            return f"[{words}](@ref weir/{posixpath.basename(path)})"
        found = target(path)
        return f"[{words}]({found}{anchor})" if found else f"`{words.strip('`')}`"

    text = LINK.sub(link, text)
    text = FILE.sub(lambda match: f"[`{match[1]}`]({urls[match[1]]})"
                    if match[1] in urls else match[0], text)
    text = BOLD.sub(r"<b>\1</b>", text)
    text = CODE.sub(lambda match: "<code>" + re.sub(
        r"([\\@]|--)", r"\\\1", html.escape(match[1], False)) + "</code>"
        if re.search(r"[\\@']", match[1]) else match[0], text)
    return SPAN.sub(lambda match: f"<code>@ref {match[1]} \"{match[1]}()\"</code>"
                    if match[1] in functions else match[0], text)


def convert(page, urls, functions):
    """A page with a label, and its links."""
    if page.kind in ("list", "manual"):
        body = page.text.split("\n", 1)[1]
    else:
        parts, last = [], 0
        text = page.text.split("\n", 1)[1]
        for fence in FENCE.finditer(text):
            parts += [convert_text(page, text[last:fence.start()], urls, functions),
                      fence[0]]
            last = fence.end()
        parts.append(convert_text(page, text[last:], urls, functions))
        body = "".join(parts)
    label = "" if page.label == "index" else f" {{#{page.label}}}"
    return f"# {page.title}{label}\n{body}"


def navigation(pages, index):
    """The menu of every page."""
    groups = {"Start": [("index.html", "weir")]}
    for name, (group, title) in index.items():
        page = next(page for page in pages if page.path == f"include/guide/{name}")
        groups.setdefault(group, []).append((page.url, title))
    for group, paths in MENU.items():
        groups.setdefault(group, []).extend(
            (page.url, page.title) for path in paths for page in pages
            if page.path == path)
    items = []
    for title, group in groups.items():
        items.append(f"<li><b>{title}</b><ul>")
        items += [f'<li><a href="{url}">{html.escape(words, False)}</a></li>'
                  for url, words in group]
        items.append("</ul></li>")
    return "\n".join(items)


def prepare(source, work, functions):
    """Write pages and header into work: the pages, and what the Doxyfile needs."""
    pages = pages_of(source)
    urls = {page.path: page.url for page in pages}
    folder = work / "pages"
    folder.mkdir(parents=True)
    for page in pages:
        (folder / f"{page.label}.md").write_text(convert(page, urls, functions),
                                                 encoding="utf-8")
    header = (HERE / "header.html").read_text(encoding="utf-8")
    (work / "header.html").write_text(
        header.replace("@NAVIGATION@", navigation(pages, index_of(source / "include/guide"))),
        encoding="utf-8")
    return pages, {"PAGES": folder, "HEADER": work / "header.html",
                   "MAINPAGE": folder / "index.md", "HERE": HERE}
