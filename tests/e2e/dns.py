"""dnsmasq, a name server that knows nothing of weir.

It listens on a loopback address of this machine or, with the command that enters it, of
another network namespace.
"""

import contextlib
import os
import shutil
import tempfile

from harness import Program, Skip, read_line
from servers import free_port

# Its own answers: names, networks without addresses, and the server for the rest.
RECORDS = [
    "--host-record=both.test,192.0.2.1,2001:db8::1",
    "--host-record=inet.test,192.0.2.2",
    "--host-record=inet6.test,2001:db8::2",
    "--host-record=here.test,127.0.0.1,::1",
    "--cname=alias.test,both.test",
    "--cname=chain.test,alias.test",
    "--txt-record=text.test,words",
    *[f"--host-record=many.test,192.0.2.{i},2001:db8::{i:x}"
      for i in range(1, 151)],
    "--local=/test/",
]

PATHS = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def find(name):
    """Returns the path of a program, even of administrators' programs."""
    return shutil.which(name, path=PATHS["PATH"])


class Dnsmasq:
    """A server that answers while the block runs."""

    def __init__(self, *flags, host="127.0.0.1", port=0, enter=()):
        program = find("dnsmasq")
        if not program:
            raise Skip("dnsmasq is not installed")
        self.program = program
        self.flags = flags
        self.host = host
        self.wanted_port = port
        self.enter = enter

    @property
    def address(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        for _ in range(5):
            self.port = self.wanted_port or free_port()
            self.server = Program(
                *self.enter, self.program, "--keep-in-foreground",
                "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                "--bind-interfaces", f"--listen-address={self.host}",
                f"--port={self.port}",
                f"--pid-file={self.directory.name}/pid", "--log-facility=-",
                "--user=", *RECORDS, *self.flags)
            with contextlib.suppress(AssertionError):  # it has ended
                while "started" not in read_line(self.server.process.stderr):
                    pass
                return self
            self.server.__exit__()
        self.directory.cleanup()
        raise Skip("dnsmasq does not start here")

    def __exit__(self, *_):
        self.server.__exit__()
        self.directory.cleanup()
