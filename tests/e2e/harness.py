"""What the end-to-end tests have in common.

A script of this folder defines functions named test_*; run() calls each with
a time limit of its own and prints a TAP line for it, named like the function.
Programs that are started get ephemeral ports and are ended with all that they have
started; what a test leaves behind fails it (tests/checks/left.py).
Nothing here waits by sleeping: a test waits for a line, a byte, an end of
stream or the end of a process. No outcome depends on how fast the machine is:
a limit of time is a guard, far above what a slow machine takes.

Usage of each script: NAME.py WEIR_LOAD [EXAMPLE...]
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "checks"))
import left  # noqa: E402

left.keep_account()
WEIR_LOAD = os.path.abspath(sys.argv[1]) if sys.argv[1:] else ""
EXAMPLES = {os.path.basename(path).removeprefix("example-"):
            os.path.abspath(path) for path in sys.argv[2:]}
# An example that is the echo server, in the place of weir-load serve.
ECHO = os.environ.get("WEIR_ECHO")
LONG = os.environ.get("WEIR_LONG") == "1"
SHORT = "WEIR_SHORT" in os.environ
LIMIT_S = 600  # for a test that does not call extend_limit()
WAIT_S = 60    # for an event
# For runs of weir-load that must succeed however slow the machine is.
PATIENT = ("--force", "--timeout", "60s", "--connect-timeout", "60s")


def ring_is_refused():
    """Whether this machine has no io_uring for weir: a container, most often."""
    setup = 425  # io_uring_setup(), here of no entries
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(setup, 0, None)
    return ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)


# Where io_uring is refused the tests ask for epoll, as weir tells by a line of
# standard error that it took epoll unasked. fallback.py tests that line.
ENGINES = ("poll",) if ring_is_refused() else ("uring", "poll")
if "uring" not in ENGINES:
    os.environ.setdefault("WEIR_ENGINE", "poll")

# Under AddressSanitizer freed memory is kept for a while; the tests that look
# at memory want little of that.
ENV = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=1:"
           + os.environ.get("ASAN_OPTIONS", ""))


# A shell makes what it starts in the background ignore SIGINT, and programs that
# are started from here would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# How a test that is skipped may be run, by words of the reason.
WAYS = (
    (r"WEIR_LONG", "with that"),
    (r"X25519MLKEM768", "with OpenSSL 3.5, which Debian 13 has"),
    (r"not by OpenSSL", "in a build with -Dtls_engine=openssl"),
    (r"built|without|certificates|no TLS|of weir-load serve",
     "in a build that has it: meson_options.txt"),
    (r"sanitizer", "in a build without sanitizers"),
    (r"elsewhere", "with sysctl kernel.core_pattern=core"),
    (r"does not (start|run)|this (nginx|nmap)", "with another release of it"),
    (r"busy", "alone on an idle machine"),
    (r"installed|[nN]o (chromium|nc|jsonschema|JDK|nmap)|there is no",
     "after tools/deps --check and --peers"),
    (r"root|mount|namespace|trace|nobody|somebody|network|user|descriptors",
     "as root, in no container"),
)


class Skip(Exception):
    """This machine cannot run the test; the text says why, and how it can be run."""

    def __str__(self):
        reason = super().__str__()
        way = next((way for words, way in WAYS if re.search(words, reason)),
                   "on another machine")
        return f"{reason}; runs {way}"



class Late(Exception):
    """The time limit of a test."""


def expire(_signum, _frame):
    raise Late("not done within the test's time")


def extend_limit(limit_s):
    """For a test that is long by design: its time, from now on."""
    signal.setitimer(signal.ITIMER_REAL, limit_s)


def run_one(function):
    """None, or why it failed; Skip passes through."""
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        function()
    except Skip:
        raise
    except Exception:  # pylint: disable=broad-except
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def run(names, short=""):
    """Run all test_* functions of a script's globals(), or those that the environment
    names; with WEIR_SHORT in it the test @short alone of a script that takes
    long. Never returns."""
    chosen = os.environ.get("WEIR_E2E_TESTS", "").split()
    if not chosen and short and SHORT:
        chosen = [short]
    tests = [(name, value) for name, value in names.items()
             if name.startswith("test_") and callable(value)
             and (not chosen or name.removeprefix("test_") in chosen)]
    signal.signal(signal.SIGALRM, expire)
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(tests, 1):
        title = name.removeprefix("test_")
        try:
            why = run_one(function)
        except Skip as skip:
            left.end_all(0)
            print(f"ok {number} {title} # SKIP {skip}", flush=True)
            continue
        strays = left.end_all(0 if why else left.GRACE_S)
        why = why or "\n".join(f"left behind: {stray}" for stray in strays)
        if why:
            failed += 1
            print("".join(f"# {line}\n" for line in why.splitlines()), end="")
        print(f"{'not ok' if why else 'ok'} {number} {title}", flush=True)
    sys.exit(1 if failed else 0)


# ---- asserting ----

def equal(found, wanted, what="value"):
    assert found == wanted, f"{what}: {found!r} instead of {wanted!r}"


def excerpt(text):
    """A text as a message shows it: a long one, such as a manual, is cut."""
    if len(text) <= 1000:
        return repr(text)
    return f"{text[:400]!r} ... {text[-200:]!r} ({len(text)} characters)"


def matches(text, pattern, what="text"):
    assert re.search(pattern, text, re.M), (
        f"{what}: no {pattern!r} in {excerpt(text)}")


def one_line(text, pattern):
    """Standard error is one line of weir-load's, with this in it."""
    equal(text.count("\n"), 1, f"lines in {text!r}")
    matches(text, r"^weir-load: ")
    matches(text, pattern)


