#!/usr/bin/env python3
"""Writes inputs for fuzz-tls-locked into a folder: the same key by each form of
encryption that weir opens, by some that it refuses, and in the clear. OpenSSL
encrypts it.

    tests/fuzz/tls_locked_seeds.py FOLDER
"""

import pathlib
import subprocess
import sys

PKCS8 = ("pkcs8", "-topk8", "-passout", "pass:correct horse", "-iter", "16")
OLDER = ("ec", "-passout", "pass:correct horse")
FORMS = {
    "sha256": (*PKCS8, "-v2", "aes-256-cbc"),
    "sha1": (*PKCS8, "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"),
    "sha384": (*PKCS8, "-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA384"),
    "sha512": (*PKCS8, "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"),
    "des": (*PKCS8, "-v2", "des3"),
    "scrypt": (*PKCS8[:-2], "-scrypt"),
    "older-128": (*OLDER, "-aes128"),
    "older-256": (*OLDER, "-aes256"),
    "older-des": (*OLDER, "-des3"),
    "plain": ("pkcs8", "-topk8", "-nocrypt"),
}


def openssl(*words, **how):
    return subprocess.run(["openssl", *words], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          **how).stdout


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    key = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
    for title, words in FORMS.items():
        (folder / title).write_bytes(openssl(*words, input=key))


if __name__ == "__main__":
    main()
