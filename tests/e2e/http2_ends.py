"""weir-load over HTTP/2 with servers that refuse, stall, end in the middle and break
the rules: which requests are sent again, and which errors are reported."""

import csv
import tempfile
import threading
import time

from h2_peer import (ACK, CALM, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY,
                     HEADERS, INTERNAL_ERROR, NO_ERROR, PADDED, PING,
                     PROTOCOL_ERROR, PUSH_PROMISE, REFUSED, RST_STREAM, SETTINGS,
                     WINDOW_UPDATE, literal, peer, status)
from harness import WAIT_S, equal, load, load_json, matches, run

OK, NOTHING, ERRORS, INVALID = 0, 3, 4, 5


def loaded(url, *flags, ends=OK, may_be_late=False):
    """Returns the result of a run. On a busy machine the last answers of a schedule, or
    all, may be late, and the run may end with that."""
    outcome, result = load_json("--http2", *flags, url + "/x")
    if not (may_be_late and outcome.status in (INVALID, NOTHING)):
        equal(outcome.status, ends, f"exit status; it said {outcome.err!r}")
    requests = result["requests"]
    equal(requests["sent"], requests["ok"] + requests["failed"]
          + requests["timeout"] + requests["in_flight"], "the ledger")
    return result


def ran(serve, *flags, **options):
    """Returns the result of a run against a server that calls serve(peer)."""
    with peer(serve) as server:
        return loaded(server.http, *flags, **options)


def codes(result):
    return {error["code"]: error["count"] for error in result["errors"]}


# ---- what a server allows ----

def test_the_first_request_waits_for_the_settings():
    def serve(end):
        end.read_preface()
        end.settings()
        kinds = [frame[0] for frame in end.wait(SETTINGS, ACK)]
        equal(HEADERS in kinds, False, "a request before the SETTINGS came")
        end.answer_all()

    result = ran(serve, "-c", "2", "-p", "3", "-n", "30")
    equal(result["requests"]["ok"], 30, "ok")
    equal(result["http2"]["reached"], 3, "reached")


def test_no_more_streams_are_open_than_the_server_allows():
    def serve(end):
        end.begin(streams=3)
        for _ in range(4):
            streams = end.requests(3)
            equal(end.count_round(), 0, "requests beyond the limit")
            for stream in reversed(streams):
                end.answer(stream)
        end.answer_all()

    result = ran(serve, "-c", "1", "-p", "10", "-n", "40")
    http2 = result["http2"]
    equal((http2["reached"], http2["allowed"], http2["limited"]),
          (3, 3, 1), "reached, allowed, limited")
    matches(" ".join(result["warnings"]), r"allows 3 streams .* not the 10")


def test_a_limit_may_fall_to_none_and_rise_again():
    def serve(end):
        end.begin(streams=1)
        for limit in (0, 100):
            [stream] = end.requests(1)
            end.settings(streams=limit)
            end.answer(stream)
            if limit == 0:
                equal(end.count_round(), 0, "requests with a limit of 0")
                end.settings(streams=2)
        end.answer_all()

    result = ran(serve, "-c", "1", "-p", "8", "-n", "50")
    equal(result["requests"]["ok"], 50, "ok")


def test_a_limit_that_comes_later_is_told_once():
    def serve(end):
        end.begin(streams=100)
        frames = []
        for limit in (2, 1):
            end.settings(streams=limit)
            frames += end.wait(SETTINGS, ACK)
        for kind, _, stream, _ in frames:
            if kind == HEADERS:
                end.answer(stream)
        end.answer_all()

    result = ran(serve, "-c", "1", "-p", "5", "-n", "30")
    http2 = result["http2"]
    equal((http2["allowed"], http2["limited"]), (1, 1), "allowed, limited")


def test_a_server_that_allows_no_stream_is_an_error():
    def serve(end):
        end.begin(streams=0)
        end.answer_all()

    result = ran(serve, "-c", "1", "-d", "30s", "-w", "0", "--timeout", "10s",
                 ends=NOTHING)
    equal(set(codes(result)), {"NO_STREAM"}, "errors")
    equal(result["requests"]["sent"], 0, "requests")


def test_a_server_without_settings_is_an_error():
    def serve(end):
        end.read_preface()
        end.answer_all()

    result = ran(serve, "-c", "1", "-d", "30s", "-w", "0", "--timeout", "300ms",
                 ends=NOTHING)
    equal(set(codes(result)), {"NO_SETTINGS"}, "errors")


