"""The rows of the comparison: what runs, against whom, and the target.

Each row is a function that takes the settings and a progress function and
yields Result objects, one for each line of the table.
"""
import contextlib
import os
import statistics
import tempfile
import time

from bulk import EPOLL_NOTES, BULK_CASES, bulk_pairs
from compare import (Result, alternate, better_of, compare, contenders, interval_of,
                     is_chosen, of_subject, ratios_of)
from harness import (BEFORE, DOCKER, Client, Failure, Server, alone, exists, load,
                     serving)
from peers import name_of
from rows_engine import row_t20, row_t20_bulk, row_t20_close, row_t20_framed
from rows_examples import row_files, row_names, row_redis, row_socks
from rows_first import row_first
from rows_growth import row_growth, row_growth_loop, row_growth_proxy
from rows_h2 import row_t22
from rows_load import row_t18
from rows_proxy import (row_t16, row_t16_bulk, row_t16_close, row_t16_tls,
                        row_t20_proxy, row_t20_proxy_close)
from rows_tls import (row_t8_tls, row_t11, row_t11_data, row_t11_resumed,
                      row_t17_tls, row_t20_tls)


def _echo_row(settings, progress, row, cases, mode="echo"):
    """Rows that differ only in arguments: (case, server, client, targets)."""
    for case, server_extra, client, targets, per in cases:
        if not is_chosen(settings, case):
            continue
        names = contenders(settings, mode,
                           ["uring", "epoll", "uv", "uv_tuned", "event"])
        pairs = alternate(
            settings, progress, f"{row} {case}", names,
            lambda name, s=server_extra, c=client: serving(
                settings, name, mode, s, c), judged=targets)
        yield from compare(row, case, pairs, targets, scale=per)


def row_t1_unix(settings, progress):
    """As T1 over Unix sockets, beside those that can."""
    case = "128 B over Unix sockets, 50 connections"
    names = contenders(settings, "echo", ["uring", "epoll"])
    pairs = alternate(
        settings, progress, f"T1u {case}", names,
        lambda name: serving(settings, name, "echo", ["--unix"],
                             ["--unix", "--conns", 50]), judged=["uring"])
    yield from compare("T1u", case, pairs, {"uring": 1.03})


def _streams_of(settings):
    """The subject where streams are compared: weir's own have a name."""
    return "weir_stream" if settings.subject == "weir" else settings.subject


def _stream_row(settings, progress, row, peers, cases, mode="echo"):
    """Rows of streams: (case, client, targets)."""
    names = contenders(settings, mode, peers, _streams_of(settings))
    for case, client, targets in cases:
        if not is_chosen(settings, case):
            continue
        pairs = alternate(
            settings, progress, f"{row} {case}", names,
            lambda name, c=client: serving(settings, name, mode, [], c),
            judged=targets)
        yield from compare(row, case, pairs, targets)


def row_t1(settings, progress):
    yield from _echo_row(settings, progress, "T1", [
        ("128 B, 50 connections", [], ["--conns", 50],
         {"uring": 1.03, "uv": 0.62, "event": 0.78}, 1),
        ("128 B, 1000 connections", [], ["--conns", 1000],
         {"uring": 1.03, "uv": 0.53, "event": 0.68}, 1),
    ])


def row_t3(settings, progress):
    targets = {"uring": 1.12, "uvloop": 1.0}
    yield from _stream_row(
        settings, progress, "T3",
        ["uring", "weir", "uv", "uv_tuned", "event", "uvloop"],
        [("128 B by streams, 50 connections", ["--conns", 50], targets),
         ("128 B by streams, 1000 connections", ["--conns", 1000], targets)])


def row_t4(settings, progress):
    yield from _echo_row(settings, progress, "T4", [
        ("16 x 128 B, 16 writes", ["--frame", "128"],
         ["--conns", 50, "--size", 2048], {"uring": 1.10}, 16),
        ("100 x 16 B, 100 writes", ["--frame", "16"],
         ["--conns", 50, "--size", 1600], {"uring": 1.10}, 100),
    ], mode="framed")


