"""Where io_uring is refused: epoll takes its place, and it is told.

The programs run under what the default profile of Docker does to system calls.
One line of warning names the reason; bytes, datagrams, processes and files are
what they are with io_uring.
"""

import os
import subprocess
import tempfile

from harness import (ENV, EXAMPLES, PATIENT, WEIR_LOAD, Serve, command, equal,
                     matches, one_line, run)
from seccomp import DOCKER, refuse

# What takes place when nobody has asked for an engine.
ENV.pop("WEIR_ENGINE", None)

WARNING = r"^weir-load: epoll instead of io_uring: .*\(WEIR_ERINGSECCOMP\)"


def apart():
    return {"preexec_fn": refuse(DOCKER)}


def loaded(*args, **options):
    """A load on a server, both without io_uring, which ends VALID."""
    with Serve(*args, may_complain=True, **apart()) as server:
        outcome = command(WEIR_LOAD, "run", *PATIENT, "-c", "20", "-n", "2000",
                          server.url, **apart(), **options)
        one_line(server.stop(), WARNING)
    matches(outcome.out, r"\nVALID\n\Z")
    equal(outcome.status, 0, "exit status")
    one_line(outcome.err, WARNING)


def test_a_load_is_valid_with_one_warning():
    loaded()


def test_a_server_of_streams_too():
    loaded("--api", "stream")


def test_datagrams_are_exchanged():
    with subprocess.Popen(
            [WEIR_LOAD, "serve", "udp://127.0.0.1:0"], env=ENV, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **apart()) as server:
        url = server.stdout.readline().split()[-1]
        outcome = command(WEIR_LOAD, "run", "-c", "5", "-n", "500",
                          "--timeout", "60s", url, **apart())
        server.terminate()
        one_line(server.communicate()[1], WARNING)
    matches(outcome.out, r"\nVALID\n\Z")
    one_line(outcome.err, WARNING)


def test_no_warning_where_epoll_was_asked_for():
    with Serve("--engine", "poll") as server:
        outcome = command(WEIR_LOAD, "run", *PATIENT, "--engine", "poll",
                          "-c", "5", "-n", "100", server.url)
    matches(outcome.out, r"\nVALID\n\Z")
    equal((outcome.status, outcome.err), (0, ""), "the outcome")


def test_the_features_tell_the_engine():
    env = {name: ENV[name] for name in ENV if name != "WEIR_ENGINE"}
    outcome = command(WEIR_LOAD, "--version", "-v", env=env, **apart())
    matches(outcome.out, r"engine +poll instead of io_uring: "
                         r"WEIR_ERINGSECCOMP, io_uring is refused by a seccomp")
    outcome = command(WEIR_LOAD, "--version", "-v",
                      env=dict(env, WEIR_ENGINE="poll"))
    matches(outcome.out, r"engine +poll\n")
    outcome = command(WEIR_LOAD, "--version", "-v",
                      env=dict(env, WEIR_ENGINE="pole"))
    equal((outcome.status, "EINVAL" in outcome.err), (2, True), "a typing error")


def test_processes_are_run():
    outcome = command(EXAMPLES["subprocess_output"], **apart())
    equal((outcome.status, outcome.err), (0, ""), "the outcome")
    matches(outcome.out, r"\d\d")


def test_files_are_read_and_sent():
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "large"), "wb") as file:
            file.write(os.urandom(3_000_001))
        with subprocess.Popen(
                [EXAMPLES["file_server_streams"], "0"], cwd=folder, env=ENV,
                text=True, stdout=subprocess.PIPE, **apart()) as server:
            port = server.stdout.readline().rsplit(":", 1)[1].strip()
            outcome = subprocess.run(
                ["curl", "-s", "--max-time", "60", "-o",
                 os.path.join(folder, "got"),
                 f"http://127.0.0.1:{port}/large"], check=False, timeout=90)
            server.send_signal(2)
            equal(server.wait(60), 0, "the end of the server")
        equal(outcome.returncode, 0, "exit status of curl")
        with open(os.path.join(folder, "large"), "rb") as sent, \
                open(os.path.join(folder, "got"), "rb") as got:
            equal(got.read() == sent.read(), True, "the bytes")


run(globals())
