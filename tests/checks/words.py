"""Patterns of words that made readers of the public texts stop.

The headers, the guide, the manuals and README are read by people who have never
seen the tree. A clause in the place of a noun, a preposition of another language
and a default in telegraphic words are refused with what to write instead; a word
that is not always wrong may not become more frequent.

Usage: words.py SOURCE
"""

import pathlib
import re
import sys

# Refused wherever they stand.
REFUSED = (
    (r"\bwhat (?:came|comes|went)\b", "name the thing: the bytes, the answer"),
    (r"\bt(?:akes?|ook) (?:it|them) apart\b", "parses"),
    (r"\b(?:that|which|one) (?:is|are) none\b", "an invalid one, or without it"),
    (r"\bfrom the ground\b", "fundamentally"),
    (r"\bare as ever\b", "unchanged"),
    (r"\bis only to be\b", "the only valid call is"),
    (r"; 0: none(?! \w|\))", "0 disables it, 0 is no limit, or 0 if there is none"),
)

# May not become more in a folder: the pattern, how often it stands there, and
# what to write. A number that has fallen is lowered here.
COUNTED = (
    (r"\b(?:tell|tells|told)\b",
     {"include/weir": 39, "include/guide": 57, "tools/man": 23},
     "returns, reports or passes"),
    (r"; 0: ", {"include/weir": 44, "tools/man": 4}, "a sentence about 0"),
)


def texts(source):
    """Each text that people read, with its path."""
    paths = [source / "README.md"]
    for folder in ("include", "tools/man"):
        paths += sorted(path for path in (source / folder).rglob("*")
                        if path.is_file())
    for path in paths:
        yield path.relative_to(source), path.read_text(encoding="utf-8")


def flow(text):
    """The text with line ends and the marks of comments as blanks, so that a
    phrase that goes on in the next line is found; every place stays."""
    return re.sub(r"\n[ \t]*\*?", lambda gap: " " * len(gap[0]), text)


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    failed = 0
    counts = {pattern: {} for pattern, _, _ in COUNTED}
    for path, text in texts(source):
        words = flow(text)
        for pattern, better in REFUSED:
            for match in re.finditer(pattern.replace(" ", r"\s+"), words):
                line = text.count("\n", 0, match.start()) + 1
                print(f"{path}:{line}: '{' '.join(match[0].split())}': "
                      f"write {better}", file=sys.stderr)
                failed += 1
        for pattern, most, _ in COUNTED:
            for folder in most:
                if str(path).startswith(folder + "/"):
                    found = len(re.findall(pattern, words))
                    counts[pattern][folder] = (
                        counts[pattern].get(folder, 0) + found)
    for pattern, most, better in COUNTED:
        for folder, number in most.items():
            found = counts[pattern].get(folder, 0)
            if found > number:
                print(f"{folder}: {pattern} stands {found} times, of {number}: "
                      f"write {better}", file=sys.stderr)
                failed += 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
