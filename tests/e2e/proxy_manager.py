"""weir-proxy's notifications to a service manager, which is a socket of this test: that
it serves and that it ends, and with a watchdog that all of its threads run."""

import contextlib
import ctypes
import os
import socket
import struct
import tempfile
import time

from harness import ENV, WAIT_S, Skip, equal, is_sanitized, matches, run
from proxy_wait import wait_until
from proxying import PROXY, Proxy, read_again, target, told
from servers import Server, echo, echoes, free_port

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
BEAT = b"WATCHDOG=1"


class Manager:
    """The socket, and the notifications of each process."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(WAIT_S)
        self.path = os.path.join(self.folder.name, "notify")
        self.socket.bind(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.folder.cleanup()

    def env(self, **more):
        return dict(ENV, NOTIFY_SOCKET=self.path, **more)

    def hear(self):
        """Returns the next notification, and its sender."""
        words, control, *_ = self.socket.recvmsg(200, 64)
        return words, struct.unpack("iII", control[0][2])[0]

    def hear_besides_beats(self):
        while (heard := self.hear())[0] == BEAT:
            pass
        return heard

    def hear_beats(self, pid, count):
        """Waits for this many watchdog notifications of a process, among others."""
        while count > 0:
            count -= self.hear() == (BEAT, pid)

    def hear_all(self):
        """Returns all notifications that have arrived."""
        heard = []
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(self.hear())
        self.socket.settimeout(WAIT_S)
        return heard


def flags(server, *more):
    return (f"tcp://127.0.0.1:{free_port()}", target(server), *more)


def watched(time_us, **more):
    """Returns the environment for a watchdog, for any process."""
    return dict(WATCHDOG_USEC=str(time_us), **more)


def test_a_stop_is_told_when_it_begins():
    """The manager is notified while a connection is still open."""
    with Manager() as manager, Server(echo) as server, Proxy(
            *flags(server), threads=2, env=manager.env()) as proxy:
        pid = proxy.process.pid
        with proxy.connect() as client:
            echoes(client)
            proxy.signal(15)
            equal([manager.hear() for _ in range(2)],
                  [(b"READY=1", pid), (b"STOPPING=1", pid)],
                  "what the manager is told")
            echoes(client)
        equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")
        equal(manager.hear_all(), [], "what it is told besides")


def test_it_is_told_out_of_another_root():
    """The other root has no path to the manager; the user may not access it."""
    if os.geteuid() != 0 or is_sanitized(PROXY):
        raise Skip("it is not root, or a sanitizer needs /proc")
    with Manager() as manager, Server(echo) as server, \
            tempfile.TemporaryDirectory() as root, Proxy(
                *flags(server, "--chroot", root, "--user", "nobody"), threads=2,
                env=manager.env(**watched(40_000))) as proxy:
        pid = proxy.process.pid
        equal(manager.hear(), (b"READY=1", pid), "the beginning")
        manager.hear_beats(pid, 3)
        read_again(proxy)
        equal(manager.hear_besides_beats()[0][:12], b"RELOADING=1\n",
              "what is told of SIGHUP")
        equal(manager.hear_besides_beats(), (b"READY=1", pid), "its end")
        proxy.stop()
        equal(manager.hear_besides_beats(), (b"STOPPING=1", pid), "the end")


def test_the_watchdog_is_fed_and_during_a_drain_too():
    with Manager() as manager, Server(echo) as server, Proxy(
            *flags(server), threads=3,
            env=manager.env(**watched(40_000))) as proxy:
        pid = proxy.process.pid
        with proxy.connect() as client:
            echoes(client)
            equal(manager.hear(), (b"READY=1", pid), "the beginning")
            manager.hear_beats(pid, 5)
            proxy.signal(15)
            equal(manager.hear_besides_beats(), (b"STOPPING=1", pid),
                  "the stop")
            manager.hear_beats(pid, 5)
        equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")


def test_a_watchdog_of_another_process_or_of_none_is_not_fed():
    for more in (watched(20_000, WATCHDOG_PID="1"), watched("soon"), {}):
        with Manager() as manager, Server(echo) as server, Proxy(
                *flags(server), env=manager.env(**more)) as proxy:
            pid = proxy.process.pid
            with proxy.connect() as client:
                echoes(client)
            proxy.stop()
            equal(manager.hear_all(), [(b"READY=1", pid),
                                       (b"STOPPING=1", pid)],
                  f"what is told with {more}")


def test_a_successor_feeds_the_watchdog_of_the_service():
    """The manager passes the watchdog's time only to the process that it starts
    itself."""
    with Manager() as manager, Server(echo) as server, \
            tempfile.TemporaryDirectory() as folder:
        common = flags(server, "--handover", os.path.join(folder, "handover"))
        first = Proxy(*common, admin=False,
                      env=manager.env(**watched(40_000)))
        second = Proxy(*common, admin=False, env=manager.env())
        equal(first.finish(2 * WAIT_S)[0], 0, "exit status")
        first.__exit__(None)
        manager.hear_beats(second.process.pid, 5)
        third = Proxy(*common, admin=False, env=manager.env())
        equal(second.finish(2 * WAIT_S)[0], 0, "exit status")
        second.__exit__(None)
        manager.hear_beats(third.process.pid, 5)
        manager.hear_all()
        third.__exit__(None)
        equal(manager.hear_besides_beats(),
              (b"STOPPING=1", third.process.pid), "the end of the last")


def test_a_replaced_proxy_feeds_no_watchdog():
    """A replaced proxy that feeds the watchdog would hide that its successor hangs, for
    as long as it drains."""
    with Manager() as manager, Server(echo) as server, \
            tempfile.TemporaryDirectory() as folder:
        common = flags(server, "--handover", os.path.join(folder, "handover"))
        first = Proxy(*common, admin=False,
                      env=manager.env(**watched(20_000)))
        with first.connect() as client:
            echoes(client)
            second = Proxy(*common, admin=False, env=manager.env())
            told(first, "another proxy serves")
            manager.hear_all()
            heard = [manager.hear() for _ in range(20)]
            equal(set(heard), {(BEAT, second.process.pid)}, "the beats")
            echoes(client)
        equal(first.finish(2 * WAIT_S)[0], 0, "exit status")
        first.__exit__(None)
        second.__exit__(None)


# ---- a thread that hangs ----

@contextlib.contextmanager
def held_up(pid, tid):
    """One thread of a process does not continue."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p,
                            ctypes.c_void_p]
    if libc.ptrace(PTRACE_SEIZE, tid, None, None) != 0:
        raise Skip("processes may not be traced here")
    libc.ptrace(PTRACE_INTERRUPT, tid, None, None)
    os.waitpid(tid, WALL)
    assert os.path.isdir(f"/proc/{pid}/task/{tid}"), "no thread of it"
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, tid, None, None)


