"""weir-load run in its other modes: rr, with answers of any content.

Each against a server that does what the mode is made for.
"""

import time

from harness import equal, load_json, run
from servers import Server, read_exactly

OK = 0


def judged(*args):
    """A run with JSON that must be valid."""
    outcome, result = load_json(*args)
    equal((outcome.status, outcome.err), (OK, ""), "exit status and error")
    return result


def test_answers_of_another_size_than_the_requests():
    def serve(connection, _number):
        while read_exactly(connection, 10):
            connection.sendall(b"x" * 30)
            time.sleep(0.005)
            connection.sendall(b"y" * 70)

    with Server(serve) as server:
        result = judged("-c", "2", "-n", "50", "--mode", "rr", "--send",
                        "10", "--recv", "100", server.url)
    equal(result["bytes"], {"in": 50 * 100, "out": 50 * 10}, "bytes")
    equal(result["requests"]["ok"], 50, "ok")


run(globals())
