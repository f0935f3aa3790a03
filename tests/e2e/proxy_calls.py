"""The system calls that a client of weir-proxy costs where io_uring is refused.

strace counts them, over clients that come one after the other. Receives and
waits depend on when bytes come; held to a number is what is left out: a look
behind each accept, and a look for events in each of the turns in which a
connection is made or ended.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from harness import Skip, is_sanitized, need, run
from proxying import PROXY

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "bench"))
import proxy_cost  # noqa: E402

LIMITS = {"poll": 0.5, "epoll_wait": 2, "epoll_ctl": 3.5}


def test_a_life_on_epoll_makes_no_looks_in_vain():
    need("strace")
    trial = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"],
                           capture_output=True, check=False)
    if trial.returncode != 0 or is_sanitized(PROXY):
        raise Skip("strace may not trace here, or another one does")
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=proxy_cost.echo, args=(listener,),
                     daemon=True).start()
    port = listener.getsockname()[1]
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
