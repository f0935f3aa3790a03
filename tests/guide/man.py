"""weir(7) names functions that there are, and its program is one.

Each function that the page names is declared in a public header, each error code
too; the example compiles as a user compiles it. mandoc, where it is there, finds no
fault in any page of tools/man/.

Usage: man.py SOURCE BUILD [FLAG...]
"""

import os
import pathlib
import re
import shlex
import subprocess
import shutil
import sys


def main():
    source, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    folder = source / "tools" / "man"
    text = (folder / "weir.7").read_text(encoding="utf-8")
    headers = "\n".join(path.read_text(encoding="utf-8")
                        for path in (source / "include").rglob("*.h"))
    named = re.findall(r"^\.Fn (\w+)", text, re.M)
    faults = [f"no such function: {name}" for name in named
              if not re.search(rf"\b{name}\(", headers)]
    faults += [f"no such error: {name}"
               for name in re.findall(r"^\.It Dv (WEIR_\w+)", text, re.M)
               if not re.search(rf"\b{name} = ", headers)]
    program = re.search(r"^\.Bd -literal\n(.*?)^\.Ed", text, re.M | re.S)[1]
    run = subprocess.run(
        [*shlex.split(os.environ.get("CC", "cc")), "-std=gnu11", "-Wall",
         "-Werror", *sys.argv[3:], "-x", "c", "-o", build / "guide-man", "-",
         f"-I{source / 'include'}", f"-L{build}", "-lweir"],
        input=program, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False)
    faults += [run.stdout] if run.returncode else []
    if shutil.which("mandoc"):
        pages = sorted(folder.glob("*.[1-9]"))
        run = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages],
                             text=True, stdout=subprocess.PIPE, check=False)
        faults += run.stdout.splitlines()
    if len(named) < 10:
        faults.append("hardly a function is named")
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


sys.exit(main())
