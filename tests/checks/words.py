"""Phrases that stopped readers of the tree are refused, with what to write instead.

words.txt has the patterns. They are searched in each comment of a header or a C file, in each
paragraph, list item, heading and table row of a page, and in each paragraph of a manual.

With --draw COUNT it prints so many texts instead, drawn by a seed, for a reader.
--public draws from headers, pages and manuals alone.
"""

import argparse
import pathlib
import random
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


def read_all(source, folders):
    """Each text below the folders: its folder, its file and line, and its words."""
    for name in folders:
        for path in sorted(source.glob(name) if "*" in name else (source / name).rglob("*.*")):
            if not path.is_file() or "__pycache__" in path.parts or (
                    name == "tools" and "man" in path.parts):
                continue
            text, parts = texts(path)
            for place, part in parts:
                line = text.count("\n", 0, place) + 1
                yield name, f"{path.relative_to(source)}:{line}", part


def draw(found, count, seed):
    """Prints texts of at least eight words, but no row of a table and no code."""
    found = [(place, part) for _, place, part in found
             if len(part.split()) >= 8 and not re.search(r"^\||;$", part, re.M)]
    print(f"seed {seed}: {count} of {len(found)} texts")
    for place, part in sorted(random.Random(seed).sample(found, count)):
        print(f"\n==== {place}\n{part}")


def check(found, rows):
    """The number of texts that have a phrase of the list."""
    count = 0
    for name, place, part in found:
        for pattern, scope, better in rows:
            match = re.search(pattern, " ".join(part.split()))
            if match and (scope == "all" or name in PUBLIC):
                print(f"{place}: '{match[0][:40]}': write {better}", file=sys.stderr)
                count += 1
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="the tree")
    parser.add_argument("--draw", type=int, metavar="COUNT", help="print so many texts")
    parser.add_argument("--seed", default="1", help="of the draw (%(default)s)")
    parser.add_argument("--public", action="store_true",
                        help="draw from headers, pages and manuals alone")
    options = parser.parse_args()
    source = options.source.resolve()
    found = list(read_all(source, PUBLIC if options.public else PUBLIC + COMMENTS))
    if options.draw:
        draw(found, options.draw, options.seed)
        return
    rows = [line.split("\t") for line in (source / "tests/checks/words.txt").read_text(
        encoding="utf-8").splitlines() if line and not line.startswith("#")]
    if len(found) < 1000:
        print(f"{len(found)} texts were read", file=sys.stderr)
    sys.exit(1 if check(found, rows) or len(found) < 1000 else 0)


if __name__ == "__main__":
    main()
