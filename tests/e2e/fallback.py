"""If io_uring is refused, epoll is used, and this is reported.

The programs run under the system call filter of Docker's default profile. One line of
warning names the reason; bytes, datagrams, processes and files work as with io_uring.
"""

import contextlib
import errno
import os
import resource
import shutil
import tempfile

from harness import (ENV, EXAMPLES, PATIENT, WEIR_LOAD, ExampleService, Serve,
                     Service, Skip, command, command_apart, equal, matches,
                     one_line, read_line, run)
from seccomp import DOCKER, IO_URING, OLD, refuse

# The tests are about the engine that is selected without a request.
ENV.pop("WEIR_ENGINE", None)

IO_URING_SETUP = IO_URING[0]

WARNING = (r"^weir-load: epoll instead of io_uring: .*\(WEIR_ERINGSECCOMP\); "
           r"use --engine poll to avoid this warning$")


def apart():
    return {"preexec_fn": refuse(DOCKER)}


def load_server(server, args=()):
    """Runs a load on a server, both without io_uring; it ends VALID."""
    outcome = command(WEIR_LOAD, "run", *PATIENT, "-c", "20", "-n", "2000",
                      *args, server.url, **apart())
    matches(outcome.out, r"\nVALID\n\Z")
    equal(outcome.status, 0, "exit status")
    one_line(outcome.err, WARNING)


def loaded(args=()):
    with Serve(may_complain=True, **apart()) as server:
        load_server(server, args)
        one_line(server.stop(), WARNING)


def test_a_load_is_valid_with_one_warning():
    loaded()


def test_a_server_of_streams_too():
    with ExampleService("tcp_echo_server_streams", **apart()) as server:
        load_server(server)


def test_what_the_demo_runs_warns_once():
    with tempfile.TemporaryDirectory() as folder:
        saved = os.path.join(folder, "demo.json")
        loaded(args=["-i", "200ms", f"--json={saved}"])
        page = os.path.join(folder, "demo.html")
        outcome = command(WEIR_LOAD, "report", "-o", page, saved, **apart())
        equal((outcome.status, outcome.err, os.path.exists(page)),
              (0, "", True), "the report")


@contextlib.contextmanager
def serving(*args):
    """Starts weir-load serve without io_uring. Yields its address."""
    with Service(WEIR_LOAD, "serve", *args, **apart()) as server:
        server.may_complain = True
        yield read_line(server.process.stdout).split()[-1]
        matches(server.stop(), WARNING)


def exchanged(url, *args):
    outcome = command(WEIR_LOAD, "run", *args, "--force", "--timeout", "60s",
                      url, **apart())
    one_line(outcome.err, WARNING)
    matches(outcome.out, r"\nVALID\n\Z")
    equal(outcome.status, 0, "exit status")


def test_datagrams_are_exchanged():
    with serving("udp://127.0.0.1:0") as url:
        exchanged(url, "-c", "5", "-n", "500")


def test_tls_is_served():
    folder = os.environ.get("WEIR_TLS_CERTIFICATES")
    if folder is None:
        raise Skip("no TLS, or no certificates")
    with serving("--cert", os.path.join(folder, "ecdsa.pem"), "--key",
                 os.path.join(folder, "ecdsa.key"),
                 "tls://127.0.0.1:0") as url:
        exchanged(url, "--ca", os.path.join(folder, "ca.pem"), "-c", "5",
                  "-n", "500")


def test_unix_sockets_are_served():
    with tempfile.TemporaryDirectory() as folder:
        with serving(f"unix:{folder}/socket") as url:
            exchanged(url, "-c", "5", "-n", "500")


def test_a_proxy_warns_once():
    proxy = os.environ.get("WEIR_PROXY")
    if proxy is None:
        raise Skip("weir-proxy was not built")
    with serving("tcp://127.0.0.1:0") as target, \
            Service(proxy, "--threads", "2", "--listen", "tcp://127.0.0.1:0",
                    "--to", target, **apart()) as between:
        between.may_complain = True
        said = []
        while " serves " not in (said or [""])[-1]:
            said.append(read_line(between.process.stderr))
        exchanged(said[-1].split()[-1], "-c", "5", "-n", "500")
        said += between.stop().splitlines()
    warnings = [line for line in said if "epoll instead of io_uring" in line]
    equal(len(warnings), 1, f"warnings in {said}")
    matches(warnings[0], r"^weir-proxy: .*\(WEIR_ERINGSECCOMP\)")


def test_each_way_of_a_refusal_is_told():
    for error, name in ((errno.EPERM, "WEIR_ERINGSECCOMP"),
                        (errno.ENOSYS, "WEIR_ERINGABSENT"),
                        (errno.EINVAL, "WEIR_ERINGOLD")):
        with Serve("--engine", "poll") as server:
            outcome = command(WEIR_LOAD, "run", *PATIENT, "-c", "2", "-n",
                              "100", server.url,
                              preexec_fn=refuse({IO_URING_SETUP: error}))
        matches(outcome.out, r"\nVALID\n\Z")
        one_line(outcome.err, rf"epoll instead of io_uring: .*\({name}\); ")


