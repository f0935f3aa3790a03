"""Small servers, each with one behaviour, as targets of weir-load.

Each runs in a thread of the test and serves every connection in its own thread, with a
function that gets the socket. When the block ends, the listening socket and all
connections are closed.
"""

import contextlib
import random
import socket
import struct
import threading


class Server:
    """Calls serve(connection, number) for each connection."""

    def __init__(self, serve, port=0):
        self.serve = serve
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        self.connections = []
        self.accepted = 0
        self.thread = threading.Thread(target=self.accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop_listening()
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def stop_listening(self):
        # Closing alone does not wake a thread inside accept(). The thread must have
        # left it, because another server may get the descriptor's number.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def listen_again(self):
        """Listens at its port again. It must be a port of free_port(), because the
        kernel may give any other one to a client meanwhile."""
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                number = self.accepted
                self.accepted += 1
                self.connections.append(connection)
            threading.Thread(target=self.work, args=(connection, number),
                             daemon=True).start()

    def work(self, connection, number):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            self.serve(connection, number)
        with contextlib.suppress(OSError):
            connection.close()


class Noting:
    """A server that records requests: serve(connection, number) is the class's own."""

    def __init__(self):
        self.lock = threading.Lock()
        self.server = Server(self.serve)

    def serve(self, connection, number):
        raise NotImplementedError

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *args):
        self.server.__exit__(*args)

    @property
    def place(self):
        return f"127.0.0.1:{self.server.port}"


@contextlib.contextmanager
def serving(server):
    """Runs one of Python's servers in a thread, which ends in any case."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


reservations = []  # sockets that live as long as this process


def free_port():
    """Returns a port for a server that needs a fixed one, free for TCP and UDP. It is
    below the ephemeral ports, so that no connection takes it before the server does. No
    test running in parallel gets it: a name is bound for each."""
    with open("/proc/sys/net/ipv4/ip_local_port_range",
              encoding="ascii") as file:
        chosen = int(file.read().split()[0])
    for _ in range(1000):
        port = random.randrange(max(chosen // 3, 1024), max(chosen, 2048))
        with contextlib.suppress(OSError), socket.socket(
                socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", port))
            socket.create_server(("127.0.0.1", port)).close()
            reservation = socket.socket(socket.AF_UNIX)
            reservation.bind(f"\0weir-e2e-port-{port}")
            reservations.append(reservation)
            return port
    raise AssertionError("no port is free")


class RefusingDatagrams:
    """A port that refuses datagrams, reserved for the block: its socket is connected to
    another one, and accepts only datagrams from there."""

    def __enter__(self):
        self.other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.other.bind(("127.0.0.1", 0))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(self.other.getsockname())
        self.port = self.socket.getsockname()[1]
        self.url = f"udp://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.other.close()


@contextlib.contextmanager
def answering(answer):
    """A server: answer(number, data) returns the datagrams to send back for the
    datagram with this number, which starts at 1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve():
            number = 0
            while True:
                data, peer = sock.recvfrom(65536)
                if not data:
                    return
                number += 1
                for part in answer(number, data):
                    sock.sendto(part, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"udp://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            sock.sendto(b"", sock.getsockname())
            thread.join()


class Refusing:
    """An address without a listener, reserved for the block."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"tcp://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self.socket.close()


def reset(connection):
    """Closes the connection so that the peer gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
    connection.close()


def read_exactly(connection, count):
    data = bytearray()
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise OSError("the peer has gone")
        data += part
    return bytes(data)


def echoes(sock, data=b"x"):
    """Expects that the peer echoes these bytes."""
    sock.sendall(data)
    assert read_exactly(sock, len(data)) == data, "no echo"


def echoes_all(sock, data):
    """Expects that the peer echoes these bytes while they arrive, and then ends its
    stream after ours."""
    sender = threading.Thread(target=sock.sendall, args=(data,))
    sender.start()
    assert read_exactly(sock, len(data)) == data, "not what was sent"
    sender.join()
    sock.shutdown(socket.SHUT_WR)
    assert sock.recv(1) == b"", "more than was sent"


def echo(connection, _number):
    while data := connection.recv(65536):
        connection.sendall(data)


def drain(connection, _number):
    """Reads forever, and never answers."""
    while connection.recv(65536):
        pass
