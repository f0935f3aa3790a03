"""The bill of materials says what is true of what was built.

Each library that a library or program of weir loads stands in it as loaded, and
none else; each archive of .deps/ stands in it as inside, with the version of its
source package, and its code is there. The document has the fields that SPDX 2.3
asks for, and its elements refer to each other only.

Usage: sbom.py DOCUMENT DEPS NAME=FILE...
"""

import json
import pathlib
import re
import subprocess
import sys

# Of the C library and the compiler: no component of weir's.
SYSTEM = re.compile(r"^(libc|libm|libpthread|librt|libgcc_s|libasan|libubsan|"
                    r"libtsan|ld-linux.*)\.so")
NAMES = {"libweir": "libweir", "libweir-proxy": "libweir-proxy",
         "libweir-tls": "libweir-tls", "libcares": "c-ares",
         "libcrypto": "libcrypto", "libssl": "libssl", "libz": "zlib",
         "libjansson": "jansson", "libnghttp2": "libnghttp2", "liburing": "liburing",
         "libwolfssl": "wolfssl"}
# A text that is in the code of each archive.
MARKS = {"wolfssl": b"wolfSSL"}
FIELDS = {"SPDXID", "name", "versionInfo", "downloadLocation", "filesAnalyzed",
          "licenseConcluded", "licenseDeclared", "copyrightText", "supplier"}

problems = []


def expect(condition, text):
    if not condition:
        problems.append(text)


def needed(path):
    """The libraries that a file loads, by the names of the document."""
    text = subprocess.run(["readelf", "-d", path], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    names = set()
    for soname in re.findall(r"\(NEEDED\).*\[(.*)\]", text):
        if not SYSTEM.match(soname):
            stem = soname.split(".so")[0]
            expect(stem in NAMES, f"{path} loads {soname}, of which the bill "
                   "of materials does not know")
            names.add(NAMES.get(stem, stem))
    return names


def check_form(document):
    expect(document["spdxVersion"] == "SPDX-2.3", "the version of SPDX")
    expect(document["dataLicense"] == "CC0-1.0", "the licence of the data")
    expect(re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
                    document["creationInfo"]["created"]), "the date")
    packages = document["packages"]
    known = [package["SPDXID"] for package in packages]
    expect(len(set(known)) == len(known), "an identifier stands twice")
    for package in packages:
        missing = FIELDS - set(package)
        expect(not missing, f"{package['name']} lacks {missing}")
        expect(package["versionInfo"] not in ("", "unknown"),
               f"{package['name']} has no version")
    described = set()
    for relation in document["relationships"]:
        expect(relation["spdxElementId"] in known + ["SPDXRef-DOCUMENT"]
               and relation["relatedSpdxElement"] in known,
               f"{relation} refers to what is not there")
        if relation["relationshipType"] == "DESCRIBES":
            described.add(relation["relatedSpdxElement"])
    return described


def links(document, product, kind):
    return {relation["relatedSpdxElement"].removeprefix("SPDXRef-")
            for relation in document["relationships"]
            if relation["spdxElementId"] == f"SPDXRef-{product}"
            and relation["relationshipType"] == kind}


def check_product(document, product, path):
    loaded = links(document, product, "DYNAMIC_LINK")
    expect(loaded == needed(path), f"{product} loads {sorted(needed(path))}; "
           f"the bill of materials says {sorted(loaded)}")
    for name in links(document, product, "STATIC_LINK") & set(MARKS):
        expect(MARKS[name] in path.read_bytes(),
               f"{name} is not inside {product}")


def check_sources(document, deps):
    """What tools/deps has built is inside, in this version."""
    for path in sorted(deps.glob("*.source")):
        name = path.name.removesuffix(".source")
        found = [package for package in document["packages"]
                 if package["name"] == name]
        if not found:
            continue
        version = path.read_text(encoding="utf-8").strip()
        expect(found[0]["versionInfo"] == version,
               f"{name} was built from {version}; the bill of materials says "
               f"{found[0]['versionInfo']}")
        expect(any(relation["relatedSpdxElement"] == f"SPDXRef-{name}"
                   and relation["relationshipType"] == "STATIC_LINK"
                   for relation in document["relationships"]),
               f"{name} is inside nothing")


def main():
    document = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    files = dict(word.split("=", 1) for word in sys.argv[3:])
    described = check_form(document)
    expect(described == {f"SPDXRef-{name}" for name in files},
           f"the document describes {sorted(described)}")
    for product, path in files.items():
        check_product(document, product, pathlib.Path(path))
    check_sources(document, pathlib.Path(sys.argv[2]))
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(files)} products, {len(problems)} problems")
    sys.exit(1 if problems else 0)


main()
