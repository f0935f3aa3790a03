"""Other programs' clients with an echo server: weir-load serve, or an example.

socat, nc and Python's asyncio know nothing of weir; their bytes must come back exactly,
in whatever pieces, and the server must survive all of it and end cleanly (checked by
harness.Service).
"""

import asyncio
import os
import random
import select
import shutil
import socket
import threading

from harness import (LONG, WAIT_S, Program, Serve, Skip, echo_server, equal,
                     fill, run)
from servers import reset

SEED = int(os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32))
BULK = (1000 if LONG else 200) << 20
print(f"# WEIR_TEST_SEED={SEED}")

# A prime number of bytes, so that no usual block size divides it.
BLOCK = random.Random(SEED).randbytes(1048573)


def block_at(position, count):
    """Returns bytes of the endless repetition of BLOCK."""
    begin = position % len(BLOCK)
    data = BLOCK[begin:begin + count]
    while len(data) < count:
        data += BLOCK[:count - len(data)]
    return data


def receive_all(sock):
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def echo_once(address, data):
    """Sends everything, ends the stream, and expects the echo."""
    def send(sock):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    with socket.create_connection(address) as sock:
        # The server stops reading from a client that sends much without reading.
        sender = threading.Thread(target=send, args=(sock,), daemon=True)
        sender.start()
        equal(receive_all(sock) == data, True, "the echo is what was sent")
        sender.join()


# ---- asyncio ----

async def send_pieces(writer, total, chance, largest):
    sent = 0
    while sent < total:
        count = min(chance.randint(1, largest), total - sent)
        writer.write(block_at(sent, count))
        sent += count
        await writer.drain()
    writer.write_eof()


async def compare_pieces(reader, chance, largest):
    received = 0
    while data := await reader.read(chance.randint(1, largest)):
        if data != block_at(received, len(data)):
            raise AssertionError(f"a wrong byte after {received}")
        received += len(data)
    return received


async def talk(address, total, number, largest):
    reader, writer = await asyncio.open_connection(*address)
    _, received = await asyncio.gather(
        send_pieces(writer, total, random.Random(SEED + number), largest),
        compare_pieces(reader, random.Random(SEED - number), largest))
    equal(received, total, "bytes that came back")
    writer.close()
    await writer.wait_closed()


def test_asyncio_gets_back_every_byte_of_random_pieces():
    with echo_server() as server:
        asyncio.run(talk(server.address, BULK, 1, 256 * 1024))


def test_asyncio_gets_back_small_pieces():
    with echo_server() as server:
        asyncio.run(talk(server.address, 256 * 1024, 2, 200))


def test_asyncio_on_forty_connections_at_once():
    async def all_of_them(address):
        await asyncio.gather(*(talk(address, 400_000, number, 30_000)
                               for number in range(40)))

    with echo_server() as server:
        asyncio.run(all_of_them(server.address))


# ---- socat and nc ----

def pipe_through(*client):
    """Returns what a client program makes of 5 MB that it sends and gets back."""
    if not shutil.which(client[0]):
        raise Skip(f"{client[0]} is not installed")
    data = block_at(0, 5_000_000)
    with Program(*client, stdin=-1) as program:
        out, err = program.process.communicate(data, timeout=2 * WAIT_S)
        equal(out == data, True,
              f"{len(out)} bytes are what was sent ({err.decode()})")
        equal(program.process.returncode, 0, "exit status")


def test_socat_gets_everything_back_after_its_half_close():
    with echo_server() as server:
        pipe_through("socat", f"-t{WAIT_S}", "-", f"TCP:127.0.0.1:{server.port}")


def test_nc_gets_everything_back_after_its_half_close():
    with echo_server() as server:
        pipe_through("nc", "-N", "127.0.0.1", str(server.port))


def test_an_end_of_stream_without_a_byte_is_answered_with_one():
    with echo_server() as server:
        echo_once(server.address, b"")


def test_one_byte_at_a_time():
    with echo_server() as server, socket.create_connection(server.address) as sock:
        for byte in b"weir":
            sock.sendall(bytes([byte]))
            equal(sock.recv(10), bytes([byte]), "the byte")


# ---- resets ----

