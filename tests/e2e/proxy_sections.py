"""weir-proxy's file: errors are reported with their line; sections that services share,
[defaults] and [targets NAME]; and included files."""

import contextlib
import os
import pathlib
import socket
import tempfile

from harness import Skip, command, equal, fails, is_sanitized, matches, need, run
from proxy_certificates import certificates
from proxy_checks_peers import BAD, GOOD, Checked
from proxy_wait import wait_until
from proxying import PROXY, Proxy, expect_reset, read_again, target
from servers import Server, echo, echoes, free_port


@contextlib.contextmanager
def files(**texts):
    """Makes a folder with these files, whose names end with .ini."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = os.path.join(folder, name.replace("__", "/") + ".ini")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        yield folder


def look(main, flags=(), env=None, **others):
    with files(main=main, **others) as folder:
        outcome = command(PROXY, "-t", "--config",
                          os.path.join(folder, "main.ini"), *flags, env=env)
        outcome.err = outcome.err.replace(folder + "/", "")
        return outcome


def is_good(main, wanted="the configuration is good", **others):
    outcome = look(main, **others)
    equal(outcome.status, 0, outcome.err)
    matches(outcome.err, wanted)


def is_wrong(wanted, main, **others):
    outcome = look(main, **others)
    fails(outcome, wanted, 2)
    equal(outcome.err.count("\n"), 1, f"lines in {outcome.err!r}")


A = "[a]\nlisten = tcp://127.0.0.1:0\n"
TO = "to = tcp://127.0.0.1:1\n"


# ---- a file ----

CONFIG = """\
threads = 1
[db]
listen = tcp://127.0.0.1:0
to = {to}
weight = 2
balance = leastconn
"""

SERVED = """\
[db]
listen = tls://127.0.0.1:0
cert = {cert}
to = tcp://127.0.0.1:1
"""

SNI = """\
[s]
listen = tls://127.0.0.1:0
passthrough = on
to = sni:443
"""


def test_files_of_other_systems_quotes_and_long_names_are_read():
    name = "n" * 100
    other = "".join(f"[{name}{number}]\nlisten = tcp://127.0.0.1:0\n{TO}"
                    for number in (2, 3))
    with Server(echo) as server:
        text = CONFIG.format(to=target(server)) + "name = \"a ;b\" ; that\n"
        with files(main=text.replace("[db]", f"[{name}] ; a comment")
                   .replace("\n", "\r\n")) as folder, Proxy(
                       "--config", os.path.join(folder, "main.ini")) as proxy:
            equal(proxy.metric("connections_total", service="a ;b"), 0, "count")
            matches("".join(proxy.said),
                    rf"a ;b serves tcp://\S+ to {target(server)}\n")
        is_good(text.replace("name =", "; name =") + other)


def test_a_wrong_file_is_told_with_its_line():
    good = SERVED.format(cert=certificates()["proxy"])
    for text, wanted in (
            (CONFIG.format(to="tcp://127.0.0.1:1") + "weigth = 1\n",
             r":7: unknown directive 'weigth'; did you mean 'weight'\?"),
            (CONFIG.format(to="http://x"), r":4: .*tcp://"),
            (CONFIG.format(to="tcp://127.0.0.1:1") + "lifetime = 5\n",
             r":7: lifetime: '5' has no unit; write 5ms for"),
            (CONFIG.format(to="tcp://127.0.0.1:1") + "idle-timeout = x\n",
             r":7: idle-timeout: 'x' is not a time such as"),
            ("listen = tcp://:1\n", r":1: this directive must be in a sec"),
            ("[a]\nlisten = tcp://:1\n", r":1: .*no target"),
            ("what\n", r":1: write 'KEY = VALUE' or"),
            ("; " + "x" * 1000 + "\nthreads = 1\nx" + "y" * 100 + "= 1\n",
             r":3: unknown directive 'xyyy"),
            ("threads = 1\r\n[a\r\n", r":2: write a section as '\[NAME\]'"),
            ("threads = \"1\n", r":1: a quote lacks its other end"),
            ("threads = 1\n[a]\nto = \"tcp://x:1\" y\n", r":3: a quote"),
            ("threads = 1\0\n", r":1: the line has a zero byte"),
            ("", r": there is no service"),
            ("[ ]\nlisten = tcp://:1\n", r":1: write a section as '\[NAME\]'"),
            ("\ufeffthreads = x\n", r":1: threads: 'x' is neither auto nor"),
            (good + "[web]\nto = tcp://a:1\n", r":5: 'web' has no ad"),
            (SNI, r":4: 'sni:443' needs sni-allow: names"),
            (SNI + "sni-allow = a.test,10.0.0.1\n",
             r":5: sni-allow: '10.0.0.1' is not a name such as"),
            (SNI + "sni-allow = .test\n", r":5: sni-allow: '.test' is not"),
            (SNI + "sni-allow = *.test\n", r":5: sni-allow: '.*' is not"),
            (SNI + "sni-allow = test\nto = tcp://a:1\n",
             r":6: to: sni:PORT is the only target"),
            (SNI + "sni-allow = test\ncheck = tcp\n",
             r":6: 'sni:443' is a name that clients choose"),
            (SNI + "sni-allow = test\neject = 2\n",
             r":4: 'sni:443' is a name that clients choose.*: set eject = 0"),
            (SNI + "sni-allow = test\nto-addresses = all\n",
             r":6: to-addresses needs a target with a name"),
            (SNI.replace("sni", "tcp://a") + "to = sni:1\n",
             r":5: to: sni:PORT is the only target"),
            (SNI.replace("443", "0"), r":4: to: 'sni:0': the port must"),
            (SNI.replace("passthrough", "abort-on-close") + "sni-allow = test\n"
             f"cert = {certificates()['proxy']}\n",
             r":4: 'sni:443' needs passthrough = on"),
            (SERVED.format(cert="/none"),
             r":3: db: certificate: /none: No such file"),
            (SERVED.format(cert="/\nkey = a"), r":4: db: key: '/' is a folder, .*: remove 'key'"),
            (good + "groups = X25519\n", r":5: db: groups: a server needs TLS"),
            (good + "tls-min = 1.3\nciphers = TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n",
             r":6: db: ciphers: no suite is for"),
            (good + "to = tls://a:1\nto-cert = /none\n",
             r":6: db: certificate: /none: No such file"),
            (f"[targets g]\n{TO}limit = x\n{A}{TO}", r":3: limit: 'x'"),
            (good + "to = tls://a:1\nto-ca = /none\n",
             r":1: db: authorities: /none: No such file"),
            (good.replace("[db]", "\nuser = no-such\n[db]"),
             r":2: user: there is no 'no-such' in /etc/passwd"),
            (good.replace("[db]", "\ngroup = no-such\n[db]"),
             r":2: group: there is no 'no-such' in /etc/group"),
            ("admin = 9\n[a]\nlisten = tcp://127.0.0.1:9\n" + TO,
             r":1: admin: '9' is listened on twice; also by the service at main\.ini:3: listen"),
            (good.replace("[db]", "\nchroot = /none\n[db]"), r":2: chroot"),
            (good.replace("[db]", "\nctl = /none/ctl\n[db]"), r":2: ctl: the folder of"),
            (good.replace("[db]", "\nhandover = /none/ho\n[db]"),
             r":2: handover: the folder of")):
        is_wrong(rf"main\.ini{wanted}", text)


def test_values_have_variables_of_the_environment():
    text = ("[a]\nlisten = tcp://${HERE}:${PORT:-0}\n"
            "check = text\nto = tcp://a.example:1\n"
            "check-send = ${not}${WORDS:-}$\n"
            .replace("${not}", "$not"))
    here = {"HERE": "127.0.0.1"}
    equal(look(text, env={**os.environ, **here}).err,
          "weir-proxy: the configuration is good\n", "with all of them")
    fails(look(text, env={**os.environ, **here, "PORT": "x"}),
          r":2: listen: 'tcp://127\.0\.0\.1:x': the port must be", 2)
    is_wrong(r":2: the environment has no variable 'HERE'; "
             r"\$\{HERE:-TEXT\} is TEXT then", text)
    many = ",".join(f"tcp://127.0.0.1:{port}" for port in range(1, 400))
    is_good(f"{A}to = {many}\n")


def test_what_is_seldom_meant_is_a_warning():
    outcome = look(
        "[a]\nlisten = tcp://127.0.0.1:0\ncheck = 2s\n"
        "to = tcp://127.0.0.1:3306\nto = tcp://127.0.0.1:1,tcp://[::1]:2\n"
        "[b]\nlisten = tcp://127.0.0.1:0\n"
        "to = tcp://127.0.0.1:1\nweight = 2\nto = tcp://127.0.0.1:3306\n")
    equal(outcome.status, 0, "exit status")
    matches(outcome.err, r":4: warning: 'tcp://127\.0\.0\.1:3306': MySQL and "
                         r"MariaDB count such a check as an")
    equal(outcome.err.count("warning"), 1, f"warnings in {outcome.err!r}")


# ---- words that are there twice ----

HEAD = "threads = 1\n[a]\nlisten = tcp://127.0.0.1:0\n"
BODY = HEAD + "to = tcp://127.0.0.1:1\n"

TWICE = (
    ("threads = 1\nthreads = 1\n", "threads", 2, 1),
    (BODY + "balance = leastconn\ntries = 1\nbalance = random\n", "balance",
     7, 5),
    (BODY + "weight = 1\nweight = 2\n", "weight", 6, 5),
    (HEAD + "idle-timeout = 1s\nto = tcp://127.0.0.1:1\nidle-timeout = 2s\n",
     "idle-timeout", 6, 4),
    (BODY + "check = tcp\ncheck = 2s\ncheck = http\n", "check", 7, 5),
    (BODY + "check = tcp\ncheck = 2s\ncheck = 3s\n", "check", 7, 6),
    (BODY + "check = 2s\ncheck = off\ntarget-check = 1s\n", "check", 6, 5),
    (BODY + "check = off\ncheck = 2s\n", "check", 6, 5),
    (HEAD.replace("tcp", "tls") + "cert = x\nkey = y\nkey = z\n", "key", 6, 5),
    (HEAD + "name = b\nname = c\n", "name", 5, 4),
)

ONCE = (
    BODY + "weight = 1\nto = tcp://127.0.0.1:2\nweight = 2\n",
    BODY + "check = tcp\ncheck = 2s\n[b]\nlisten = tcp://127.0.0.1:0\n"
    "to = tcp://127.0.0.1:1\ncheck = 3s\ncheck = http\n",
    BODY + "max-conns = 1\nlisten = tcp://127.0.0.1:0\nmax-conns = 2\n"
    "name = c\nto = tcp://127.0.0.1:2\n",
    HEAD + "listen = tcp://127.0.0.1:0\naccept-proxy = any\n"
    "trust = 10.0.0.0/8\ntrust = unix\nto = tcp://127.0.0.1:1\n",
    HEAD.replace("tcp", "tls") + "balance = random\nroute = a.test\n"
    "balance = leastconn\npassthrough = on\nto = tcp://127.0.0.1:1\n"
    "route = b.test\nbalance = random\npassthrough = on\n"
    "to = tcp://127.0.0.1:1\n",
)


def test_a_word_that_is_there_twice_is_told_with_both_lines():
    for text, word, line, first in TWICE:
        is_wrong(rf"main\.ini:{line}: '{word}' was already set, in "
                 rf"main\.ini:{first}$", text)


def test_a_word_may_be_there_again_about_something_else():
    for text in ONCE:
        is_good(text)
        is_good(text, flags=("--threads", "2"))  # the flag counts instead


# ---- [defaults] ----

def test_services_begin_with_the_defaults_and_replace_them():
    with Server(echo) as server:
        text = ("[a]\nlisten = tcp://127.0.0.1:0\nto = {0}\n"
                "[defaults]\nidle-timeout = 50ms\nclient-deny = 127.0.0.0/8\n"
                "[b]\nlisten = tcp://127.0.0.1:0\nidle-timeout = 1h\n"
                "client-deny = 10.0.0.0/8\nto = {0}\n"
                "listen = tcp://127.0.0.1:0\nclient-deny = 10.0.0.0/8\n"
                "to = {0}\n").format(target(server))
        with files(main=text) as folder, Proxy(
                "--config", os.path.join(folder, "main.ini")) as proxy:
            while len(proxy.ports) < 3:
                proxy.read_start()
            expect_reset(proxy)  # this client is denied
            with proxy.connect(1) as held:
                echoes(held)
                expect_reset(proxy, index=2)  # after 50 ms
                echoes(held)
            proxy.stop_by(["client-denied", "idle", "done"])


def test_routes_begin_with_the_defaults_if_not_with_their_services_words():
    """Without a target that has TLS, to-name is refused, which shows both cases."""
    head = ("[defaults]\nto-insecure = on\n[a]\nlisten = tls://127.0.0.1:0\n"
            "passthrough = on\n")
    route = "route = a.example\npassthrough = on\n"
    is_wrong(r"main\.ini:2: to-insecure needs a target", head + route + TO)
    is_good(head + "to-insecure = off\n" + route + TO)
    is_wrong(r"main\.ini:2: to-insecure needs a target",
             head + "to-insecure = off\n" + TO + route + TO)


def test_a_word_without_what_it_needs_is_refused_by_its_line():
    """A directive of [defaults] only if no service fulfils its condition."""
    head = "[defaults]\ncheck-path = /a\n"
    one = "[a]\nlisten = tcp://127.0.0.1:0\n"
    other = "[b]\nlisten = tcp://127.0.0.1:0\ncheck = http\n"
    is_wrong(r"main\.ini:3: check-path needs check = http",
             one + "check-path = /a\ncheck = tcp\n" + TO)
    is_wrong(r"main\.ini:2: check-path needs check = http", head + one + TO)
    is_good(head + one + TO + other + TO)
    head = f"[defaults]\ncert = {certificates()['proxy']}\n"
    other = f"[b]\nlisten = tls://127.0.0.1:0\n{TO}"
    is_wrong(r"main\.ini:2: cert needs a route that terminates TLS", head + one + TO)
    is_good(head + one + TO + other)
    last = "[c]\nlisten = tls://127.0.0.1:0\npassthrough = on\n"
    is_good(head + other + last + TO)
    words = f"client-ca = {certificates()['ca']}\nrequire-client-cert = on\n"
    is_wrong(r"main\.ini:9: client-ca needs .*a route that terminates TLS",
             f"{head}{other}{last}{words}{TO}")
    is_good(f"{head}{words}{other}{last}{TO}")
    is_wrong(r"main\.ini:3: client-ca needs tls:// at every 'listen'",
             f"{head}{words}{other}{one}{TO}")
    is_wrong(r"main\.ini:3: client-ca needs tls:// at every 'listen'",
             f"{head}{words}{other}{one}route = *\nroute-begin = SSH-\n{TO}")
    is_good(f"[targets g]\nsend-proxy = v2\nsend-proxy-tlv = authority\n{TO}{one}"
            f"to = @g\n{last}to = @g\n")
    is_good(f"[defaults]\nqueue = 2\ncheck = 2s\n[targets a]\ncheck-path = /x\nbalance = sni\n"
            f"send-proxy-tlv = ssl\n{TO}[targets b]\nto = sni:443\nsni-allow = test\n"
            f"{one}{TO}limit = 1\n")


def test_targets_begin_with_the_defaults_and_replace_them():
    """Including targets of a group, of a list, and before [defaults]."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(echo)) for _ in range(5)]
        a, b, c, d, e = map(target, servers)
        folder = stack.enter_context(files(main=(
            f"[one]\nlisten = tcp://127.0.0.1:0\nto = {a}\nto = {b}\n"
            "weight = 1\n[defaults]\nweight = 3\n"
            f"[targets pair]\nto = {c},{d}\nto = {e}\nweight = 2\n"
            "[two]\nlisten = tcp://127.0.0.1:0\nto = @pair\n")))
        proxy = stack.enter_context(Proxy(
            "--config", os.path.join(folder, "main.ini")))
        while len(proxy.ports) < 2:
            proxy.read_start()
        for index, count in ((0, 8), (1, 16)):
            for _ in range(count):
                with proxy.connect(index) as client:
                    echoes(client)
        equal([server.accepted for server in servers], [6, 2, 6, 6, 4],
              "connections")


