"""Parses options in --help and in an mdoc manual, to compare them."""

import os
import re

from harness import command, equal

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools")


def helps(*words):
    """Returns the sentence of each option in --help, its letter and its value."""
    found, name = {}, None
    for line in command(*words, "--help", "all").out.splitlines():
        row = re.match(r"  (?:-(\w), | {4})--([\w-]+)(\[=\S+\]| \S+(?: V')?|)"
                       r"(?:  +(.*))?$", line)
        if row:
            letter, name, value, text = row.groups()
            found[name] = [text or "", letter, value]
        elif name and line.startswith(" " * 20):
            found[name][0] += " " + line.strip()
        else:
            name = None
    return found


def page(name):
    with open(os.path.join(TOOLS, "man", name), encoding="utf-8") as file:
        return file.read()


def plain(text):
    """Returns the text of a manual without its macros; a number stays with its unit."""
    text = re.sub(r"^\.[A-Z]\w* ?", "", text, flags=re.M)
    text = " ".join(text.split()).replace("\\e", "\\")
    return re.sub(r"(\d) (ns|us|ms|s|m|h|K|M|G|%)\b", r"\1\2", text)


def says(text, name):
    """Returns everything that a manual says about an option: its items, and the text
    where it is mentioned."""
    items = [part for part in re.split(r"^\.It ", text, flags=re.M)
             if re.search(rf"Fl (?:.*, )?-{name}\b",
                          part.partition("\n")[0])]
    places = [text[place.end():place.end() + 300] for place in
              re.finditer(rf"^\.Fl -{name}\b", text, re.M)]
    return [plain(part) for part in items + places]


def default_of(sentence):
    """Returns the value in parentheses at the end of a sentence, such as (10s; with -n:
    no limit), or None."""
    bracket = re.search(r"\(([^()]*)\)(?:; also [^()]*)?$", sentence)
    value = re.match(r"([^\s;]*[^\s;,])(?:[;,] |$)", bracket[1]) \
        if bracket else None
    return value[1] if value else None


def compare_defaults(text, *words):
    """Each default of --help is in the manual, too."""
    count = 0
    for name, (sentence, _, _) in helps(*words).items():
        default = default_of(sentence)
        count += default is not None
        found = default is None or any(
            re.search(rf"(?<!\w){re.escape(default)}(?!\w)", part)
            for part in says(text, name))
        equal(found, True, f"the manual says that --{name} is {default} "
              f"unless it is given, as {' '.join(words[1:])} --help does")
    return count
