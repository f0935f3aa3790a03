"""Common parts of the end-to-end tests.

A script of this folder defines functions named test_*. run() calls each with its own
time limit and prints a TAP line with the function's name. Programs get ephemeral ports
and are ended with everything they have started; a test that leaves something behind
fails (tests/checks/left.py). Nothing here waits by sleeping: a test waits for a line, a
byte, an end of stream or the end of a process. No result depends on the machine's
speed: a time limit is a guard, far above what a slow machine needs.

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
# An example that is the echo server, instead of weir-load serve.
ECHO = os.environ.get("WEIR_ECHO")
LONG = os.environ.get("WEIR_LONG") == "1"
SHORT = "WEIR_SHORT" in os.environ
LIMIT_S = 600  # for a test that does not call extend_limit()
WAIT_S = 60    # for an event
# For runs of weir-load that must succeed, however slow the machine is.
PATIENT = ("--force", "--timeout", "60s", "--connect-timeout", "60s")


def ring_is_refused():
    """Returns True if weir cannot use io_uring on this machine, usually in a
    container."""
    setup = 425  # io_uring_setup(), with no entries
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(setup, 0, None)
    return ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)


# If io_uring is refused, the tests request epoll, because weir prints a line on
# standard error if it uses epoll unrequested. fallback.py tests that line.
ENGINES = ("poll",) if ring_is_refused() else ("uring", "poll")
if "uring" not in ENGINES:
    os.environ.setdefault("WEIR_ENGINE", "poll")

# AddressSanitizer keeps freed memory for a while; tests that measure memory limit this.
ENV = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=1:"
           + os.environ.get("ASAN_OPTIONS", ""))


# A shell makes its background programs ignore SIGINT, and programs started from here
# would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# How to run a skipped test, by words of the reason.
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
    """This machine cannot run the test. The text has the reason, and how to run it."""

    def __str__(self):
        reason = super().__str__()
        way = next((way for words, way in WAYS if re.search(words, reason)),
                   "on another machine")
        return f"{reason}; runs {way}"



class Late(Exception):
    """The time limit of a test has expired."""


def expire(_signum, _frame):
    raise Late("not done within the test's time")


def extend_limit(limit_s):
    """Gives a test that is long by design this much time, from now on."""
    signal.setitimer(signal.ITIMER_REAL, limit_s)


def run_one(function):
    """Runs a test. Returns None, or why it failed; passes Skip on."""
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
    """Runs all test_* functions of a script's globals(), or those that the environment
    names; with WEIR_SHORT set only the test @short of a long script. Never returns."""
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
    """Returns a text as messages show it: long texts, such as a manual, are cut."""
    if len(text) <= 1000:
        return repr(text)
    return f"{text[:400]!r} ... {text[-200:]!r} ({len(text)} characters)"


def matches(text, pattern, what="text"):
    assert re.search(pattern, text, re.M), (
        f"{what}: no {pattern!r} in {excerpt(text)}")


def one_line(text, pattern):
    """Asserts that standard error is one line of weir-load that contains this."""
    equal(text.count("\n"), 1, f"lines in {text!r}")
    matches(text, r"^weir-load: ")
    matches(text, pattern)


def fails(outcome, pattern, status=1):
    """Asserts that the command failed with a line that contains this, and wrote nothing
    else."""
    equal((outcome.status, outcome.out), (status, ""),
          f"the outcome, with {outcome.err!r}")
    matches(outcome.err, pattern)


def prints(outcome, text):
    """Asserts that the command succeeded, and wrote exactly this."""
    equal((outcome.status, outcome.out, outcome.err), (0, text, ""),
          "the outcome")


def need(program):
    """Skips the test if the program does not exist."""
    if not shutil.which(program):
        raise Skip(f"{program} is not installed")


# ---- sockets ----

def is_asleep(pid):
    """Returns True if each thread of the process waits for something other than a
    processor."""
    tasks = f"/proc/{pid}/task"
    for task in os.listdir(tasks):
        try:
            with open(f"{tasks}/{task}/stat", encoding="ascii") as file:
                state = file.read().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue  # a kernel worker that has ended meanwhile
        if state != "S":
            return False
    return True


def held_bytes(sock):
    """Returns how many bytes the kernel holds for a socket: unread, and not accepted by
    its peer."""
    return [struct.unpack("i", fcntl.ioctl(sock, request, bytes(4)))[0]
            for request in (termios.FIONREAD, termios.TIOCOUTQ)]


def fill(server, sock, data_at):
    """Sends data_at(position, count) until the server is stalled: it reads no more and
    sleeps, and no bytes move in either direction. Returns how many bytes were sent."""
    sock.setblocking(False)
    sent = 0
    before, held = None, []
    # A server may also sleep because the kernel is late with bytes in flight.
    while not is_asleep(server.process.pid) or held != before:
        before = held
        while select.select([], [sock], [], 0.3)[1]:
            sent += sock.send(data_at(sent, 1 << 20))
            assert sent < 1 << 30, "the server takes everything"
        held = held_bytes(sock)
    sock.setblocking(True)
    return sent


def read_request(file):
    """Reads an HTTP request with the usual spelling of fields from a binary file.
    Returns method, path and body, or None if the stream ends first."""
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
    """Returns the program of an example, which must have been built."""
    assert name in EXAMPLES, f"no such example was built: {name}"
    return EXAMPLES[name]


@contextlib.contextmanager
def place():
    """Yields a path for a socket; its directory must be empty at the end."""
    directory = tempfile.mkdtemp(prefix="weir-e2e-")
    try:
        yield os.path.join(directory, "s")
        equal(os.listdir(directory), [], "files that are left")
    finally:
        shutil.rmtree(directory)


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write_json(path, result):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file)
    return path


# ---- processes ----

def read_line(file, limit_s=WAIT_S):
    """Reads a line from a pipe; fails if none arrives."""
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
    """A process that is ended, with everything it has started, when the block ends."""

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
        """Stops the process until it gets SIGCONT; it is stopped when this returns."""
        self.signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def finish(self, limit_s=WAIT_S):
        """Returns the exit status, and the rest of both outputs."""
        out, err = self.process.communicate(timeout=limit_s)
        return (self.process.returncode, (out or b"").decode(),
                (err or b"").decode())


class Service(Program):
    """A server. At the end of the block it gets its signal and must exit with 0,
    without further output, unless the test has ended it. Error messages are allowed on
    request, and so is output after its first lines."""

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
        """Ends it like an operator. Returns its standard error."""
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
    """A server of the examples on a port chosen by the kernel; SIGINT ends it."""

    signum = signal.SIGINT

    def __init__(self, name, *args, **options):
        super().__init__(example(name), *(args or ("0",)), **options)
        line = read_line(self.process.stdout)
        matches(line, r"^serving on 127\.0\.0\.1:\d+\n\Z")
        self.port = int(line.rsplit(":", 1)[1])
        self.address = ("127.0.0.1", self.port)
        self.url = f"tcp://127.0.0.1:{self.port}"

    def end_counted(self, *_):
        """Like the method of Serve; an example counts nothing."""
        self.stop()


class Serve(Service):
    """weir-load serve on a port chosen by the kernel."""

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
        """Ends it, and expects these values in its statistics."""
        err = self.stop()
        for pattern in patterns:
            matches(err, pattern)


class ServeAt(Service):
    """weir-load serve on the addresses among its arguments; urls has what it prints."""

    def __init__(self, *args):
        super().__init__(WEIR_LOAD, "serve", *args)
        self.urls = read_line(self.process.stdout).split()[3:]


def echo_server(*flags):
    """Returns weir-load serve with these flags, or the example that the environment
    names, which has no flags."""
    if ECHO:
        return ExampleService(ECHO)
    return Serve(*flags, may_complain="--stats" in flags)


def is_sanitized(path):
    """Returns True with a sanitizer, which keeps freed memory: then memory use shows
    nothing."""
    with open(path, "rb") as program:
        return b"__asan_init" in program.read()


def status_bytes(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(rf"{field}:\s+(\d+) kB", file.read())[1]) * 1024


class Outcome:
    """The result of a command."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    def json(self):
        """Returns standard output as JSON, strictly: no NaN, no Infinity."""
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
    """Runs a shell script in namespaces of its own, selected by flags of unshare. Skips
    the test, with the reason, if there can be none or if the script exits with 77, for
    example because it may not mount."""
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
    """Runs weir-load run with these arguments; it is patient unless they override
    this."""
    is_datagram = any(arg.startswith("udp:") for arg in args)
    patience = PATIENT[:3] if is_datagram else PATIENT
    return command(WEIR_LOAD, "run", *patience, *args, **options)


def load_json(*args, **options):
    """Like load(), with the result as JSON. Returns the outcome and the result."""
    outcome = load("--json", *args, **options)
    return outcome, outcome.json()


def judged(*args, status=0, **options):
    """Returns the result of a run that ends with this status."""
    outcome, result = load_json(*args, **options)
    equal(outcome.status, status, f"exit status; it said {outcome.err!r}")
    return result
