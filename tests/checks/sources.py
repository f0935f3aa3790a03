"""The C files that a build directory compiles, one a line.

With a file for digests, those alone that have changed since they passed, or that
include a header of this tree which has. --passed writes the digests.

Usage: sources.py BUILD [DIGESTS [--passed]]
"""

import functools
import hashlib
import json
import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
RULES = {SOURCE / ".clang-tidy", SOURCE / "meson.build"}
INCLUDE = re.compile(rb'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


@functools.cache
def text_of(path):
    return path.read_bytes()


@functools.cache
def headers(path):
    """The headers of this tree that a file names."""
    found = []
    for name in INCLUDE.findall(text_of(path)):
        for folder in (path.parent, SOURCE, SOURCE / "include"):
            if (folder / name.decode()).is_file():
                found.append((folder / name.decode()).resolve())
                break
    return found


def digest(path):
    """Of all that clang-tidy's answer depends on: the text of the file and of
    the headers that it includes, at any depth, the rules and the warnings."""
    known, left = set(RULES), [path]
    while left:
        one = left.pop()
        if one not in known:
            known.add(one)
            left += headers(one)
    texts = b"".join(text_of(one) for one in sorted(known))
    return hashlib.sha256(texts).hexdigest()


def main():
    with open(pathlib.Path(sys.argv[1]) / "compile_commands.json",
              encoding="utf-8") as commands:
        files = {(pathlib.Path(entry["directory"]) / entry["file"]).resolve()
                 for entry in json.load(commands)}
    # A file that a target of the build makes may not be there.
    files = sorted(file for file in files if file.suffix == ".c" and file.is_file())
    passed = {}
    if len(sys.argv) > 2:
        kept = pathlib.Path(sys.argv[2])
        digests = {str(file): digest(file) for file in files}
        if "--passed" in sys.argv:
            kept.write_text(json.dumps(digests), encoding="utf-8")
            return
        passed = json.loads(kept.read_text()) if kept.exists() else {}
    for file in files:
        if len(sys.argv) < 3 or passed.get(str(file)) != digests[str(file)]:
            print(file)


main()
