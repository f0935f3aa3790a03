"""Key logs of weir-proxy: the secrets are the ones that its clients and targets have
logged themselves, only the owner can read the file, it can be reopened and stays open
in another root, and none is made unrequested."""

import os
import signal
import ssl
import tempfile

from harness import Skip, command, equal, is_sanitized, matches, run
from proxy_certificates import (Secured, certificates, client_context, secure)
from proxy_wait import wait_until
from proxying import PROXY, Proxy, files_of, target, told
from servers import Server, echo, echoes

NOBODY = 65534

OF_12 = {"CLIENT_RANDOM"}
OF_13 = {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
         "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"}
VERSIONS = ((ssl.TLSVersion.TLSv1_2, OF_12), (ssl.TLSVersion.TLSv1_3, OF_13))


def secrets_in(path):
    """Returns the lines of a key log, by label and client; comments are Python's."""
    with open(path, encoding="ascii") as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    for line in lines:
        equal(len(line), 3, f"words of {line}")
    return {tuple(line[:2]): line[2] for line in lines}


def expect_same(path, peers, labels, count):
    """The log has the same secrets of this many connections as their peer's log."""
    equal(os.stat(path).st_mode & 0o777, 0o600, "the mode of the key log")
    ours, theirs = secrets_in(path), secrets_in(peers)
    for label in labels:
        found = [key for key in ours if key[0] == label]
        equal(len(found), count, f"lines of {label}")
        for key in found:
            equal(ours[key], theirs[key], f"the {label}")


def converse(proxy, context=None):
    with secure(proxy, context=context) as client:
        echoes(client)


# ---- secrets ----

def test_secrets_of_clients_are_those_that_they_have():
    for version, labels in VERSIONS:
        with tempfile.TemporaryDirectory() as folder, Server(echo) as server, \
                Proxy("tls://127.0.0.1:0", target(server), "--cert",
                      certificates()["proxy"], "--key-log", f"{folder}/keys",
                      threads=2) as proxy:
            matches("\n".join(proxy.said), "warning: TLS secrets are logged: "
                    rf"anyone who can read '{folder}/keys' can decrypt")
            context = client_context(maximum_version=version)
            context.keylog_filename = f"{folder}/client"
            for _ in range(3):
                converse(proxy, context)
            expect_same(f"{folder}/keys", f"{folder}/client", labels, 3)


def test_secrets_of_targets_are_those_that_they_have():
    for version, labels in VERSIONS:
        with tempfile.TemporaryDirectory() as folder, Secured(
                echo, "a", maximum_version=version,
                keylog_filename=f"{folder}/target") as server, Proxy(
                    "tcp://127.0.0.1:0", f"tls://127.0.0.1:{server.port}",
                    "--to-ca", certificates()["ca"], "--to-name", "a.test",
                    "--to-key-log", f"{folder}/keys") as proxy:
            with proxy.connect() as client:
                echoes(client)
            expect_same(f"{folder}/keys", f"{folder}/target", labels, 1)


def test_the_environment_alone_logs_nothing():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server, \
            Proxy("tls://127.0.0.1:0", target(server), "--cert",
                  certificates()["proxy"],
                  env={**os.environ, "SSLKEYLOGFILE": f"{folder}/keys"}) as proxy:
        converse(proxy)
        equal(os.listdir(folder), [], "files")


# ---- files ----

def test_a_file_that_others_may_read_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/open", "w", encoding="ascii"):
            os.chmod(f"{folder}/open", 0o640)
        os.symlink("open", f"{folder}/link")
        words = ("tls://127.0.0.1:0", "tcp://127.0.0.1:1", "--cert",
                 certificates()["proxy"])
        for name, says in (("open", r"no other user may"),
                           ("link", "Too many levels")):
            for flags, status in (((), 1), (("-t",), 2)):
                outcome = command(PROXY, *flags, *words, "--key-log",
                                  f"{folder}/{name}")
                equal(outcome.status, status, f"exit status of {name} {flags}")
                matches(outcome.err, rf"{folder}/{name}: .*{says}")
        outcome = command(PROXY, "-t", *words, "--key-log", f"{folder}/none")
        equal(outcome.status, 0, outcome.err)
        matches(outcome.err, rf"warning: .*'{folder}/none' can decrypt")
        equal(os.path.exists(f"{folder}/none"), False, "a file made by -t")
        outcome = command(PROXY, "-t", *words, "--key-log", f"{folder}/none/a")
        equal(outcome.status, 2, "exit status without the folder")
        matches(outcome.err, rf"{folder}/none/a: No such file or directory")


