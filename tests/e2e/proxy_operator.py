"""weir-proxy and who operates it: starts that fail, the operator's page under
many requests, words that nobody reads.
"""

from harness import command, equal, matches, run
from proxying import PROXY
from servers import Server, echo


def plain(server):
    return f"tcp://127.0.0.1:{server.port}"


# ---- starts that fail ----

def test_an_operators_address_in_use_ends_it_on_all_threads():
    with Server(echo) as server:
        for threads in ("1", "3"):
            outcome = command(PROXY, "--threads", threads, "tcp://127.0.0.1:0",
                              plain(server), "--admin", str(server.port))
            equal(outcome.status, 1, "exit status")
            matches(outcome.err, "admin .*: Address already in use")


run(globals())
