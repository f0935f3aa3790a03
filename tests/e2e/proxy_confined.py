"""weir-proxy as another user, in another root and in a sandbox: it serves, reads its
files again and is replaced as usual, and -t reports the rest."""

import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile

from harness import (ENGINES, WAIT_S, Skip, command, equal, is_sanitized,
                     matches, need, run)
from proxy_certificates import certificates, secure, subject
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, read_again, target, told
from servers import Server, echo, echoes, free_port
import manual

NOBODY = 65534


def need_root():
    if os.geteuid() != 0:
        raise Skip("it is not root")


def need_sandbox():
    if is_sanitized(PROXY):
        raise Skip("a sanitizer makes calls of its own, and needs /proc")


@contextlib.contextmanager
def folder_of_nobody():
    """Makes a folder that the user nobody may write to, with a network in a file."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        os.mkdir(f"{folder}/run")
        os.chown(f"{folder}/run", NOBODY, -1)
        with open(f"{folder}/denied", "w", encoding="utf-8") as file:
            file.write("192.0.2.0/24\n")
        yield folder


def process_status(proxy, name):
    with open(f"/proc/{proxy.process.pid}/status", encoding="ascii") as file:
        return re.search(rf"^{name}:\s*(.*)$", file.read(), re.M)[1].split()


def serves(proxy):
    with proxy.connect() as client:
        echoes(client)


def test_it_serves_as_another_user():
    need_root()
    with folder_of_nobody() as folder, Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--user", "nobody",
            "--client-deny", f"@{folder}/denied", threads=3) as proxy:
        serves(proxy)
        matches("\n".join(proxy.said),
                rf"confined: user {NOBODY},root /,Landlock off,calls all$")
        equal(process_status(proxy, "Uid"), [str(NOBODY)] * 4, "users")
        equal(process_status(proxy, "CapEff"), ["0" * 16], "capabilities")
        matches(proxy.get("/status")[1],
                rf"(?m)^confined\tuser {NOBODY}\troot /\t")
        read_again(proxy)
        serves(proxy)


def test_metrics_on_all_of_ipv6_leave_the_port_of_ipv4_free():
    need_root()
    port = free_port()
    with Server(echo) as server, Proxy(
            f"tcp://127.0.0.1:{port}", target(server), "--user", "nobody",
            "--admin", f"[::]:{port}", admin=False) as proxy:
        serves(proxy)


def test_it_serves_in_another_root():
    need_root()
    need_sandbox()
    with folder_of_nobody() as folder, Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--user", "nobody",
            "--chroot", folder, threads=2) as proxy:
        serves(proxy)
        equal(os.readlink(f"/proc/{proxy.process.pid}/root"), folder, "root")
        proxy.stop()
        equal([line["reason"] for line in proxy.lines()], ["done"],
              "the log, whose file was open")


def test_it_serves_in_a_sandbox_and_reads_its_files_again():
    need_sandbox()
    for engine in ENGINES:
        with folder_of_nobody() as folder, Server(echo) as server, Proxy(
                "tcp://127.0.0.1:0", target(server), "--sandbox", "--engine",
                engine, "--client-deny", f"@{folder}/denied",
                threads=3) as proxy:
            serves(proxy)
            status = proxy.get("/status")[1]
            if "calls all" in status or "Landlock off" in status:
                raise Skip("this kernel has no Landlock, or no seccomp")
            equal(process_status(proxy, "Seccomp"), ["2"], "seccomp")
            equal(process_status(proxy, "NoNewPrivs"), ["1"], "new rights")
            # The file has been replaced.
            with open(f"{folder}/new", "w", encoding="utf-8") as file:
                file.write("127.0.0.0/8\n")
            os.rename(f"{folder}/new", f"{folder}/denied")
            read_again(proxy)
            expect_reset(proxy)  # the client is denied now
            os.rename(proxy.log_path, proxy.log_path + ".1")
            proxy.signal(signal.SIGUSR1)
            wait_until(lambda: os.path.exists(proxy.log_path))


def test_its_configuration_is_read_again_in_a_sandbox():
    """By another user, who may read it."""
    need_root()
    need_sandbox()
    text = "[a]\nlisten = tcp://127.0.0.1:0\nto = {}\n"
    with folder_of_nobody() as folder, Server(echo) as one, \
            Server(echo) as other:
        for name, server in (("a.ini", one), ("b.ini", other)):
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write(text.format(target(server)))
        with open(f"{folder}/proxy.ini", "w", encoding="utf-8") as file:
            file.write("include = a.ini\n")
        with Proxy("--config", f"{folder}/proxy.ini", "--user", "nobody",
                   "--sandbox", threads=2) as proxy:
            serves(proxy)
            os.rename(f"{folder}/b.ini", f"{folder}/a.ini")
            read_again(proxy)
            serves(proxy)
            equal((one.accepted, other.accepted), (1, 1), "their clients")


def test_a_folder_of_a_pattern_without_a_file_is_read_in_a_sandbox():
    need_sandbox()
    text = "[{}]\nlisten = tcp://127.0.0.1:{}\nto = {}\n"
    with folder_of_nobody() as folder, tempfile.TemporaryDirectory() as more, \
            Server(echo) as server:
        port = free_port()
        with open(f"{folder}/proxy.ini", "w", encoding="utf-8") as file:
            file.write(f"include = {more}/*.ini\n"
                       + text.format("a", 0, target(server)))
        with Proxy("--config", f"{folder}/proxy.ini", "--sandbox") as proxy:
            with open(f"{more}/b.ini", "w", encoding="utf-8") as file:
                file.write(text.format("b", port, target(server)))
            read_again(proxy)
            with socket.create_connection(("127.0.0.1", port),
                                          timeout=WAIT_S) as client:
                echoes(client)


def test_a_unix_socket_is_served_and_removed_in_a_sandbox():
    """Also with the same path after SIGHUP."""
    need_sandbox()
    with folder_of_nobody() as folder, Server(echo) as server:
        path = f"{folder}/run/front"
        with open(f"{folder}/proxy.ini", "w", encoding="utf-8") as file:
            file.write(f"[a]\nlisten = unix:{path}\nto = {target(server)}\n")
        with Proxy("--config", f"{folder}/proxy.ini", "--sandbox") as proxy:
            for again in (False, True):
                if again:
                    read_again(proxy)
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(WAIT_S)
                    client.connect(path)
                    echoes(client)
            proxy.stop()
        equal(os.listdir(f"{folder}/run"), [], "what is left")


def test_a_syslog_server_that_is_started_anew_gets_lines_of_a_sandbox():
    need_sandbox()
    with folder_of_nobody() as folder, Server(echo) as server:
        path = f"{folder}/run/log"
        with Proxy("tcp://127.0.0.1:0", target(server), "--log",
                   f"syslog:{path}", "--sandbox", log=False) as proxy:
            for _ in range(2):
                with socket.socket(socket.AF_UNIX,
                                   socket.SOCK_DGRAM) as syslog:
                    syslog.bind(path)
                    syslog.settimeout(WAIT_S)
                    serves(proxy)
                    matches(syslog.recv(10000).decode(), " weir-proxy ")
                os.unlink(path)


def test_it_is_replaced_as_another_user_in_another_root_and_a_sandbox():
    need_root()
    need_sandbox()
    with folder_of_nobody() as folder, Server(echo) as server:
        port = free_port()
        flags = (f"tcp://127.0.0.1:{port}", target(server), "--user", "nobody",
                 "--chroot", folder, "--sandbox", "--handover", "/run/next")
        with Proxy(*flags, admin=False) as first, first.connect() as held:
            echoes(held)
            wait_until(lambda: os.path.exists(f"{folder}/run/next"))
            with Proxy(*flags, admin=False) as second:
                told(first, "another proxy serves")
                serves(second)
                wait_until(lambda: os.stat(f"{folder}/run/next").st_uid
                           == NOBODY)
                with Proxy(*flags, admin=False) as third:
                    told(second, "another proxy serves")
                    serves(third)
                    echoes(held)
                    held.close()
                    for proxy in (first, second):
                        equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")


def test_what_will_be_out_of_reach_is_told():
    need_root()
    with folder_of_nobody() as folder:
        os.mkdir(f"{folder}/own", 0o700)
        shutil.copy(f"{folder}/denied", f"{folder}/own/denied")
        outcome = command(
            PROXY, "-t", "--user", "nobody", "--listen", "tcp://127.0.0.1:0",
            "--client-deny", f"@{folder}/own/denied", "--log",
            f"{folder}/own/log", "--handover", f"{folder}/own/next", "--to",
            "unix:/run/none.sock")
        equal(outcome.status, 0, outcome.err)
        for wanted in (
                rf"SIGHUP cannot read '{folder}/own/denied' again: "
                "Permission denied",
                rf"SIGUSR1 cannot open '{folder}/own/log' again: Permission",
                rf"no socket can be created or removed in '{folder}/own': Permis",
                r"'/run/none\.sock' cannot be reached: No such file"):
            matches(outcome.err, "warning: while the proxy serves, " + wanted)
        outcome = command(
            PROXY, "-t", "--chroot", folder, "tcp://127.0.0.1:0",
            "tcp://127.0.0.1:1", "--client-deny", f"@{folder}/denied")
        matches(outcome.err, "chroot without user: root can leave it")
        matches(outcome.err, "denied' again: No such file")
        path = f"{folder}/proxy.ini"
        with open(path, "w", encoding="utf-8") as file:
            file.write("[a]\nlisten = tcp://127.0.0.1:0\n"
                       "to = tcp://127.0.0.1:1\n")
        matches(command(PROXY, "-t", "--config", path, "--user", "nobody",
                        "--chroot", f"{folder}/own").err,
                "proxy.ini' again, and will change nothing: Permission")


def looked(*flags):
    """Returns what -t prints for a proxy with these flags."""
    outcome = command(PROXY, "-t", "--listen", "tcp://127.0.0.1:0", "--to",
                      "tcp://127.0.0.1:1", *flags)
    equal(outcome.status, 0, outcome.err)
    return outcome.err


def test_a_log_that_can_be_opened_anew_is_known():
    """A log that was moved away is created again, if its user may write to the
    folder."""
    need_root()
    with folder_of_nobody() as folder:
        good = looked("--user", "nobody", "--log", f"{folder}/run/log")
        equal("SIGUSR1" in good, False, f"a warning in {good}")
        path = f"{folder}/log"
        with open(path, "w", encoding="utf-8"):
            os.chown(path, NOBODY, -1)
        matches(looked("--user", "nobody", "--log", path),
                rf"SIGUSR1 cannot open '{path}' again: Permission denied")
        for device in ("/dev/stderr", "/dev/null"):
            said = looked("--user", "nobody", "--sandbox", "--log", device)
            equal("all files in" in said, False, f"a warning in {said}")


def test_what_a_sandbox_leaves_within_reach_is_told():
    need_sandbox()
    with folder_of_nobody() as folder:
        denied = ("--sandbox", "--client-deny", f"@{folder}/denied", "--log")
        matches(looked(*denied, f"{folder}/log"),
                rf"write '{folder}/denied', because its log is in the same folder")
        said = looked(*denied, f"{folder}/run/log")
        equal("warning" in said, False, f"a warning in {said}")
        for log, wanted in (("/log", "/"), ("/etc/log", "/etc")):
            matches(looked("--sandbox", "--log", log),
                    f"write all files in '{wanted}', because its log is there")
        said = looked(*denied[1:], f"{folder}/log")
        equal("warning" in said, False, f"a warning in {said}")


def test_certificates_behind_links_are_read_again_in_a_sandbox():
    """A folder of links, like certbot's, and a link that leads to another folder with
    each release."""
    need_sandbox()
    files = certificates()
    with folder_of_nobody() as folder, Server(echo) as server:
        for name in ("live", "site", "releases", "releases/1", "releases/2"):
            os.mkdir(f"{folder}/{name}")
        shutil.copy(files["proxy"], f"{folder}/live/1.pem")
        os.symlink("../live/1.pem", f"{folder}/site/a.pem")
        shutil.copy(files["ca"], f"{folder}/releases/1/ca.pem")
        shutil.copy(files["ca"], f"{folder}/releases/2/ca.pem")
        os.symlink("releases/1", f"{folder}/current")
        with Proxy("tls://127.0.0.1:0", target(server), "--cert",
                   f"{folder}/site", "--client-ca", f"{folder}/current/ca.pem",
                   "--sandbox") as proxy:
            with secure(proxy) as client:
                equal(subject(client), "proxy.test", "whose certificate")
            shutil.copy(files["a"], f"{folder}/live/new")
            os.rename(f"{folder}/live/new", f"{folder}/live/1.pem")
            os.symlink("releases/2", f"{folder}/new")
            os.rename(f"{folder}/new", f"{folder}/current")
            shutil.rmtree(f"{folder}/releases/1")
            read_again(proxy)
            with secure(proxy, "a.test") as client:
                equal(subject(client), "a.test", "whose certificate is new")


def test_a_proxy_in_another_root_is_compared_with():
    need_root()
    need_sandbox()
    with folder_of_nobody() as folder, Server(echo) as server:
        path = f"{folder}/proxy.ini"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"chroot = {folder}\nuser = nobody\nctl = /run/ctl\n"
                       f"[a]\nlisten = tcp://127.0.0.1:{free_port()}\n"
                       f"to = {target(server)}\n")
        with Proxy("--config", path, admin=False, log=False):
            matches(command(PROXY, "-t", "--config", path).err,
                    rf"the proxy that serves {folder}/run/ctl has ")


def test_the_sandbox_knows_each_word_that_names_a_file():
    folder = os.path.join(manual.TOOLS, "weir-proxy/config")
    text = {}
    for name in ("words.c", "confine_paths.c"):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text[name] = file.read()
    rows = re.findall(r'^    \{"([\w-]+)", 0, "[^"]*FILE"(.*?)\},$',
                      text["words.c"], re.M | re.S)
    equal(len(rows) > 10, True, f"{rows}")
    for word, rest in rows:
        field = re.search(r"AT_[A-Z]+\((\w+)\)", rest)
        if field or word == "key":
            name = field[1] if field else "keys"
            matches(text["confine_paths.c"], rf"(?:->|\.){name}\b",
                    f"a use of the file of {word}")


def test_the_unit_of_systemd_is_exposed_little():
    """According to systemd-analyze, without a running systemd."""
    need("systemd-analyze")
    unit = os.path.join(os.path.dirname(PROXY), "weir-proxy.service")
    outcome = command("systemd-analyze", "security", "--offline=true", unit)
    level = re.search(r"exposure level for weir-proxy\.service: ([\d.]+)",
                      outcome.out)
    equal(float(level[1]) <= 2.0, True, f"exposure in {outcome.out}")
    with open(unit, encoding="utf-8") as file:
        text = file.read()
    start = re.search(r"^ExecStart=(.*)", text, re.M)[1]
    check, hangup = re.findall(r"^ExecReload=(.*)", text, re.M)
    equal(check.split(), [start.split()[0], "-t", *start.split()[1:]],
          "what a reload does first")
    matches(hangup, "kill -HUP")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/weir-proxy.ini"
        words = check.replace("/etc/weir-proxy/weir-proxy.ini", path).split()[1:]
        for to, status in (("tcp://127.0.0.1:1", 0), ("nowhere", 2)):
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"[a]\nlisten = tcp://127.0.0.1:0\nto = {to}\n")
            equal(command(PROXY, *words).status, status, f"with {to}")


run(globals())
