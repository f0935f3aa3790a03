"""The commands that the READMEs and CONTRIBUTING.md print.

Each line is in one of two tables here: those that are run as they are written, in a
folder that looks like a clone, and those that are not, with the reason. A line that is
in neither is a fault, and so is one of a table that no text prints any more. Of all
of them the program exists, and knows the flags that it is given.

The second table's are run by hand, in hours: all, or those that have a WORD in them,
in the order of the texts, in a clone of the last commit that is made if it is not
there, with the seconds of each.

Usage: commands.py SOURCE BUILD
       commands.py --in CLONE SOURCE [WORD...]
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from blocks import Fault
from shell import Shell, engine, left

SKIP = 77
LIMIT_S = 900
TEXTS = ("README.md", "CONTRIBUTING.md", "tests/README.md", "bench/README.md")
BLOCK = re.compile(r"(?<=\n\n)((?: {4}.*\n)+)")
HEADS = ("tools/", "tests/", "bench/", "build", "git ", "meson ", "ninja ", "cc ",
         "CC=", "WEIR_", "weir-", "./")
FLAG = re.compile(r"(?<=\s)--[a-z][a-z-]*")

# In a folder without a build: what configures one.
SETUPS = (
    "meson setup build --buildtype=release -Dtests=disabled -Dbench=disabled",
    "meson setup build --buildtype=release",
    "meson setup build",
    "meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false \\\n"
    "    -Dc_args=-fno-sanitize-recover=all",
    "CC=clang meson setup build-fuzz -Db_sanitize=address -Db_lundef=false \\\n"
    "    -Dc_args=-fsanitize=fuzzer-no-link",
    "meson setup build-tsan -Db_sanitize=thread -Db_lundef=false \\\n"
    "    -Dtests=enabled -Dtools=disabled -Dbench=disabled",
)
# Ends a server on port 8888 that has given back a line, and closed well.
TALK = """until { exec 3<>/dev/tcp/127.0.0.1/8888; } 2>/dev/null; do
    kill -0 $! && sleep 0.1 || break
done
echo hello >&3 && read -r line <&3 && [ "$line" = hello ] && kill $! && wait $!"""
# In a folder whose build is this one; what each prints, and how it is ended.
RUNS = (
    ("cc -o echo echo.c $(pkg-config --cflags --libs weir)", [], None),
    ("./echo", [], TALK),
    ("tools/demo", ["..."], None),
    ("build/tests/test-unit --filter='slab/*'", ["..."], None),
)
INSTALLS = "installs packages; tests/ run where it has"
NEWCOMER = "tests/guide/newcomer.py runs it, in a bare root"
THIS = "makes the build in which this test runs, or tests it"
LONG = "takes longer than a test may"
REASONS = {
    "tools/check": LONG,
    "git format-patch --base=origin/HEAD origin/HEAD": "needs a clone with a commit",
    "tools/deps --build": NEWCOMER,
    "meson install -C build": NEWCOMER,
    "ldconfig": NEWCOMER,
    "tools/deps --check": INSTALLS,
    "tools/deps --bench": INSTALLS,
    "ninja -C build": THIS,
    "meson test -C build": THIS,
    "meson test -C build --suite unit": THIS,
    "meson test -C build sendq": THIS,
    "ninja -C build-fuzz tests/fuzz/fuzz-tls-engine tests/unit/ca.pem": LONG,
    "WEIR_TLS_CERTIFICATES=build-fuzz/tests/unit \\\n"
    "    build-fuzz/tests/fuzz/fuzz-tls-engine -max_total_time=60": LONG,
    "tests/checks/repeat.py --busy 4 --jobs 4 --masks every build contract": LONG,
    "tests/mutants/run --rooms lib/net --count 300 --seed 7 --jobs 2": LONG,
    "tests/mutants/run --rooms lib/net --count 300 --seed 7 --jobs 2 --resume": LONG,
    "tests/mutants/run --rooms weir-load-arithmetic --seed 7 --jobs 2 \\\n"
    "    --suites unit,e2e --programs 'load_*,load,results,compared'": LONG,
    "tests/e2e/attack.py --seconds 60 build-asan/tools/weir-load \\\n"
    "    build-asan/tools/weir-proxy build-asan/tools/example-*": LONG,
    "tests/e2e/proxy_soak.py build/tools/weir-proxy": LONG,
    "WEIR_PROXY=build/tools/weir-proxy tests/e2e/proxy_day.py --minutes 60":
        LONG,
    "tests/refuse/refuse.py --all build/tests/refuse/refuse-scenario": LONG,
    "tests/guide/newcomer.py": LONG,
    "tests/platforms/unit.py build": LONG,
    "tools/package --root bookworm": LONG,
    "tests/kernels/boot.py --fetch 5.10 6.1 6.12 7.3": "needs the network and QEMU",
    "tests/kernels/boot.py --fetch 6.1 -- pipe_tty signal unit-wake":
        "needs the network and QEMU",
    "tests/kernels/shadow.py": "needs the network and Bochs",
    "tests/platforms/platforms.py aarch64 aarch64-ucontext riscv64 musl":
        "needs cross compilers",
    "tests/platforms/platforms.py --suites unit tasks -- musl":
        "needs cross compilers",
    "bench/run --rows T1,T5": "wants the machine for itself",
    "bench/run --rows growth,growth-loop,growth-proxy": LONG,
    "bench/run --report PAGE.html --json RESULTS.json":
        "wants the machine for itself",
    "bench/report.py -o PAGE.html RESULTS.json OTHERS.json":
        "tests/checks/test_figures.py runs it on other files",
    "bench/report.py --keep RESULTS.json -o bench/results.json":
        "tests/checks/test_figures.py runs it on other files",
    "bench/report.py --update": "it writes into the tree",
    "bench/counts": LONG,
    "bench/counts --cases life --calls": LONG,
    "bench/proxy_cost.py build/tools/weir-proxy": LONG,
    "bench/proxy_memory.py build/tools/weir-proxy haproxy": LONG,
}


def read_commands(source):
    """Every command of the texts, without comments: "&&" and line ends separate."""
    found = []
    for name in TEXTS:
        text = (source / name).read_text(encoding="utf-8")
        for block in BLOCK.findall(text):
            if not block.strip().startswith(HEADS):
                continue
            lines = [re.sub(r" +# .*", "", line[4:]) for line in
                     block.splitlines()]
            found += re.split(r"\n| && ", re.sub(r"\\\n", "\\\\\0", "\n".join(lines)))
    return [command.replace("\0", "\n") for command in found]


def check_known(source, build, command):
    """Its program is there, and knows its flags."""
    words = [word for word in command.split()
             if not re.match(r"[A-Z_]+=", word) and word != "\\"]
    path = source / words[0]
    if words[0].startswith("build/"):
        path = build / words[0].removeprefix("build/")
    is_there = path.exists() or words[0].startswith(("build-", "./")) or (
        shutil.which(words[0], path=f"{build / 'tools'}:{os.environ['PATH']}"
                     ":/usr/sbin:/sbin"))
    if not is_there:
        raise Fault(f"$ {command}\nno such program")
    if path.exists() and words[0].startswith(("tools/", "tests/", "bench/")):
        text = path.read_text(encoding="utf-8")
        for flag in FLAG.findall(command):
            if flag not in text:
                raise Fault(f"$ {command}\n{words[0]} knows no {flag}")


def make_clone(source, folder, build):
    """A folder that looks like a clone, with this build or without one."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tools").mkdir(parents=True)
    for path in source.iterdir():
        if path.name != "tools" and not path.name.startswith(("build", ".git")):
            (folder / path.name).symlink_to(path)
    for path in (source / "tools").iterdir():
        (folder / "tools" / path.name).symlink_to(path)
    if build:
        (folder / "build").symlink_to(build)
        (folder / "build-demo").symlink_to(build)


