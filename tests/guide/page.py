"""A page of the guide does what it says.

Every program on the page is compiled as a user compiles it, with warnings as
errors, and run: with the block `text` behind it as its output, or by the commands
of the blocks `console`, each of which prints what stands below it. Fragments are
compared with the files that they are cut from, links lead somewhere, and C code
has the format of the tree. blocks.py tells which block is what.

Usage: page.py SOURCE BUILD PAGE [FLAG...]
The flags are added to each call of the compilers, for a build with a sanitizer.
"""

import os
import pathlib
import re
import shlex
import shutil
import stat
import subprocess
import sys

import blocks
from blocks import Fault
from shell import Shell, are_like, engine, left

SKIP = 77
C_FLAGS = "-std=gnu11 -Wall -Wextra -Wpedantic -Werror"
CXX_FLAGS = "-std=c++20 -Wall -Wextra -Werror"
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
# Programs of others that commands of pages call.
FOREIGN = ("clang++", "curl", "dig", "g++", "gdb", "jq", "nc", "openssl", "redis-cli", "socat",
           "valgrind")
# The flags of libraries that programs of pages use, by their headers.
LIBRARIES = {"uv.h": "-luv", "http_parser.h": "-lhttp_parser"}
LIMIT_S = 120


class Missing(Exception):
    """This machine has not what the page needs."""


def packages(text):
    return "weir-tls" if "<weir/tls" in text else "weir"