def fails(outcome, pattern, status=1):
    """It said why, with this in it, and wrote nothing else."""
    equal((outcome.status, outcome.out), (status, ""),
          f"the outcome, with {outcome.err!r}")
    matches(outcome.err, pattern)


def prints(outcome, text):
    """It ended well, and wrote this and no word more."""
    equal((outcome.status, outcome.out, outcome.err), (0, text, ""),
          "the outcome")


def need(program):
    """Skips the test where there is no such program."""
    if not shutil.which(program):
        raise Skip(f"{program} is not installed")


# ---- sockets ----

def is_asleep(pid):
    """Whether each thread of the process waits for something. One that only
    waits for a processor does not."""
    tasks = f"/proc/{pid}/task"
    for task in os.listdir(tasks):
        try:
            with open(f"{tasks}/{task}/stat", encoding="ascii") as file:
                state = file.read().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue  # a worker of the kernel, which has ended meanwhile
        if state != "S":
            return False
    return True


def held_bytes(sock):
    """What the kernel holds of a socket's: unread, and not taken by its peer."""
    return [struct.unpack("i", fcntl.ioctl(sock, request, bytes(4)))[0]
            for request in (termios.FIONREAD, termios.TIOCOUTQ)]


def fill(server, sock, data_at):
    """Send data_at(position, count) until the server is stalled: it takes no
    more, and sleeps, while nothing moves any more in either direction. How much
    went in."""
    sock.setblocking(False)
    sent = 0
    before, held = None, []
    # A server may also sleep because the kernel is late with what is under way.
    while not is_asleep(server.process.pid) or held != before:
        before = held
        while select.select([], [sock], [], 0.3)[1]:
            sent += sock.send(data_at(sent, 1 << 20))
            assert sent < 1 << 30, "the server takes everything"
        held = held_bytes(sock)
    sock.setblocking(True)
    return sent


def read_request(file):
    """A request of HTTP whose fields have their usual spelling, from a file of
    bytes: method, path and body. None where the stream ends before."""
    line = file.readline()
    length = 0
    while (field := file.readline()) != b"\r\n":
        if not field:
            return None
        if field.startswith(b"Content-Length: "):
            length = int(field.split()[1])
    method, path, _ = line.decode().split()
    return method, path, file.read(length).decode()


# ---- what is there ----

def example(name):
    """The program of an example, which must have been built."""
    assert name in EXAMPLES, f"no such example was built: {name}"
    return EXAMPLES[name]


@contextlib.contextmanager
def place():
    """A path for a socket; its directory must be empty at the end."""
    directory = tempfile.mkdtemp(prefix="weir-e2e-")
    try:
        yield os.path.join(directory, "s")
        equal(os.listdir(directory), [], "files that are left")
    finally:
        shutil.rmtree(directory)


# ---- processes ----

def read_line(file, limit_s=WAIT_S):
    """A line from a pipe, or the failure that none came."""
    line = b""
    deadline = time.monotonic() + limit_s
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        ready = select.select([file], [], [], max(left, 0))[0]
        assert ready, f"no line within {limit_s} s, only {line!r}"
        byte = os.read(file.fileno(), 1)
        assert byte, f"the stream ended after {line!r}"
        line += byte
    return line.decode(errors="replace")


class Program:
    """A process that is ended when the block ends, whatever happened, with all that
    it has started."""

    def __init__(self, *args, **options):
        options.setdefault("env", ENV)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(args, start_new_session=True, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout,
                     self.process.stderr):
            if pipe:
                pipe.close()

    def signal(self, signum):
        self.process.send_signal(signum)

    def kill(self):
        left.end(self.process)

    def pause(self):
        """Stop it, until it gets SIGCONT; it stands when this returns."""
        self.signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def finish(self, limit_s=WAIT_S):
        """Exit status, and what was left to read of both outputs."""
        out, err = self.process.communicate(timeout=limit_s)
        return (self.process.returncode, (out or b"").decode(),
                (err or b"").decode())


