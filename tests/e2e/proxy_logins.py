"""weir-proxy's checks that log in or have a dialogue, with the real servers: MariaDB,
which blocks clients that do not log in, PostgreSQL, and Redis, OpenLDAP and Exim with
the guide's dialogues."""

import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import postgresql
from harness import (WAIT_S, Program, Skip, command, command_apart, equal,
                     matches, need, run)
from proxy_wait import wait_until
from proxying import Proxy, expect_reset, told
from servers import free_port

GUIDE = pathlib.Path(__file__).parents[2] / "include/guide/from-haproxy.md"
CHECKS = 200
DIALOGUES = 20  # a slow machine may start a process for each of them
PATIENT = ("--check-timeout", f"{WAIT_S}s")  # 2s is short on a busy machine
ADDRESS = "198.51.100.9"  # MariaDB never refuses 127.0.0.1


def program(name):
    """Returns the path of a program, even of administrators' programs."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if not path:
        raise Skip(f"{name} is not installed")
    return path


def checks_of(proxy):
    return (proxy.metric("upstream_checks_total") +
            proxy.metric("upstream_checks_failed_total"))


def wait_for_checks(proxy, wanted):
    """Waits as long as checks continue: a busy machine may take minutes for all."""
    while (count := checks_of(proxy)) < wanted:
        wait_until(lambda: checks_of(proxy) > count)


def checked(port, *flags, host="127.0.0.1"):
    return Proxy("tcp://127.0.0.1:0", "--check", "5ms", *flags,
                 f"tcp://{host}:{port}")


# ---- MariaDB ----

class MariaDB(Program):
    """Listens at an address that it may block."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = os.path.join(folder, "socket")
        self.port = free_port()
        outcome = command("mariadb-install-db", "--no-defaults",
                          f"--datadir={folder}/data", "--user=root",
                          "--auth-root-authentication-method=normal",
                          "--skip-test-db")
        equal(outcome.status, 0, f"mariadb-install-db: {outcome.err!r}")
        super().__init__(
            program("mariadbd"), "--no-defaults", f"--datadir={folder}/data",
            "--user=root", f"--socket={self.socket}", f"--port={self.port}",
            f"--bind-address={ADDRESS}", "--max-connect-errors=100",
            "--performance-schema=ON", f"--pid-file={folder}/pid",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.ask("SELECT 1") == "1")
        self.ask("CREATE USER weir@'%'; CREATE USER p@'%' IDENTIFIED BY 'x'")

    def ask(self, query):
        return command("mariadb", "--no-defaults", "-S", self.socket, "-u",
                       "root", "-N", "-e", query).out.strip()

    def log_in(self):
        outcome = command("mariadb", "--no-defaults", "-h", ADDRESS, "-P",
                          str(self.port), "-u", "p", "-px", "-N", "-e",
                          "SELECT 42")
        return outcome.out.strip() or outcome.err

    def count_errors(self):
        """Returns the number of consecutive errors from the one address that it may
        block."""
        return int(self.ask("SELECT SUM_CONNECT_ERRORS FROM "
                            "performance_schema.host_cache") or 0)


def in_namespaces():
    """Runs this program again, where the address belongs to this machine and has a
    name."""
    if os.environ.get("WEIR_MARIADB_APART"):
        return True
    for name in "mariadbd", "mariadb-install-db", "mariadb", "ip", "unshare":
        program(name)
    if os.geteuid() != 0:
        raise Skip("it needs namespaces, and root for MariaDB")
    with tempfile.NamedTemporaryFile("w") as hosts:
        hosts.write(f"127.0.0.1 localhost\n{ADDRESS} checker\n")
        hosts.flush()
        outcome = command_apart(
            "ip link set lo up && ip addr add $0/32 dev lo && "
            "mount --bind $1 /etc/hosts || exit 77\n"
            "shift; WEIR_MARIADB_APART=1 exec \"$@\"",
            ADDRESS, hosts.name, sys.executable, *sys.argv, flags=("-m", "-n"),
            env=dict(os.environ), limit_s=4 * WAIT_S)
    equal(outcome.status, 0, outcome.out + outcome.err)
    return False


def test_two_hundred_logins_do_not_make_mariadb_refuse_the_proxy():
    if not in_namespaces():
        return
    with tempfile.TemporaryDirectory() as folder, MariaDB(folder) as server:
        equal(server.log_in(), "42", "a login")
        with checked(server.port, "--check", "mysql:weir", *PATIENT,
                     host=ADDRESS) as proxy:
            wait_for_checks(proxy, CHECKS)
            equal(proxy.metric("upstream_checks_failed_total"), 0, "bad ones")
            # Before the proxy ends, and with it the check in progress.
            equal(server.count_errors(), 0, "errors that it has counted")
            aborted = server.ask("SHOW STATUS LIKE 'Aborted%'")
            equal(set(re.findall(r"\d+$", aborted, re.M)), {"0"}, aborted)
        equal(server.log_in(), "42", "a login after the checks")
        with checked(server.port, "--check", "mysql:nobody",
                     host=ADDRESS) as proxy:
            matches(told(proxy, " is down"), "is down: error 1045 of MySQL")
        equal(server.log_in(), "42", "a login after those that are refused")
        # It counts few of the connections that are cut at once.
        with checked(server.port, "--check", "1ms", "--check", "tcp",
                     host=ADDRESS):
            wait_until(lambda: server.count_errors() >= 100)
        matches(server.log_in(), "is blocked because of many connection errors")
        with checked(server.port, "--check", "mysql:weir",
                     host=ADDRESS) as proxy:
            matches(told(proxy, " is down"), "is down: error 1129 of MySQL")


