"""Checks results of weir-load against their schema.

Uses Debian's python3-jsonschema; without it nothing is checked, and the one test of the
schema is skipped.
"""

import importlib.util
import os

try:
    import jsonschema
except ImportError:
    jsonschema = None

# The script with which the build makes the schema.
_SPEC = importlib.util.spec_from_file_location("made", os.path.join(
    os.path.dirname(__file__), "../../tools/weir-load/result/schema.py"))
made = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made)


def read():
    return made.whole()


def members(part=None, path=()):
    """Returns the path of each member that a result may have, with its schema; except
    those of the configuration and the environment."""
    whole = read()
    part = whole if part is None else part
    if "$ref" in part:
        part = whole["$defs"][part["$ref"].rsplit("/", 1)[-1]]
    for name, below in part.get("properties", {}).items():
        yield (*path, name), below
        if name not in ("config", "env"):
            yield from members(below, (*path, name))
    for other in (*part.get("anyOf", ()),
                  *([part["items"]] if "items" in part else ())):
        yield from members(other, path)


def objects(part=None, path=""):
    """Returns the path of each object that has members by name, and the object."""
    part = read() if part is None else part
    if "properties" in part:
        yield path or "/", part
    for name, below in part.items():
        if isinstance(below, dict):
            yield from objects(below, f"{path}/{name}")
        for number, item in enumerate(below if isinstance(below, list) else ()):
            if isinstance(item, dict):
                yield from objects(item, f"{path}/{name}/{number}")


def check(result):
    """Raises the first objection of the schema."""
    if jsonschema:
        jsonschema.Draft202012Validator(read()).validate(result)
