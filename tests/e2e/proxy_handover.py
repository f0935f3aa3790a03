"""A running weir-proxy is replaced by a new one, and sockets come from a service
manager: no connection is lost."""

import concurrent.futures
import contextlib
import ctypes
import os
import resource
import select
import signal
import socket
import struct
import sys
import tempfile

from harness import (ENV, WAIT_S, Program, Skip, command, equal, matches,
                     read_line, run)
from proxy_churn import Churn
from proxy_wait import wait_until
from proxying import PROXY, Proxy, handed_on, port_of, target
from servers import Server, echo, echoes, free_port


class Scrapers(Churn):
    """Clients that request the operator's page repeatedly."""

    def talk(self, client):
        client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        answer = b""
        while part := client.recv(4096):
            answer += part
        assert answer.endswith(b"ok\n"), f"the page: {answer}"


def test_a_running_proxy_is_replaced_without_a_failed_connection():
    """Proxies with different numbers of threads replace each other on all addresses,
    under load; with one address for their metrics."""
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        address = f"tcp://*:{free_port()}"
        path = os.path.join(folder, "handover")
        admin = str(free_port())

        def start(count):
            return Proxy(address, target(server), "--handover", path, "--admin",
                         admin, threads=count, admin=False)

        current = start(4)
        with current.connect() as old, Churn(current.port) as churn, \
                Scrapers(int(admin)) as scrapers:
            old.sendall(b"a")
            equal(old.recv(1), b"a", "the echo")
            first = current
            for count in (1, 3, 2):
                churn.wait_for(50)
                following = start(count)
                if current is not first:
                    equal(current.finish(2 * WAIT_S)[0], 0, "exit status")
                    current.__exit__(None)
                current = following
            churn.wait_for(50)
            for each in (churn, scrapers):
                equal(each.failed, [], f"failed, after {each.done} were served")
            equal(first.process.poll(), None, "the first serves its client")
            old.sendall(b"b")
            equal(old.recv(1), b"b", "the echo by the first proxy")
        equal(first.finish(2 * WAIT_S)[0], 0, "exit status of the first")
        first.__exit__(None)
        current.__exit__(None)


def waits(thread):
    """Returns True if it waits in io_uring_enter(), epoll_wait() or a similar call."""
    try:
        with open(f"/proc/{thread}/syscall", encoding="ascii") as file:
            return file.read().split()[0] in ("426", "232", "281", "441", "22")
    except PermissionError as error:
        raise Skip("nobody may see in which call it waits") from error
    except OSError:
        return False # it has ended


class Stepped:
    """A thread of a program, which stops at the end of each system call."""

    SEIZE, INTERRUPT, SYSCALL, DETACH = 0x4206, 0x4207, 24, 17
    ANY_THREAD = 0x40000000

    def __init__(self, thread):
        self.thread = thread
        self.libc = ctypes.CDLL(None)
        self.has_ended = self.is_stopped = self.is_inside = False
        if self.ask(self.SEIZE, 1) < 0:
            raise Skip("no process may be traced here")
        self.ask(self.INTERRUPT)
        self.look(0)

    def ask(self, request, data=0):
        return self.libc.ptrace(request, self.thread, None,
                                ctypes.c_void_p(data))

    def look(self, flags):
        """Returns True if it has stopped, at a system call."""
        thread, status = os.waitpid(self.thread, self.ANY_THREAD | flags)
        if thread:
            self.has_ended = not os.WIFSTOPPED(status)
            self.is_stopped = not self.has_ended
        return thread and self.is_stopped and (
            os.WSTOPSIG(status) == signal.SIGTRAP | 0x80)

    def step(self):
        """Runs to the end of the next system call. Returns False if it waits in one, or
        has ended."""
        while not self.has_ended:
            if self.is_stopped:
                self.ask(self.SYSCALL)
                self.is_stopped = False
            if self.look(os.WNOHANG):
                self.is_inside = not self.is_inside
                if not self.is_inside:
                    return True
            elif not self.is_stopped and waits(self.thread):
                return False
        return False

    def leave(self):
        if not self.is_stopped and not self.has_ended:
            self.ask(self.INTERRUPT)
            self.look(0)
        self.ask(self.DETACH)