def test_a_body_waits_for_the_window_until_its_time_is_over():
    def serve(end):
        end.begin(window=1000)
        sent = 0
        while sent < 1000:
            frame = end.wait(DATA)[-1]
            sent += len(frame[3])
        equal(end.count_round(), 0, "a window that nobody opened")
        end.read()

    result = ran(serve, "-c", "1", "-n", "1", "-b", "{letters:5000}", "--timeout", "10s",
                 ends=NOTHING)
    equal(result["requests"]["timeout"], 1, "time-outs")
    equal(codes(result), {"NO_ANSWER": 1}, "errors")


# ---- what is sent again ----

def test_requests_above_the_last_stream_of_a_goaway_are_sent_again():
    def serve(end):
        end.begin()
        if end.number > 0:
            end.answer_all()
        streams = end.requests(10)
        end.answer(streams[0])
        end.goaway(streams[2])
        equal(end.count_round(), 0, "requests after a GOAWAY")
        end.answer(streams[2])
        end.answer(streams[1])
        end.read()

    result = ran(serve, "-c", "1", "-p", "10", "-n", "10", "-X", "POST")
    equal(result["requests"]["ok"], 10, "ok")
    equal(result["requests"]["sent"], 10, "each is counted once")
    http2 = result["http2"]
    equal((http2["goaways"], http2["refused"]), (1, 7), "GOAWAY, refused")
    equal(result["connections"]["requests_repeated"], 7, "sent again")
    equal(result["connections"]["opened"], 2, "connections")


def test_those_above_are_sent_again_although_the_others_are_lost():
    def serve(end):
        end.begin()
        if end.number > 0:
            end.answer_all()
        streams = end.requests(4)
        end.goaway(streams[0])

    result = ran(serve, "-c", "1", "-p", "4", "-n", "4", "-X", "POST", "--max-errors",
                 "1")
    equal((result["requests"]["ok"], result["requests"]["failed"]), (3, 1), "ok and failed")
    equal(codes(result), {"EOF": 1}, "errors")


def test_connections_are_made_again_after_each_goaway():
    def serve(end):
        end.begin()
        for _ in range(5):
            [stream] = end.requests(1)
            end.answer(stream)
        end.goaway(stream)
        end.read()

    result = ran(serve, "-c", "3", "-p", "4", "-n", "100")
    equal(result["requests"]["ok"], 100, "ok")
    equal(result["http2"]["goaways"] >= 17, True, "GOAWAYs")


def test_a_goaway_with_an_error_is_told_by_its_name():
    def serve(end):
        end.begin()
        [stream] = end.requests(1)
        end.goaway(stream, CALM, b"too many")
        end.answer(stream)
        end.read()

    result = ran(serve, "-c", "1", "-n", "3", "--max-errors", "9")
    equal(set(codes(result)), {"GOAWAY_ENHANCE_YOUR_CALM"}, "errors")
    matches(result["errors"][0]["first"], r"last stream 1: 'too many'")


def test_a_refused_stream_is_sent_again_on_its_connection():
    def serve(end):
        end.begin()
        streams = end.requests(5)
        end.reset(streams[1], REFUSED)
        for stream in streams[2:] + streams[:1]:
            end.answer(stream)
        end.answer_all()

    result = ran(serve, "-c", "1", "-p", "5", "-n", "20", "-X", "POST")
    equal(result["requests"]["ok"], 20, "ok")
    equal(result["http2"]["refused"], 1, "refused")
    equal(result["connections"]["opened"], 1, "connections")


def test_a_server_that_refuses_always_is_an_error():
    def serve(end):
        end.begin()
        while True:
            end.reset(end.requests(1)[0], REFUSED)

    result = ran(serve, "-c", "1", "-n", "2", ends=NOTHING)
    equal(codes(result), {"RST_REFUSED_STREAM": 2}, "errors")
    equal(result["http2"]["refused"], 8, "refusals")


def test_what_may_be_repeated_is_sent_again_when_a_connection_is_lost():
    def serve(end):
        end.begin()
        if end.number > 0:
            end.answer_all()
        streams = end.requests(4)
        end.answer(streams[3])
        end.count_round()

    result = ran(serve, "-c", "1", "-p", "4", "-n", "20")
    equal(result["requests"]["ok"], 20, "ok")
    repeated = result["connections"]["requests_repeated"]
    equal(3 <= repeated <= 4, True, f"sent again: {repeated}")


