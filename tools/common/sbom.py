#!/usr/bin/env python3
"""Write the bill of materials (SPDX 2.3, JSON) of what a build installs.

For each library and program of weir it lists the libraries of others that it
contains (linked statically) or loads (linked dynamically), with their versions.
The system's packages do not describe contained libraries, so these have the
version of the source package that they were built from, with the revision of the
distribution.

The same build gives the same text: its date is SOURCE_DATE_EPOCH, if that is set.
"""
import argparse
import json
import os
import time
import urllib.parse
import uuid

# Libraries that weir can be linked with: their licences and suppliers.
COMPONENTS = {
    "c-ares": ("MIT", "The c-ares project and its contributors"),
    "jansson": ("MIT", "Petri Lehtinen and others"),
    "libcrypto": ("Apache-2.0", "The OpenSSL Project"),
    "libnghttp2": ("MIT", "Tatsuhiro Tsujikawa and contributors"),
    "libssl": ("Apache-2.0", "The OpenSSL Project"),
    "liburing": ("LGPL-2.1-or-later OR MIT", "Jens Axboe and others"),
    "wolfssl": ("GPL-2.0-or-later OR LicenseRef-wolfSSL-commercial",
                "wolfSSL Inc."),
    "zlib": ("Zlib", "Jean-loup Gailly and Mark Adler"),
}
RELATIONS = {"inside": "STATIC_LINK", "loaded": "DYNAMIC_LINK"}
UNKNOWN = "NOASSERTION"


def identifier(name):
    return f"SPDXRef-{name}"


def package(name, version, licence, supplier):
    """Returns the fields that every package of the document has."""
    return {
        "SPDXID": identifier(name),
        "name": name,
        "versionInfo": version,
        "supplier": f"Organization: {supplier}",
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": UNKNOWN,
    }


def component(name, version, is_source, distribution):
    """Returns the package of a library of others. The version of a source package names that
    package."""
    licence, supplier = COMPONENTS[name]
    made = package(name, version, licence, supplier)
    if is_source and distribution:
        quoted = urllib.parse.quote(version, safe="")
        made["externalRefs"] = [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator":
                f"pkg:deb/{distribution}/{name}@{quoted}?arch=source",
        }]
    return made


def relation(one, kind, other):
    return {"spdxElementId": one, "relationshipType": kind,
            "relatedSpdxElement": other}


def distribution_name():
    """Returns the name of this machine's distribution, whose archive the sources are from."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                if line.startswith("ID="):
                    return line[3:].strip().strip('"')
    except OSError:
        pass
    return None


def document(version, products, links):
    """Returns the document. PRODUCTS are (name, licence); LINKS are (product, place, name,
    version), some perhaps of another product."""
    packages = [package(name, version, licence, "The weir authors")
                for name, licence in products]
    relations = [relation("SPDXRef-DOCUMENT", "DESCRIBES", identifier(name))
                 for name, _ in products]
    distribution = distribution_name()
    seen = {name for name, _ in products}
    for product, place, name, its_version in links:
        if name not in seen:
            seen.add(name)
            packages.append(component(name, its_version, place == "inside",
                                      distribution))
        relations.append(relation(identifier(product), RELATIONS[place],
                                  identifier(name)))
    licences = [{
        "licenseId": "LicenseRef-wolfSSL-commercial",
        "name": "wolfSSL's commercial licence",
        "extractedText": "A licence for wolfSSL that its makers sell.",
    }] if "wolfssl" in seen else []
    body = {"packages": packages, "relationships": relations,
            "hasExtractedLicensingInfos": licences}
    unique = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(body, sort_keys=True))
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"weir-{version}",
        "documentNamespace":
            f"https://spdx.org/spdxdocs/weir-{version}-{unique}",
        "creationInfo": {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                     time.gmtime(seconds)),
            "creators": ["Organization: The weir authors",
                         f"Tool: weir-sbom-{version}"],
        },
        **body,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--version", required=True)
    parser.add_argument("--product", action="append", nargs=2, default=[],
                        metavar=("NAME", "LICENCE"))
    parser.add_argument("--link", action="append", nargs=4, default=[],
                        metavar=("PRODUCT", "inside|loaded", "NAME", "VERSION"))
    parser.add_argument("output")
    options = parser.parse_args()
    made = document(options.version, options.product, options.link)
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump(made, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