def row_t5(settings, progress):
    """The target is compared with the better epoll loop of each case."""
    betters = []
    names = contenders(settings, "echo", ["epoll", "epoll_256k", "uring"])
    for case, pairs in bulk_pairs(settings, progress, "T5", names, EPOLL_NOTES):
        better = better_of(pairs, EPOLL_NOTES)
        for result in compare("T5", case, pairs, {better: 1.05}):
            result.note = EPOLL_NOTES.get(result.peer, "")
            if result.peer == better:
                result.note += ", the better"
                betters.append(ratios_of(pairs[better]))
            yield result
    if len(betters) == len(BULK_CASES):
        means = [statistics.geometric_mean(of_start) for of_start in zip(*betters)]
        yield Result("T5", "geometric mean of the four", "ratio",
                     (None, None, statistics.median(means)), peer="epoll",
                     note="the better each", target=1.00, ratios=means,
                     interval=interval_of(means))


def row_t5_streams(settings, progress):
    """Bulk by streams: what was taken is sent on, or a view is written."""
    for name, text, target in (("weir_take", "take, write_buf", 1.03),
                               ("weir_copy", "read_view, write", None)):
        for case, pairs in bulk_pairs(settings, progress, "T5s", [name, "weir"],
                                      ["weir"]):
            yield from compare("T5s", f"{case}: {text}", pairs, {"weir": target})


QUANTILES = ("p50", "p99", "p999")
TAIL_MS = 1000  # a slice long enough for a tail


@contextlib.contextmanager
def _open_loop(settings, name, client):
    """A message that found no place to wait in is in no tail: such a run says
    nothing."""
    def take():
        report = load(server, client, time_ms=TAIL_MS)
        if report["dropped"] > 0:
            raise Failure(f"{name} was so late that {report['dropped']} of "
                          f"{report['offered']} messages were not sent")
        return report | {q: report["latency_ns"][q] for q in QUANTILES}

    with Server(settings, name) as server:
        yield take


def row_t6(settings, progress):
    names = contenders(settings, "echo", ["uring"])
    progress("T6 capacity of the bare loop")
    with serving(settings, "uring", "echo", [], ["--conns", 50]) as take:
        closed = take()
    capacity = closed["messages"] / closed["window_ns"] * 1e9
    for percent in (10, 50, 80):
        rate = int(capacity * percent / 100)
        client = ["--mode", "open", "--conns", 50, "--rate", rate]
        case = f"open loop, {percent} % = {rate}/s"
        pairs = alternate(
            settings, progress, f"T6 {case}", names,
            lambda name, c=client: _open_loop(settings, name, c),
            weight=3, keys=["cpu_ns", *QUANTILES])
        yield from compare("T6", case, pairs, {"uring": 1.03})
        for quantile in QUANTILES:
            yield from compare("T6", case, pairs, {"uring": 1.05}, key=quantile,
                               figure=f"us {quantile}", scale=1000)


def row_t7(settings, progress):
    churn = ["--mode", "churn", "--sources", 200, "--conns", 50]
    target = {"uring": 1.04}
    yield from _echo_row(settings, progress, "T7", [
        ("connect, one request, peer closes", [], churn, target, 1)])
    yield from _echo_row(settings, progress, "T7", [
        ("connect, one request, server closes", [],
         churn + ["--server-closes"], target, 1)], mode="close")


def _kernel_bytes():
    """Kernel memory of sockets, what hangs on them, and of mappings."""
    with open("/proc/meminfo", encoding="ascii") as file:
        fields = dict(line.split(":") for line in file)
    return sum(int(fields[name].split()[0]) * 1024
               for name in ("Slab", "PageTables"))


def _used_bytes(server):
    """Memory of the library where it counts it, else of the process."""
    if server.name.startswith("weir"):
        return server.statistics()["memory_bytes"]
    return server.resident_bytes()


