"""The example that sends files, used by other programs."""

import contextlib
import os
import random
import socket
import tempfile
import threading

from harness import ExampleService, command, equal, matches, need, run

SEED = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32))
print(f"# WEIR_TEST_SEED={SEED}")


class Serving(ExampleService):
    """The server, in its own folder."""

    def __init__(self, folder):
        super().__init__("file_server_streams", cwd=folder)

    def ask(self, request):
        """Returns the server's whole answer."""
        with socket.create_connection(self.address) as sock:
            sock.sendall(request.encode())
            with sock.makefile("rb") as answer:
                return answer.read()

    def get(self, path):
        head, body = self.ask(f"GET {path} HTTP/1.0\r\n\r\n").split(
            b"\r\n\r\n", 1)
        return head.decode().split("\r\n"), body


@contextlib.contextmanager
def serving():
    """Yields a server, and a folder with a large, a small and an empty file."""
    data = random.Random(SEED).randbytes(20_000_001)
    with tempfile.TemporaryDirectory() as folder:
        for name, size in (("large", len(data)), ("small", 10), ("empty", 0)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data[:size])
        os.mkdir(os.path.join(folder, "folder"))
        os.mkfifo(os.path.join(folder, "fifo"))
        os.symlink("/etc/passwd", os.path.join(folder, "leaves"))
        os.symlink("folder/../small", os.path.join(folder, "stays"))
        with Serving(folder) as server:
            yield server, data


def test_files_arrive_whole_and_with_their_length():
    with serving() as (server, data):
        for name, size in (("large", len(data)), ("small", 10), ("empty", 0)):
            head, body = server.get("/" + name)
            equal(head, ["HTTP/1.0 200 OK", f"Content-Length: {size}"], name)
            equal(body == data[:size], True, f"the bytes of {name}")


def test_many_clients_at_once_get_the_same_bytes():
    wrong = []
    with serving() as (server, data):
        def get():
            if server.get("/large")[1] != data:
                wrong.append("bytes")
        threads = [threading.Thread(target=get) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    equal(wrong, [], "what differs")


def test_what_is_no_file_is_refused():
    with serving() as (server, _):
        for path, status in (("/none", 404), ("/folder", 404), ("/fifo", 404),
                             ("/", 404), ("//etc/passwd", 403),
                             ("/../passwd", 403), ("/small/..", 404),
                             ("/folder/../../passwd", 403),
                             ("/folder/../small", 200), ("/leaves", 403),
                             ("/stays", 200)):
            equal(int(server.get(path)[0][0].split()[1]), status, path)
        for request in ("PUT /small HTTP/1.0\r\n\r\n", "\r\n\r\n",
                        "GET /" + 5000 * "x" + " HTTP/1.0\r\n\r\n"):
            matches(server.ask(request).decode(), r"^HTTP/1.0 400 ")


def test_curl_gets_what_was_stored():
    need("curl")
    with serving() as (server, _):
        host, port = server.address
        outcome = command("curl", "-sS", "--http1.0", "--noproxy", "*", "-w",
                          "%{http_code} %{size_download}", "-o", "/dev/null",
                          f"http://{host}:{port}/large")
        equal((outcome.out, outcome.err), ("200 20000001", ""), "curl")


def test_clients_that_go_in_the_middle_harm_nobody():
    with serving() as (server, data):
        for size in (1, 100_000, 3_000_000):
            with socket.create_connection(server.address) as sock:
                sock.sendall(b"GET /large HTTP/1.0\r\n\r\n")
                equal(len(sock.recv(size)) > 0, True, "some bytes")
        equal(server.get("/large")[1] == data, True, "the bytes of another")


run(globals())
