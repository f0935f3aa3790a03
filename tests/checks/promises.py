"""What the page of rules promises of a public function, by its declaration.

include/guide/rules.md says once what holds in all headers: what a first parameter
is, what an int returns, which errors every maker has. A header says the rest. This
module reads a declaration as that page does, and gives back a header whose comments
are complete: Doxygen reads that, so the reference has a word for each parameter,
and the checks find each error where it may be returned.

Usage: promises.py HEADER
prints the header with complete comments; Doxygen's filter for *.h.
Used by tests/checks/api.py and tests/contract/public_calls.py.
"""

import pathlib
import re
import sys

DECLARATION = re.compile(
    r"(?P<doc>/\*\*(?:[^*]|\*(?!/))*\*/)(?P<gap>\s*)"
    r"(?P<marks>(?:WEIR_MUST_USE\s+)?WEIR_API\b(?:\s+WEIR_MUST_USE)?)"
    r"(?P<type>[^;(]*?)\b(?P<name>weir_\w+)\s*\((?P<parameters>[^;]*)\)"
    r"(?:\s*WEIR_PRINTF\([^)]*\))?;")
TAG = re.compile(r"@(?:param|return|retval|thread|suspends)\b")
SIZED = re.compile(r"^(?P<begin>struct (?P<name>weir_\w+) \{\n)"
                   r"(?P<doc>\s*/\*\*(?:[^*]|\*(?!/))*\*/\n)?"
                   r"(?P<size>\s*size_t size;)", re.MULTILINE)
ERROR = re.compile(r"-E[A-Z0-9]+\b|\bWEIR_E[A-Z0-9]+\b")

# What objects are called, if not by their type.
NOUNS = {"datagram_stream": "stream", "upstreams": "set",
         "task_group": "group", "timeout": "scope", "tls_context": "context",
         "tls_session": "session", "upstream_slot": "slot",
         "config": "reference"}
# Handles that a call gives by its parameter ret, and their _free() ends.
FREED = {"barrier", "condition", "datagram_stream", "event", "lock", "loop", "process",
         "queue", "reader", "semaphore", "server", "upstreams", "upstreams_shared"}
# A task that waits in a call of these keeps them by itself (task.h, writer.h).
KEPT = {"loop", "reader", "writer"}


def proxy_headers(source):
    """The names of libweir-proxy's public headers."""
    path = source / "include" / "meson.build"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    listed = re.search(r"^proxy_headers = files\((.*?)^\)", text, re.M | re.S)
    return set(re.findall(r"weir/(\w+\.h)", listed[1]) if listed else ())


def squeezed(text):
    return re.sub(r"\s+", " ", text).strip()


class Function:
    """A declaration, with what its comment says."""

    def __init__(self, match, header, head, sized):
        self.name = match["name"]
        self.header = header
        self.type = squeezed(match["type"])
        self.is_checked = "WEIR_MUST_USE" in match["marks"]
        self.parameters = []
        for text in re.split(r",(?![^()]*\))", squeezed(match["parameters"])):
            found = re.fullmatch(r"(.*?)(\w+)(?:\[\d*\])?", text.strip())
            if found and text.strip() != "void":
                self.parameters.append((found[1].strip(), found[2]))
        self.sized = sized
        self.intro, self.items = read_comment(match["doc"])
        self.tags = {tag: self.tag(tag, head) for tag in ("thread", "suspends")}

    def tag(self, name, head):
        own = [item.split()[1] for item in self.items
               if item.startswith(f"@{name} ")]
        of_head = re.search(rf"@{name} (\w+)", head)
        return (own or [of_head[1] if of_head else ""])[0]

    @property
    def suspends(self):
        return self.tags["suspends"] == "yes"

    @property
    def ends_object(self):
        return bool(re.search(r"_(?:free|unref)$", self.name))

    @property
    def runs_loop(self):
        return bool(re.search(r"_run(?:_\w+)?$", self.name))

    @property
    def is_maker(self):
        """It gives a handle, or keeps a function that is called later."""
        return (self.is_checked and not self.suspends and not self.runs_loop
                and (bool(self.functions)
                     or any(re.fullmatch(r"weir_\w+ \*\*", kind)
                            or name == "ret" and re.fullmatch(r"weir_\w+ \*",
                                                              kind)
                            for kind, name in self.parameters)))

    @property
    def begins(self):
        """It begins what done ends, and gives a handle to end it earlier."""
        return any(kind == "weir_pending **" for kind, _ in self.parameters)

    @property
    def functions(self):
        """The parameters that are functions or factories."""
        return [name for kind, name in self.parameters
                if re.fullmatch(r"weir_\w+_fn \*", kind)
                or kind == "const struct weir_factory *"]

    @property
    def refers(self):
        """It returns what another function returns, which has the list."""
        return any(re.search(r"@return .*\bas weir_\w+\(\)", item)
                   for item in self.items)

    def struct_of(self, kind):
        """The sized struct that a parameter points to, or None."""
        found = re.fullmatch(r"(?:const )?struct (weir_\w+) \*", kind)
        return found[1] if found and found[1] in self.sized else None


