"""Servers for tests of weir-proxy: one that answers health checks as a test says, and one
that answers with its name."""

import threading

from proxy_wait import wait_until
from servers import Server, free_port

GOOD = b"HTTP/1.1 200 OK\r\n\r\n"
BAD = b"HTTP/1.1 503 Busy\r\n\r\n"


class Checked(Server):
    """Answers requests of checks, by their path or always in the same way, when it is
    told to; echoes the bytes of its clients, and counts clients."""

    def __init__(self, answer, answers=None, at_once=True):
        super().__init__(self.talk)
        self.answer = answer
        self.answers = answers or {}
        self.may_answer = threading.Event()
        if at_once:
            self.may_answer.set()
        self.requests = []
        self.clients = 0

    def talk(self, connection, _number):
        data = connection.recv(65536)
        if data.startswith(b"GET "):
            self.requests.append(data)
            self.may_answer.wait()
            path = data.split()[1]
            connection.sendall(self.answers.get(path, self.answer))
            connection.recv(1)
            return
        self.clients += bool(data)
        while data:
            connection.sendall(data)
            data = connection.recv(65536)


def first_checks_end(*servers):
    """Waits for the second check of each, which starts after the first."""
    wait_until(lambda: all(len(server.requests) > 1 for server in servers))


def named(name):
    """A server that answers each byte with its name."""
    def serve(connection, _number):
        while connection.recv(1):
            connection.sendall(name)
    return Server(serve, free_port())


def say(client):
    """Sends a byte, and returns the answer."""
    client.sendall(b"x")
    return client.recv(1)
