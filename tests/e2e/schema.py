"""Is a result of weir-load what its schema says?

By Debian's python3-jsonschema; where that is not installed nothing is looked
at, and the one test of the schema alone is skipped.
"""

import json
import os

try:
    import jsonschema
except ImportError:
    jsonschema = None

PATH = os.path.join(os.path.dirname(__file__),
                    "../../tools/weir-load/result.schema.json")


def read():
    with open(PATH, encoding="utf-8") as file:
        return json.load(file)


def check(result):
    """Raise what the schema objects to first."""
    if jsonschema:
        jsonschema.Draft202012Validator(read()).validate(result)
