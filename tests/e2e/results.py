"""What weir-load writes about a run, read by programs that do not know it.

The JSON by its schema. A run is short here and its figures do not matter; that
they are right is tested in load.py.
"""

from harness import Skip, equal, load_json, run
from servers import Server, echo
import schema


def measure(*flags, status=0):
    """A short run; the outcome and the result."""
    with Server(echo) as server:
        outcome, result = load_json("-c", "2", *flags, server.url)
    equal(outcome.status, status, f"exit status; it said {outcome.err!r}")
    return outcome, result


# ---- the schema ----

def test_the_schema_knows_a_result_from_another_thing():
    if not schema.jsonschema:
        raise Skip("no jsonschema (python3-jsonschema)")
    _, result = measure("-n", "20")
    schema.check(result)
    for change in ({"schema": "weir-load/1"}, {"valid": "yes"},
                   {"surplus": 1}, {"duration_ns": -1},
                   {"duration_ns": 1.5}, {"status": {"200": "many"}},
                   {"requests": {}}, {"start": 5}):
        try:
            schema.check({**result, **change})
        except schema.jsonschema.ValidationError:
            continue
        raise AssertionError(f"not refused: {change}")


run(globals())