def test_a_lone_client_of_any_moment_of_a_replacement_is_served():
    """The old proxy and the new one accept from the same sockets. After each system
    call of the old one a client connects to a separate socket."""
    hosts = [f"127.0.0.{number}" for number in range(2, 34)]
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        port = free_port()
        flags = [flag for host in hosts
                 for flag in ("--listen", f"tcp://{host}:{port}")]
        flags += ["--to", target(server), "--handover", f"{folder}/handover"]
        with Proxy(*flags, admin=False) as first, \
                contextlib.ExitStack() as stack, \
                concurrent.futures.ThreadPoolExecutor() as pool:
            threads = f"/proc/{first.process.pid}/task"
            wait_until(lambda: any(map(waits, os.listdir(threads))))
            stepped = Stepped(int(next(filter(waits, os.listdir(threads)))))
            second = pool.submit(Proxy, *flags, admin=False)
            while not select.select([first.process.stderr], [], [], 0)[0]:
                stepped.step()  # until it prints that another one serves
            clients = []
            for host in hosts:
                clients.append(stack.enter_context(socket.create_connection(
                    (host, port), timeout=WAIT_S)))
                stepped.step()
            stepped.leave()
            for client in clients:
                echoes(client)
            stack.close()
            second.result().__exit__(None)


def test_a_second_proxy_is_refused_where_nothing_is_handed_over():
    with Server(echo) as server:
        address = f"tcp://127.0.0.1:{free_port()}"
        with Proxy(address, target(server)):
            outcome = command(PROXY, address, target(server))
    equal((outcome.status, outcome.out), (1, ""), "the outcome")
    equal("in use" in outcome.err, True, outcome.err)


def test_a_path_where_no_socket_can_be_made_ends_the_start():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        path = os.path.join(folder, "precious")
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        for word in "--handover", "--ctl":
            for where, why in ((path, "already exists as a file"),
                               (f"{folder}/missing/a", "No such file")):
                for flags in ((), ("--test",)):
                    outcome = command(PROXY, "tcp://127.0.0.1:0",
                                      target(server), word, where, *flags)
                    equal(outcome.status, 2, f"exit code with {word} {where}")
                    matches(outcome.err, f"^weir-proxy: {word[2:]}: .*{why}")
        with open(path, encoding="ascii") as file:
            equal(file.read(), "precious", "the file")


@contextlib.contextmanager
def predecessor(folder, *flags):
    """A proxy at the path of this folder that is about to hand over, as the new one
    sees it. Yields its end, once the new one has sent its request."""
    path = os.path.join(folder, "handover")
    with Server(echo) as server, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(WAIT_S)
        with Program(PROXY, "--threads", "1", "tcp://127.0.0.1:0",
                     target(server), "--handover", path, *flags) as program:
            peer, _ = listener.accept()
            peer.settimeout(WAIT_S)
            with peer:
                yield program, path, peer


def serves(program):
    """Checks that the proxy serves, and that it exits with 0 on SIGTERM."""
    port = port_of(program.process.stderr)
    with socket.create_connection(("127.0.0.1", port),
                                  timeout=WAIT_S) as client:
        echoes(client)
    program.signal(signal.SIGTERM)
    equal(program.finish()[0], 0, "exit status")


def test_a_file_in_the_place_of_the_predecessor_stays():
    with tempfile.TemporaryDirectory() as folder:
        with predecessor(folder) as (program, path, peer):
            os.unlink(path)
            with open(path, "w", encoding="ascii") as file:
                file.write("precious")
            peer.sendall(b".")
            equal(peer.recv(1), b"", "it does not say that it serves")
            status, _, err = program.finish(WAIT_S)
            equal(status, 1, "exit code")
            matches(err, "handover: .* in use$")
            with open(path, encoding="ascii") as file:
                equal(file.read(), "precious", "the file")


