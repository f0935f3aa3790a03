"""The test programs of a build with faults, run within bounds.

A program in C, and a script of tests/e2e, runs with all of its tests or with some, any
other as a whole. It is ended when it prints its first failure, when it takes too long,
and with all that it has started, which is known by a word in its environment. As root
it has a /tmp of its own, which is thrown away; else what tests leave there stays.

Which faults a program reaches is found by running it without one: by each of its
tests, where it takes long enough for that to be worth a start of the program.
"""

import base64
import ctypes
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "checks"))
# pylint: disable-next=wrong-import-position
from run_c_tests import suites_of as suites_of_file

# The suites, in which `epoll` is the contracts over epoll; and what runs last.
SUITES = "unit trace tasks cxx streams sim contract epoll"
LAST = {"threads", "e2e"}
WORD = "WEIR_MUTANT_RUN"
SET_CHILD_SUBREAPER = 36  # of prctl()
TIMES = 10
HEALTHY_S = 300
# From here on each test is looked at alone, and a contract over epoll runs only for
# faults that it does not reach over io_uring.
LONG_S = 0.5
# Tests reserve much more memory than they touch, for stacks. The second counts.
RESERVED = 256 << 30
TOUCHED = 4 << 30
FILE = 8 << 30
OUTPUT = 64 << 20
# The simulations and storms are long by choice, and differ by their seed. Memory is
# dirty, as meson has it, so that an initialisation that is left out is noticed.
SHORT = {"MALLOC_PERTURB_": "165", "WEIR_SIM_COUNT": "200", "WEIR_SIM_SWEEPS": "1",
         "WEIR_STREAM_COUNT": "100", "WEIR_STORM_ROUNDS": "1",
         "WEIR_PUBLIC_WALKS": "200", "WEIR_TEST_SEED": "1"}
RESULT = re.compile(r"^(not )?ok \d+ (?:- )?(\S+)(?: # (SKIP))?.*$", re.M)
PRIVATE_TMP = ["unshare", "--mount", "sh", "-c",
               'mount --bind "$0" /tmp && exec "$@"']


class Stopped(Exception):
    """The hunt has been stopped by the user."""


class Outcome:
    """How a run ended: what it printed, its status (None: too late), its time."""

    def __init__(self, said, status, seconds):
        self.said = said
        self.status = status
        self.seconds = seconds
        self.results = [(match[2], not match[1], match)
                        for match in RESULT.finditer(said)]

    def failed_test(self):
        return next((name for name, is_ok, _ in self.results if not is_ok), None)

    def passed(self, count):
        """With @count results at least."""
        return (self.status == 0 and len(self.results) >= count
                and self.failed_test() is None)

    def how(self):
        """What noticed the fault."""
        if self.status is None:
            return "time-out"
        begin, end = 0, len(self.said)
        for _, is_ok, match in self.results:
            if not is_ok:
                end = match.start()
                break
            begin = match.end()
        said = self.said[begin:end]
        if ": broken: " in said:
            return "assertion"
        if f"# ended by signal {signal.SIGALRM.value}\n" in said:
            return "time-out"  # of the small runner
        if "# ended by signal" in said or self.status < 0 or self.status > 127:
            return "crash"
        return "wrong result"


class Program:
    """A test of meson's, with the environment that it runs in."""

    def __init__(self, test, suite, build, env):
        self.name = f"{suite} {test['name']}"
        self.suite = suite
        self.is_last = bool(LAST & suites_of(test))
        self.folder = test["workdir"] or str(build)
        self.env = {**test["env"], **env}
        self.is_c = any(word.endswith("run_c_tests.py") for word in test["cmd"])
        self.can_choose = self.is_c or any(map(is_script, test["cmd"]))
        # A program at the top of a build is "./program".
        command = [str(build / word) if word.startswith("./") else word
                   for word in test["cmd"]]
        self.command = command[-1:] if self.is_c else command
        self.source = command[-2] if self.is_c else ""
        self.stamp = ""

    def make_stamp(self):
        """Changes when the program does; of a suite that is one program, when the
        object of this test's file does."""
        found = hashlib.blake2b(digest_size=8)
        paths = [path for path in (pathlib.Path(self.folder, word)
                                   for word in self.command) if path.is_file()]
        if self.is_c:
            path = pathlib.Path(self.source)
            paths = [*pathlib.Path(f"{paths[0]}.p").glob(f"*{path.parent.name}_{path.name}.o")]
        if not paths:
            raise SystemExit(f"{self.name}: no file is in {self.command}")
        for path in paths:
            found.update(path.read_bytes())
        self.stamp = found.hexdigest()

    def choice_of(self, tests):
        """The words and the environment that have it run these tests; ["*"]: all."""
        if self.is_c and tests == ["*"]:
            tests = [suites_of_file(self.source)[1]]
        if tests == ["*"] or not self.can_choose:
            return [], {}
        if self.is_c:
            return [f"--filter={name}" for name in tests], {}
        return [], {"WEIR_E2E_TESTS": " ".join(tests)}