def read_comment(doc):
    """The words before the tags, and each tag with its words."""
    lines = [re.sub(r"^\s*\* ?", "", line)
             for line in doc[3:-2].strip("\n").split("\n")]
    intro, items = [], []
    for line in lines:
        if TAG.match(line):
            items.append([line])
        elif items:
            items[-1].append(line)
        else:
            intro.append(line)
    return intro, [squeezed(" ".join(item)) for item in items]


def word_of_object(function, kind):
    """The first parameter: what the call is made on."""
    found = re.fullmatch(r"(?:const )?(struct )?weir_(\w+) \*", kind)
    if not found or function.struct_of(kind):
        return None
    noun = NOUNS.get(found[2], found[2].replace("_", " "))
    if found[1] and not kind.startswith("const ") and noun not in (
            "group", "scope"):
        return None
    if function.ends_object:
        return "taken; NULL is ignored"
    is_held = function.suspends and noun not in KEPT
    return f"the {noun}; {'held' if is_held else 'borrowed'}"


def word_of_parameter(function, index):
    """What a parameter is by the rules, or None: then the header says it."""
    kind, name = function.parameters[index]
    before = function.parameters[index - 1][1] if index else ""
    if name == "options" and kind.startswith("const struct"):
        return "borrowed; NULL for all defaults"
    if index == 0 and word_of_object(function, kind):
        return word_of_object(function, kind)
    if kind == "void *" and name in ("arg", "done_arg"):
        return "its first argument" if before in function.functions else None
    if kind == "weir_callback_fn *" and name == "cb":
        return "the function"
    if kind == "weir_task_fn *":
        return "the function of the task"
    if name == "done" and function.begins:
        return ("called once, when it has ended; may be NULL when no handle is "
                "asked for")
    if kind == "weir_pending **":
        return ("a handle for weir_pending_cancel(), which needs a @p done; "
                "NULL when none is wanted")
    if name == "ret" and function.struct_of(kind) and "const" not in kind:
        return "filled in, up to its size"
    if kind == "weir_reader **" and name == "ret_reader":
        return "the reader, borrowed from the writer; may be NULL"
    if kind == "weir_writer **" and name == "ret_writer":
        return "the writer, given; end with weir_writer_unref()"
    handle = re.fullmatch(r"weir_(\w+) \*\*", kind)
    if name == "ret" and handle and handle[1] in FREED:
        noun = NOUNS.get(handle[1], handle[1].replace("_", " "))
        return f"the {noun}, given; end with weir_{handle[1]}_free()"
    return None


def word_of_object_returned(function):
    """What a function gives that returns an object, or None."""
    found = re.fullmatch(r"(?:const )?weir_(\w+) \*", function.type)
    if not found:
        return None
    if function.name.endswith("_ref"):
        return f"@p {function.parameters[0][1]}; one reference is given"
    noun = NOUNS.get(found[1], found[1].replace("_", " "))
    return (f"the {noun}; borrowed" if function.name.endswith(f"_get_{noun}")
            else None)


def word_of_result(function):
    """The result that the first sentence names, or None."""
    first = re.match(r"(Get|Report whether) (.*?)[.;:](?: |$)",
                     squeezed(" ".join(function.intro)) + " ")
    return first and ("" if first[1] == "Get" else "true if ") + first[2]


def errors_of_structs(function):
    """The errors of structs that begin with their size, each with its words."""
    errors = {}
    for kind, name in function.parameters:
        struct = function.struct_of(kind)
        if struct and "const" in kind:
            errors["-E2BIG"] = "a field that only a newer library knows is set"
            if name != "options":
                errors["WEIR_EOPTIONSIZE"] = f"the size of @p {name} is not set"
        elif struct:
            errors["WEIR_EOPTIONSIZE"] = f"the size of @p {name} is not set"
    return errors


def errors_of_makers(function):
    """The errors of each maker, each with its words."""
    errors = {}
    if function.is_maker:
        if {"cb", "fn"} & set(function.functions):
            errors["-EINVAL"] = "no function"
        errors["-ENOMEM"] = "no memory"
        if (function.parameters[0][0] == "weir_loop *"
                and function.tags["thread"] == "loop"
                and function.header != "sync.h"):
            errors["-ESHUTDOWN"] = "the loop is being freed"
    return errors


