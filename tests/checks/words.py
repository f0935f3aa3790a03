"""Phrases that stopped readers of the tree are refused, with what to write instead.

words.txt has the patterns. They are searched in each comment of a header or a C file, in each
paragraph, list item, heading and table row of a page, and in each paragraph of a manual.

Usage: words.py SOURCE
"""

import pathlib
import re
import sys

PUBLIC = ("include", "tools/man", "*.md")
COMMENTS = ("lib", "uring", "tools")
# Code and its strings are no prose.
PIECE = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.DOTALL)
TAG = re.compile(r"\n(?=@(?:param|return|retval)\b)|\n[ \t]*\n")
TAG_NAME = re.compile(r"@(?:(?:param|retval) +\S+|return|file)\s+")
ITEM = re.compile(r"\n(?=[ \t]*(?:[-*] |\d+\. |#|\|))|\n[ \t]*\n")
MACRO = re.compile(r"\n(?=\.(?:Pp|Sh|Ss|It|El|Bl|Bd|Ed|Dl)\b)")


def comments(text):
    """The paragraphs and tags of each comment, and its place."""
    for match in PIECE.finditer(text):
        if match[0].startswith("/"):
            body = re.sub(r"\n[ \t]*\*?[ \t]?", "\n", re.sub(r"^/[/*]+|\*/$", "", match[0]))
            for part in TAG.split(body):
                yield match.start(), TAG_NAME.sub("", part.strip())


def paragraphs(text, ends, code, marks):
    """The paragraphs of a page without its code, each with its place."""
    text = code.sub(lambda match: "\n" * match[0].count("\n"), text)
    place = 0
    for part in ends.split(text):
        place = max(text.find(part, place), place)
        yield place, marks.sub("", part.strip())


def texts(path):
    """Each text of a file that people read, and its place."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".c", ".h", ".hpp"):
        return text, comments(text)
    if path.suffix == ".md":
        return text, paragraphs(text, ITEM, re.compile(r"^```.*?^```", re.M | re.S),
                                re.compile(r"^(?:[-*] |\d+\. |#+ )\s*"))
    if re.fullmatch(r"\.\d", path.suffix):
        return text, paragraphs(text, MACRO, re.compile(r"^\.Bd -literal.*?^\.Ed", re.M | re.S),
                                re.compile(r"^\.(?:It|Sh|Ss|Bl|Bd|Dl)[^\n]*\n?|^\.[A-Z]\w\b", re.M))
    return text, ()


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    rows = [line.split("\t") for line in (source / "tests/checks/words.txt").read_text(
        encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found = seen = 0
    for name in PUBLIC + COMMENTS:
        for path in sorted(source.glob(name) if "*" in name else (source / name).rglob("*.*")):
            if not path.is_file() or name == "tools" and "man" in path.parts:
                continue
            text, parts = texts(path)
            for place, part in parts:
                seen += 1
                for pattern, scope, better in rows:
                    match = re.search(pattern, " ".join(part.split()))
                    if match and (scope == "all" or name in PUBLIC):
                        line = text.count("\n", 0, place) + 1
                        print(f"{path.relative_to(source)}:{line}: '{match[0][:40]}': write "
                              f"{better}", file=sys.stderr)
                        found += 1
    if seen < 1000:
        print(f"{seen} texts were read", file=sys.stderr)
    sys.exit(1 if found or seen < 1000 else 0)


if __name__ == "__main__":
    main()
