"""io_uring refused, in each way in which that happens.

Each way gives one clear line that names it, if io_uring or no engine is requested
(fallback.py has the rest). The child installs a seccomp filter before it becomes
weir-load; the sysctl is not changed, another file is mounted over it in a mount
namespace; memlock is tested as an unprivileged user.
"""

import errno
import os
import pwd
import resource
import shutil
import subprocess
import tempfile

from harness import (ENV, PATIENT, WAIT_S, WEIR_LOAD, Serve, Skip, command, command_apart,
                     equal, matches, one_line, run)
from seccomp import refuse

USAGE = 2
IO_URING_SETUP = 425

# Commands of weir-load, with io_uring or without.
WAYS = (["run", "--engine", "uring", "-n", "1", "tcp://127.0.0.1:9"],
        ["serve", "--engine", "uring", "tcp://127.0.0.1:0"])


def refuse_ring(error):
    """For preexec_fn: io_uring_setup fails with this error from now on."""
    return refuse({IO_URING_SETUP: error})


def refused(error, *patterns):
    for way in WAYS:
        outcome = command(WEIR_LOAD, *way, preexec_fn=refuse_ring(error))
        equal((outcome.status, outcome.out), (USAGE, ""), "the outcome")
        for pattern in patterns:
            one_line(outcome.err, pattern)


def test_a_seccomp_filter_is_named():
    refused(errno.EPERM, r"seccomp", r"\(WEIR_ERINGSECCOMP\)")


def test_a_kernel_without_io_uring_is_named():
    refused(errno.ENOSYS, r"no io_uring", r"\(WEIR_ERINGABSENT\)")


def test_version_says_it_too():
    outcome = command(WEIR_LOAD, "--version", "-v",
                      env=dict(ENV, WEIR_ENGINE="uring"),
                      preexec_fn=refuse_ring(errno.EPERM))
    equal(outcome.status, USAGE, "exit status")
    matches(outcome.out, r"^weir-load \d")
    one_line(outcome.err, r"seccomp")


def test_the_sysctl_is_named():
    sysctl = "/proc/sys/kernel/io_uring_disabled"
    if os.geteuid() != 0 or not os.path.exists(sysctl):
        raise Skip("only root may mount, and the kernel must have the sysctl")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("2\n")
        file.flush()
        script = (f"mount --bind {file.name} {sysctl} || exit 77; "
                  f'exec "$0" run --engine uring -n 1 tcp://127.0.0.1:9')
        outcome = command_apart(script, WEIR_LOAD,
                                preexec_fn=refuse_ring(errno.EPERM))
    equal((outcome.status, outcome.out), (USAGE, ""), "the outcome")
    one_line(outcome.err, r"sysctl kernel\.io_uring_disabled")


# ---- memlock ----

def as_nobody(memlock):
    """For preexec_fn: becomes nobody, who may lock this much memory."""
    nobody = pwd.getpwnam("nobody")

    def become():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (memlock, memlock))
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)

    return become


def tried_as_nobody(memlock):
    """It works, or one line names memlock as the reason."""
    if os.geteuid() != 0:
        raise Skip("only root may become nobody")
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(WEIR_LOAD, folder)
        os.chmod(program, 0o755)
        outcome = command(program, "run", "--engine", "uring", *PATIENT, "-c", "2", "-n",
                          "100", server.url, preexec_fn=as_nobody(memlock), cwd="/")
    if outcome.status == 0:
        matches(outcome.out, r"\nVALID\n\Z")
        equal(outcome.err, "", "standard error")
        return
    equal((outcome.status, outcome.out), (USAGE, ""), "the outcome")
    one_line(outcome.err, r"RLIMIT_MEMLOCK.*\(WEIR_ERINGMEMLOCK\)")


def test_nobody_without_locked_memory():
    tried_as_nobody(0)


def test_nobody_with_64_kib_of_locked_memory():
    tried_as_nobody(64 * 1024)


def test_an_enomem_of_the_kernel_is_told_from_the_rest():
    refused(errno.ENOMEM, r"RLIMIT_MEMLOCK|[Mm]emory")


def test_descriptors_that_are_used_up_are_named():
    # Three for the standard streams, one for the loader and then the ring.
    outcome = subprocess.run(
        ["sh", "-c", 'ulimit -n 4; exec "$0" --version -v', WEIR_LOAD],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
        timeout=WAIT_S)
    if b"error while loading" in outcome.stderr:
        raise Skip("the program cannot load its libraries with so few")
    equal(outcome.returncode, USAGE, "exit status")
    one_line(outcome.stderr.decode(), r"\(EMFILE\)")


run(globals())
