"""Plant numbered faults in the sources of lib/ and uring/.

Each .c file, and each header with functions, is read by libclang with the flags
of a build's compile_commands.json. Where a fault can stand the text becomes
WR_MUTANT(n) ? fault : original (mutant.h), so that one build holds all of them
and the environment chooses one. The kinds:

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
functions that only describe or check the state. A fault that does not compile is
left out again.
"""

import hashlib
import json
import pathlib
import re
import shlex
import subprocess
from concurrent.futures import ProcessPoolExecutor

from clang import cindex
from clang.cindex import CursorKind as Kind
from clang.cindex import StorageClass, TypeKind

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
        if end > start and not self.is_in_macro(start, end):
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

    def planted(self):
        """The text with these faults, numbered from 1 on. Its lines have the
        numbers that they had."""
        self.mutants.sort(key=lambda mutant: (mutant.start, -mutant.end))
        spans = {}
        for number, mutant in enumerate(self.mutants, 1):
            mutant.number = number
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


def plant_file(job):
    """The text of one file with its faults, and the rows that describe them."""
    name, path, text, flags, checks = job
    text = HINTS.sub("(", text)
    unit = parse(path, text, flags,
                 cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
    bad = error_lines(unit, path)
    if bad:
        raise SystemExit(f"{name}: does not compile: lines {sorted(bad)}")
    source = Source(path, text, unit, checks)
    found = len(source.mutants)
    while source.mutants:
        planted = source.planted()
        # Of the planted text libclang counts the two lines before the first.
        lines = {line - 2 for line in error_lines(parse(path, planted, flags), path)}
        if not lines:
            return {"text": planted, "rows": source.rows(name),
                    "left_out": found - len(source.mutants)}
        left = [mutant for mutant in source.mutants
                if not lines & set(source.lines_of(mutant))]
        if len(left) == len(source.mutants):
            raise SystemExit(f"{name}: faults break lines {sorted(lines)}")
        source.mutants = left
    return {"text": text, "rows": [], "left_out": found}


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
    """Each source of lib/ and uring/ that is compiled, with its flags; and each
    header there that has functions, with the flags of the source that has most."""
    commands = json.loads((build / "compile_commands.json").read_text("utf-8"))
    clang = subprocess.run(["clang", "-print-resource-dir"], text=True,
                           stdout=subprocess.PIPE, check=True).stdout.strip()
    found = {}
    for command in commands:
        path = pathlib.Path(command["directory"], command["file"]).resolve()
        if path.is_relative_to(tree):
            name = str(path.relative_to(tree))
            if name.startswith(("lib/", "uring/")) and name.endswith(".c") and (
                    name not in LEFT_ALONE):
                found.setdefault(name, flags_of(command) +
                                 [f"-I{tree}", f"-I{clang}/include"])
    most = max(found.values(), key=len, default=[])
    for folder in ("lib", "uring"):
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
    return not rooms or any(name.startswith(room + "/") for room in rooms)


def next_range(known):
    """The first number after all ranges."""
    return max((item["base"] + item["size"] for item in known.values()), default=0)


def place(known, name, found, stamp):
    """Gives a file its numbers, the old ones if there is room for them."""
    size = known.get(name, {}).get("size", 0)
    base = known.get(name, {}).get("base", 0)
    if len(found["rows"]) >= size:
        base, size = next_range(known), RANGE * (1 + (len(found["rows"]) + RANGE // 4)
                                                 // RANGE)
    known[name] = {**found, "stamp": stamp, "base": base, "size": size}


def plant(origin, tree, build, cache, jobs, rooms):
    """Writes the sources of @origin into @tree, those of the @rooms and those that
    had some before with faults, and returns a row for each fault. @cache is the
    file of what was found before."""
    known = json.loads(cache.read_text("utf-8")) if cache.exists() else {}
    sources = {name: flags for name, flags in sources_of(tree, build).items()
               if is_in(name, rooms) or name in known}
    known = {name: item for name, item in known.items() if name in sources}
    texts = {str(path.relative_to(origin)): path.read_text(encoding="utf-8")
             for folder in ("include", "lib", "uring")
             for path in sorted((origin / folder).rglob("*.[ch]"))}
    headers = hash_of(pathlib.Path(__file__).read_text(encoding="utf-8"), *[
        text for name, text in texts.items() if name.endswith(".h")])
    checks = sorted({name for text in texts.values()
                     for name in CHECKS.findall(text)})
    stamps = {name: hash_of(headers, texts[name], *flags, *checks)
              for name, flags in sources.items()}
    new = [(name, str(tree / name), texts[name], flags, checks)
           for name, flags in sorted(sources.items())
           if known.get(name, {}).get("stamp") != stamps[name]]
    if new:
        print(f"planting faults in {len(new)} files", flush=True)
        shown = [(str(tree / name), text) for name, text in texts.items()
                 if name.endswith(".h")]
        with ProcessPoolExecutor(jobs, initializer=HEADERS.extend,
                                 initargs=(shown,)) as pool:
            for job, found in zip(new, pool.map(plant_file, new)):
                place(known, job[0], found, stamps[job[0]])
        cache.write_text(json.dumps(known), encoding="utf-8")
    table = []
    for name, text in texts.items():
        if name not in sources:
            write(tree / name, text)
            continue
        base = known[name]["base"]
        write(tree / name, NUMBER.sub(
            lambda match, base=base: f"WR_MUTANT({base + int(match[1])})",
            known[name]["text"]))
        table += [{**row, "number": base + row["number"]}
                  for row in known[name]["rows"]]
    print(f"{len(table)} faults in {len(sources)} files; "
          f"{sum(known[name]['left_out'] for name in sources)} did not compile",
          flush=True)
    return table


def write(path, text):
    """Leaves a file alone that has this text, so that it is not built anew."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
