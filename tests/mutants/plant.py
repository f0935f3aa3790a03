"""Find the faults that sources could have, and plant those that are drawn.

Each .c file of the rooms, and each header with functions, is read by libclang with
the flags of a build's compile_commands.json. Where a drawn fault stands the text
becomes WR_MUTANT(n) ? fault : original (mutant.h), so that one build holds all that
are drawn and the environment chooses one. The kinds:

    compare     < becomes <=, > becomes >=, == becomes !=, and back; < and > also ==
    arithmetic  + becomes -, * becomes +, & becomes |, and back
    logic       && becomes ||, and back
    branch      a condition of if, while, do or ?: is turned round
    constant    a number is one more
    call        a call whose result is not used is left out
    release     the same, of a function that gives something back
    assign      an assignment is left out
    error       a negative error that is returned is another one
    result      what is returned is 0, or 1 where it was 0
    require     a wr_require() accepts everything

Nothing is planted in assertions, in other macros, in what must be constant, and in
functions that only describe or check the state, and no two of one text at one place.
A drawn fault that does not compile is left out again.
"""

import hashlib
import json
import pathlib
import re
import shlex
import signal
import subprocess
from concurrent.futures import ProcessPoolExecutor

from clang import cindex
from clang.cindex import CursorKind as Kind
from clang.cindex import StorageClass, TypeKind

FOLDERS = ("lib", "uring", "tools")
# Rooms that are no folder: the files that compute what weir-load says.
WEIR_LOAD = "weir-load-arithmetic"
LISTS = {WEIR_LOAD: ("tools/common/units.c", "tools/load/histogram.c", *(
    f"tools/weir-load/{name}.c" for name in (
        "measure/hdr", "measure/hgrm", "measure/record", "measure/sharing", "measure/slo",
        "measure/track", "request/sizes", "result/lateness", "result/slowing", "result/verdict",
        "run/gather", "run/pacing", "schedule/schedule", "schedule/schedule_parse")))}
# From where faults are drawn unless rooms are named.
ALL = ("lib", "uring", WEIR_LOAD)
OTHER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
         "+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "&&": "||",
         "||": "&&", "&": "|", "|": "&", "<<": ">>", ">>": "<<"}
EQUALITY = {"==", "!="}
COMPARE = EQUALITY | {"<", "<=", ">", ">="}
LOGIC = {"&&", "||"}
INTEGERS = {TypeKind.BOOL, TypeKind.CHAR_U, TypeKind.UCHAR, TypeKind.USHORT,
            TypeKind.UINT, TypeKind.ULONG, TypeKind.ULONGLONG, TypeKind.CHAR_S,
            TypeKind.SCHAR, TypeKind.SHORT, TypeKind.INT, TypeKind.LONG,
            TypeKind.LONGLONG, TypeKind.ENUM}
ARRAYS = {TypeKind.CONSTANTARRAY, TypeKind.VARIABLEARRAY,
          TypeKind.INCOMPLETEARRAY}
BLOCKS = {Kind.CASE_STMT, Kind.IF_STMT, Kind.WHILE_STMT, Kind.FOR_STMT,
          Kind.DO_STMT, Kind.SWITCH_STMT, Kind.COMPOUND_STMT,
          Kind.DEFAULT_STMT, Kind.LABEL_STMT}
# The end of an assertion.
LEFT_ALONE = {"uring/check.c"}
# Functions of which the tests see a text, or nothing but that they pass.
DESCRIBES = re.compile(r"(^|_)(dump|invariants|state_name)(_|$)")
ASSERTS = re.compile(r"assert|check_invariants|debug_check")
CHECKS = re.compile(r"\.check = (\w+_check\w*)")
RELEASES = re.compile(r"(unref|free|give|close|release|fini|remove|cancel|"
                      r"unlock|munmap|stop|pop|unlink|discard|drop)")