def _idle_memory(settings, name, count):
    with Server(settings, name, own=True) as server:
        # The first connections allocate what all connections share.
        warm = Client(server, ["--mode", "idle", "--conns", 200], 0, 600000)
        warm.wait_ready()
        used = _used_bytes(server)
        resident = server.resident_bytes()
        kernel = _kernel_bytes()
        idle = Client(server, ["--mode", "idle", "--conns", count], 0, 600000)
        idle.wait_ready()
        time.sleep(0.5)
        used = _used_bytes(server) - used
        resident = server.resident_bytes() - resident
        kernel = _kernel_bytes() - kernel
        idle.finish()
        warm.finish()
    return {"bytes": used / count, "kernel": kernel / count,
            "resident": resident / count}


@contextlib.contextmanager
def _beside_idle(settings, name, idle_count):
    with Server(settings, name) as server:
        holder = None
        if idle_count > 0:
            holder = Client(server, ["--mode", "idle", "--conns", idle_count],
                            0, 600000)
            holder.wait_ready()
        yield lambda: load(server, ["--conns", 50])
        if holder is not None:
            holder.finish()


def _active_beside_idle(settings, progress, row, name, count):
    pairs = alternate(
        settings, progress, f"{row} 50 active", ["idle", "alone"],
        lambda which: _beside_idle(settings, name,
                                   count if which == "idle" else 0), weight=3)
    return compare(row, f"50 active beside {count} idle", pairs, {"alone": 1.05})


def row_t8(settings, progress):
    count = 10000
    for name in contenders(settings, "echo", ["uring", "epoll", "uv",
                                              "event"]):
        progress(f"T8 {name}: {count} idle connections")
        memory = _idle_memory(settings, name, count)
        if name == "weir":
            yield Result("T8", "weir: memory of the library", "B/connection",
                         (memory["bytes"], None, None), target=512)
        called = "weir" if name == "weir" else name_of(name)
        yield Result("T8", f"{called}: memory of the process", "B/connection",
                     (memory["resident"], None, None))
        yield Result("T8", f"{called}: memory of the kernel, both ends", "B/connection",
                     (memory["kernel"], None, None))
    yield from _active_beside_idle(settings, progress, "T8", settings.subject,
                                   count)


def row_t20_memory(settings, progress):
    """Idle connections where io_uring is refused: the library's memory, and what
    the process takes beside others on epoll."""
    count = 10000
    for name in contenders(settings, "echo", ["epoll", "uv", "event"],
                           f"{DOCKER}weir"):
        progress(f"T20m {name}: {count} idle connections")
        memory = _idle_memory(settings, name, count)
        called = name.removeprefix(BEFORE).removeprefix(DOCKER)
        what = "weir" if called == "weir" else name_of(called)
        if name.startswith(BEFORE):
            what = f"before, {what}"
        if called == "weir":
            yield Result("T20m", f"{what}: memory of the library",
                         "B/connection", (memory["bytes"], None, None),
                         target=512)
        yield Result("T20m", f"{what}: memory of the process", "B/connection",
                     (memory["resident"], None, None))


def row_t20_load(settings, progress):
    yield from row_t18(settings, progress, "T20l", f"{DOCKER}weir")


def row_t8_tasks(settings, progress):
    """As T8, with a task for each connection: its stack is not the library's
    allocator's, so the process' memory is what counts."""
    count = 10000
    name = "weir_stream"
    progress(f"T8s {name}: {count} idle connections")
    memory = _idle_memory(settings, name, count)
    yield Result("T8s", "memory of the library", "B/connection",
                 (memory["bytes"], None, None))
    yield Result("T8s", "memory of the process with stacks",
                 "B/connection", (memory["resident"], None, None),
                 target=9 * 1024)
    yield Result("T8s", "memory of the kernel, both ends, with page tables",
                 "B/connection", (memory["kernel"], None, None))
    yield from _active_beside_idle(settings, progress, "T8s", name, count)


def _watch_memory(server, seconds):
    """The most memory that the server has during this time."""
    most = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        most = max(most, server.resident_bytes())
        time.sleep(0.1)
    return most


