#!/usr/bin/env python3
"""Boots other kernels in QEMU and runs built test programs on them.

Each KERNEL is a vmlinuz, a Debian package linux-image-*.deb (or linux-binary-*,
which holds the image of newer ones), or, with --fetch, the beginning of a
version, such as 6.1 or 6.12: the newest package of Debian's kernels for clouds
that has it is then fetched from the mirror that this machine uses, and so is a
QEMU where the machine has none that will do. What is fetched goes to
.deps/kernels/ and nothing is installed.

The programs are those of the build, by the names that `meson test` knows, with
their suite where that is not `contract`: `signal`, `unit-wake`. They run as
root, one after the other, in a memory disk that holds them, their libraries and
the few commands that they start. There is no network but the loopback.

A table tells how each ended: ok, failed, hung (it did not end in time), skipped.
A kernel that ran none of them has failed; one that could not be had is skipped.
An emulated processor is slow and its clock goes by the instructions that it
has done: a test that asserts a time may fail there for that alone.

  tests/kernels/boot.py --fetch 6.1 6.12 -- pipe_tty signal fork
  tests/kernels/boot.py build-6.1/arch/x86/boot/bzImage
"""

import argparse
import glob
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "checks"))
# pylint: disable-next=wrong-import-position
from run_c_tests import suites_of

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
STORE = os.path.join(TOP, ".deps", "kernels")

# Those that use what differs from kernel to kernel, and end soon.
PROGRAMS = ("loop_new ring signal fork host_epoll pipe_tty pipe_kinds "
            "pipe_read pipe_write process write_flow memlock").split()
COMMANDS = ("bash cat dd env false grep head id kill ls mkdir mktemp printf ps pwd "
            "readlink rm seq setsid sh sleep stty tail tee test touch tr true "
            "wc yes").split()
FILES = ["/etc/" + name for name in (
    "group", "host.conf", "hosts", "nsswitch.conf", "passwd", "protocols",
    "services")]
# 7.2 has guests of Linux 6.12 die of a double fault; 10.0 was tried.
QEMU_MIN = 10
QEMU_PACKAGE = "qemu-system-x86"
SUITES = ("bullseye", "bookworm", "bookworm-updates", "bookworm-backports",
          "trixie", "trixie-backports", "sid")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def say(text):
    print("boot.py: " + text, file=sys.stderr)


class Missing(Exception):
    """What a run needs and is not here."""


class RanNothing(Exception):
    """A kernel that was booted and told of no program."""


# ---- Debian's packages ----

def mirror():
    """The place that serves this machine's release, as apt is configured."""
    lines = subprocess.run(
        ["apt-get", "indextargets", "--format",
         "$(CREATED_BY) $(COMPONENT) $(REPO_URI)"],
        stdout=subprocess.PIPE, text=True, check=False).stdout
    for line in lines.splitlines():
        kind, component, site = line.split()
        if kind == "Packages" and component == "main" and \
                "debian-security" not in site and "debian" in site:
            return site
    raise Missing("apt knows no mirror of Debian")


