"""The C files that a build directory compiles, one a line.

Usage: sources.py BUILD
"""

import json
import pathlib
import sys

BUILD = pathlib.Path(sys.argv[1])
with open(BUILD / "compile_commands.json", encoding="utf-8") as commands:
    FILES = {str((pathlib.Path(entry["directory"]) / entry["file"]).resolve())
             for entry in json.load(commands)}
print("\n".join(sorted(file for file in FILES if file.endswith(".c"))))