@contextlib.contextmanager
def _beside(settings, name, disturbance):
    """50 small connections beside a disturbance: report and peak memory."""
    def take():
        with Server(settings, name) as server:
            small = Client(server, ["--conns", 50], 300, TAIL_MS, goes_first=True)
            time.sleep(0.2)
            other = None
            if disturbance is not None:
                other = Client(server, disturbance, 0, TAIL_MS)
            peak = _watch_memory(server, 1)
            report = small.finish()
            if other is not None:
                other.finish()
        return report | {"peak": peak, "p99": report["latency_ns"]["p99"]}

    yield take


def _unfairness(reports):
    return statistics.median(1 / max(r["fairness"], 1e-9) for r in reports)


def _small_beside_bulk(settings, progress):
    """In turn with bare epoll: what is a small p99 is the machine's to say."""
    case = "50 small beside: 4 bulk connections"
    names = contenders(settings, "echo", list(EPOLL_NOTES))
    bulk = ["--conns", 4, "--size", 1048576]
    pairs = alternate(settings, progress, "T9 4 bulk connections", names,
                      lambda name: _beside(settings, name, bulk), weight=4,
                      keys=["p99"])
    own = of_subject(pairs)
    yield Result("T9", case, "us p99", (statistics.median(
        r["p99"] / 1000 for r in own), None, None), target=1200)
    for result in compare("T9", case, pairs, dict.fromkeys(EPOLL_NOTES, 1.00),
                          key="p99", figure="us p99", scale=1000):
        result.note = EPOLL_NOTES.get(result.peer, "")
        yield result
    yield Result("T9", case, "1/Jain", (_unfairness(own), None, None))


# Maximum factor by which others on the same CPU may raise the p99 of small connections.
P99_BESIDE = 1.5


def row_t9(settings, progress):
    subject = settings.subject
    mib = 1024 * 1024
    yield from _small_beside_bulk(settings, progress)
    if subject == "weir":
        progress("T9 readers that stop reading")
        with Server(settings, subject, "chargen") as server:
            stalled = Client(server, ["--mode", "idle", "--conns", 1000], 0,
                             8000)
            stalled.wait_ready()
            first = _watch_memory(server, 2)
            later = _watch_memory(server, 3)
            stalled.finish()
        yield Result("T9", "1000 stalled readers, after 2 s", "MiB peak",
                     (first / mib, None, None))
        yield Result("T9", "1000 stalled readers, after 5 s", "MiB more",
                     ((later - first) / mib, None, None), target=1)
    cases = {"alone": None,
             "one flooding peer": ["--mode", "flood", "--conns", 1],
             "an accept storm of 4000": ["--mode", "idle", "--conns", 4000]}
    for case in list(cases)[1:]:
        what = f"50 small beside: {case}"
        pairs = alternate(settings, progress, f"T9 {case}", [case, "alone"],
                          lambda name: _beside(settings, subject, cases[name]),
                          weight=4, keys=["p99"])
        own = of_subject(pairs)
        yield Result("T9", what, "MiB peak", (statistics.median(
            report["peak"] for report in own) / mib, None, None))
        yield Result("T9", what, "1/Jain", (_unfairness(own), None, None),
                     target=1 / 0.95 if "flooding" in case else None)
        yield from compare("T9", what, pairs, {"alone": P99_BESIDE}, key="p99",
                           figure="us p99", scale=1000)


def row_t10(settings, progress):
    yield from _echo_row(settings, progress, "T10", [
        ("1 KiB to 1000 connections", ["--message", "1024"],
         ["--mode", "fanout", "--conns", 1000, "--size", 1024],
         {"uring": 1.05}, 1)], mode="fanout")


ALONE = 6  # weight of programs that measure themselves


