"""weir-load serve over HTTP/2: clients that others have written, and clients of
no good will, whose frames are made by hand.
"""

import contextlib
import hashlib
import shutil
import socket

from dns import find
from h2_peer import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY,
                     HEADERS, PING, PREFACE, REFUSED, RST_STREAM,
                     WINDOW_UPDATE, Peer, literal)
from harness import (WAIT_S, WEIR_LOAD, Serve, Service, Skip, command, equal,
                     is_sanitized, load_json, matches, read_line, run)
from http_client import FOLDER


def serving(*flags):
    return Serve("--mode", "http", *flags, may_complain=True)


def need(program):
    path = find(program) or shutil.which(program)
    if not path:
        raise Skip(f"{program} is not installed")
    return path


def request(path="/", method="GET"):
    return (literal(":method", method) + literal(":scheme", "http")
            + literal(":authority", "x") + literal(":path", path))


@contextlib.contextmanager
def client(server):
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        peer = Peer(sock, 0)
        sock.sendall(PREFACE)
        peer.settings()
        yield peer


def ends(peer):
    """All that comes until the server ends the connection."""
    frames = []
    with contextlib.suppress(OSError):
        while True:
            frames.append(peer.read())
    return frames


def goes_on(server):
    """It answers others, whatever one has done to it."""
    _, result = load_json("--http2", "-c", "1", "-n", "3",
                          f"http://127.0.0.1:{server.port}/")
    equal(result["requests"]["ok"], 3, "answers to others")


# ---- clients of others ----

def test_curl_gets_the_same_bytes_by_both_versions():
    path = need("curl")
    with serving() as server:
        bodies = set()
        for flag in ("--http2-prior-knowledge", "--http1.1"):
            got = command(path, "-sS", "--noproxy", "*", flag,
                          f"http://127.0.0.1:{server.port}/?s=300000")
            equal(len(got.out), 300_000, "bytes")
            bodies.add(hashlib.sha256(got.out.encode()).hexdigest())
        equal(len(bodies), 1, "bodies")


def test_alpn_chooses_http_2_and_1_1():
    path = need("curl")
    if not FOLDER:
        raise Skip("there are no certificates")
    with Service(WEIR_LOAD, "serve", "--cert", f"{FOLDER}/ecdsa.pem", "--key",
                 f"{FOLDER}/ecdsa.key", "https://127.0.0.1:0") as server:
        url = read_line(server.process.stdout).split()[-1]
        for flag, version in (("--http2", "2"), ("--http1.1", "1.1")):
            got = command(path, "-sS", "-k", "--noproxy", "*", flag, "-o",
                          "/dev/null", "-w", "%{http_version} %{http_code}",
                          f"{url}/?r=404")
            equal(got.out, f"{version} 404", "version and status")


def test_h2load_gets_all_its_answers():
    path = need("h2load")
    with serving() as server:
        for shape in (("-c1", "-m1"), ("-c4", "-m10"), ("-c1", "-m100")):
            got = command(path, *shape, "-n600",
                          f"http://127.0.0.1:{server.port}/?s=20k")
            matches(got.out, r"600 succeeded, 0 failed, 0 errored")


def test_weir_load_reads_what_its_server_says():
    with serving() as server:
        url = f"http://127.0.0.1:{server.port}"
        for flags, path in ((("-p", "50"), "/?s=100k"),
                            (("-p", "9", "-b", "{letters:60000}"), "/?s=1"),
                            (("-p", "9", "-X", "HEAD"), "/?s=100k"),
                            (("-p", "9"), "/?r=204"),
                            (("-p", "9"), "/?close=1")):
            outcome, result = load_json("--http2", "-c", "2", "-n", "300",
                                        *flags, url + path)
            equal(outcome.status, 0, f"exit status; it said {outcome.err!r}")
            equal(result["requests"]["ok"], 300, f"ok of {path}")


# ---- what is due earlier leaves earlier ----

def test_an_answer_does_not_wait_for_that_of_another_stream():
    with serving() as server, client(server) as peer:
        peer.send(HEADERS, END_HEADERS | END_STREAM, 1, request("/?t=700ms"))
        peer.send(HEADERS, END_HEADERS | END_STREAM, 3, request("/"))
        order = [peer.wait(DATA, END_STREAM)[-1][2] for _ in range(2)]
        equal(order, [3, 1], "streams by their ends")


# ---- limits ----

def test_streams_beyond_the_limit_are_refused():
    with serving() as server, client(server) as peer:
        for number in range(300):
            peer.send(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1,
                      request("/?t=60s"))
        refused = {peer.wait(RST_STREAM)[-1][2:] for _ in range(300 - 256)}
        equal({frame[1] for frame in refused}, {REFUSED.to_bytes(4, "big")},
              "codes")
        equal(len(refused), 300 - 256, "refused")


def test_a_header_that_is_too_long_is_refused():
    with serving() as server, client(server) as peer:
        many = b"".join(literal(f"x{number}", "y" * 100)
                        for number in range(170))
        block = request() + many
        peer.send(HEADERS, END_STREAM, 1, block[:9000])
        peer.send(CONTINUATION, END_HEADERS, 1, block[9000:])
        answer = peer.wait(HEADERS)[-1][3]
        equal(b"431" in answer or answer[:1] == b"H", True, f"{answer!r}")
        goes_on(server)


