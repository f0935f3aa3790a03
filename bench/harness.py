"""Starting servers and clients for the comparisons, and measuring them.

A server is pinned to one CPU and the client to another. The figure is the
server's CPU time for each message: the client reads the server's CPU clock at
both ends of its window. Everything here is bounded in time and fails loudly.
"""
import contextlib
import copy
import functools
import json
import os
import re
import resource
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

# Below the ephemeral range, so no client of an earlier run can use these ports.
FIRST_PORT = 10000
LAST_PORT = 19999
START_TIMEOUT_S = 10
TRIES = 5  # of a slice without a message or CPU time
HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(HERE, "..", "tests", "e2e")

# Contenders that run another contender's program with these options.
VARIANTS = {
    "epoll_256k": ("epoll", ["--recv", "262144"]),
    "mmsg_block": ("mmsg", ["--block"]),
    "mmsg_trains": ("mmsg", ["--trains"]),
    "weir_trains": ("weir_udp", ["--trains"]),
    "weir_take": ("weir_stream", ["--echo", "take"]),
    "weir_copy": ("weir_stream", ["--echo", "copy"]),
}

# Contenders that are weir with this engine.
ENGINES = {"weir_poll": "poll", "weir_uring": "uring"}


# Maximum number of commands recorded for a row, which is what a page shows.
COMMANDS_MAX = 60

# Modes that rows add: functions that return a contender's command from the settings,
# its name, its port and the row's other arguments.
COMMANDS = {}


class Failure(Exception):
    """A run that cannot be used: its text says why."""


class Absent(Failure):
    """What a row needs is not installed or not built, or does not start here."""


# tests/e2e/seccomp.py raises this if it does not know the numbers of system calls.
Skip = Failure

# Prefixes of contenders' names: the subject of another build, and a program that may
# only make the system calls that Docker's default profile allows.
BEFORE = "before_"
DOCKER = "docker_"


def _confine():
    """For a child: no call on rings, as in a container of Docker."""
    if TESTS not in sys.path:
        sys.path.append(TESTS)
    import seccomp
    return seccomp.refuse(seccomp.DOCKER)


def without_port(command, port):
    """A command with PORT in the places of a port: its first argument or its
    last, or behind the colon or hyphen of an address. A number of connections
    may be the same number."""
    last = len(command) - 1
    return ["PORT" if at in (1, last) and word == str(port)
            else re.sub(rf"(?<=[:-]){port}$", "PORT", word)
            for at, word in enumerate(command)]


class Settings:
    """What the command line decides for all rows."""

    def __init__(self, options):
        self.use_build(options.build)
        self.before = options.before
        self.server_cpu = options.server_cpu
        self.client_cpu = options.client_cpu
        self.case_s = options.time  # maximum time of a comparison, in seconds
        self.warm_ms = options.warm
        self.time_ms = options.slice
        self.subject = options.subject
        self.case = options.case
        self.has_case = False  # a case with this name was found
        self.left_out = {}  # missing peers, with the reason
        self.row = ""
        self.commands = {}  # started commands of each row
        self.next_port = FIRST_PORT + os.getpid() % 1000 * 10

    def use_build(self, folder):
        self.programs = os.path.join(folder, "bench")
        self.weir_load = os.path.join(folder, "tools", "weir-load")
        self.weir_proxy = os.path.join(folder, "tools", "weir-proxy")
        self.examples = os.path.join(folder, "tools", "example-")

    def without_places(self, text):
        """A text without the folders of this machine, as another would say it."""
        text = re.sub(r"(/\S*)?/weir-bench-\w+", "FOLDER", text)
        text = text.replace(f"{sys.executable} ", "python3 ")
        places = [(self.before, "before"),
                  (os.path.dirname(self.programs), "build"),
                  (os.path.dirname(HERE), ".")]
        for place, name in places:
            if place:
                text = text.replace(f"{os.path.abspath(place)}/", f"{name}/")
                text = text.replace(f"{place}/", f"{name}/")
                text = re.sub(rf"(?<!\S){re.escape(place)}(?!\S)", name, text)
        return text.replace("./bench/", "bench/")

    def note_command(self, command, port):
        """Remember once what is started for a row, as another run would start
        it: with whatever port and folder of its own."""
        text = shlex.join(without_port(command, port))
        text = re.sub(r"--server-pid \d+", "--server-pid PID", text)
        text = re.sub(r"--to \d+", "--to PORT", text)
        text = self.without_places(text)
        noted = self.commands.setdefault(self.row, [])
        if text not in noted and len(noted) < COMMANDS_MAX:
            noted.append(text)

    def of_before(self):
        """These, for the servers of the other build."""
        settings = copy.copy(self)
        settings.use_build(self.before)
        return settings


