"""Keys encrypted with a passphrase, as OpenSSL, GnuTLS and OpenSSH write them.

Usage: tls_passphrase.py TLS_PEER FOLDER
"""

import os
import re

from harness import command, equal, need, run
from tls_ends import (TLS_PEER, WeirServer, chain, converse, end_well, key,
                      s_client, scratch, text_of)

WORDS = "correct horse"
SMALL = text_of(2000)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def make(place, *words):
    """Runs a program that writes the key place/key."""
    need(words[0])
    outcome = command(*words)
    equal(outcome.status, 0, f"{words[0]}, which said {outcome.err!r}")
    with open(f"{place}/key", encoding="ascii") as file:
        return file.read()


def pkcs8(place, name, *flags):
    return make(place, "openssl", "pkcs8", "-topk8", "-in", key(name),
                "-passout", f"file:{place}/words", "-out", f"{place}/key",
                *flags)


def traditional(place, name, kind, cipher):
    return make(place, "openssl", kind, "-in", key(name), cipher, "-passout",
                f"file:{place}/words", "-out", f"{place}/key",
                *(["-traditional"] if kind == "rsa" else []))


def certtool(place, name, cipher):
    return make(place, "certtool", "--to-p8", "--load-privkey", key(name),
                "--pkcs-cipher", cipher, "--password", WORDS, "--outfile",
                f"{place}/key")


def ssh_keygen(place, name, form):
    with open(key(name), "rb") as old, open(f"{place}/key", "wb") as new:
        new.write(old.read())
    os.chmod(f"{place}/key", 0o600)
    return make(place, "ssh-keygen", "-p", "-m", form, "-P", "", "-N", WORDS,
                "-f", f"{place}/key")


def serves(place, name):
    with WeirServer("echo", name, f"key={place}/key",
                    f"pass={place}/words") as weir:
        with s_client(weir.port) as client:
            converse(client, SMALL)
            weir.hear_open()
            end_well(client, weir)


def refuses(place, name, said, words=None):
    outcome = command(TLS_PEER, "echo", "0", f"cert={chain(name)}",
                      f"key={place}/key",
                      *([f"pass={words}"] if words else []))
    equal(outcome.status, 1, "exit status")
    assert re.search(said, outcome.err), outcome.err


def test_keys_that_openssl_has_encrypted_are_opened():
    with scratch() as place:
        write(f"{place}/words", WORDS + "\n")
        for name in ("good", "good-rsa", "good-ed25519"):
            for flags in (("-v2", "aes-256-cbc"), ("-v2", "aes-128-cbc"),
                          ("-v2", "aes-192-cbc"),
                          ("-v2prf", "hmacWithSHA1"),
                          ("-v2prf", "hmacWithSHA384"),
                          ("-v2prf", "hmacWithSHA512", "-iter", "100000")):
                text = pkcs8(place, name, *flags)
                assert "BEGIN ENCRYPTED PRIVATE KEY" in text, text
                serves(place, name)
        for name, kind in (("good", "ec"), ("good-rsa", "rsa")):
            for cipher in ("-aes128", "-aes192", "-aes256"):
                text = traditional(place, name, kind, cipher)
                assert "Proc-Type: 4,ENCRYPTED" in text, text
                serves(place, name)


def test_keys_that_gnutls_has_encrypted_are_opened():
    with scratch() as place:
        write(f"{place}/words", WORDS + "\r\nand more\n")
        for name in ("good", "good-rsa"):
            for cipher in ("aes-128", "aes-192", "aes-256"):
                text = certtool(place, name, cipher)
                assert "BEGIN ENCRYPTED PRIVATE KEY" in text, text
                serves(place, name)


def test_keys_that_openssh_has_encrypted_are_opened():
    with scratch() as place:
        write(f"{place}/words", WORDS)
        for name in ("good", "good-rsa"):
            assert "DEK-Info: AES-" in ssh_keygen(place, name, "PEM")
            serves(place, name)
            text = ssh_keygen(place, name, "PKCS8")
            assert "BEGIN ENCRYPTED PRIVATE KEY" in text, text
            serves(place, name)


def test_a_passphrase_opens_a_key_in_the_file_of_its_certificate():
    with scratch() as place:
        write(f"{place}/words", WORDS)
        text = pkcs8(place, "good")
        with open(chain("good"), encoding="ascii") as file:
            write(f"{place}/key", file.read() + text)
        serves(place, "good")


def test_a_key_that_is_not_encrypted_needs_no_passphrase():
    with scratch() as place:
        write(f"{place}/words", "of no use")
        with open(key("good"), encoding="ascii") as file:
            write(f"{place}/key", file.read())
        serves(place, "good")


def test_a_wrong_passphrase_is_told_from_a_broken_file():
    with scratch() as place:
        write(f"{place}/words", WORDS)
        wrong = write(f"{place}/wrong", "another")
        empty = write(f"{place}/empty", "\nsecond\n")
        for text in (pkcs8(place, "good"),
                     traditional(place, "good", "ec", "-aes256")):
            write(f"{place}/key", text)
            refuses(place, "good", r"^tls_peer: WEIR_ETLSPASSWORD: key: .*/key: .*"
                    "the passphrase is wrong", wrong)
            refuses(place, "good", "ETLSPASSWORD")
            refuses(place, "good", "ETLSFILE: passphrase: .*/empty: .*"
                    "its first line is empty", empty)
            refuses(place, "good", "ENOENT: passphrase: ", f"{place}/none")
            lines = text.splitlines(keepends=True)
            write(f"{place}/key", "".join(lines[:-3] + lines[-1:]))
            refuses(place, "good", "ETLSFILE: key: |ETLSPASSWORD: key: ",
                    f"{place}/words")
            write(f"{place}/key", text.replace(lines[-2], "!!!!\n"))
            refuses(place, "good", "ETLSFILE: key: .*/key: .*it is not base64",
                    f"{place}/words")


def test_an_unknown_algorithm_says_how_to_convert_the_key():
    with scratch() as place:
        words = write(f"{place}/words", WORDS)
        for flags, said in ((("-scrypt",), "not PBKDF2, perhaps scrypt; .*v2"),
                            (("-v2", "des3"), "its cipher is not AES-CBC"),
                            (("-v1", "PBE-SHA1-3DES"), "encryption scheme is not PBES2")):
            pkcs8(place, "good", *flags)
            refuses(place, "good", "ETLSFILE: key: .*" + said, words)
            refuses(place, "good", "ETLSPASSWORD: key: .*" + said)
        traditional(place, "good", "ec", "-des3")
        refuses(place, "good", "ETLSFILE: key: .*its cipher is not AES-CBC", words)


def test_a_file_cannot_ask_for_endless_work():
    with scratch() as place:
        words = write(f"{place}/words", WORDS)
        pkcs8(place, "good", "-iter", "10000001")
        refuses(place, "good", "ETLSFILE: key: .*10,000,000", words)


if __name__ == "__main__":
    run(globals(), short="keys_that_openssl_has_encrypted_are_opened")