def test_resets_in_the_middle_do_not_disturb_others():
    with echo_server("--stats") as server:
        with socket.create_connection(server.address) as witness:
            for round_number in range(50):
                sock = socket.create_connection(server.address)
                sock.sendall(block_at(0, 1 + round_number * 7919))
                # A reset before the accept would belong to no connection.
                equal(sock.recv(1), block_at(0, 1), "the first byte")
                reset(sock)
                witness.sendall(b"still here")
                equal(witness.recv(100), b"still here", "the witness")
        echo_once(server.address, block_at(0, 100_000))
        # A reset before bytes that found no space is answered by a challenge ACK, which
        # the kernel may leave out (RFC 5961, tcp_invalid_ratelimit): then it goes
        # unnoticed until the server closes the connection.
        server.end_counted(
            r"^served_connections 52$", r"^served_broken (4[5-9]|50)$",
            r"^served_open 0$", r"^connections 0$", r"^leases 0$")


def test_five_hundred_connects_that_leave_in_all_ways():
    chance = random.Random(SEED)
    with echo_server("--stats") as server:
        for _ in range(500):
            sock = socket.create_connection(server.address)
            way = chance.randrange(4)
            if way:
                sock.sendall(block_at(0, chance.randint(1, 5000)))
            if way == 1:
                sock.shutdown(socket.SHUT_WR)
                receive_all(sock)
            if way == 2:
                equal(sock.recv(1), block_at(0, 1), "the first byte")
                reset(sock)
            sock.close()
        echo_once(server.address, b"after all of them")
        server.end_counted(r"^served_connections 501$", r"^served_open 0$",
                           r"^leases 0$")


# ---- a client that never reads ----

def test_a_client_that_never_reads_cannot_make_it_grow():
    with echo_server("--grace", "0") as server:
        echo_once(server.address, block_at(0, 10_000_000))
        before = server.rss_bytes()
        socks = [socket.create_connection(server.address) for _ in range(4)]
        for sock in socks:
            fill(server, sock, block_at)
        grown = server.rss_bytes() - before
        assert grown < 24 << 20, f"{grown} bytes for four such clients"
        echo_once(server.address, block_at(0, 1_000_000))
        for sock in socks:
            sock.close()


def test_what_was_held_back_comes_when_the_client_reads():
    with echo_server() as server, socket.create_connection(server.address) as sock:
        sent = fill(server, sock, block_at)
        received = 0
        while received < sent:
            data = sock.recv(1 << 20)
            assert data, f"the end after {received} of {sent} bytes"
            equal(data == block_at(received, len(data)), True, "the echo")
            received += len(data)


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_stalled_client_that_ends_its_stream_costs_no_cpu():
    with echo_server("--grace", "0") as server:
        with socket.create_connection(server.address) as sock:
            fill(server, sock, block_at)
            sock.shutdown(socket.SHUT_WR)
            before = cpu_ticks(server.process.pid)
            # Nothing may arrive for this long, and the server has nothing to do.
            equal(select.select([], [], [], 0.5), ([], [], []), "a pause")
            used = cpu_ticks(server.process.pid) - before
        ticks = os.sysconf("SC_CLK_TCK")
        assert used < ticks / 5, f"{used} of {ticks / 2} ticks"


# ---- the other modes ----

def test_discard_takes_everything_and_ends_with_the_client():
    with Serve("--mode", "discard") as server:
        with socket.create_connection(server.address) as sock:
            sock.sendall(block_at(0, 8_000_000))
            sock.shutdown(socket.SHUT_WR)
            equal(sock.recv(100), b"", "the answer")


def chargen_lines(count):
    ring = bytes(range(32, 127))
    return b"".join(bytes(ring[(line + i) % 95] for i in range(72)) + b"\r\n"
                    for line in range(count))


def test_chargen_sends_the_lines_of_its_rfc():
    expected = chargen_lines(20_000)
    with Serve("--mode", "chargen", "--grace", "0") as server:
        with socket.create_connection(server.address) as sock:
            received = b""
            while len(received) < len(expected):
                received += sock.recv(1 << 20)
            equal(received[:len(expected)] == expected, True, "the lines")


def test_chargen_ends_with_the_client():
    with Serve("--mode", "chargen") as server:
        with socket.create_connection(server.address) as sock:
            received = len(sock.recv(1 << 16))
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(1 << 20):
                received += len(data)
            # Written bytes are sent, and only whole texts are.
            equal(received % 74, 0, "bytes beyond whole lines")


def test_chargen_stops_for_a_client_that_does_not_read():
    with Serve("--mode", "chargen", "--grace", "0") as server:
        with socket.create_connection(server.address) as sock:
            sock.recv(100_000)
            before = server.rss_bytes()
            other = [socket.create_connection(server.address)
                     for _ in range(8)]
            for one in other:
                one.recv(1)
            grown = server.rss_bytes() - before
            assert grown < 16 << 20, f"{grown} bytes"
            for one in other:
                one.close()


run(globals())