def _alone_row(settings, progress, row, programs, cases, target):
    """Programs that measure themselves; cases are (key, text)."""
    subject = settings.subject
    if subject not in programs:
        raise Failure(f"{subject} has no program for this row")
    names = [subject, *[n for n in programs if n != subject]]
    pairs = alternate(settings, progress, row, names,
                      lambda name: alone(settings, programs[name]),
                      judged=target, keys=[key for key, _ in cases], weight=ALONE)
    for key, case in cases:
        yield from compare(row, case, pairs, target, key=key,
                           figure="ns CPU/op")


def _udp_case(settings, progress, case, names, client, targets):
    client = ["--mode", "udp", "--size", 64, *client]
    pairs = alternate(settings, progress, f"T12 {case}", names,
                      lambda name: serving(settings, name, "echo", [], client),
                      judged=targets)
    yield from compare("T12", case, pairs, targets)


def row_t12(settings, progress):
    """Trains need GRO and GSO: compared with bare loops with and without."""
    targets = {"mmsg": 1.08, "uv_udp": 1.00}
    for case, client in [
            ("64 B, 50 sockets x 1", ["--conns", 50]),
            ("64 B, 4 sockets x 16", ["--conns", 4, "--depth", 16])]:
        names = contenders(settings, "echo", ["mmsg", "mmsg_block", "uv_udp"],
                           "weir_udp")
        yield from _udp_case(settings, progress, case, names, client, targets)
    names = contenders(settings, "echo", ["mmsg", "mmsg_trains", "uv_udp"],
                       "weir_trains")
    yield from _udp_case(
        settings, progress, "64 B, trains of 16, 4 sockets", names,
        ["--conns", 4, "--depth", 16, "--trains"],
        {"mmsg": 0.6, "mmsg_trains": 1.08})


def row_t13(settings, progress):
    yield from _alone_row(
        settings, progress, "T13",
        {"weir": "timers_weir", "uv": "timers_uv"},
        [("total_ns", "1 M timers, whole pattern"),
         ("step_ns", "1 M timers, random moves and cancels")], {"uv": 0.25})


def row_t14(settings, progress):
    yield from _alone_row(
        settings, progress, "T14",
        {"weir": "post_weir", "eventfd": "post_eventfd",
         "eventfd_once": "post_eventfd_once"},
        [("cpu_ns", "posts under load")], {"eventfd": 0.5})
    yield from _alone_row(
        settings, progress, "T14",
        {"weir": "post_threads", "eventfd": "post_eventfd",
         "eventfd_once": "post_eventfd_once"},
        [("cpu_ns", "posts between loops of weir_threads")], {"eventfd": 0.5})


def row_t15(settings, progress):
    targets = {"uring": 1.25, "epoll": 1.25}
    lines = ["--mode", "lines", "--conns", 50]
    yield from _stream_row(
        settings, progress, "T15",
        ["uring", "epoll", "uv_tuned", "event"],
        [(f"lines of 40 B, {count} a block", lines + ["--size", count * 40],
          targets) for count in (100, 1600)], mode="lines")


def row_t17(settings, progress):
    """Two loops on both CPUs, the clients beside one of them, beside a loop;
    and the same of bare rings, whose ratio is the floor."""

    def measure(server_name, loops, conns):
        cpus = {settings.server_cpu, settings.client_cpu}
        return serving(settings, server_name, "echo", ["--threads", str(loops)],
                       ["--size", 128, "--conns", conns],
                       cpus=cpus if loops == 2 else None)

    for conns in (50, 1000):
        case = f"128 B, {conns} connections"
        if not is_chosen(settings, case):
            continue
        for server, names, what, target in (
                ("weir", ["weir", "one loop"], case, {"one loop": 1.10}),
                ("uring", ["two rings", "one ring"], f"{case}, bare liburing", {})):
            if not exists(settings, server):
                continue
            pairs = alternate(
                settings, progress, f"T17 {what}", names,
                lambda name, s=server, c=conns: measure(
                    s, 1 if name.startswith("one") else 2, c))
            yield from compare("T17", what, pairs, target)


FILE_BYTES = 64 * 1024 * 1024
SMALL_COUNT = 10000
SMALL_BYTES = 4096