def errors_of_all(function):
    """The errors of all calls of its kind, each with its words. Neither a comment
    nor the reference repeats them."""
    errors = {}
    if function.tags["thread"] == "loop":
        errors["-EPERM"] = "not the loop's thread"
        errors["-ECHILD"] = "the loop was made before fork()"
    if function.suspends:
        errors["-ECANCELED"] = "the task was cancelled"
        errors["WEIR_ENOTTASK"] = "not called by a task"
    return errors


def repeated(function):
    """The items of a comment that say no more than the rules do."""
    by_error = {f"@retval {error} {words}"
                for error, words in errors_of_all(function).items()}
    return [item for item in function.items
            if item in by_error or item in by_rules(function).values()]


def by_rules(function):
    """All that the rules say of a function, by what it is of: a parameter's
    name, "return" or an error."""
    said = {}
    for index, (_, name) in enumerate(function.parameters):
        words = word_of_parameter(function, index)
        if words:
            said[name] = f"@param {name} {words}"
    if function.type == "int":
        said["return"] = "@return 0" + (
            " when it has begun; @p done tells how it ends"
            if function.begins else "")
    elif function.type != "void" and word_of_result(function):
        said["return"] = f"@return {word_of_result(function)}"
    if word_of_object_returned(function):
        said["return"] = f"@return {word_of_object_returned(function)}"
    if function.type not in ("int", "ssize_t", "int64_t"):
        return said
    errors = errors_of_structs(function)
    if not function.refers:
        errors.update(errors_of_makers(function))
    said.update({error: f"@retval {error} {words}"
                 for error, words in errors.items()})
    return said


def subject_of(item):
    """What an item of a comment is of, as by_rules() calls it."""
    tag, first = (item.split() + [""])[:2]
    return {"@param": first, "@retval": first.rstrip(",")}.get(tag, tag[1:])


def completed(function):
    """The items of the comment, and after them those of the rules."""
    has = {subject_of(item) for item in function.items}
    has |= {error for item in function.items if item.startswith("@ret")
            for error in ERROR.findall(item)}
    added = {subject: item for subject, item in by_rules(function).items()
             if subject not in has}
    if "WEIR_EOPTIONSIZE" in has:
        added.pop("-E2BIG", None)
    order = [name for _, name in function.parameters] + ["return"]
    items = {subject_of(item): item for item in function.items
             if item.startswith(("@param", "@return"))}
    items.update(added)
    first = [items[subject] for subject in order if subject in items]
    rest = [item for item in function.items
            if not item.startswith(("@param", "@return"))]
    errors = [item for item in added.values() if item.startswith("@retval")]
    return first + errors + rest


def word_of_size(struct):
    """What a struct begins with, unless its header says more of it."""
    return f"    /** sizeof(struct {struct}). */\n"


def repeated_sizes(text):
    """The structs of a header whose size has the words of the rules."""
    return [match["name"] for match in SIZED.finditer(text)
            if match["doc"] == word_of_size(match["name"])]


def functions_of(text, header, sized):
    """The declarations of a header, each with its place in the text."""
    head = text.partition("*/")[0]
    for match in DECLARATION.finditer(text):
        yield match, Function(match, header, head, sized)


def sized_structs(include):
    return {match["name"] for path in sorted(include.glob("*.h"))
            for match in SIZED.finditer(path.read_text(encoding="utf-8"))}


def functions_in(include):
    """All public functions, by their names."""
    sized = sized_structs(include)
    return {function.name: function for path in sorted(include.glob("*.h"))
            for _, function in functions_of(path.read_text(encoding="utf-8"),
                                            path.name, sized)}


def complete(text, header, sized):
    """A header whose comments say all that its functions promise."""
    parts, last = [], 0
    for match, function in functions_of(text, header, sized):
        lines = ["/**", *(f" * {line}".rstrip() for line in function.intro),
                 " *", *(f" * {item}" for item in completed(function)), " */"]
        parts += [text[last:match.start()], "\n".join(lines)]
        last = match.end("doc")
    text = "".join(parts) + text[last:]
    text = SIZED.sub(lambda match: match["begin"] + (
        match["doc"] or word_of_size(match["name"])) + match["size"], text)
    return re.sub(r"include/guide/rules\.md",
                  '@ref guide_rules "the rules of the interface"', text)


def main():
    path = pathlib.Path(sys.argv[1])
    text = path.read_text(encoding="utf-8")
    sys.stdout.write(complete(text, path.name, sized_structs(path.parent)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
