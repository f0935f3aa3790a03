#!/usr/bin/env python3
"""Write the schema of weir-load's results, as it is installed.

`result.schema.json.in` has what a person wrote; what can be derived is added here:
the counts that an object has by its "rows", tables of `fields.c` in which a row
says what a count is called and, by its ABOUT, what it is; and "required", which
is each member that is not "optional", where an object does not say it itself.

    schema.py OUTPUT
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
COUNT = {"type": "integer", "minimum": 0}
TABLE = re.compile(r"const struct field (\w+)\[\] = \{(.*?)\bEND,?\s*\};", re.S)
# A row: its macro, its name, and the rest.
ROW = re.compile(r"\b([A-Z0-9]+)\(\"?(\w+)\"?((?:[^()\"]|\"[^\"]*\"|"
                 r"\((?:[^()\"]|\"[^\"]*\")*\))*)\)")
ABOUT = re.compile(r"ABOUT\(((?:\s*\"[^\"]*\")+)\)")


def rows():
    """Of each table of fields.c: its counts by name, and what JSON has."""
    text = (HERE / "fields.c").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    tables = {}
    for table, body in TABLE.findall(text):
        counts = tables[table] = {}
        unread = ROW.sub("", body).strip(", \n")
        if unread:
            sys.exit(f"schema.py: {table} of fields.c has what is no row to ROW "
                     f"here: {unread}")
        for macro, name, rest in ROW.findall(body):
            # A time that no answer has is null.
            value = ({"anyOf": [{"type": "null"}, COUNT]} if macro == "LATENCY"
                     else dict(COUNT))
            about = ABOUT.search(rest)
            if about:
                value["description"] = "".join(
                    re.findall(r"\"([^\"]*)\"", about[1]))
            counts[name] = value
    return tables


def complete(part, tables):
    """An object, or what is below it, with what is derived."""
    if isinstance(part, list):
        return [complete(item, tables) for item in part]
    if not isinstance(part, dict):
        return part
    part = {name: complete(below, tables) for name, below in part.items()}
    members = part.get("properties")
    if not isinstance(members, dict) or "type" not in part:
        return part
    for table in part.pop("rows", []):
        members.update(tables[table])
    optional = {name for name, below in members.items()
                if below.pop("optional", False)}
    part.setdefault("required", [name for name in members
                                 if name not in optional])
    return part


def whole():
    """The schema."""
    text = (HERE / "result.schema.json.in").read_text(encoding="utf-8")
    return complete(json.loads(text), rows())


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(whole(), file, indent=2)
        file.write("\n")
