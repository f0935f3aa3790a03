"""The UDP examples with each other, with Python's asyncio, and with a port that
refuses."""

import asyncio
import os
import socket
import subprocess

from harness import (WAIT_S, Program, command, equal, example, fails, matches,
                     need, prints, read_line, run)
from servers import RefusingDatagrams


def port_of(program):
    line = read_line(program.process.stdout)
    matches(line, r"^serving on 127\.0\.0\.1:\d+\n\Z")
    return int(line.rsplit(":", 1)[1])


class Asker(asyncio.DatagramProtocol):
    """Sends one datagram after another, each after the previous answer."""

    def __init__(self, questions):
        self.questions = list(questions)
        self.answers = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def ask(self):
        if len(self.answers) == len(self.questions):
            self.done.set_result(self.answers)
        else:
            self.transport.sendto(self.questions[len(self.answers)])

    def datagram_received(self, data, addr):
        self.answers.append(data)
        self.ask()

    def error_received(self, exc):
        self.done.set_exception(exc)


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


async def ask(port, questions):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Asker(questions), remote_addr=("127.0.0.1", port))
    try:
        return await asyncio.wait_for(protocol.done, WAIT_S)
    finally:
        transport.close()


async def serve_client():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        Echo, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    try:
        return await asyncio.to_thread(command, example("udp_echo_client"),
                                       str(port))
    finally:
        transport.close()


def test_the_server_answers_asyncio():
    sizes = (1, 64, 1400, 2048, 2049, 9000, 65507, 3, 60000, 10)
    questions = [os.urandom(size) for size in sizes]
    with Program(example("udp_echo_server"), "0") as program:
        answers = asyncio.run(ask(port_of(program), questions))
    equal(answers == questions, True, "the echo is what was sent")


def test_the_server_answers_many_clients_and_empty_datagrams():
    with Program(example("udp_echo_server"), "0") as program:
        port = port_of(program)
        socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                 for _ in range(50)]
        for number, sock in enumerate(socks):
            sock.settimeout(WAIT_S)
            sock.sendto(b"x" * number, ("127.0.0.1", port))
        for number, sock in enumerate(socks):
            equal(sock.recv(100), b"x" * number, "the answer")
            sock.close()


def test_the_client_shows_what_asyncio_answers():
    outcome = asyncio.run(serve_client())
    prints(outcome, "received: Hello World!\n")


def test_the_two_talk_to_each_other():
    with Program(example("udp_echo_server"), "0") as program:
        outcome = command(example("udp_echo_client"), str(port_of(program)))
    equal((outcome.status, outcome.out), (0, "received: Hello World!\n"),
          "the outcome")


def test_the_client_says_that_it_was_refused():
    with RefusingDatagrams() as server:
        outcome = command(example("udp_echo_client"), str(server.port))
    fails(outcome, r"refused")


def test_the_server_says_why_it_cannot():
    with Program(example("udp_echo_server"), "0") as program:
        outcome = command(example("udp_echo_server"), str(port_of(program)))
    fails(outcome, r"in use")


def test_the_server_answers_socat():
    need("socat")
    with Program(example("udp_echo_server"), "0") as program:
        port = port_of(program)
        with Program("socat", "-", f"UDP:127.0.0.1:{port}",
                     stdin=subprocess.PIPE) as socat:
            socat.process.stdin.write(b"hello\n")
            socat.process.stdin.flush()
            equal(read_line(socat.process.stdout), "hello\n", "the answer")


run(globals())
