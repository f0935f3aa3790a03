"""weir-load run in its other modes: rr, stream, connect and idle.

Each with a server that the mode is made for, and with one that does something else.
"""

import json
import signal
import socket
import struct
import threading

from harness import (WAIT_S, WEIR_LOAD, Program, Serve, equal, judged, load,
                     matches, read_line, run)
from servers import Server, answering, drain, echo, read_exactly

NOTHING, ERRORS, INTERRUPTED = 3, 4, 130


def kinds(result):
    return [(error["phase"], error["code"]) for error in result["errors"]]


# ---- rr ----

def test_answers_of_another_size_than_the_requests():
    halves = threading.Event()

    def serve(connection, _number):
        while read_exactly(connection, 10):
            connection.sendall(b"x" * 30)
            halves.wait(0.005)  # so that most answers arrive in two pieces
            connection.sendall(b"y" * 70)

    with Server(serve) as server:
        result = judged("-c", "2", "-n", "50", "--mode", "rr", "--send",
                        "10", "--recv", "100", server.url)
    equal(result["bytes"], {"in": 50 * 100, "out": 50 * 10}, "bytes")
    equal(result["requests"]["ok"], 50, "ok")


def test_datagrams_of_another_size_than_the_requests():
    sizes = set()

    def answer(_number, data):
        sizes.add(len(data))
        return [b"x" * 7]

    with answering(answer) as url:
        result = judged("-c", "2", "-n", "50", "--mode", "rr", "--send", "3",
                        "--recv", "7", url)
        wrong = judged("-c", "1", "-n", "5", "--mode", "rr", "--send", "3",
                       "--recv", "8", url, status=NOTHING)
    equal(sizes, {3}, "sizes of requests")
    equal(result["requests"]["ok"], 50, "ok")
    equal(result["bytes"], {"in": 50 * 7, "out": 50 * 3}, "bytes")
    equal(wrong["requests"]["failed"], 5, "failed")
    equal(kinds(wrong), [("validate", "WRONG_SIZE")], "errors")


def test_a_datagram_without_an_answer_is_lost_and_the_next_one_sent():
    """On a busy machine others may be late, too."""
    count = 0

    def answer(number, data):
        nonlocal count
        count = number
        return [] if number == 3 else [data]

    with answering(answer) as url:
        result = judged("-c", "1", "-n", "9", "--mode", "rr", "--timeout",
                        "1s", url, status=ERRORS)
    requests = result["requests"]
    equal((requests["timeout"] > 0, requests["ok"] + requests["timeout"], count),
          (True, 9, 9), "lost, all, and seen by the server")


# ---- sizes that are drawn ----

def test_echoes_of_drawn_sizes_come_back_whole():
    with Server(echo) as server:
        for sizes, least, most in (("uniform:64:1k", 64, 1024),
                                   ("exp:1k", 1, 16 << 10),
                                   ("mix:100:90,300K:10", 100, 300 << 10)):
            result = judged("-c", "3", "-p", "4", "-n", "300", "--send", sizes,
                            "--seed", "7", server.url)
            equal(result["requests"]["ok"], 300, "ok")
            equal(result["bytes"]["in"], result["bytes"]["out"], "bytes")
            equal(300 * least < result["bytes"]["in"] < 300 * most, True,
                  f"{result['bytes']} of {sizes}")
            equal((result["config"]["send_sizes"],
                   result["config"]["send_bytes"]), (sizes, most), "config")


def test_a_wrong_byte_in_an_echo_of_a_drawn_size_is_seen():
    def spoil(connection, _number):
        while data := connection.recv(65536):
            connection.sendall(data[:-1] + bytes([data[-1] ^ 1]))

    with Server(spoil) as server:
        result = judged("-c", "1", "-n", "3", "--send", "exp:1k", server.url,
                        status=NOTHING)
    equal(kinds(result), [("validate", "WRONG_ECHO")], "errors")


def test_the_seed_decides_the_sizes():
    def bytes_of(seed):
        with Server(echo) as server:
            return judged("-c", "1", "-n", "100", "--send", "exp:1k", "--seed",
                          seed, server.url)["bytes"]["out"]

    equal(bytes_of("7"), bytes_of("7"), "bytes of one seed")
    equal(bytes_of("7") != bytes_of("8"), True, "bytes of another seed differ")


def test_requests_of_mode_rr_say_the_sizes_that_are_drawn():
    asked = []

    def serve(connection, _number):
        while head := read_exactly(connection, 8):
            size, answer = struct.unpack(">II", head)
            if size > 8 and not read_exactly(connection, size - 8):
                return
            asked.append((size, answer))
            connection.sendall(b"x" * answer)

    with Server(serve) as server:
        result = judged("-c", "1", "-p", "3", "-n", "200", "--mode", "rr",
                        "--send", "uniform:8:20", "--recv", "mix:5:1,50:1",
                        server.url)
    equal(result["bytes"], {"in": sum(answer for _, answer in asked),
                            "out": sum(size for size, _ in asked)}, "bytes")
    equal({size for size, _ in asked} <= set(range(8, 21)), True, "requests")
    equal({answer for _, answer in asked}, {5, 50}, "answers")


def test_mode_sized_answers_as_requests_say():
    with Serve("--mode", "sized") as server:
        result = judged("-c", "4", "-p", "8", "-n", "2000", "--mode", "rr",
                        "--send", "exp:100", "--recv", "pareto:64:1.2:100K",
                        server.url)
        equal(result["requests"]["ok"], 2000, "ok")
        with socket.create_connection(("127.0.0.1", server.port),
                                      timeout=WAIT_S) as peer:
            for part in (b"\0\0", b"\0\x0a\0\0\0\2zz\0\0\0\x08\0\0\0\3"):
                peer.sendall(part)
            equal(len(read_exactly(peer, 5)), 5, "two answers")
            peer.sendall(struct.pack(">II", 7, 1))
            try:
                equal(peer.recv(1), b"", "after a size that cannot be")
            except ConnectionResetError:
                pass


