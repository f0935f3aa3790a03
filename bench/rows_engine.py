"""The rows of weir's engine on epoll, which takes the place of io_uring where that
is refused: beside a bare epoll loop, a library on epoll, and what it replaces.

Who falls back is to be no worse off than with epoll itself, and better off than
with libuv. weir has the system calls alone that Docker's default profile allows,
and chooses epoll by itself. Rows of TLS, proxies, files, weir-load and memory are
beside those of the ring, in their files.
"""
from bulk import EPOLL_NOTES, bulk_pairs
from compare import alternate, better_of, compare, contenders, is_chosen
from harness import DOCKER, serving

PEERS = ["epoll", "uv", "uring", "weir_uring"]
TARGETS = {"epoll": 1.05, "uv": 0.75}
CHURN = ["--mode", "churn", "--sources", 200, "--conns", 50]


def _row(settings, progress, row, mode, cases):
    """Cases are (case, the server's options, the client's)."""
    names = contenders(settings, mode, PEERS, f"{DOCKER}weir")
    for case, server, client in cases:
        if is_chosen(settings, case):
            yield from compare(row, case, alternate(
                settings, progress, f"{row} {case}", names,
                lambda name, s=server, c=client: serving(
                    settings, name, mode, s, c), judged=TARGETS), TARGETS)


def row_t20(settings, progress):
    yield from _row(settings, progress, "T20", "echo", [
        (f"128 B, {conns} connections", [], ["--conns", conns])
        for conns in (50, 1000)])


def row_t20_framed(settings, progress):
    yield from _row(settings, progress, "T20p", "framed", [
        (f"{count} x {size} B, {count} writes", ["--frame", size],
         ["--conns", 50, "--size", count * int(size)])
        for count, size in ((16, "128"), (100, "16"))])


def row_t20_bulk(settings, progress):
    """The target is compared with the better epoll loop, as that of T5."""
    names = contenders(settings, "echo", ["epoll_256k", *PEERS], f"{DOCKER}weir")
    for case, pairs in bulk_pairs(settings, progress, "T20b", names,
                                  [*EPOLL_NOTES, "uv"]):
        better = better_of(pairs, EPOLL_NOTES)
        for result in compare("T20b", case, pairs,
                              {better: TARGETS["epoll"], "uv": TARGETS["uv"]}):
            result.note = EPOLL_NOTES.get(result.peer, "")
            yield result


def row_t20_close(settings, progress):
    yield from _row(settings, progress, "T20c", "echo", [
        ("connect, one request, peer closes", [], CHURN)])
    yield from _row(settings, progress, "T20c", "close", [
        ("connect, one request, server closes", [],
         CHURN + ["--server-closes"])])
