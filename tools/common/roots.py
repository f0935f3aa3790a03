"""Makes root folders of a distribution with debootstrap, which contain nothing else.

A command in a root has its own mounts and processes, and a network only if requested. Errors raise
Failure, with the end of the output.
"""
import os
import pathlib
import re
import shutil
import subprocess

MAKERS = {"debootstrap": "debootstrap", "unshare": "util-linux",
          "chroot": "coreutils", "ip": "iproute2"}
# Files of a root that belong to no package, and change by themselves.
PASSING = re.compile(r"^(tmp|var/(cache|log|lib/(apt|dpkg|systemd))|root|dev|proc|"
                     r"sys|run|etc/ld\.so\.cache|var/tmp)(/|$)")


class Failure(Exception):
    """A root could not be made; the text is the reason."""


def run(*command, log=None, **options):
    """Runs a command. Raises Failure with the end of the log if it fails."""
    words = [str(word) for word in command]
    if log is None:
        done = subprocess.run(words, check=False, text=True,
                              stdout=subprocess.PIPE, **options)
        text = done.stdout
    else:
        with open(log, "w", encoding="utf-8") as file:
            done = subprocess.run(words, check=False, text=True, stdout=file,
                                  stderr=subprocess.STDOUT, **options)
        text = pathlib.Path(log).read_text(encoding="utf-8", errors="replace")
    if done.returncode != 0:
        tail = "".join(f"  {line}\n" for line in text.splitlines()[-25:])
        raise Failure(f"{' '.join(words)} failed:\n{tail}")
    return text


def need(tools):
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    missing = [package for tool, package in tools.items()
               if not shutil.which(tool, path=path)]
    if missing:
        raise Failure("missing, as root: apt-get install " + " ".join(missing))


def find_mirror():
    """Returns the URL from which apt gets the main packages of this machine's release."""
    rows = run("apt-get", "indextargets", "--format",
               "$(CREATED_BY) $(COMPONENT) $(REPO_URI)")
    for row in rows.splitlines():
        kind, component, place = row.split(" ", 2)
        if (kind, component) == ("Packages", "main"):
            return place
    raise Failure("apt knows no mirror here: name one by --mirror")


class Root:
    """A root of the distribution, which has a network only while packages are installed."""

    def __init__(self, path):
        self.path = path

    @classmethod
    def make(cls, path, suite, mirror):
        run("debootstrap", "--variant=minbase", suite, path, mirror,
            log=path.parent / "debootstrap.log")
        shutil.copy("/etc/resolv.conf", path / "etc/resolv.conf")
        # Services must not start in a root.
        policy = path / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        policy.chmod(0o755)
        return cls(path)

    def copy(self, path):
        run("cp", "-a", self.path, path)
        return Root(path)

    def shell(self, script, log, is_online=False):
        flags = ["--mount", "--pid", "--fork", "--ipc"]
        flags += [] if is_online else ["--net"]
        prepare = (f"mount -t proc proc '{self.path}/proc' && "
                   f"mount --rbind /dev '{self.path}/dev' && "
                   f"mount --rbind /sys '{self.path}/sys' && ")
        prepare += "" if is_online else "ip link set lo up && "
        return run("unshare", *flags, "sh", "-c",
                   f"{prepare} exec chroot '{self.path}' sh -c \"$1\"", "sh",
                   f"export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive\n"
                   f"{script}", log=log)

    def install(self, what, log):
        self.shell("apt-get -q update && apt-get -q -y "
                   f"--no-install-recommends install {what}", log,
                   is_online=True)

    def files(self):
        return {path for path in
                (str(found.relative_to(self.path))
                 for found in self.path.rglob("*"))
                if not PASSING.match(path)}
