"""weir-load as a client of WebSocket, against a peer of Python's that keeps
RFC 6455 by itself, and against peers that break it.
"""

import base64
import hashlib
import struct

from harness import equal, judged, load, load_json, matches, one_line, run
from servers import Server, read_exactly

OK, USAGE, NOTHING, ERRORS = 0, 2, 3, 4
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


# ---- a peer of Python's ----

def accept_of(key):
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def read_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(connection, 1)
    return head


def field(head, name):
    for line in head.split(b"\r\n")[1:]:
        if line.lower().startswith(name.lower() + b":"):
            return line.split(b":", 1)[1].strip()
    return None


def shake(connection, fields=b""):
    """The server's part of a handshake, with more fields; the head of the request."""
    head = read_head(connection)
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
                       + accept_of(field(head, b"Sec-WebSocket-Key")) + b"\r\n" + fields + b"\r\n")
    return head


def frame(opcode, data=b"", final=True, mask=None):
    head = bytes([(0x80 if final else 0) | opcode])
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", len(data))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(data))
    if mask:
        head += mask
        data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
    return head + data


def read_frame(connection, masked):
    """Opcode, payload and mask of a frame, which is final."""
    first, second = read_exactly(connection, 2)
    equal((first & 0xf0, second >> 7), (0x80, masked), "final, reserved bits, mask")
    size = second & 127
    if size == 126:
        size, = struct.unpack(">H", read_exactly(connection, 2))
    elif size == 127:
        size, = struct.unpack(">Q", read_exactly(connection, 8))
    mask = read_exactly(connection, 4) if masked else bytes(4)
    data = read_exactly(connection, size) if size else b""
    keys = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    plain_text = (int.from_bytes(data, "big") ^ keys).to_bytes(size, "big")
    return first & 15, plain_text, mask


def echo_with(answer, seen=None):
    """Answers each message by a function of the connection, opcode and data."""
    def work(connection, _):
        shake(connection)
        while True:
            opcode, data, mask = read_frame(connection, 1)
            if seen is not None:
                seen.append((opcode, data, mask))
            if opcode == CLOSE:
                connection.sendall(frame(CLOSE, data))
                return
            if opcode in (TEXT, BINARY):
                answer(connection, opcode, data)
    return work


def plain(connection, opcode, data):
    connection.sendall(frame(opcode, data))


def url_of(server):
    return server.url.replace("tcp", "ws")


# ---- the client beside a peer of Python's ----

def test_messages_of_every_size_come_back():
    with Server(echo_with(plain)) as server:
        url = url_of(server)
        for size in ("1", "125", "126", "64k", "1M", "mix:10:50,100k:50"):
            result = judged("-c", "3", "-p", "4", "-n", "60", "--send", size, url)
            equal((result["requests"]["ok"], result["errors"]), (60, []), size)
        judged("-c", "2", "-n", "200", "--ws-text", url + "/chat?x=1")
        judged("-c", "2", "-R", "500", "-n", "200", "--force", "--lateness-limit",
               "60s", "-b", "tick", url)
        result = judged("-c", "2", "-n", "40", "--requests-per-conn", "4", url)
        equal(result["connections"]["opened"] >= 10, True, "connections")
        equal(result["connections"]["not_closed"], 0, "the server closes them")


def test_bytes_on_the_wire_are_those_of_the_frames():
    with Server(echo_with(plain)) as server:
        result = judged("-c", "1", "-n", "100", "--send", "200", url_of(server))
        sent = result["bytes"]["out"]
        equal(100 * (200 + 8) <= sent <= 100 * (200 + 8) + 16, True, f"{sent} sent")


def test_the_handshake_has_the_fields_of_the_command_line():
    heads = []

    def work(connection, _):
        heads.append(shake(connection))
        while True:
            opcode, data, _mask = read_frame(connection, 1)
            connection.sendall(frame(opcode, data))
    with Server(work) as server:
        judged("-c", "1", "-n", "3", "-H", "Origin: http://a.example",
               "-H", "Cookie: x=y", url_of(server) + "/room?id=1")
        head = heads[0]
        equal(head.startswith(b"GET /room?id=1 HTTP/1.1\r\n"), True, head)
        equal(field(head, b"Host"), f"127.0.0.1:{server.port}".encode(), "Host")
        equal(field(head, b"Origin"), b"http://a.example", "Origin")
        equal(field(head, b"Sec-WebSocket-Version"), b"13", "version")
        equal(len(base64.b64decode(field(head, b"Sec-WebSocket-Key"))), 16, "key")


def test_the_host_has_no_default_port_and_no_zone():
    for url, host in (("ws://a.example/x", b"a.example"),
                      ("ws://a.example:81/x", b"a.example:81"),
                      ("ws://a.example:443/x", b"a.example:443"),
                      ("ws://[fe80::1%25lo]/x", b"[fe80::1]")):
        heads = []

        def work(connection, _, heads=heads):
            heads.append(shake(connection))
            while True:
                opcode, data, _mask = read_frame(connection, 1)
                connection.sendall(frame(opcode, data))
        with Server(work) as server:
            judged("-c", "1", "-n", "1", "--connect-to",
                   server.url.removeprefix("tcp://"), url)
        equal(field(heads[0], b"Host"), host, url)