def expect_anew(folder, *flags):
    """Checks what is logged before and after the file was moved away, and its new
    owner."""
    path = f"{folder}/run/keys"
    context = client_context()
    context.keylog_filename = f"{folder}/client"
    with Server(echo) as server, Proxy(
            "tls://127.0.0.1:0", target(server), "--cert",
            certificates()["proxy"], "--key-log", path, *flags) as proxy:
        converse(proxy, context)
        os.rename(path, f"{path}.1")
        proxy.signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(path))
        converse(proxy, context)
    for name in (f"{path}.1", path):
        expect_same(name, context.keylog_filename, OF_13, 1)
    return os.stat(path).st_uid


def of_nobody(folder):
    """Makes a folder that the user nobody may write to."""
    os.chmod(folder, 0o755)
    os.mkdir(f"{folder}/run")
    os.chown(f"{folder}/run", NOBODY, -1)


def need_rights():
    if os.geteuid() != 0 or is_sanitized(PROXY):
        raise Skip("it is not root, or a sanitizer makes calls of its own")


def test_it_is_opened_anew_as_the_log_is():
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/run")
        equal(expect_anew(folder), os.geteuid(), "the owner")


def test_it_is_opened_anew_in_a_sandbox():
    """By another user, whose file the next proxy opens first as root."""
    need_rights()
    with tempfile.TemporaryDirectory() as folder:
        of_nobody(folder)
        flags = ("--sandbox", "--user", "nobody")
        equal(expect_anew(folder, *flags), NOBODY, "the owner")
        words = ("-t", "--cert", certificates()["proxy"], "--key-log",
                 f"{folder}/run/keys", "--listen", "tls://127.0.0.1:0", "--to",
                 "tcp://127.0.0.1:1")
        equal(command(PROXY, *words, *flags).status, 0, "with the user")
        matches(command(PROXY, *words).err, "owned by the user of this process")


def test_it_stays_open_in_another_root():
    need_rights()
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        of_nobody(folder)
        with Proxy("tls://127.0.0.1:0", target(server), "--cert",
                   certificates()["proxy"], "--key-log", f"{folder}/keys",
                   "--user", "nobody", "--chroot", f"{folder}/run") as proxy:
            context = client_context()
            context.keylog_filename = f"{folder}/client"
            proxy.signal(signal.SIGUSR1)
            told(proxy, "keys: No such file or directory; the old file stays")
            converse(proxy, context)
            expect_same(f"{folder}/keys", f"{folder}/client", OF_13, 1)


# ---- the configuration read again ----

def test_a_reload_begins_and_ends_a_key_log():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        path, words = f"{folder}/keys", f"{folder}/proxy.ini"
        plain = ("[a]\nlisten = tls://127.0.0.1:0\ncert = "
                 f"{certificates()['proxy']}\nto = {target(server)}\n")

        def write(key_log):
            with open(words, "w", encoding="ascii") as file:
                file.write(f"[defaults]\nkey-log = {key_log}\n{plain}"
                           if key_log else plain)

        write(None)
        with Proxy("--config", words) as proxy:
            def reload(key_log, *says):
                write(key_log)
                proxy.said.clear()
                proxy.signal(signal.SIGHUP)
                for part in says:
                    told(proxy, part)
                converse(proxy)

            converse(proxy)
            again = "configuration was read again"
            reload(path, "warning: TLS secrets are logged", again)
            secrets = secrets_in(path)
            equal(len({key[1] for key in secrets}), 1, "clients in the log")
            proxy.get("/metrics")
            reload(None, again)
            equal(secrets_in(path), secrets, "the log")
            wait_until(lambda: path not in files_of(proxy))
            reload(path, again)
            equal(len({key[1] for key in secrets_in(path)}), 2, "clients then")
            others = f"{folder}/others"
            with open(others, "w", encoding="ascii"):
                os.chmod(others, 0o644)
            reload(others, "others: it must be a regular file")
            equal(os.path.getsize(others), 0, "bytes of the other")
            equal(len({key[1] for key in secrets_in(path)}), 3, "clients at last")


run(globals())