def find_port(settings):
    """A port that nobody has, not even in TIME_WAIT."""
    for _ in range(1000):
        port = settings.next_port
        settings.next_port += 1
        if settings.next_port > LAST_PORT:
            settings.next_port = FIRST_PORT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failure(f"no free port from {FIRST_PORT} to {LAST_PORT}")


# Real-time priority of a client that is measured while another one loads its CPU.
FIRST_PRIORITY = 10


def prepare(cpus, goes_first=False, is_confined=False):
    """A function for the child: pin it, let it open many files, and take the calls
    from it that a container has not."""
    confine = _confine() if is_confined else None

    def run():
        os.sched_setaffinity(0, cpus)
        if goes_first:
            os.sched_setscheduler(0, os.SCHED_FIFO,
                                  os.sched_param(FIRST_PRIORITY))
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if confine is not None:
            confine()

    return run


class Server:
    """A server of the comparison while it runs; a context manager."""

    def __init__(self, settings, name, mode="echo", extra=(), own=False,
                 under=(), cpus=None):
        self.settings = settings
        self.cpus = {settings.server_cpu} if cpus is None else cpus
        self.name = name.removeprefix(BEFORE).removeprefix(DOCKER)
        self.is_confined = name.removeprefix(BEFORE).startswith(DOCKER)
        self.port = find_port(settings)
        self.command = server_command(settings, name, mode, self.port, extra,
                                      own)
        if under and self.command[0] == sys.executable:
            # A script that executes the server: it puts the tool before it.
            self.command.insert(-1, f"--under={shlex.join(under)}")
        elif name in ENGINES:
            self.command[2:2] = under  # env(1) runs the tool, not the reverse
        else:
            self.command = [*under, *self.command]
        self.is_under_tool = bool(under)
        self.clients = []
        settings.note_command(self.command, self.port)

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=prepare(self.cpus, is_confined=self.is_confined))
        try:
            self.wait_until_it_serves()
        except BaseException:  # even Ctrl-C: no process may remain
            self.process.kill()
            self.process.wait()
            raise
        return self

    def wait_until_it_serves(self):
        ready, _, _ = select.select([self.process.stdout], [], [],
                                    START_TIMEOUT_S)
        line = self.process.stdout.readline().decode() if ready else ""
        if str(self.port) not in line:
            self.process.kill()
            _, errors = self.process.communicate()
            raise Absent(f"{' '.join(self.command)} does not serve: "
                         f"{errors.decode().strip() or line.strip()}")

    def __exit__(self, cause, *_):
        for client in self.clients:
            client.stop()
        died = self.process.poll()
        if died is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            if self.is_under_tool:
                self.wake_ring()
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        if died is not None and cause is None:
            raise Failure(f"{self.name} ended by itself, status {died}")

    def wake_ring(self):
        """valgrind looks for signals after some work, and not while a call on
        a ring waits: here is work."""
        deadline = time.monotonic() + 5
        while self.process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.connect_ex(("127.0.0.1", self.port))

    @property
    def pid(self):
        return self.process.pid

    def resident_bytes(self):
        """Anonymous memory in use: what the program itself has taken."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Anonymous:"):
                    return int(line.split()[1]) * 1024
        raise Failure("no Anonymous line in smaps_rollup")

    def statistics(self):
        """Of weir's own program: what the library says about itself."""
        self.process.send_signal(signal.SIGUSR1)
        if not select.select([self.process.stdout], [], [],
                             START_TIMEOUT_S)[0]:
            raise Failure(f"{self.name} does not tell its statistics")
        values = {}
        # An empty line or the end of the program ends the statistics.
        while line := self.process.stdout.readline().decode().split():
            values[line[0]] = int(line[-1])
        return values