def test_an_own_address_of_the_defaults_is_for_targets_of_its_family():
    head = f"[defaults]\nfrom = 127.0.0.1\n{A}"
    for to in ("unix:/run/x", "tcp://[::1]:1", "tcp://localhost:1",
               "tcp://[::1]:1,tcp://127.0.0.1:1"):
        is_good(f"{head}to = {to}\n{TO.replace(':1', ':2')}")
    is_good(f"{head}to = tcp://[::1]:1\nfrom = ::1\n")
    is_wrong(r"main\.ini:2: from needs a target of its address fam", f"{head}to = unix:/run/x\n")
    is_good(f"{head}{TO}from = any\n")
    is_wrong(r"main\.ini:6: 'tcp://\[::1\]:1': from is of another address "
             "family", f"{head}to = tcp://[::1]:1\nfrom = 127.0.0.2\n")
    is_wrong(r"main\.ini:2: from: 'x' is not an address such as .*, or any",
             f"[defaults]\nfrom = x\n{A}{TO}")


def test_wrong_defaults_are_told_with_their_line():
    for line, wanted in (("listen = tcp://:1", "'listen' is not allowed in"),
                         ("name = x", "'name' is not allowed in"),
                         ("route = x", "'route' is not allowed in"),
                         ("route-as = tls", "'route-as' is not allowed in"),
                         ("to = tcp://a:1", "'to' is not allowed in"),
                         ("backup = on", "'backup' is not allowed in"),
                         ("target-tls-ca = F", "'target-tls-ca' is not allowed in"),
                         ("weight = 300", "weight: "),
                         ("threads = 1", "'threads' is not allowed in"),
                         ("key = a", "key: it must follow the cert"),
                         ("lifetime = 5", "lifetime: '5' has no unit"),
                         ("lifetme = 5s", ".*did you mean 'lifetime'")):
        is_wrong(rf"main\.ini:2: {wanted}", f"[defaults]\n{line}\n{A}{TO}")
    is_wrong(r"main\.ini:3: 'lifetime' was already set, in main\.ini:2",
             f"[defaults]\nlifetime = 1s\nlifetime = 2s\n{A}{TO}")
    is_wrong(r"main\.ini:4: there is already a section of that name, in "
             r"main\.ini:1",
             f"[defaults]\nlifetime = 1s\n\n[defaults]\n{A}{TO}")


