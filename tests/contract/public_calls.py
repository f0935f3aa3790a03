"""Writes the calls of every public function that takes a transport.

The functions, the types of their parameters and the errors in their
documentation are read from Doxygen's XML of the headers, so that a new function
is called without a change here. The arguments of each call come from VALUES,
where they are found by the function and the parameter, by the type and the
parameter's name, or by the type. A parameter without any of the three is an
error, which says what to add.

A function is called once with the first value of each parameter, and once more
with each of the other values. Results that are not errors, such as a getter's,
are not checked. An int may be 0, a value that the text of @return has, or one
of the errors that are named by

- the function's @return and @retval, also as a rule of the page of rules
  (tests/checks/promises.py),
- @return and @retval of a function that these refer to ("as
  weir_transport_write()"),
- a sentence of the header's opening comment that begins with "All calls", "All
  suspending calls" or "A call",
- the page of rules, for all calls of a thread, a task or a transport.

Usage: public_calls.py --headers DIR --doxygen PROGRAM --work DIR [--no-tls]
                       [--without HEADER]... OUT
"""

import argparse
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "checks"))
import promises  # noqa: E402

CONFIGURATION = """
INPUT = "{headers}"
FILE_PATTERNS = *.h
FILTER_PATTERNS = "*.h={filter}"
OUTPUT_DIRECTORY = "{work}"
OPTIMIZE_OUTPUT_FOR_C = YES
JAVADOC_AUTOBRIEF = YES
TYPEDEF_HIDES_STRUCT = YES
EXTRACT_ALL = NO
ENABLE_PREPROCESSING = YES
MACRO_EXPANSION = YES
EXPAND_ONLY_PREDEF = YES
PREDEFINED = WEIR_API= WEIR_MUST_USE= WEIR_BEGIN_DECLS= WEIR_END_DECLS= \
             "WEIR_PRINTF(fmt, args)="
QUIET = YES
WARNINGS = NO
WARN_IF_DOC_ERROR = NO
WARN_IF_UNDOCUMENTED = NO
WARN_NO_PARAMDOC = NO
ALIASES = "suspends=@par Suspends the task^^" "thread=@par Thread^^"
GENERATE_HTML = NO
GENERATE_LATEX = NO
GENERATE_XML = YES
XML_PROGRAMLISTING = NO
HAVE_DOT = NO
"""

# How headers write an error.
ERROR = re.compile(r"-E[A-Z0-9]+\b|\bWEIR_E[A-Z0-9]+\b")
# The result is the error that the caller requests, so any error is allowed.
ANY_ERROR = re.compile("or any negative error")


def sized(struct):
    """Returns a struct that is filled in up to its size, and one without a size."""
    return [f"&(struct {struct}){{.size = sizeof(struct {struct})}}",
            f"&(struct {struct}){{.size = 0}}"]


