"""Echoes of bulk, which several rows measure."""
from compare import alternate, is_chosen
from harness import serving

BULK_CASES = [("64 KiB, 4 in flight, 20 connections", 65536, 4, 20),
              ("256 KiB, 20 connections", 262144, 1, 20),
              ("1 MiB, 4 connections", 1048576, 1, 4),
              ("16 KiB, 50 connections", 16384, 1, 50)]


def bulk_pairs(settings, progress, row, names, judged):
    """(case, the starts by peer), for each case of bulk."""
    for case, size, depth, conns in BULK_CASES:
        if not is_chosen(settings, case):
            continue
        client = ["--size", size, "--depth", depth, "--conns", conns]
        yield case, alternate(
            settings, progress, f"{row} {case}", names,
            lambda name, c=client: serving(settings, name, "echo", [], c),
            judged=judged)


# How the two contenders with the name epoll differ.
EPOLL_NOTES = {"epoll": "1 MiB reads", "epoll_256k": "256 KiB reads"}
