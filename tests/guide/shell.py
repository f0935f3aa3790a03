"""The shell in which a page's commands are run as they are written.

One bash, in a network of its own where the kernel allows that: pages name ports,
and ports of tests must not collide. A command in the background goes on while
later ones run; what it prints may come between the lines of others, so that the
order counts only while nothing runs in the background. Nothing here waits by
sleeping: a command has ended when its mark has come, and lines that are expected
are waited for.
"""

import ctypes
import errno
import os
import pathlib
import queue
import re
import subprocess
import sys
import threading

from blocks import Fault

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "checks"))
import left  # noqa: E402

WAIT_S = 60
MARK = "end-of-command"
# What a run of weir-load says of the machine, which no page can know.
OF_THE_MACHINE = re.compile(
    r"weir-load: the run is invalid: the client (was too slow|waited)")
IO_URING_SETUP = 425


def engine():
    """What the environment of programs needs where io_uring is refused: epoll is
    asked for, of which nothing is printed."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(IO_URING_SETUP, 0, None)
    is_there = ctypes.get_errno() in (errno.EINVAL, errno.EFAULT)
    return {} if is_there else {"WEIR_ENGINE": "poll"}


def namespace():
    """The words that start a program in a network of its own."""
    words = ["unshare", "--net"] if os.getuid() == 0 else [
        "unshare", "--map-root-user", "--net"]
    works = subprocess.run([*words, "ip", "link", "set", "lo", "up"],
                           capture_output=True, check=False).returncode == 0
    return words if works else []


def is_like(line, wanted):
    """Whether a line is as the page has it; "..." stands for anything."""
    pattern = ".*".join(re.escape(part) for part in wanted.split("..."))
    return re.fullmatch(pattern, line) is not None


def are_like(lines, wanted, is_ordered):
    """Whether lines are those of the page; a last "..." stands for the rest."""
    lines = list(lines)
    has_rest = wanted[-1:] == ["..."]
    if has_rest:
        wanted = wanted[:-1]
    if has_rest and is_ordered:
        lines = lines[:len(wanted)]
    if is_ordered:
        return len(lines) == len(wanted) and all(map(is_like, lines, wanted))
    for one in wanted:
        found = next((line for line in lines if is_like(line, one)), None)
        if found is None:
            return False
        lines.remove(found)
    return has_rest or not lines


class Shell:
    """A bash that is fed one command at a time."""

    def __init__(self, folder, env):
        self.lines = queue.Queue()
        self.has_job = False
        words = namespace()
        self.process = subprocess.Popen(
            [*words, "bash", "--norc"], cwd=folder, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, bufsize=1, errors="replace",
            start_new_session=True)
        threading.Thread(target=self.read, daemon=True).start()
        if words:
            self.run("ip link set lo up", [])

    def read(self):
        for line in self.process.stdout:
            if not OF_THE_MACHINE.match(line):
                self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next_line(self, command, so_far):
        try:
            line = self.lines.get(timeout=WAIT_S)
        except queue.Empty:
            line = None
        if line is None:
            raise Fault(f"$ {command}\nno more lines came after:\n"
                        + "\n".join(so_far))
        return line

    def run(self, command, wanted):
        """Run it; its lines must be those that are wanted."""
        # A server that is told to stop ends before the next command, with 0.
        more = f"\nwait {command[5:]}" if re.match(
            r"kill [$%]", command) else ""
        # A command must not read the commands that follow.
        self.process.stdin.write(
            f"{{ {command}{more}\n}} </dev/null\necho {MARK} $?\n")
        self.process.stdin.flush()
        self.has_job = self.has_job or command.rstrip().endswith("&")
        status, lines = None, []
        least = len(wanted) - (wanted[-1:] == ["..."])
        while status is None or len(lines) < least:
            line = self.next_line(command, lines)
            before, mark, number = line.partition(MARK)
            if mark:
                status = int(number)
            if before or not mark:
                lines.append(before)
        if status or not are_like(lines, wanted, not self.has_job):
            raise Fault(f"$ {command}\nstatus {status}, and it printed:\n"
                        + "\n".join(lines) + "\ninstead of:\n"
                        + "\n".join(wanted))

    def end(self):
        """All that was started has ended, without another line."""
        self.run("wait", [])
        self.process.stdin.close()
        if self.process.wait(WAIT_S) != 0:
            raise Fault("the shell has failed")

    def kill(self):
        """End what is left, after a fault."""
        left.end(self.process)
