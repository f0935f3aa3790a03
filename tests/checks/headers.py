"""Every public header compiles alone, in C11 and in C++17.

Each header is the only line of a program that is compiled with warnings as
errors; a header that leans on an earlier include fails. Internal headers of
uring/ and lib/ are compiled alone in C as well.

Usage: headers.py SOURCE WORK CC [EXTRA_INCLUDE]
"""

import pathlib
import shutil
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror",
            "-Wundef", "-fsyntax-only"]


def compiles(command, header, work):
    program = work / ("alone.cc" if "c++" in command else "alone.c")
    program.write_text(f'#include "{header}"\n', encoding="utf-8")
    run = subprocess.run([*command, *WARNINGS, str(program)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, check=False)
    if run.returncode != 0:
        print(f"{header} with {' '.join(command)}:\n{run.stdout}",
              file=sys.stderr)
    return run.returncode == 0


def main():
    source, work = (pathlib.Path(arg).resolve() for arg in sys.argv[1:3])
    compiler = sys.argv[3]
    extra = [arg for path in sys.argv[4:] for arg in ("-isystem", path)]
    work.mkdir(parents=True, exist_ok=True)
    public = ["-I", str(source / "include")]
    inside = ["-D_GNU_SOURCE", "-I", str(source), *public, *extra]

    runs = []
    plain_cxx = shutil.which("g++") or shutil.which("clang++")
    for path in sorted((source / "include").rglob("*.h")):
        header = path.relative_to(source / "include")
        runs.append(([compiler, "-std=c11", *public], header))
        if plain_cxx:
            runs.append(([plain_cxx, "-x", "c++", "-std=c++17", *public],
                         header))
    for folder in ("uring", "lib"):
        for path in sorted((source / folder).glob("*.h")):
            runs.append(([compiler, "-std=gnu11", *inside],
                         path.relative_to(source)))

    results = [compiles(command, header, work) for command, header in runs]
    if not results:
        print("no header was found", file=sys.stderr)
        return 1
    if not all(results):
        return 1
    if not plain_cxx:
        print("no C++ compiler: C++17 was not tried", file=sys.stderr)
        return 77
    return 0


sys.exit(main())
