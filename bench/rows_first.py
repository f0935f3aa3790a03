"""What a user pays by default: README's first program beside the first programs of
others, and beside the other ways of weir's guide.

None of them is tuned. Each is what one writes on the first day: an echo, of 128 B
to 50 connections, and the memory of the process for a connection that is idle.
"""
import contextlib
import os
import shlex
import sys
import time

from compare import alternate, compare, contenders, once
from harness import COMMANDS, HERE, Client, Failure, Server, load, program_path

PEERS = ["weir", "weir_copy", "uv", "first_asyncio", "first_go"]
IDLE_COUNT = 2000
WARM_COUNT = 240
AT_ONCE = 80
SETTLE_S = 30


def _command(settings, name, port, _extra):
    """README's program and those of others by their common way to start; what
    else there is by its own."""
    if name == "first_asyncio":
        program = shlex.join(
            [sys.executable, os.path.join(HERE, "first_asyncio.py")])
    elif name.startswith("first_"):
        program = shlex.quote(program_path(settings, name))
    else:
        return None
    return [sys.executable, os.path.join(HERE, "serve_first.py"),
            "--program", program, str(port)]


COMMANDS["first"] = _command


def _serve(settings, name):
    return Server(settings, name, "first" if name.startswith("first_")
                  else "echo", own=True)


@contextlib.contextmanager
def _echo(settings, name):
    with _serve(settings, name) as server:
        yield lambda: load(server, ["--conns", 50])


def _wait_accepted(server, count):
    """A connection may be open for its client and unknown to the server, where
    the queue of those that wait was full."""
    end = time.monotonic() + SETTLE_S
    while len(os.listdir(f"/proc/{server.pid}/fd")) < count:
        if time.monotonic() > end:
            raise Failure(f"{server.name} does not accept {count} connections")
        time.sleep(0.01)


def _open_idle(server, count, opened):
    """Open so many more, few at a time: asyncio's queue has 100 places."""
    clients = []
    for _ in range(count // AT_ONCE):
        client = Client(server, ["--mode", "idle", "--conns", AT_ONCE], 0,
                        600000)
        client.wait_ready()
        opened += AT_ONCE
        _wait_accepted(server, opened)
        clients.append(client)
    time.sleep(0.5)
    return clients


def _idle_bytes(settings, name):
    """Of a connection, without what the first ones take for all."""
    with _serve(settings, name) as server:
        clients = _open_idle(server, WARM_COUNT, 0)
        before = server.resident_bytes()
        clients += _open_idle(server, IDLE_COUNT, WARM_COUNT)
        taken = server.resident_bytes() - before
        for client in clients:
            client.finish()
    return {"bytes": max(taken, 1) / IDLE_COUNT}


def row_first(settings, progress):
    names = contenders(settings, "first", [
        name for name in PEERS if name.startswith("first_")], "first_weir")
    if not settings.before:
        names += contenders(settings, "echo", [
            name for name in PEERS if not name.startswith("first_")],
            "weir")
    yield from compare(
        "first", "echo of 128 B, 50 connections",
        alternate(settings, progress, "first", names,
                  lambda name: _echo(settings, name)), {},
        figure="us CPU/msg", scale=1000)
    memory = {}
    for name in names:
        progress(f"first: {IDLE_COUNT} idle connections of {name}")
        memory[name] = _idle_bytes(settings, name)
    yield from compare("first", f"{IDLE_COUNT} idle connections", once(memory), {},
                       key="bytes", figure="B/connection", is_sampled=False)