def test_what_may_not_be_repeated_is_lost_with_its_connection():
    def serve(end):
        end.begin()
        if end.number > 0:
            end.answer_all()
        end.answer(end.requests(4)[3])

    result = ran(serve, "-c", "1", "-p", "4", "-n", "20", "-X", "POST", "--max-errors",
                 "4")
    equal(result["requests"]["ok"] >= 16, True, "ok")
    equal(set(codes(result)) <= {"EOF", "ECONNRESET"}, True, "errors")


def test_what_may_be_repeated_is_sent_again_although_others_are_lost():
    def serve(end):
        end.begin()
        if end.number > 0:
            end.answer_all()
        end.answer(end.requests(1)[0])
        begun = end.requests(2)[0]
        end.send(HEADERS, END_HEADERS, begun, status(200))
        end.count_round()

    result = ran(serve, "-c", "1", "-p", "2", "-n", "9", "--max-errors", "1")
    equal((result["requests"]["ok"], result["requests"]["failed"]), (8, 1),
          "ok and failed")
    [error] = result["errors"]
    equal((error["phase"], error["code"]), ("eof", "EOF"), "error")


def test_a_body_that_broke_off_is_no_part_of_the_next_one():
    def serve(end):
        end.begin()
        [stream] = end.requests(1)
        if end.number == 0:
            end.send(HEADERS, END_HEADERS, stream, status(200))
            end.send(DATA, 0, stream, b"right")
            end.count_round()
            return
        end.answer(stream, body=b"right")
        end.read()

    result = ran(serve, "-c", "1", "-n", "2", "--expect", "text:right", "--max-errors",
                 "1")
    equal(codes(result), {"EOF": 1}, "errors")
    equal(result["requests"]["ok"], 1, "ok")


def test_requests_lost_with_their_connection_are_in_the_log():
    def serve(end):
        end.begin()
        if end.number > 0:
            end.answer_all()
        end.answer(end.requests(3)[0])
        end.count_round()

    with peer(serve) as server, tempfile.TemporaryDirectory() as folder:
        result = loaded(server.http, "-c", "1", "-p", "3", "-n", "9", "-X",
                        "POST", "--max-errors", "9", "--log", f"{folder}/log")
        with open(f"{folder}/log", encoding="ascii") as lines:
            ends = [row["end"] for row in csv.DictReader(lines)]
        equal(len(ends), 9, "lines")
        lost = result["requests"]["failed"]
        equal((ends.count("lost"), lost > 0), (lost, True), "lost")
        equal([text for text in result["warnings"] if "log" in text], [],
              "warnings")


def test_requests_sent_again_have_not_waited_for_a_window():
    def serve(end):
        end.begin()
        if end.number > 0:
            end.answer_all()
        end.answer(end.requests(1)[0])
        last = end.requests(1)[0]
        end.goaway(last - 2)
        end.read()

    result = ran(serve, "-c", "1", "-n", "5", "-b", "{letters:9}")
    equal(result["connections"]["requests_repeated"], 1, "sent again")
    blocked = result["latency"]["blocked"]
    equal(blocked["count"] if blocked else 0, 0, "waits")
    matches(" ".join(result["warnings"]), "1 requests were sent again: the "
            "server had refused them or closed their connections")


# ---- requests ----

def test_a_header_of_many_frames_is_sent():
    def serve(end):
        end.begin()
        for _ in range(3):
            [stream] = end.requests(1)
            end.wait(CONTINUATION, END_HEADERS)
            end.answer(stream)
        end.read()

    result = ran(serve, "-c", "1", "-n", "3", "-H", "x: {letters:60000}", "-H",
                 "y: {letters:30000}")
    equal(result["requests"]["ok"], 3, "ok")


def stalling(end, late_s):
    """Reads nothing for a while after the first answer, with windows for all. Returns
    the bytes of bodies by stream."""
    end.begin(window=2**31 - 1)
    end.send(WINDOW_UPDATE, 0, 0, (2**30).to_bytes(4, "big"))
    sizes = {}
    answers = 0
    try:
        while True:
            kind, flags, stream, payload = end.read()
            if kind != DATA:
                continue
            sizes[stream] = sizes.get(stream, 0) + len(payload)
            if flags & END_STREAM:
                end.answer(stream)
                answers += 1
                for _ in range(10 if answers == 1 else 0):
                    end.send(PING, payload=b"whatever")
                    time.sleep(late_s / 10)
    except OSError:
        return sizes


