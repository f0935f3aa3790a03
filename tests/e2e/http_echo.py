"""weir-load --expect echo: bodies that must come back as they were sent, from a server
that echoes them, and from one that damages some of them."""

import contextlib
import itertools
import os
import re
import tempfile

from harness import equal, judged, matches, run
from servers import Server


def answer(body, is_chunked):
    if not is_chunked:
        return (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body))
    return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x;a=b\r\n%s\r\n" % (len(part), part)
                       for part in (body[:3], body[3:]) if part)
            + b"0\r\n\r\n")


@contextlib.contextmanager
def echoing(spoil=0):
    """Echoes bodies, in chunks if they came in chunks; every spoil-th one with another
    last byte."""
    count = 0

    def serve(connection, _number):
        nonlocal count
        file = connection.makefile("rb")
        while head := b"".join(itertools.takewhile(bytes.strip,
                                                   iter(file.readline, b""))):
            body = b""
            if b"chunked" in head:
                while size := int(file.readline(), 16):
                    body += file.read(size)
                    file.readline()
                file.readline()
            elif length := re.search(rb"Content-Length: (\d+)", head):
                body = file.read(int(length[1]))
            count += 1
            if spoil and count % spoil == 0:
                body = body[:-1] + b"!"
            connection.sendall(answer(body, b"chunked" in head))

    with Server(serve) as server:
        yield f"http://127.0.0.1:{server.port}/"


def test_bodies_that_come_back_are_compared_with_their_requests():
    with echoing() as url, tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(70_000))
        file.flush()
        for body in ("fixed", "", f"@{file.name}", '{"id": {seq}, "c": {conn}}',
                     "{letters:40000}"):
            for flags in (("-H", "X: {seq}"),
                          ("--chunked", "--requests-per-conn", "3:9")):
                result = judged("-c", "3", "-p", "4", "-n", "60", *flags, "-b",
                                body, "--expect", "echo", url)
                equal(result["requests"]["ok"], 60, f"ok of {body} {flags}")
        with tempfile.NamedTemporaryFile("w") as lines:
            lines.write("/none\nPOST /fixed x\n3 POST /made {seq}-\n")
            lines.flush()
            result = judged("-c", "3", "-p", "4", "-n", "400", "--mix",
                            lines.name, "--expect", "echo", url)
            equal(result["requests"]["ok"], 400, "ok of a mix")


def test_a_body_that_does_not_come_back_is_a_failure():
    for body in ("fixed", "{letters:9}", "{seq}."):
        with echoing(spoil=5) as url:
            result = judged("-c", "1", "-p", "3", "-n", "50", "--max-errors",
                            "10", "-b", body, "--expect", "echo", url)
        equal((result["requests"]["ok"], result["requests"]["failed"]),
              (40, 10), "ok and failed")
        equal(result["errors"][0]["code"], "ANSWER", "code")
        matches(result["errors"][0]["first"],
                r"byte \d+ of the body is wrong; it begins with '.*!'")


run(globals())
