"""weir-load with requests that differ: headers and bodies of a file's lines.

The server notes the heads and bodies of what arrives.
"""

import contextlib
import os
import tempfile

from harness import WEIR_LOAD, equal, load, load_json, one_line, run
from servers import Server
import schema

OK, USAGE = 0, 2


@contextlib.contextmanager
def files(**texts):
    """Files in a folder of their own, by their names; the folder is given."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", newline="",
                      encoding="utf-8") as file:
                file.write(text)
        yield folder


class Noting(Server):
    """Answers requests of HTTP with the status that their path ends with, and
    notes them: method, path, headers and body."""

    def __init__(self):
        super().__init__(self.talk)
        self.url = self.url.replace("tcp", "http")
        self.seen = []

    def talk(self, connection, _number):
        file = connection.makefile("rb")
        while line := file.readline():
            method, path, _ = line.decode().split()
            headers = {}
            while (field := file.readline()) not in (b"\r\n", b""):
                name, value = field.decode().rstrip("\r\n").split(": ", 1)
                equal(name.lower() in headers, False, f"{name} twice")
                headers[name.lower()] = value
            body = file.read(int(headers.get("content-length", 0))).decode()
            self.seen.append((method, path, headers, body))
            status = path[-3:] if path[-3:].isdigit() else "200"
            connection.sendall(f"HTTP/1.1 {status} Fine\r\n"
                               "Content-Length: 2\r\n\r\nok".encode())


def done(*args):
    outcome, result = load_json(*args)
    equal(outcome.status, OK, f"it said {outcome.err!r}; the exit code")
    schema.check(result)
    return result


# ---- headers and bodies of lines ----

def test_lines_below_a_request_are_its_headers_and_its_body():
    text = ("POST /a {\"n\": {seq}}\nContent-Type: application/json\n"
            "X-Number: {seq}\n\n/b\nuser-agent: mine\nAccept:\n")
    with Noting() as server, files(two=text) as folder:
        done("-c", "1", "-n", "4", "-H", "Accept: text/html", "-H",
             "User-Agent: all", "--urls", f"{folder}/two", server.url)
    first, second, third, _ = server.seen
    equal(first[:2] + first[3:], ("POST", "/a", '{"n": 0}'), "first")
    equal((first[2]["content-type"], first[2]["x-number"], first[2]["accept"],
           first[2]["user-agent"]),
          ("application/json", "0", "text/html", "all"), "headers")
    equal(second[:2] + second[3:], ("GET", "/b", ""), "second")
    equal(second[2].get("user-agent"), "mine", "instead of that of -H")
    equal("accept" in second[2], False, "left out")
    equal((third[2]["x-number"], third[3]), ("2", '{"n": 2}'), "filled anew")


def test_a_mix_has_headers_of_each_kind():
    text = "3 /a\nX: a\n1 POST /b text\nX: b\n"
    with Noting() as server, files(mix=text) as folder:
        result = done("-c", "2", "-n", "100", "-p", "4", "--mix",
                      f"{folder}/mix", server.url)
    equal({(path, headers["x"]) for _, path, headers, _ in server.seen},
          {("/a", "a"), ("/b", "b")}, "headers")
    equal(result["config"]["mix"], ["3 /a\nX: a", "1 POST /b text\nX: b"],
          "config")


def test_targets_of_vegeta_are_read_as_they_are():
    with Noting() as server, files(body="from a file") as folder:
        text = (f"GET {server.url}/a?b=1\nX-Account-ID: 8675309\n\n"
                f"DELETE {server.url}\nAuthorization: Token X\n\n# bodies\n"
                f"POST {server.url}/things\nA: b\n@{folder}/body\n")
        with open(f"{folder}/targets", "w", encoding="utf-8") as file:
            file.write(text)
        done("-c", "1", "-n", "3", "--urls", f"{folder}/targets", server.url)
    equal([(word, path, body) for word, path, _, body in server.seen],
          [("GET", "/a?b=1", ""), ("DELETE", "/", ""),
           ("POST", "/things", "from a file")], "requests")
    equal(server.seen[0][2]["x-account-id"], "8675309", "a header")
    equal(server.seen[1][2]["authorization"], "Token X", "a header")
    equal("x-account-id" in server.seen[2][2], False, "of another request")


def test_wrong_lines_below_a_request_are_told():
    for text, reason in (
            ("A: b\n/a\n", "line 1: 'A: b' is a header or a body: it stands"),
            ("/a\nContent-Length: 3\n", "line 1: the body decides about it"),
            ("/\n\n/a x\n@/dev/null\n", "line 3: @/dev/null: there is a body"),
            ("/a\n@/nowhere\n", "line 1: /nowhere: No such file"),
            ("/\n" + "A: b\n" * 65, "line 1: more than 64 headers")):
        for flag in ("--urls", "--mix"):
            with files(lines=text) as folder:
                outcome = load(flag, f"{folder}/lines", "http://127.0.0.1:9")
            equal(outcome.status, USAGE, "exit code")
            one_line(outcome.err, reason)


if __name__ == "__main__":
    run(globals())