def is_script(word):
    """Has it its tests run by tests/e2e/harness.py?"""
    path = pathlib.Path(word)
    return path.suffix == ".py" and path.parent.name == "e2e" and (
        "\nrun(globals()" in path.read_text(encoding="utf-8"))


def suites_of(test):
    return {part for suite in test["suite"]
            for part in suite.split(":")[-1].split("+")}


def introspect(build, what):
    return json.loads(subprocess.run(
        ["meson", "introspect", f"--{what}", str(build)], check=True, text=True,
        stdout=subprocess.PIPE).stdout)


def read_programs(build, wanted, patterns):
    """The programs of the suites that fit a pattern, and the files that must be
    built for them."""
    order = {suite: at for at, suite in enumerate(wanted)}
    found, targets = [], set()
    for test in introspect(build, "tests"):
        if not any(fnmatch(test["name"], pattern) for pattern in patterns):
            continue
        mine = sorted(suites_of(test) & set(wanted), key=order.get)
        programs = [Program(test, mine[0], build, {})] if mine else []
        if "epoll" in wanted and "contract" in suites_of(test):
            programs.append(Program(test, "epoll", build, {"WEIR_ENGINE": "poll"}))
        for program in programs:
            targets |= {*test["depends"], *program.command}
        found += programs
    files = {target["id"]: target["filename"]
             for target in introspect(build, "targets")}
    paths = {os.path.relpath(path, build) for target in targets
             for path in files.get(target, [target]) if path.startswith("/")}
    return found, sorted(path for path in paths if not path.startswith(".."))


class Runner:
    """Runs programs, several at a time, and ends them all when it is stopped."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.lock = threading.Lock()
        self.running = set()
        self.is_stopped = False
        self.prefix = []
        scratch.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0 and not scratch.is_relative_to("/tmp"):
            probe = subprocess.run([*PRIVATE_TMP, str(scratch), "true"],
                                   stderr=subprocess.DEVNULL, check=False)
            self.prefix = PRIVATE_TMP if probe.returncode == 0 else []

    def set_limits(self):
        """Of this process, and so of all programs."""
        for limit, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, FILE),
                            (resource.RLIMIT_AS, RESERVED)):
            hard = resource.getrlimit(limit)[1]
            if hard == resource.RLIM_INFINITY or hard > most:
                resource.setrlimit(limit, (most, most))

    def run(self, program, tests, limit_s, **env):
        """Runs the program until its first failure."""
        folder = tempfile.mkdtemp(dir=self.scratch if self.prefix else None)
        os.chmod(folder, 0o1777)
        said = tempfile.TemporaryFile()
        try:
            return self.run_in(folder, said, program, tests, limit_s, env)
        finally:
            said.close()
            shutil.rmtree(folder, ignore_errors=True)

    def run_in(self, folder, said, program, tests, limit_s, env):
        prefix = [*self.prefix, folder] if self.prefix else []
        words, choice = program.choice_of(tests)
        env = {**os.environ, **program.env, **SHORT, **choice, **env, WORD: folder}
        if not self.prefix:
            env["TMPDIR"] = folder
        started = time.monotonic()
        with self.lock:
            if self.is_stopped:
                raise Stopped
            # pylint: disable=consider-using-with
            process = subprocess.Popen(
                prefix + program.command + words, env=env, cwd=program.folder,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                start_new_session=True)
            self.running.add(process)
        try:
            status = self.wait(process, said, started + limit_s)
        finally:
            self.end(process, folder)
            with self.lock:
                self.running.discard(process)
        if self.is_stopped:
            raise Stopped
        said.seek(0)
        return Outcome(said.read(OUTPUT).decode(errors="replace"), status,
                       time.monotonic() - started)

    def wait(self, process, said, until):
        """The program's status; None if it takes too long, or memory or prints
        without end; 1 at its first failure."""
        seen = 0
        while True:
            left = until - time.monotonic()
            try:
                return process.wait(max(0.0, min(0.3, left)))
            except subprocess.TimeoutExpired:
                if left <= 0:
                    return None
            self.reap_orphans()
            if (os.fstat(said.fileno()).st_size > OUTPUT or
                    memory_of(process.pid) > TOUCHED):
                return None
            text = os.pread(said.fileno(), 1 << 20, seen)
            if re.search(rb"^not ok .*\n", text, re.M):
                return 1
            seen += text.rfind(b"\n") + 1

    def reap_orphans(self):
        """What has ended and is no program is the child of one that has ended before
        it. A test may wait until it has gone."""
        with self.lock:
            mine = {process.pid for process in self.running}
            for pid, words in stats():
                if words[0] == "Z" and words[1] == str(os.getpid()) and (
                        pid not in mine):
                    reap(pid)

    @staticmethod
    def end(process, folder):
        """Kills what is left of a program, and all that has its word. What it had
        started is this process's then, and is waited for, so that its time counts."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        reap(-process.pid)
        word = f"{WORD}={folder}\0".encode()
        for pid, environ in read_processes("environ"):
            if word in environ + b"\0":
                try:
                    os.kill(pid, signal.SIGKILL)
                    reap(pid)
                except OSError:
                    continue

    def stop(self):
        with self.lock:
            self.is_stopped = True
            for process in self.running:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


