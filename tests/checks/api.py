"""The public functions, seen from three sides, are the same.

What the shared libraries export (nm), what the headers declare with WEIR_API,
and what Doxygen finds documented must be one set of names, and Doxygen must
have nothing to complain about: an undocumented symbol or parameter is an
error. The head of a header says which thread may call its functions and whether
they suspend; a function says so where it differs, and only there. What the page
of rules says of a function (promises.py) its comment does not repeat; together they
say what each parameter and the result is. A result that is the only word of a
failure must be used. A struct that may grow begins with its size. Bounds and times have
one word each. A function that is called at the end of an operation, and a
descriptor that is adopted, are parameters and no options. The version in base.h
is the build's, and that of each symbol its major and minor part.

The functions of weir/tls*.h are libweir-tls's, those of proxy_headers in
include/meson.build libweir-proxy's, where these are built, and all others libweir's.
Of libweir's private names see libraries.py.

Usage: api.py --source DIR --work DIR --library FILE [--tls FILE] [--proxy FILE]
       --version V [--make-site]
The site of guide and reference is left in DIR/html; --make-site says where, and
what to install without Doxygen.
Exit status 77 (skipped) when Doxygen is absent and all else is right.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "guide")]
import finish_site  # noqa: E402
import promises  # noqa: E402
import site_of_guide as site  # noqa: E402

DECLARATION = re.compile(
    r"(?P<doc>/\*\*(?:[^*]|\*(?!/))*\*/)?\s*"
    r"^(?:WEIR_MUST_USE\s+)?WEIR_API\b(?P<type>[^;(]*?)\b(?P<name>\w+)\s*\(",
    re.MULTILINE)


def declared(include):
    """Names to (header, comment, return type)."""
    found = {}
    for header in sorted(include.rglob("*.h")):
        text = header.read_text(encoding="utf-8")
        text = re.sub(r"\bWEIR_PRINTF\([^)]*\)", "", text)
        marked = len(re.findall(r"^(?!\s*(?:#|\*)).*\bWEIR_API\b", text,
                                re.MULTILINE))
        here = list(DECLARATION.finditer(text))
        if marked != len(here):
            raise SystemExit(f"{header}: {marked} WEIR_API marks, "
                             f"{len(here)} declarations understood")
        for match in here:
            found[match["name"]] = (header, match["doc"] or "",
                                    match["type"])
    return found


def exported(library):
    """The names of the symbols, each with its version."""
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    symbols = [line.split()[-2:] for line in out.splitlines()]
    found = dict(name.split("@@") if "@@" in name else (name, "")
                 for kind, name in symbols if kind != "A")
    return {name: version for name, version in found.items()
            if not version.startswith("WEIR_PRIVATE_")}


def map_errors(symbols, prefix, version):
    """Symbols without the version of the interface, major and minor."""
    interface = prefix + ".".join(version.split(".")[:2])
    wrong = sorted(name for name, found in symbols.items() if found != interface)
    for name in wrong:
        print(f"{name}: its version is not {interface}", file=sys.stderr)
    return len(wrong)


def documented(xml):
    names = set()
    for file in xml.glob("*.xml"):
        for member in ElementTree.parse(file).iter("memberdef"):
            brief = member.find("briefdescription")
            if member.get("kind") == "function" and len(brief):
                names.add(member.find("name").text)
    return names


def doxygen(args, program, functions):
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    template = args.source / "tests" / "Doxyfile.in"
    text = template.read_text(encoding="utf-8")
    pages, paths = site.prepare(args.source, args.work, functions)
    values = {"SOURCE": args.source, "OUTPUT": args.work,
              "VERSION": args.version,
              "FILTER": f"{sys.executable} {HERE / 'promises.py'}",
              **paths}
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    config = args.work / "Doxyfile"
    config.write_text(text, encoding="utf-8")
    run = subprocess.run([program, config], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode != 0:
        print(run.stdout, file=sys.stderr)
        return False
    finish_site.finish(pages, args.work)
    return True


def difference(left, right, words):
    for name in sorted(left - right):
        print(f"{name}: {words}", file=sys.stderr)
    return len(left - right)


def library_errors(library, names, prefix, version):
    versions = exported(library)
    symbols = set(versions)
    errors = difference(symbols, names, "exported but not declared WEIR_API")
    errors += difference(names, symbols, "declared but not exported")
    return errors + map_errors(versions, prefix, version)


TAGS = {"thread": ("loop", "any"), "suspends": ("no", "yes")}


def tags_of(doc):
    """The values of each tag in a comment, by its name."""
    return {tag: re.findall(rf"@{tag} (.*)", doc) for tag in TAGS}


def head_tags(header, errors):
    """The defaults of a header, by its first comment."""
    head = header.read_text(encoding="utf-8").partition("*/")[0]
    tags = tags_of(head)
    for tag, values in TAGS.items():
        if len(tags[tag]) != 1 or tags[tag][0] not in values:
            errors.append(f"{header.name}: its head has no default of @{tag}")
    return tags


def tag_errors(found):
    errors = []
    heads = {header: head_tags(header, errors)
             for header in {header for header, *_ in found.values()}}
    for name, (header, doc, kind) in found.items():
        for tag, said in tags_of(doc).items():
            if any(value not in TAGS[tag] for value in said):
                errors.append(f"{header.name}: {name} has another @{tag} than "
                              + " or ".join(TAGS[tag]))
            if said and said == heads[header][tag]:
                errors.append(f"{header.name}: {name} repeats the @{tag} of "
                              "the header's head")
    for error in errors:
        print(error, file=sys.stderr)
    return len(errors)


def comment_errors(functions):
    """Comments that repeat the page of rules, or say too little beside it."""
    errors = []
    for name, function in functions.items():
        errors += [f"{function.header}: {name} repeats what "
                   f"include/guide/rules.md says: {item}"
                   for item in promises.repeated(function)]
        said = promises.completed(function)
        errors += [f"{function.header}: {name} says nothing of {parameter}"
                   for _, parameter in function.parameters
                   if not any(item.startswith(f"@param {parameter} ")
                              for item in said)]
        if function.type != "void" and not any(
                item.startswith("@ret") for item in said):
            errors.append(f"{function.header}: {name} lacks @return")
    for error in errors:
        print(error, file=sys.stderr)
    return len(errors)


# A call without a result that tests/contract/foreign.c does not make: it looks at
# nothing of a loop's.
NOT_FOREIGN = {"weir_print_exception"}


def foreign_errors(found, source):
    """A call of the loop's thread that has no result ends the process when
    another thread makes it, and a test makes each."""
    test = source / "tests" / "contract" / "foreign.c"
    made = set(re.findall(r"X\((\w+),", test.read_text(encoding="utf-8")))
    heads = {header: head_tags(header, [])
             for header in {header for header, *_ in found.values()}}
    wanted = set()
    for name, (header, doc, kind) in found.items():
        thread = tags_of(doc)["thread"] or heads[header]["thread"]
        if re.fullmatch(r"\s*void\s*", kind) and thread == ["loop"]:
            wanted.add(name)
    return (difference(wanted - NOT_FOREIGN, made, "has no line in foreign.c")
            + difference(made | NOT_FOREIGN, wanted, "is no such call"))


# Errors of a program that is wrong, or of an object that has ended.
MISUSE = {
    "-EBUSY", "-ECHILD", "-EDESTADDRREQ", "-EINVAL", "-ENOTCONN",
    "-EOPNOTSUPP", "-EPERM", "-ERANGE", "-ESHUTDOWN", "-ESTALE",
    "WEIR_ENOTTASK", "WEIR_EOPTIONSIZE", "WEIR_EREPLACED"}
# Their errors are kept, or another call returns them too, or are the answer
# that was asked for, or there is nothing to be done.
IGNORED = re.compile(
    r"weir_(?:transport|writer|datagram_stream)_(?:write\w*|send(?:to|msg)?)"
    r"|weir_(?:transport|writer)_close|weir_transport_take_write_error"
    r"|weir_as_completed_begin|\w+_(?:get_(?:error|result|pid|socket)|send_signal|kill|killpg"
    r"|terminate)")


def use_errors(functions):
    """Functions with a failure that only their result tells must be used."""
    errors = []
    for name, function in functions.items():
        failures = {error for item in promises.completed(function)
                    for error in re.findall(
                        r"(?:@retval|,) (-E\w+|WEIR_E\w+)", item)}
        if (re.search(r"\b(?:int|ssize_t|int64_t)$", function.type)
                and not function.is_checked
                and not IGNORED.fullmatch(name)
                and (function.suspends or failures - MISUSE)):
            errors.append(f"{function.header}: {name} can fail, and its result "
                          "may be ignored")
    for error in errors:
        print(error, file=sys.stderr)
    return len(errors)


# Structs that never change: those whose fields the program has by value, or
# that lie in arrays, or whose room is fixed.
VALUES = {
    "weir_address", "weir_allocator", "weir_alpn_list", "weir_alpn_name",
    "weir_as_completed", "weir_buf", "weir_endpoint",
    "weir_factory", "weir_handle", "weir_network", "weir_peercred",
    "weir_protocol_binding", "weir_proxy_tlv", "weir_proxy_tlvs",
    "weir_separator", "weir_srv", "weir_stdio", "weir_systemd_fd", "weir_task_group",
    "weir_timeout", "weir_tls_attribute", "weir_tls_name", "weir_tls_part",
    "weir_tls_pem", "weir_upstream_check_step", "weir_waitable", "weir_water_marks"}
STRUCT = re.compile(r"^struct (weir_\w+) \{\n(?:\s*/\*\*(?:[^*]|\*(?!/))*\*/)?"
                    r"\s*([^;]*;)", re.MULTILINE)


def size_errors(include):
    """All structs that may grow begin with their size."""
    errors = 0
    seen = set()
    for header in sorted(include.rglob("*.h")):
        text = header.read_text(encoding="utf-8")
        for name in promises.repeated_sizes(text):
            print(f"{header.name}: struct {name} repeats what "
                  "include/guide/rules.md says of its size", file=sys.stderr)
            errors += 1
        for match in STRUCT.finditer(text):
            name, first = match.groups()
            seen.add(name)
            if (first == "size_t size;") == (name in VALUES):
                print(f"{header.name}: struct {name} begins with {first}",
                      file=sys.stderr)
                errors += 1
    return errors + difference(VALUES, seen, "no such struct")


# A bound is a limit, `_limit` of things or `_limit_bytes`; a call takes
# `max_...` of them at most. Spans of time are in nanoseconds, `_ns`.
OTHER_WORDS = re.compile(r"\b(?!not_(?:before|after)_s\b)\w+_(?:max|ms|us|s);")


def word_errors(include):
    """Fields whose names speak of a bound or a time in other words."""
    errors = 0
    for header in sorted(include.rglob("*.h")):
        for name in OTHER_WORDS.findall(header.read_text(encoding="utf-8")):
            print(f"{header.name}: {name} is no word for a bound or a time",
                  file=sys.stderr)
            errors += 1
    return errors


ITEM = re.compile(r"( *)(?:[-*+]|\d+\.) ")


def list_errors(include):
    """A line of a comment that goes on at the margin after a list, without an empty
    line between, is drawn as a part of the list's last item."""
    errors = 0
    for header in sorted(include.rglob("*.h")):
        depth = None
        for number, line in enumerate(
                header.read_text(encoding="utf-8").splitlines(), 1):
            text = line[3:] if line.startswith(" * ") else ""
            item = ITEM.match(text)
            if item:
                depth = len(item[1])
            elif not text.strip() or text.startswith("@"):
                depth = None
            elif depth is not None and re.match(f" {{0,{depth}}}\\S", text):
                print(f"{header.name}:{number}: indent the line, or put an empty "
                      "one between the list and it", file=sys.stderr)
                errors += 1
    return errors


