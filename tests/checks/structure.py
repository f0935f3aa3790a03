"""The structure of the library and of two tools, measured and held.

The rooms of lib/ stand in the order of the data's way, and those of the two tools
so that none includes a later one. A file includes, and its
object calls, only its own room and the rooms that its room knows (ROOMS); calls
up go through tables of functions, which no symbol shows. The calls are read from
the symbols of the library's static parts, so what a compiler has inlined counts
as an include. The public headers of lib/proxy (proxy_headers in
include/meson.build) are included by that room alone, so that a build without it
lacks nothing.

Besides that figures are printed and held, each at most what tests/checks/structure.json
says: small functions that are called once, headers with one user, functions that are
another one's copy, files that call each other in a circle, static names that two files
have. budget.py holds in the same file how large each room is, and says how a number is
raised. --update writes what is found.

Usage: structure.py SOURCE LIBRARY... [--update]
"""

import collections
import pathlib
import re
import statistics
import subprocess
import sys

import promises
from budget import COMMENT_OR_TEXT, Budget

# Each room with the rooms that it knows, in order.
ROOMS = {
    "uring": "uring/poll",  # ring.c chooses its table
    "uring/poll": "uring",
    "base": "uring",
    "systemd": "uring base",
    "loop": "uring base",
    "task": "uring base loop",
    "threads": "uring base loop task",
    "sync": "uring base loop task",
    "transport": "uring base loop",
    "transport/sock": "uring base loop transport",
    "transport/pipe": "uring base loop transport",
    "transport/memory": "uring base loop transport",
    "transport/datagram": "uring base loop transport",
    "watch": "uring base loop task transport",
    "names": "uring base loop task",
    "net/connect": "uring base loop task transport transport/sock transport/pipe "
                   "names",
    "net/serve": "uring base loop task transport transport/sock names",
    "net": "uring base loop task transport transport/sock transport/datagram names "
           "net/connect net/serve",
    "process": "uring base loop transport transport/pipe",
    "stream": "uring base loop task sync transport transport/sock transport/pipe "
              "transport/datagram names net/connect net/serve net process",
    # libweir-proxy; its first header has what it may include of libweir
    "proxy": "uring base loop task transport names net/connect stream",
    "proxy/preface": "uring base proxy",
    "proxy/relay": "uring base loop task transport stream proxy",
    "proxy/upstream": "uring base loop task transport names net/connect stream "
                      "proxy proxy/preface",
    # libweir-tls
    "x509": "uring base",
    "tls/backend": "uring base x509 tls/wolfssl tls/openssl",  # one table is chosen
    "tls/wolfssl": "uring base x509 tls/backend",
    "tls/openssl": "uring base x509 tls/backend",
    "tls/context": "uring base x509 tls/backend",
    "tls/engine": "uring base x509 tls/backend tls/context",
    "tls/filter": "uring base loop transport transport/sock tls/backend "
                  "tls/context tls/engine",
    # weir-load; main.c knows all of it
    "weir-load/base": "",
    "weir-load/schedule": "base",
    "weir-load/request": "base",
    "weir-load/target": "base",
    "weir-load/measure": "base request",
    "weir-load/options": "schedule request target measure",
    "weir-load/codec": "request measure options",
    "weir-load/http1": "base request measure codec",
    "weir-load/redis": "base request target measure codec",
    "weir-load/websocket": "base codec http1",
    "weir-load/conn": "request target measure options codec http1",
    "weir-load/http2": "request measure codec http1 conn",
    "weir-load/result": "base target measure options conn",
    "weir-load/command": "base request target measure options http1 conn http2",
    "weir-load/output": "base measure options result command",
    "weir-load/foreign": "base schedule request measure options",
    "weir-load/run": "base schedule target measure options codec conn http2 result "
                     "command output foreign",
    "weir-load/serve": "base request target options http1",
    "weir-load/analysis": "base target measure options command output",
    # weir-proxy; main.c knows all of it
    "weir-proxy/base": "",
    "weir-proxy/facts": "base",
    "weir-proxy/config": "base facts",
    "weir-proxy/confine": "facts config",
    "weir-proxy/runtime": "base facts config confine",
    "weir-proxy/control": "base facts config confine runtime",
}
TOOLS = ("weir-load/", "weir-proxy/")
KNOWN = {room: {room, *(f"{room.split('/')[0]}/{name}" if room.startswith(TOOLS) else name
                        for name in names.split())} for room, names in ROOMS.items()}
IN_TOOLS = tuple("tools/" + tool for tool in TOOLS)

# Files whose functions change no state of an object, so that nothing in them can
# be asserted that the compiler does not know; and the end of an assertion.
PURE = {"lib/base/error.c", "lib/base/version.c", "uring/check.c",
        "lib/tls/wolfssl/table.c"}

