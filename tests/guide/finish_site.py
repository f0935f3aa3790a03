"""Completes the pages that Doxygen wrote: headings with anchors, contents, the mark
in the menu, links to the neighbours, lists of the reference, and the search.

In programs only public names keep their links, and names behind "." or "->": Doxygen
also links a local variable to a field of the same name. The search index is one
script, which works from a folder too: a row for each section, symbol and option,

    [kind, title, page, address, text, other words]

site.js loads it when a reader searches. Used by tests/checks/api.py.
"""

import html as entities
import json
import re
import xml.etree.ElementTree as ElementTree

import site_of_guide as site

FRAGMENT = re.compile(r'<div class="fragment">.*?</div><!-- fragment -->', re.S)
CODE_LINK = re.compile(r'<a class="code[^"]*" href="[^"#]*#?(\w*)"[^>]*>([^<]*)</a>')
HEADING = re.compile(
    r'<h([1-3])(?: class="S[hs]" id="([^"]*)")?>(?:<a class="anchor" id="[^"]*"></a>\s*'
    r'|<a class="permalink"[^>]*>)(.*?)(?:</a>)?</h\1>', re.S)
MEMBER = re.compile(r'<h2 class="memtitle"><span class="permalink"><a href="#(\w+)">'
                    r'[^<]*</a></span>([^<]*)</h2>')
# Where a section, or an option of a manual, begins; its text ends at the next.
SECTION = re.compile(r'<h[23] id="([^"]*)">(.*?) <a class="anchor".*?</h[23]>'
                     r'|<dt id="([^"]*)"><a[^>]*>(.*?)</dt>', re.S)
INLINE = re.compile(r"</?(?:a|b|code|em|i|span|strong|var)\b[^>]*>")
# Descriptions of names that show when jQuery is there, the folder of a header, and
# the heading of what a page begins with.
UNUSED = re.compile(r'^<div class="ttc" [^\n]*\n|<div id="nav-path".*?</div>\n'
                    r'|<h2 class="groupheader">Detailed Description</h2>', re.M | re.S)
KINDS = {"function": "functions", "type": "types", "constant": "constants",
         "error": "errors", "header": "headers"}


def words_of(markup):
    """Text without its tags."""
    markup = re.sub(r"<[^>]*>", " ", INLINE.sub("", markup))
    return " ".join(entities.unescape(markup).split())


def unlink(fragment, anchors):
    """A program without links from names that are its own, and without those that
    lead nowhere: to fields that have no description."""
    def decide(match):
        before = fragment[max(0, match.start() - 5):match.start()]
        is_public = match[2].startswith(("weir", "WEIR_"))
        is_field = before.endswith((".", "-&gt;"))
        is_there = not match[1] or match[1] in anchors
        return match[0] if is_there and (is_public or is_field) else match[2]

    return CODE_LINK.sub(decide, fragment)


def anchored(text):
    """Headings one level lower, for the title is the first, each with an anchor."""
    seen = set()

    def replace(match):
        title = re.sub(r"&lt;(/?)tt&gt;", r"<\1code>", match[3].strip())
        name = match[2] or re.sub(r"[^\w -]", "",
                                  words_of(title).lower()).replace(" ", "-")
        while name in seen:
            name += "-more"
        seen.add(name)
        return (f'<h{int(match[1]) + 1} id="{name}">{title} <a class="anchor" '
                f'href="#{name}" aria-label="Link to this section">#</a>'
                f"</h{int(match[1]) + 1}>")

    return HEADING.sub(replace, text)


def contents(text):
    """The contents of a page of three sections or more."""
    found = [(match.start(), match[1], words_of(match[2]))
             for match in re.finditer(r'<h2 id="([^"]*)">(.*?) <a class="anchor"',
                                      text, re.S)]
    found += [(match.start(), match[1], match[2]) for match in MEMBER.finditer(text)]
    if len(found) < 3:
        return ""
    items = "\n".join(f'<li><a href="#{name}">{entities.escape(title, False)}</a></li>'
                      for _, name, title in sorted(found))
    return ('<details id="contents"><summary>On this page</summary>'
            f'<nav aria-label="On this page"><ul>\n{items}\n</ul></nav></details>'
            '<script>document.getElementById("contents").open = innerWidth >= 1200;'
            "</script>")


def neighbours(page, guide):
    """Links to the pages of the guide before and after one."""
    if page not in guide:
        return ""
    at = guide.index(page)
    links = []
    if at > 0:
        links.append(f'<a rel="prev" href="{guide[at - 1].url}">← '
                     f"{entities.escape(guide[at - 1].title)}</a>")
    if at + 1 < len(guide):
        links.append(f'<a rel="next" href="{guide[at + 1].url}">'
                     f"{entities.escape(guide[at + 1].title)} →</a>")
    return f'<nav id="neighbours" aria-label="Neighbours">{"".join(links)}</nav>'


def brief(node):
    found = node.find("briefdescription")
    return " ".join("".join(found.itertext()).split())


def address(refid):
    return re.sub(r"_1((?:a[0-9a-f]{32})+)$", r".html#\1", refid)


