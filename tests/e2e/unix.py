"""weir-load over Unix sockets: run and serve with each other and with other programs.

Every test has its own directory, in which nothing may be left.
"""

import json
import os
import socket

from harness import (PATIENT, WEIR_LOAD, ServeAt, command, equal, matches,
                     one_line, place, run)
from servers import echoes_all


def load(*args):
    outcome = command(WEIR_LOAD, "run", "--json", *PATIENT, *args)
    equal((outcome.status, outcome.err), (0, ""), "the outcome of run")
    return json.loads(outcome.out)


def test_run_loads_serve_over_a_path():
    with place() as path, ServeAt(f"unix:{path}") as server:
        equal(server.urls, [f"unix:{path}"], "what it serves on")
        result = load("-c", "20", "-n", "5000", f"unix:{path}")
        equal(result["config"]["targets"], [f"unix:{path}"], "targets")


def test_run_loads_serve_over_an_abstract_name():
    url = f"unix:@weir-e2e-{os.getpid()}"
    with ServeAt(url) as server:
        equal(server.urls, [url], "what it serves on")
        load("-c", "20", "-n", "5000", url)


def test_a_name_that_the_kernel_chose_is_printed():
    with ServeAt("unix:") as server:
        matches(server.urls[0], r"^unix:@[0-9a-f]+$")
        load("-n", "100", server.urls[0])


def test_ports_and_paths_are_served_and_loaded_together():
    with place() as path, ServeAt(f"unix:{path}", "tcp://127.0.0.1:0") as server:
        equal(len(server.urls), 2, "addresses")
        load("-c", "10", "-n", "1000", *server.urls)


def test_a_stranger_is_answered():
    data = os.urandom(3_000_000)
    with place() as path, ServeAt(f"unix:{path}"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            echoes_all(sock, data)


def test_a_path_in_use_is_told_and_stays():
    with place() as path, ServeAt(f"unix:{path}"):
        outcome = command(WEIR_LOAD, "serve", f"unix:{path}")
        equal(outcome.status, 2, "exit status")
        one_line(outcome.err, r"EADDRINUSE")
        load("-n", "10", f"unix:{path}")


def test_a_path_without_a_server_is_told():
    with place() as path:
        outcome = command(WEIR_LOAD, "run", "-n", "1", f"unix:{path}")
        equal(outcome.status != 0, True, "exit status")
        matches(outcome.err, r"ENOENT")
        outcome = command(WEIR_LOAD, "run", "-n", "1", "unix:")
        one_line(outcome.err, r"has no path")


run(globals())
