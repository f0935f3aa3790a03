#!/usr/bin/env python3
"""What a connection costs weir-proxy: instructions and system calls.

A client connects, sends 1 KiB, gets it back, ends its stream and reads the end,
one after the other. The first hundred are not counted. System calls are those of
strace, instructions of the program those that callgrind has counted between two
dumps, as a process under valgrind that waits in a ring does not end by a signal.
Each engine is asked with and without limits of single clients, which no client
here comes near, so that each is looked up and counted in a table.

    bench/proxy_cost.py build/tools/weir-proxy [ANOTHER_BUILD...]
"""
import argparse
import collections
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

WARM, COUNTED = 100, 500
SIZE = 1024
START_S = 60
TABLE = ["--client-conns", "1M", "--client-rate", "1G/10s"]
CALL = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$",
                  re.MULTILINE)
TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def echo(listener):
    while True:
        connection, _ = listener.accept()
        with connection:
            while part := connection.recv(65536):
                connection.sendall(part)


def visit(port):
    with socket.create_connection(("127.0.0.1", port), START_S) as client:
        client.sendall(bytes(SIZE))
        left = SIZE
        while left:
            part = client.recv(left)
            if not part:
                raise RuntimeError("the connection ends before its answer")
            left -= len(part)
        client.shutdown(socket.SHUT_WR)
        if client.recv(1):
            raise RuntimeError("bytes behind the answer")


@contextlib.contextmanager
def serving(tool, proxy, engine, flags, backend):
    """The process of the tool, and the port that the proxy serves. Neither is
    there afterwards."""
    with subprocess.Popen(
            [*tool, proxy, "--threads", "1", "--engine", engine, *flags,
             "--listen", "tcp://127.0.0.1:0",
             "--to", f"tcp://127.0.0.1:{backend}"],
            stderr=subprocess.PIPE, bufsize=0,
            start_new_session=True) as process:
        try:
            yield process, port_of(process, proxy)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def port_of(process, proxy):
    while select.select([process.stderr], [], [], START_S)[0]:
        line = process.stderr.readline().decode()
        if found := re.search(r" serves tcp://\S*:(\d+) to ", line):
            return int(found[1])
        if not line:
            break
    raise RuntimeError(f"{proxy} does not serve")


def count_calls(path, run):
    """Of a process that ends: strace writes its table then."""
    counts = []
    for number in (WARM, WARM + COUNTED):
        with run(["strace", "-f", "-c", "-o", path]) as (process, port):
            for _ in range(number):
                visit(port)
            with open(f"/proc/{process.pid}/task/{process.pid}/children",
                      encoding="ascii") as file:
                os.kill(int(file.read().split()[0]), signal.SIGTERM)
            process.wait(START_S)
        with open(path, encoding="ascii") as file:
            counts.append(collections.Counter(
                {name: int(times) for times, name in CALL.findall(file.read())
                 if name != "total"}))
    counts[1].subtract(counts[0])
    return {name: times / COUNTED for name, times in counts[1].items()}


def dump(folder, process):
    """What was counted since the last dump."""
    subprocess.run(["callgrind_control", "-d", str(process.pid)],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=True)
    total = 0
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="ascii") as file:
            found = TOTAL.search(file.read())
        total += int(found[1]) if found else 0
        os.remove(os.path.join(folder, name))
    return total


def count_instructions(folder, run):
    with run(["valgrind", "--tool=callgrind",
              f"--callgrind-out-file={folder}/out"]) as (process, port):
        for _ in range(WARM):
            visit(port)
        dump(folder, process)
        for _ in range(COUNTED):
            visit(port)
        return dump(folder, process) / COUNTED


def show(proxy, engine, flags, backend):
    def run(tool):
        return serving(tool, proxy, engine, flags, backend)

    with tempfile.TemporaryDirectory() as folder:
        calls = count_calls(os.path.join(folder, "calls"), run)
        os.remove(os.path.join(folder, "calls"))
        instructions = count_instructions(folder, run)
    named = ", ".join(f"{name} {times:.2f}" for name, times in sorted(
        calls.items(), key=lambda pair: -pair[1]) if times >= 0.05)
    print(f"| {proxy} | {engine} | {'yes' if flags else 'no'} | "
          f"{instructions:.0f} | {sum(calls.values()):.1f} | {named} |",
          flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", metavar="PROGRAM",
                        help="weir-proxy of a build")
    options = parser.parse_args()
    for program in options.programs:
        if not os.access(program, os.X_OK):
            parser.error(f"no program: {program}")
    for tool in ("strace", "valgrind", "callgrind_control"):
        if not shutil.which(tool):
            parser.error(f"{tool} is not installed")
    return options


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=echo, args=(listener,), daemon=True).start()
    print("| program | engine | table | instructions | calls | which |")
    print("|---|---|---|---|---|---|")
    try:
        for proxy in options.programs:
            for engine in ("uring", "poll"):
                for flags in ([], TABLE):
                    show(proxy, engine, flags, listener.getsockname()[1])
    except (RuntimeError, OSError) as error:
        sys.exit(f"proxy_cost: {error}")


if __name__ == "__main__":
    main()
