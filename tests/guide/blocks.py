"""The code blocks of a page of the guide, and what each of them is.

A page is Markdown. Its fences say what a block is:

- `c`, `cpp`: a file, when its first line is a comment that begins with a name
  ("/* echo.c: ..."); otherwise a fragment, which stands word for word in a file
  that the page names before it, or in a file of the page;
- `text`: what the program before it prints;
- `console`: commands behind "$ ", each with what it prints.

Other fences, and blocks without a word, are read by people alone.
"""

import re

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
NAME = re.compile(r"(?:/\*|//) ([\w-]+\.(?:c|h|cpp|hpp|py))\b")
PATH = re.compile(r"`((?:include|uring|lib|tests|tools|bench)/[\w./-]*)`")
KNOWN = {"", "c", "cpp", "text", "console", "ini"}


class Fault(Exception):
    """A page is not as it says."""


class Block:
    """One fenced block."""

    def __init__(self, match):
        self.kind, self.body = match.groups()
        self.start = match.start()
        self.line = match.string.count("\n", 0, match.start()) + 1
        named = NAME.match(self.body)
        is_code = self.kind in ("c", "cpp")
        self.name = named[1] if named and is_code else None
        self.is_fragment = is_code and not named
        self.is_program = (is_code and self.name is not None
                           and re.search(r"^int main\(", self.body, re.M)
                           is not None)


def read_blocks(text):
    """All blocks of a page, in order."""
    blocks = [Block(match) for match in FENCE.finditer(text)]
    for block in blocks:
        if block.kind not in KNOWN:
            raise Fault(f"{block.line}: no such fence: {block.kind}")
    return blocks


def named_files(source, text):
    """The files of the tree that a text names in backquotes."""
    return [source / name for name in PATH.findall(text)
            if (source / name).is_file()]


def check_fragments(source, text, blocks):
    """Every fragment stands in a file that the page has named, or shown."""
    for block in blocks:
        if not block.is_fragment:
            continue
        texts = [path.read_text(encoding="utf-8")
                 for path in named_files(source, text[:block.start])]
        texts += [other.body for other in blocks if other.name]
        if not any(block.body in one for one in texts):
            raise Fault(f"{block.line}: code that is in no file named before")


def read_commands(body):
    """A console block as pairs: a command, and the lines that it prints."""
    pairs = []
    lines = body.splitlines()
    while lines:
        line = lines.pop(0)
        if not line.startswith("$ "):
            if not pairs:
                raise Fault(f"output without a command: {line}")
            pairs[-1][1].append(line)
            continue
        command = line[2:]
        while command.endswith("\\") and lines:
            command += "\n" + lines.pop(0)
        pairs.append((command, []))
    return pairs