# ---- [targets NAME] ----

def test_services_with_one_group_have_one_balance_and_one_set_of_checks():
    with Checked(GOOD) as one, Checked(GOOD) as other:
        services = "".join(f"[{name}]\nlisten = tcp://127.0.0.1:0\n"
                           "to = @both\n" for name in "abcd")
        text = (f"{services}[targets both]\ncheck = http\ncheck = 20ms\n"
                "check-timeout = 60s\n"
                f"to = {target(one)},{target(other)}\nlimit = 1\n")
        with files(main=text) as folder, Proxy(
                "--config", os.path.join(folder, "main.ini"),
                threads=2) as proxy:
            while len(proxy.ports) < 4:
                proxy.read_start()
            wait_until(lambda: proxy.metric("upstream_up") == 8)
            with proxy.connect(0) as first, proxy.connect(1) as second:
                echoes(first)
                echoes(second)
                equal((one.clients, other.clients), (1, 1), "their turns")
                expect_reset(proxy, b"x", 2)  # both are full
            before = len(one.requests)
            wait_until(lambda: len(one.requests) >= before + 20)
            made = proxy.metric("upstream_checks_total")
            equal(made <= len(one.requests) + len(other.requests), True,
                  "checks that are counted")
            one.answer = BAD
            wait_until(lambda: proxy.metric("upstream_up") == 4)
            said = proxy.stop()
            equal(said.count("is down"), 1, f"lines about it in {said!r}")
            matches(said, rf"targets both: target {target(one)} is down: HTTP")