def member_rows(compound, where):
    """Rows of what a header or a struct declares."""
    is_struct = compound.get("kind") != "file"
    for member in compound.iter("memberdef"):
        kind = {"function": "function", "typedef": "type", "enum": "type",
                "define": "constant", "variable": "field"}[member.get("kind")]
        if kind == "field" and where.endswith("_options"):
            kind = "option"
        name = member.findtext("name")
        if brief(member) and (is_struct or name.lower().startswith("weir")):
            yield [kind, name, where, address(member.get("id")), brief(member), ""]
        for value in member.iter("enumvalue"):
            name = value.findtext("name")
            kind = "error" if name.startswith("WEIR_E") else "constant"
            yield [kind, name, where, address(value.get("id")), brief(value), ""]


def symbols(xml):
    """Rows of all that the headers declare."""
    rows = []
    for file in sorted(xml.glob("*.xml")):
        for compound in ElementTree.parse(file).iter("compounddef"):
            name = compound.findtext("compoundname")
            if compound.get("kind") == "file" and name.endswith(".h"):
                about = " ".join("".join(compound.find("detaileddescription")
                                         .itertext()).split())
                about = about.split(" Rules of all headers:")[0]
                rows.append(["header", name, "reference", f"{compound.get('id')}.html",
                             f"{brief(compound)} {about}", ""])
                rows += member_rows(compound, name)
            elif compound.get("kind") in ("struct", "union"):
                rows.append(["type", name, "struct", f"{compound.get('id')}.html",
                             brief(compound), ""])
                rows += member_rows(compound, name)
    return rows


def reference_list(name, rows):
    """A list of the reference: names, each with its sentence, in groups."""
    groups = {}
    for kind, title, where, url, text, _ in rows:
        if KINDS.get(kind) == name:
            groups.setdefault(where, []).append((title, url, text))
    items = []
    for where, group in sorted(groups.items()):
        if len(groups) > 1:
            items.append(f'<h1><a class="anchor" id=""></a>{where}</h1>')
        items.append('<dl class="list">')
        items += [f'<dt><a href="{url}">{title}</a></dt><dd>'
                  + entities.escape(re.split(r"(?<=\.) ", text)[0], False) + "</dd>"
                  for title, url, text in sorted(group)]
        items.append("</dl>")
    return "\n".join(items)


def sections(page, text):
    """Rows of a page: one for what stands before its first heading, and one for each
    section."""
    body = FRAGMENT.sub(" ", text[text.index('<div class="contents">'):])
    body = body.split('<nav id="neighbours"')[0]
    found = list(SECTION.finditer(body))
    starts = [match.start() for match in found] + [len(body)]
    rows = [[page.kind, page.title, "", page.url, words_of(body[:starts[0]]),
             page.also]]
    for match, end in zip(found, starts[1:]):
        name, title = match[1] or match[3], words_of(match[2] or match[4])
        rows.append(["option" if match[3] else page.kind, title, page.title,
                     f"{page.url}#{name}", words_of(body[match.end():end]),
                     ""])
    return rows


def finish(pages, work):
    """Complete the pages in work/html, and write the index of the search."""
    folder = work / "html"
    for pattern in ("*.png", "doxygen.*", "tabs.css", "jquery.js", "dynsections.js",
                    "dir_*.html", "files.html", "annotated.html", "classes.html",
                    "functions*.html", "globals*.html", "pages.html"):
        for file in folder.glob(pattern):
            file.unlink()
    rows = symbols(work / "xml")
    by_url = {page.url: page for page in pages}
    guide = [page for page in pages if page.kind == "guide"]
    texts = {file: file.read_text(encoding="utf-8")
             for file in sorted(folder.glob("*.html"))}
    anchors = {name for text in texts.values()
               for name in re.findall(r'\bid="(a[0-9a-f]{32}\w*)"', text)}
    for file, text in texts.items():
        page = by_url.get(file.name)
        if page and page.kind == "list":
            text = text.replace("<!--list-->", reference_list(page.path, rows))
        text = text.replace(" File Reference", "").replace(" Struct Reference", "")
        text = FRAGMENT.sub(lambda match: unlink(match[0], anchors),
                            UNUSED.sub("", text))
        text = anchored(text)
        text = re.sub(r'<div class="title">(.*?)\s*</div>', r'<h1 class="title">\1</h1>',
                      text, flags=re.S)
        text = text.replace("<!--contents-->", contents(text))
        text = text.replace("<!--neighbours-->", neighbours(page, guide))
        marked = file.name if page else "list_headers.html"
        text = text.replace(f'<li><a href="{marked}">', f'<li><a href="{marked}" '
                            f'aria-current="{"page" if page else "true"}">', 1)
        file.write_text(text, encoding="utf-8")
        if page and page.kind != "list" and page.label != "guide_index":
            rows += sections(page, text)
    (folder / "search_index.js").write_text(
        "weirIndex = " + json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
        .replace("],[", "],\n[") + ";\n", encoding="utf-8")