# Expressions in C; the first of each list is the usual value. `t` is the transport, and
# public.h has the functions.
VALUES = {
    # ---- of one function ----
    "weir_relay.b": ["public_other(t)", "t"],
    "weir_relay.done": ["public_relay_done"],
    "weir_transport_sendto.len": ["100", "0", "70000"],
    "weir_transport_join_group.group": ["public_group()", "NULL", "public_address(t)"],
    "weir_transport_leave_group.group": ["public_group()", "NULL",
                                         "public_address(t)"],
    "weir_transport_join_group.source": ["NULL", "public_address(t)"],
    "weir_transport_leave_group.source": ["NULL", "public_address(t)"],
    "weir_transport_get_pipe_transport.fd": ["1", "-1", "9"],
    "weir_transport_get_extra_info.ret": sized("weir_extra_info"),
    "weir_transport_write_ref.arg": ["NULL"],
    "weir_transport_sendfile.arg": ["public_done_arg()"],
    "weir_transport_set_protocol.initial": [
        "public_buf(t)", "NULL", "&(struct weir_buf){public_bytes, 10, NULL}"],
    "weir_transport_set_protocol.count": ["0", "1"],
    "weir_transport_writelines.count": ["2", "0", "3"],
    "weir_transport_send_fds.count": ["1", "0", "254"],
    "weir_transport_send_fds.len": ["300", "0"],
    "weir_tls_export_keying_material.context": ["NULL", "public_bytes"],
    "weir_tls_export_keying_material.context_size": ["0", "100"],
    "weir_tls_export_keying_material.ret": ["public_room"],
    "weir_tls_export_keying_material.size": ["32", "0", "100000"],
    "weir_transport_set_read_buffer_limit.limit_bytes": ["4096", "0", "1",
                                                         "UINT64_MAX"],
    "weir_transport_set_write_hard_limit.limit_bytes": ["0", "1",
                                                        "UINT64_MAX"],
    "weir_transport_get_error_text.size": ["100", "0", "1"],

    # ---- by type and name ----
    "const void * data": ["public_bytes"],
    "size_t len": ["300", "0", "150000"],
    "void * done_arg": ["public_done_arg()"],
    "void * arg": ["NULL"],
    "int fd": ["public_file()", "-1"],
    "int signum": ["0", "-1", "SIGCONT"],
    "uint64_t offset": ["0", "INT64_MAX"],
    "uint64_t count": ["1000", "0", "WEIR_TO_END"],
    "uint64_t * offset": ["&(uint64_t){0}"],
    "const char * name": ['"peername"', '"peercred"', '"alpn"', '"none"'],
    "const char * label": ['"EXPERIMENTAL"', "NULL"],
    "const int * fds": ["public_fds()", "NULL", "(const int[]){-1}"],
    "char * buf": ["public_room"],
    "unsigned int interface": ["1", "0", "123456"],
    "uint32_t index": ["0", "77"],
    "size_t * ret_size": ["&(size_t){0}"],
    "int * ret": ["&(int){0}"],
    "bool busy": ["true", "false"],

    # ---- by type ----
    "weir_transport *": ["t"],
    "const weir_transport *": ["t"],
    "weir_loop *": ["weir_transport_get_loop(t)"],
    "weir_mailbox *": ["public_mailbox(t)", "NULL", "public_own_mailbox(t)"],
    "weir_reader *": ["public_reader(t)"],
    "weir_server *": ["public_server(t)"],
    "weir_pending **": ["public_pending()", "NULL"],
    "weir_transport **": ["public_ret()", "NULL"],
    "weir_transport *[2]": ["(weir_transport *[2]){NULL, NULL}", "NULL"],
    "weir_tls_session **": ["public_session()"],
    "struct weir_water_marks": [
        "(struct weir_water_marks){WEIR_DEFAULT, WEIR_DEFAULT}",
        "(struct weir_water_marks){0, 0}",
        "(struct weir_water_marks){1, 2}"],
    "const struct weir_timeouts *": [
        "&(struct weir_timeouts){.size = sizeof(struct weir_timeouts), "
        ".idle_ns = 50000000}", "NULL",
        "&(struct weir_timeouts){.size = sizeof(struct weir_timeouts), "
        ".linger_ns = 1000000, .close_ns = 2000000}",
        "&(struct weir_timeouts){.size = 0}"],
    "const struct weir_address *": ["public_address(t)", "NULL",
                                    "&(struct weir_address){.len = 0}"],
    "const struct weir_message *": [
        "&(struct weir_message){.size = sizeof(struct weir_message), "
        ".data = public_bytes, .len = 100}",
        "&(struct weir_message){.size = sizeof(struct weir_message), "
        ".data = public_bytes, .len = 100, .address = public_address(t)}",
        "&(struct weir_message){.size = sizeof(struct weir_message), "
        ".data = public_bytes, .len = 100, .release = public_release}",
        "&(struct weir_message){.size = 0}"],
    "const struct weir_buf *": ["public_buf(t)",
                                "&(struct weir_buf){.data = NULL}",
                                "&(struct weir_buf){public_bytes, 10, NULL}"],
    "const struct iovec *": ["public_pieces"],
    "const struct weir_factory *": ["public_factory()", "NULL",
                                    "&(struct weir_factory){NULL, NULL}",
                                    "public_refusing_factory()"],
    "const struct weir_protocol_binding *": [
        "public_binding(t)", "public_buffered_binding(t)", "NULL",
        "&(struct weir_protocol_binding){NULL, NULL}"],
    "const struct weir_protocol_binding[2]": ["public_bindings()"],
    "const struct weir_pair_options *": ["NULL"] + sized("weir_pair_options"),
    "const struct weir_relay_options *": ["NULL"] +
    sized("weir_relay_options"),
    "const struct weir_tls_settings *": ["public_tls()", "NULL"] +
    sized("weir_tls_settings"),
    "const struct weir_start_tls_options *": ["NULL"] +
    sized("weir_start_tls_options"),
    "weir_release_fn *": ["public_release", "NULL"],
    "weir_move_done_fn *": ["public_move_done", "NULL"],
    "weir_sendfile_done_fn *": ["public_sendfile_done", "NULL"],
    "weir_start_tls_done_fn *": ["public_start_tls_done", "NULL"],
    "struct weir_address *": ["&(struct weir_address){.len = 0}"],
    "struct weir_peercred *": ["&(struct weir_peercred){.pid = 0}"],
    "struct weir_datagram_counts *": sized("weir_datagram_counts"),
}

