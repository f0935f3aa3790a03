"""Shortages of a server while it is attacked: limits of its process are lowered below
its use, and restored."""

import os
import resource
import time

HOLD_S = (0.05, 0.3, 1, 3)
GAP_S = (0.5, 2, 5)


def files(server, chance):
    """no descriptors, or a few, for up to three seconds"""
    used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    limit = chance.choice((8, used, used + chance.randint(1, 20)))
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    return resource.RLIMIT_NOFILE, (min(limit, hard), hard)


SHORTAGES = {"no-" + function.__name__: function for function in (files,)}


class Shortage:
    """A shortage starts and ends at random, until it is ended."""

    def __init__(self, server, names, chance):
        self.server = server
        self.names = names
        self.chance = chance
        self.before = None  # the original limit
        self.next = time.monotonic() + chance.choice(GAP_S)

    def turn(self):
        """Starts or ends shortages that are due. Returns the names of those that
        start."""
        if time.monotonic() < self.next or not self.names:
            return []
        if self.before:
            self.end()
            self.next = time.monotonic() + self.chance.choice(GAP_S)
            return []
        name = self.chance.choice(self.names)
        which, limits = SHORTAGES[name](self.server, self.chance)
        pid = self.server.process.pid
        self.before = which, resource.prlimit(pid, which, limits)
        self.next = time.monotonic() + self.chance.choice(HOLD_S)
        return [name]

    def end(self):
        if self.before and not self.server.has_ended():
            resource.prlimit(self.server.process.pid, *self.before)
        self.before = None
