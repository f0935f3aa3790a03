"""The rules of tests/STYLE.md that need no compiler.

Includes between folders point down only, liburing stays where the ring is,
wolfSSL where TLS is, files and functions keep their lengths, functions take few
parameters, every file opens with prose, lines fit 80 columns (100 in scripts), atomics
and output stay in the few files that may have them, the top level holds what the layout
names, and a file that a text names exists. Each complaint is one line, file:line: text.

Usage: tidy.py SOURCE
"""

import ast
import pathlib
import re
import sys

TOP = {"meson.build", "meson_options.txt", "README.md", "LICENSE",
       "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "include", "uring",
       "lib", "tools", "tests", "bench"}

RING_FOLDERS = ("uring", "tests", "bench")
RING_HEADERS = re.compile(r"liburing|linux/io_uring")
WOLFSSL_FOLDERS = ("lib/tls/wolfssl/", "tests/")
OPENSSL_FOLDERS = ("lib/tls/openssl/", "lib/tls/wolfssl/rsa_key.c", "tests/",
                   "bench/")
PUBLIC_BELOW = {"weir/base.h", "weir/buffer.h", "weir/error.h"}
ATOMIC_FILES = {"uring/wake.c", "uring/wake.h", "lib/loop/notice.c",
                "lib/loop/signal.c", "lib/task/shadow.c",
                "lib/proxy/upstream/shared.h", "lib/proxy/upstream/shared.c",
                "lib/proxy/upstream/turns.h", "lib/proxy/upstream/turns.c"}
ATOMIC = re.compile(r"stdatomic\.h|\b__atomic_|\b__sync_|\batomic_\w+\(")
# The library prints, exits and blocks nowhere; check.c ends in abort(). The
# environment of a set-user-ID program is its caller's: secure_getenv().
# Writing to a stream that the caller brought is what a dump is for.
CALLS = re.compile(r"(?<![\w.>])(printf|puts|perror|getenv|exit|_exit|abort|signal|"
                   r"getaddrinfo|gethostbyname|fprintf(?=\s*\(\s*std))\s*\(")
CALL_FILES = {"uring/check.c"}
PATH = re.compile(r"`((?:include|uring|lib|tests|tools|bench)/[\w./-]*)`")
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

FILE_LINES = 1000
EXAMPLE_LINES = 80
FUNCTION_LINES = 70
PARAMETERS = 6
NESTING = 3
COLUMNS = 80
SCRIPT_COLUMNS = 100

