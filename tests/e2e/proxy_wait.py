"""Waits for events that a test is not notified of."""

import time

from harness import WAIT_S


def wait_until(condition):
    """Checks repeatedly until a condition holds."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)
