"""Memory that an echo server used in a busy period is returned to the system."""

import resource
import socket
import sys
import time

from harness import (ENV, WAIT_S, WEIR_LOAD, ExampleService, Serve, Skip,
                     is_sanitized, run)

CONNECTIONS = 1500
BYTES = 32 << 10
MIB = 1 << 20
# malloc() touches all memory at once: memory that the loop allocates at its creation
# and uses later was not used by a busy period. meson sets it, too.
TOUCHED = dict(ENV, MALLOC_PERTURB_="85")


def raise_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS + 200
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (min(wanted, hard), hard))
    return min(CONNECTIONS, (resource.getrlimit(resource.RLIMIT_NOFILE)[0]
                             - 200) // 2)


def busy_time(address, count):
    """Many connections at once; each moves some bytes and closes."""
    socks = [socket.create_connection(address) for _ in range(count)]
    data = bytes(BYTES)
    for sock in socks:
        sock.sendall(data)
    for sock in socks:
        left = BYTES
        while left > 0:
            left -= len(sock.recv(left))
    for sock in socks:
        sock.close()


def resident_after_rest(server, limit_bytes):
    """Returns the lowest resident memory until it was this low. Ten seconds are
    promised, which tests/trace/trim.c measures on a simulated clock."""
    least = server.rss_bytes()
    deadline = time.monotonic() + WAIT_S
    while least > limit_bytes and time.monotonic() < deadline:
        time.sleep(0.2)
        least = min(least, server.rss_bytes())
    return least


def rests(kind, *words):
    if is_sanitized(WEIR_LOAD):
        raise Skip("a sanitizer keeps freed memory")
    count = raise_limit()
    with kind(*words, env=TOUCHED) as server:
        busy_time(server.address, 50)
        before = server.rss_bytes()
        busy_time(server.address, count)
        peak = server.rss_bytes()
        after = resident_after_rest(server, before + 2 * MIB)
        print(f"{kind.__name__}: {before / MIB:.1f} MiB, "
              f"{peak / MIB:.1f} after {count} connections, "
              f"{after / MIB:.1f} after a rest", file=sys.stderr)
        assert after <= before + 2 * MIB, f"{after} bytes are left of {peak}"
        server.stop()


def test_memory_of_protocols_goes_back_after_a_rest():
    rests(Serve)


def test_memory_of_streams_goes_back_after_a_rest():
    rests(ExampleService, "tcp_echo_server_streams")


run(globals())
