"""What each room of the tree holds at most: statements of code, lines of all else.

A statement is a semicolon (those in the head of a for are none), the head of an if, a
while or a switch, a comma that separates no arguments or elements, and an &&, || or ?
of a statement that keeps no value. Assembler has a statement a line. Macros count.

tests/checks/structure.json has the numbers. `structure.py --update` writes them and
counts up "settled". Until it runs again, a room may hold its number and what the
commits since then add to it in their messages, a line each:

    Budget: ROOM +N: reason

Git shows whether a number was raised without such a line. The figures of structure.py
are held in the same way.
"""

import collections
import json
import re
import subprocess

NUMBERS = "tests/checks/structure.json"
TRAILER = re.compile(r"^Budget:\s*(.+?)\s*\+\s*(\d+)\s*:\s*(\S.*)$", re.M | re.I)
LIKE_A_TRAILER = re.compile(r"^Budget:.*$", re.M | re.I)

CODE = (".c", ".h", ".S", ".cpp", ".hpp")
COMMENT_OR_TEXT = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+\w+(?:\([^)]*\))?((?:\\\n|[^\n])*)",
                    re.M)
DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.M)
TOKEN = re.compile(r"\n\}|\w+|&&|\|\||[=!<>]=|\S")
HEADS = {"if", "while", "switch"}
BEFORE_A_VALUE = {"return", "case", "else", "do"}


# ---- rooms ----

def room_of(name):
    """The room of a file and its unit, or two None for an unknown path."""
    folders, last = name.split("/")[:-1], name.split("/")[-1]
    is_code = last.endswith(CODE)
    top, inner = (folders + ["", ""])[:2]
    if top == "tests":
        return "/".join(folders[:2]) if inner else "tests (files)", "lines"
    if top == "bench":
        return "bench", "lines"
    if top in ("lib", "uring") and is_code:
        return "/".join(folders[:3]), "statements"
    if top == "include" and inner != "guide" and is_code:
        return "include/weir", "statements"
    if top == "include" and inner == "guide":
        return "include/guide", "lines"
    if top == "tools":
        return room_of_tool(folders, inner, last, is_code)
    if top in ("", "lib", "uring", "include") and (
            last in ("meson.build", "meson_options.txt") or last.endswith(".in")):
        return "build files", "lines"
    if top == ".ci":
        return "scripts", "lines"
    if not top and last.startswith("."):
        return "build files", "lines"
    if not top and (last.endswith(".md") or last == "LICENSE"):
        return "documents", "lines"
    return None, None


def room_of_tool(folders, folder, last, is_code):
    if is_code and folder:
        return "/".join(folders[:3 if folder == "weir-load" else 2]), "statements"
    if folder == "man":
        return "tools/man", "lines"
    if folder == "weir-load":
        return "tools/weir-load: script, page", "lines"
    if last == "meson.build":
        return "build files", "lines"
    if folder in ("debian", "action") or last == "Containerfile" or last.endswith(".in"):
        return "packaging", "lines"
    if folder in ("", "common", "gdb"):
        return "scripts", "lines"
    return None, None


def room_named(name, rooms):
    """The room that a trailer means: its name, or a file or folder in it."""
    names = (name, name.rstrip("/"), room_of(name)[0], room_of(f"{name}/a.c")[0])
    return next((room for room in names if room in rooms), None)


# ---- statements ----

def blank(match):
    text = match[0]
    return '""' if text[0] in "\"'" else " " + "\n" * text.count("\n")


def kind_of_bracket(token, last, before, top, closed):
    """Whether commas in a bracket separate ("list") or are operators."""
    if token == "(":
        if last in HEADS or last == "for":
            return last
        is_call = re.match(r"\w", last) and last not in BEFORE_A_VALUE
        is_called = last == "]" or (last == ")" and before != "void")
        return "list" if is_call or is_called or before == "__attribute__" else "group"
    if token == "[" or top == "list" or "enum" in (last, before):
        return "list"
    return "list" if last in ("=", ",", "(", "return") or (
        last == ")" and closed == "group") else "block"