# Statements before and after a call, which release what the call returns. `got` is its
# result.
AROUND = {
    "weir_transport_ref": ("", "weir_transport_unref(got);"),
    "weir_transport_unref": ("wr_ignore(weir_transport_ref(t) != t);", ""),
    "weir_reader_set_transport": (
        "", "if (got == 0) {\n"
        "        wr_ignore(weir_reader_set_transport(public_reader(t), NULL) "
        "!= 0);\n    }"),
    "weir_tls_get_session": (
        "", "if (got == 0) {\n        public_give_session();\n    }"),
}

# Calls whose `done` callback must follow.
BEGINS = {
    "weir_transport_move": "MOVE", "weir_transport_start_tls": "START_TLS",
    "weir_transport_sendfile": "SENDFILE", "weir_relay": "RELAY"}


def text_of(element):
    return "" if element is None else "".join(element.itertext())


def squeezed(text):
    return re.sub(r"\s+", " ", text).strip()


class Function:
    """A function as described by Doxygen's XML."""

    def __init__(self, header, member):
        self.header = header
        self.name = member.findtext("name")
        self.type = squeezed(text_of(member.find("type")))
        self.parameters = [
            (squeezed(text_of(item.find("type"))) +
             squeezed(item.findtext("array") or ""),
             item.findtext("declname") or "")
            for item in member.findall("param")]
        detail = member.find("detaileddescription")
        self.returns = squeezed(" ".join(
            text_of(part) for part in detail.iter("simplesect")
            if part.get("kind") == "return"))
        lists = [part for part in detail.iter("simplesect")
                 if part.get("kind") == "return"]
        lists += [part for part in detail.iter("parameterlist")
                  if part.get("kind") == "retval"]
        self.errors = {error for part in lists
                       for error in ERROR.findall(text_of(part))}
        self.refers_to = {text_of(ref).rstrip("()") for part in lists
                          for ref in part.iter("ref")}
        self.suspends = [
            squeezed(text_of(part.find("para")))
            for part in detail.iter("simplesect")
            if squeezed(part.findtext("title") or "") == "Suspends the task"]

    @property
    def takes_transport(self):
        return any(kind in ("weir_transport *", "const weir_transport *")
                   for kind, _ in self.parameters)

    def suspends_in(self, heads):
        """Returns the function's @suspends, or else its header's."""
        return (self.suspends or [heads[self.header][1]])[-1] == "yes"

    @property
    def is_const(self):
        return not any(kind == "weir_transport *"
                       for kind, _ in self.parameters)


