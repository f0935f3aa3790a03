"""The cost of a weir-proxy client: the entries of its ring, and the system calls if
io_uring is refused.

strace counts them, over clients that connect one after another. A minimal program needs
seven entries for each: a connect, and a receive, a send and a close for each side. The
numbers of receive and wait calls depend on when bytes arrive; the test limits calls
that weir avoids: a check after each accept, and a check for events in each iteration in
which a connection is made or ended.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from harness import ENGINES, Skip, is_sanitized, need, run
from proxying import PROXY

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "bench"))
import proxy_cost  # noqa: E402

LIMITS = {"poll": 0.5, "epoll_wait": 2, "epoll_ctl": 3.5}
ENTRIES = 8
ENTER = re.compile(r"io_uring_enter\(\d+, (\d+),")


def serve_echo():
    """Returns the port of a target, if strace may trace."""
    need("strace")
    trial = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"],
                           capture_output=True, check=False)
    if trial.returncode != 0 or is_sanitized(PROXY):
        raise Skip("strace may not trace here, or another one does")
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=proxy_cost.echo, args=(listener,),
                     daemon=True).start()
    return listener.getsockname()[1]


def count_entries(path, run_proxy, clients):
    """Returns the number of ring entries until this many clients were served."""
    with run_proxy(["strace", "-f", "-e", "trace=io_uring_enter", "-o",
                    path]) as (process, port):
        for _ in range(clients):
            proxy_cost.visit(port)
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        os.kill(int(Path(children).read_text("ascii").split()[0]), 15)
        process.wait(proxy_cost.START_S)
    return sum(map(int, ENTER.findall(Path(path).read_text("ascii"))))


def test_a_life_on_a_ring_has_the_entries_of_a_bare_program():
    if "uring" not in ENGINES:
        raise Skip("io_uring is refused here")
    port = serve_echo()
    with tempfile.TemporaryDirectory() as folder:
        few, many = (count_entries(
            os.path.join(folder, "calls"),
            lambda tool: proxy_cost.serving(tool, PROXY, "uring", [], port),
            clients) for clients in (50, 150))
    assert (many - few) / 100 <= ENTRIES, f"{(many - few) / 100} a client"


def test_a_life_on_epoll_makes_no_looks_in_vain():
    port = serve_echo()
    with tempfile.TemporaryDirectory() as folder:
        calls = proxy_cost.count_calls(
            os.path.join(folder, "calls"),
            lambda tool: proxy_cost.serving(tool, PROXY, "poll", [], port))
    print("#", ", ".join(f"{name} {times:.2f}"
                         for name, times in sorted(calls.items())))
    for name, most in LIMITS.items():
        assert calls.get(name, 0) <= most, f"{name}: {calls[name]} a client"


if __name__ == "__main__":
    run(globals())
