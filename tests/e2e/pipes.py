"""weir's pipes with other programs at their ends: cat, head, socat, the terminal, and
Python's asyncio."""

import asyncio
import fcntl
import os
import pty
import subprocess
import tempfile
import termios
import tty

from harness import EXAMPLES, WAIT_S, Program, equal, need, run

NUMBER = "number_lines"
LINES = "".join(f"line {i}\n" for i in range(50_000)).encode()
NUMBERED = b"".join(b"%6d\t%s\n" % (i + 1, line)
                    for i, line in enumerate(LINES.splitlines()))


def example():
    assert NUMBER in EXAMPLES, f"no such example was built: {NUMBER}"
    return EXAMPLES[NUMBER]


def shell(text, **options):
    return subprocess.run(["sh", "-c", text, "sh", example()],
                          timeout=2 * WAIT_S, capture_output=True, check=False,
                          **options)


def test_between_two_pipes():
    outcome = shell("cat | $1 | cat", input=LINES)
    equal((outcome.returncode, outcome.stderr), (0, b""), "the outcome")
    equal(outcome.stdout == NUMBERED, True, "the lines are numbered")


def test_from_a_file_to_a_file():
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/in", "wb") as file:
            file.write(LINES)
        outcome = shell("echo first > out; $1 < in >> out", cwd=folder)
        equal((outcome.returncode, outcome.stderr), (0, b""), "the outcome")
        with open(f"{folder}/out", "rb") as file:
            equal(file.read() == b"first\n" + NUMBERED, True, "the file")


def test_from_a_fifo():
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(f"{folder}/fifo")
        with open(f"{folder}/in", "wb") as file:
            file.write(LINES)
        outcome = shell("cat < in > fifo & $1 < fifo", cwd=folder)
    equal((outcome.returncode, outcome.stderr), (0, b""), "the outcome")
    equal(outcome.stdout == NUMBERED, True, "the lines are numbered")


def test_a_reader_that_goes_is_an_error_and_no_signal():
    outcome = subprocess.run(
        ["bash", "-c", "$1 | head -n 1; exit ${PIPESTATUS[0]}", "bash",
         example()],
        input=LINES * 20, timeout=2 * WAIT_S, capture_output=True, check=False)
    equal(outcome.stdout, b"     1\tline 0\n", "what head shows")
    equal(outcome.returncode, 1, "exit status")


def test_with_both_ends_on_one_socket_of_socat():
    need("socat")
    outcome = subprocess.run(
        ["socat", "-t", str(WAIT_S), "-", f"EXEC:{example()}"],
        input=LINES, timeout=2 * WAIT_S, capture_output=True, check=False)
    equal((outcome.returncode, outcome.stderr), (0, b""), "the outcome")
    equal(outcome.stdout == NUMBERED, True, "the lines are numbered")


def read_until(fd, wanted):
    got = b""
    while wanted not in got:
        got += os.read(fd, 4096)
    return got


def test_the_terminal_stays_as_it_was():
    master, slave = pty.openpty()
    tty.setraw(slave, termios.TCSANOW)
    mode = termios.tcgetattr(slave)
    mode[3] |= termios.ICANON  # so that the input ends
    termios.tcsetattr(slave, termios.TCSANOW, mode)
    before = fcntl.fcntl(slave, fcntl.F_GETFL)
    with Program(example(), stdin=slave, stdout=slave) as program:
        os.write(master, b"one\n")
        equal(read_until(master, b"one\n"), b"     1\tone\n", "the line")
        equal(fcntl.fcntl(slave, fcntl.F_GETFL), before, "flags meanwhile")
        os.write(master, b"two\n\x04")
        equal(read_until(master, b"two\n"), b"     2\ttwo\n", "the line")
        equal(program.finish(), (0, "", ""), "status and output")
    equal(fcntl.fcntl(slave, fcntl.F_GETFL), before, "flags afterwards")
    os.close(master)
    os.close(slave)


async def number_by_asyncio():
    loop = asyncio.get_running_loop()
    feed_in, feed_out = os.pipe()
    back_in, back_out = os.pipe()
    program = Program(example(), stdin=feed_in, stdout=back_out)
    os.close(feed_in)
    os.close(back_out)
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader),
        os.fdopen(back_in, "rb", buffering=0))
    feeder, _ = await loop.connect_write_pipe(
        asyncio.BaseProtocol, os.fdopen(feed_out, "wb", buffering=0))
    feeder.write(LINES)
    feeder.write_eof()
    with program:
        got = await asyncio.wait_for(reader.read(), WAIT_S)
        transport.close()
        return got, program.process.wait(WAIT_S)


def test_with_asyncios_pipes_at_both_ends():
    got, status = asyncio.run(number_by_asyncio())
    equal(got == NUMBERED, True, "the lines are numbered")
    equal(status, 0, "exit status")


run(globals())
