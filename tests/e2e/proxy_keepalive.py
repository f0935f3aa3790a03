"""weir-proxy's keepalive, as set in the kernel for the sockets of the running proxy:
accepted ones, from any listener, and those to its targets."""

import contextlib
import ctypes
import os
import socket
import tempfile
import time

from harness import WAIT_S, Skip, equal, run
from proxy_certificates import certificates, client_context
from proxying import Proxy, handed_on, port_of, target
from servers import Server, echo, echoes, free_port

PIDFD_GETFD = 438


def sockets_of(pid):
    """Returns duplicates of all connected sockets of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            fd = libc.syscall(PIDFD_GETFD, process, int(name), 0)
            if fd < 0:
                raise Skip("no descriptors of other processes: "
                           + os.strerror(ctypes.get_errno()))
            found.append(socket.socket(fileno=fd))
    os.close(process)
    return found


def keepalive_of(sock):
    """Returns seconds, seconds and a number, or None if it is off."""
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
        return None
    return tuple(sock.getsockopt(socket.IPPROTO_TCP, name) for name in (
        socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT))


def both_sides(pid, port, server):
    """Returns the settings of the sockets of one connection: to its client, to its
    target."""
    found = {}
    for sock in sockets_of(pid):
        with contextlib.closing(sock), contextlib.suppress(OSError):
            peer = sock.getpeername()
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                if peer[1] == server.port:
                    found["target"] = keepalive_of(sock)
                elif sock.getsockname()[1] == port:
                    found["client"] = keepalive_of(sock)
    return found.get("client", "none"), found.get("target", "none")


def wait_for(pid, port, server, wanted, what):
    """The target's socket gets it some time after the connection has started."""
    deadline = time.monotonic() + WAIT_S
    found = both_sides(pid, port, server)
    while found != (wanted, wanted) and time.monotonic() < deadline:
        time.sleep(0.05)
        found = both_sides(pid, port, server)
    equal(found, (wanted, wanted), what)


def expect(flags, wanted, listen="tcp://127.0.0.1:0", secure=False):
    with Server(echo) as server, Proxy(
            "--listen", listen, *flags, "--to", target(server)) as proxy:
        with proxy.connect() as client:
            if secure:
                client = client_context().wrap_socket(
                    client, server_hostname="proxy.test")
            echoes(client)
            wait_for(proxy.process.pid, proxy.port, server, wanted,
                     f"both sides with {flags}")
            client.close()


def test_both_sides_are_asked_after_five_minutes():
    expect((), (300, 30, 4))


def test_the_times_are_as_they_are_told():
    expect(("--keepalive", "7s:2s:3"), (7, 2, 3))
    expect(("--keepalive", "2m"), (120, 30, 4))
    expect(("--keepalive", "1500ms:1ms:127"), (2, 1, 127))


def test_nobody_is_asked_where_it_is_off():
    expect(("--keepalive", "off"), None)


def test_clients_with_tls_are_asked_as_well():
    expect(("--cert", certificates()["proxy"]), (300, 30, 4),
           listen="tls://127.0.0.1:0", secure=True)


def test_clients_of_a_passed_socket_are_asked_as_well():
    with Server(echo) as server, socket.create_server(
            ("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        early = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        with handed_on([listener], "--threads", "1", f"tcp://127.0.0.1:{port}",
                       target(server), "--keepalive", "9s:2s:5") as program:
            port_of(program.process.stderr)
            for client in (early, socket.create_connection(
                    ("127.0.0.1", port), timeout=WAIT_S)):
                with client:
                    echoes(client)
                    wait_for(program.process.pid, port, server, (9, 2, 5),
                             "both sides")
            program.signal(15)
            equal(program.finish(2 * WAIT_S)[0], 0, "exit status")


def test_a_successor_asks_as_it_is_told():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        flags = (f"tcp://127.0.0.1:{free_port()}", target(server),
                 "--handover", os.path.join(folder, "handover"))
        first = Proxy(*flags, admin=False)
        for told, wanted in (("off", None), ("9s:2s:5", (9, 2, 5))):
            second = Proxy(*flags, "--keepalive", told, admin=False)
            equal(first.finish(2 * WAIT_S)[0], 0, "exit status")
            first.__exit__(None)
            with second.connect() as client:
                echoes(client)
                wait_for(second.process.pid, second.port, server, wanted, told)
            first = second
        first.__exit__(None)


run(globals())
