"""PostgreSQL for the end-to-end tests: its programs, pairs of servers of which one
follows the other, and a client of its protocol."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import struct
import subprocess

from harness import WAIT_S, Program, Skip, command, equal
from proxy_wait import wait_until

READ_ONLY = "25006"  # the SQLSTATE of a write to a replica


def postgres_program(name):
    """Returns a program of the newest PostgreSQL."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
                   key=lambda path: float(path.parts[4]))
    if not found:
        raise Skip("PostgreSQL is not installed")
    return str(found[-1])


def other_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    with contextlib.suppress(KeyError):
        return {"user": pwd.getpwnam("postgres").pw_uid}
    return {"user": "nobody"}


# ---- a client ----

class Refusal(Exception):
    """A refusal by the server, with its SQLSTATE."""


class Client:
    """A connection of the user weir, with version 3 of the protocol."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=WAIT_S)
        self.file = self.socket.makefile("rb")
        words = b"user\0weir\0database\0postgres\0\0"
        self.socket.sendall(struct.pack("!ii", 8 + len(words), 196608) + words)
        self.read_answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def read_answer(self):
        """Returns the first column of all rows, up to ReadyForQuery."""
        rows = []
        code = None
        while True:
            head = self.file.read(5)
            if len(head) < 5:
                raise Refusal(code) if code else ConnectionResetError("an end")
            kind, size = struct.unpack("!ci", head)
            body = self.file.read(size - 4)
            if kind == b"E":
                code = next(field[1:].decode() for field in body.split(b"\0")
                            if field.startswith(b"C"))
            elif kind == b"D":
                rows.append(body[6:6 + struct.unpack("!i", body[2:6])[0]])
            elif kind == b"Z":
                if code:
                    raise Refusal(code)
                return rows

    def ask(self, query):
        text = query.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", 4 + len(text)) + text)
        return self.read_answer()


# ---- servers ----

def children_of(pid):
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text("ascii").split()]


class Server:
    """A server with its data in a folder, whose owner may run PostgreSQL."""

    def __init__(self, folder, host, port):
        self.user = other_user()
        self.data = os.path.join(folder, host)
        self.log_path = os.path.join(folder, host + ".log")
        self.folder = folder
        self.host = host
        self.port = port
        self.program = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.program:
            self.kill()

    def run(self, name, *flags):
        outcome = command(postgres_program(name), *flags, cwd=self.folder,
                          **self.user)
        equal(outcome.status, 0, f"{name}, which said {outcome.err}")

    def make(self):
        """Makes a new cluster."""
        self.run("initdb", "--no-sync", "-A", "trust", "-U", "weir", "-D",
                 self.data)

    def follow(self, leader):
        """Makes a copy of the leader, which follows it."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.run("pg_basebackup", "-h", leader.host, "-p", str(leader.port),
                 "-U", "weir", "-D", self.data, "-R", "--no-sync",
                 "--checkpoint=fast")
        self.start()

    def start(self):
        settings = {"port": self.port, "listen_addresses": self.host,
                    "unix_socket_directories": "", "fsync": "off",
                    "shared_buffers": "16MB", "wal_level": "replica",
                    "wal_receiver_timeout": "60s"}
        flags = [f"--{name}={value}" for name, value in settings.items()]
        with open(self.log_path, "ab") as log:
            self.program = Program(
                postgres_program("postgres"), "-D", self.data, *flags,
                cwd=self.folder, stdout=log, stderr=subprocess.STDOUT,
                **self.user)
        wait_until(self.answers)

    def answers(self):
        try:
            self.ask("SELECT 1")
            return True
        except (OSError, Refusal):
            return False

    def ask(self, query):
        with Client(self.host, self.port) as client:
            return client.ask(query)

    def stop(self):
        """It ends its clients; its followers have everything by then."""
        self.program.signal(signal.SIGINT)
        equal(self.program.finish()[0], 0, "exit status of PostgreSQL")
        self.program.__exit__()
        self.program = None

    def hang(self):
        """Like a host that has vanished: nothing answers, nothing ends."""
        pid = self.program.process.pid
        self.program.pause()
        for child in children_of(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)

    def kill(self):
        self.program.__exit__()
        self.program = None

    def refused_writes(self):
        """Returns the writes that have reached it while it was a replica."""
        text = pathlib.Path(self.log_path).read_text(errors="replace")
        return text.count("in a read-only transaction")
