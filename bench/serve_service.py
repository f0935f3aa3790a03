"""A service of the distribution as a server of the comparison: one process that
serves on a port of the loopback, as it is by default but for what COMMANDS says.

It takes the place of this program. A child of this program says on standard
output when it serves; what the service itself says is dropped.
"""
import argparse
import os

from harness import find_service, tell_when_it_serves


def microsocks(port):
    return [find_service("microsocks"), "-i", "127.0.0.1", "-p",
            str(port)]


def redis(port):
    return [find_service("redis-server"), "--port", str(port), "--bind",
            "127.0.0.1", "--save", "", "--appendonly", "no"]


COMMANDS = {"microsocks": microsocks, "redis": redis}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", required=True, choices=COMMANDS)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    command = COMMANDS[options.service](options.port)
    tell_when_it_serves(options.service, options.port)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)  # nobody reads it: a full pipe would stop the service
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
