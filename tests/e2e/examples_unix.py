"""The examples on Unix sockets, with each other, socat and asyncio.

Every test has its own directory, in which it must leave nothing.
"""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import time

from harness import (ENV, WAIT_S, Program, Service, command, equal, example,
                     fails, matches, need, place, prints, read_line, run)
from servers import echoes_all


class Serving(Service):
    """The server, which prints a line for each connection."""

    may_print = True

    def __init__(self, path, signum=signal.SIGINT):
        super().__init__(example("unix_echo_server"), path)
        self.signum = signum
        try:
            line = read_line(self.process.stdout)
        except AssertionError:
            self.kill()
            print(f"# the server said {self.finish()[2]!r}")
            raise
        equal(line, f"serving on {path}\n", "a line")


def talk(path):
    prints(command(example("unix_echo_client"), path),
           "received: Hello World!\n")


def test_the_two_talk_to_each_other():
    for signum in (signal.SIGINT, signal.SIGTERM):
        with place() as path, Serving(path, signum) as server:
            talk(path)
            matches(read_line(server.process.stdout),
                    rf"^process \d+ of user {os.getuid()}$")


def test_the_two_talk_over_an_abstract_name():
    name = f"@weir-e2e-{os.getpid()}"
    with Serving(name):
        talk(name)


def test_the_server_tells_which_process_it_serves():
    with place() as path, Serving(path) as server:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            equal(read_line(server.process.stdout),
                  f"process {os.getpid()} of user {os.getuid()}\n", "a line")
        equal(os.stat(path).st_mode & 0o7777, 0o600, "permissions")


def test_a_megabyte_comes_back():
    data = os.urandom(1_000_000)
    with place() as path, Serving(path):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            echoes_all(sock, data)


def socat(*args):
    need("socat")
    return ("socat", *args)


def test_socat_is_answered():
    data = os.urandom(300_000)
    with place() as path, Serving(path):
        found = subprocess.run(
            socat(f"-t{WAIT_S}", "-", f"UNIX-CONNECT:{path}"), input=data,
            capture_output=True, env=ENV, check=True, timeout=2 * WAIT_S)
        equal(found.stdout == data, True, "the echo is what was sent")


def test_socat_answers():
    with place() as path:
        with Program(*socat(f"UNIX-LISTEN:{path}", "PIPE")):
            while not os.path.exists(path):
                os.sched_yield()
            while True:  # it is bound slightly before it listens
                outcome = command(example("unix_echo_client"), path)
                if "refused" not in outcome.err:
                    break
            equal(outcome.out, "received: Hello World!\n", outcome.err)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def test_asyncio_is_answered():
    async def ask(path):
        reader, writer = await asyncio.open_unix_connection(path)
        data = os.urandom(500_000)
        writer.write(data)
        writer.write_eof()
        equal(await reader.read() == data, True, "the echo is what was sent")
        writer.close()
        await writer.wait_closed()

    async def ask_many(path):
        await asyncio.gather(*(ask(path) for _ in range(20)))

    with place() as path, Serving(path):
        asyncio.run(ask_many(path))


def test_asyncio_answers():
    async def echo(reader, writer):
        writer.write(await reader.readexactly(12))
        await writer.drain()
        equal(await reader.read(), b"", "the end of stream")
        writer.close()

    async def serve(path):
        async with await asyncio.start_unix_server(echo, path):
            client = await asyncio.create_subprocess_exec(
                example("unix_echo_client"), path, env=ENV,
                stdout=subprocess.PIPE)
            out, _ = await client.communicate()
            equal((client.returncode, out), (0, b"received: Hello World!\n"),
                  "the outcome")

    with place() as path:
        asyncio.run(serve(path))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # asyncio before 3.13 leaves the file


def wait_for_its_end(path):
    """Linux drops the sockets that only the ring of a killed process still holds in one
    worker, one after another with those of all other rings; a lingering socket
    (SO_LINGER) of another test delays this."""
    end = time.monotonic() + WAIT_S
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            if sock.connect_ex(path) == errno.ECONNREFUSED:
                return
        assert time.monotonic() < end, "the socket of a killed server is there"
        time.sleep(0.01)


def test_a_server_that_was_killed_is_succeeded():
    with place() as path:
        with Serving(path) as server:
            server.kill()
        wait_for_its_end(path)
        equal(os.path.exists(path), True, "its file is left")
        with Serving(path):
            talk(path)


def test_a_server_that_lives_is_not_succeeded():
    with place() as path, Serving(path):
        fails(command(example("unix_echo_server"), path), r"in use")
        talk(path)


def test_the_client_says_why_it_cannot():
    with place() as path:
        fails(command(example("unix_echo_client"), path), r"No such file")


run(globals())
