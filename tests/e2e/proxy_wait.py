"""Waiting for what a test is not told of."""

import time

from harness import WAIT_S


def wait_until(condition):
    """Looks again until something is so."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)
