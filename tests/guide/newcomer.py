#!/usr/bin/env python3
"""A newcomer's path: from a bare root to an answer of a program of their own.

In a root of the distribution that has nothing but its base, the last commit is
cloned, and what README.md says is done as it says it: the commands that install
weir; its first program written down, compiled by the command below it and started;
one line sent to it, which must come back. No command stands here.
The seconds of each stage are printed. It takes some minutes, the network and root
of the machine, so it is run by hand.
"""

import argparse
import pathlib
import re
import shutil
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tools/common"))
from roots import MAKERS, Failure, Root, find_mirror, need, run  # noqa: E402

COMMAND = re.compile(r"^ {4}(.*?)(?: +#.*)?$", re.M)
REQUEST = r"""set -e
%(server)s >server.log 2>&1 &
tries=0
until { exec 3<>/dev/tcp/127.0.0.1/%(port)s; } 2>/dev/null; do
    tries=$((tries + 1))
    kill -0 $! && [ $tries -lt 600 ] || { cat server.log; exit 1; }
    sleep 0.1
done
echo 'is it there?' >&3
read -r -t 60 answer <&3
kill $! && wait $!
[ "$answer" = 'is it there?' ]
"""


def read_path():
    """README's program, and the commands after it: they install weir, compile the
    program and start it."""
    text = (SOURCE / "README.md").read_text(encoding="utf-8")
    code, after = re.search(r"^```c\n(.*?)^```\n\n(.*?)\n\n", text, re.M | re.S).groups()
    return code, COMMAND.findall(after)


class Path:
    """The stages, each with its seconds."""

    def __init__(self, root, work):
        self.root, self.work = root, work
        self.stages = []

    def take(self, name, script, is_online=False):
        began = time.monotonic()
        self.root.shell(f"set -e\ncd /root\n{script}", self.work / "log",
                        is_online)
        self.stages.append((name, time.monotonic() - began))
        print(f"{self.stages[-1][1]:7.1f} s  {name}", flush=True)

    def walk(self):
        code, (*commands, compiler, server) = read_path()
        port = re.search(r'"127\.0\.0\.1", (\d+)', code)[1]
        self.take("git from the distribution",
                  "apt-get -q update && apt-get -q -y --no-install-recommends "
                  "install git", is_online=True)
        self.take("git clone", "git clone -q /srv/weir.git weir")
        for command in commands:
            self.take(command, f"cd weir\n{command}", is_online=True)
        (self.root.path / "root/echo.c").write_text(code, encoding="utf-8")
        self.take(compiler, compiler)
        request = REQUEST % {"server": server, "port": port}
        (self.root.path / "root/request").write_text(request, encoding="ascii")
        self.take(f"{server}, a line, its answer", "bash request")
        print(f"{sum(seconds for _, seconds in self.stages):7.1f} s  all")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", metavar="SUITE", default="bookworm",
                        help="the suite of Debian (%(default)s)")
    parser.add_argument("--mirror", metavar="URL",
                        help="where debootstrap gets it (where this machine's "
                        "apt gets its packages)")
    parser.add_argument("--work", type=pathlib.Path,
                        default=SOURCE / "build-newcomer",
                        help="the folder, which is emptied (build-newcomer)")
    options = parser.parse_args()
    need(MAKERS | {"git": "git"})
    work = options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    root = Root.make(work / "root", options.root,
                     options.mirror or find_mirror())
    run("git", "clone", "-q", "--bare", SOURCE, root.path / "srv/weir.git")
    Path(root, work).walk()
    shutil.rmtree(work)


try:
    main()
except Failure as failure:
    print(f"newcomer: {failure}", file=sys.stderr)
    sys.exit(1)
