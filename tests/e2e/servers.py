"""Small servers that behave in one way, for weir-load to be tried against.

Each runs in a thread of the test and serves every connection in a thread of
its own with a function that gets the socket. When the block ends, the
listening socket and all connections are closed.
"""

import contextlib
import socket
import struct
import threading


class Server:
    """Calls serve(connection, number) for each connection."""

    def __init__(self, serve):
        self.serve = serve
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
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
        # Closing alone does not wake a thread that is inside accept().
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

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


class Refusing:
    """An address that nobody listens on, reserved for the block."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"tcp://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self.socket.close()


def reset(connection):
    """Close so that the peer gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
    connection.close()


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise OSError("the client has gone")
        data += part
    return data


def echo(connection, _number):
    while data := connection.recv(65536):
        connection.sendall(data)


def drain(connection, _number):
    """Read for ever, answer never."""
    while connection.recv(65536):
        pass