class Apt:
    """apt with a state of its own: the machine's own stays as it is."""

    def __init__(self):
        self.is_updated = False

    def run(self, *command, status="/dev/null", where=STORE):
        base = os.path.join(STORE, "apt")
        return subprocess.run(
            [command[0], "-q",
             "-o", "Dir::State=" + base + "/state",
             "-o", "Dir::State::status=" + status,
             "-o", "Dir::Cache=" + base + "/cache",
             "-o", "Dir::Etc::sourcelist=" + base + "/sources.list",
             "-o", "Dir::Etc::sourceparts=/dev/null",
             "-o", "APT::Sandbox::User=root", *command[1:]],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=where, check=False)

    def update(self):
        if self.is_updated:
            return
        if not shutil.which("apt-get") or not os.path.exists(KEYRING):
            raise Missing("--fetch needs apt and Debian's keyring")
        for folder in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(STORE, "apt", folder), exist_ok=True)
        site = mirror()
        with open(os.path.join(STORE, "apt", "sources.list"), "w",
                  encoding="utf-8") as file:
            for suite in SUITES:
                file.write(f"deb [signed-by={KEYRING}] {site} {suite} main\n")
        self.run("apt-get", "update")
        self.is_updated = True

    def kernel(self, version):
        """The newest package of a kernel whose version begins so."""
        kept = sorted(glob.glob(os.path.join(STORE, "linux-*.deb")),
                      key=version_of)
        kept = [path for path in kept if begins(version_of(path), version)]
        if kept:
            return kept[-1]
        self.update()
        names = self.run("apt-cache", "search", "--names-only",
                         r"^linux-(image|binary)-[0-9].*-cloud-amd64$").stdout
        found = {}
        for name in re.findall(r"^(linux-\S+) - ", names, re.M):
            number = version_of(name)
            if begins(number, version) and len(number) > 2:
                found.setdefault(number, []).append(name)
        if not found:
            raise Missing(f"no package of a kernel {version} in Debian")
        # Where there are both, the image is in the one called binary.
        name = sorted(found[max(found)])[0]
        say("fetching " + name)
        self.run("apt-get", "download", name)
        kept = glob.glob(os.path.join(STORE, name + "_*.deb"))
        if not kept:
            raise Missing("could not fetch " + name)
        return kept[0]

    def unpack(self, name, packages, releases, program):
        """Packages and what they need, unpacked in a folder of this name: the
        folder, and the beginning of a command there, with its libraries."""
        root = os.path.join(STORE, name)
        if not os.path.exists(os.path.join(root, program)):
            self.update()
            say("fetching " + " ".join(packages))
            store = os.path.join(STORE, "apt/cache/archives/*.deb")
            for file in glob.glob(store):
                os.remove(file)
            for release in releases:
                run = self.run("apt-get", "-y", "--no-install-recommends",
                               "--download-only", "-t=" + release, "install",
                               *packages, status="/var/lib/dpkg/status")
                if run.returncode == 0 and glob.glob(store):
                    break
            else:
                raise Missing("could not fetch " + " ".join(packages))
            for file in glob.glob(store):
                # base-files would make links of the folders of the others.
                if not os.path.basename(file).startswith("base-files_"):
                    subprocess.run(["dpkg", "-x", file, root], check=True)
        libraries = ":".join(glob.glob(root + "/usr/lib/*-linux-gnu") +
                             glob.glob(root + "/lib/*-linux-gnu"))
        # Programs of another release bring their C library, and its loader.
        loader = glob.glob(root + "/usr/lib/*-linux-gnu/ld-linux-*.so.*")
        start = [loader[0], "--library-path", libraries] if loader else []
        return root, start, "" if loader else libraries

    def qemu(self):
        """The command of QEMU, next to what is installed, and its libraries."""
        program = "usr/bin/qemu-system-x86_64"
        # First for this machine's release, whose libraries it will use.
        root, start, libraries = self.unpack(
            "qemu", [QEMU_PACKAGE], ("bookworm-backports", "trixie", "sid"),
            program)
        return start + [os.path.join(root, program),
                        "-L", root + "/usr/share/qemu",
                        "-L", root + "/usr/share/seabios"], libraries


def version_of(name):
    """The numbers in a package's name: (6, 12, 107, 13, ...)."""
    text = re.sub(r"^linux-[a-z]+-|-cloud.*$", "", os.path.basename(name))
    return tuple(int(number) for number in re.findall(r"\d+", text))


def begins(number, version):
    wanted = tuple(int(part) for part in re.findall(r"\d+", version))
    return number[:len(wanted)] == wanted