def make_large_file(folder):
    with open(os.path.join(folder, "file"), "wb") as file:
        file.write(os.urandom(1024 * 1024) * (FILE_BYTES >> 20))


def make_small_files(folder):
    """Each begins with its name, by which the client knows it."""
    for number in range(SMALL_COUNT):
        name = f"{number:08}"
        with open(os.path.join(folder, name), "wb") as file:
            file.write(name.encode() + os.urandom(SMALL_BYTES - len(name)))


def _file_row(settings, progress, row, files, subject="weir_file"):
    """The servers of a folder, which are beside each other."""
    make_files, client = files
    names = contenders(settings, "echo", ["nginx"], subject)
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as beside:
        folder = os.path.join(beside, "files")
        os.mkdir(folder)
        make_files(folder)
        return alternate(
            settings, progress, row, names,
            lambda name: serving(settings, name, "echo", ["--folder", folder],
                                 ["--mode", "file", *client]))


def row_t19(settings, progress):
    """A file in the page cache, by sendfile, beside a web server's."""
    yield from _large_file(settings, progress, "T19", "weir_file")


def row_t20_file(settings, progress):
    """The same where io_uring is refused."""
    yield from _large_file(settings, progress, "T20s", f"{DOCKER}weir_file")


def _large_file(settings, progress, row, subject):
    pairs = _file_row(settings, progress, row,
                      (make_large_file, ["--conns", 4]), subject)
    yield from compare(row, "64 MiB to 4 clients", pairs,
                       {"nginx": 1.05}, figure="us CPU/MiB", scale=1000)


def row_t19_small(settings, progress):
    """Many small files, each opened for its request."""
    pairs = _file_row(settings, progress, "T19s",
                      (make_small_files, ["--conns", 50, "--files",
                                          SMALL_COUNT]))
    yield from compare("T19s", f"{SMALL_COUNT} files of 4 KiB, 50 connections",
                       pairs, {"nginx": 0.80}, figure="us CPU/file",
                       scale=1000)


def row_tasks(settings, progress):
    """Not a row of targets: what tasks cost beside what else there is."""
    yield from _alone_row(
        settings, progress, "tasks",
        {"weir": "switch_weir", "uv": "switch_uv"},
        [("switch_ns", "yield of one of 100 / idle callback"),
         ("turn_ns", "yield of one alone / idle callback, a turn")], {})
    yield from _alone_row(
        settings, progress, "tasks",
        {"weir": "spawn_weir", "thread": "spawn_thread"},
        [("spawn_ns", "spawn and join, one at a time"),
         ("spawn_many_ns", "spawn and join, 100 at a time")], {})


def row_burst(settings, progress):
    """Many tasks that wait and end together, beside few that do."""
    keys = {"weir": "burst_many_ns", "100 at a time": "burst_few_ns"}
    pairs = alternate(settings, progress, "burst", list(keys),
                      lambda name: alone(settings, "burst_weir", keys[name]),
                      weight=ALONE)
    yield from compare("burst", "wait a turn and end, 5,000 at a time", pairs,
                       {"100 at a time": 1.6}, figure="ns CPU/task")


