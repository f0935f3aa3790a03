"""Servers with some hundreds or a thousand clients that send and never read.

Each echo example gets clients that send until none is read from any more, and then
nothing: 50 honest clients at the same time must all be answered, and so must a new one,
while each stalled one uses only this much memory. weir-load serve must stop within its
grace period although none of them ever reads, and an example of streams at a second
signal. Times are printed as comments, because no machine guarantees them: a client that
is never served, and a server that never stops, fail the test.
"""

import os
import resource
import selectors
import signal
import socket
import time

from harness import (EXAMPLES, LIMIT_S, ExampleService, Program, Serve, equal,
                     is_sanitized, load_json, matches, read_line, run)

HONEST = 50
ROUNDS = 20  # exchanges of each honest client

CLIENTS = int(os.environ.get("STALLED_CLIENTS", "1000"))
STOP_CLIENTS = min(CLIENTS, 200)  # their number changes nothing in a stop
MOST_BYTES = 3 << 20  # that one client sends
QUIET_S = 0.5  # stalled after this long without an accepted byte
PUSH_S = 15  # and none sends for longer than this
EACH_BYTES = 192 << 10  # the goal is 128 KiB; malloc's share varies


def raise_fd_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident(pid):
    """Returns the resident memory of a process, in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def connect_small(address):
    """Makes a client whose own kernel buffers little, so that the server has the
    bytes."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    sock.connect(address)
    sock.setblocking(False)
    return sock


def push_until_stalled(socks):
    """Each sends until none of its bytes are accepted any more. Returns the bytes
    sent."""
    chunk = bytes(65536)
    sent = dict.fromkeys(socks, 0)
    selector = selectors.DefaultSelector()
    for sock in socks:
        selector.register(sock, selectors.EVENT_WRITE)
    last = start = time.monotonic()
    while (selector.get_map() and time.monotonic() - last < QUIET_S
           and time.monotonic() - start < PUSH_S):
        for key, _ in selector.select(0.1):
            sock = key.fileobj
            try:
                sent[sock] += sock.send(chunk)
                last = time.monotonic()
            except BlockingIOError:
                pass
            except OSError:
                selector.unregister(sock)
                continue
            if sent[sock] >= MOST_BYTES:
                selector.unregister(sock)
    selector.close()
    return sum(sent.values())


def exchange(sock):
    sock.sendall(b"hello")
    equal(sock.recv(5, socket.MSG_WAITALL), b"hello", "the echo")


def answer_time(address):
    """Returns how long a new client waits for its first echo, in seconds."""
    start = time.monotonic()
    with socket.create_connection(address) as sock:
        exchange(sock)
    return time.monotonic() - start


def serve_honest(address):
    """Honest clients, all connected at the same time, are answered each time."""
    socks = [socket.create_connection(address) for _ in range(HONEST)]
    for _ in range(ROUNDS):
        for sock in socks:
            exchange(sock)
    for sock in socks:
        sock.close()


def p99_text(address):
    """Returns weir-load's result for the same number, as text; no test depends on it,
    it is for people who need a number of clients."""
    if "STALLED_CLIENTS" not in os.environ:
        return "not measured"
    url = f"tcp://{address[0]}:{address[1]}"
    result = load_json("-c", str(HONEST), "-d", "2s", "-w", "200ms", url)[1]
    p99 = result["latency"]["service"]["percentiles"]["99"]
    return "none" if p99 is None else f"{p99 / 1e6:.2f} ms"


def stall(address, count):
    return [connect_small(address) for _ in range(count)]


def measure_example(name):
    raise_fd_limit()
    with Program(EXAMPLES[name], "0") as program:
        line = read_line(program.process.stdout)
        matches(line, r":\d+$")
        address = ("127.0.0.1", int(line.rsplit(":", 1)[1]))
        pid = program.process.pid
        answer_time(address)
        socks = stall(address, CLIENTS)
        before = resident(pid)
        sent = push_until_stalled(socks)
        each = (resident(pid) - before) // CLIENTS
        served_s = answer_time(address)
        serve_honest(address)
        print(f"# {name}: {CLIENTS} clients sent {sent >> 20} MiB, "
              f"{each >> 10} KiB each, new client {served_s * 1e3:.1f} ms, "
              f"p99 of {HONEST} {p99_text(address)}", flush=True)
        for sock in socks:
            sock.close()
        assert each <= EACH_BYTES or is_sanitized(EXAMPLES[name]), (
            f"{each} bytes for each stalled client")


def test_protocols_serve_others_beside_a_thousand_stalled_clients():
    measure_example("tcp_echo_server")


def test_streams_serve_others_beside_a_thousand_stalled_clients():
    measure_example("tcp_echo_server_streams")


def stop_beside_stalled(kind, *words, signals=(signal.SIGTERM,)):
    raise_fd_limit()
    with kind(*words) as server:
        socks = stall(server.address, STOP_CLIENTS)
        push_until_stalled(socks)
        start = time.monotonic()
        for signum in signals:
            server.signal(signum)
        status = server.finish(LIMIT_S)[0]
        took_s = time.monotonic() - start
        print(f"# {' '.join(words)}: stopped after {took_s:.2f} s", flush=True)
        for sock in socks:
            sock.close()
        equal(status in (0, 1), True, f"exit status {status}")


def test_a_server_of_protocols_stops_within_its_grace():
    stop_beside_stalled(Serve, "--grace", "2s")


def test_a_server_of_streams_stops_at_the_second_signal():
    stop_beside_stalled(ExampleService, "tcp_echo_server_streams",
                        signals=(signal.SIGTERM, signal.SIGINT))


if __name__ == "__main__":
    run(globals(), short="streams_serve_others_beside_a_thousand_stalled_clients")
