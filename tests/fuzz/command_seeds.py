#!/usr/bin/env python3
"""Lines of operators to begin the fuzzing of commands with.

    tests/fuzz/command_seeds.py FOLDER
"""

from seeds import write_seeds

LINES = [
    "help", "status", "reload", "drain db/10.0.0.1:5432",
    "weight db/10.0.0.1:5432 256", "weight\tmy db/tcp://[::1]:80\t0",
    "ready */unix:/run/app.sock", "disable db/a", "cut  db/a ", "drian x",
    "weight x -1", "", "\t", "a b c d e", "drain " + "x" * 600,
]

if __name__ == "__main__":
    write_seeds({str(number): line.encode()
                 for number, line in enumerate(LINES)})