def test_floods_end_the_connection_and_nothing_else():
    floods = {
        "CONTINUATION": lambda peer, number: peer.send(
            CONTINUATION if number else HEADERS, 0, 1,
            literal("x", "y" * 50)),
        "PING": lambda peer, number: peer.send(
            PING, payload=number.to_bytes(8, "big")),
        "SETTINGS": lambda peer, _: peer.settings(window=1000),
    }
    for name, flood in floods.items():
        with serving() as server:
            with client(server) as peer, contextlib.suppress(OSError):
                peer.socket.settimeout(WAIT_S)
                for number in range(300_000 if name != "SETTINGS" else 50_000):
                    flood(peer, number)
            goes_on(server)


def test_windows_of_one_byte_take_no_memory_and_no_turn_of_others():
    with serving() as server:
        before = server.rss_bytes()
        with client(server) as peer:
            peer.settings(window=1)
            for number in range(200):
                peer.send(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1,
                          request("/?s=60M"))
            for turn in range(20):
                for number in range(200):
                    peer.send(WINDOW_UPDATE, 0, 2 * number + 1, b"\0\0\0\1")
                goes_on(server)
                peer.send(PING, payload=turn.to_bytes(8, "big"))
                sizes = [len(frame[3]) for frame in peer.wait(PING, ACK)
                         if frame[0] == DATA]
                equal(max(sizes) <= 2, True, f"bytes of frames: {sizes}")
            grown = server.rss_bytes() - before
            equal(grown < (16 << 20) or is_sanitized(WEIR_LOAD), True,
                  f"{grown} bytes more")
        goes_on(server)


def test_frames_that_bring_nothing_are_not_kept():
    floods = {
        "empty DATA": lambda peer: peer.send(DATA, 0, 1),
        "DATA of a byte": lambda peer: peer.send(DATA, 0, 1, b"x"),
        "DATA of padding": lambda peer: peer.send(DATA, 8, 1, b"\0"),
        "PRIORITY": lambda peer: peer.send(2, 0, 3, b"\0\0\0\1\0"),
        "an unknown frame": lambda peer: peer.send(99, 0, 0, b"x"),
    }
    with serving() as server:
        before = server.rss_bytes()
        for name, flood in floods.items():
            with client(server) as peer, contextlib.suppress(OSError):
                peer.socket.settimeout(WAIT_S)
                peer.send(HEADERS, END_HEADERS, 1, request())
                for _ in range(30_000):
                    flood(peer)
            goes_on(server)
            grown = server.rss_bytes() - before
            equal(grown < (16 << 20) or is_sanitized(WEIR_LOAD), True,
                  f"{grown} bytes more after {name}")


def test_a_conversation_byte_by_byte_is_understood():
    with serving() as server, client(server) as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = request()
        whole = (len(head).to_bytes(3, "big")
                 + bytes([HEADERS, END_HEADERS | END_STREAM, 0, 0, 0, 1])
                 + head)
        for byte in whole:
            peer.socket.sendall(bytes([byte]))
        peer.wait(DATA, END_STREAM)


def test_streams_that_are_reset_at_once_are_not_kept():
    with serving() as server:
        with client(server) as peer, contextlib.suppress(OSError):
            peer.socket.settimeout(WAIT_S)
            for number in range(20_000):
                peer.send(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1,
                          request("/?t=60s"))
                peer.reset(2 * number + 1, 8)
        goes_on(server)


def test_garbage_ends_the_connection():
    for rubbish in (b"\xff" * 100, bytes(100), b"\0\0\5\1\5\0\0\0\2hello"):
        with serving() as server:
            with client(server) as peer:
                peer.socket.sendall(rubbish)
                kinds = [frame[0] for frame in ends(peer)]
                equal(GOAWAY in kinds, True, f"{kinds}")
            goes_on(server)


def test_a_client_without_a_window_gets_no_more_than_it_allows():
    with serving() as server:
        before = server.rss_bytes()
        with client(server) as peer:
            for number in range(200):
                peer.send(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1,
                          request("/?s=60M"))
            total = 0
            while total < 65535:
                total += len(peer.wait(DATA)[-1][3])
            equal(total, 65535, "bytes of the first window")
            peer.send(PING, payload=b"whatever")
            frames = peer.wait(PING, ACK)
            equal(DATA in [frame[0] for frame in frames], False, "more bytes")
            grown = server.rss_bytes() - before
            equal(grown < (64 << 20) or is_sanitized(WEIR_LOAD), True,
                  f"{grown} bytes more")
        goes_on(server)


def test_a_client_that_has_ended_its_side_gets_all_of_its_bodies():
    size = 20 << 20
    with serving() as server, client(server) as peer:
        peer.settings(window=2**31 - 1)
        peer.send(WINDOW_UPDATE, 0, 0, (2**30).to_bytes(4, "big"))
        peer.send(HEADERS, END_HEADERS | END_STREAM, 1, request(f"/?s={size}"))
        peer.socket.shutdown(socket.SHUT_WR)
        got = sum(len(frame[3]) for frame in ends(peer) if frame[0] == DATA)
        equal(got, size, "bytes")


def test_an_http_1_client_is_served_beside():
    with serving() as server, client(server) as peer:
        peer.send(HEADERS, END_HEADERS | END_STREAM, 1, request())
        peer.wait(DATA, END_STREAM)
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            equal(sock.recv(15), b"HTTP/1.1 200 OK", "the other version")
        peer.send(HEADERS, END_HEADERS | END_STREAM, 3, request())
        peer.wait(DATA, END_STREAM)


run(globals())
