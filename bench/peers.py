"""Those that weir is compared with: what they are called, and their versions.

Versions are those of the libraries that the build found, and of the programs that
are installed here: what was measured, as far as it can be asked.
"""
import json
import os
import re
import select
import shlex
import shutil
import subprocess
import sys

NAMES = {
    "uring": "bare liburing", "epoll": "bare epoll",
    "epoll_256k": "bare epoll", "uv": "libuv", "uv_tuned": "tuned libuv",
    "event": "libevent", "uvloop": "uvloop", "weir": "weir's protocol",
    "weir_uring": "weir on io_uring", "mmsg": "bare recvmmsg",
    "mmsg_block": "blocking recvmmsg", "mmsg_trains": "bare recvmmsg with trains",
    "uv_udp": "libuv by recvmmsg", "weir_take": "weir's take",
    "weir_copy": "weir's copy", "eventfd": "a list, an eventfd written each time",
    "eventfd_once": "a list, an eventfd written once", "nginx": "nginx",
    "haproxy": "HAProxy", "haproxy_tuned": "tuned HAProxy",
    "weir_copying": "weir with --no-splice", "openssl": "OpenSSL on bare epoll",
    "thread": "threads", "redis": "redis-server",
    "first_weir": "README's program", "first_go": "Go",
    "first_asyncio": "asyncio's streams"}

# For each program: the command that prints its version, and a pattern for it.
PROGRAMS = {
    "nginx": ("nginx", "-v", r"nginx/(\S+)"),
    "HAProxy": ("haproxy", "-v", r"version (\S+)"),
    "redis-server": ("redis-server", "--version", r"v=(\S+)"),
    "wrk": ("wrk", "-v", r"wrk (\S+)"),
    "h2load": ("h2load", "--version", r"nghttp2/(\S+)"),
    "dnsmasq": ("dnsmasq", "--version", r"[Vv]ersion (\S+)"),
    "microsocks": ("dpkg-query", "-Wf${Version} microsocks", r"(\S+)"),
    "Go": ("go", "version", r"go version go(\S+)"),
    "gcc": ("gcc", "--version", r"(\S+)\n"),
}
# Libraries that a build may have found.
LIBRARIES = {"libuv": "libuv", "libevent": "libevent",
             "openssl": "OpenSSL", "libcrypto": "OpenSSL"}
PATHS = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"


def _ask(program, argument, pattern):
    path = shutil.which(program, path=PATHS)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, *shlex.split(argument)], capture_output=True, text=True,
            errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else None


def _of_build(build):
    """Of the libraries, by what meson wrote about its dependencies."""
    path = os.path.join(build, "meson-info", "intro-dependencies.json")
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return {LIBRARIES[item["name"]]: item["version"] for item in found
            if item.get("name") in LIBRARIES and item.get("version")}


def _of_liburing():
    """The one of tools/deps, which the build takes, or the system's."""
    own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                       ".deps", "lib", "pkgconfig", "liburing.pc")
    try:
        with open(own, encoding="utf-8") as file:
            found = re.search(r"^Version: *(\S+)", file.read(), re.M)
            return found and found[1]
    except OSError:
        return _ask("pkg-config", "--modversion liburing", r"(\S+)")


def _of_uvloop():
    question = "-c 'import uvloop; print(\"uvloop\", uvloop.__version__)'"
    found = (_ask(python, question, r"^uvloop (\S+)")
             for python in (sys.executable or "", "/usr/bin/python3"))
    return next(filter(None, found), None)


def versions(build):
    """What is there, by its name; the versions of weir's tools first."""
    ret = {}
    for tool in ("weir-proxy", "weir-load"):
        found = _ask(os.path.join(build, "tools", tool), "--version", r"(.+)")
        if found:
            ret["weir"] = found.replace(f"{tool} ", "")
    ret |= _of_build(build)
    ret["liburing"] = _of_liburing()
    ret["Python"] = ".".join(str(part) for part in sys.version_info[:3])
    ret["uvloop"] = _of_uvloop()
    for name, command in PROGRAMS.items():
        ret[name] = _ask(*command)
    return {name: text for name, text in ret.items() if text}


ENGINES = {"uring": "io_uring", "poll": "epoll"}


def engine(build):
    """What weir runs on here, as it says when it serves; empty: it does not."""
    command = [os.path.join(build, "tools", "weir-load"), "serve", "-v",
               "tcp://127.0.0.1:0"]
    try:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as served:
            line = (served.stderr.readline()
                    if select.select([served.stderr], [], [], 10)[0] else "")
            served.kill()
    except OSError:
        return ""
    found = re.match(r"engine +(\w+)", line)
    return ENGINES.get(found[1], found[1]) if found else ""


def name_of(peer):
    """A peer of a result as people call it."""
    if peer.startswith("before_"):
        return "before"
    return NAMES.get(peer, peer)
