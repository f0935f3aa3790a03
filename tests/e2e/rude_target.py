"""A server that does, at random, everything that a server can do wrong: it resets, ends
in the middle, with TLS or without, reads nothing, sends endlessly, or sends unrequested
bytes. It prints two addresses, the second one for TLS, and serves until it is killed.

Usage: rude_target.py FOLDER SEED; FOLDER has certificate.pem and key.pem.
"""

import contextlib
import random
import socket
import ssl
import sys
import threading
import time

from servers import reset

AT_ONCE = 150
TIMEOUT_S = 5
MOST = 1 << 22


def pause(chance):
    time.sleep(chance.choice((0, 0, 0.01, 0.3, 2)))


def echo_some(sock, chance):
    """Echoes some bytes, sometimes slowly."""
    for _ in range(chance.choice((0, 1, 10, 1000))):
        data = sock.recv(chance.choice((1, 1000, 1 << 16)))
        if not data:
            return
        sock.sendall(data)
        if chance.randrange(50) == 0:
            pause(chance)


def send_without_end(sock, chance):
    data = chance.randbytes(1 << 16)
    for _ in range(chance.randrange(MOST >> 16)):
        sock.sendall(data)


def read_all(sock, _chance):
    while sock.recv(1 << 16):
        pass


def read_nothing(_sock, chance):
    time.sleep(chance.choice((0.1, 1, 10)))


def send_slowly(sock, chance):
    for _ in range(chance.randint(1, 100)):
        sock.sendall(b"x" * chance.randint(1, 50))
        time.sleep(0.01)


def send_urgently(sock, chance):
    below = getattr(sock, "below", sock)
    for _ in range(chance.randint(1, 50)):
        below.send(b"!", socket.MSG_OOB)
        sock.sendall(b"x" * 10)


def break_tls(sock, chance):
    """Sends bytes that are not TLS on a TLS connection."""
    below = getattr(sock, "below", sock)
    below.sendall(chance.choice((
        chance.randbytes(100), b"\x15\x03\x03\0\x02\x02\x28",
        b"\x17\x03\x03\x40\0" + bytes(100), b"\x16\x03\x03\xff\xff")))


def end_stream(sock, _chance):
    if isinstance(sock, ssl.SSLSocket):
        sock.unwrap()
    else:
        sock.shutdown(socket.SHUT_WR)


ACTS = (echo_some, echo_some, send_without_end, read_all, read_nothing,
        send_slowly, send_urgently, break_tls, end_stream)
ENDS = (reset, reset, socket.socket.close, end_stream)


class Secure(ssl.SSLSocket):
    """Knows the socket below."""


def serve(sock, context, chance):
    below = sock
    with contextlib.suppress(OSError, ValueError):
        sock.settimeout(TIMEOUT_S)
        if chance.randrange(8) == 0:
            pause(chance)
            reset(sock)
            return
        if chance.randrange(3) == 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if context and chance.randrange(10):
            copy = sock.dup()
            sock = context.wrap_socket(sock, server_side=True)
            below = sock.below = copy
        for _ in range(chance.randint(0, 3)):
            chance.choice(ACTS)(sock, chance)
            pause(chance)
    if below is not sock:
        below.close()
    with contextlib.suppress(OSError, ValueError):
        end = chance.choice(ENDS)
        if end is reset:
            reset(sock)
        elif end is end_stream:
            end_stream(sock, chance)
            read_all(sock, chance)
    with contextlib.suppress(OSError):
        sock.close()


def accept(listener, context, seed, places):
    number = 0
    while True:
        sock, _ = listener.accept()
        number += 1
        if not places.acquire(blocking=False):
            reset(sock)
            continue

        def work(sock=sock, number=number):
            try:
                serve(sock, context, random.Random(f"{seed}-{number}"))
            finally:
                places.release()
        threading.Thread(target=work, daemon=True).start()


def main():
    folder, seed = sys.argv[1:]
    threading.stack_size(1 << 18)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/certificate.pem", f"{folder}/key.pem")
    context.sslsocket_class = Secure
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024)
                 for _ in range(2)]
    places = threading.Semaphore(AT_ONCE)
    threads = [threading.Thread(target=accept, args=(
        listener, secure, f"{seed}-{bool(secure)}", places))
               for listener, secure in zip(listeners, (None, context))]
    for thread in threads:
        thread.start()
    plain, secure = (listener.getsockname()[1] for listener in listeners)
    print(f"tcp://127.0.0.1:{plain} tls://127.0.0.1:{secure}", flush=True)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
