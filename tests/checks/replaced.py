"""Does a test program that links weir as a shared library define a name of it?

Its function would stand beside weir's, which weir itself goes on calling, and
not in its place: such a program links the parts (`with_doubles` in
tests/meson.build).

    replaced.py BUILD
"""

import pathlib
import subprocess
import sys

LIBRARIES = {"libweir_of_tests.so", "libweir_on_fake_of_tests.so"}


def ask(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          encoding="utf-8").stdout


def names(files):
    """By file: what of weir's names it defines."""
    found = {str(file): set() for file in files}
    for line in ask("nm", "-A", "--defined-only", "--extern-only",
                    *files).splitlines():
        file, _, rest = line.partition(":")
        word = rest.split()
        if len(word) > 2 and word[-2] in "TDBR" and word[-1].startswith(
                ("weir_", "wr_")):
            found[file].add(word[-1])
    return found


def main():
    folder = pathlib.Path(sys.argv[1]) / "tests"
    known = {library: names([folder / library])[str(folder / library)]
             for library in LIBRARIES if (folder / library).exists()}
    programs = [program for program in sorted(folder.glob("test-*"))
                if program.is_file() and program.stat().st_mode & 0o100]
    own = names(programs)
    # A part for each, which begins with "File: " and its name.
    parts = ask("readelf", "-d", *programs).split("\nFile: ")[1:]
    wrong = count = 0
    for program, part in zip(programs, parts):
        for library in known:
            if f"[{library}]" not in part:
                continue
            count += 1
            both = own[str(program)] & known[library]
            if both:
                wrong += 1
                print(f"{program.name}: {', '.join(sorted(both))}: it links "
                      f"{library}, which has these names, too: put it into "
                      f"with_doubles of tests/meson.build")
    print(f"{count} programs with a shared weir, {wrong} with its names")
    return 1 if wrong or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
