"""The examples with streams, used by other programs."""

import asyncio
import contextlib
import http.server
import os
import random
import select
import signal
import socket
import threading
import time

from harness import (WAIT_S, ExampleService, Program, command, equal, example,
                     fails, fill, matches, need, prints, read_line, run,
                     status_bytes)
from servers import (Refusing, Server, drain, echo, echoes_all, read_exactly,
                     serving)

SEED = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32))
print(f"# WEIR_TEST_SEED={SEED}")

SERVERS = ("chat_server", "kv_server", "tcp_echo_server_streams")


class Serving(ExampleService):
    def connect(self):
        return Lines(socket.create_connection(self.address))


class Lines:
    """A client that sends and reads lines."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def say(self, text):
        self.sock.sendall(text.encode() + b"\n")

    def line(self):
        """Returns the next line without its end; "" at the end of stream."""
        while b"\n" not in self.buffer:
            part = self.sock.recv(1 << 16)
            if not part:
                equal(self.buffer, b"", "a line without an end")
                return ""
            self.buffer += part
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def ask(self, text):
        self.say(text)
        return self.line()

    def hear(self, *lines):
        for line in lines:
            equal(self.line(), line, "a line")


# ---- echo ----

def test_the_echo_server_gives_back_every_byte():
    data = random.Random(SEED).randbytes(5_000_000)
    with Serving("tcp_echo_server_streams") as server:
        with socket.create_connection(server.address) as sock:
            echoes_all(sock, data)


def test_the_echo_server_answers_nc_after_its_half_close():
    need("nc")
    data = random.Random(SEED).randbytes(1_000_000)
    with Serving("tcp_echo_server_streams") as server:
        with Program("nc", "-N", "127.0.0.1", str(server.address[1]),
                     stdin=-1) as program:
            out, _ = program.process.communicate(data, timeout=2 * WAIT_S)
            equal(out == data, True, f"{len(out)} bytes are what was sent")


async def echo_with_asyncio(address, number):
    data = random.Random(SEED + number).randbytes(300_000)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(data)
    writer.write_eof()
    equal(await reader.read() == data, True, "the echo")
    writer.close()
    await writer.wait_closed()


def test_the_echo_server_serves_forty_clients_of_asyncio_at_once():
    async def all_of_them(address):
        await asyncio.gather(*(echo_with_asyncio(address, number)
                               for number in range(40)))

    with Serving("tcp_echo_server_streams") as server:
        asyncio.run(all_of_them(server.address))


def test_the_echo_client_shows_the_answer():
    with Server(echo) as server:
        outcome = command(example("tcp_echo_client_streams"), str(server.port))
    prints(outcome, "received: Hello World!\n")


def test_the_two_talk_to_each_other():
    with Serving("tcp_echo_server_streams") as server:
        outcome = command(example("tcp_echo_client_streams"),
                          str(server.address[1]))
    prints(outcome, "received: Hello World!\n")


def test_the_echo_client_says_why_it_cannot():
    with Refusing() as server:
        outcome = command(example("tcp_echo_client_streams"), str(server.port))
    fails(outcome, r"refused")


def test_the_echo_client_notices_an_early_end():
    def half(connection, _number):
        connection.sendall(read_exactly(connection, 12)[:5])

    with Server(half) as server:
        outcome = command(example("tcp_echo_client_streams"), str(server.port))
    fails(outcome, r"ended before")


def test_servers_say_why_they_cannot():
    for name in SERVERS:
        with Serving(name) as server:
            outcome = command(example(name), str(server.address[1]))
        fails(outcome, r"in use")


# ---- an open socket ----

def test_an_open_socket_is_registered():
    prints(command(example("register_socket_streams")), "received: abc\n")


# ---- HTTP ----

class Pages(http.server.BaseHTTPRequestHandler):
    """Answers HEAD, always in the same way."""

    def do_HEAD(self):  # pylint: disable=invalid-name
        self.send_response(200 if self.path == "/page" else 404)
        self.send_header("X-Weir", "flows")
        self.end_headers()

    def date_time_string(self, timestamp=None):
        return "Fri, 20 Nov 2026 10:00:00 GMT"

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@contextlib.contextmanager
def pages():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server, \
            serving(server):
        yield str(server.server_address[1])


def headers_of(handler):
    with Server(handler) as server:
        return command(example("http_headers"), "127.0.0.1", str(server.port),
                       "/page")


def test_headers_are_those_that_the_server_sends():
    with pages() as port:
        for path, status in (("/page", "200 OK"), ("/none", "404 Not Found")):
            outcome = command(example("http_headers"), "127.0.0.1", port, path)
            equal((outcome.status, outcome.err), (0, ""), "the outcome")
            matches(outcome.out, rf"\AHTTP/1.0 {status}\r\n")
            matches(outcome.out, r"^X-Weir: flows\r\n\Z")


def compare_with_curl(host):
    need("curl")
    with pages() as port:
        outcome = command(example("http_headers"), host, port, "/page")
        curl = command("curl", "-sI", "--http1.0", "--noproxy", "*",
                       f"http://127.0.0.1:{port}/page")
    equal(outcome.out + "\r\n", curl.out, "the headers")


def test_headers_are_those_that_curl_sees():
    compare_with_curl("127.0.0.1")


def test_headers_of_a_host_by_name():
    compare_with_curl("localhost")


def test_headers_need_a_host():
    fails(command(example("http_headers"), "127.1", "80", "/"),
          r"Not a host name")


def test_headers_that_are_cut_are_an_error():
    def cut(connection, _number):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nX-Weir: fl")

    outcome = headers_of(cut)
    equal(outcome.status, 1, "exit status")
    matches(outcome.err, r"ended before")


def test_a_header_without_end_is_an_error():
    def endless(connection, _number):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nX-Weir: " + b"x" * 10_000_000)

    outcome = headers_of(endless)
    equal((outcome.status, outcome.out), (1, "HTTP/1.0 200 OK\r\n"),
          "the outcome")
    matches(outcome.err, r"limit")


def test_a_server_that_says_nothing_is_left_after_ten_seconds():
    begin = time.monotonic()
    outcome = headers_of(drain)
    fails(outcome, r"timed out")
    assert time.monotonic() - begin > 9.9, "that was early"


# ---- the chat ----

def join_first(server, name):
    """Joins as a member that the server knows. No message reports the first member; of
    two members that join at the same time one is notified of the other."""
    first, second = server.connect(), server.connect()
    with second:
        first.say(name)
        second.say("second")
        if first.sock in select.select([first.sock, second.sock], [], [])[0]:
            first.hear("second has joined")
        else:
            second.hear(f"{name} has joined")
    first.hear("second has left")
    return first


def join(server, first, *names):
    """Joins members in the order of their names; each is notified of the later ones."""
    members = [join_first(server, first)]
    for name in names:
        member = server.connect()
        member.say(name)
        for other in members:
            other.hear(f"{name} has joined")
        members.append(member)
    return members


def test_members_hear_each_other_and_not_themselves():
    with Serving("chat_server") as server:
        ann, bob, cyd = join(server, "ann", "bob", "cyd")
        with cyd, bob, ann:
            ann.say("hello\r")
            bob.hear("ann: hello")
            cyd.hear("ann: hello")
            bob.say("hello ann")
            ann.hear("bob: hello ann")
            cyd.hear("bob: hello ann")
            bob.sock.close()
            ann.hear("bob has left")
            cyd.hear("bob has left")
            ann.say("")
            cyd.hear("ann: ")


def test_nc_is_a_member():
    need("nc")
    with Serving("chat_server") as server:
        (ann,) = join(server, "ann")
        with ann, Program("nc", "127.0.0.1", str(server.address[1]),
                          stdin=-1) as program:
            program.process.stdin.write(b"nc\nhello\n")
            program.process.stdin.flush()
            ann.hear("nc has joined", "nc: hello")
            ann.say("hello nc")
            equal(read_line(program.process.stdout), "ann: hello nc\n",
                  "what nc has heard")
            program.kill()
            ann.hear("nc has left")


def test_what_a_member_said_last_is_heard_though_it_has_no_end():
    with Serving("chat_server") as server:
        ann, bob = join(server, "ann", "bob")
        with ann, bob:
            ann.sock.sendall(b"one\ntwo\nthr")
            ann.sock.shutdown(socket.SHUT_WR)
            bob.hear("ann: one", "ann: two", "ann: thr", "ann has left")
            equal(ann.line(), "", "the end of stream")


def test_a_member_with_too_long_a_line_is_left():
    with Serving("chat_server") as server:
        ann, bob = join(server, "ann", "bob")
        with ann, bob:
            ann.say("x" * 990)
            bob.hear("ann: " + "x" * 990)
            ann.say("x" * 1000)
            bob.hear("ann has left")
            equal(ann.line(), "", "the end of stream")


def test_a_slow_member_is_dropped_and_the_others_go_on():
    with Serving("chat_server") as server:
        ann, bob, slow = join(server, "ann", "bob", "slow")
        with ann, bob, slow:
            text = "x" * 900
            gone = False
            rounds = 0
            while not gone:
                rounds += 1
                assert rounds < 1000, "the slow one stays"
                ann.sock.sendall((text + "\n").encode() * 100)
                ann.say(f"round {rounds}")
                # A member that reads fast enough gets every line, in order.
                heard = 0
                while (line := bob.line()) != f"ann: round {rounds}":
                    gone |= line == "slow has left"
                    heard += line == f"ann: {text}"
                equal(heard, 100, "lines that were heard")
            ann.hear("slow has left")
            ann.say("are you there?")
            bob.hear("ann: are you there?")
            bob.say("yes")
            ann.hear("bob: yes")
            with contextlib.suppress(ConnectionResetError):
                while slow.sock.recv(1 << 20):
                    pass


# ---- the key-value server ----

def test_keys_are_set_got_and_deleted():
    with Serving("kv_server") as server:
        with server.connect() as one, server.connect() as two:
            equal(one.ask("GET a"), "NONE", "an answer")
            equal(one.ask("SET a some words "), "OK", "an answer")
            equal(two.ask("GET a"), "VALUE some words ", "an answer")
            equal(two.ask("SET a 2"), "OK", "an answer")
            equal(one.ask("GET a\r"), "VALUE 2", "an answer")
            equal(one.ask("DEL a"), "OK", "an answer")
            equal(two.ask("DEL a"), "NONE", "an answer")
            equal(two.ask("QUIT"), "", "an answer")


def test_requests_that_come_together_are_answered_in_order():
    count = 5000
    asked = "".join(f"SET k{n % 10} {n}\nGET k{n % 10}\n"
                    for n in range(count)) + "QUIT\n"
    answer = "".join(f"OK\nVALUE {n}\n" for n in range(count))
    with Serving("kv_server") as server:
        with socket.create_connection(server.address) as sock:
            sender = threading.Thread(target=sock.sendall,
                                      args=(asked.encode(),))
            sender.start()
            received = b""
            while part := sock.recv(1 << 20):
                received += part
            sender.join()
            equal(received.decode() == answer, True, "the answers")


def test_nc_can_ask():
    need("nc")
    with Serving("kv_server") as server:
        with Program("nc", "-N", "127.0.0.1", str(server.address[1]),
                     stdin=-1) as program:
            out, _ = program.process.communicate(b"SET x y\nGET x\nDEL x\n",
                                                 timeout=2 * WAIT_S)
            equal(out, b"OK\nVALUE y\nOK\n", "the answers")


def test_garbage_is_refused_line_by_line():
    chance = random.Random(SEED)
    with Serving("kv_server") as server, server.connect() as client:
        for line in ("", " ", "SET", "SET a", "GET", "GET a b", "DEL a b",
                     "QUIT now", "get a", "GET\0a", "GET a\0", "\r", "\xff"):
            matches(client.ask(line), r"^ERROR not ", repr(line))
        for _ in range(200):
            line = bytes(chance.randrange(128, 256)
                         for _ in range(chance.randrange(250)))
            client.sock.sendall(line + b"\n")
            matches(client.line(), r"^ERROR not ", repr(line))
        equal(client.ask("GET a"), "NONE", "an answer")


def say_at_once(server, client, data):
    """The server finds all of it in the kernel; it would linger for a second, but need
    not wait for us."""
    server.pause()
    client.sock.sendall(data)
    server.signal(signal.SIGCONT)


def test_a_line_that_is_too_long_is_told_and_ends_it():
    with Serving("kv_server") as server:
        with server.connect() as client:
            equal(client.ask("SET a " + "x" * 248), "OK", "an answer")
            equal(client.ask("SET a " + "x" * 249), "ERROR line too long",
                  "an answer")
            equal(client.line(), "", "the end of stream")
        with server.connect() as client:
            # The end is reported even though the client has sent more, without a reset.
            say_at_once(server, client, b"x" * 300_000)
            client.hear("ERROR line too long", "")
        with server.connect() as client:
            equal(client.ask("GET a"), "VALUE " + "x" * 248, "an answer")


def test_a_request_without_its_end_is_none():
    with Serving("kv_server") as server:
        with server.connect() as client:
            client.sock.sendall(b"SET a 1234")
            client.sock.shutdown(socket.SHUT_WR)
            equal(client.line(), "", "the end of stream")
        with server.connect() as client:
            equal(client.ask("GET a"), "NONE", "an answer")


def test_keys_are_limited():
    with Serving("kv_server") as server, server.connect() as client:
        for number in range(1000):
            equal(client.ask(f"SET k{number} v"), "OK", "an answer")
        equal(client.ask("SET more v"), "ERROR no room", "an answer")
        equal(client.ask("SET k0 w"), "OK", "an answer")
        equal(client.ask("DEL k1"), "OK", "an answer")
        equal(client.ask("SET more v"), "OK", "an answer")
        equal(client.ask("GET k0"), "VALUE w", "an answer")


def test_a_client_that_says_nothing_for_five_seconds_is_left():
    with Serving("kv_server") as server:
        with server.connect() as quiet, server.connect() as other:
            begin = time.monotonic()
            equal(quiet.ask("GET a"), "NONE", "an answer")
            quiet.sock.sendall(b"GET")
            # The other client continues for longer than that.
            while not select.select([quiet.sock], [], [], 0.01)[0]:
                equal(other.ask("GET a"), "NONE", "an answer")
            passed = time.monotonic() - begin
            quiet.hear("ERROR too slow", "")
            equal(other.ask("GET a"), "NONE", "an answer")
            assert 4.9 < passed < WAIT_S, f"it took {passed} s"


def test_a_client_that_takes_no_answers_cannot_make_it_grow():
    with Serving("kv_server") as server:
        with server.connect() as other:
            equal(other.ask("SET a " + "x" * 240), "OK", "an answer")
        before = status_bytes(server.process.pid, "VmRSS")
        with socket.create_connection(server.address) as sock:
            fill(server, sock, lambda position, count: (
                b"GET a\n" * (count // 6 + 2))[position % 6:][:count])
            grown = status_bytes(server.process.pid, "VmRSS") - before
            assert grown < 16 << 20, f"{grown} bytes"
            with server.connect() as other:
                equal(other.ask("GET b"), "NONE", "an answer")


# ---- the end ----

def sees_the_end(client):
    while client.sock.recv(1 << 16):
        pass
    client.sock.close()


def test_sigint_and_sigterm_end_servers_and_their_clients_see_it():
    for name, signum in (("kv_server", signal.SIGINT),
                         ("kv_server", signal.SIGTERM),
                         ("tcp_echo_server_streams", signal.SIGTERM)):
        with Serving(name) as server:
            clients = [server.connect() for _ in range(5)]
            for client in clients:
                client.ask("GET a")
            server.signal(signum)
            for client in clients:
                sees_the_end(client)
            equal(server.finish(), (0, "", ""), f"the end of {name}")


def test_a_signal_ends_the_chat_which_says_goodbye_to_each_member():
    for signum in (signal.SIGINT, signal.SIGTERM):
        with Serving("chat_server") as server:
            members = join(server, "ann", "bob", "cyd", "dan", "eve")
            server.signal(signum)
            for member in members:
                member.hear("the chat ends")
                sees_the_end(member)
            equal(server.finish(), (0, "", ""), "the end")


def test_sigint_ends_a_client_that_waits():
    asked = threading.Event()

    def silent(connection, _number):
        connection.recv(4096)
        asked.set()
        equal(connection.recv(4096), b"", "the end of stream")

    with Server(silent) as server:
        with Program(example("http_headers"), "127.0.0.1", str(server.port),
                     "/") as program:
            equal(asked.wait(WAIT_S), True, "the request came")
            program.signal(signal.SIGINT)
            status, out, err = program.finish()
    equal((status, out), (1, ""), "the outcome")
    matches(err, r"canceled")


def test_a_second_sigint_ends_at_once():
    with Serving("tcp_echo_server_streams") as server:
        with socket.create_connection(server.address) as sock:
            fill(server, sock, lambda position, count: bytes(count))
            server.signal(signal.SIGINT)
            refused = False
            while not refused:
                try:
                    socket.create_connection(server.address).close()
                except ConnectionRefusedError:
                    refused = True
                except ConnectionResetError:
                    pass  # it was in the backlog when that was closed
            equal(server.process.poll(), None, "it waits for the client")
            server.signal(signal.SIGINT)
            status, out, err = server.finish()
            equal((status, out), (1, ""), "the end")
            matches(err, r"Interrupted")
            equal(err.count("\n"), 1, f"lines in {err!r}")


def test_the_outputs_of_two_commands_are_collected():
    outcome = command(example("subprocess_output_streams"))
    equal((outcome.status, outcome.err), (0, ""), "the outcome")
    # Either may end first.
    echo_says = r"\[echo hello\] exit 0\nhello\n"
    ls_says = r"\[sleep 0\.2; ls /zzz\] exit 2\nls: .*/zzz.*\n"
    matches(outcome.out,
            rf"\A({echo_says}{ls_says}|{ls_says}{echo_says})\Z")


run(globals(), short="the_echo_server_gives_back_every_byte")