def test_bodies_wait_until_the_server_reads():
    def serve(end):
        sizes = stalling(end, 0.3)
        equal(max(sizes.values()) <= 900_000, True, "bytes of bodies")

    result = ran(serve, "-c", "1", "-p", "20", "-n", "40", "-b", "{letters:60000}" * 15)
    equal(result["requests"]["ok"], 40, "ok")


def test_bodies_that_wait_too_long_leave_no_other_in_their_place():
    def serve(end):
        sizes = stalling(end, 1)
        equal(max(sizes.values()) <= 900_000, True, "bytes of bodies")

    result = ran(serve, "-c", "1", "-p", "20", "-R", "20", "-d", "3s", "-w", "0", "-b",
                 "{letters:60000}" * 15, "--timeout", "500ms", "--force",
                 "--lateness-limit", "60s", "--max-errors", "1000", may_be_late=True)
    # On a busy machine even the SETTINGS may be late.
    equal(set(codes(result)) - {"NO_SETTINGS"}, {"NO_ANSWER"}, "errors")


def test_a_field_of_http_1_ends_no_connection():
    def serve(end):
        end.begin()
        end.answer_all()

    result = ran(serve, "-c", "1", "-n", "5", "-H", "Connection: close")
    equal(result["connections"]["opened"], 1, "connections")


def test_a_pause_between_requests_ends_although_frames_come():
    def serve(end):
        end.begin()
        end.answer(end.requests(1)[0])
        while end.count_round() == 0:
            pass
        end.answer(3)
        end.read()

    result = ran(serve, "-c", "1", "-n", "2", "--think", "200ms")
    equal(result["requests"]["ok"], 2, "ok")


# ---- ends before the first request ----

def test_an_end_before_the_settings_is_an_error():
    def serve(end):
        end.read_preface()

    result = ran(serve, "-c", "2", "-n", "5", ends=NOTHING)
    equal(set(codes(result)) <= {"EOF", "ECONNRESET"}, True, "errors")
    equal(result["errors"] != [], True, "there are errors")
    equal(result["connections"]["ended_idle"], 0, "ended between requests")


def test_a_goaway_before_the_first_request_is_an_error():
    def serve(end):
        end.read_preface()
        settings = frame(SETTINGS, 0, 0, b"")
        end.socket.sendall(settings + frame(GOAWAY, 0, 0, bytes(8)))
        end.read()

    result = ran(serve, "-c", "2", "-n", "5", ends=NOTHING)
    equal(set(codes(result)), {"EOF"}, "errors")
    matches(result["errors"][0]["first"], "GOAWAY before the first request")


# ---- ends of streams ----

def test_a_reset_stream_is_an_error_by_its_name():
    def serve(end):
        end.begin()
        end.reset(end.requests(1)[0], INTERNAL_ERROR)
        stream = end.requests(1)[0]
        end.send(HEADERS, END_HEADERS, stream, status(200))
        end.reset(stream, NO_ERROR)
        end.answer_all()

    result = ran(serve, "-c", "1", "-n", "10", "--max-errors", "2")
    equal(codes(result), {"RST_INTERNAL_ERROR": 1, "RST_NO_ERROR": 1}, "errors")
    equal(result["http2"]["resets"], 2, "resets")
    equal(result["requests"]["ok"], 8, "ok")


def test_a_request_that_is_late_ends_alone():
    """On a busy machine others may be late, too."""
    def serve(end):
        end.begin()
        late = end.requests(1)[0]
        for _ in range(2):
            end.answer(end.requests(1)[0])
        while True:
            kind, _, stream, _ = end.read()
            if kind == HEADERS:
                end.answer(stream)
            if (kind, stream) == (RST_STREAM, late):
                gone.set()

    gone = threading.Event()
    with peer(serve) as server:
        result = loaded(server.http, "-c", "1", "-p", "2", "-R", "5", "-d", "12s", "-w",
                        "0", "--timeout", "10s", "--max-errors", "1000",
                        may_be_late=True)
        equal(gone.wait(WAIT_S), True, "it was given up")
    equal(result["requests"]["timeout"] > 0, True, "time-outs")
    equal(result["connections"]["opened"], 1, "connections")

    def serve_later(end):
        end.begin()
        ends.append(end)
        while len(ends) == 1:
            end.read()
        end.answer_all()

    ends = []
    result = ran(serve_later, "-c", "1", "-d", "3s", "-w", "500ms", "--timeout", "1s",
                 ends=ERRORS)
    equal(result["warmup"]["timeout"], 1, "time-outs of the warm-up")
    equal(result["summary"]["errors"], 1, "the connection is an error of the window")