def test_items_of_another_version_are_passed_over():
    """States and keys whose size is not this version's."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in (b"S", b"K"):
            with predecessor(folder) as (program, _, peer):
                peer.sendall(kind + struct.pack("=QQ", 2, 24) + bytes(48))
                peer.sendall(kind + struct.pack("=QQ", 0, 16) + b".")
                equal(peer.recv(1), b"R", "what it says when it is ready")
                serves(program)


def test_an_order_waits_until_the_predecessor_accepts_no_more():
    """The predecessor would not know the order. Its end of stream shows that it accepts
    no more."""
    with tempfile.TemporaryDirectory() as folder:
        control = (PROXY, "--ctl", f"{folder}/ctl")
        with predecessor(folder, "--ctl", f"{folder}/ctl") as (program, _,
                                                               peer):
            peer.sendall(b".")
            equal(peer.recv(1), b"R", "what it says when it is ready")
            states = command(*control, "status").out
            name = states.split()[0]
            with Program(*control, "drain", name) as order:
                for _ in range(20):
                    equal(command(*control, "status").out, states, "the states")
                equal(order.process.poll(), None, "the end of the order")
                peer.close()
                equal(order.finish()[0], 0, "exit status of the order")
            matches(command(*control, "status").out, f"^{name} draining")
            program.signal(signal.SIGTERM)
            equal(program.finish()[0], 0, "exit status")


def take_sockets(peer):
    """Returns the listening sockets of that proxy, like a successor that then
    serves."""
    listeners, data = [], b""
    while not data.endswith(b"."):
        part, fds, _, _ = socket.recv_fds(peer, 4096, 64)
        equal(part != b"", True, "it goes on")
        listeners += [socket.socket(fileno=fd) for fd in fds]
        data += part
    peer.sendall(b"R")
    return listeners


def test_a_proxy_says_that_it_accepts_no_more_when_no_thread_does():
    """A client that connects then belongs to the successor; one thread is late."""
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server, \
            Proxy("tcp://127.0.0.1:0", target(server), "--handover",
                  f"{folder}/handover", threads=2, admin=False) as proxy, \
            contextlib.ExitStack() as stack:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(WAIT_S)
            peer.connect(f"{folder}/handover")
            threads = f"/proc/{proxy.process.pid}/task"
            wait_until(lambda: len([*filter(waits, os.listdir(threads))]) == 2)
            late = Stepped(max(map(int, os.listdir(threads))))
            try:
                listeners = [stack.enter_context(one)
                             for one in take_sockets(peer)]
                matches(read_line(proxy.process.stderr), "another proxy serves")
                equal(select.select([peer], [], [], 0.1)[0], [], "its end")
            finally:
                late.leave()
            equal(peer.recv(1), b"", "its end")
        for _ in range(20):
            client = stack.enter_context(proxy.connect())
            ready = select.select(listeners, [], [], WAIT_S)[0]
            equal(len(ready) > 0, True, "who accepts a client")
            ready[0].accept()[0].close()
            equal(client.recv(1), b"", "the end by who has accepted it")


def test_a_signal_before_it_serves_is_obeyed_then():
    with tempfile.TemporaryDirectory() as folder:
        with predecessor(folder) as (program, _, peer):
            for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                program.signal(signum)
            peer.sendall(b".")
            while "was read again" not in read_line(program.process.stderr):
                pass
            program.signal(signal.SIGTERM)
            equal(program.finish()[0], 0, "exit status")


def test_signals_after_its_loops_end_nothing():
    reader, writer = os.pipe()
    with Server(echo) as server, open(reader, "rb", 0) as said, Program(
            PROXY, "--threads", "1", "tcp://127.0.0.1:0", target(server),
            "--drain", "1ms", stderr=writer) as program:
        port = port_of(said)
        os.set_blocking(writer, False)
        with socket.create_connection(("127.0.0.1", port),
                                      timeout=WAIT_S) as client:
            echoes(client)
            with contextlib.suppress(BlockingIOError):
                while os.write(writer, bytes(4096)):
                    pass
            os.set_blocking(writer, True)
            program.signal(signal.SIGTERM)
            # "connections were cut off" is its last line, and must wait.
            wait_until(lambda: writes_to_stderr(program.process.pid))
        for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
                       signal.SIGTERM, signal.SIGINT):
            program.signal(signum)
        os.close(writer)
        matches(said.read().decode(), r"connections were cut off")
        equal(program.finish()[0], 0, "exit status")


def writes_to_stderr(pid):
    """Returns True if the process waits in a write(2) to its standard error."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            words = file.read().split()
    except OSError as error:
        raise Skip(f"nobody may see what it waits for: {error}") from error
    return words[:2] in (["1", "0x2"], ["64", "0x2"])


