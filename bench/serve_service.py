"""A service of the distribution as a server of the comparison: one process that
serves on a port of the loopback, as it is by default but for what COMMANDS says.

It takes the place of this program. A child of this program says on standard
output when it serves; what the service itself says is dropped.
"""
import argparse
import os

from harness import find_service, tell_when_it_serves


def dnsmasq(port, to=None):
    """Forwards without a cache, or has a name itself."""
    source = ["--address=/weir.test/192.0.2.7"] if to is None else [
        f"--server=127.0.0.1#{to}", "--cache-size=0", "--dns-forward-max=4096"]
    return [find_service("dnsmasq"), "--keep-in-foreground", "--no-resolv",
            "--conf-file=/dev/null", "--no-hosts", "--bind-interfaces",
            "--listen-address=127.0.0.1", f"--port={port}", "--pid-file=",
            "--user=", *source]


def microsocks(port):
    return [find_service("microsocks"), "-i", "127.0.0.1", "-p",
            str(port)]


def redis(port):
    return [find_service("redis-server"), "--port", str(port), "--bind",
            "127.0.0.1", "--save", "", "--appendonly", "no"]


COMMANDS = {"dnsmasq": dnsmasq, "microsocks": microsocks, "redis": redis}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", required=True, choices=COMMANDS)
    parser.add_argument("--to", metavar="PORT", help="what it forwards to")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    more = {} if options.to is None else {"to": options.to}
    command = COMMANDS[options.service](options.port, **more)
    tell_when_it_serves(options.service, options.port)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)  # a full pipe without a reader would stop it
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
