"""The example programs do what they claim, with each other and with other programs."""

import os
import socket

from harness import (ENV, EXAMPLES, Program, command, equal, example, fails,
                     matches, prints, read_line, run)
from servers import Refusing, Server, echo, echoes_all


def test_the_echo_server_answers_a_stranger():
    with Program(example("tcp_echo_server"), "0") as program:
        line = read_line(program.process.stdout)
        matches(line, r"^serving on 127\.0\.0\.1:\d+\n\Z")
        port = int(line.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            data = os.urandom(1_000_000)
            echoes_all(sock, data)


def test_the_echo_client_shows_the_answer():
    with Server(echo) as server:
        outcome = command(example("tcp_echo_client"), str(server.port))
    equal((outcome.status, outcome.err), (0, ""), "the outcome")
    matches(outcome.out, r"\Areceived: Hello World!\n\Z")


def test_the_two_talk_to_each_other():
    with Program(example("tcp_echo_server"), "0") as program:
        port = read_line(program.process.stdout).strip().rsplit(":", 1)[1]
        outcome = command(example("tcp_echo_client"), port)
        equal(outcome.status, 0, "exit status")
        matches(outcome.out, r"Hello World!")


def test_the_echo_client_says_why_it_cannot():
    with Refusing() as server:
        outcome = command(example("tcp_echo_client"), str(server.port))
    fails(outcome, r"refused")


def test_the_echo_server_says_why_it_cannot():
    with Program(example("tcp_echo_server"), "0") as program:
        port = read_line(program.process.stdout).strip().rsplit(":", 1)[1]
        outcome = command(example("tcp_echo_server"), port)
    fails(outcome, r"in use")


def test_an_open_socket_is_registered():
    prints(command(example("register_socket")), "received: abc\n")


def test_a_descriptor_is_watched():
    prints(command(example("register_socket_reader")), "received: abc\n")


def test_a_childs_output_comes_to_a_protocol():
    prints(command(example("subprocess_output")),
           "from 1: 1970-01-01\nexit status 0\n")


def test_a_program_that_is_not_there_is_told():
    outcome = command(example("subprocess_output"), env=dict(ENV, PATH="/nowhere"))
    fails(outcome, r"No such file")


def test_examples_are_short():
    folder = os.path.join(os.path.dirname(__file__), "../../tools/examples")
    names = [name for name in os.listdir(folder) if name.endswith(".c")]
    optional = {"curl_guest"}  # where its library is
    equal(sorted({name.removesuffix(".c") for name in names} - optional),
          sorted(set(EXAMPLES) - optional), "examples that are built")
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            equal(len(file.readlines()) <= 80, True, f"{name} is short")


run(globals())
