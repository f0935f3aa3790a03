"""A TLS server with default settings, tested by auditors' scanners.

nmap grades versions and cipher suites; testssl searches for weak ones, and for known
attacks, which takes a minute and is done with WEIR_LONG=1.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile

from harness import (LIMIT_S, LONG, WEIR_LOAD, Service, Skip, command, equal,
                     extend_limit, matches, need, read_line, run)

FOLDER = os.environ["WEIR_TLS_CERTIFICATES"]
KEYS = ("ecdsa", "rsa")

# Besides these testssl has LOW, MEDIUM, HIGH and CRITICAL, and WARN for what it could
# not determine.
HARMLESS = ("OK", "INFO", "DEBUG")


class Serving(Service):
    """weir-load serve; its messages about the scanners' clients are dropped."""

    def __init__(self, name):
        super().__init__(WEIR_LOAD, "serve", "--cert",
                         os.path.join(FOLDER, f"{name}.pem"), "--key",
                         os.path.join(FOLDER, f"{name}.key"),
                         "tls://127.0.0.1:0", stderr=subprocess.DEVNULL)
        self.port = read_line(self.process.stdout).rsplit(":", 1)[1].strip()


def need(program):
    if not shutil.which(program):
        raise Skip(f"no {program}")


def test_nmap_grades_every_suite_with_an_a():
    need("nmap")
    for name in KEYS:
        with Serving(name) as server:
            outcome = command("nmap", "-Pn", "-n", "-p", server.port,
                              "--script", "+ssl-enum-ciphers", "127.0.0.1",
                              limit_s=LIMIT_S - 10)
        equal(outcome.status, 0, f"exit status ({outcome.err})")
        if "ssl-enum-ciphers" not in outcome.out:
            raise Skip("this nmap has no script ssl-enum-ciphers")
        matches(outcome.out, r"least strength: A$", f"the grade with {name}")
        equal(re.findall(r"TLSv\d\.\d|SSLv\d", outcome.out)[:2],
              ["TLSv1.2", "TLSv1.3"], "versions")
        equal(outcome.out.count(" - A"), 6, f"suites of {outcome.out}")


def findings(port, folder):
    """Returns testssl's findings about protocols, suites, preferences and attacks."""
    path = os.path.join(folder, "findings.json")
    outcome = command("testssl", "--warnings", "off", "--color", "0",
                      "--openssl-timeout", "10", "-p", "-s", "-f", "-P", "-U",
                      "--jsonfile", path, f"127.0.0.1:{port}", limit_s=200)
    if not os.path.exists(path):
        raise Skip(f"testssl does not run here: {outcome.out[-200:]}")
    with open(path, encoding="utf-8") as file:
        return {row["id"]: row for row in json.load(file)}


def test_testssl_finds_nothing():
    if not LONG:
        raise Skip("takes minutes; WEIR_LONG=1 runs it")
    need("testssl")
    extend_limit(450)
    for name in KEYS:
        with Serving(name) as server, tempfile.TemporaryDirectory() as folder:
            found = findings(server.port, folder)
        bad = [(row["id"], row["severity"], row["finding"])
               for row in found.values() if row["severity"] not in HARMLESS]
        equal(bad, [], f"findings with {name}")
        for row in ("TLS1_2", "TLS1_3", "cipherlist_STRONG", "heartbleed"):
            equal(found.get(row, {}).get("severity"), "OK", row)


run(globals())
