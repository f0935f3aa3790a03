"""X25519MLKEM768 between weir and openssl, with either as the server, and with peers
that support only classical groups.

Usage: tls_hybrid.py TLS_PEER FOLDER
"""

import contextlib

from harness import Skip, command, run
from tls_ends import (WeirServer, converse, end_well, need, pass_on, s_client,
                      s_server, text_of, weir_client)

HYBRID = "X25519MLKEM768"
SMALL = text_of(50_000)


def need_hybrid_openssl():
    listed = command(need("openssl"), "list", "-tls-groups")
    if HYBRID not in listed.out.split(":"):
        raise Skip(f"openssl has no {HYBRID}")


def need_hybrid_weir():
    """Skips the test if weir's library refuses the name because it lacks the group."""
    with contextlib.suppress(AssertionError):
        with WeirServer("echo", "good", "min=3", f"groups={HYBRID}"):
            return
    raise Skip(f"weir's library has no {HYBRID}")


def ask(weir, group, *flags):
    """An openssl client with these flags agrees on the group."""
    with s_client(weir.port, "-tls1_3", *flags) as client:
        converse(client, SMALL)
        weir.hear_open(group=group)
        end_well(client, weir)


def call(group, server_groups, *settings):
    """A weir client with these settings agrees on the group."""
    with s_server("good", "-tls1_3", "-groups", server_groups) as (
            server, port), weir_client(port, *settings) as weir:
        pass_on(weir, server, SMALL)
        weir.hear_open(group=group)


# ---- both have it ----

def test_clients_of_openssl_agree_on_it_with_weir():
    need_hybrid_openssl()
    need_hybrid_weir()
    with WeirServer("echo") as weir:
        ask(weir, HYBRID)
        ask(weir, HYBRID, "-groups", HYBRID)


def test_weir_asks_clients_of_openssl_for_it():
    need_hybrid_openssl()
    need_hybrid_weir()
    with WeirServer("echo") as weir:
        ask(weir, HYBRID, "-groups", f"*X25519:{HYBRID}")
        ask(weir, HYBRID, "-groups", f"*P-256:{HYBRID}")


def test_clients_of_weir_agree_on_it_with_openssl():
    need_hybrid_openssl()
    need_hybrid_weir()
    call(HYBRID, f"{HYBRID}:X25519")
    call(HYBRID, HYBRID)


def test_openssl_asks_clients_of_weir_for_it():
    need_hybrid_openssl()
    need_hybrid_weir()
    call(HYBRID, HYBRID, f"groups=X25519:{HYBRID}")


# ---- one has classical groups alone ----

def test_clients_with_classical_groups_alone_are_served():
    with WeirServer("echo") as weir:
        for group in ("X25519", "P-256", "P-384"):
            ask(weir, group, "-groups", group)


def test_servers_with_classical_groups_alone_are_reached():
    for group in ("X25519", "P-256", "P-384"):
        call(group, group)


def test_clients_of_openssl_as_they_are_meet_weir_without_it():
    with WeirServer("echo", "good", "min=3", "groups=X25519:P-256") as weir:
        ask(weir, "X25519")
    with WeirServer("echo", "good", "min=3", "groups=P-384") as weir:
        ask(weir, "P-384")


run(globals())
