"""weir-proxy's log without space: lines are lost as a whole, and no connection ends
because of that."""

import os
import resource
import signal
import time

from harness import WAIT_S, equal, matches, run
from proxying import Proxy, target, told
from servers import Server, echo, echoes


def limit_files():
    """For preexec_fn: limits files to 4 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


def test_a_log_that_may_not_grow_ends_no_connection():
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       preexec_fn=limit_files) as proxy:
        with proxy.connect() as held:
            echoes(held)
            until = time.monotonic() + WAIT_S
            count = 0
            while proxy.metric("log_lines_lost_total") == 0:
                assert time.monotonic() < until, "no line is lost"
                with proxy.connect() as client:
                    echoes(client)
                count += 1
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
        def use_until(condition):
            until = time.monotonic() + WAIT_S
            while not condition():
                assert time.monotonic() < until, "the log does not change"
                with proxy.connect() as client:
                    echoes(client)

        lost = 0
        for size in (5001, 6007, 7013):
            use_until(lambda: proxy.metric("log_lines_lost_total") > lost)
            before = os.path.getsize(proxy.log_path)
            resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE,
                             (size, resource.RLIM_INFINITY))
            use_until(lambda: os.path.getsize(proxy.log_path) > before)
            lost = proxy.metric("log_lines_lost_total")
        proxy.stop()
        expect_whole_lines(proxy)


def test_a_log_that_could_not_be_opened_anew_is_when_it_can_be():
    """The log was moved away while no descriptor was available for a new one."""
    with Server(echo) as server, Proxy("tcp://127.0.0.1:0", target(server),
                                       threads=2) as proxy:
        moved = proxy.log_path + ".moved"
        os.rename(proxy.log_path, moved)
        before = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE,
                         (3, before[1]))
        proxy.signal(signal.SIGUSR1)
        told(proxy, "Too many open files; the old file stays until")
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, before)
        until = time.monotonic() + WAIT_S
        while not os.path.exists(proxy.log_path):
            assert time.monotonic() < until, "it is not opened"
            with proxy.connect() as client:
                echoes(client)


run(globals())
