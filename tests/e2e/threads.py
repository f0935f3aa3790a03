"""A service on several threads, seen from outside: one address, a listener for each
thread, one end."""

import glob
import signal
import socket

from harness import EXAMPLES, Program, equal, read_line, run
from servers import free_port, read_exactly

THREADS = 3


class Serving(Program):
    """The echo server with a thread for each loop."""

    def __init__(self):
        self.port = free_port()
        super().__init__(EXAMPLES["tcp_echo_server_threads"], str(self.port),
                         str(THREADS))
        lines = {read_line(self.process.stdout) for _ in range(THREADS)}
        equal(lines, {f"thread {i} serves\n" for i in range(THREADS)},
              "the lines of the start")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port))


def listener_count(port):
    """Returns the number of listening sockets of the port, from /proc/net/tcp."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return sum(row[1] == f"0100007F:{port:04X}" and row[3] == "0A"
               for row in rows)


def thread_names(pid):
    """Returns the names of threads, except the kernel's, which work for a ring."""
    names = []
    for path in glob.glob(f"/proc/{pid}/task/*/comm"):
        with open(path, encoding="ascii") as file:
            names.append(file.read().strip())
    return sorted(name for name in names if not name.startswith("iou-"))


def test_each_thread_listens_and_all_answer():
    with Serving() as server:
        equal(listener_count(server.port), THREADS, "listening sockets")
        equal(thread_names(server.process.pid),
              ["example-tcp_ech"] + [f"weir-{i}" for i in range(1, THREADS)],
              "the threads' names; the first is the program's own")
        clients = [server.connect() for _ in range(60)]
        for number, client in enumerate(clients):
            client.sendall(b"%08d" % number)
        for number, client in enumerate(clients):
            equal(read_exactly(client, 8), b"%08d" % number, "the echo")
            client.close()
        server.signal(signal.SIGTERM)
        equal(server.finish(), (0, "", ""), "the end")


def test_a_signal_ends_all_threads_and_their_clients_see_it():
    for signum in (signal.SIGINT, signal.SIGTERM):
        with Serving() as server:
            clients = [server.connect() for _ in range(20)]
            for client in clients:
                client.sendall(b"x")
                equal(read_exactly(client, 1), b"x", "the echo")
            server.signal(signum)
            for client in clients:
                equal(client.recv(1), b"", "the end of stream")
                client.close()
            equal(server.finish(), (0, "", ""), "the end")


def test_a_port_in_use_ends_all_threads_with_its_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Program(EXAMPLES["tcp_echo_server_threads"], str(port),
                     str(THREADS)) as program:
            status, out, err = program.finish()
    equal((status, out), (1, ""), "the outcome")
    equal("in use" in err, True, f"the error says why: {err}")


run(globals())