def test_a_group_is_read_again_with_the_services_that_have_it():
    text = ("[{}]\nlisten = tcp://127.0.0.1:{}\nto = @both\n"
            "[{}]\nlisten = tcp://127.0.0.1:{}\nto = @both\n"
            "[targets both]\ncheck = http\ncheck = 20ms\n"
            "check-timeout = 60s\nto = {}\n")
    ports = free_port(), free_port(), free_port()
    with Checked(GOOD) as one, Checked(GOOD) as other, files() as folder:
        path = os.path.join(folder, "main.ini")

        def write(*values):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.format(*values))

        write("a", ports[0], "b", ports[1], target(one))
        with Proxy("--config", path, threads=2) as proxy:
            while len(proxy.ports) < 2:
                proxy.read_start()
            wait_until(lambda: proxy.metric("upstream_up") == 2)
            with socket.create_connection(("127.0.0.1", ports[0])) as held:
                echoes(held)
                write("a", ports[0], "c", ports[2], target(other))
                read_again(proxy)
                wait_until(lambda: proxy.metric("upstream_up") == 2)
                for port in ports[0], ports[2]:
                    with socket.create_connection(("127.0.0.1",
                                                   port)) as client:
                        echoes(client)
                echoes(held)
            equal((one.clients, other.clients), (1, 2), "clients")


