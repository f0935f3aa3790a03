"""gdb lists the tasks of a program, both of a process and of its core.

The script is in tools/gdb; it needs libweir's debug information, which a release build
does not have. The program is the chat example: its tasks wait for connections and for
lines.
"""

import glob
import os
import re
import resource
import signal
import socket
import tempfile

from harness import (ExampleService, Program, Skip, command, equal, example,
                     is_sanitized, matches, need, read_line, run)

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "../../tools/gdb/weir-gdb.py")


def ask_gdb(*words):
    """Returns what gdb prints for these commands and ours."""
    need("gdb")
    if is_sanitized(example("chat_server")):
        raise Skip("sanitizers have stacks and cores of their own")
    outcome = command("gdb", "-nx", "-batch", "-iex",
                      "set debuginfod enabled off", *words, "-ex",
                      f"source {SCRIPT}", "-ex", "weir tasks")
    for why in ("ptrace: Operation not permitted", "Operation not permitted."):
        if why in outcome.err:
            raise Skip("no process may be traced here")
    if "debug information" in outcome.err:
        raise Skip("built without debug information")
    return outcome.out


def expect_tasks(text):
    """Expects the server's task, and one for each of the two members."""
    equal(text.count("\nloop 0x"), 1, f"loops of {text}")
    equal(text.count(" waiting for read: "), 2, f"members in {text}")
    matches(text, r"^    wr_task_wait\(\)")
    equal(text.count("    chat() at "), 2, f"stacks of members in {text}")
    matches(text, r"^    wr_fiber_entry\(\)")


def two_members(server):
    return (socket.create_connection(server.address),
            socket.create_connection(server.address))


def greet(members):
    """Both have joined the chat once the first one is notified of the second one."""
    members[0].sendall(b"Ada\n")
    members[1].sendall(b"Bob\n")
    data = b""
    while b"Bob has joined\n" not in data and b"Ada has joined\n" not in data:
        for one in members:
            one.setblocking(False)
            try:
                data += one.recv(100)
            except BlockingIOError:
                pass


def test_a_process_shows_its_tasks():
    with ExampleService("chat_server") as server:
        members = two_members(server)
        greet(members)
        expect_tasks(ask_gdb("-p", str(server.process.pid)))
        for one in members:
            one.close()


def allow_a_core():
    resource.setrlimit(resource.RLIMIT_CORE, (64 << 20, 64 << 20))


def test_a_core_shows_them_too():
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
        if file.read().strip() != "core":
            raise Skip("cores of this machine go elsewhere")
    if is_sanitized(example("chat_server")):
        raise Skip("sanitizers have stacks and cores of their own")
    with tempfile.TemporaryDirectory() as folder, ExampleService(
            "chat_server", cwd=folder, preexec_fn=allow_a_core) as server:
        members = two_members(server)
        greet(members)
        server.signal(signal.SIGABRT)
        equal(server.finish()[0], -signal.SIGABRT, "exit status")
        core = glob.glob(f"{folder}/core*")
        equal(len(core), 1, "cores")
        expect_tasks(ask_gdb(example("chat_server"), *core))
        for one in members:
            one.close()


def tracepoints():
    """Returns the names of libweir's tracepoints, from its notes."""
    loaded = command("ldd", example("chat_server")).out
    library = re.search(r"libweir\.so\.0 => (\S+)", loaded)[1]
    notes = command("readelf", "-nW", library).out
    return set(re.findall(r"Provider: weir\s+Name: (\w+)", notes))


def test_a_tracepoint_tells_the_bytes_of_a_receive():
    names = tracepoints()
    if not names:
        raise Skip("built without tracepoints")
    equal(names, {"turn", "receive", "send", "task_switch"}, "the names")
    with ExampleService("chat_server") as server, \
            socket.create_connection(server.address) as client:
        client.sendall(b"Ada\n")
        with Program("gdb", "-nx", "-batch", "-iex",
                     "set debuginfod enabled off", "-p",
                     str(server.process.pid), "-ex",
                     "break -probe-stap weir:receive", "-ex", "echo set\\n",
                     "-ex", "continue", "-ex",
                     'printf "%d bytes\\n", $_probe_arg1') as debugger:
            line = ""
            while line != "set\n":
                line = read_line(debugger.process.stdout)
            client.sendall(b"seven!\n")
            status, out, _ = debugger.finish()
        equal(status, 0, "exit status of gdb")
        matches(out, r"^7 bytes$")


run(globals())