def test_requests_per_conn_ends_with_a_goaway():
    ends = []

    def serve(end):
        end.begin()
        try:
            while True:
                kind, _, stream, payload = end.read()
                if kind == HEADERS:
                    end.answer(stream)
                elif kind == GOAWAY:
                    ends.append(payload)
        except OSError:
            pass

    result = ran(serve, "-c", "2", "-p", "2", "-n", "30", "--requests-per-conn", "3")
    equal(result["requests"]["ok"], 30, "ok")
    equal(result["connections"]["opened"] >= 10, True, "connections")
    equal(set(ends), {bytes(8)}, "a GOAWAY without an error")


# ---- against the rules ----

def breaking(payload, code, *flags, text=r"."):
    """A server that writes these bytes after its SETTINGS."""
    def serve(end):
        end.begin()
        end.requests(1)
        end.socket.sendall(payload)
        end.read()

    result = ran(serve, "-c", "1", "-n", "1", *flags, ends=NOTHING)
    equal(set(codes(result)), {code}, "errors")
    matches(result["errors"][0]["first"], text)


def frame(kind, flags, stream, payload):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags])
            + stream.to_bytes(4, "big") + payload)


def test_no_request_is_sent_once_the_rules_are_broken():
    def serve(end):
        end.begin()
        if end.number > 0:
            end.answer_all()
        stream = end.requests(4)[0]
        end.socket.sendall(frame(HEADERS, END_HEADERS | END_STREAM, stream,
                                 status(200)) + b"\xff" * 100)
        end.read()

    result = ran(serve, "-c", "1", "-p", "4", "-n", "20", "--max-errors", "4")
    equal(result["requests"]["failed"], 3, "failed")
    equal(set(codes(result)), {"HTTP2"}, "errors")


def test_bytes_of_the_server_are_quoted():
    breaking(frame(HEADERS, END_HEADERS | END_STREAM, 1,
                   status(200) + literal("server", "\x1b[31mred")), "HTTP2",
             text=r"\\x1b\[31mred")


def test_garbage_is_against_the_rules():
    breaking(b"\xff" * 100, "HTTP2")


def test_a_push_is_against_the_rules():
    breaking(frame(PUSH_PROMISE, END_HEADERS, 1, bytes([0, 0, 0, 2, 0x82])), "HTTP2")


def test_a_block_that_cannot_be_unpacked_is_against_the_rules():
    breaking(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff"),
             "HTTP2")


def test_a_frame_that_is_too_large_is_against_the_rules():
    breaking(b"\xff\xff\xff" + bytes([DATA, 0, 0, 0, 0, 1]), "HTTP2")


def head(stream, flags=0, code=200, **fields):
    """Returns a header whose field names have dashes instead of underscores."""
    return frame(HEADERS, END_HEADERS | flags, stream, status(code) + b"".join(
        literal(name.replace("_", "-"), value)
        for name, value in fields.items()))


def refused(answer, text):
    """Of two requests on a connection one gets this answer, and the other a good one:
    the first is reset, the other is counted, and everything continues."""
    def serve(end):
        end.begin()
        bad, good = end.requests(2)
        end.socket.sendall(answer(bad))
        kind, _, stream, payload = end.read()
        while kind not in (RST_STREAM, HEADERS):
            kind, _, stream, payload = end.read()
        equal((kind, stream, payload),
              (RST_STREAM, bad, PROTOCOL_ERROR.to_bytes(4, "big")), "a reset")
        end.answer(good)
        end.answer_all()

    result = ran(serve, "-c", "1", "-p", "2", "-n", "10", "--max-errors", "1")
    equal((result["requests"]["ok"], result["requests"]["failed"]), (9, 1),
          "ok and failed")
    equal(codes(result), {"HTTP2": 1}, "errors")
    matches(result["errors"][0]["first"], text)
    equal(result["connections"]["opened"], 1, "connections")


