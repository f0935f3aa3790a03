"""weir-load over UDP: run and serve with each other and with other programs.

Some servers here lose, repeat and exchange datagrams, by count, so that the figures of
a run are known beforehand.
"""

import os
import signal
import socket
import struct
import tempfile

from harness import (WAIT_S, WEIR_LOAD, ServeAt, Skip, command, command_apart,
                     equal, load, load_json, matches, one_line, run)
from servers import RefusingDatagrams, answering

OK, USAGE, NOTHING, ERRORS = 0, 2, 3, 4

# No server here delays an answer that it gives for this long.
LOST_S = 10


def counted(answer, status, *args):
    """Returns the ledger and the datagrams of a run with such a server; datagrams not
    answered within LOST_S seconds are lost."""
    with answering(answer) as url:
        outcome, result = load_json("-c", "1", "--timeout", f"{LOST_S}s", *args,
                                    url)
    equal(outcome.status, status, f"exit status ({outcome.err})")
    return result["requests"], result["datagrams"]


def test_run_loads_serve():
    with ServeAt("udp://127.0.0.1:0") as server:
        matches(server.urls[0], r"^udp://127\.0\.0\.1:\d+$")
        for args in (["-c", "20"], ["-p", "8"], ["--send", "16"],
                     ["-c", "2", "--send", "65507"], ["-w", "100ms"]):
            outcome, result = load_json("-n", "2000", *args, server.urls[0])
            equal((outcome.status, outcome.err), (OK, ""), f"run {args}")
            equal(result["datagrams"], {"lost": 0, "late": 0, "duplicate": 0,
                                        "reordered": 0}, f"run {args}")
            equal(result["requests"]["ok"], 2000, f"run {args}")


def test_the_text_tells_of_datagrams():
    with ServeAt("udp://127.0.0.1:0") as server:
        outcome = load("-n", "100", server.urls[0])
    equal(outcome.status, OK, "exit status")
    matches(outcome.out, r"^Datagrams +lost 0 \(0\.000%\)  late 0  "
            r"duplicate 0  reordered 0$")


def test_ports_of_all_kinds_are_served_together():
    with ServeAt("udp://[::1]:0", "tcp://127.0.0.1:0") as server:
        equal([url.split(":")[0] for url in server.urls], ["udp", "tcp"],
              "what it serves on")
        for url in server.urls:
            equal(load("-n", "100", url).status, OK, url)


def test_all_addresses_answer_from_the_one_that_was_asked():
    with ServeAt("udp://*:0") as server:
        port = server.urls[0].rsplit(":", 1)[1]
        for host in ("127.0.0.1", "127.0.0.2", "[::1]"):
            equal(load("-n", "100", f"udp://{host}:{port}").status, OK, host)