def test_what_is_of_a_group_is_said_there():
    group = f"[targets g]\nbalance = first\n{TO}"
    is_good(f"{A}to = @g\nsend-proxy = v2\nidle-timeout = 1s\n{group}")
    is_good("[a]\nlisten = any://127.0.0.1:0\nroute = *\nroute-as = tls\n"
            f"passthrough = on\nto = @g\nroute = *\nto = @g\n{group}")
    is_good(f"{group}[defaults]\nbalance = source\ncheck = 2s\n{A}to = @g\n")
    for line in ("balance = first", "weight = 2", "check = 2s",
                 "to = tcp://127.0.0.1:2"):
        word = line.split()[0]
        is_wrong(rf"main\.ini:4: {word}: '{word}' with 'to = @g' must "
                 r"be in \[targets g\]", f"{A}to = @g\n{line}\n{group}")
    is_wrong(r"main\.ini:3: to: there is no section \[targets h\]",
             f"{A}to = @h\n{group}")
    is_wrong(r"main\.ini:4: 'idle-timeout' is not allowed in \[targets g\]",
             f"[targets g]\n{TO}\nidle-timeout = 1s\n{A}to = @g\n")
    is_wrong(r"main\.ini:2: weight: it must follow the 'to'",
             f"[targets g]\nweight = 1\n{TO}{A}{TO}")
    is_wrong(r"main\.ini:1: write a group of targets as '\[targets NAME\]'",
             f"[targets]\n{TO}{A}{TO}")
    is_wrong(r"main\.ini:1: it has no target",
             f"[targets g]\nbalance = first\n{A}to = @g\n")
    fails(command(PROXY, "-t", "--listen", "tcp://127.0.0.1:0", "--to", "@g"),
          r"--to: '@g' is a group of targets, which only a", 2)


