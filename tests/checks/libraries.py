"""libweir knows nothing of TLS, and gives libweir-tls what it needs, no more.

libweir, shared and static, has and needs no symbol of wolfSSL or libcrypto. The
names that it exports to libweir-tls under a private version, which is that of
the release, are those of its map and those that libweir-tls needs.

Usage: libraries.py --version V --map FILE [--shared LIBRARY] [--static ARCHIVE]
                    [--tls LIBRARY] [--foreign LIBRARY]
The first two are libweir's; --tls is the shared libweir-tls, whose libraries of
others are looked at besides the one that is named.
"""

import argparse
import pathlib
import re
import subprocess
import sys

# Where there are no invariants to be checked nothing calls these.
SOMETIMES = re.compile(r"_check_invariants$")
LISTED = re.compile(r"^ +(wr_\w+);", re.M)
FOREIGN = re.compile(r"lib(?:wolfssl|crypto|ssl)\b")


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout


def symbols(library, *flags):
    """Names, each with its version, or with nothing."""
    found = {}
    for line in run("nm", *flags, library).splitlines():
        words = line.split()
        if words and not line.endswith(":") and words[-2] not in ("a", "A"):
            name, _, version = words[-1].partition("@")
            found[name] = version.lstrip("@")
    return found


def loaded(library):
    """The shared libraries of others that one needs, each with its path."""
    return {name: path for name, path in
            re.findall(r"^\s*(\S+) => (/\S+)", run("ldd", library), re.M)
            if FOREIGN.match(name)}


def foreign_names(args):
    libraries = [(args.foreign, "-g")] if args.foreign else []
    if args.tls:
        libraries += [(path, "-D") for path in loaded(args.tls).values()]
    names = set()
    for library, flag in libraries:
        names |= set(symbols(library, flag, "--defined-only"))
    if args.tls and not names:
        raise SystemExit("no library of TLS was found")
    return names


def check_foreign(args):
    names = foreign_names(args)
    errors = []
    for library, flag in (args.shared, "-D"), (args.static, "-g"):
        found = names & set(symbols(library, flag)) if library else []
        errors += [f"{library}: {name} belongs to wolfSSL or libcrypto"
                   for name in sorted(found)]
    if args.shared:
        errors += [f"libweir needs {name}" for name in loaded(args.shared)]
    return errors


def check_private(args):
    node = f"WEIR_PRIVATE_{args.version}"
    listed = set(LISTED.findall(args.map.read_text(encoding="utf-8")))
    there = {name for name, version in
             symbols(args.shared, "-D", "--defined-only").items()
             if version == node}
    if not listed or listed != there:
        return [f"{name}: {args.map.name} lists it or libweir exports it as "
                f"{node}, and not both" for name in sorted(listed ^ there)]
    if not args.tls:
        return []
    needed = {name: version for name, version in
              symbols(args.tls, "-D", "-u").items() if name.startswith("wr_")}
    errors = [f"{name}: libweir-tls needs it as {version}, not as {node}"
              for name, version in needed.items() if version != node]
    errors += [f"{name}: {args.map.name} lists it, libweir-tls needs it not"
               for name in listed - set(needed) if not SOMETIMES.search(name)]
    return sorted(errors)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", required=True)
    parser.add_argument("--map", type=pathlib.Path, required=True)
    for library in ("--shared", "--static", "--tls", "--foreign"):
        parser.add_argument(library)
    args = parser.parse_args()
    errors = check_foreign(args)
    if args.shared:
        errors += check_private(args)
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


sys.exit(main())
