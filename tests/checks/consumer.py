"""weir can be used by a stranger's program in each of the ways it offers.

The program is README.md's echo server, so that the example is compiled too.
It is built against an installed copy through pkg-config, and as a meson
project with weir as its subproject; the first program also has to start.

Usage: consumer.py installed|subproject SOURCE WORK BUILD
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

PROJECT = """project('consumer', 'c', default_options: ['c_std=gnu11'])
weir = dependency('weir', fallback: 'weir')
executable('consumer', 'consumer.c', dependencies: weir)
"""

# C without extensions must do: users choose their own flags.
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
          "-Wno-unused-parameter"]

# Frames that skip the guard below a task's stack must not be possible. Every
# gcc and clang that weir knows takes this one.
STACK_FLAG = "-fstack-clash-protection"


def call(*command, env=None, cwd=None):
    run = subprocess.run([str(part) for part in command], text=True, env=env,
                         cwd=cwd, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{run.stdout}")
    return run.stdout


def example(source):
    readme = (source / "README.md").read_text(encoding="utf-8")
    programs = [block for block in
                re.findall(r"^```c\n(.*?)^```", readme, re.M | re.S)
                if "int main(" in block]
    if not programs:
        raise SystemExit("README.md holds no C program")
    return programs[0]


def write(path, text):
    """A file that has this text is left as it is."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def installed(source, work, build):
    shutil.rmtree(work)
    work.mkdir()
    write(work / "consumer.c", example(source))
    env = dict(os.environ, DESTDIR=str(work / "root"))
    call("meson", "install", "-C", build, "--no-rebuild", env=env)
    packages = list((work / "root").rglob("weir.pc"))
    if len(packages) != 1:
        raise SystemExit(f"weir.pc installed {len(packages)} times")
    env = dict(os.environ, PKG_CONFIG_PATH=str(packages[0].parent),
               PKG_CONFIG_SYSROOT_DIR=str(work / "root"))
    flags = call("pkg-config", "--cflags", "--libs", "weir", env=env).split()
    if STACK_FLAG not in flags:
        raise SystemExit(f"weir.pc lacks {STACK_FLAG}: {flags}")
    check_license(packages[0], env)
    program = work / "consumer"
    call("gcc", *STRICT, work / "consumer.c", "-o", program, *flags)
    folder = next((work / "root").rglob("libweir.so")).parent
    check_links(program, folder)
    for header in (source / "include").rglob("*.h"):
        name = header.relative_to(source / "include")
        if not list((work / "root").rglob(f"include/{name}")):
            raise SystemExit(f"{name} is not installed")


def check_license(package, env):
    """weir.pc tells of wolfSSL's licence where the library needs wolfSSL."""
    has_wolfssl = "wolfssl" in package.read_text(encoding="utf-8").partition(
        "Requires.private:")[2]
    told = call("pkg-config", "--variable=license", "weir", env=env).strip()
    if ("GPL" in told) != has_wolfssl or not told.startswith("MIT"):
        raise SystemExit(f"weir.pc says license={told}, "
                         f"wolfSSL needed: {has_wolfssl}")


def check_links(program, folder):
    """The loader finds all it needs, and nothing that was not installed."""
    env = dict(os.environ, LD_LIBRARY_PATH=str(folder))
    linked = call("ldd", program, env=env)
    if "not found" in linked or "libweir.so.0" not in linked:
        raise SystemExit(f"the program does not load:\n{linked}")


def subproject(source, work, _build):
    """Built where it was built before: the library is compiled again only as
    far as it has changed."""
    link = work / "subprojects" / "weir"
    if not link.is_symlink() or link.readlink() != source:
        shutil.rmtree(work)
        link.parent.mkdir(parents=True)
        link.symlink_to(source)
    write(work / "meson.build", PROJECT)
    write(work / "consumer.c", example(source))
    env = dict(os.environ, PKG_CONFIG_PATH="")
    if not (work / "build" / "build.ninja").exists():
        call("meson", "setup", "--default-library=static", work / "build",
             work, env=env)
    call("ninja", "-C", work / "build")
    commands = call("ninja", "-C", work / "build", "-t", "commands",
                    "consumer")
    if not re.search(rf"{STACK_FLAG}.*-c \S*/consumer\.c", commands):
        raise SystemExit(f"the program is compiled without {STACK_FLAG}")
    tests = call("meson", "introspect", "--tests", work / "build")
    if tests.strip() != "[]":
        raise SystemExit("as a subproject weir adds tests:\n" + tests)


def main():
    how, *paths = sys.argv[1:]
    source, work, build = (pathlib.Path(path).resolve() for path in paths)
    work.mkdir(parents=True, exist_ok=True)
    {"installed": installed, "subproject": subproject}[how](
        source, work, build)


main()