def test_what_is_behind_a_list_is_about_all_of_it():
    is_good(f"{A}to = tcp://127.0.0.1:1,tcp://127.0.0.1:2\nweight = 3\n",
            r"main\.ini:3: weight applies to each of the 2 targets of this 'to'")
    outcome = look(f"[defaults]\nweight = 3\nlimit = 9\n{A}"
                   "to = tcp://127.0.0.1:1,tcp://127.0.0.1:2\n")
    equal((outcome.status, "this 'to'" in outcome.err), (0, False),
          outcome.err)


# ---- include ----

def test_files_are_included_and_errors_name_them():
    is_good(f"threads = 1\ninclude = d/*.ini\ndrain = 5s\n{A}{TO}",
            d__b="[b]\nlisten = tcp://127.0.0.1:0\nto = @g\n",
            d__g=f"[targets g]\n{TO}", d__h="drain-delay = 1s\n")
    is_wrong(r"d/b\.ini:2: listen: 'x' is not an address",
             f"include = d/*.ini\n{A}{TO}", d__b="[b]\nlisten = x\n")
    is_wrong(r"main\.ini:5: unknown directive 'x'",
             f"include = d/*.ini\n{A}{TO}x = 1\n",
             d__b="[b]\nlisten = tcp://127.0.0.1:0\nto = tcp://127.0.0.1:1\n")
    is_wrong(r"d/b\.ini:1: 'b' has no target|d/b\.ini:1: .*no target",
             f"include = d/b.ini\n{A}{TO}",
             d__b="[b]\nlisten = tcp://127.0.0.1:0\n")
    is_wrong(r"main\.ini:1: .*none\.ini: No such file", "include = none.ini\n")
    is_wrong(r"main\.ini:4: include: this directive must precede the first",
             f"{A}{TO}include = main.ini\n")
    is_wrong(r"main\.ini:1: more than 8 files include each other",
             "include = main.ini\n")
    is_wrong(r"more than 1000 files", "include = d/a.ini\n" * 1000,
             d__a="; nothing\n")
    is_good(f"include = d/*.conf\n{A}{TO}", r"warning: there is no file '\S*d/\*\.conf'",
            d__a="")
    is_wrong(r"main\.ini:2: 'drain' was already set, in \S*d\S*:1",
             f"include = d.ini\ndrain = 1s\n{A}{TO}", d="drain = 2s\n")


