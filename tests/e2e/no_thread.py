"""A program that cannot create threads because of a limit of processes.

The programs run as a user who may have no more processes. Features that need a thread
report this in one line; a server of files works as always.
"""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile

from harness import (ENV, PATIENT, WEIR_LOAD, ExampleService, Program, Serve,
                     Skip, command, equal, matches, one_line, read_line, run)
from proxy_wait import wait_until

NOBODY = 65534
REFUSED = r"^{}: no thread can be made: .* \(EAGAIN\); see LimitNPROC, "
# LeakSanitizer creates a thread at the end.
APART = {**ENV, "ASAN_OPTIONS": ENV.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
NAMES = {"small": 10, "large": 3_000_001, "empty": 0}


def become_limited():
    """The limit is set last: root may have any number of processes, and a user with too
    many may not execute a program."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))


def apart():
    return {"preexec_fn": become_limited, "env": APART}


def expect_limit():
    """Skips the test if the limit has no effect, or the programs are in a folder that
    is not readable for all."""
    with contextlib.suppress(PermissionError, subprocess.SubprocessError):
        shell = command("/bin/sh", "-c", "/bin/true; /bin/true", **apart())
        tried = command(WEIR_LOAD, "--version", **apart())
        if shell.status != 0 and tried.status == 0:
            return
    raise Skip("no user whom a limit of processes holds back")


def open_count(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


# ---- weir-load, weir-proxy ----

def test_a_load_says_that_it_can_have_no_thread():
    expect_limit()
    with Serve() as server:
        outcome = command(WEIR_LOAD, "run", *PATIENT, "-c", "2", "-n", "10",
                          server.url, **apart())
    one_line(outcome.err, REFUSED.format("weir-load"))
    equal((outcome.out, outcome.status), ("", 2), "output and exit status")


def test_a_server_on_threads_says_so_too():
    expect_limit()
    outcome = command(WEIR_LOAD, "serve", "--threads", "3",
                      "tcp://127.0.0.1:0", **apart())
    one_line(outcome.err, REFUSED.format("weir-load"))
    equal((outcome.out, outcome.status), ("", 2), "output and exit status")


def test_a_server_on_one_loop_needs_none():
    expect_limit()
    with Serve(**apart()) as server:
        outcome = command(WEIR_LOAD, "run", *PATIENT, "-c", "10", "-n", "1000",
                          server.url)
    matches(outcome.out, r"\nVALID\n\Z")
    equal(outcome.status, 0, "exit status")


def test_a_proxy_says_that_it_can_have_no_thread():
    proxy = os.environ.get("WEIR_PROXY")
    if proxy is None:
        raise Skip("weir-proxy is not built")
    expect_limit()
    outcome = command(proxy, "--threads", "2", "--listen", "tcp://127.0.0.1:0",
                      "--to", "tcp://127.0.0.1:9", **apart())
    lines = [line for line in outcome.err.splitlines(True)
             if "descriptors are allowed" not in line]
    equal(len(lines), 1, f"lines in {outcome.err!r}")
    matches(lines[0], REFUSED.format("weir-proxy"))
    equal((outcome.out, outcome.status), ("", 1), "output and exit status")


def test_a_proxy_on_one_loop_needs_none():
    proxy = os.environ.get("WEIR_PROXY")
    if proxy is None:
        raise Skip("weir-proxy is not built")
    expect_limit()
    with Serve() as server, Program(
            proxy, "--threads", "1", "--listen", "tcp://127.0.0.1:0", "--to",
            server.url, **apart()) as program:
        line = ""
        while not (found := re.search(r" serves \S+:(\d+) to ", line)):
            line = read_line(program.process.stderr)
        with socket.create_connection(("127.0.0.1", int(found[1]))) as sock:
            sock.sendall(b"hello")
            equal(sock.recv(5, socket.MSG_WAITALL), b"hello", "the echo")
        program.signal(signal.SIGTERM)
        equal(program.finish()[0], 0, "exit status")


# ---- servers of files ----

def answer_of(address, path):
    """Returns the whole response to an HTTP/1.0 request."""
    with socket.create_connection(address) as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with sock.makefile("rb") as file:
            return file.read().split(b"\r\n\r\n", 1)


def serve_files(name):
    """All files arrive, and none stays open."""
    expect_limit()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for file_name, size in NAMES.items():
            with open(os.path.join(folder, file_name), "wb") as file:
                file.write(b"x" * size)
        with ExampleService(name, cwd=folder, **apart()) as server:
            count = open_count(server)
            for _ in range(4):
                for file_name, size in NAMES.items():
                    head, body = answer_of(server.address, "/" + file_name)
                    matches(head.decode(), r"^HTTP/1\.[01] 200 ", file_name)
                    equal(body, b"x" * size, f"the bytes of {file_name}")
            head, _ = answer_of(server.address, "/none")
            matches(head.decode(), r"^HTTP/1\.[01] 404 ", "a missing file")
            wait_until(lambda: open_count(server) == count)


def test_files_are_served_over_http():
    serve_files("http_file_server")


def test_files_are_served_by_streams():
    serve_files("file_server_streams")


run(globals())