def run_doxygen(args):
    args.work.mkdir(parents=True, exist_ok=True)
    configuration = args.work / "Doxyfile"
    configuration.write_text(
        CONFIGURATION.format(headers=args.headers, work=args.work,
                             filter=f"{sys.executable} {promises.__file__}"),
        encoding="utf-8")
    subprocess.run([args.doxygen, configuration], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def errors_of_head(text, words="All calls|All suspending calls|A call"):
    """Returns the errors that a header's opening comment names for all its
    functions."""
    sentences = re.split(r"(?<=[.:])\s", squeezed(text))
    return {error for sentence in sentences if re.match(words, sentence)
            for error in ERROR.findall(sentence)}


def read_headers(xml):
    """Returns the functions by name, and the errors of each header's opening
    comment."""
    functions = {}
    heads = {}
    for file in sorted(xml.glob("*_8h.xml")):
        compound = ElementTree.parse(file).getroot().find("compounddef")
        header = compound.findtext("compoundname")
        detail = compound.find("detaileddescription")
        heads[header] = (errors_of_head(text_of(detail)),
                         "yes" if re.search(r"Suspends the task\s*yes",
                                            text_of(detail)) else "no")
        for member in compound.iter("memberdef"):
            if member.get("kind") == "function":
                function = Function(header, member)
                functions[function.name] = function
    return functions, heads


# Errors of every call that changes a transport, by the page of rules.
OF_TRANSPORTS = {"WEIR_EREPLACED"}


def errors_of(function, functions, heads, declared):
    """Returns all errors of a function, including those of the functions that its
    documentation refers to."""
    found = OF_TRANSPORTS | set(
        promises.errors_of_all(declared[function.name]))
    seen = set()
    left = [function.name]
    while left:
        name = left.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        found |= functions[name].errors
        left += functions[name].refers_to
    return found | heads[function.header][0]


def values_of(function, kind, name, problems):
    for key in (f"{function.name}.{name}", f"{kind} {name}", kind):
        if key in VALUES:
            return VALUES[key]
    problems.append(
        f"{function.header}: {function.name}() has a parameter "
        f"`{kind} {name}` that no test has a value for: add "
        f'"{function.name}.{name}", "{kind} {name}" or "{kind}" to VALUES in '
        "tests/contract/public_calls.py")
    return ["0"]


def calls_of(function, problems):
    """Returns the arguments of each call of a function."""
    values = [values_of(function, kind, name, problems)
              for kind, name in function.parameters]
    usual = [choice[0] for choice in values]
    yield usual
    for at, choice in enumerate(values):
        for value in choice[1:]:
            yield usual[:at] + [value] + usual[at + 1:]


NUMBERS = ("int", "int64_t", "ssize_t", "pid_t")


def write_call(function, number, arguments):
    before, after = AROUND.get(function.name, ("", ""))
    call = f"{function.name}({', '.join(arguments)})"
    lines = [f"static int64_t {function.name}_{number}(weir_transport *t)", "{"]
    if before:
        lines.append(f"    {before}")
    if function.name in BEGINS:
        lines.append(f"    public_begin(PUBLIC_{BEGINS[function.name]});")
    if function.type == "void":
        lines.append(f"    {call};")
    elif function.type in NUMBERS or after:
        lines.append(f"    {function.type} got = {call};")
    else:
        lines.append(f"    (void){call};")
    if after:
        lines.append(f"    {after}")
    if function.name in BEGINS:
        has_done = not any(
            argument == "NULL" and name == "done"
            for argument, (_, name) in zip(arguments, function.parameters))
        lines.append(f"    public_begun(PUBLIC_{BEGINS[function.name]}, "
                     f"got, {str(has_done).lower()});")
    result = "(int64_t)got" if function.type in NUMBERS else "0"
    lines += [f"    return {result};", "}", ""]
    return "\n".join(lines)


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_entry(function, number, arguments, heads):
    is_number = function.type in NUMBERS
    zero_only = function.returns.startswith("0")
    numbers = [int(text) for text in re.findall(r"(?<![-\w])\d+(?!\w)",
                                                function.returns)]
    most = max(numbers, default=0) if zero_only else "INT64_MAX"
    any_error = bool(ANY_ERROR.search(function.returns))
    has_size = not any("{.size = 0}" in argument for argument in arguments)
    name = f"{function.name}({', '.join(arguments)})"
    return (f"    {{{c_string(name)}, {function.name}_{number}, "
            f"{function.name}_errors, {most}, "
            f"{str(function.is_const).lower()}, {str(is_number).lower()}, "
            f"{str(any_error).lower()}, {str(has_size).lower()}, "
            f"{str(function.suspends_in(heads)).lower()}}},")


def write(functions, heads, declared, has_tls, without):
    problems = []
    bodies = []
    entries = []
    for function in sorted(functions.values(), key=lambda f: f.name):
        if not function.takes_transport or (
                function.header.startswith("tls") and not has_tls) or (
                    function.header in without):
            continue
        errors = sorted(errors_of(function, functions, heads, declared))
        bodies.append(f"static const int {function.name}_errors[] = "
                      f"{{{', '.join(errors + ['0'])}}};\n")
        for number, arguments in enumerate(calls_of(function, problems)):
            bodies.append(write_call(function, number, arguments))
            entries.append(write_entry(function, number, arguments, heads))
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return None
    return "\n".join([
        "/* Made by tests/contract/public_calls.py. */",
        "#include <weir.h>", *bodies,
        "static const struct public_call public_calls[] = {", *entries, "};",
        ""])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--headers", type=pathlib.Path, required=True)
    parser.add_argument("--doxygen", required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--no-tls", action="store_true")
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    run_doxygen(args)
    functions, heads = read_headers(args.work / "xml")
    if not any(function.takes_transport for function in functions.values()):
        print("no function with a transport was found", file=sys.stderr)
        return 1
    declared = promises.functions_in(args.headers)
    text = write(functions, heads, declared, not args.no_tls, args.without)
    if text is None:
        return 1
    args.out.write_text(text, encoding="utf-8")
    return 0


sys.exit(main())