def test_each_call_that_is_refused_is_told():
    """Also with a filter that returns another error."""
    for number in IO_URING:
        for error, name in ((errno.EPERM, "WEIR_ERINGSECCOMP"),
                            (errno.ENOSYS, "WEIR_ERINGABSENT"),
                            (errno.EUCLEAN, "EUCLEAN")):
            with Serve("--engine", "poll") as server:
                outcome = command(WEIR_LOAD, "run", *PATIENT, "-c", "2", "-n",
                                  "100", server.url,
                                  preexec_fn=refuse({number: error}))
            matches(outcome.out, r"\nVALID\n\Z")
            one_line(outcome.err, rf"epoll instead of io_uring: .*\({name}\); ")


def with_little_locked(kib):
    """For preexec_fn: becomes a separate user who may lock this much memory."""

    def become():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (kib * 1024,) * 2)
        os.setgroups([])
        os.setgid(100000 + os.getpid())
        os.setuid(100000 + os.getpid())

    return become


def test_a_proxy_whose_second_ring_does_not_fit_serves_by_epoll():
    if os.geteuid() != 0 or "WEIR_PROXY" not in os.environ:
        raise Skip("only root may become another user, and weir-proxy is needed")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        proxy = shutil.copy(os.environ["WEIR_PROXY"], folder)
        # No ring fits, rings fit but their buffers do not, or some loops fit.
        for kib in (8, 64, 128, 256):
            proxied_by_epoll(proxy, with_little_locked(kib))


def proxied_by_epoll(proxy, become):
    with serving("tcp://127.0.0.1:0") as target, \
            Service(proxy, "--threads", "8", "--listen", "tcp://127.0.0.1:0",
                    "--to", target, preexec_fn=become, cwd="/") as between:
        between.may_complain = True
        said = []
        while " serves " not in (said or [""])[-1]:
            said.append(read_line(between.process.stderr))
        exchanged(said[-1].split()[-1], "-c", "16", "-n", "500")
        said += between.stop().splitlines()
    warnings = [line for line in said if "epoll instead of io_uring" in line]
    if warnings:  # otherwise this kernel does not count rings
        equal(len(warnings), 1, f"warnings in {said}")
        matches(warnings[0], r"\(WEIR_ERINGMEMLOCK\)")


def test_the_sysctl_is_told():
    sysctl = "/proc/sys/kernel/io_uring_disabled"
    if os.geteuid() != 0 or not os.path.exists(sysctl):
        raise Skip("only root may mount, and the kernel must have the sysctl")
    with tempfile.NamedTemporaryFile("w") as file, \
            Serve("--engine", "poll") as server:
        file.write("2\n")
        file.flush()
        outcome = command_apart(
            f'mount --bind {file.name} {sysctl} || exit 77; exec "$0" run '
            f'-c 2 -n 100 --force --timeout 60s {server.url}', WEIR_LOAD,
            preexec_fn=refuse({IO_URING_SETUP: errno.EPERM}))
    matches(outcome.out, r"\nVALID\n\Z")
    one_line(outcome.err, r"sysctl.*\(WEIR_ERINGSYSCTL\); ")


def test_no_warning_where_epoll_was_asked_for():
    with Serve("--engine", "poll") as server:
        outcome = command(WEIR_LOAD, "run", *PATIENT, "--engine", "poll",
                          "-c", "5", "-n", "100", server.url)
    matches(outcome.out, r"\nVALID\n\Z")
    equal((outcome.status, outcome.err), (0, ""), "the outcome")


def test_the_features_tell_the_engine():
    env = {name: ENV[name] for name in ENV if name != "WEIR_ENGINE"}
    outcome = command(WEIR_LOAD, "--version", "-v", env=env, **apart())
    matches(outcome.out, r"engine +poll instead of io_uring: "
                         r"WEIR_ERINGSECCOMP, io_uring is refused by a seccomp")
    outcome = command(WEIR_LOAD, "--version", "-v",
                      env=dict(env, WEIR_ENGINE="poll"))
    matches(outcome.out, r"engine +poll\n")
    outcome = command(WEIR_LOAD, "--version", "-v",
                      env=dict(env, WEIR_ENGINE="pole"))
    equal((outcome.status, "EINVAL" in outcome.err), (2, True), "a typing error")


def test_processes_are_run():
    """Starts processes with a protocol and with streams, also under an older filter."""
    for errors in (DOCKER, OLD):
        for name, says in (("subprocess_output", r"^exit status 0$"),
                           ("subprocess_output_streams",
                            r"^\[echo hello\] exit 0\nhello$")):
            outcome = command(EXAMPLES[name], preexec_fn=refuse(errors))
            equal((outcome.status, outcome.err), (0, ""), f"of {name}")
            matches(outcome.out, says)


def test_files_are_read_and_sent():
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "large"), "wb") as file:
            file.write(os.urandom(3_000_001))
        with ExampleService("file_server_streams", cwd=folder,
                            **apart()) as server:
            outcome = command("curl", "-s", "--max-time", "60", "-o",
                              os.path.join(folder, "got"),
                              f"http://127.0.0.1:{server.port}/large")
        equal(outcome.status, 0, "exit status of curl")
        with open(os.path.join(folder, "large"), "rb") as sent, \
                open(os.path.join(folder, "got"), "rb") as got:
            equal(got.read() == sent.read(), True, "the bytes")


run(globals())