def test_a_bad_answer_ends_its_stream_and_nothing_else():
    for answer, text in (
            (lambda at: head(at, END_STREAM, Server="x"), "'Server'"),
            (lambda at: head(at, content_length="5")
             + frame(DATA, END_STREAM, at, b"123"), "fewer bytes"),
            (lambda at: head(at, content_length="2")
             + frame(DATA, 0, at, b"123"), "more bytes"),
            (lambda at: head(at) + frame(HEADERS, END_HEADERS, at,
                                         literal("x", "y")), "trailers"),
            (lambda at: frame(HEADERS, END_HEADERS | END_STREAM, at,
                              literal("server", "x")), "without a :status"),
            (lambda at: head(at, code=103) + frame(DATA, 0, at, b"x"),
             "before its header")):
        refused(answer, text)


def test_a_server_of_http_1_is_told():
    def serve(end):
        end.socket.recv(1000)
        end.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with peer(serve) as server:
        outcome = load("--http2", "-n", "1", server.http)
        equal(outcome.status, NOTHING, "exit status")
        matches(outcome.err, r"\Aweir-load: .* does not speak HTTP/2.* it speaks "
                r"HTTP/1.*\nweir-load: write:\nweir-load run (?!.*http2).*\n\Z")


# ---- within the rules ----

def test_padding_continuations_and_interim_answers_are_read():
    def serve(end):
        end.begin()
        while True:
            [stream] = end.requests(1)
            end.send(HEADERS, END_HEADERS, stream, status(103))
            block = status(200) + literal("content-length", "2")
            end.send(HEADERS, PADDED, stream, b"\3" + block[:4] + bytes(3))
            end.send(CONTINUATION, 0, stream, block[4:9])
            end.send(CONTINUATION, END_HEADERS, stream, block[9:])
            end.send(DATA, PADDED, stream, b"\5o" + bytes(5))
            end.send(DATA, END_STREAM, stream, b"k")

    result = ran(serve, "-c", "2", "-p", "3", "-n", "30", "--expect", "200", "--expect",
                 "text:ok")
    equal(result["status"], {"200": 30}, "statuses")


def test_many_pings_are_answered():
    def serve(end):
        end.begin()
        [stream] = end.requests(1)
        for number in range(500):
            end.send(PING, payload=number.to_bytes(8, "big"))
        for number in range(500):
            equal(end.wait(PING)[-1][3], number.to_bytes(8, "big"), "a PING")
        end.answer(stream)
        end.read()

    ran(serve, "-c", "1", "-n", "1")


def test_the_place_that_redirects_lead_to_is_told():
    def serve(end):
        end.begin()
        while True:
            end.answer(end.requests(1)[0], code=302, body=b"",
                       fields=literal("location", "/there"))

    result = ran(serve, "-n", "5", "-c", "1")
    matches(" ".join(result["warnings"]), r"redirects to http://.*/there")


def test_bodies_are_compared():
    def serve(end):
        end.begin()
        while True:
            end.answer(end.requests(1)[0], body=b"wrong")

    result = ran(serve, "-n", "5", "-c", "1", "--expect", "text:right", ends=NOTHING)
    equal(codes(result), {"ANSWER": 5}, "errors")


# ---- gRPC ----

def grpc(fields, trailers, code=200):
    def serve(end):
        end.begin()
        while True:
            [stream] = end.requests(1)
            block = status(code) + literal("content-type", "application/grpc")
            end.send(HEADERS, END_HEADERS | (0 if trailers else END_STREAM),
                     stream, block + fields)
            if trailers:
                end.send(DATA, 0, stream, bytes(5))
                end.send(HEADERS, END_HEADERS | END_STREAM, stream, trailers)

    return peer(serve)


def test_the_status_of_grpc_decides():
    message = literal("grpc-message", "gone")
    for fields, trailers, wanted in (
            (b"", literal("grpc-status", "0"), {}),
            (literal("grpc-status", "0"), b"", {}),
            (b"", literal("grpc-status", "14") + message,
             {"GRPC_UNAVAILABLE": 5}),
            (literal("grpc-status", "7"), b"", {"GRPC_PERMISSION_DENIED": 5}),
            (b"", literal("grpc-status", "99"), {"GRPC_STATUS_UNKNOWN": 5}),
            (b"", literal("x", "y"), {"GRPC_NO_STATUS": 5})):
        with grpc(fields, trailers) as server:
            result = loaded(server.http, "-c", "1", "-n", "5",
                            ends=NOTHING if wanted else OK)
            equal(codes(result), wanted, "errors")


