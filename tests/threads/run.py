"""Run a program that is built with ThreadSanitizer; a report of it is a failure.

With some layouts of addresses (vm.mmap_rnd_bits) it does not start at all: then
the program is skipped.

Usage: run.py PROGRAM
"""

import os
import subprocess
import sys

RUN = subprocess.run(
    [sys.argv[1]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    errors="replace", check=False,
    env={**os.environ, "TSAN_OPTIONS": "halt_on_error=1"})

if "unexpected memory mapping" in RUN.stdout:
    print("1..0 # SKIP ThreadSanitizer does not start here")
elif RUN.returncode != 0:
    print("".join(f"# {line}\n" for line in RUN.stdout.splitlines()))
    print(f"1..1\nnot ok 1 - exit status {RUN.returncode}")
else:
    print(RUN.stdout, end="")
