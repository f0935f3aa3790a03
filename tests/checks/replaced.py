"""Does a test program have a name twice, in itself and in a shared library?

Its function would stand beside weir's, which weir itself goes on calling, and
not in its place: such a program links the parts (`with_doubles` in
tests/meson.build). Names of rigs are no exception, nor are those of two
libraries that one program has.

wolfSSL is in one library alone. A linker that finds a static wolfSSL, too, may
take parts of a second one from there, and may then drop the shared one.

    replaced.py BUILD
"""

import pathlib
import re
import subprocess
import sys

WOLFSSL = "libwolfssl_of_tests.so"
# They keep nothing: a second one of them does what the first does.
HARMLESS = {"pattern_at", "pattern_fill", "pattern_is"}
OF_WOLFSSL = ("wolfSSL_", "wc_", "sp_")


def ask(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          encoding="utf-8").stdout


def names(files, *options):
    """By file: the names that it defines, without weak ones."""
    found = {file: set() for file in files}
    by_text = {str(file): file for file in files}
    for line in ask("nm", "-A", "--defined-only", *options,
                    *files).splitlines():
        file, _, rest = line.partition(":")
        word = rest.split()
        if len(word) > 2 and word[-2].upper() in "TDBR":
            found[by_text[file]].add(word[-1])
    return found


def parts(what, files):
    """By file: what readelf shows of it."""
    shown = ask("readelf", "-W", what, *files).split("\nFile: ")[1:]
    return dict(zip(files, shown, strict=True))


def needs(file, libraries, needed, found):
    """Adds the libraries that a file is loaded with."""
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", needed[file]):
        library = libraries.get(name)
        if library and library not in found:
            found.append(library)
            needs(library, libraries, needed, found)
    return found


def twice(files, own):
    """Of what is loaded together: lines about names that two of it have."""
    lines = []
    for i, file in enumerate(files):
        for other in files[i + 1:]:
            both = (own[file] & own[other]) - HARMLESS
            if both:
                lines.append(
                    f"{files[0].name}: {file.name} and {other.name} have "
                    f"{len(both)} same names: {', '.join(sorted(both)[:8])}: "
                    f"rename them, or put the program into with_doubles of "
                    f"tests/meson.build")
    return lines


def main():
    folder = pathlib.Path(sys.argv[1]) / "tests"
    libraries = {library.name: library
                 for library in [*folder.glob("lib*.so"),
                                 *folder.glob("*/lib*.so")]}
    programs = [program for program in sorted(folder.glob("test-*"))
                if program.is_file() and program.stat().st_mode & 0o100]
    files = [*programs, *libraries.values()]
    needed = parts("-d", files)
    own = {**names(programs, "--extern-only"),
           **names(libraries.values(), "-D")}
    # A program has a copy of each variable that it reads of a library.
    for program, shown in parts("-r", programs).items():
        own[program] -= set(re.findall(r"_COPY\s+\w+ (\w+) ", shown))

    wrong = []
    count = 0
    used = set(programs)
    for program in programs:
        loaded = needs(program, libraries, needed, [program])
        count += len(loaded) > 1
        used.update(loaded)
        wrong += twice(loaded, own)
    if WOLFSSL in libraries:
        for file, inside in names(sorted(used - {libraries[WOLFSSL]})).items():
            # With a $ in it, it is an entry that a linker has made for a call.
            second = sorted(name for name in inside
                            if name.startswith(OF_WOLFSSL) and "$" not in name)
            if second:
                wrong.append(f"{file.name}: {len(second)} names of wolfSSL, as "
                             f"{second[0]}: it has a second one; it is to link "
                             f"test_library_deps of tests/meson.build")
    print("\n".join([*wrong, f"{count} programs with shared libraries, "
                             f"{len(wrong)} faults"]))
    return 1 if wrong or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
