"""libweir knows nothing of TLS, and gives the libraries above it what they need, no more.

libweir, shared and static, has and needs no symbol of wolfSSL or libcrypto. The
names that it exports under private versions, which are those of the release, are
those of its map. One version has what libweir-tls needs, the other what libweir-proxy
needs besides.

Usage: libraries.py --version V --map FILE [--shared LIBRARY] [--static ARCHIVE]
                    [--tls LIBRARY] [--proxy LIBRARY] [--foreign LIBRARY]
The first two are libweir's; --tls is the shared libweir-tls, whose libraries of
others are looked at besides the one that is named, and --proxy the shared libweir-proxy.
"""

import argparse
import pathlib
import re
import subprocess
import sys

# Where there are no invariants to be checked nothing calls these.
SOMETIMES = re.compile(r"_check_invariants$")
NODE = re.compile(r"^(WEIR_PRIVATE_\w*)@RELEASE@ \{(.*?)^\}", re.M | re.S)
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
    """Each private name is in the map, and needed by a library that is above libweir."""
    listed = {name: node + args.version
              for node, names in NODE.findall(args.map.read_text(encoding="utf-8"))
              for name in LISTED.findall(names)}
    there = {name: version for name, version in
             symbols(args.shared, "-D", "--defined-only").items()
             if version.startswith("WEIR_PRIVATE_")}
    errors = [f"{name}: {args.map.name} has it as {listed.get(name)}, libweir as "
              f"{there.get(name)}" for name in listed.keys() | there
              if listed.get(name) != there.get(name)]
    if not listed:
        errors.append(f"{args.map.name} lists no name")
    for library, node in ((args.tls, "WEIR_PRIVATE_"), (args.proxy, "WEIR_PRIVATE_PROXY_")):
        if not library:
            continue
        needed = {name: version for name, version in
                  symbols(library, "-D", "-u").items() if name.startswith("wr_")}
        errors += [f"{name}: {library} needs it as {version}, not as {listed.get(name)}"
                   for name, version in needed.items() if version != listed.get(name)]
        errors += [f"{name}: {args.map.name} lists it, {library} needs it not"
                   for name, version in listed.items() if version == node + args.version
                   and name not in needed and not SOMETIMES.search(name)]
    return sorted(errors)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", required=True)
    parser.add_argument("--map", type=pathlib.Path, required=True)
    for library in ("--shared", "--static", "--tls", "--proxy", "--foreign"):
        parser.add_argument(library)
    args = parser.parse_args()
    errors = check_foreign(args)
    if args.shared:
        errors += check_private(args)
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


sys.exit(main())