def test_a_stranger_is_answered_and_an_empty_datagram_too():
    with ServeAt("udp://127.0.0.1:0") as server:
        port = int(server.urls[0].rsplit(":", 1)[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(WAIT_S)
            sock.connect(("127.0.0.1", port))
            for data in (b"x", b"", os.urandom(60000)):
                sock.send(data)
                equal(sock.recv(65536) == data, True, "the echo")


def test_lost_and_late_datagrams_are_counted_and_do_not_stall():
    """Three datagrams fill the depth until they are given up together. The answer to
    one of them arrives just before the last answer."""
    held = []
    last = 0

    def drop(number, data):
        nonlocal last
        last = max(last, number)
        if number in (5, 6, 7):
            held.append(data)
            return []
        return [held.pop(), data] if number == 24 else [data]

    requests, datagrams = counted(drop, OK, "-n", "24", "-p", "3",
                                  "--max-errors", "3")
    equal((requests["ok"], requests["timeout"], last), (21, 3, 24), "ok and lost")
    equal(datagrams, {"lost": 3, "late": 1, "duplicate": 0, "reordered": 0},
          "datagrams")


def test_duplicates_are_counted():
    def repeat(number, data):
        return [data] * (3 if number % 10 == 5 else 1)

    for depth in ("1", "7"):
        requests, datagrams = counted(repeat, OK, "-n", "200", "-p", depth)
        equal(requests["ok"], 200, "ok")
        equal(datagrams, {"lost": 0, "late": 0, "duplicate": 40,
                          "reordered": 0}, "datagrams")


def test_exchanged_datagrams_are_counted():
    held = []

    def swap(number, data):
        if number % 10 == 5:
            held.append(data)
            return []
        return [data, held.pop()] if held else [data]

    requests, datagrams = counted(swap, OK, "-n", "200", "-p", "8")
    equal(requests["ok"], 200, "ok")
    equal(datagrams, {"lost": 0, "late": 0, "duplicate": 0, "reordered": 20},
          "datagrams")


def test_changed_datagrams_are_errors():
    def change(number, data):
        if number == 5:
            return [data[:-1] + bytes([data[-1] ^ 1])]
        if number == 6:
            return [data + b"x"]
        return [data]

    requests, datagrams = counted(change, ERRORS, "-n", "10", "-p", "1")
    equal((requests["ok"], requests["failed"]), (8, 2), "ok and failed")
    equal(datagrams["lost"], 0, "lost")


def test_what_was_never_sent_is_an_error():
    def invent(number, data):
        return [data, b"short", os.urandom(100)] if number == 5 else [data]

    with answering(invent) as url:
        outcome, result = load_json("-c", "1", "-n", "100", url)
    equal(outcome.status, ERRORS, "exit status")
    equal(result["requests"]["ok"], 100, "ok")
    equal([(error["code"], error["count"]) for error in result["errors"]],
          [("WRONG_ECHO", 2)], "errors")


def wrong_echoes(answer):
    """Returns how many answers of a run of 100 were wrong, besides 100 good ones."""
    with answering(answer) as url:
        outcome, result = load_json("-c", "1", "-n", "100", "-p", "4", url)
    equal(outcome.status, ERRORS, "exit status")
    equal(result["requests"]["ok"], 100, "ok")
    equal(result["datagrams"], {"lost": 0, "late": 0, "duplicate": 0,
                                "reordered": 0}, "datagrams")
    equal({error["code"] for error in result["errors"]}, {"WRONG_ECHO"}, "codes")
    return sum(error["count"] for error in result["errors"])


def test_a_number_that_was_put_in_by_another_is_no_duplicate():
    def forge(number, data):
        # After the header of 16 bytes: a tag, the slot, the number.
        lower = data[:8] + struct.pack("=Q", 2) + data[16:]
        return [data, lower] if 50 <= number < 90 else [data]

    equal(wrong_echoes(forge), 40, "forged answers")


def test_a_slot_that_was_put_in_by_another_is_no_duplicate():
    def forge(number, data):
        slot, = struct.unpack_from("=I", data, 4)
        other = data[:4] + struct.pack("=I", slot ^ 1) + data[8:]
        return [data, other] if number in (10, 20) else [data]

    equal(wrong_echoes(forge), 2, "forged answers")


def test_an_answer_to_another_run_is_no_duplicate():
    kept = []

    def keep(number, data):
        kept.append(data)
        return [data]

    def replay(number, data):
        return [data, kept[number - 2]] if number in (50, 60) else [data]

    _, datagrams = counted(keep, OK, "-n", "100", "--seed", "7")
    equal(datagrams["duplicate"], 0, "duplicates")
    with answering(replay) as url:
        _, result = load_json("-c", "1", "-n", "100", "--seed", "7", url)
    equal(result["datagrams"]["duplicate"], 0, "duplicates")
    equal([(error["code"], error["count"]) for error in result["errors"]],
          [("WRONG_ECHO", 2)], "errors")


def test_a_duplicate_that_was_changed_is_an_error_too():
    def change(number, data):
        changed = data[:-1] + bytes([data[-1] ^ 1])
        return [data, changed] if number == 5 else [data]

    with answering(change) as url:
        _, result = load_json("-c", "1", "-n", "100", url)
    equal((result["requests"]["ok"], result["datagrams"]["duplicate"]),
          (100, 1), "ok and duplicate")
    equal([(error["code"], error["count"]) for error in result["errors"]],
          [("WRONG_ECHO", 1)], "errors")


def test_a_closed_port_is_told():
    with RefusingDatagrams() as server:
        outcome, result = load_json("-c", "2", "--timeout", f"{LOST_S}s", server.url)
    equal(outcome.status, NOTHING, "exit status")
    one_line(outcome.err, r"not one request succeeded; transfer: .*ECONNREFUSED")
    equal("ECONNREFUSED" in [error["code"] for error in result["errors"]], True,
          "errors")


def test_discard_answers_nothing_and_counts():
    with ServeAt("--mode", "discard", "--stats", "udp://127.0.0.1:0") as server:
        outcome, result = load_json("-n", "5", "--timeout", "500ms",
                                    server.urls[0])
        equal(outcome.status, NOTHING, "exit status")
        equal(result["datagrams"]["lost"], 5, "lost")
        server.signal(signal.SIGTERM)
        status, _, err = server.finish()
        equal(status, 0, "exit status of serve")
        matches(err, r"^served_datagrams 5$")
        matches(err, r"^served_received_bytes 640$")


def test_a_port_in_use_is_told():
    with ServeAt("udp://127.0.0.1:0") as server:
        outcome = command(WEIR_LOAD, "serve", server.urls[0])
        equal(outcome.status, USAGE, "exit status")
        one_line(outcome.err, r"EADDRINUSE")


def need_names():
    if "ENONAMES" in command(WEIR_LOAD, "udp://nothing.invalid:9").err:
        raise Skip("built without c-ares")


def test_a_name_is_served_on_all_its_addresses_and_loaded_on_one():
    need_names()
    with ServeAt("udp://localhost:0") as server:
        equal(len(server.urls), 2, f"addresses in {server.urls}")
        matches(" ".join(server.urls),
                r"^udp://\[::1\]:\d+ udp://127\.0\.0\.1:\d+$")
        port = server.urls[0].rsplit(":", 1)[1]
        for url in (*server.urls, f"udp://localhost:{port}"):
            outcome, result = load_json("-n", "100", "-c", "3", url)
            equal((outcome.status, outcome.err), (OK, ""), url)
            equal(result["requests"]["ok"], 100, url)


def test_a_name_without_addresses_is_told_before_anything_is_sent():
    need_names()
    for words in ([], ["serve"]):
        outcome = command(WEIR_LOAD, *words, "udp://nothing.invalid:9")
        equal((outcome.status, outcome.out), (USAGE, ""), f"outcome {words}")
        one_line(outcome.err, r"^weir-load: udp://nothing\.invalid:9: .*\(WEIR_")


def test_more_addresses_than_serve_has_room_for_are_told():
    need_names()
    outcome = command(WEIR_LOAD, "serve", *["udp://localhost:0"] * 9)
    equal((outcome.status, outcome.out), (USAGE, ""), "outcome")
    one_line(outcome.err, r"udp://localhost:0: more than 16 addresses")


def test_an_address_of_a_name_that_no_socket_reaches_is_passed_over():
    need_names()
    script = """ip link set lo up && mount --bind "$0" /etc/hosts || exit 77
"$1" serve udp://127.0.0.1:7000 > "$0".line & server=$!
until [ -s "$0".line ]; do sleep 0.02; done
timeout 100 "$1" -n 100 -c 2 --force --timeout 60s udp://both.test:7000
status=$?; kill $server; wait $server; exit $status"""
    with tempfile.TemporaryDirectory() as folder:
        hosts = os.path.join(folder, "hosts")
        with open(hosts, "w", encoding="ascii") as file:
            file.write("2001:db8::1 both.test\n198.51.100.1 both.test\n"
                       "127.0.0.1 both.test\n")
        outcome = command_apart(script, hosts, WEIR_LOAD, flags=("-n", "-m"))
    equal((outcome.status, outcome.err), (OK, ""), "outcome")
    matches(outcome.out, r"^Requests .* ok 100  failed 0")


run(globals(), short="run_loads_serve")
