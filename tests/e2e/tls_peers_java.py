"""Java's own TLS (JSSE) as the client and the server of weir's TLS. Its
certificates have no Ed25519 keys.

Usage: tls_peers_java.py TLS_PEER FOLDER
"""

from harness import run
from tls_peers import Language, tests_of

run(tests_of(Language("TlsPeer.java", ["javac", "-d", "."],
                      ["java", "-XX:TieredStopAtLevel=1", "-cp", "PLACE", "TlsPeer"],
                      ("good", "good-rsa")), "java"),
    short="java_is_served")