def test_a_pattern_is_one_of_a_folder_of_any_name():
    with tempfile.TemporaryDirectory(prefix="weir-[a]*?-") as folder:
        path = os.path.join(folder, "main.ini")
        for name, text in (("main", f"include = b*.ini\n{A}{TO}"),
                           ("b1", "no-such-word = 1\n")):
            pathlib.Path(folder, f"{name}.ini").write_text(text, "utf-8")
        fails(command(PROXY, "-t", "--config", path), r"b1\.ini:1: ", 2)


def test_a_line_that_no_memory_is_there_for_ends_the_file_with_an_error():
    need("prlimit")
    if is_sanitized(PROXY):
        raise Skip("a sanitizer has memory of its own")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "main.ini")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{A}{TO}# ")
            file.truncate(1 << 30)  # zeros without a position
        fails(command("prlimit", f"--as={256 << 20}", PROXY, "-t", "--config",
                      path), "Cannot allocate memory", 2)


def test_a_flag_includes_as_a_line_does():
    with files(main=A + TO) as folder:
        equal(command(PROXY, "-t", "--include",
                      os.path.join(folder, "*.ini")).status, 0, "a pattern")
        fails(command(PROXY, "-t", "--include",
                      os.path.join(folder, "none")), "none: No such file", 2)


run(globals())
