"""A browser without a window, driven by the protocol of its developer tools.

Chromium reads commands from its descriptor 3 and writes answers and events to 4,
each a line of JSON that ends with a NUL: no port, and no library. Nothing waits by
sleeping. An answer that does not come within three minutes is a failure; on a busy
machine a browser takes one to start.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from shell import left

WAIT_S = 180


def find():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One page of it."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="weir-browser-")
        ends = [*os.pipe(), *os.pipe()]
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
        for end in ends:
            os.close(end)
        theirs_in, self.output, self.input, theirs_out = high
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash",
             program, "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--remote-debugging-pipe",
             "--no-first-run", f"--user-data-dir={self.profile}"],
            pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, TMPDIR=self.profile), start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        self.buffer = b""
        self.count = 0
        self.session = None
        self.events = []
        page = self.call("Target.createTarget", url="about:blank")
        self.session = self.call("Target.attachToTarget", flatten=True,
                                 targetId=page["targetId"])["sessionId"]
        self.call("Page.enable")

    def read(self):
        """The next message."""
        end = time.monotonic() + WAIT_S
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.input], [], [],
                                        max(0, end - time.monotonic()))
            part = os.read(self.input, 1 << 20) if ready else b""
            assert part, "the browser says nothing"
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, **params):
        """The result of a command."""
        self.count += 1
        command = {"id": self.count, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.output, json.dumps(command).encode() + b"\0")
        while True:
            message = self.read()
            if message.get("id") == self.count:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.events.append(message.get("method"))

    def open(self, url, width, height):
        """Show a page, as on a screen of this size; a narrow one is a phone."""
        self.call("Emulation.setDeviceMetricsOverride", width=width,
                  height=height, deviceScaleFactor=1, mobile=width < 600)
        self.events = []
        self.call("Page.navigate", url=url)
        self.wait_loaded()

    def wait_loaded(self):
        """Wait for the page that a navigation has begun to load."""
        while "Page.loadEventFired" not in self.events:
            self.events.append(self.read().get("method"))

    def press(self, key):
        """Press a key and let go of it."""
        self.events = []
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def evaluate(self, expression):
        """The value of a JavaScript expression, or of its promise."""
        result = self.call("Runtime.evaluate", expression=expression,
                           awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
            self.process.wait(WAIT_S)
        finally:
            left.end(self.process)
        os.close(self.input)
        os.close(self.output)
        shutil.rmtree(self.profile, ignore_errors=True)