def test_frames_are_masked_and_each_by_another_mask():
    seen = []
    with Server(echo_with(plain, seen)) as server:
        judged("-c", "1", "-n", "50", "--send", "10", url_of(server))
    masks = {mask for opcode, _, mask in seen if opcode == BINARY}
    equal(len(masks) > 45, True, f"{len(masks)} masks of 50 frames")
    equal(seen[-1][:2], (CLOSE, struct.pack(">H", 1000)), "the last frame")


def test_text_is_text_and_the_message_is_that_of_the_command_line():
    seen = []
    with Server(echo_with(plain, seen)) as server:
        result = judged("-c", "1", "-n", "5", "-b", '{"op": "püng"}', url_of(server))
        equal({data[:2] for data in seen[:-1]}, {(TEXT, '{"op": "püng"}'.encode())},
              "messages")
        equal(result["config"]["ws"]["message"], '{"op": "püng"}', "configuration")
        del seen[:]
        judged("-c", "1", "-n", "5", "--ws-text", "--send", "300", url_of(server))
        equal({(data[0], len(data[1])) for data in seen[:-1]}, {(TEXT, 300)}, "text")
        seen[0][1].decode("ascii")


def test_fragments_and_pings_between_them_are_read():
    pongs = []

    def answer(connection, opcode, data):
        third = len(data) // 3
        connection.sendall(frame(opcode, data[:third], final=False)
                           + frame(PING, b"alive?") + frame(0, b"", final=False)
                           + frame(PONG, b"unasked")
                           + frame(0, data[third:2 * third], final=False)
                           + frame(0, data[2 * third:]))
        pongs.append(read_frame(connection, 1)[:2])
    with Server(echo_with(answer)) as server:
        result = judged("-c", "1", "-n", "20", url_of(server))
        equal(result["requests"]["ok"], 20, "ok")
        equal(result["connections"]["pings"], 20, "pings")
        equal(set(pongs), {(PONG, b"alive?")}, "pongs")


def test_a_ping_between_messages_is_answered():
    def answer(connection, opcode, data):
        connection.sendall(frame(opcode, data) + frame(PING, 125 * b"x"))
        equal(read_frame(connection, 1)[:2], (PONG, 125 * b"x"), "pong")
    with Server(echo_with(answer)) as server:
        result = judged("-c", "1", "-n", "10", "--think", "20ms", url_of(server))
        equal(result["connections"]["pings"] >= 9, True, "pings")


def error_of(answer, *flags):
    """The error of a run whose server answers its first message so."""
    with Server(echo_with(answer)) as server:
        outcome, result = load_json("-c", "1", "-n", "1", *flags, url_of(server))
        equal(outcome.status in (NOTHING, ERRORS), True, outcome.err)
        return result["errors"][0]["code"], result["errors"][0]["first"]


def raw(data):
    return lambda connection, opcode, message: connection.sendall(data)


def test_frames_against_the_rules_are_named():
    for data, pattern in (
            (frame(BINARY, b"x", mask=b"abcd"), "a frame of the server has a mask"),
            (frame(BINARY, b"", final=False) + 70000 * b"\0\0", "65536 frames"),
            (b"\x88\x01x", "an invalid close code")):
        code, first = error_of(raw(data))
        equal(code, "WEBSOCKET", data[:12])
        matches(first, pattern)


def test_an_answer_that_is_no_echo_is_wrong():
    for data, pattern in (
            (lambda m: frame(BINARY, m[:-1] + bytes([m[-1] ^ 1])), "byte 127 is"),
            (lambda m: frame(BINARY, m[:-1]), "shorter than what was sent"),
            (lambda m: frame(BINARY, m + b"x"), "longer than what was sent"),
            (lambda m: frame(TEXT, m), "the answer is text, and binary was sent")):
        code, first = error_of(
            lambda connection, opcode, message, make=data:
            connection.sendall(make(message)))
        equal(code, "WRONG_ECHO", pattern)
        matches(first, pattern)


def test_a_message_that_nobody_asked_for_is_an_error():
    def answer(connection, opcode, data):
        connection.sendall(frame(opcode, data) + frame(opcode, data))
    equal(error_of(answer)[0], "SURPLUS", "two messages")


def test_a_close_of_the_server_has_its_code():
    closes = []

    def answer(connection, _opcode, _data):
        connection.sendall(frame(CLOSE, struct.pack(">H", 1013) + b"try later"))
        closes.append(read_frame(connection, 1)[:2])
    code, first = error_of(answer)
    equal(code, "WEBSOCKET_CLOSE", first)
    matches(first, "code 1013, try later")
    equal(closes, [(CLOSE, struct.pack(">H", 1013))], "the close is answered")


def test_bytes_behind_a_close_do_not_hide_it():
    code, first = error_of(raw(frame(CLOSE, struct.pack(">H", 1011) + b"broken")
                               + frame(BINARY, b"x")))
    equal(code, "WEBSOCKET_CLOSE", first)
    matches(first, "code 1011, broken")


