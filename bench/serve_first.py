"""A first program as a server of the comparison: it says nothing when it serves,
and takes its port from PORT.

It takes the place of this program. A child of this program says on standard
output when it serves.
"""
import argparse
import os
import shlex

from harness import tell_when_it_serves


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, metavar="COMMAND")
    parser.add_argument("--under", default="", metavar="COMMAND",
                        help="a tool that runs it, with its options")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    os.environ["PORT"] = str(options.port)
    tell_when_it_serves(options.program, options.port)
    command = shlex.split(f"{options.under} {options.program}")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