def count_statements(code, root="block"):
    """Statements of @code, which has no comments, strings or directives."""
    count, last, before, closed = 0, ";", ";", ""
    stack = [root]
    effects = [0]  # operators of the statement so far; None: its value is kept
    for token in TOKEN.findall(code):
        top = stack[-1]
        if token == "\n}":
            stack, effects = [root], [0]
        elif token in "([{":
            stack.append(kind_of_bracket(token, last, before, top, closed))
            effects.append(0)
            count += stack[-1] in HEADS
        elif token in ")]}" and len(stack) > 1:
            closed = stack.pop()
            inside = effects.pop()
            if closed == "group" and effects[-1] is not None:
                effects[-1] += inside or 0
            elif token == "}" or closed in HEADS or closed == "for":
                effects[-1] = 0
        elif token == ";" and top != "for":
            count += 1 + (effects[-1] or 0)
            effects[-1] = 0
        elif token == ",":
            count += top != "list"
        elif token in ("&&", "||", "?") and effects[-1] is not None:
            effects[-1] += 1
        elif (token == "=" and not effects[-1]) or token in ("return", "case"):
            effects[-1] = None
        before, last = last, token
    return count


def statements(text):
    text = COMMENT_OR_TEXT.sub(blank, text)
    count = count_statements(DIRECTIVE.sub("", text))
    for body in DEFINE.findall(text):
        count += count_statements(body.replace("\\\n", " "),
                                  "block" if ";" in body else "list")
    return count


def assembler(text):
    text = DIRECTIVE.sub("", COMMENT_OR_TEXT.sub(blank, text))
    return len([line for line in text.splitlines() if line.strip()])


# ---- history ----