def environment(source, build, folder):
    """Where the programs and packages of this build are found."""
    packages = folder / "packages"
    packages.mkdir()
    for path in (build / "meson-private").glob("weir*.pc"):
        text = re.sub(r"^libdir=.*$", f"libdir={build}", path.read_text(
            encoding="utf-8"), flags=re.M)
        (packages / path.name).write_text(re.sub(
            r"^includedir=.*$", f"includedir={source / 'include'}", text,
            flags=re.M), encoding="utf-8")
    return dict(os.environ, LC_ALL="C.UTF-8", PKG_CONFIG_PATH=str(packages),
                LD_LIBRARY_PATH=str(build),
                PATH=f"{build / 'tools'}:{os.environ['PATH']}", **engine())


def run_setups(source, folder):
    make_clone(source, folder, None)
    for command in SETUPS:
        if "clang" in command and not shutil.which("clang"):
            continue
        run = subprocess.run(["bash", "-c", command], cwd=folder, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=LIMIT_S, check=False)
        if run.returncode != 0:
            raise Fault(f"$ {command}\n{run.stdout}")


def run_others(source, build, folder):
    make_clone(source, folder, build)
    readme = (source / "README.md").read_text(encoding="utf-8")
    program = re.search(r"^```c\n(.*?)^```", readme, re.M | re.S)[1]
    (folder / "echo.c").write_text(program, encoding="utf-8")
    shell = Shell(folder, environment(source, build, folder))
    try:
        for command, wanted, end in RUNS:
            # A server goes to the background, as in another terminal.
            shell.run(command + (" &" if end else ""), wanted)
            if end:
                shell.run(end, ["..."])
        shell.end()
    finally:
        shell.kill()


def run_in(folder, source, words):
    """Each command that no test runs, as somebody types it, in a clone."""
    if not folder.exists():
        subprocess.run(["git", "clone", "-q", source, folder], check=True)
    for command in read_commands(source):
        if command not in (*SETUPS, *REASONS) or words and not any(
                word in command for word in words):
            continue
        began = time.monotonic()
        code = subprocess.run(["bash", "-c", command], cwd=folder,
                              check=False).returncode
        print(f"{time.monotonic() - began:7.1f} s  {command}", flush=True)
        if code != 0:
            raise Fault(f"$ {command}\nstatus {code}")


def main():
    left.keep_account()
    if sys.argv[1] == "--in":
        try:
            run_in(*map(pathlib.Path, sys.argv[2:4]), sys.argv[4:])
        except Fault as fault:
            sys.exit(str(fault))
        return 0
    source, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    commands = read_commands(source)
    known = {*SETUPS, *REASONS, *(command for command, *_ in RUNS)}
    try:
        for command in sorted(set(commands) ^ known):
            raise Fault(f"$ {command}\n" + ("no table has it" if command in
                        commands else "no text prints it"))
        for command in commands:
            check_known(source, build, command)
        if not (build / "tools" / "weir-proxy").exists():
            print("skipped: built without weir-proxy", file=sys.stderr)
            return SKIP
        work = build / "check-commands"
        run_setups(source, work / "bare")
        run_others(source, build, work / "built")
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