# A function that is called once has no reason below this length, and two bodies are
# compared from this size on.
SMALL_LINES = 12
BODY_STATEMENTS = 3
FUNCTION_LINES = 70

# Figures that count complaints.
UPWARD = "includes and calls that look up"
TWICE = "static names in two files"

PUBLIC = re.compile(r'^\s*#\s*include\s*["<](?:\.\./)*(?:weir/)?(\w+\.h)[">]', re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
FUNCTION = re.compile(
    r"^(?P<before>(?:[A-Za-z_#][^\n;{}=]*\n)*?[A-Za-z_][^\n;{}=]*?)\b(?P<name>[a-z_]\w+)"
    r"\((?P<taken>[^;{}]*?)\)\s*\n\{\n(?P<body>.*?)^\}", re.M | re.S)
PARAMETER = re.compile(r"(\w+)\s*(?:\[[^\]]*\]\s*)?(?:,|$)")
LOCAL = re.compile(r"^\s+(?!return\b|goto\b)(?:for \()?(?:(?:const|static|struct|enum|union|"
                   r"unsigned)\s+)*\w+[\s*]+(?:const\s+)?(\w+)(?:\[[^\]]*\])*(?:\s*=|;)",
                   re.M)
WORD = re.compile(r"(?<!->)(?<![.\w])[A-Za-z_]\w*")
ASSERTION = re.compile(r"\bwr_(?:debug_assert|assert|check)\(")
STATIC = re.compile(
    r"^static\s+(?:__attribute__\(\([^)]*\)\)\s*|inline\s+|const\s+|volatile\s+|"
    r"struct\s+|enum\s+|unsigned\s+)*\w+[\s*]+(?:volatile\s*\*)?(\w+)"
    r"\s*[\[(=;]", re.M)
WRITES_STATE = re.compile(r"(?:->|\.)(?:\w+_)?state = ")
SETS_STATE = re.compile(r"set_\w*state$|_(?:init|new|make|open)\w*$")
COMMENT = re.compile(r"/\*+(.*?)\*/", re.S)
# A comment names what it speaks of. It does not begin with a question or with a
# reference to another comment, and an object is not a person.
RIDDLE = re.compile(
    r"^(?:What|Who|Whose|Whom|The same|As above|After that|Has|Have|Is|Are|Was|"
    r"Did|Can|Will|Should|May)\b|"
    r"\bso (?:many|long|much)\b(?! (?:as|that|\d))|"
    r"\b(?:[Ss]ome|[Nn]o|[Aa]ny|[Ee]very)body\b|"
    r"\bwhat (?:came|there is)\b")
OBJECT = re.compile(r"(?:^|[:/])(?:lib_)?(\w+)\.[cS]\.o:")


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def room_of(path):
    """uring/op.c -> uring, lib/task/task.c -> task, lib/transport/sock/sock.c ->
    transport/sock, tools/weir-load/run/run.c -> weir-load/run."""
    folders = path.parts[:-1]
    return "/".join(folders[1:] if folders[0] in ("lib", "tools") else folders)


class Library:
    """The sources, of which texts are uring/ and lib/, and what was found wrong."""

    def __init__(self, source):
        self.source = source
        self.complaints = []
        self.kinds = collections.Counter()
        self.all = {}
        for folder in ("uring", "lib", "include", "tools", "tests"):
            for path in sorted((source / folder).rglob("*.[chS]")):
                self.all[path.relative_to(source)] = path.read_text(encoding="utf-8")
        self.words = self.part("uring", "lib", "include")
        self.texts = self.part("uring", "lib")

    def complain(self, text, kind=None):
        """@kind is the figure that counts complaints like this one."""
        self.complaints.append(text)
        self.kinds[kind] += 1

    def part(self, *folders):
        return {path: text for path, text in self.all.items()
                if path.parts[0] in folders}

    def files(self, suffixes):
        return [(path, text) for path, text in self.texts.items()
                if path.suffix in suffixes]


# ---- what is included ----

def target_of(source, path, name):
    for place in (source / path.parent, source, source / "include"):
        target = (place / name).resolve()
        if target.is_file() and target.is_relative_to(source):
            return target.relative_to(source)
    return None


def check_includes(library):
    in_tools = [(path, text) for path, text in library.all.items()
                if str(path).startswith(IN_TOOLS) and len(path.parts) > 3]
    for path, text in library.files((".c", ".h", ".S")) + in_tools:
        if room_of(path) not in KNOWN:
            library.complain(f"{path}: no room of that name")
            continue
        for name in INCLUDE.findall(text):
            target = target_of(library.source, path, name)
            if target is None or not (target.parts[0] in ("uring", "lib")
                                      or str(target).startswith(IN_TOOLS)):
                continue
            if room_of(target) not in KNOWN[room_of(path)] or (
                    room_of(path).startswith("proxy/")
                    and target.parts[:2] != ("lib", "proxy")):
                library.complain(f"{path}: {room_of(path)} may not include "
                                 f"{target}", UPWARD)
            folder = target.parent  # of weir-load: others include its door alone
            if folder != path.parent and target.name != f"{folder.name}.h" and (
                    room_of(path).startswith("weir-load/")):
                library.complain(f"{path}: others include {folder.name}.h alone, not "
                                 f"{target.name}", UPWARD)


def check_public_headers(library):
    """No room below lib/proxy, and no public header, includes one of its."""
    names = promises.proxy_headers(library.source)
    for path, text in library.words.items():
        is_above = (path.parts[:2] == ("lib", "proxy") or path.name in names
                    or path == pathlib.Path("include/weir.h"))
        for name in [] if is_above else PUBLIC.findall(text):
            if name in names:
                library.complain(f"{path}: only lib/proxy may include {name}",
                                 UPWARD)


# ---- what is called ----

def read_symbols(library, libraries):
    """Who defines each symbol, and which symbols each object needs."""
    # An object's name is its source's, with the folders joined by "_".
    places = {f"{room_of(path)}/{path.stem}".replace("/", "_"):
              (room_of(path), path.stem) for path, _ in library.files((".c", ".S"))}
    defined = {}
    needed = collections.defaultdict(set)
    strange = set()
    for archive in libraries:
        lines = subprocess.run(["nm", "-A", str(archive)], check=True, text=True,
                               capture_output=True).stdout.splitlines()
        for line in lines:
            match = OBJECT.search(line)
            if not match:
                continue
            place = places.setdefault(match[1])
            if place is None:
                strange.add(match[1])
                continue
            *_, kind, name = line.split()
            if kind == "U":
                needed[place].add(name)
            elif kind in "TDRBVW":
                defined[name] = place
    for name in sorted(strange):
        library.complain(f"{name}: an object without a source")
    return defined, needed


def check_calls(library, defined, needed):
    calls = collections.defaultdict(set)
    for place, names in needed.items():
        for name in names & defined.keys():
            other = defined[name]
            calls[place].add(other)
            if other[0] not in KNOWN[place[0]]:
                library.complain(f"{'/'.join(place)}.c: {place[0]} may not call "
                                 f"{name}() of {'/'.join(other)}.c", UPWARD)
    return calls


def circles_of(calls):
    """The groups of files that call each other, by Tarjan's way."""
    order, low, stack, found = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(calls.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            at = stack.index(node)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1:
                found.append(sorted("/".join(name) for name in group))

    for node in sorted(calls):
        if node not in order:
            visit(node)
    return sorted(found)


# ---- the text ----

def function_lengths(text):
    """A function runs from its brace in column 0 to the closing one."""
    code = COMMENT_OR_TEXT.sub(blank, text)
    lengths, start, previous = [], None, ""
    for number, line in enumerate(code.splitlines(), 1):
        if line.startswith("{") and previous.rstrip().endswith(")"):
            start = number
        elif line.startswith("}") and start is not None:
            lengths.append(number - start + 1)
            start = None
        if line.strip():
            previous = line
    return lengths


def check_statics(library):
    """A static name begins with its file's, and none is in two files, so that a
    backtrace, a profile and a search say whose it is."""
    places = {}
    for path, text in library.files((".c",)):
        for name in STATIC.findall(COMMENT_OR_TEXT.sub(blank, text)):
            if not name.startswith(path.stem + "_"):
                library.complain(f"{path}: the static name {name} does not "
                                 f"begin with {path.stem}_")
            if places.setdefault(name, path) != path:
                library.complain(f"{path}: the static name {name} is also in "
                                 f"{places[name]}", TWICE)


def open_states(library):
    """Where a state is written by another function than its set_state, or than
    the one that makes the object."""
    found = []
    for path, text in library.files((".c", ".h")):
        function = ""
        code = COMMENT_OR_TEXT.sub(blank, text)
        for number, line in enumerate(code.splitlines(), 1):
            match = re.match(r"^[a-z].*?(\w+)\(", line)
            function = match[1] if match else function
            if WRITES_STATE.search(line) and not SETS_STATE.search(function):
                found.append(f"{path}:{number}: {function}()")
    return found


def riddles(library):
    """Comments that break the rules of words in tests/STYLE.md."""
    found = []
    for path, text in library.words.items():
        for match in COMMENT.finditer(text):
            words = " ".join(line.strip(" *<") for line in
                             match[1].splitlines()).strip()
            if RIDDLE.search(words):
                number = text.count("\n", 0, match.start()) + 1
                found.append(f"{path}:{number}: {words[:60]}")
    return found


# ---- what is more than is needed ----

def part_of(path):
    """library, or the tool that a file belongs to."""
    return path.parts[1] if path.parts[0] == "tools" else "library"


def renamed(path, match, text):
    """A body with its own names by their order and its file's name left out."""
    body = COMMENT.sub("", text[slice(*match.span("body"))])
    own = {*PARAMETER.findall(match["taken"]), *LOCAL.findall(body)}
    order = {}

    def rename(word):
        if word[0] in own:
            return f"@{order.setdefault(word[0], len(order))}"
        return word[0].removeprefix(path.stem)

    return " ".join(WORD.sub(rename, body).split())


def superfluous_functions(library):
    """Small static functions that are called once, and that are another's copy."""
    once, bodies = collections.defaultdict(list), collections.defaultdict(list)
    for path, text in library.part("uring", "lib", "tools").items():
        if path.suffix != ".c" or path.parts[1] == "examples":
            continue
        code = COMMENT_OR_TEXT.sub(blank, text)
        words = collections.Counter(re.findall(r"\b[a-z_]\w+", code))
        calls = collections.Counter(re.findall(r"\b([a-z_]\w+)\(", code))
        for match in FUNCTION.finditer(code):
            if not re.search(r"\bstatic\b", match["before"]):
                continue
            name = match["name"]
            place = f"{path}:{code.count(chr(10), 0, match.start('name')) + 1}: {name}()"
            if words[name] == calls[name] == 2 and (
                    match[0].count("\n") < SMALL_LINES):
                once[part_of(path)].append(place)
            if match["body"].count(";") >= BODY_STATEMENTS:
                bodies[renamed(path, match, text)].append(place)
    return once, [places for places in bodies.values() if len(places) > 1]


def headers_of_one(library):
    """Headers that at most one file besides their own includes."""
    sources = library.part("uring", "lib", "include", "tools")
    users = collections.defaultdict(set)
    for path, text in sources.items():
        for name in INCLUDE.findall(text):
            users[target_of(library.source, path, name)].add(path)
    found = collections.defaultdict(list)
    for path in sources:
        if path.suffix == ".h" and path.parts[0] != "include" and (
                path.parts[1] != "examples"):
            if len(users[path] - {path, path.with_suffix(".c")}) <= 1:
                found[path.parts[0] == "tools"].append(str(path))
    return {"library": found[False], "tools": found[True]}


def sizes(library):
    """Figures of files and functions, which are shown alone, but for the longest."""
    figures, over = {}, 0
    for part, folders in (("library", ("uring", "lib", "include")),
                          ("tools", ("tools",)), ("tests", ("tests",))):
        texts = library.part(*folders).values()
        lengths = [length for text in texts for length in function_lengths(text)] or [0]
        over += sum(length > FUNCTION_LINES for length in lengths)
        figures.update({
            f"{part}: files": len(texts),
            f"{part}: functions": len(lengths),
            f"{part}: function lines, median": statistics.median(lengths),
            f"{part}: function lines, longest": max(lengths)})
    return {**figures, f"functions over {FUNCTION_LINES} lines": over}


def measure(library, calls):
    """The figures, and where each of them that is held was found."""
    once, copies = superfluous_functions(library)
    places = {
        "files without an assertion": [
            str(path) for path, text in library.files((".c",))
            if str(path) not in PURE
            and not ASSERTION.search(COMMENT_OR_TEXT.sub(blank, text))],
        "states written outside of their function": open_states(library),
        "comments against the rules of words": riddles(library)}
    for part in ("library", "weir-load", "weir-proxy", "common"):
        places[f"small functions called once, {part}"] = once[part]
    for part, headers in headers_of_one(library).items():
        places[f"headers with one user, {part}"] = headers
    circles = circles_of(calls)
    figures = {name: len(found) for name, found in places.items()}
    figures["functions that are a copy"] = sum(len(group) - 1 for group in copies)
    figures["files in circles of calls"] = sum(map(len, circles))
    figures[UPWARD] = library.kinds[UPWARD]
    figures[TWICE] = library.kinds[TWICE]
    places["functions that are a copy"] = [" = ".join(group) for group in copies]
    places["files in circles of calls"] = [" ".join(group) for group in circles]
    return {**sizes(library), **figures}, places


def main():
    names = [name for name in sys.argv[1:] if name != "--update"]
    source = pathlib.Path(names[0]).resolve()
    library = Library(source)
    check_includes(library)
    check_public_headers(library)
    check_statics(library)
    defined, needed = read_symbols(library, names[1:])
    calls = check_calls(library, defined, needed)
    if not calls:
        library.complain("no call was found in the libraries")
    figures, places = measure(library, calls)
    budget = Budget(source, library.complain)
    if "--update" in sys.argv:
        budget.update(figures)
    for name in budget.hold(figures):
        for place in places.get(name, ()):
            print(f"{name}: {place}")
    for complaint in library.complaints:
        print(complaint, file=sys.stderr)
    return 1 if library.complaints else 0


sys.exit(main())