# ---- PostgreSQL ----

def log_of(server):
    return pathlib.Path(server.log_path).read_text("utf-8")


def has_clients(server):
    """Returns True if a process of the server, whose title has its peer, serves one."""
    for child in postgresql.children_of(server.program.process.pid):
        try:
            title = pathlib.Path(f"/proc/{child}/cmdline").read_text("utf-8")
        except OSError:
            continue  # it has ended meanwhile
        if "127.0.0.1(" in title:
            return True
    return False


def use_method(server, method):
    """Sets how the server authenticates clients from now on."""
    reloads = log_of(server).count("received SIGHUP")
    pathlib.Path(server.data, "pg_hba.conf").write_text(
        f"host all all 127.0.0.1/32 {method}\n", "ascii")
    server.program.signal(signal.SIGHUP)
    wait_until(lambda: log_of(server).count("received SIGHUP") > reloads)


def test_a_login_at_postgresql_leaves_nothing_in_its_log():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        with postgresql.Server(folder, "127.0.0.1", free_port()) as server:
            server.make()
            server.start()
            for method in "trust", "scram-sha-256":
                # A login that the previous proxy's end has cut is reported late.
                wait_until(lambda: not has_clients(server))
                use_method(server, method)
                before = len(log_of(server))
                with checked(server.port, "--check", "postgres:weir",
                             *PATIENT) as proxy:
                    wait_for_checks(proxy, CHECKS)
                    equal(proxy.metric("upstream_checks_failed_total"), 0,
                          method)
                    equal(re.findall("FATAL|ERROR|reset by peer|EOF",
                                     log_of(server)[before:]), [], method)
            use_method(server, "reject")
            with checked(server.port, "--check", "postgres:weir") as proxy:
                told(proxy, " is down")


# ---- the dialogues of the guide ----

def dialogue(name):
    """Returns the flags of a service's check in the guide."""
    text = GUIDE.read_text("utf-8")
    block = re.search(rf"^\[{name}\]\n(.*?)\nto = ", text, re.M | re.S)[1]
    flags = []
    for line in block.splitlines():
        word, value = line.split(" = ", 1)
        if word.startswith("check"):
            flags += [f"--{word}", value.strip('"')]
    return flags


def expect_good(port, name):
    """It is up and stays up."""
    with checked(port, *dialogue(name), *PATIENT) as proxy:
        wait_for_checks(proxy, DIALOGUES)
        equal(proxy.metric("upstream_checks_failed_total"), 0, "bad checks")
        equal(proxy.metric("upstream_up"), 1, "targets that are up")


@contextlib.contextmanager
def serving(port, *args, **options):
    with Program(*args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL, **options) as server:
        with Proxy("tcp://127.0.0.1:0", "--check", "5ms",
                   f"tcp://127.0.0.1:{port}") as proxy:
            wait_until(lambda: proxy.metric("upstream_checks_total") > 0)
        yield server


def test_redis_answers_the_dialogue_as_master_alone():
    need("redis-server")
    port, replica = free_port(), free_port()
    flags = ("--save", "", "--dir", "/tmp", "--bind", "127.0.0.1")
    with serving(port, "redis-server", "--port", str(port), *flags), \
            serving(replica, "redis-server", "--port", str(replica),
                    "--replicaof", f"127.0.0.1 {port}", *flags):
        expect_good(port, "redis")
        with checked(replica, *dialogue("redis"), "--check-timeout",
                     "800ms") as proxy:
            told(proxy, " is down")
            expect_reset(proxy)
            proxy.stop_by(["no-target"])


def test_openldap_answers_the_dialogue():
    slapd = program("slapd")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        conf = pathlib.Path(folder, "slapd.conf")
        conf.write_text(f"pidfile {folder}/pid\n", "ascii")
        with serving(port, slapd, "-d", "0", "-f", str(conf), "-h",
                     f"ldap://127.0.0.1:{port}/"):
            expect_good(port, "ldap")


def test_exim_answers_the_dialogue():
    exim = program("exim4")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with contextlib.suppress(KeyError, PermissionError):
            os.chown(folder, pwd.getpwnam("Debian-exim").pw_uid, -1)
        conf = pathlib.Path(folder, "conf")
        conf.write_text(f"spool_directory = {folder}\nprimary_hostname = a.test\n"
                        f"log_file_path = {folder}/%slog\nhost_lookup =\n"
                        "smtp_accept_max = 0\nrfc1413_query_timeout = 0s\n",
                        "ascii")
        with serving(port, exim, "-bdf", "-C", str(conf), "-oX",
                     f"127.0.0.1:{port}"):
            expect_good(port, "smtp")


if os.environ.get("WEIR_MARIADB_APART"):
    test_two_hundred_logins_do_not_make_mariadb_refuse_the_proxy()
else:
    run(globals(), short="a_login_at_postgresql_leaves_nothing_in_its_log")
