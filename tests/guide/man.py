"""The manual pages say what is so, and their examples work.

weir(7): each function that it names is declared in a public header, each error code
too; the program compiles as a user compiles it.

weir-load(1) and weir-proxy(1): the commands are run as they stand, in a network of
their own, where weir-load and weir-proxy are found first in PATH as scripts. A load
whose example has a server runs for a moment; others are planned (--dry-run), as their
server is not here. A configuration, and a command of weir-proxy, is checked (-t), and
the check of a mail server is talked to.

mandoc, where it is there, finds no fault in any page of tools/man/.

Usage: man.py SOURCE BUILD [FLAG...]
"""

import os
import pathlib
import re
import select
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile

from shell import engine, namespace

LIMIT_S = 120
BLOCK = re.compile(r"^\.Dl ([^\n]*)\n|^\.Bd -literal[^\n]*\n(.*?)^\.Ed", re.M | re.S)
ESCAPES = {"(dq": '"', "e": "\\", "&": "", "-": "-", "\\": "\\"}
# The places of a load whose example has started a server, or gets one here.
SERVED = "*:7000*|*:7443*|*/echo.sock*"
# Valid; or that only this machine is at fault: invalid, an objective.
LOAD = f"""#!/bin/sh
case "$*" in
serve*|report*) exec %(real)s "$@" ;;
ab*7000*) %(real)s "$@" --runs 6 -d 50ms --force --undecided pass ;;
ab*) exit 0 ;;
*--dry-run*) exec %(real)s "$@" >/dev/null ;;
*udp:*|*//\\[*) exec %(real)s "$@" --dry-run >/dev/null ;;
{SERVED}) %(real)s "$@" -d 200ms -w 0 --force --wait 30s >/dev/null ;;
*) exec %(real)s "$@" --dry-run >/dev/null ;;
esac
case $? in 0|5|99) ;; *) exit 1 ;; esac
"""
PROXY = """#!/bin/sh
case "$*" in
--ctl*) %(real)s "$@" 2>&1 | grep -q "No such file" ;;
*) exec %(real)s -t "$@" ;;
esac
"""
FILES = """set -e
new="openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
$new -subj /CN=ca -keyout ca.key -out ca.pem
$new -CA ca.pem -CAkey ca.key -subj /CN=server -addext subjectAltName=IP:127.0.0.1 \
    -addext basicConstraints=CA:false -keyout server.key -out server.pem
cat server.pem server.key >site.pem
echo 'POST /login' >login
mkdir conf.d
"""
# A server for examples that name one and start none; all are ended.
RUN = """ip link set lo up
trap 'set +e; kill $(jobs -p) 2>/dev/null; wait' EXIT
%(serve)s
set -e
%(example)s
"""
SERVE = """weir-load serve tcp://127.0.0.1:7000 >/dev/null &
weir-load serve tcp://127.0.0.1:7001 >/dev/null &
weir-load -n 1 --wait 30s tcp://127.0.0.1:7000"""


def examples(page):
    """Each example as it is typed, with its line."""
    for block in BLOCK.finditer(page):
        yield page.count("\n", 0, block.start()) + 1, re.sub(
            r"\\(\(dq|[e&\\-])", lambda escape: ESCAPES[escape[1]],
            block[1] or block[2]).replace("\n.Pp", "")