def adopt_orphans():
    """From now on processes without a parent are this process's."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(which):
    """Waits for a child that was killed, or for all of a group (-which)."""
    try:
        while os.waitpid(which, 0)[0] != which:
            pass
    except ChildProcessError:
        pass


def read_processes(name):
    """A file of /proc of each process, which may end meanwhile."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            yield int(pid), pathlib.Path("/proc", pid, name).read_bytes()
        except OSError:
            continue


def stats():
    """Each process, with the words of its /proc/PID/stat from its state on."""
    for pid, text in read_processes("stat"):
        yield pid, text.decode(errors="replace").rsplit(")", 1)[1].split()


def memory_of(session):
    """What the processes of a session have touched, in bytes."""
    return resource.getpagesize() * sum(
        int(words[21]) for _, words in stats() if words[3] == str(session))


class Map:
    """Which faults each test reaches, and how long it takes."""

    def __init__(self, path, count):
        self.path = path
        self.count = count  # the largest number of a fault
        self.rows = json.loads(path.read_text("utf-8")) if path.exists() else {}
        self.bits = {}
        self.programs = {}

    def make(self, runner, programs, jobs):
        """Looks at the programs that have changed, and at those of which something
        was left out, as it may have failed by itself."""
        for program in programs:
            program.make_stamp()
        new = [program for program in programs
               if self.rows.get(program.name, {}).get("stamp") != program.stamp
               or self.rows[program.name].get("left_out")]
        pool = ThreadPoolExecutor(jobs)
        try:
            for done, (program, row) in enumerate(zip(new, pool.map(
                    lambda program: self.look(runner, program), new)), 1):
                self.rows[program.name] = row
                for test in row["left_out"]:
                    print(f"left out, as it fails without a fault: {program.name} "
                          f"{test}", flush=True)
                if done % 25 == 0 or done == len(new):
                    print(f"mapped {done} of {len(new)} programs", flush=True)
        except KeyboardInterrupt:
            runner.stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            self.path.write_text(json.dumps(self.rows), encoding="utf-8")
        for program in programs:
            self.programs[program.name] = program
            self.bits[program.name] = {
                name: unpack(test["reached"])
                for name, test in self.rows[program.name]["tests"].items()}

    def look(self, runner, program):
        """A row: the whole program, or its tests one by one."""
        row = {"stamp": program.stamp, "tests": {}, "left_out": []}
        whole, found = self.look_at(runner, program, ["*"])
        if found is None:
            row["left_out"].append("*")
            return row
        names = sorted({name for name, _, _ in whole.results})
        if not program.can_choose or found["s"] < LONG_S or len(names) < 2:
            row["tests"]["*"] = found
            return row
        for name in names:
            _, found = self.look_at(runner, program, [name])
            if found is None:
                row["left_out"].append(name)
            else:
                row["tests"][name] = found
        return row

    def look_at(self, runner, program, tests):
        with tempfile.NamedTemporaryFile(dir=runner.scratch) as seen:
            seen.truncate(self.count + 1)
            done = runner.run(program, tests, HEALTHY_S,
                              WEIR_MUTANTS_REACHED=seen.name)
            if not done.passed(1):
                return done, None
            return done, {"s": round(done.seconds, 3), "count": len(done.results),
                          "reached": pack(seen.read())}

    def reaching(self, number):
        """Programs that reach a fault, each with its tests that do, their time and
        the number of results: the quickest first."""
        found = {}
        for name, tests in self.bits.items():
            reach = [test for test, bits in tests.items() if bits >> number & 1]
            if reach:
                rows = [self.rows[name]["tests"][test] for test in reach]
                found[name] = (self.programs[name], reach,
                               sum(row["s"] for row in rows),
                               sum(row["count"] for row in rows))
        for name in list(found):
            twin = name.replace("epoll ", "contract ")
            if name.startswith("epoll ") and found[name][2] > LONG_S and (
                    twin in found):
                del found[name]
        return sorted(found.values(), key=lambda item: (item[0].is_last, item[2]))


def pack(reached):
    return base64.b64encode(zlib.compress(reached)).decode()


def unpack(text):
    """A bit for each fault."""
    reached = zlib.decompress(base64.b64decode(text))
    digits = reached.translate(bytes([48]) + bytes([49]) * 255)
    return int(digits[::-1], 2)