# Each row: its function, its description, the maximum time of its comparisons in
# multiples of --time, and the maximum of its other time in seconds.
ROWS = {
    "T1": (row_t1, "echo of 128 B, 50 and 1000 connections", 10, 0),
    "T1u": (row_t1_unix, "the same over Unix sockets", 2, 0),
    "T3": (row_t3, "the same echo by streams", 12, 0),
    "T4": (row_t4, "framed: many small writes in a turn", 10, 0),
    "T5": (row_t5, "bulk echo", 12, 0),
    "T5s": (row_t5_streams, "bulk echo by streams", 8, 0),
    "T6": (row_t6, "open loop at 10, 50 and 80 % of capacity", 9, 3),
    "T7": (row_t7, "connect, one request, close", 10, 0),
    "T8": (row_t8, "idle connections: memory, and what they cost others", 3, 40),
    "T8s": (row_t8_tasks, "the same for streams with a task each", 3, 15),
    "T8t": (row_t8_tls, "memory of idle connections over TLS", 0, 30),
    "T9": (row_t9, "readers that stop, floods, storms", 16, 10),
    "T10": (row_t10, "fan-out of one message", 5, 0),
    "T11": (row_t11, "TLS 1.3: full handshakes", 6, 1),
    "T11r": (row_t11_resumed, "TLS: resumed handshakes", 6, 1),
    "T11d": (row_t11_data, "TLS 1.3: small answers, bulk", 6, 1),
    "T12": (row_t12, "echo of datagrams, single and in trains", 9, 0),
    "T13": (row_t13, "a million timers", 6, 0),
    "T14": (row_t14, "posts from another thread", 24, 0),
    "T15": (row_t15, "lines by streams", 8, 0),
    "T16": (row_t16, "a proxy: request and response", 16, 0),
    "T16b": (row_t16_bulk, "a proxy: bulk", 18, 1),
    "T16c": (row_t16_close, "a proxy: connect, one request, close", 8, 0),
    "T16t": (row_t16_tls, "a proxy that ends TLS", 8, 1),
    "T17": (row_t17, "two loops on two threads", 4, 0),
    "T17t": (row_t17_tls, "two loops on two threads, TLS", 1, 1),
    "T18": (row_t18, "weir-load beside wrk", 4, 0),
    "T19": (row_t19, "a file by sendfile", 1, 1),
    "T19s": (row_t19_small, "small files by keep-alive", 1, 2),
    "T20": (row_t20, "weir on epoll: echo of 128 B", 8, 0),
    "T20p": (row_t20_framed, "weir on epoll: many small writes in a turn", 8, 0),
    "T20b": (row_t20_bulk, "weir on epoll: bulk echo", 20, 0),
    "T20c": (row_t20_close, "weir on epoll: connect, one request, close", 8, 0),
    "T20t": (row_t20_tls, "weir on epoll: TLS 1.3", 12, 1),
    "T20x": (row_t20_proxy, "weir on epoll: a proxy, request and response", 8, 0),
    "T20y": (row_t20_proxy_close, "weir on epoll: a proxy, connect, one request, "
             "close", 8, 0),
    "T20l": (row_t20_load, "weir-load on epoll beside wrk", 4, 0),
    "T20s": (row_t20_file, "weir on epoll: a file by sendfile", 1, 1),
    "T20m": (row_t20_memory, "weir on epoll: memory of idle connections", 0, 40),
    "T22": (row_t22, "weir-load over HTTP/2 beside h2load", 60, 1),
    "first": (row_first, "first programs, as a user writes them", 5, 40),
    "files": (row_files, "an example beside nginx", 8, 0),
    "names": (row_names, "an example beside dnsmasq", 4, 0),
    "redis": (row_redis, "an example beside redis", 16, 0),
    "socks": (row_socks, "an example beside microsocks", 8, 0),
    "burst": (row_burst, "5,000 tasks that end together", 6, 0),
    "tasks": (row_tasks, "switching and spawning tasks", 12, 0),
    "growth": (row_growth, "counts of a message, of 100 to 18,000 connections",
               0, 400),
    "growth-loop": (row_growth_loop, "counts of 100,000 timers, 10,000 tasks",
                    0, 30),
    "growth-proxy": (row_growth_proxy, "counts of a proxy with 1,000 targets, "
                     "10,000 routes, 1,000 certificates", 0, 300),
}

# Rows of counts run only on request: they take minutes. Other load does not matter.
WHEN_ASKED = ("growth", "growth-loop", "growth-proxy")

# Rows in which another program can be the subject instead of weir.
OF_ANY = ("T1", "T1u", "T4", "T3", "T5", "T6", "T7", "T8", "T9", "T10", "T13", "T14",
          "T15", "tasks", "growth", "growth-loop", "growth-proxy")