def server_command(settings, name, mode, port, extra=(), own=False):
    """The command of a contender; plain echo of weir is weir-load's, unless
    its own program here is asked for, which has statistics."""
    if name.startswith(BEFORE):
        return server_command(settings.of_before(), name.removeprefix(BEFORE),
                              mode, port, extra, own)
    if name.startswith(DOCKER):
        return server_command(settings, name.removeprefix(DOCKER), mode, port,
                              extra, own)
    if name in ENGINES:
        return [find_service("env"), f"WEIR_ENGINE={ENGINES[name]}",
                *server_command(settings, "weir", mode, port, extra, own)]
    if mode in COMMANDS:
        return COMMANDS[mode](settings, name, port, extra)
    if mode == "proxy":
        return proxy_command(settings, name, port, extra)
    if name == "uvloop":
        return [find_python(), os.path.join(HERE, "echo_uvloop.py"),
                "--mode", mode, str(port)]
    if name == "nginx":
        find_service("nginx")
        return [sys.executable, os.path.join(HERE, "serve_nginx.py"), *extra,
                str(port)]
    if name == "haproxy":
        find_service("haproxy")
        return [sys.executable, os.path.join(HERE, "serve_haproxy.py"), *extra,
                str(port)]
    if name == "weir" and not own and mode in ("echo", "chargen", "discard"):
        chosen = [] if mode == "echo" else ["--mode", mode]
        chosen += [word for word in extra if word != "--unix"]
        return [settings.weir_load, "serve", *chosen,
                f"unix:@weir-bench-{port}" if "--unix" in extra
                else f"tcp://127.0.0.1:{port}"]
    program, options = VARIANTS.get(name, (name, []))
    return [program_path(settings, f"echo_{program}"), "--mode", mode,
            *options, *extra, str(port)]


def proxy_command(settings, name, port, extra):
    """The command of a proxy, whose extra options name its backend."""
    if name in ("uring", "epoll"):
        return [program_path(settings, f"proxy_{name}"), *extra, str(port)]
    service, _, variant = name.partition("_")
    chosen = [f"--{variant}"] if variant else []
    if service == "nginx":
        find_service("nginx")
        find_stream()
    elif service == "haproxy":
        find_service("haproxy")
    else:
        chosen += ["--program", settings.weir_proxy]
    return [sys.executable, os.path.join(HERE, "serve_proxy.py"), "--service",
            service, *chosen, *extra, str(port)]


@functools.lru_cache(maxsize=None)
def find_python():
    """A Python that has uvloop: this one, or the distribution's."""
    for python in (sys.executable, "/usr/bin/python3"):
        found = subprocess.run([python, "-c", "import uvloop"], check=False,
                               stderr=subprocess.DEVNULL)
        if found.returncode == 0:
            return python
    raise Absent("no Python here has uvloop")


@functools.lru_cache(maxsize=None)
def find_service(name):
    """Where it is installed; not every PATH has the folders of root."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise Absent(f"{name} is not installed")
    return found


@functools.lru_cache(maxsize=None)
def find_stream():
    """nginx' module for TCP: None where it is built in."""
    built = subprocess.run([find_service("nginx"), "-V"], capture_output=True,
                           check=False).stderr.decode().split()
    if "--with-stream" in built:
        return None
    paths = [word.split("=", 1)[1] for word in built
             if word.startswith("--modules-path=")]
    module = os.path.join(paths[0] if paths else "", "ngx_stream_module.so")
    if not os.path.exists(module):
        raise Absent("nginx has no stream module")
    return module


def tell_when_it_serves(name, port, then=None):
    """For a program that becomes a service which does not tell: a child of it
    waits, tells, calls a function, and ends."""
    if os.fork() != 0:
        return
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                print(f"{name} serves on 127.0.0.1:{port}", flush=True)
                break
        time.sleep(0.01)
    if then is not None:
        then()
    os._exit(0)


def program_path(settings, name):
    path = os.path.join(settings.programs, name)
    if not os.access(path, os.X_OK):
        raise Absent(f"{path} is not there")
    return path


def tls_engine(settings):
    """The library behind TLS in a build: wolfSSL, OpenSSL, or nothing."""
    try:
        told = subprocess.run([settings.weir_load, "--version"],
                              capture_output=True, text=True, check=False)
    except OSError:
        return ""
    found = re.search(r"TLS by (\w+)", told.stdout)
    return found[1] if found else ""


