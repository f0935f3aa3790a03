"""TLS with OpenSSL under system configurations (openssl.cnf) that are weak, strict or
wrong: connections that weir refuses stay refused, and the system's prohibitions apply.

Usage: tls_config.py WEIR_LOAD
"""

import contextlib
import os
import tempfile

from harness import (WEIR_LOAD, Program, Skip, command, equal, matches, need,
                     read_line, run)

FOLDER = os.environ["WEIR_TLS_CERTIFICATES"]
CONFIG = """openssl_conf = init
[init]
ssl_conf = ssl
providers = providers
alg_section = algorithms
[ssl]
system_default = system
[providers]
default = on
{providers}
[on]
activate = 1
[algorithms]
{algorithms}
[system]
{system}
"""


@contextlib.contextmanager
def configured(system="MinProtocol = TLSv1.2", providers="", algorithms=""):
    """Returns the environment of a system with this configuration."""
    if " by OpenSSL " not in command(WEIR_LOAD, "--version").out:
        raise Skip("TLS is not by OpenSSL here")
    need("openssl")
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as file:
        file.write(CONFIG.format(system=system, providers=providers,
                                 algorithms=algorithms))
        file.flush()
        yield {**os.environ, "OPENSSL_CONF": file.name}


def words(key, *flags):
    return (WEIR_LOAD, "serve", "--cert", f"{FOLDER}/{key}.pem", "--key",
            f"{FOLDER}/{key}.key", *flags, "tls://127.0.0.1:0")


@contextlib.contextmanager
def server(env, *flags):
    with Program(*words("ecdsa", *flags), env=env) as program:
        yield read_line(program.process.stdout).strip().rsplit(":", 1)[1]


def agreed(port, *flags):
    """Returns the version that openssl negotiates, allowing any itself; or none."""
    outcome = command("openssl", "s_client", "-connect", f"127.0.0.1:{port}",
                      "-brief", "-cipher", "ALL:@SECLEVEL=0", *flags,
                      stdin=-3)
    for line in (outcome.out + outcome.err).splitlines():
        if line.startswith("Protocol version: "):
            return line.split(": ")[1]
    return None


def refused(env, pattern, key="ecdsa", *flags):
    outcome = command(*words(key, *flags), env=env)
    equal(outcome.status, 2, outcome.err)
    matches(outcome.err, pattern, "why")


def test_a_weak_configuration_allows_nothing_more():
    for provider in ("", "legacy = on", "unknown-provider = on"):
        with configured("MinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0",
                        provider) as env, server(env) as port:
            equal([agreed(port, flag) for flag in ("-tls1_1", "-tls1_2",
                                                   "-tls1_3")],
                  [None, "TLSv1.2", "TLSv1.3"], provider)
            equal(agreed(port, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"),
                  None, "a suite without forward secrecy")


def test_versions_that_the_system_forbids_stay_off():
    with configured("MinProtocol = TLSv1.3") as env:
        with server(env) as port:
            equal([agreed(port, "-tls1_2"), agreed(port, "-tls1_3")],
                  [None, "TLSv1.3"], "from 1.3 on")
        refused(env, r"TLS: .*forbids the versions.*openssl\.cnf "
                r"\(WEIR_ETLSVERSION\)", "ecdsa", "--tls-max", "1.2")
    with configured("MaxProtocol = TLSv1.2") as env, server(env) as port:
        equal([agreed(port, "-tls1_2"), agreed(port, "-tls1_3")],
              ["TLSv1.2", None], "up to 1.2")


def test_keys_that_the_systems_level_forbids_are_refused():
    with configured("CipherString = DEFAULT:@SECLEVEL=3") as env:
        refused(env, r"rsa\.key: .*security level .*\(WEIR_ETLSFILE\)", "rsa")
        with server(env) as port:
            equal(agreed(port, "-tls1_3"), "TLSv1.3", "a key of P-256")


def test_fips_mode_without_a_module_names_the_file():
    with configured(algorithms="default_properties = fips=yes") as env:
        refused(env, r"OpenSSL does not start .*openssl\.cnf.*"
                r"\(WEIR_ETLSENGINE\)")
        outcome = command(*words("ecdsa", "--tls-library", "fips"), env=env)
        equal(outcome.status, 2, "the exit status")
        matches(outcome.err, r"--tls-library: OpenSSL .* not in FIPS mode")


run(globals())