class Examples:
    """The examples of the two programs, in a folder."""

    def __init__(self, source, build, work):
        self.source, self.build, self.work = source, build, work
        self.env = dict(os.environ, PATH=f"{work}:{os.environ['PATH']}:/sbin",
                        LC_ALL="C.UTF-8", **engine())
        for name, text in (("weir-load", LOAD), ("weir-proxy", PROXY)):
            (work / name).write_text(text % {"real": build / "tools" / name},
                                     encoding="utf-8")
            (work / name).chmod(0o755)
        self.call("bash", "-c", FILES)

    def call(self, *command):
        """Nothing, or what a failed command printed."""
        run = subprocess.run(command, cwd=self.work, env=self.env, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=LIMIT_S, check=False)
        return "" if run.returncode == 0 else run.stdout or f"{run.returncode}"

    def configure(self, text):
        """The file of a configuration; a part of one gets a service."""
        if not re.search(r"^\[", text, re.M):
            text = f"[it]\nlisten = tcp://127.0.0.1:0\nto = tcp://127.0.0.1:1\n{text}"
        path = self.work / "proxy.ini"
        path.write_text(text, encoding="utf-8")
        return path

    def check(self, text):
        """What is wrong with an example, or nothing; None is no example."""
        if re.match(r"weir-|cat >", text):
            serve = SERVE if ":7000" in text and " serve " not in text else ""
            return self.call(*namespace(), "bash", "-c",
                             RUN % {"serve": serve, "example": text})
        if re.match(r"[\w-]+ = |\[", text):
            fault = self.call("weir-proxy", "--config", self.configure(text))
            return fault or ("220" in text and self.talk_mail(text)) or ""
        return None

    def talk_mail(self, text):
        """The check waits for the end of a greeting of two lines, then talks."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(LIMIT_S)
            path = self.configure(text)
            path.write_text(path.read_text(encoding="utf-8").replace(
                "127.0.0.1:1", f"127.0.0.1:{server.getsockname()[1]}"),
                encoding="utf-8")
            proxy = subprocess.Popen(
                [self.build / "tools/weir-proxy", "--config", path],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.env)
            try:
                client = server.accept()[0]
                client.settimeout(LIMIT_S)
                client.sendall(b"220-mail\r\n")
                # One that talks early may be missed where the machine is slow.
                if select.select([client], [], [], 0.2)[0]:
                    return "the check talks before the greeting has ended"
                client.sendall(b"220 mail\r\n")
                said = client.recv(100)
                return "" if said == b"QUIT\r\n" else f"the check says {said}"
            finally:
                proxy.terminate()
                proxy.wait()


def check_programs(source, build):
    faults, count = [], 0
    with tempfile.TemporaryDirectory(prefix="weir-man-") as work:
        found = Examples(source, build, pathlib.Path(work))
        for name in ("weir-load.1", "weir-proxy.1"):
            page = (source / "tools/man" / name).read_text(encoding="utf-8")
            for line, text in examples(page):
                fault = found.check(text)
                count += fault is not None
                if fault:
                    faults.append(f"{name}:{line}: {text}\n{fault}")
    return faults if count >= 20 else [*faults, f"{count} examples, of 20 or more"]


def check_library(source, build, flags):
    """The names of weir(7), and its program."""
    text = (source / "tools/man/weir.7").read_text(encoding="utf-8")
    headers = "\n".join(path.read_text(encoding="utf-8")
                        for path in (source / "include").rglob("*.h"))
    named = re.findall(r"^\.Fn (\w+)", text, re.M)
    faults = [f"no such function: {name}" for name in named
              if not re.search(rf"\b{name}\(", headers)]
    faults += [f"no such error: {name}"
               for name in re.findall(r"^\.It Dv (WEIR_\w+)", text, re.M)
               if not re.search(rf"\b{name} = ", headers)]
    program = re.search(r"^\.Bd -literal\n(.*?)^\.Ed", text, re.M | re.S)[1]
    run = subprocess.run(
        [*shlex.split(os.environ.get("CC", "cc")), "-std=gnu11", "-Wall",
         "-Werror", *flags, "-x", "c", "-o", build / "guide-man", "-",
         f"-I{source / 'include'}", f"-L{build}", "-lweir"],
        input=program, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False)
    faults += [run.stdout] if run.returncode else []
    return faults if len(named) >= 10 else [*faults, "hardly a function is named"]


def main():
    source, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    faults = check_library(source, build, sys.argv[3:])
    if shutil.which("mandoc"):
        pages = sorted((source / "tools/man").glob("*.[1-9]"))
        run = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages],
                             text=True, stdout=subprocess.PIPE, check=False)
        faults += run.stdout.splitlines()
    if (build / "tools/weir-proxy").exists():
        faults += check_programs(source, build)
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


sys.exit(main())
