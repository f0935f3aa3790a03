"""Go's crypto/tls as the client and the server of weir's TLS.

Usage: tls_peers_go.py TLS_PEER FOLDER
"""

from harness import run
from tls_ends import KEYS
from tls_peers import Language, tests_of

run(tests_of(Language("TlsPeer.go", ["go", "build", "-o", "peer"],
                      ["PLACE/peer"], KEYS), "go"))