OPTIONS = re.compile(r"^struct (weir_\w+_options) \{\n(.*?)^\};",
                     re.MULTILINE | re.DOTALL)
# What an option struct does not have: a call takes it as a parameter.
PARAMETERS = re.compile(r"\b(?:weir_\w+_done_fn \*\w+|int (?:sock|fd));")


def parameter_errors(include):
    """A call that gives a handle takes done besides; no options have it."""
    errors = []
    for header in sorted(include.rglob("*.h")):
        text = header.read_text(encoding="utf-8")
        for name, body in OPTIONS.findall(text):
            errors += [f"{header.name}: {found} in {name} is to be a parameter"
                       for found in PARAMETERS.findall(body)]
        for match in re.finditer(r"(\w+)\(([^()]*)weir_pending \*\*ret\)", text):
            if not re.search(r"_done_fn \*done,\s*void \*done_arg,\s*$",
                             match[2]):
                errors.append(f"{header.name}: {match[1]} gives a handle and "
                              "takes no done and done_arg before it")
    for error in errors:
        print(error, file=sys.stderr)
    return len(errors)


def version_errors(args):
    text = (args.source / "include/weir/base.h").read_text(encoding="utf-8")
    parts = [re.search(rf"WEIR_VERSION_{part}\s+(\d+)", text)
             for part in ("MAJOR", "MINOR", "PATCH")]
    version = ".".join(part[1] if part else "?" for part in parts)
    if version != args.version:
        print(f"base.h says {version}, the build {args.version}",
              file=sys.stderr)
    return int(version != args.version)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--tls")
    parser.add_argument("--proxy")
    parser.add_argument("--version", required=True)
    parser.add_argument("--make-site", action="store_true")
    args = parser.parse_args()
    if args.make_site and not shutil.which("doxygen"):
        print("the documentation is made by Doxygen, which is not here: install "
              "the package doxygen, or run tools/deps --check", file=sys.stderr)
        return 1
    args.source = args.source.resolve()

    found = declared(args.source / "include")
    names = set(found)
    for_proxies = promises.proxy_headers(args.source)
    of_tls = {name for name, (header, *_) in found.items()
              if header.name.startswith("tls")}
    of_proxy = {name for name, (header, *_) in found.items()
                if header.name in for_proxies}
    errors = library_errors(args.library, names - of_tls - of_proxy, "WEIR_",
                            args.version)
    if args.tls:
        errors += library_errors(args.tls, of_tls, "WEIR_TLS_", args.version)
    if args.proxy:
        errors += library_errors(args.proxy, of_proxy, "WEIR_PROXY_", args.version)
    functions = promises.functions_in(args.source / "include" / "weir")
    errors += difference(names ^ set(functions), set(),
                         "is not read by promises.py as it is here")
    errors += tag_errors(found) + comment_errors(functions)
    errors += use_errors(functions) + version_errors(args)
    errors += size_errors(args.source / "include")
    errors += foreign_errors(found, args.source)
    errors += word_errors(args.source / "include")
    errors += list_errors(args.source / "include")
    errors += parameter_errors(args.source / "include")
    if not names:
        print("no public function was found", file=sys.stderr)
        errors += 1

    program = shutil.which("doxygen")
    if program:
        if not doxygen(args, program, names):
            errors += 1
        written = documented(args.work / "xml")
        errors += difference(names, written, "declared but not documented")
    if errors:
        return 1
    if args.make_site:
        print(args.work / "html" / "index.html")
    return 0 if program else 77


sys.exit(main())
