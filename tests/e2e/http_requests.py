"""Requests that every HTTP server here refuses, and with which status.

Requests that a proxy before the server may have interpreted differently are refused
(RFC 9112, 11.2): lines ended by LF alone, folded lines, blanks before a colon, two
lengths.
"""

NO_REQUESTS = (
    (b"garbage\r\n\r\n", 400),
    (b"GET /\r\n\r\n", 400),
    (b"GET / HTTP/1.\r\n\r\n", 400),
    (b"GET / http/1.1\r\n\r\n", 400),
    (b"GET  HTTP/1.1\r\n\r\n", 400),
    (b" / HTTP/1.1\r\n\r\n", 400),
    (b"GET / x HTTP/1.1\r\n\r\n", 400),
    (b"G(T / HTTP/1.1\r\n\r\n", 400),
    (b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\n\r\n", 505),
    (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\nA: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: \rb\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 1\r\n\r\n", 400),
)

# For servers that accept bodies.
NO_BODIES = (
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
)