def find_qemu(apt):
    program = shutil.which("qemu-system-x86_64")
    if program:
        text = subprocess.run([program, "--version"], stdout=subprocess.PIPE,
                              text=True, check=False).stdout
        number = re.search(r"version (\d+)", text)
        if number and int(number[1]) >= QEMU_MIN:
            return [program], ""
        say(f"{program} is older than {QEMU_MIN}")
    if apt:
        return apt.qemu()
    raise Missing(f"no qemu-system-x86_64 of version {QEMU_MIN}; "
                  "--fetch would bring one")


def find_image(kernel, apt, folder):
    """The file that QEMU boots."""
    if not os.path.exists(kernel):
        if not re.fullmatch(r"[\d.]+", kernel):
            raise Missing("no such file: " + kernel)
        if not apt:
            raise Missing(f"no image of {kernel}; --fetch would bring one")
        kernel = apt.kernel(kernel)
    if not kernel.endswith(".deb"):
        return kernel
    subprocess.run(["dpkg", "-x", kernel, folder], check=True)
    images = glob.glob(folder + "/boot/vmlinuz-*") + \
        glob.glob(folder + "/usr/lib/modules/*/vmlinuz")
    if not images:
        raise Missing("no vmlinuz in " + kernel)
    return images[0]


# ---- the memory disk ----

