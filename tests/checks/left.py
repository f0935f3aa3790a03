"""Nothing is left behind, whichever way a program of tests ends.

keep_account() gives the program that calls it a temporary folder of its own, which
TMPDIR tells its children, and makes it the parent of each process below it that
loses its own. At the program's end, also by SIGTERM, what is there still is ended
and removed; that fails the program, unless it was interrupted, and is listed.
Files with fixed names in /tmp are found as well where is_apart gives the program a
/tmp of its own, which needs root.

Usage: left.py COMMAND...   run a command so
       left.py              within that command: list what is there now, and fail
"""

import atexit
import contextlib
import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# For processes that are about to end.
GRACE_S = float(os.environ.get("WEIR_GRACE_S", "60"))
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 4096, 16384, 1 << 18, 2
LISTENS = re.compile(r"^ *\d+: (\S+) \S+ 0A (?:\S+ ){5}(\d+)", re.M)


# ---- processes ----

def stat(pid):
    """The state, the parent and the group of a process; none where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            state, parent, group = file.read().rsplit(")", 1)[1].split()[:3]
    except OSError:
        return "X", 0, 0
    return state, int(parent), int(group)


def below(pid):
    """All processes below this one, parents first."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                with contextlib.suppress(OSError), open(
                        f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    found.extend(map(int, file.read().split()))
    return found[1:]


def living(root):
    """Those below it that have not ended, without this process and its parents."""
    spared = [os.getpid()]
    while spared[-1] > 1:
        spared.append(stat(spared[-1])[1])
    return [pid for pid in below(root) if pid not in spared and stat(pid)[0] not in "ZX"]


def kill(pids):
    """Ends them, parents first, and waits for those that are this process's by then."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def end(process):
    """Ends a process of Popen with start_new_session, what it has started, and what
    is left of its group."""
    if process.poll() is None:
        workers = below(process.pid)
        process.kill()
        process.wait()
        kill(workers)
    while rest := [pid for pid in below(os.getpid()) if stat(pid)[2] == process.pid]:
        kill(rest)


def wait_for_ends(root, grace_s=GRACE_S):
    """What lives below it, when all has had its time to end."""
    deadline = time.monotonic() + grace_s
    while (pids := living(root)) and time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pids[0])
            select.select([handle], [], [], max(deadline - time.monotonic(), 0))
            os.close(handle)
    return pids


def describe(pid):
    """Its words, and where it listens."""
    words, text, inodes = "", "", set()
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            words = file.read().replace("\0", " ").strip()
        for family in ("tcp", "tcp6"):
            with open(f"/proc/{pid}/net/{family}", encoding="ascii") as file:
                text += file.read()
        for fd in os.listdir(f"/proc/{pid}/fd"):
            inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}")))
    ports = [str(int(place.rsplit(":", 1)[1], 16)) for place, inode in LISTENS.findall(text)
             if inode in inodes]
    return f"process {pid}: {words}" + (f", listening at {', '.join(ports)}" if ports else "")


def end_all(grace_s=GRACE_S):
    """Ends what lives below this process when it has had its time; what that was."""
    found = [describe(pid) for pid in wait_for_ends(os.getpid(), grace_s)]
    before = None
    while (pids := living(os.getpid())) and pids != before:
        before = pids
        kill(pids)
    return found


# ---- a program ----

class Account:
    """What a program has to give back."""

    def __init__(self, is_apart):
        self.owner = os.getpid()
        self.is_interrupted = False
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.folder = self.place = tempfile.mkdtemp(prefix="weir-")
        os.chmod(self.folder, 0o1777)  # programs run as other users as well
        if is_apart and self.mount():
            self.place = "/tmp"
        tempfile.tempdir = os.environ["TMPDIR"] = self.place
        for signum in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self.interrupt)
        atexit.register(self.close)

    def mount(self):
        """Whether this process has a /tmp of its own; not where it works in /tmp."""
        paths = [os.getcwd(), *map(os.path.abspath, sys.argv)]
        if os.geteuid() != 0 or any(path.startswith("/tmp/") for path in paths):
            return False
        mount = self.libc.mount
        return (self.libc.unshare(CLONE_NEWNS) == 0
                and mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None) == 0
                and mount(self.folder.encode(), b"/tmp", None, ctypes.c_ulong(MS_BIND), None) == 0)

    def interrupt(self, signum, _frame):
        """At once: the one who interrupts it may kill it a second later."""
        signal.signal(signum, signal.SIG_IGN)
        self.is_interrupted = True
        self.close()
        os._exit(128 + signum)

    def close(self):
        if os.getpid() != self.owner:
            return
        found = end_all(0 if self.is_interrupted else GRACE_S)
        found += [f"file {name}" for name in sorted(os.listdir(self.place))]
        if self.place != self.folder:
            self.libc.umount2(b"/tmp", MNT_DETACH)
        shutil.rmtree(self.folder, ignore_errors=True)
        if found and not self.is_interrupted:
            tell(found)
            os._exit(1)


def keep_account(is_apart=False):
    """To be called once, before anything is started or made."""
    return Account(is_apart)


def run(command, **options):
    """Runs a program, and reaps what loses its parent meanwhile, as the first process
    of a system does. Returns the exit status."""
    # pylint: disable-next=consider-using-with
    process = subprocess.Popen(command, **options)
    while process.returncode is None:
        pid, status = os.wait()
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


def tell(found):
    for line in found:
        print(f"# left behind: {line}")
    sys.stdout.flush()
    sys.stderr.flush()


def main():
    if not sys.argv[1:]:
        found = [describe(pid) for pid in wait_for_ends(int(os.environ["WEIR_CHECK"]))]
        found += [f"file {name}" for name in sorted(os.listdir(os.environ["TMPDIR"]))]
        tell(found)
        return 1 if found else 0
    keep_account()
    with contextlib.suppress(KeyboardInterrupt):
        return run(sys.argv[1:], env=dict(os.environ, WEIR_CHECK=str(os.getpid())))
    return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
