"""Clients that come and go all the time, while a proxy is changed."""

import socket
import threading

from harness import WAIT_S
from servers import echoes


class Churn:
    """Clients that connect, exchange data and close, one after another."""

    def __init__(self, port, count=4):
        self.port = port
        self.failed = []
        self.done = 0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.work)
                        for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def talk(self, client):
        echoes(client)

    def work(self):
        while not self.stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port),
                                              timeout=WAIT_S) as client:
                    self.talk(client)
                    self.done += 1
            except (OSError, AssertionError) as error:
                self.failed.append(error)

    def wait_for(self, more):
        """Waits until this many more have been served."""
        event = threading.Event()
        wanted = self.done + more
        while self.done < wanted and not self.failed:
            event.wait(0.01)
