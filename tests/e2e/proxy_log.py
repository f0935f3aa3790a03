"""weir-proxy's log at a syslog server, which is a socket of this test; without space for
it, lines are lost as a whole, and no connection ends because of that; and the names of
fields and metrics that are promised."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import tempfile

from harness import WAIT_S, equal, matches, run
from proxy_wait import wait_until
from proxying import Proxy, target, told, use
from servers import Server, echo, echoes
import manual

RFC_5424 = (r"<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ weir-proxy "
            r"(\d+) - - (.*)\Z")
TOOL = os.path.join(manual.TOOLS, "weir-proxy")


@contextlib.contextmanager
def unix_socket(path, **_):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(WAIT_S)
        yield sock


@contextlib.contextmanager
def at_path():
    """Yields a folder, and a Unix socket in it."""
    with tempfile.TemporaryDirectory() as folder:
        with unix_socket(os.path.join(folder, "log")) as sock:
            yield sock, os.path.join(folder, "log")


def test_each_line_is_a_message_of_rfc_5424():
    with at_path() as (sock, path), socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM) as by_udp:
        by_udp.bind(("127.0.0.1", 0))
        by_udp.settimeout(WAIT_S)
        udp = f"syslog:udp://127.0.0.1:{by_udp.getsockname()[1]}"
        for server, place, flags, code in (
                (sock, f"syslog:{path}", (), 30),
                (by_udp, udp, ("--log-facility", "local3"), 158)):
            with Server(echo) as echoing, Proxy(
                    "tcp://127.0.0.1:0", target(echoing), "--log", place,
                    *flags, threads=2, log=False) as proxy:
                use(proxy, 3)
                for _ in range(3):
                    text = server.recv(10000).decode()
                    matches(text, RFC_5424)
                    found = re.search(RFC_5424, text)
                    equal((int(found[1]), int(found[2])),
                          (code, proxy.process.pid), "priority and process")
                    equal(len(found[3].split()), 17, f"fields of {found[3]}")


def test_a_server_that_does_not_read_stops_nobody():
    """Lines that do not fit are counted; waiting lines arrive when it reads."""
    with at_path() as (sock, path), Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--log", f"syslog:{path}",
            log=False) as proxy:
        count = 0
        while proxy.metric("log_lines_lost_total") == 0:
            use(proxy, 10)
            count += 10
        sock.recv(10000)
        came = 1
        with contextlib.suppress(TimeoutError):
            while came + proxy.metric("log_lines_lost_total") < count:
                sock.recv(10000)
                came += 1
        equal(came + proxy.metric("log_lines_lost_total"), count, "lines")
        said = proxy.stop()
        equal(said.count("lines are lost"), 1, f"lines about it in {said!r}")


def test_a_server_that_comes_later_or_again_gets_the_next_lines():
    with tempfile.TemporaryDirectory() as folder, Server(echo) as server:
        path = os.path.join(folder, "log")
        with Proxy("tcp://127.0.0.1:0", target(server), "--log",
                   f"syslog:{path}", log=False) as proxy:
            matches("\n".join(proxy.said),
                    "log: No such file or directory; lines are lost until")
            use(proxy)
            wait_until(lambda: proxy.metric("log_lines_lost_total") == 1)
            for _ in range(2):
                with unix_socket(path) as sock:
                    use(proxy)
                    matches(sock.recv(10000).decode(), RFC_5424)
                os.unlink(path)
            equal(proxy.metric("log_lines_lost_total"), 1, "lost lines")


def test_the_last_lines_come_at_the_end():
    with at_path() as (sock, path), Server(echo) as server, Proxy(
            "tcp://127.0.0.1:0", target(server), "--log", f"syslog:{path}",
            "--log-format", "json", log=False) as proxy:
        use(proxy)
        with proxy.connect() as held:
            echoes(held)
            proxy.signal(15)
            wait_until(lambda: b'"reason":"done"' in sock.recv(10000))
        equal(proxy.finish(2 * WAIT_S)[0], 0, "exit status")
        line = re.search(RFC_5424, sock.recv(10000).decode())[3]
        equal(json.loads(line)["reason"], "done", line)


# ---- files ----

def limit_files():
    """For preexec_fn: limits files to 4 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


def test_a_log_that_may_not_grow_ends_no_connection():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       preexec_fn=limit_files) as proxy:
        with proxy.connect() as held:
            echoes(held)
            wait_until(lambda: use(proxy) or
                       proxy.metric("log_lines_lost_total") > 0)
            echoes(held)
        words = proxy.stop()
        expect_whole_lines(proxy)
        matches(words, r"/log: File too large; lines are lost$")


def expect_whole_lines(proxy):
    """All lines, including the last one, have all fields; the file is not empty."""
    with open(proxy.log_path, encoding="utf-8") as file:
        text = file.read()
    equal(text[-1:], "\n", "the end of the log")
    equal({line["reason"] for line in proxy.lines()}, {"done"}, "the reasons")


def test_no_line_of_the_log_is_torn_where_there_is_no_room_for_it():
    """Two threads write at the same time; then there is space again."""
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       threads=2,
                                       preexec_fn=limit_files) as proxy:
        lost = 0
        for size in (5001, 6007, 7013):
            wait_until(lambda: use(proxy) or
                       proxy.metric("log_lines_lost_total") > lost)
            before = os.path.getsize(proxy.log_path)
            resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE,
                             (size, resource.RLIM_INFINITY))
            wait_until(lambda: use(proxy) or
                       os.path.getsize(proxy.log_path) > before)
            lost = proxy.metric("log_lines_lost_total")
        proxy.stop()
        expect_whole_lines(proxy)


def test_a_log_that_could_not_be_opened_anew_is_when_it_can_be():
    """The log was moved away while no descriptor was available for a new one."""
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       threads=2) as proxy:
        os.rename(proxy.log_path, proxy.log_path + ".moved")
        before = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
        for number, words in ((signal.SIGUSR1, "the old file stays until"),
                              (signal.SIGHUP, "the previous configuration stays in force")):
            proxy.signal(number)
            told(proxy, f"Too many open files; {words}")
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, before)
        wait_until(lambda: use(proxy) or os.path.exists(proxy.log_path))


# ---- names ----

def test_the_manual_has_all_names_of_fields_and_metrics():
    """And no others, because they are promised."""
    def promised(section):
        page = manual.page("weir-proxy.1")
        text = page[page.index(section):]
        text = text[:text.index(".El")]
        return set(re.findall(r"^\.It Li (.*)", text, re.M))

    with open(os.path.join(TOOL, "facts/fields.c"), encoding="utf-8") as file:
        rows = re.findall(r'^    \{"(\w+)", FIELD_', file.read(), re.M)
    equal(promised(".Bl -tag -compact -width first_byte_ms"), set(rows),
          "names of fields")
    with Proxy("tcp://127.0.0.1:0", "tcp://127.0.0.1:1") as proxy:
        found = set(re.findall(r"^# TYPE weir_proxy_(\w+) ",
                               proxy.get("/metrics")[1], re.M))
    equal(promised(".Bl -tag -compact -width upstream_connect"), found,
          "names of metrics")


run(globals())
