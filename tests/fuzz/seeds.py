"""Writes inputs for a fuzzer, each by its name, into the folder that the command
line names.
"""

import pathlib
import sys


def write_seeds(seeds):
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (folder / name).write_bytes(data)
