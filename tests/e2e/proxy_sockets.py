"""Sockets that weir-proxy gets from a service manager, as the kernel has bound them:
for both families, for one, inside IPv6, by path and by name; and IPv4 clients of a
socket for both families."""

import contextlib
import os
import re
import signal
import socket
import tempfile

from harness import WAIT_S, Skip, equal, matches, read_line, run
from proxying import Proxy, handed_on, port_of, target
from servers import Server, drain, echo, echoes, free_port, read_exactly

@contextlib.contextmanager
def passed(listeners, *flags, folder):
    """Starts a proxy with these sockets. Yields it once it serves, with its output so
    far."""
    log = os.path.join(folder, "log")
    with handed_on(listeners, "--threads", "2", "--log", log, *flags,
                   cwd=folder) as program:
        said = []
        while not said or " serves " not in said[-1]:
            said.append(read_line(program.process.stderr))
        yield program, said
        program.signal(signal.SIGTERM)
        equal(program.finish(2 * WAIT_S)[0], 0, "exit status")


def listener_at(family, address, v6only=0):
    listener = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    listener.bind(address)
    listener.listen(64)
    return listener


def dual():
    try:
        return listener_at(socket.AF_INET6, ("::", 0))
    except OSError as error:
        raise Skip("no IPv6 here") from error


def use(family, address):
    with socket.socket(family) as client:
        client.settimeout(WAIT_S)
        client.connect(address)
        echoes(client)


def test_a_socket_for_both_families_is_that_of_all_addresses():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server, \
            dual() as listener:
        port = listener.getsockname()[1]
        for listen in (f"tcp://:{port}", f"tcp://*:{port}",
                       f"tcp://0.0.0.0:{port}", f"tcp://[::]:{port}"):
            with passed([listener], listen, target(server), folder=folder):
                use(socket.AF_INET, ("127.0.0.1", port))
                use(socket.AF_INET6, ("::1", port))


def test_a_socket_for_ipv6_alone_leaves_the_other_family_to_the_proxy():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        dual().close()
        port = free_port()  # for IPv4, too
        with listener_at(socket.AF_INET6, ("::", port), v6only=1) as listener:
            with passed([listener], f"tcp://:{port}", target(server),
                        folder=folder):
                use(socket.AF_INET, ("127.0.0.1", port))
                use(socket.AF_INET6, ("::1", port))


def test_a_socket_for_both_is_not_taken_for_that_of_another_service():
    with Server(echo) as server, dual() as listener:
        port = listener.getsockname()[1]
        with handed_on([listener], "--listen", f"tcp://[::]:{port}", "--to",
                       target(server), "--listen", f"tcp://0.0.0.0:{port}",
                       "--to", target(server)) as program:
            status, _, err = program.finish()
            equal(status, 1, "exit status")
            matches(err, "also accepts IPv4")
            matches(err, "in use")


def test_an_ipv4_address_inside_ipv6_is_one_of_ipv4():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        dual().close()
        with listener_at(socket.AF_INET6, ("::ffff:127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with passed([listener], f"tcp://127.0.0.1:{port}", target(server),
                        folder=folder):
                use(socket.AF_INET, ("127.0.0.1", port))
        with Proxy("tcp://[::ffff:127.0.0.1]:0", target(server)) as proxy:
            use(socket.AF_INET, ("127.0.0.1", proxy.port))


def test_unix_sockets_are_found_by_their_file_or_name():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        path = os.path.join(folder, "s")
        link = os.path.join(folder, "link")
        os.symlink(folder, link)
        with listener_at(socket.AF_UNIX, path) as listener:
            for spelling in (path, f"{folder}//s", f"{folder}/./s",
                             f"{link}/s", "s"):
                with passed([listener], f"unix:{spelling}", target(server),
                            folder=folder):
                    use(socket.AF_UNIX, path)
                equal(os.path.exists(path), True, "the manager's file")
        name = f"weir-passed-{os.getpid()}"
        with listener_at(socket.AF_UNIX, "\0" + name) as listener:
            with passed([listener], f"unix:@{name}", target(server),
                        folder=folder):
                use(socket.AF_UNIX, "\0" + name)


def test_what_is_no_listening_stream_is_told():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server, \
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets:
        path = os.path.join(folder, "s")
        packets.bind(path)
        packets.listen()
        with passed([packets], "tcp://127.0.0.1:0", target(server),
                    folder=folder) as (_, said):
            matches("".join(said), "is bound to no address of the configuration")


def test_a_socket_for_both_families_goes_to_a_successor():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server, \
            dual() as listener:
        port = listener.getsockname()[1]
        flags = (f"tcp://:{port}", target(server), "--handover",
                 os.path.join(folder, "handover"))
        with handed_on([listener], *flags) as first:
            port_of(first.process.stderr)
            with Proxy(*flags, admin=False):
                equal(first.finish(2 * WAIT_S)[0], 0, "exit status")
                use(socket.AF_INET, ("127.0.0.1", port))
                use(socket.AF_INET6, ("::1", port))


# ---- clients of IPv4 at such a socket ----

def test_ipv4_clients_are_told_as_such():
    heads = []

    def note_header(connection, _number):
        heads.append(connection.recv(4096))
        connection.sendall(b"x")
        drain(connection, 0)

    with tempfile.TemporaryDirectory() as folder, Server(note_header) as server, \
            dual() as listener:
        port = listener.getsockname()[1]
        for version, form in (
                ("v1", rb"PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ %d\r\n"
                 % port),
                ("v2", rb"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
                 rb"\x7f\0\0\x01\x7f\0\0\x01..%s"
                 % re.escape(port.to_bytes(2, "big")))):
            heads.clear()
            with passed([listener], f"tcp://:{port}", target(server),
                        "--send-proxy", version, folder=folder):
                with socket.create_connection(("127.0.0.1", port),
                                              timeout=WAIT_S) as client:
                    client.sendall(b"y")
                    read_exactly(client, 1)
            equal(bool(re.match(form, heads[0], re.S)), True, heads[0])
        with open(os.path.join(folder, "log"), encoding="utf-8") as log:
            equal([re.sub(r":\d+", "", line.split()[1]) for line in log],
                  ["127.0.0.1"] * 2, "the log")


def test_ipv4_clients_are_trusted_and_balanced_as_such():
    names = []

    def note(connection, _number):
        names.append(connection.getsockname()[1])
        echo(connection, 0)

    with tempfile.TemporaryDirectory() as folder, \
            contextlib.ExitStack() as stack, dual() as listener:
        servers = [stack.enter_context(Server(note)) for _ in range(8)]
        to = ",".join(target(server) for server in servers)
        port = listener.getsockname()[1]
        with passed([listener], f"tcp://:{port}", to, "--balance", "source",
                    "--accept-proxy", "any", "--trust", "127.0.0.0/8",
                    folder=folder):
            for header in (b"PROXY UNKNOWN\r\n",
                           b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
                           b"PROXY TCP6 ::ffff:127.0.0.1 ::ffff:127.0.0.1 1 2"
                           b"\r\n"):
                with socket.create_connection(("127.0.0.1", port),
                                              timeout=WAIT_S) as client:
                    client.sendall(header)
                    echoes(client)
        equal(len(set(names)), 1, "targets of one client")


run(globals())