def test_the_watchdog_is_not_fed_while_one_of_the_threads_hangs():
    with Manager() as manager, Server(echo) as server, Proxy(
            *flags(server), threads=3,
            env=manager.env(**watched(20_000))) as proxy:
        pid = proxy.process.pid
        threads = sorted(int(tid) for tid in
                         os.listdir(f"/proc/{pid}/task") if int(tid) != pid)
        equal(len(threads) >= 2, True, f"threads {threads}")
        manager.hear_beats(pid, 3)
        with held_up(pid, threads[-1]):
            # The last thread may have been checked for a notification that is still to
            # come.
            manager.hear_all()
            manager.socket.settimeout(1)
            count = 0
            with contextlib.suppress(TimeoutError):
                while count < 100:
                    manager.hear()
                    count += 1
            equal(count <= 1, True, f"{count} beats")
            manager.socket.settimeout(WAIT_S)
        manager.hear_beats(pid, 3)
        wait_until(lambda: proxy.metric("connections_active") == 0)


def test_it_is_told_that_the_configuration_is_read_again():
    with Manager() as manager, Server(echo) as server, Proxy(
            *flags(server), env=manager.env(), threads=2) as proxy:
        equal(manager.hear(), (b"READY=1", proxy.process.pid), "the start")
        for _ in range(2):
            before = time.monotonic_ns() // 1000
            read_again(proxy)
            proxy.said.clear()
            words = manager.hear()[0].decode()
            matches(words, r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
            equal(before <= int(words.rpartition("=")[2]) <=
                  time.monotonic_ns() // 1000, True, "the time")
            equal(manager.hear(), (b"READY=1", proxy.process.pid), "its end")


run(globals())
