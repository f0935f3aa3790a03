"""HAProxy as a server of the comparison: one thread, one file over TLS.

It answers by itself, without a server behind it: the file lies in its memory,
and its buffers are large enough for the answer, as they must be.

It takes the place of this program. A child of this program says on standard
output when it serves. What it writes is in the folder of the file.
"""
import argparse
import os

from harness import find_service, tell_when_it_serves

BUFFER_DEFAULT = 16384
BUFFER_BESIDE = 4096  # space for the head, and for rewriting it

CONFIGURATION = """
global
    nbthread 1
    maxconn 4000
    tune.bufsize %(buffer)d
    tune.ssl.default-dh-param 2048
    tune.ssl.cachesize 0
defaults
    mode http
    timeout client 1h
    timeout http-keep-alive 1h
    timeout http-request 1h
    option http-ignore-probes
frontend bench
    bind 127.0.0.1:%(port)d ssl crt %(identity)s curves X25519:P-256 %(tickets)s
    http-request return status 200 content-type text/plain file %(file)s
"""


# HAProxy has no directive for the number of TLS 1.3 tickets, and sends some even if
# sessions cannot be resumed. OpenSSL's own configuration has such a directive.
OPENSSL_CONFIGURATION = """
openssl_conf = bench
[bench]
ssl_conf = ssl
[ssl]
system_default = every
[every]
NumTickets = %d
"""


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", required=True)
    parser.add_argument("--identity", required=True)
    parser.add_argument("--tickets", action="store_true")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    folder = os.path.dirname(options.file)
    path = os.path.join(folder, "haproxy.cfg")
    openssl_path = os.path.join(folder, "openssl.cnf")
    size = os.path.getsize(options.file) + BUFFER_BESIDE
    write(openssl_path, OPENSSL_CONFIGURATION % (1 if options.tickets else 0))
    write(path, CONFIGURATION % {
        "port": options.port, "identity": options.identity,
        "file": options.file, "buffer": max(size, BUFFER_DEFAULT),
        "tickets": "" if options.tickets else "no-tls-tickets"})
    tell_when_it_serves("haproxy", options.port)
    haproxy = find_service("haproxy")
    os.execve(haproxy, [haproxy, "-db", "-q", "-f", path],
              {**os.environ, "OPENSSL_CONF": openssl_path})


if __name__ == "__main__":
    main()