def test_a_close_between_messages_is_no_failure():
    def work(connection, _):
        shake(connection)
        for _ in range(3):
            opcode, data, _mask = read_frame(connection, 1)
            connection.sendall(frame(opcode, data))
        connection.sendall(frame(CLOSE, struct.pack(">H", 1001)))
        equal(read_frame(connection, 1)[0], CLOSE, "the answer")
    with Server(work) as server:
        result = judged("-c", "1", "-n", "9", "--think", "50ms", url_of(server))
        equal((result["requests"]["ok"], result["errors"]), (9, []), "messages")
        equal(result["connections"]["ended_idle"] >= 2, True, "ends")


def test_what_is_no_handshake_is_named():
    accept = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    for answer, pattern in (
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "status 404 in place of 101"),
            (accept + b"\r\n", "no Sec-WebSocket-Accept"),
            (accept + b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
             "does not match the key"),
            (b"+OK\r\n", "no answer of HTTP"),
            (b"HTTP/1.1 101 x\r\nA: " + 70000 * b"x", "no answer of HTTP")):
        def work(connection, _, answer=answer):
            read_head(connection)
            connection.sendall(answer)
            connection.recv(1)
        with Server(work) as server:
            result = judged("-c", "1", "-n", "1", url_of(server), status=NOTHING)
            equal(result["errors"][0]["code"], "NO_WEBSOCKET", answer[:30])
            matches(result["errors"][0]["first"], pattern)


def test_the_server_chooses_one_of_the_protocols_that_were_asked_for():
    asked = ("-H", "Sec-WebSocket-Protocol: chat.v1, mqtt", "-H",
             "sec-websocket-protocol: wamp")
    for flags, chosen, is_good in ((asked, (b"mqtt",), True), (asked, (b"wamp",), True),
                                   (asked, (), True), (asked, (b"chat",), False),
                                   (asked, (b"MQTT",), False),
                                   (asked, (b"",), False),
                                   (asked, (b"chat.v1, mqtt",), False),
                                   (asked, (b"mqtt", b"mqtt"), False),
                                   ((), (b"mqtt",), False)):
        def work(connection, _, chosen=chosen):
            fields = b"".join(b"Sec-WebSocket-Protocol: " + name + b"\r\n"
                              for name in chosen)
            shake(connection, fields)
            while True:
                opcode, data, _mask = read_frame(connection, 1)
                connection.sendall(frame(opcode, data))
        with Server(work) as server:
            result = judged("-c", "1", "-n", "1", *flags, url_of(server),
                            status=OK if is_good else NOTHING)
            if not is_good:
                equal(result["errors"][0]["code"], "NO_WEBSOCKET", f"{chosen}")
                matches(result["errors"][0]["first"], "a protocol that was not asked for")


def test_a_server_that_does_not_answer_the_handshake_is_given_up():
    def work(connection, _):
        while connection.recv(4096):
            pass
    with Server(work) as server:
        outcome = load("-c", "1", "-n", "1", "--connect-timeout", "5s",
                       url_of(server))
        equal(outcome.status, NOTHING, outcome.err)
        matches(outcome.err, "no answer within the time-out")


# ---- the command line ----

def test_what_is_not_for_web_socket_is_refused():
    url = "ws://127.0.0.1:1"
    for args, pattern in (
            (("-X", "POST", url), "the WebSocket handshake is a GET"),
            (("--http2", url), "the WebSocket handshake is a GET"),
            (("-b", "n{seq}", url), "has no placeholders"),
            (("-b", "{letters:8}", url), "has no placeholders"),
            (("-b", "{file:/dev/null}", url), "has no placeholders"),
            (("-b", "{csv:name}", url), "has no placeholders"),
            (("-b", "\udcff\udcfe", url), "this is not UTF-8"),
            (("-b", "\udced\udca0\udc80", url), "this is not UTF-8"),
            (("-H", "X: {seq}", url), "the WebSocket handshake has no placeholders"),
            (("-H", "upgrade: h2c", url), "-H: the handshake sets Upgrade itself"),
            (("-H", "Connection:", url), "-H: the handshake sets Connection itself"),
            (("-H", "Sec-WebSocket-Key: x", url), "sets Sec-WebSocket-Key itself"),
            (("-H", "Sec-WebSocket-Version: 8", url), "sets Sec-WebSocket-Version itself"),
            (("-H", "Sec-WebSocket-Extensions: x", url), "Extensions itself"),
            (("-b", "x", "--send", "5", url), "-b has the message"),
            (("--request", "x", url), "it is not for mode ws"),
            (("--expect", "200", url), "--expect: it is for HTTP and --request"),
            (("--mode", "rr", url), "rr is not for ws://"),
            (("--ws-text", "http://127.0.0.1:1"), "--ws-text: it is for ws://"),
            ((url, "http://127.0.0.1:1"), "other targets cannot be loaded together")):
        outcome = load(*args)
        equal((outcome.status, outcome.out), (USAGE, ""), outcome.err)
        one_line(outcome.err, pattern)


if __name__ == "__main__":
    run(globals())