SHELL_FUNCTION = re.compile(r"^\w+\(\) *\{\n.*?^\}", re.M | re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
COMMENT_OR_TEXT = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


class Report:
    """Complaints, printed as they come."""

    def __init__(self, source):
        self.source = source
        self.count = 0

    def say(self, path, line, text):
        print(f"{path.relative_to(self.source)}:{line}: {text}",
              file=sys.stderr)
        self.count += 1


def files_of(source):
    for folder in ("include", "uring", "lib", "tools", "tests", "bench"):
        for path in sorted((source / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def is_program(path, text):
    return path.suffix in (".c", ".h", ".py", ".sh") or text.startswith("#!")


# ---- includes ----

def resolve(source, path, kind, name):
    """The file of the tree that an include means, or None."""
    places = [source, source / "include"]
    if kind == '"':
        places.insert(0, path.parent)
    for place in places:
        target = (place / name).resolve()
        if target.is_file() and target.is_relative_to(source):
            return target.relative_to(source)
    return None


def may_include(path, target):
    """Why path may not include target (both relative to the source)."""
    here, there = path.parts[0], target.parts[0]
    if here in ("tests", "bench"):
        return None
    if there in ("tests", "bench"):
        return "tests and bench are not included from elsewhere"
    if here == "include":
        return None if there == "include" else "a public header stands alone"
    if there == "include":
        below = str(target.relative_to("include")) in PUBLIC_BELOW
        if here == "uring" and not below:
            return "uring/ knows no public header but base.h and error.h"
        return None
    if here == "uring":
        return None if there == "uring" else "uring/ includes only uring/"
    if here == "tools":
        return None if there == "tools" else "tools use the public API alone"
    if there == "tools":
        return "the library includes nothing from tools/"
    return None


def check_includes(report, path, lines):
    source = report.source
    relative = path.relative_to(source)
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        kind, name = match.groups()
        if RING_HEADERS.match(name) and relative.parts[0] not in RING_FOLDERS:
            report.say(path, number, f"{name} belongs to uring/")
        if name.startswith("wolfssl/") and not str(relative).startswith(
                WOLFSSL_FOLDERS):
            report.say(path, number, f"{name} belongs to lib/tls/wolfssl/")
        if name.startswith("openssl/") and not str(relative).startswith(
                OPENSSL_FOLDERS):
            report.say(path, number,
                       f"{name} belongs to {' or '.join(OPENSSL_FOLDERS)}")
        target = resolve(source, path, kind, name)
        if target is None:
            if kind == '"':
                report.say(path, number, f"no such file: {name}")
            continue
        why = may_include(relative, target)
        if why:
            report.say(path, number, f"includes {target}: {why}")


# ---- the texts about the tree ----

def check_paths(report, path, text):
    """A file that a text names exists."""
    for number, line in enumerate(text.splitlines(), 1):
        for name in PATH.findall(line):
            if not (report.source / name).exists():
                report.say(path, number, f"no such file: {name}")


# ---- the text of C files ----

def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


HEADER = re.compile(r"^[a-z][^;{}=]*?\b([a-z]\w*)\(([^;{}]*)\)\n\{", re.M)
# In the line before a function whose type another library says.
ALLOWED = "NOLINTNEXTLINE(readability-function-size)"
# A callback and its argument, which every function that has an end takes.
CALLBACK = re.compile(r"\w+_fn \*done,\s*void \*(?:done_)?arg(?:,\s*|$)")


def check_parameters(report, path, code, lines):
    """A function takes few parameters, besides a callback and its argument."""
    for match in HEADER.finditer(code):
        line = code.count("\n", 0, match.start()) + 1
        if line > 1 and ALLOWED in lines[line - 2]:
            continue
        inside = CALLBACK.sub("", match[2])
        while re.search(r"\([^()]*\)", inside):
            inside = re.sub(r"\([^()]*\)", "", inside)
        count = len([part for part in inside.split(",") if part.strip()])
        if count > PARAMETERS:
            report.say(path, line, f"{match[1]}() takes {count} parameters, of "
                       f"{PARAMETERS}: pass a struct")


def check_functions(report, path, code):
    """A function runs from its brace in column 0 to the closing one."""
    start = None
    lines = code.splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            if number - start + 1 > FUNCTION_LINES:
                report.say(path, start, f"a function of "
                           f"{number - start + 1} lines, of {FUNCTION_LINES}: "
                           "give a part of it a name")
            check_nesting(report, path, start, lines[start:number - 1])
            start = None


def check_nesting(report, path, start, body):
    """Blocks within blocks; the braces of an initialiser are no block."""
    stack = []
    for number, line in enumerate(body, start + 1):
        for match in re.finditer(r"[{}]", line):
            if match[0] == "}":
                stack.pop()
                continue
            before = line[:match.start()].rstrip()
            stack.append(re.search(r"(\)|\belse|\bdo|:)$|^$", before)
                         is not None)
            if stack[-1] and sum(stack) == NESTING + 1:
                report.say(path, number, f"nested {sum(stack)} deep, of {NESTING}: return "
                           "early, or give the inner part a name")


def check_prose(report, path, text):
    match = re.match(r"/\*(.*?)\*/", text, re.S)
    count = len([line for line in match[1].splitlines()
                 if line.strip(" *")]) if match else 0
    if count < 3:
        report.say(path, 1, "no opening prose: 3 to 10 lines of comment say what "
                   "the file is for")


def check_words(report, path, code):
    relative = str(path.relative_to(report.source))
    if not relative.startswith(("uring/", "lib/")):
        return
    for number, line in enumerate(code.splitlines(), 1):
        if ATOMIC.search(line) and relative not in ATOMIC_FILES:
            report.say(path, number, "an atomic outside "
                       f"{', '.join(sorted(ATOMIC_FILES))}: post to the loop")
        match = CALLS.search(line)
        if match and relative not in CALL_FILES:
            report.say(path, number, f"the library calls {match[1]}(): return an "
                       "error, or tell the exception hook")


def check_c(report, path, text):
    lines = text.splitlines()
    code = COMMENT_OR_TEXT.sub(blank, text)
    check_prose(report, path, text)
    check_includes(report, path, lines)
    check_functions(report, path, code)
    check_parameters(report, path, code, lines)
    check_words(report, path, code)
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            report.say(path, number, f"{len(line)} columns, of {COLUMNS}: "
                       "clang-format-14 -i breaks lines")


# ---- the text of scripts ----

def functions_of(path, text):
    """The first and last lines of functions in Python or shell."""
    if path.suffix != ".py" and "python" not in text.split("\n", 1)[0]:
        return [(text.count("\n", 0, match.start()) + 1, text.count("\n", 0, match.end()) + 1)
                for match in SHELL_FUNCTION.finditer(text)]
    return [(node.lineno, node.end_lineno) for node in ast.walk(ast.parse(text))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def check_script(report, path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > SCRIPT_COLUMNS:
            report.say(path, number, f"{len(line)} columns, of {SCRIPT_COLUMNS}")
    for first, last in functions_of(path, text):
        if last - first + 1 > FUNCTION_LINES:
            report.say(path, first, f"a function of {last - first + 1} lines, of "
                       f"{FUNCTION_LINES}: give a part of it a name")


# ---- everything ----

def check_top(report):
    for path in report.source.iterdir():
        name = path.name
        if name.startswith((".", "build")) or name in TOP:
            continue
        report.say(path, 1, "the top level does not know this name; it may "
                   f"have {', '.join(sorted(TOP))} and dot files")


def check_guard(report, path, text):
    relative = path.relative_to(report.source)
    parts = relative.parts[1:] if relative.parts[0] == "include" else (
        relative.parts)
    words = [re.sub(r"\W", "_", part).upper() for part in parts]
    name = "_".join(words if words[0].startswith("WEIR") else
                    ["WEIR", *words])
    if f"#ifndef {name}\n#define {name}\n" not in text:
        report.say(path, 1, f"the include guard is not {name}")


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    report = Report(source)
    check_top(report)
    seen = 0
    for path in files_of(source):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if not is_program(path, text):
            continue
        seen += 1
        count = len(text.splitlines())
        example = path.parent == source / "tools" / "examples"
        most = EXAMPLE_LINES if example else FILE_LINES
        if count > most:
            report.say(path, 1, f"a file of {count} lines, of {most}")
        for number, line in enumerate(text.splitlines(), 1):
            if MARKS.search(line) and path.name != "tidy.py":
                report.say(path, number,
                           "an unfinished mark: do it, or leave it out")
        if path.suffix in (".c", ".h"):
            check_c(report, path, text)
        else:
            check_script(report, path, text)
        if path.suffix == ".h" and path.relative_to(source).parts[0] in (
                "include", "uring", "lib"):
            check_guard(report, path, text)
    for folder in (".", "tests", "include/guide"):
        for path in sorted((source / folder).glob("*.md")):
            check_paths(report, path, path.read_text(encoding="utf-8"))
    if seen == 0:
        print("no file was found", file=sys.stderr)
        return 1
    return 1 if report.count else 0


sys.exit(main())