def test_files_of_unix_sockets_go_with_the_last_proxy():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        flags = ("--listen", f"unix:{folder}/served", "--to", target(server),
                 "--handover", f"{folder}/handover")
        first = Proxy(*flags, threads=2)
        second = Proxy(*flags)
        equal(first.finish(2 * WAIT_S)[0], 0, "exit status of the first")
        first.__exit__(None)
        equal(sorted(os.listdir(folder)), ["handover", "served"], "the files")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{folder}/served")
            echoes(client)
        with second:
            pass
        equal(os.listdir(folder), [], "the files after the end")


def test_a_stranger_gets_no_socket():
    if os.geteuid() != 0:
        raise Skip("only root can be somebody else")
    name = f"weir-proxy-test-{os.getpid()}"
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       "--handover", "@" + name) as proxy:
        outcome = command(sys.executable, "-c", f"""
import os, socket
os.setuid(65534)
sock = socket.socket(socket.AF_UNIX)
sock.settimeout({WAIT_S})
sock.connect({chr(0) + name!r})
try:
    print(socket.recv_fds(sock, 1, 8)[:2])
except ConnectionError:
    print("refused")
""")
        equal(outcome.out in ("refused\n", "(b'', [])\n"), True,
              f"what a stranger gets: {outcome.out} {outcome.err}")
        with proxy.connect() as client:
            echoes(client)


def test_signals_while_it_drains_end_nothing():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       threads=4) as proxy:
        with proxy.connect() as client:
            echoes(client)
            proxy.signal(signal.SIGTERM)
            for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2) * 3:
                proxy.signal(signum)
                echoes(client, b"y")
        equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")


def test_a_successor_that_goes_again_leaves_the_proxy_serving():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        path = os.path.join(folder, "handover")
        with Proxy("tcp://127.0.0.1:0", target(server), "--handover",
                   path) as proxy:
            with socket.socket(socket.AF_UNIX) as successor:
                successor.connect(path)
                successor.recv(1)
            line = read_line(proxy.process.stderr)
            equal("continues to serve" in line, True, line)
            with proxy.connect() as client:
                echoes(client)