class Archive:
    """A cpio archive of the kind that kernels unpack ("newc")."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.names = set()

    def entry(self, name, mode, data=b""):
        name = name.strip("/")
        if name in self.names:
            return
        if "/" in name:
            self.entry(os.path.dirname(name), stat.S_IFDIR | 0o755)
        self.names.add(name)
        self.write(name, mode, data)

    def write(self, name, mode, data):
        text = name.encode() + b"\0"
        fields = (len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(text), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (head + text, data):
            self.file.write(part + b"\0" * (-len(part) % 4))

    def add(self, path, name=None):
        """A file, with what its links mean, and the libraries it needs."""
        if (name or path).strip("/") in self.names or not os.path.exists(path):
            return
        with open(path, "rb") as file:
            data = file.read()
        mode = os.stat(path).st_mode
        self.entry(name or path, mode, data)
        if data[:4] == b"\x7fELF" and mode & 0o111:
            text = subprocess.run(["ldd", path], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True,
                                  check=False).stdout
            for library in re.findall(r"(/\S+) \(0x", text):
                self.add(library)

    def close(self):
        self.write("TRAILER!!!", 0, b"")
        self.file.close()


def programs_of(build, names):
    """What `meson test` knows by these names, or else files: for each its name, the
    path of its program, and the words that choose its tests."""
    text = subprocess.run(["meson", "introspect", build, "--tests"],
                          stdout=subprocess.PIPE, check=True).stdout
    known = {}
    for test in json.loads(text):
        if any(word.endswith("run_c_tests.py") for word in test["cmd"]):
            suite = test["suite"][0].split(":")[-1].split("+")[0]
            source, path = test["cmd"][-2:]
            known[f"{suite}-{test['name']}"] = (
                path, "-j1", "--tap", "--filter=" + suites_of(source)[1])
    programs = []
    for name in names:
        full = name if name in known or "/" in name else "contract-" + name
        words = known.get(full, (os.path.abspath(name),))
        if not os.path.exists(words[0]):
            raise Missing(f"{name} is not built: ninja -C {build} tests-{full.split('-')[0]}")
        programs.append((full, *words))
    return programs


def make_disk(path, init, programs, options):
    archive = Archive(path)
    archive.entry("dev", stat.S_IFDIR | 0o755)
    archive.entry("init", stat.S_IFREG | 0o755, init)
    lines = [str(options.seconds), TOP]
    for path in sorted({program[1] for program in programs}):
        archive.add(path)
    for program in programs:
        if options.filter and len(program) > 2:
            program = (*program[:-1], "--filter=" + options.filter)
        lines.append(" ".join(program))
    archive.entry("programs", stat.S_IFREG | 0o644,
                  ("\n".join(lines) + "\n").encode())
    for command in COMMANDS:
        found = shutil.which(command)
        if found:
            archive.add(found, "/bin/" + command)
            archive.add(found, "/usr/bin/" + command)
    for file in FILES:
        archive.add(file)
    for files in ("*.pem", "*.key", "tls-matrix/*.pem", "tls-matrix/*.key"):
        for file in glob.glob(os.path.join(options.build, "tests/unit", files)):
            archive.add(file)
    archive.entry(TOP, stat.S_IFDIR | 0o755)
    archive.close()


def compile_init(folder):
    program = os.path.join(folder, "init")
    run = subprocess.run(
        ["cc", "-O1", "-static", "-o", program, os.path.join(HERE, "init.c")],
        stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        raise Missing("init.c could not be built:\n" + run.stderr)
    with open(program, "rb") as file:
        return file.read()


# ---- a boot ----

class Boot:
    """One start of the machine. It tells of programs until it is over, or one
    of them has hung."""

    def __init__(self, qemu, libraries, image, disk, options):
        env = dict(os.environ)
        if libraries:
            env["LD_LIBRARY_PATH"] = libraries
        environment = " ".join(f"{name}={value}" for name, value in
                               variables(options).items())
        self.process = subprocess.Popen(
            qemu + ["-machine", "q35", "-accel", "tcg,thread=single",
                    "-icount", "shift=1,sleep=off", "-cpu", "max",
                    "-smp", str(options.cpus), "-m", str(options.memory),
                    "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
                    "-kernel", image, "-initrd", disk, "-append",
                    "console=ttyS0 panic=-1 quiet random.trust_cpu=on "
                    "mitigations=off rdinit=/init " + environment],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=env)
        self.release = ""
        self.log = options.log
        self.results = {}  # program: (verdict, text)
        self.seconds = self.left = options.real_seconds
        self.lines = []
        self.program = None

    def watch(self):
        """Until the machine stops, or has told of no end for that long. It counts
        the seconds itself: those in which it was stopped are none."""
        reader = threading.Thread(target=self.read)
        reader.start()
        while reader.is_alive() and self.left > 0:
            reader.join(1)
            self.left -= 1
        self.process.kill()
        self.process.wait()
        reader.join()
        if self.program:
            self.end(("hung", self.lines))

    def read(self):
        for raw in self.process.stdout:
            self.take(raw.decode("utf-8", "replace").rstrip())

    def take(self, line):
        words = line.split()
        if not line.startswith("== ") or len(words) < 2:
            self.lines.append(line)
        elif words[1] == "kernel":
            self.release = words[2]
            print("Linux " + self.release, flush=True)
        elif words[1] == "begin":
            self.program = words[2]
            self.lines = []
        elif words[1] == "hung":
            self.lines.append(line)
        elif words[1] == "end":
            self.end(judge(int(words[3]), self.lines))
        if line.startswith("== ") and words[1:2] != ["hung"]:
            self.left = self.seconds

    def end(self, result):
        self.results[self.program] = result
        report(self.program, *result)
        if self.log:
            with open(self.log, "a", encoding="utf-8") as file:
                file.write(f"== {self.release} {self.program} {result[0]}\n" +
                           "\n".join(result[1]) + "\n")
        self.program = None


def variables(options):
    """The environment of the programs, which init has from the kernel."""
    result = {"WEIR_TLS_CERTIFICATES":
              os.path.join(options.build, "tests", "unit"),
              "PATH": "/bin:/usr/bin"}
    if options.mask:
        result["WEIR_FEATURES_MASK"] = options.mask
    if options.engine:
        result["WEIR_ENGINE"] = options.engine
    return result


def judge(status, lines):
    bad = [line for line in lines if line.startswith("not ok")]
    good = [line for line in lines
            if line.startswith("ok") and "# SKIP" not in line.upper()]
    if status < 0:
        return ("hung", lines)
    if status == 0 and not bad:
        return ("ok", lines) if good or not any(
            line.startswith("ok") for line in lines) else ("skipped", lines)
    return ("failed", lines)


def run_kernel(kernel, programs, tools, options):
    """Boots as often as programs hang. Returns the results."""
    apt, (qemu, libraries), init = tools
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        image = find_image(kernel, apt, os.path.join(folder, "kernel"))
        disk = os.path.join(folder, "disk")
        left = list(programs)
        while left:
            make_disk(disk, init, left, options)
            boot = Boot(qemu, libraries, image, disk, options)
            boot.watch()
            if not boot.results:
                print("\n".join(boot.lines[-40:]))
                raise RanNothing(f"the kernel {boot.release or kernel} ran no "
                                 "program")
            results.update(boot.results)
            left = [program for program in left if program[0] not in results]
    return results


# ---- the report ----

def show(name):
    return os.path.basename(name).removeprefix("contract-")


def report(program, verdict, lines):
    """One row, as soon as the program has ended."""
    skipped = sum(1 for line in lines if re.match(r"ok\b.*# SKIP", line))
    ended = sum(1 for line in lines if re.match(r"(not )?ok\b", line)) - skipped
    bad = sum(1 for line in lines if re.match(r"not ok\b", line))
    print(f"  {show(program):24} {verdict:8} {ended - bad} of {ended} tests" +
          (f", {skipped} skipped" if skipped else ""))
    if verdict in ("failed", "hung"):
        for line in failing(lines):
            print("      " + line)
    sys.stdout.flush()


def failing(lines):
    """The tests that failed, with what they said, or else the last lines."""
    shown = []
    for line in lines:
        if line.startswith("not ok"):
            shown.append(line)
        elif "Assertion failed" in line and shown:
            shown.append("  " + line.strip())
    return shown[:20] or lines[-6:]


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels", metavar="KERNEL", nargs="+")
    parser.add_argument("--fetch", action="store_true",
                        help="get kernels and QEMU from Debian's mirror")
    parser.add_argument("--build", default=os.path.join(TOP, "build"),
                        help="the built tree (build)")
    parser.add_argument("--filter", help="pattern of the tests that run (suite/name)")
    parser.add_argument("--mask", help="WEIR_FEATURES_MASK of the programs")
    parser.add_argument("--engine", choices=("auto", "uring", "poll"),
                        help="WEIR_ENGINE of the programs")
    parser.add_argument("--seconds", type=int, default=300,
                        help="of the machine, for a program (300)")
    parser.add_argument("--real-seconds", type=int, default=900,
                        help="of the clock on the wall, for a program (900)")
    parser.add_argument("--cpus", type=int, default=2,
                        help="of the machine, done in turn by one thread (2)")
    parser.add_argument("--memory", type=int, default=2048,
                        help="of the machine, in MiB (2048)")
    parser.add_argument("--log", help="a file for all that was printed")
    arguments = sys.argv[1:]
    programs = PROGRAMS
    if "--" in arguments:
        at = arguments.index("--")
        programs = arguments[at + 1:]
        arguments = arguments[:at]
    options = parser.parse_args(arguments)
    options.build = os.path.abspath(options.build)
    return options, programs


def main():
    options, names = parse()
    bad = 0
    os.makedirs(STORE, exist_ok=True)
    apt = Apt() if options.fetch else None
    with tempfile.TemporaryDirectory() as folder:
        try:
            programs = programs_of(options.build, names)
            tools = (apt, find_qemu(apt), compile_init(folder))
        except Missing as missing:
            print(f"skipped: {missing}")
            return 0
        for kernel in options.kernels:
            try:
                results = run_kernel(kernel, programs, tools, options)
            except Missing as missing:
                print(f"Linux {kernel}\n  skipped: {missing}")
                continue
            except RanNothing as failure:
                print(f"Linux {kernel}\n  failed: {failure}")
                bad += 1
                continue
            bad += sum(1 for verdict, _ in results.values()
                       if verdict in ("failed", "hung"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
