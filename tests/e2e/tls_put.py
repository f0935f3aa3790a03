"""A client that writes and closes at once, with other programs as servers.

Usage: tls_put.py TLS_PEER FOLDER
"""

import queue
import threading

from harness import WAIT_S, equal, run
from tls_ends import (VERSIONS, openssl_version, python_server, read_all,
                      s_server, weir_client)

PUT = bytes(i % 251 for i in range(1 << 20))


def read_whole(tls):
    """Reads up to the peer's close_notify; returns nothing without one."""
    try:
        return read_all(tls)
    except OSError:
        return b""


def put(port, version):
    """The server's tickets arrive after it has closed."""
    with weir_client(port, mode="put") as weir:
        weir.hear_open(version)
        status, _, err = weir.finish()
        equal((status, err), (0, "end ok\n"), "the end of weir")


def test_python_gets_all_that_was_written_before_a_close():
    for version in VERSIONS:
        for _ in range(5):
            got = queue.Queue()
            with python_server(lambda tls, got=got: got.put(read_whole(tls)),
                               version) as server:
                put(server.port, version)
                equal(got.get(timeout=WAIT_S) == PUT, True, "the bytes")


def test_openssl_gets_all_that_was_written_before_a_close():
    for version in VERSIONS:
        for _ in range(5):
            with s_server("good", openssl_version(version), "-naccept",
                          "1") as (server, port):
                got = queue.Queue()
                reader = threading.Thread(
                    target=lambda server=server, got=got: got.put(
                        server.process.stdout.read(len(PUT))), daemon=True)
                reader.start()
                put(port, version)
                equal(got.get(timeout=WAIT_S) == PUT, True, "the bytes")


if __name__ == "__main__":
    run(globals())