def test_a_proxy_without_descriptors_is_replaced_when_it_has_some():
    """Meanwhile the successor waits for the sockets."""
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        flags = (f"tcp://127.0.0.1:{free_port()}", target(server),
                 "--handover", f"{folder}/handover")
        with Proxy(*flags, admin=False) as old:
            before = resource.prlimit(old.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(old.process.pid, resource.RLIMIT_NOFILE,
                             (3, before[1]))
            with Program(PROXY, *flags) as new:
                wait_until(lambda: new.process.poll() is not None
                           or receives(new.process.pid))
                resource.prlimit(old.process.pid, resource.RLIMIT_NOFILE,
                                 before)
                serves(new)
            equal(old.finish(2 * WAIT_S)[0], 0, "exit status")


def test_a_proxy_with_few_descriptors_left_gives_its_sockets_one_by_one():
    """One is for the successor's connection, and two are for the sockets of eight
    threads."""
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        flags = (f"tcp://127.0.0.1:{free_port()}", target(server),
                 "--handover", f"{folder}/handover")
        with Proxy(*flags, admin=False, threads=8) as old:
            pid = old.process.pid
            used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
            free = [fd for fd in range(len(used) + 3) if fd not in used]
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE,
                             (free[2] + 1, before[1]))
            with Proxy(*flags, admin=False) as new:
                equal(old.finish(2 * WAIT_S)[0], 0, "exit status")
                with new.connect() as client:
                    echoes(client)


def receives(pid):
    """Returns True if the process waits in recvmsg(2)."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            return file.read().split()[0] in ("47", "212")
    except PermissionError as error:
        raise Skip("nobody may see in which call it waits") from error
    except OSError:
        return False


def test_a_second_successor_is_refused_while_the_first_starts():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        path = os.path.join(folder, "handover")
        flags = (f"tcp://127.0.0.1:{free_port()}", target(server),
                 "--handover", path)
        with Proxy(*flags) as proxy, socket.socket(socket.AF_UNIX) as first:
            first.connect(path)
            first.recv(1)
            outcome = command(PROXY, *flags)
            equal(outcome.status, 1, f"exit status, with {outcome.err}")
            matches(outcome.err, "in use")
            matches(read_line(proxy.process.stderr),
                    "another process requested the sockets while a new proxy")
            first.close()
            matches(read_line(proxy.process.stderr), "continues to serve")
            following = Proxy(*flags)
            equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")
            following.__exit__(None)


def expect_told(folder, name):
    with Server(echo) as server, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(f"{folder}/notify")
        notify.settimeout(WAIT_S)
        flags = (f"tcp://127.0.0.1:{free_port()}", target(server),
                 "--handover", name)
        env = dict(ENV, NOTIFY_SOCKET=f"{folder}/notify")
        first = Proxy(*flags, admin=False, env=env)
        second = Proxy(*flags, admin=False, env=env)
        equal([notify.recv(100) for _ in range(2)],
              [b"READY=1", b"MAINPID=%d\nREADY=1" % second.process.pid],
              "what systemd is told")
        equal(first.finish(2 * WAIT_S)[0], 0, "exit status")
        first.__exit__(None)
        second.__exit__(None)
        equal(notify.recv(100), b"STOPPING=1", "what it is told of the second")


def test_a_service_manager_is_told_of_the_successor_before_the_end():
    with tempfile.TemporaryDirectory() as folder:
        expect_told(folder, f"{folder}/handover")
    with tempfile.TemporaryDirectory() as folder:
        expect_told(folder, f"@weir-proxy-told-{os.getpid()}")


def test_sockets_of_a_service_manager_are_served():
    with Server(echo) as server, socket.create_server(
            ("127.0.0.1", 0)) as listener, socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        port = listener.getsockname()[1]
        notify.bind("\0weir-proxy-notify-%d" % os.getpid())
        notify.settimeout(WAIT_S)
        with handed_on([listener], "--threads", "2", f"tcp://127.0.0.1:{port}",
                       target(server), env=dict(
                           os.environ, NOTIFY_SOCKET="@"
                           + notify.getsockname()[1:].decode())) as program:
            equal(notify.recv(100), b"READY=1", "what systemd is told")
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", port),
                                              timeout=WAIT_S) as client:
                    echoes(client)
            program.signal(signal.SIGTERM)
            equal(program.finish()[0], 0, "exit status")


run(globals(), short="a_running_proxy_is_replaced_without_a_failed_connection")