class Service(Program):
    """A server. At the end of the block it gets its signal and must end with 0,
    without a word more, unless the test has ended it. One that may complain does
    so on standard error; one that may print goes on after its first lines."""

    signum = signal.SIGTERM
    may_complain = False
    may_print = False

    def __exit__(self, kind, *rest):
        try:
            if kind is None and self.process.returncode is None:
                self.stop()
        finally:
            super().__exit__(kind, *rest)

    def stop(self, signum=None):
        """End it as an operator does, and return its standard error."""
        self.signal(signum or self.signum)
        status, out, err = self.finish()
        if not self.may_print:
            equal(out, "", "standard output after the first lines")
        if not self.may_complain:  # the tests' leaves are signed by a root
            equal(re.sub(r"^weir-load: TLS: warning: .* of its issuer .*\n", "",
                         err), "", "standard error")
        equal(status, 0, f"exit status of a server, which said {err!r}")
        return err

    def rss_bytes(self):
        return status_bytes(self.process.pid, "VmRSS")


class ExampleService(Service):
    """A server of the examples on a port of the kernel's choice; it ends by
    SIGINT."""

    signum = signal.SIGINT

    def __init__(self, name, *args, **options):
        super().__init__(example(name), *(args or ("0",)), **options)
        line = read_line(self.process.stdout)
        matches(line, r"^serving on 127\.0\.0\.1:\d+\n\Z")
        self.port = int(line.rsplit(":", 1)[1])
        self.address = ("127.0.0.1", self.port)
        self.url = f"tcp://127.0.0.1:{self.port}"

    def end_counted(self, *_):
        """As that of Serve; an example counts nothing."""
        self.stop()


class Serve(Service):
    """weir-load serve on a port of the kernel's choice."""

    def __init__(self, *flags, may_complain=False, **options):
        if ECHO:
            raise Skip(f"of weir-load serve, and not of {ECHO}")
        super().__init__(WEIR_LOAD, "serve", *flags, "tcp://127.0.0.1:0",
                         **options)
        self.may_complain = may_complain
        try:
            self.line = read_line(self.process.stdout)
            matches(self.line, r"tcp://127\.0\.0\.1:\d+$")
        except Exception:
            self.kill()
            print(f"# serve said: {self.finish()[2]!r}")
            raise
        self.url = self.line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.address = ("127.0.0.1", self.port)

    def end_counted(self, *patterns):
        """End it, and look for these in its statistics."""
        err = self.stop()
        for pattern in patterns:
            matches(err, pattern)


def echo_server(*flags):
    """weir-load serve with these flags, or the example that the environment
    names, which has none of them."""
    if ECHO:
        return ExampleService(ECHO)
    return Serve(*flags, may_complain="--stats" in flags)


def is_sanitized(path):
    """Sanitizers keep freed memory: what it takes says nothing then."""
    with open(path, "rb") as program:
        return b"__asan_init" in program.read()


def status_bytes(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(rf"{field}:\s+(\d+) kB", file.read())[1]) * 1024


class Outcome:
    """How a command ended."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    def json(self):
        """Standard output as JSON, strictly: no NaN, no Infinity."""
        def refuse(word):
            raise AssertionError(f"{word} in JSON")
        return json.loads(self.out, parse_constant=refuse)


def command(*args, limit_s=LIMIT_S, **options):
    data = options.pop("input", None)
    if data is not None:
        options["stdin"] = subprocess.PIPE
    with Program(*args, **options) as program:
        out, err = program.process.communicate(data, limit_s)
    return Outcome(program.process.returncode, out.decode(errors="replace"),
                   err.decode(errors="replace"))


def command_apart(script, *args, flags=("-m",), **options):
    """A script of the shell in namespaces of its own, which the flags of
    unshare name. Skips the test, and says why, where there can be none and
    where the script exits with 77: it may not mount, say."""
    try:
        probe = command("unshare", *flags, "true")
    except FileNotFoundError:
        raise Skip("unshare is not installed") from None
    outcome = probe
    if probe.status == 0:
        outcome = command("unshare", *flags, "sh", "-c", script, *args,
                          **options)
    if probe.status != 0 or outcome.status == 77:
        raise Skip("no namespaces of a test's own: " + outcome.err.strip())
    return outcome


def load(*args, **options):
    """weir-load run with these arguments; it is patient unless they say
    otherwise."""
    is_datagram = any(arg.startswith("udp:") for arg in args)
    patience = PATIENT[:3] if is_datagram else PATIENT
    return command(WEIR_LOAD, "run", *patience, *args, **options)


def load_json(*args, **options):
    """The same with the result as JSON; the outcome and the result."""
    outcome = load("--json", *args, **options)
    return outcome, outcome.json()