def test_an_empty_status_of_grpc_is_no_status():
    with grpc(b"", literal("grpc-status", "")) as server:
        result = loaded(server.http, "-c", "1", "-n", "5", ends=NOTHING)
        equal(codes(result), {"GRPC_STATUS_UNKNOWN": 5}, "errors")


def test_types_that_begin_like_that_of_grpc_are_others():
    for kind, ends in (("application/grpc-web", OK),
                       ("application/grpc+proto", NOTHING),
                       ("application/grpc;x=y", NOTHING)):
        def serve(end):
            end.begin()
            while True:
                end.answer(end.requests(1)[0], fields=literal("content-type", kind))

        with peer(serve) as server:
            loaded(server.http, "-c", "1", "-n", "2", ends=ends)


def test_trailers_make_no_other_answer_of_one_of_grpc():
    for kind in ("text/plain", "application/grpc-web"):
        trailers = literal("grpc-status", "5") + literal("content-type", kind)
        with grpc(b"", trailers) as server:
            result = loaded(server.http, "-c", "1", "-n", "5", ends=NOTHING)
            equal(codes(result), {"GRPC_NOT_FOUND": 5}, "errors")


def test_trailers_make_no_answer_one_of_grpc():
    def serve(end):
        end.begin()
        while True:
            [stream] = end.requests(1)
            end.send(HEADERS, END_HEADERS, stream, status(302))
            end.send(HEADERS, END_HEADERS | END_STREAM, stream,
                     literal("content-type", "application/grpc")
                     + literal("grpc-status", "5")
                     + literal("location", "/nowhere"))

    result = ran(serve, "-c", "1", "-n", "5")
    equal(result["requests"]["ok"], 5, "ok")
    equal("/nowhere" in " ".join(result["warnings"]), False, "a place")


def test_what_an_interim_answer_says_is_forgotten():
    def serve(end):
        end.begin()
        while True:
            [stream] = end.requests(1)
            end.send(HEADERS, END_HEADERS, stream, status(103)
                     + literal("content-type", "application/grpc")
                     + literal("grpc-status", "14")
                     + literal("location", "/nowhere"))
            end.answer(stream, code=302)

    result = ran(serve, "-c", "1", "-n", "5")
    equal(result["requests"]["ok"], 5, "ok")
    equal("/nowhere" in " ".join(result["warnings"]), False, "a place")


# ---- the open loop ----

def test_waits_for_a_stream_are_in_the_latency_and_told_apart():
    stall_s = 0.5

    def serve(end):
        end.begin(streams=1)
        stream = end.requests(1)[0]
        time.sleep(stall_s)
        end.answer(stream)
        end.answer_all()

    for _ in range(10):  # a busy machine makes some clients late
        result = ran(serve, "-c", "1", "-p", "9", "-R", "100", "-d", "2s", "-w", "0",
                     "--force", "--lateness-limit", "60s", may_be_late=True)
        latency = result["latency"]
        late = latency["client_lateness"]["max"]
        if late < stall_s / 2 * 1e9:
            break
    # The second was due 10 ms after the first, which took half a second.
    longest = latency["blocked"]["max"]
    waited = longest + late
    equal(waited >= (stall_s - 0.011) * 1e9 * 0.98, True, f"{waited} ns")
    equal(late < stall_s / 2 * 1e9, True, f"{late} ns that are told apart from waits")
    equal(latency["response"]["max"] >= longest, True, "response")
    equal(latency["blocked"]["count"], result["waited"], "waits")
    matches(" ".join(result["warnings"]), r"waited for a stream, of which the server allows 1 ")


def test_waits_for_a_window_are_told_apart():
    def serve(end):
        end.begin(window=100)
        stream = end.wait(DATA)[-1][2]
        time.sleep(0.2)
        end.send(WINDOW_UPDATE, 0, stream, (1000).to_bytes(4, "big"))
        end.wait(DATA, END_STREAM)
        end.answer(stream)
        end.read()

    result = ran(serve, "-c", "1", "-n", "1", "-b", "{letters:500}")
    blocked = result["latency"]["blocked"]
    equal(blocked["count"], 1, "waits")
    equal(blocked["max"] >= 0.2 * 1e9 * 0.98, True, f"{blocked['max']} ns")