class Page:
    """One page, and the folder in which its programs are made."""

    def __init__(self, source, build, path, flags):
        self.source, self.build, self.path = source, build, path
        self.text = path.read_text(encoding="utf-8")
        self.blocks = blocks.read_blocks(self.text)
        self.folder = build / "guide" / path.stem
        self.flags = flags
        self.last = []  # the programs of the last block that is one
        self.env = dict(
            os.environ, LC_ALL="C.UTF-8",
            PKG_CONFIG_PATH=str(self.folder / "packages"),
            LIBRARY_PATH=str(self.folder / "packages"),
            LD_LIBRARY_PATH=str(build),
            PATH=f"{self.folder / 'bin'}:{build / 'tools'}:"
                 f"{os.environ['PATH']}:/usr/sbin:/sbin", **engine())

    # ---- what is there before the first command ----

    def prepare(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "bin").mkdir(parents=True)
        self.make_packages()
        for path in blocks.named_files(self.source, self.text):
            if "examples" in path.parts:
                link = self.folder / path.name
                if not link.is_symlink():
                    link.symlink_to(path)
        for name, real in (("cc", os.environ.get("CC", "cc")), ("g++", "g++"),
                           ("clang++", "clang++")):
            self.wrap(name, real)
        self.look_for_programs()

    def make_packages(self):
        """The packages as they are installed, with the folders of this build."""
        folder = self.folder / "packages"
        folder.mkdir()
        for path in (self.build / "meson-private").glob("weir*.pc"):
            text = path.read_text(encoding="utf-8")
            for name, place in (("libdir", self.build),
                                ("includedir", self.source / "include")):
                text = re.sub(rf"^{name}=.*$", f"{name}={place}", text,
                              flags=re.M)
            (folder / path.name).write_text(text, encoding="utf-8")
        for path in (self.source / ".deps" / "lib").glob("lib*.a"):
            (folder / f"libweir-{path.name[3:]}").symlink_to(path)

    def wrap(self, name, real):
        """The compiler by its name, with the flags of this build besides.

        One that looks for itself, as ccache does, must not find this."""
        words = [shutil.which(word) or word for word in real.split()]
        if not shutil.which(words[0]):
            return
        kind = C_FLAGS if name == "cc" else "-Wall -Wextra -Werror"
        path = self.folder / "bin" / name
        path.write_text(f'#!/bin/sh\nPATH={shlex.quote(os.environ["PATH"])}\n'
                        f'exec {" ".join(words)} {kind} '
                        f'{" ".join(self.flags)} "$@"\n', encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def look_for_programs(self):
        commands = "\n".join(block.body for block in self.blocks
                             if block.kind == "console")
        for name in FOREIGN:
            if re.search(rf"(^|[ |]){re.escape(name)} ", commands, re.M) and (
                    not shutil.which(name, path=self.env["PATH"])):
                raise Missing(f"no {name} here")
        if re.search(r"<weir/tls|weir-tls", self.text) and not (
                self.build / "libweir-tls.so").exists():
            raise Missing("built without libweir-tls")
        if self.flags and re.search(r"^\$ valgrind|^\$ cc -static|^```cpp", self.text,
                                    re.M):
            raise Missing("not with a sanitizer")
        if "$ cc -static" in self.text and not (self.build / "libweir.a").exists():
            raise Missing("built without libweir.a (-Ddefault_library=both)")
        for header in LIBRARIES:
            if f"<{header}>" in self.text and not pathlib.Path(
                    "/usr/include", header).exists():
                raise Missing(f"no {header} here")

    # ---- one block ----

    def call(self, *command):
        run = subprocess.run(command, cwd=self.folder, env=self.env, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=LIMIT_S, check=False)
        if run.returncode != 0:
            raise Fault(f"{' '.join(map(str, command))}:\n{run.stdout}")
        return run.stdout

    def write(self, block):
        path = self.folder / block.name
        path.unlink(missing_ok=True)  # a link into the tree, perhaps
        path.write_text(block.body, encoding="utf-8")
        if block.kind == "c" and shutil.which("clang-format-14"):
            self.call("clang-format-14", "--dry-run", "--Werror",
                      f"--style=file:{self.source / '.clang-format'}",
                      block.name)
        if block.is_program:
            self.last = self.compile(block)

    def compile(self, block):
        """The commands of README, for each compiler of the language."""
        made = []
        compilers = ["cc"] if block.kind == "c" else ["g++", "clang++"]
        flags = self.call("pkg-config", "--cflags", "--libs",
                          packages(block.body)).split()
        flags += [flag for header, flag in LIBRARIES.items()
                  if f"<{header}>" in block.body]
        for name in compilers:
            if not (self.folder / "bin" / name).exists():
                continue
            program = pathlib.Path(block.name).stem + (
                "-clang" if name == "clang++" else "")
            kind = [] if block.kind == "c" else CXX_FLAGS.split()
            self.call(name, *kind, "-o", program, block.name, *flags)
            made.append(program)
        if not made:
            raise Missing("no C++ compiler here")
        return made

    def check_output(self, block):
        if not self.last:
            raise Fault(f"{block.line}: an output without a program")
        wanted = block.body.splitlines()
        for program in self.last:
            found = self.call(f"./{program}").splitlines()
            if not are_like(found, wanted, True):
                raise Fault(f"{block.line}: {program} printed\n"
                            + "\n".join(found))

    def check_followed(self):
        """Each program is run: an output or a command is behind it."""
        waiting = None
        for block in self.blocks:
            if block.is_program:
                if waiting:
                    raise Fault(f"{waiting.line}: a program that is not run")
                waiting = block
            elif waiting and (block.kind == "text" or (
                    block.kind == "console" and f"./{waiting.name.split('.')[0]}"
                    in block.body)):
                waiting = None
        if waiting:
            raise Fault(f"{waiting.line}: a program that is not run")

    def check_links(self):
        for match in LINK.finditer(self.text):
            target = match[1]
            if "://" in target or not target:
                continue
            if not (self.path.parent / target).exists():
                raise Fault(f"a link to nothing: {target}")

    def run(self):
        blocks.check_fragments(self.source, self.text, self.blocks)
        self.check_links()
        self.check_followed()
        if not any(block.name or block.kind == "console"
                   for block in self.blocks):
            return
        self.prepare()
        shell = Shell(self.folder, self.env)
        try:
            for block in self.blocks:
                if block.name:
                    self.write(block)
                elif block.kind == "text":
                    self.check_output(block)
                elif block.kind == "console":
                    for command, wanted in blocks.read_commands(block.body):
                        shell.run(command, wanted)
            shell.end()
        finally:
            shell.kill()


def main():
    left.keep_account()
    source, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    page = pathlib.Path(sys.argv[3]).resolve()
    try:
        Page(source, build, page, sys.argv[4:]).run()
    except Missing as missing:
        print(f"skipped: {missing}", file=sys.stderr)
        return SKIP
    except Fault as fault:
        print(f"{page.name}: {fault}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
