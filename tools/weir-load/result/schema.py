#!/usr/bin/env python3
"""Writes the schema of weir-load's results, which is installed.

`result.schema.json.in` is written by hand. "rows" of an object names tables of
`fields.c`: each of their rows becomes a member, with its ABOUT as description.
"required" gets each member that is not "optional", unless the object has one.

    schema.py OUTPUT
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
COUNT = {"type": "integer", "minimum": 0}
TABLE = re.compile(r"const struct field (\w+)\[\] = \{(.*?)\bEND,?\s*\};", re.S)
# A row of a table: its macro, its name, and the rest.
ROW = re.compile(r"\b([A-Z0-9]+)\(\"?(\w+)\"?((?:[^()\"]|\"[^\"]*\"|"
                 r"\((?:[^()\"]|\"[^\"]*\")*\))*)\)")
ABOUT = re.compile(r"ABOUT\(((?:\s*\"[^\"]*\")+)\)")


def rows():
    """Returns the rows of each table of fields.c, by name, with their JSON types."""
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
            # A latency is null without a response.
            value = ({"anyOf": [{"type": "null"}, COUNT]} if macro == "LATENCY"
                     else dict(COUNT))
            about = ABOUT.search(rest)
            if about:
                value["description"] = "".join(
                    re.findall(r"\"([^\"]*)\"", about[1]))
            counts[name] = value
    return tables


def complete(part, tables):
    """Returns a part of the schema with the derived members of all its objects."""
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
    """Returns the complete schema."""
    text = (HERE / "result.schema.json.in").read_text(encoding="utf-8")
    return complete(json.loads(text), rows())


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(whole(), file, indent=2)
        file.write("\n")