def test_a_stalled_connection_delays_its_own_streams_and_they_show_it():
    stall_s = 1.5

    def serve(end):
        end.begin()
        if end.number > 0:
            end.answer_all()
        stream = end.requests(1)[0]
        time.sleep(stall_s)
        end.answer(stream)
        end.answer_all()

    result = ran(serve, "-c", "4", "-p", "100", "-R", "200", "-d", "3s", "-w", "0",
                 "--force", "--lateness-limit", "60s", may_be_late=True)
    equal(result["requests"]["ok"], result["requests"]["offered"], "ok")
    # All its answers are late by the rest of the stall.
    response = result["latency"]["response"]
    equal(response["max"] >= stall_s * 1e9, True, f"{response['max']} ns")


# ---- a server that is stopped by the client's windows ----

def answer_in_parts(end, stream, sizes):
    """Sends a body in frames of these sizes; an entry that is not a size is waited for
    first. Does not end the body."""
    end.send(HEADERS, END_HEADERS, stream, status(200))
    for size in sizes:
        if size == "raise":
            end.wait(WINDOW_UPDATE)
            end.count_round()  # the client has noticed that this side is blocked
        else:
            end.send(DATA, 0, stream, size * b"x")


WINDOW = (16384, 16384, 16384, 16383)  # 65535 bytes


def test_a_server_that_fills_the_window_is_stopped_by_it():
    def serve(end):
        end.begin()
        stream = end.requests(1)[0]
        answer_in_parts(end, stream, WINDOW + ("raise",))
        end.send(DATA, END_STREAM, stream, b"y")
        end.read()

    for window in ("65535", "65536"):  # one byte less than this is requested
        with peer(serve) as server:
            result = loaded(server.http, "-c", "1", "-n", "1", "-w", "0",
                            "--window", window, "--expect", "200", "--expect",
                            "len:65536")
        http2 = result["http2"]
        equal(http2["window_stops"], 1, f"stops of {window}")
        equal(http2["window_stopped_ns"] > 0, True, "time")
        matches(" ".join(result["warnings"]), r"windows have stopped the "
                r"server 1 times, for .*s in total.* larger --window")


def test_all_streams_are_stopped_by_the_window_of_the_connection():
    def serve(end):
        end.begin()
        streams = end.requests(2)
        answer_in_parts(end, streams[0], WINDOW[:2])
        answer_in_parts(end, streams[1], WINDOW[2:] + ("raise",))
        for stream in streams:
            end.send(DATA, END_STREAM, stream, b"y")
        end.read()

    result = ran(serve, "-c", "1", "-p", "2", "-n", "2", "-w", "0", "--conn-window",
                 "65535", "--expect", "200")
    http2 = result["http2"]
    equal((http2["window_stops"], http2["window_stopped_ns"] > 0),
          (1, True), "stops, time")


def test_a_server_that_leaves_room_in_the_windows_is_not_stopped():
    def serve(end):
        end.begin()
        stream = end.requests(1)[0]
        # One byte less than the window, and a window each end of which is passed in the
        # middle of a frame.
        answer_in_parts(end, stream, (16384, 16384, 16384, 16382, "raise"))
        for size in 8 * (16384,):
            end.send(DATA, 0, stream, size * b"x")
            end.count_round()
        end.send(DATA, END_STREAM, stream, b"")
        end.read()

    result = ran(serve, "-c", "1", "-n", "1", "-w", "0", "--window", "65535",
                 "--expect", "200")
    equal((result["http2"]["window_stops"],
           result["http2"]["window_stopped_ns"]), (0, 0), "stops, time")
    equal("windows have stopped" in " ".join(result["warnings"]), False,
          "a warning")


def test_an_answer_that_ends_with_the_window_has_not_stopped():
    def serve(end):
        end.begin()
        stream = end.requests(1)[0]
        answer_in_parts(end, stream, WINDOW[:3])
        end.send(DATA, END_STREAM, stream, WINDOW[3] * b"x")
        end.answer_all()

    result = ran(serve, "-c", "1", "-n", "3", "-w", "0", "--window", "65535",
                 "--expect", "200")
    equal(result["http2"]["window_stops"], 0, "stops")


run(globals())