def test_datagrams_of_drawn_sizes():
    sizes = set()

    def answer(_number, data):
        sizes.add(len(data))
        return [data]

    with answering(answer) as url:
        result = judged("-c", "2", "-n", "200", "--send", "exp:100", url)
    equal(result["requests"]["ok"], 200, "ok")
    equal(min(sizes) >= 16 and len(sizes) > 20, True, f"sizes {sizes}")


# ---- stream ----

def test_blocks_go_up():
    seen = []

    def count(connection, _number):
        while data := connection.recv(65536):
            seen.append(len(data))

    with Server(count) as server:
        result = judged("-c", "2", "-n", "40", "--mode", "stream", "--send",
                        "10000", "-p", "3", server.url)
    equal(result["requests"]["ok"], 40, "blocks")
    equal(result["bytes"], {"in": 0, "out": 400000}, "bytes")
    equal(0 < sum(seen) <= 400000, True, "bytes that the server has seen")
    equal(result["config"]["direction"], "up", "direction")


def test_blocks_come_down():
    def give(connection, _number):
        for _ in range(10):
            connection.sendall(b"x" * 3000)
        drain(connection, 0)

    with Server(give) as server:
        result = judged("-c", "1", "-n", "30", "--mode", "stream",
                        "--direction", "down", "--send", "1000", server.url)
    equal(result["requests"]["ok"], 30, "blocks")
    equal(result["bytes"], {"in": 30000, "out": 0}, "bytes")


def test_a_stream_that_ends_in_a_block_is_an_error():
    def give(connection, _number):
        connection.sendall(b"x" * 2500)

    with Server(give) as server:
        result = judged("-c", "1", "-n", "3", "--mode", "stream",
                        "--direction", "down", "--send", "1000", server.url,
                        status=ERRORS)
    equal(("eof", "EOF") in kinds(result), True, f"errors {kinds(result)}")


def test_blocks_go_both_ways():
    with Server(echo) as server:
        result = judged("-c", "2", "-n", "50", "--mode", "stream",
                        "--direction", "both", server.url)
    equal(result["requests"]["ok"], 50, "blocks")
    equal(result["bytes"]["in"] >= 50 * 65536, True, "bytes down")
    equal(result["bytes"]["out"] >= 50 * 65536, True, "bytes up")


def test_a_server_that_takes_no_bytes_is_noticed():
    leave = threading.Event()
    with Server(lambda *_: leave.wait()) as server:
        result = judged("-c", "1", "-n", "1000", "--mode", "stream",
                        "--timeout", "1s", "--max-errors", "0", server.url,
                        status=ERRORS)
        leave.set()
    equal(("timeout", "NO_ANSWER") in kinds(result), True,
          f"errors {kinds(result)}")


# ---- connect ----

def test_connections_are_made_and_closed():
    def greet(connection, _number):
        connection.sendall(b"220 hello\r\n")
        drain(connection, 0)

    with Server(greet) as server:
        result = judged("-c", "3", "-n", "60", "--mode", "connect", server.url)
    equal(result["requests"]["ok"], 60, "ok")
    equal(result["connections"]["opened"] >= 60, True, "opened")
    equal(result["bytes"]["out"], 0, "bytes out")


def test_the_time_of_a_connection_is_from_its_begin():
    with Serve() as server:
        result = judged("-c", "4", "-n", "200", "--mode", "connect",
                        server.url)
    service, connect = (result["latency"][name]
                        for name in ("service", "connect"))
    equal(service["count"], 200, "connections")
    equal(connect["count"] >= service["count"], True, "each is counted")
    equal(service["max"] <= connect["max"], True, "no longer than connecting")
    equal(service["min"] > 0, True, "no time at all")


# ---- idle ----

def test_idle_connections_stand_until_the_end():
    with Serve("--stats", may_complain=True) as server:
        result = judged("-c", "20", "-d", "300ms", "--mode", "idle", server.url)
        matches(server.stop(), r"^served_connections 20$")
    equal(result["requests"]["ok"], 20, "ok")
    equal(result["bytes"], {"in": 0, "out": 0}, "bytes")
    equal(result["latency"]["service"]["count"], 20, "times")
    equal(result["connections"]["lost"], 0, "lost")


def test_an_idle_connection_that_is_lost_is_an_error():
    begun = threading.Event()

    def leave(connection, number):
        if number == 1:
            begun.wait()
        else:
            drain(connection, number)

    with Server(leave) as server, Program(
            WEIR_LOAD, "-c", "4", "-d", "100s", "--mode", "idle", "-i", "100ms",
            "--json-stream", server.url) as program:
        matches(read_line(program.process.stdout), r'"event":"start"')
        begun.set()
        while '"errors":{}' in read_line(program.process.stdout):
            pass
        program.signal(signal.SIGINT)
        status, out, _ = program.finish()
    equal(status, INTERRUPTED, "exit status")
    result = json.loads(out.splitlines()[-1])["data"]
    equal(result["requests"]["failed"], 1, "failed")
    equal(result["connections"]["lost"], 1, "lost")


def test_the_report_names_the_mode():
    with Serve() as server:
        outcome = load("-c", "1", "-d", "100ms", "--mode", "idle", server.url)
        matches(outcome.out, r"1 connection, depth 1, idle, measured")
        outcome = load("-c", "1", "-n", "3", "--mode", "stream",
                       "--direction", "both", server.url)
        matches(outcome.out, r"blocks of 64 KiB, both, measured")


run(globals(), short="answers_of_another_size_than_the_requests")