def why_absent(settings, name, mode="echo"):
    """Why a contender cannot run here; None if it can."""
    try:
        command = server_command(settings, name, mode, 1)
    except Failure as failure:
        return str(failure)
    return (None if os.access(command[0], os.X_OK)
            else f"{command[0]} is not there")


def exists(settings, name, mode="echo"):
    """Whether a contender was built."""
    return why_absent(settings, name, mode) is None


class Client:
    """The neutral client while it runs, started at once. One that goes first
    never waits for another client on its CPU: it measures the server alone."""

    def __init__(self, server, arguments, warm_ms=None, time_ms=None,
                 goes_first=False):
        settings = server.settings
        warm_ms = settings.warm_ms if warm_ms is None else warm_ms
        time_ms = settings.time_ms if time_ms is None else time_ms
        self.limit_s = (warm_ms + time_ms) / 1000 + 30
        command = [program_path(settings, "client"),
                   "--server-pid", str(server.pid),
                   "--warm", str(warm_ms), "--time", str(time_ms),
                   *[str(a) for a in arguments], str(server.port)]
        settings.note_command(command, server.port)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=prepare({settings.client_cpu}, goes_first))
        server.clients.append(self)

    def stop(self):
        """End it if it has not ended: its report was not asked for."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def wait_ready(self):
        """Of the idle mode: all connections are open."""
        ready, _, _ = select.select([self.process.stdout], [], [], self.limit_s)
        line = self.process.stdout.readline().decode() if ready else ""
        if not line.startswith("ready"):
            raise Failure(f"the client does not connect: {line}")

    def finish(self):
        """The client's report; closing its input ends the idle mode."""
        try:
            output, errors = self.process.communicate(timeout=self.limit_s)
        except subprocess.TimeoutExpired as error:
            self.stop()
            raise Failure("the client does not end") from error
        text = output.decode()
        start = text.find("{")
        if start < 0:
            raise Failure(f"the client says: {errors.decode().strip()}")
        report = json.loads(text[start:])
        if not report["valid"]:
            raise Failure(f"the client saw errors: {report['errors']}")
        return report


def load(server, arguments, time_ms=None):
    """A client's report, with the CPU time per message. A slice is short: where a
    busy machine gives the server nothing of it, a longer one follows."""
    time_ms = server.settings.time_ms if time_ms is None else time_ms
    for longer in range(TRIES):
        report = Client(server, arguments, time_ms=time_ms << longer).finish()
        if report["messages"] > 0 and report["server_cpu_ns"] > 0:
            report["cpu_ns"] = report["server_cpu_ns"] / report["messages"]
            return report
    raise Failure(f"{server.name}: no message in the window")


@contextlib.contextmanager
def serving(settings, name, mode, server_extra, client_arguments, **rest):
    """A server while it runs: what takes a slice of it."""
    with Server(settings, name, mode, server_extra, **rest) as server:
        yield lambda: load(server, client_arguments)


@contextlib.contextmanager
def alone(settings, program, key="cpu_ns"):
    """What takes a slice of a program that measures itself, and has a figure."""
    program_path(settings, program)

    def take():
        report = run_alone(settings, program)
        return report | {"cpu_ns": report.get(key)}

    yield take


def cpu_of(settings, command, is_confined=False, **rest):
    """A client that ends by itself: what it says, and its CPU time."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                          preexec_fn=prepare({settings.client_cpu},
                                             is_confined=is_confined),
                          **rest) as client:
        output = client.stdout.read()
        _, status, usage = os.wait4(client.pid, 0)
        client.returncode = os.waitstatus_to_exitcode(status)
    if client.returncode != 0:
        raise Failure(f"{command[0]} ended with {client.returncode}: {output}")
    return output, (usage.ru_utime + usage.ru_stime) * 1e9


def run_alone(settings, program):
    """A program that measures itself and prints one JSON object; it may have two
    threads."""
    cpus = {settings.server_cpu, settings.client_cpu}
    result = subprocess.run(
        [program_path(settings, program)], capture_output=True, timeout=120,
        check=False, preexec_fn=prepare(cpus))
    if result.returncode != 0:
        raise Failure(f"{program}: {result.stderr.decode().strip()}")
    return json.loads(result.stdout)