ERROR = re.compile(r"-E[A-Z0-9]+|WEIR_E[A-Z0-9_]+")
COMMENT = re.compile(r"/\*.*?\*/", re.S)
# Hints for the compiler: without them their arguments are no macro's.
HINTS = re.compile(r"(?<!define )\bWR_(UN)?LIKELY\(")
NUMBER = re.compile(r"WR_MUTANT\((\d+)\)")
# The numbers of a file are a range of their own, some of them free, so that a change
# in one file leaves those of the others.
RANGE = 128


def one_line(text):
    return " ".join(COMMENT.sub(" ", text).split())


class Mutant:
    """Instead of text[start:end] stands @fault; or, where the original is a
    statement, nothing."""

    def __init__(self, kind, span, fault, function, is_statement=False):
        self.kind = kind
        self.start, self.end = span
        self.fault = fault
        self.function = function
        self.is_statement = is_statement
        self.number = 0

    def around(self, body):
        chosen = f"WR_MUTANT({self.number})"
        if self.fault is None:
            return f"if (!{chosen}) {body}"
        fault = self.fault.replace("\n", " ")
        if self.is_statement:
            return f"({chosen} ? {fault} : (void)({body}))"
        return f"({chosen} ? {fault} : ({body}))"


class Source:
    """A file's text, the macros that it uses and the faults found in it."""

    def __init__(self, path, text, unit, checks):
        self.path = path
        self.bytes = text.encode()
        self.checks = checks
        self.mutants = []
        self.function = None
        here = [at for at in unit.cursor.get_children() if self.is_here(at)]
        self.macros = sorted((*self.span(at), at.spelling) for at in here
                             if at.kind == Kind.MACRO_INSTANTIATION)
        for cursor in here:
            if cursor.kind == Kind.FUNCTION_DECL:
                self.find(cursor)
        self.mutants.sort(key=lambda mutant: (mutant.start, -mutant.end))
        for number, mutant in enumerate(self.mutants, 1):
            mutant.number = number

    def is_here(self, cursor):
        place = cursor.location.file
        return place is not None and place.name == self.path

    @staticmethod
    def span(cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset

    def text(self, start, end):
        return self.bytes[start:end].decode()

    def text_of(self, cursor):
        return self.text(*self.span(cursor))

    def is_in_macro(self, start, end):
        """Begins or ends inside the use of a macro, or is one with arguments,
        which may be more than an expression."""
        for first, last, _ in self.macros:
            if first < start < last or first < end < last:
                return True
            if first == start and (end < last or
                                   self.bytes[last - 1:last] == b")"):
                return True
        return False

    def add(self, kind, cursor, fault, is_statement=False):
        start, end = self.span(cursor)
        if end > start and not self.is_in_macro(start, end) and not any(
                (start, end, fault) == (mutant.start, mutant.end, mutant.fault)
                for mutant in self.mutants):
            self.mutants.append(Mutant(kind, (start, end), fault, self.function,
                                       is_statement))

    # ---- finding ----

    def find(self, cursor):
        self.function = cursor.spelling
        if DESCRIBES.search(self.function) or self.function in self.checks:
            return
        for child in cursor.get_children():
            if child.kind == Kind.COMPOUND_STMT:
                self.find_in_macros(*self.span(child))
                self.walk(child, cursor.result_type)

    def find_in_macros(self, start, end):
        """wr_require(condition, error), and wr_ignore(call)."""
        for first, last, name in self.macros:
            if not start < first < end:
                continue
            if name == "wr_require":
                self.find_in_require(first, last)
            elif name == "wr_ignore":
                call = re.match(r"wr_ignore\((\w+)\(", self.text(first, last))
                if call:
                    self.mutants.append(Mutant(self.call_kind(call[1]),
                                               (first, last), None,
                                               self.function))

    def find_in_require(self, first, last):
        at = comma = first + len("wr_require(")
        depth = 0
        for place in range(at, last - 1):
            byte = self.bytes[place:place + 1]
            depth += (byte in b"([{") - (byte in b")]}")
            if byte == b"," and depth == 0:
                comma = place
        self.mutants.append(Mutant("require", (at, comma), "1", self.function))
        code = self.text(comma + 1, last - 1)
        start = comma + 1 + len(code) - len(code.lstrip())
        if ERROR.fullmatch(code.strip()):
            self.mutants.append(Mutant("error", (start, last - 1),
                                       self.other_error(code.strip()),
                                       self.function))

    @staticmethod
    def other_error(text):
        return "-EIO" if text != "-EIO" else "-EPROTO"

    @staticmethod
    def call_kind(name):
        return "release" if RELEASES.search(name) else "call"

    def walk(self, cursor, result):
        """All below a statement or an expression."""
        kind = cursor.kind
        if kind in BLOCKS:
            self.block(cursor, result)
            return
        if (kind in (Kind.CXX_UNARY_EXPR, Kind.UNEXPOSED_DECL) or  # sizeof
                kind == Kind.DECL_STMT and self.must_be_constant(cursor)):
            return
        if kind == Kind.RETURN_STMT:
            self.returned(cursor, result)
        elif kind == Kind.BINARY_OPERATOR:
            self.binary(cursor)
        elif kind == Kind.CONDITIONAL_OPERATOR:
            self.turn(next(cursor.get_children()))
        elif kind == Kind.INTEGER_LITERAL:
            self.constant(cursor)
        for child in cursor.get_children():
            self.walk(child, result)

    @staticmethod
    def must_be_constant(cursor):
        """Statics, arrays and assertions of the compiler."""
        return any(child.kind != Kind.VAR_DECL or
                   child.storage_class == StorageClass.STATIC or
                   child.type.kind in ARRAYS for child in cursor.get_children())

    def block(self, cursor, result):
        """A statement with others in it. The constant of a case is left alone."""
        children = list(cursor.get_children())
        if cursor.kind in (Kind.IF_STMT, Kind.WHILE_STMT):
            self.turn(children[0])
        elif cursor.kind == Kind.DO_STMT:
            self.turn(children[-1])
        head, body = [], children
        if cursor.kind in (Kind.IF_STMT, Kind.WHILE_STMT, Kind.SWITCH_STMT):
            head, body = children[:1], children[1:]
        elif cursor.kind == Kind.DO_STMT:
            head, body = children[-1:], children[:-1]
        elif cursor.kind == Kind.FOR_STMT:
            head, body = children[:-1], children[-1:]
        elif cursor.kind == Kind.CASE_STMT:
            body = children[-1:]
        for child in head:
            self.walk(child, result)
        for child in body:
            self.statement(child, result)

    def statement(self, cursor, result):
        """A statement in whose place none could stand."""
        kind = cursor.kind
        if kind == Kind.CALL_EXPR and not ASSERTS.search(cursor.spelling):
            self.add(self.call_kind(cursor.spelling), cursor, "(void)0", True)
        elif (kind in (Kind.COMPOUND_ASSIGNMENT_OPERATOR, Kind.UNARY_OPERATOR)
              or kind == Kind.BINARY_OPERATOR and self.operator(cursor) == "="):
            self.add("assign", cursor, "(void)0", True)
        self.walk(cursor, result)

    def is_equality(self, cursor):
        """Turned round it is a fault of its own kind."""
        return (cursor.kind == Kind.BINARY_OPERATOR and
                self.operator(cursor) in EQUALITY)

    def turn(self, cursor):
        text = self.text_of(cursor)
        if not self.is_equality(cursor) and text not in ("true", "false", "0", "1"):
            self.add("branch", cursor, f"!({text})")

    def returned(self, cursor, result):
        for value in cursor.get_children():
            text = self.text_of(value)
            kind = result.get_canonical().kind
            if ERROR.fullmatch(text):
                self.add("error", value, self.other_error(text))
            elif kind == TypeKind.BOOL:
                if not self.is_equality(self.bare(value)):
                    self.add("result", value, f"!({text})")
            elif kind in INTEGERS:
                self.add("result", value, "1" if text == "0" else "0")
            elif kind == TypeKind.POINTER and text != "NULL":
                self.add("result", value, "(void *)0")

    @staticmethod
    def bare(cursor):
        """Without the conversions of the compiler."""
        while cursor.kind == Kind.UNEXPOSED_EXPR:
            inner = list(cursor.get_children())
            if len(inner) != 1:
                break
            cursor = inner[0]
        return cursor

    def operator(self, cursor):
        """The text between the two operands."""
        left, right = cursor.get_children()
        return one_line(self.text(left.extent.end.offset,
                                  right.extent.start.offset))

    def binary(self, cursor):
        operands = list(cursor.get_children())
        operator = self.operator(cursor)
        if operator not in OTHER:
            return
        kinds = [child.type.get_canonical().kind for child in operands]
        if operator in ("+", "-") and kinds[1] not in INTEGERS:
            return
        if operator not in COMPARE | LOGIC | {"+", "-"} and any(
                kind not in INTEGERS for kind in kinds):
            return
        left, right = (self.text_of(child) for child in operands)
        kind = ("compare" if operator in COMPARE else
                "logic" if operator in LOGIC else "arithmetic")
        self.add(kind, cursor, f"{left} {OTHER[operator]} {right}"
                 if kind == "compare" else f"({left}) {OTHER[operator]} ({right})")
        if operator in COMPARE - EQUALITY:
            self.add(kind, cursor, f"{left} == {right}")

    def constant(self, cursor):
        match = re.fullmatch(r"(0x[0-9a-fA-F]+|[0-9]+)([uUlL]*)",
                             self.text_of(cursor))
        if match:
            base = 16 if "x" in match[1] else 8 if match[1][0] == "0" else 10
            self.add("constant", cursor, f"{int(match[1], base) + 1}{match[2]}")

    # ---- writing ----

    def lines_of(self, mutant):
        first = self.bytes.count(b"\n", 0, mutant.start) + 1
        return range(first, first + 1 +
                     self.bytes.count(b"\n", mutant.start, mutant.end))

    def planted(self, mutants):
        """The text with these faults. Its lines have the numbers that they had."""
        spans = {}
        for mutant in mutants:
            spans.setdefault((mutant.start, mutant.end), []).append(mutant)
        return ('#include "tests/mutants/mutant.h"\n#line 1\n' +
                self.render(0, len(self.bytes), list(spans.items())))

    def render(self, start, end, spans):
        """@spans are sorted, the outer before the inner."""
        pieces, at, index = [], start, 0
        while index < len(spans):
            (first, last), mutants = spans[index]
            inner = [item for item in spans[index + 1:] if item[0][1] <= last]
            pieces.append(self.text(at, first))
            body = self.render(first, last, inner)
            for mutant in mutants:
                body = mutant.around(body)
            pieces.append(body)
            at = last
            index += 1 + len(inner)
        pieces.append(self.text(at, end))
        return "".join(pieces)

    def rows(self, name):
        """What is known of each fault. Its key does not change by what is changed
        elsewhere."""
        rows, seen = [], {}
        for mutant in self.mutants:
            begin = self.bytes.rfind(b"\n", 0, mutant.start) + 1
            end = self.bytes.find(b"\n", mutant.end)
            fault = (mutant.fault or "").replace("\n", " ")
            before = one_line(self.text(begin, end))
            after = one_line(self.text(begin, mutant.start) + fault
                             + self.text(mutant.end, end))
            key = (name, mutant.function, mutant.kind, before, after)
            seen[key] = seen.get(key, 0) + 1
            rows.append({"number": mutant.number, "file": name,
                         "line": self.lines_of(mutant)[0],
                         "function": mutant.function, "kind": mutant.kind,
                         "before": before, "after": after,
                         "nth": seen[key]})
        return rows


# ---- one file ----

# The headers as they are, path and text: in the tree are those of the last run.
HEADERS = []


def parse(path, text, flags, options=0):
    others = [item for item in HEADERS if item[0] != path]
    return cindex.Index.create().parse(path, flags, [(path, text), *others], options)


def error_lines(unit, path):
    """The lines of the file in which libclang finds errors."""
    found = [item for item in unit.diagnostics
             if item.severity >= cindex.Diagnostic.Error]
    for item in found:
        if item.location.file is None or item.location.file.name != path:
            raise SystemExit(f"{path}: {item}")
    return {item.location.line for item in found}


def read(job):
    """A file with its faults, which are numbered from 1 on."""
    name, path, text, flags, checks = job
    text = HINTS.sub("(", text)
    unit = parse(path, text, flags,
                 cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
    bad = error_lines(unit, path)
    if bad:
        raise SystemExit(f"{name}: does not compile: lines {sorted(bad)}")
    return Source(path, text, unit, checks)


def find_file(job):
    """The rows that describe the faults of one file."""
    return read(job).rows(job[0])


def plant_file(job, numbers):
    """The text of one file with these of its faults, and those that it has: not
    those that do not compile."""
    name, path, _, flags, _ = job
    source = read(job)
    mutants = [mutant for mutant in source.mutants if mutant.number in numbers]
    while True:
        planted = source.planted(mutants)
        # Of the planted text libclang counts the two lines before the first.
        lines = {line - 2 for line in error_lines(parse(path, planted, flags), path)}
        if not lines:
            return {"asked": numbers, "text": planted,
                    "held": [mutant.number for mutant in mutants]}
        left = [mutant for mutant in mutants
                if not lines & set(source.lines_of(mutant))]
        if len(left) == len(mutants):
            raise SystemExit(f"{name}: faults break lines {sorted(lines)}")
        mutants = left


# ---- all files ----

def flags_of(command):
    """What libclang needs of a compile command."""
    kept, skip = [], False
    for word in shlex.split(command["command"])[1:]:
        if skip:
            kept.append(word)
            skip = False
        elif word in ("-isystem", "-include", "-I", "-D"):
            kept.append(word)
            skip = True
        elif word.startswith(("-I", "-D", "-std", "-isystem")):
            kept.append(word)
    return kept + ["-working-directory=" + command["directory"]]


def sources_of(tree, build):
    """Each source of the folders that is compiled, with its flags; and each header
    there that has functions, with the flags of the source that has most."""
    commands = json.loads((build / "compile_commands.json").read_text("utf-8"))
    clang = subprocess.run(["clang", "-print-resource-dir"], text=True,
                           stdout=subprocess.PIPE, check=True).stdout.strip()
    found = {}
    for command in commands:
        path = pathlib.Path(command["directory"], command["file"]).resolve()
        if path.is_relative_to(tree):
            name = str(path.relative_to(tree))
            if is_in(name, FOLDERS) and name.endswith(".c") and (
                    name not in LEFT_ALONE):
                found.setdefault(name, flags_of(command) +
                                 [f"-I{tree}", f"-I{clang}/include"])
    most = max(found.values(), key=len, default=[])
    for folder in FOLDERS:
        for path in sorted((tree / folder).rglob("*.h")):
            text = path.read_text(encoding="utf-8")
            if "static inline" in text:
                found[str(path.relative_to(tree))] = [*most, "-xc"]
    return found


def hash_of(*texts):
    found = hashlib.blake2b(digest_size=12)
    for text in texts:
        found.update(text.encode() + b"\0")
    return found.hexdigest()


def is_in(name, rooms):
    """Rooms are folders, files and lists of these."""
    return any(name == part or name.startswith(part + "/") for room in rooms
               for part in LISTS.get(room, (room,)))


def start_process(headers):
    """Ctrl-C, which reaches all processes of a terminal, is for the first one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    HEADERS.extend(headers)


class Plants:
    """The faults of the sources of @origin in the @rooms, of which those that are
    drawn are planted in @tree. What is found is kept in @cache, a file."""

    def __init__(self, origin, tree, build, cache, jobs, rooms):
        self.tree, self.cache, self.jobs = tree, cache, jobs
        known = json.loads(cache.read_text("utf-8")) if cache.exists() else {}
        sources = sources_of(tree, build)
        self.known = {name: item for name, item in known.items() if name in sources}
        sources = {name: flags for name, flags in sources.items()
                   if is_in(name, rooms)}
        self.texts = {str(path.relative_to(origin)): path.read_text(encoding="utf-8")
                      for folder in ("include", *FOLDERS)
                      for path in sorted((origin / folder).rglob("*.[ch]"))}
        headers = {name: text for name, text in self.texts.items()
                   if name.endswith(".h")}
        self.headers = [(str(tree / name), text) for name, text in headers.items()]
        everything = hash_of(pathlib.Path(__file__).read_text(encoding="utf-8"),
                             *headers.values())
        checks = sorted({name for text in self.texts.values()
                         for name in CHECKS.findall(text)})
        self.jobs_of = {name: (name, str(tree / name), self.texts[name], flags, checks)
                        for name, flags in sorted(sources.items())}
        self.find({name: hash_of(everything, self.texts[name], *flags, *checks)
                   for name, flags in sources.items()})

    def map(self, function, *lists):
        """Of each job what the function returns, in processes of their own. Jobs
        that wait are dropped if the caller is interrupted."""
        with ProcessPoolExecutor(self.jobs, initializer=start_process,
                                 initargs=(self.headers,)) as pool:
            try:
                yield from pool.map(function, *lists)
            finally:
                pool.shutdown(cancel_futures=True)

    def save(self):
        self.cache.write_text(json.dumps(self.known), encoding="utf-8")

    def find(self, stamps):
        """Reads the files that have changed."""
        new = [job for name, job in self.jobs_of.items()
               if self.known.get(name, {}).get("stamp") != stamps[name]]
        if new:
            print(f"looking for faults in {len(new)} files", flush=True)
            try:
                for (name, *_), rows in zip(new, self.map(find_file, new)):
                    self.known[name] = {"rows": rows, "stamp": stamps[name],
                                        **self.range_of(name, len(rows))}
            finally:
                self.save()  # what is found is not looked for again

    def range_of(self, name, count):
        """The numbers of a file, the old ones if there is room for them; else those
        after all others."""
        old = {key: self.known.get(name, {}).get(key, 0) for key in ("base", "size")}
        if count < old["size"]:
            return old
        return {"base": max((item["base"] + item["size"]
                             for item in self.known.values()), default=0),
                "size": RANGE * (1 + (count + RANGE // 4) // RANGE)}

    def table(self):
        """A row for each fault that is found."""
        return [{**row, "number": self.known[name]["base"] + row["number"]}
                for name in self.jobs_of for row in self.known[name]["rows"]]

    def plant(self, drawn):
        """Writes the sources, those of the drawn faults with these. Returns those
        that compile."""
        numbers = {}
        for row in drawn:
            numbers.setdefault(row["file"], set()).add(
                row["number"] - self.known[row["file"]]["base"])
        asked = {name: sorted(found) for name, found in numbers.items()}
        new = [name for name, found in asked.items()
               if self.known[name].get("planted", {}).get("asked") != found]
        for name, planted in zip(new, self.map(
                plant_file, [self.jobs_of[name] for name in new],
                [asked[name] for name in new])):
            self.known[name]["planted"] = planted
        self.save()
        held = set()
        for name, text in self.texts.items():
            if name in asked:
                base = self.known[name]["base"]
                planted = self.known[name]["planted"]
                held |= {base + number for number in planted["held"]}
                text = NUMBER.sub(
                    lambda match, base=base: f"WR_MUTANT({base + int(match[1])})",
                    planted["text"])
            write(self.tree / name, text)
        kept = [row for row in drawn if row["number"] in held]
        print(f"{len(kept)} faults in {len(asked)} files; {len(drawn) - len(kept)} "
              "did not compile", flush=True)
        return kept


def write(path, text):
    """Leaves a file alone that has this text, so that it is not built anew."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
