"""Certificates whose key is in another process: the program openssl signs.

Usage: tls_sign.py TLS_PEER FOLDER
"""

from harness import command, equal, run
from tls_client import end_input
from tls_client import end_well as weir_ends_well
from tls_ends import (AUTHORITY, VERSIONS, WeirServer, chain, converse, curl,
                      end_well, key, need, openssl_version, pass_on, s_client,
                      s_server, scratch, text_of, weir_client)

NAMES = ("good", "good-rsa")
SMALL = text_of(50_000)


def signs(name):
    need("openssl")
    return f"sign={key(name)}"


def test_openssl_takes_the_signatures_of_a_server():
    for name in NAMES:
        with WeirServer("echo", name, signs(name)) as weir:
            for version in VERSIONS:
                with s_client(weir.port, openssl_version(version)) as client:
                    converse(client, SMALL)
                    weir.hear_open(version)
                    end_well(client, weir)


def test_curl_takes_the_signatures_of_a_server():
    for name in NAMES:
        with WeirServer("http", name, signs(name)) as weir:
            for version in VERSIONS:
                outcome = curl(weir.port, f"--tlsv{version}", "--tls-max",
                               version, "--data", "to and fro")
                equal((outcome.status, outcome.out), (0, "to and fro"),
                      f"the answer, or {outcome.err!r}")
                weir.hear_open(version)
                weir.hear(r"^end ok$")


def test_openssl_takes_the_signatures_of_a_client():
    for name in NAMES:
        for version in VERSIONS:
            with s_server("good", openssl_version(version), "-Verify", "1",
                          "-verify_return_error", "-CAfile",
                          chain(AUTHORITY)) as (server, port):
                with weir_client(port, f"cert={chain(name)}",
                                 signs(name)) as weir:
                    weir.hear_open(version)
                    pass_on(weir, server, SMALL)
                    end_input(weir)
                    weir_ends_well(weir)


def test_a_key_of_another_certificate_ends_the_handshake():
    for name, kind in (("good", ("EC", "ec_paramgen_curve:P-256")),
                       ("good-rsa", ("RSA", "rsa_keygen_bits:2048"))):
        with scratch() as place:
            made = command(need("openssl"), "genpkey", "-quiet", "-algorithm",
                           kind[0], "-pkeyopt", kind[1], "-out",
                           f"{place}/other")
            equal(made.status, 0, f"openssl, which said {made.err!r}")
            with WeirServer("echo", name, f"sign={place}/other") as weir:
                with s_client(weir.port) as client:
                    weir.hear("^failed WEIR_ETLSSIGN: ")
                    _, _, err = client.finish()
                    assert "internal error" in err, err


if __name__ == "__main__":
    run(globals())