def git(source, *words):
    """What git prints, or None where it cannot."""
    try:
        done = subprocess.run(["git", "-C", str(source), *words], text=True,
                              errors="replace", capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def numbers_of(version):
    return {**version.get("figures", {}), **version.get("rooms", {})}


class Budget:
    """The numbers of a tree, and what its history allows.

    @allowed is what the numbers and the lines of commits leave at the last commit
    that settled them, @open what the commits since then add.
    """

    def __init__(self, source, complain):
        self.source = source
        self.complain = complain
        self.now = json.loads((source / NUMBERS).read_text(encoding="utf-8"))
        self.found, self.units, self.first = collections.Counter(), {}, {}
        self.raised = []  # (commit, room, number, reason) since the introduction
        top = git(source, "rev-parse", "--show-toplevel")
        self.has_git = top is not None and top.rstrip("\n") == str(source)
        self.count_rooms()
        self.read_history()

    def files(self):
        if self.has_git:
            return filter(None, git(self.source, "ls-files", "-z").split("\0"))
        return [str(path.relative_to(self.source)) for folder in
                ("include", "uring", "lib", "tools", "tests", "bench")
                for path in sorted((self.source / folder).rglob("*"))
                if "__pycache__" not in path.parts]

    def count_rooms(self):
        for name in self.files():
            path = self.source / name
            if path.is_symlink() or not path.is_file():
                continue
            room, unit = room_of(name)
            if room is None:
                self.complain(f"{name}: no room holds this path: move it, or teach "
                              "room_of() in tests/checks/budget.py")
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            self.units[room] = unit
            self.first.setdefault(room, name)
            self.found[room] += (text.count("\n") if unit == "lines" else
                                 assembler(text) if name.endswith(".S") else
                                 statements(text))

    def read_history(self):
        self.allowed, self.open = numbers_of(self.now), collections.Counter()
        self.settled, self.is_settling = 0, True
        if not self.has_git or "true" in git(self.source, "rev-parse",
                                             "--is-shallow-repository"):
            print("budget: the whole history is not here: the numbers of "
                  "structure.json hold alone, without what commits add")
            return
        commits = (git(self.source, "log", "--reverse", "--format=%H", "-G",
                       '"settled":', "--", NUMBERS) or "").split()
        if not commits:
            return
        versions = [json.loads(git(self.source, "show", f"{commit}:{NUMBERS}") or "{}")
                    for commit in commits]
        self.allowed = numbers_of(versions[0])
        for old, new, version in zip(commits, commits[1:], versions[1:]):
            added = self.by_room(self.trailers(old, new))
            self.allowed = {room: min(number, self.allowed.get(room, 0) + added[room])
                            for room, number in numbers_of(version).items()}
        self.settled = versions[-1].get("settled", 0)
        self.is_settling = self.now.get("settled") != self.settled
        self.open = self.by_room(self.trailers(commits[-1], "HEAD"),
                                 not self.is_settling)

    def trailers(self, since, until):
        """What the messages of a range of commits add."""
        found = []
        commits = git(self.source, "log", "--reverse", "--format=%h %B%x1e",
                      f"{since}..{until}")
        for commit in filter(None, map(str.strip, commits.split("\x1e"))):
            name, message = commit.split(" ", 1)
            for line in LIKE_A_TRAILER.findall(message):
                match = TRAILER.match(line)
                if match:
                    found.append((name, match[1], int(match[2]), match[3]))
                else:
                    print(f"budget: {name}: not counted, no `Budget: ROOM +N: "
                          f"reason`: {line}")
        self.raised += found
        return found

    def by_room(self, trailers, complains=False):
        rooms = {*self.allowed, *self.found}
        added = collections.Counter()
        for commit, name, number, _ in trailers:
            room = room_named(name, rooms)
            added[room] += number
            if room is None and complains:
                self.complain(f"{commit}: `Budget: {name} +{number}` names no room; "
                              f"the rooms are {', '.join(sorted(rooms))}")
        return added

    def bound(self, name):
        """The largest number that the history allows."""
        return self.allowed.get(name, 0) + self.open[name]

    def limit(self, name):
        number = numbers_of(self.now).get(name, 0)
        if self.is_settling:
            return min(number, self.bound(name))
        return min(number, self.allowed.get(name, 0)) + self.open[name]

    def update(self, figures):
        """Writes what is found, at most what the history allows, and settles it."""
        path = self.source / NUMBERS
        is_first = "settled" not in self.now and not self.settled
        held = {name: figures[name] for name in self.now["figures"]}
        lines = path.read_text(encoding="utf-8").count("\n")
        for _ in range(2):  # the file is a part of what it counts
            for kind, found in (("figures", held), ("rooms", self.found)):
                self.now[kind] = {
                    name: number if is_first else min(number, self.bound(name))
                    for name, number in found.items()}
            self.now["settled"] = self.settled + 1
            text = json.dumps(self.now, indent=2, sort_keys=True) + "\n"
            self.found[room_of(NUMBERS)[0]] += text.count("\n") - lines
            lines = text.count("\n")
        path.write_text(text, encoding="utf-8")
        self.is_settling = True
        if is_first:
            self.allowed = numbers_of(self.now)

    def hold(self, figures):
        """Prints what is found, complains of what is more than is allowed, and
        returns the names of that."""
        for commit, name, number, reason in self.raised:
            print(f"budget: {commit}: {name} +{number}: {reason}")
        numbers = numbers_of(self.now)
        found = {**figures, **self.found}
        over = []
        for name in sorted({*found, *numbers, *self.allowed}):
            kind = "room" if name in self.units else "figure"
            count = f"{found.get(name, 0)} {self.units.get(name, '')}".rstrip()
            is_known = name in {*numbers, *self.allowed, *self.open}
            limit = self.limit(name)
            print(f"{kind}: {name}: {count}" + (f" (limit {limit})" if is_known else ""))
            if numbers.get(name, 0) > self.bound(name):
                self.complain(f"{name}: structure.json says {numbers[name]}, its history "
                              f"allows {self.bound(name)}: a number is not raised by hand")
            if kind == "room" and not is_known:
                self.complain(f"{self.first[name]}: {name} is no room of structure.json; "
                              f"`Budget: {name} +{found[name]}: reason` in the commit's "
                              "message makes it one")
            elif is_known and found.get(name, 0) > limit:
                over.append(name)
                more = found[name] - limit
                other = (f", or end the commit's message with `Budget: {name} +{more}: "
                         "reason`" if kind == "room" or limit else "")
                self.complain(f"{name}: {count}, at most {limit}: take {more} away{other}")
        return over
