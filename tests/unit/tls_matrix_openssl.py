#!/usr/bin/env python3
"""Compares the verdicts of tls_matrix.c with those of OpenSSL.

    tls_matrix_openssl.py TLS_MATRIX.C FOLDER

FOLDER has the certificates of tls_matrix.sh. Each row is given to `openssl
verify -x509_strict`, as a server's. If weir decides otherwise, the row is in
the table below, with the reason.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# weir is stricter, except in the first row.
DIFFERENT = {
    "good-cross-and-root": "OpenSSL takes a root that was sent for the end of "
                           "the path; weir goes back and finds the other",
    "long-10": "weir looks at ten certificates at most",
    "limits-of-leaf": "constraints of names are an authority's",
    "deep-uri": "a kind of name that is limited, and not compared",
    "name-in-subject": "names are those of subjectAltName alone",
    "wildcard-in-label": "a wildcard is a whole label",
    "weak-rsa": "keys must be strong",
    "small-root": "keys must be strong",
    "weak-curve": "keys must be strong",
    "other-curve": "keys must be strong",
    "issuer-weak": "keys must be strong",
    "sha1": "signatures must be strong",
    "cross-sha1": "signatures must be strong",
    "md5": "signatures must be strong",
    "no-signature": "TLS 1.3 needs digitalSignature of every key",
}

ROW = re.compile(r'\{(?:\.name = )?"([\w-]+)"(?:,\s*(?:\.host = )?'
                 r'(NULL|"[^"]*"))?(?:,\s*(WEIR_\w+))?')
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?"
                         r"-----END CERTIFICATE-----\n", re.S)


def read_rows(path):
    """Returns the rows of the table: name, host, whether weir accepts."""
    text = path.read_text(encoding="utf-8")
    table = text[text.index("matrix_rows[] ="):text.index("#define MATRIX_COUNT")]
    for name, host, err in ROW.findall(table):
        yield name, host.strip('"') if host not in ("", "NULL") else \
            "localhost", not err


def ask_openssl(folder, work, name, host):
    certificates = CERTIFICATE.findall(
        (folder / f"{name}.pem").read_text(encoding="ascii"))
    leaf = work / "leaf.pem"
    rest = work / "rest.pem"
    leaf.write_text(certificates[0], encoding="ascii")
    rest.write_text("".join(certificates), encoding="ascii")
    is_ip = re.fullmatch(r"[\d.]+|[\da-f:]+", host)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver",
               "-CAfile", folder / ("zero-too.pem" if name.startswith("zero")
                                    else "trusted.pem"),
               "-untrusted", rest,
               "-verify_ip" if is_ip else "-verify_hostname", host.rstrip(".")]
    if name.startswith("revoked"):
        command += ["-crl_check_all", "-CRLfile", folder / "authority.crl"]
    answer = subprocess.run([*command, leaf], capture_output=True, text=True,
                            check=False)
    return answer.returncode == 0, answer.stdout + answer.stderr


def main():
    version = subprocess.run(["openssl", "version"], capture_output=True,
                             text=True, check=False).stdout
    if not version.startswith("OpenSSL 3"):
        print("no OpenSSL 3:", version)
        return 77
    folder = pathlib.Path(sys.argv[2])
    different = set()
    rows = list(read_rows(pathlib.Path(sys.argv[1])))
    with tempfile.TemporaryDirectory() as work:
        for name, host, is_good in rows:
            found, text = ask_openssl(folder, pathlib.Path(work), name, host)
            if found != is_good:
                different.add(name)
                if name not in DIFFERENT:
                    print(f"{name}: weir {'accepts' if is_good else 'refuses'}"
                          f" it, OpenSSL does not agree: {text}")
    for name in sorted(set(DIFFERENT) - different):
        print(f"{name}: OpenSSL decides as weir")
    print(len(rows), "rows,", len(different), "decided otherwise")
    return 0 if len(rows) >= 100 and different == set(DIFFERENT) else 1


if __name__ == "__main__":
    sys.exit(main())
