"""A proxy of the comparison that is a program of its own: weir-proxy, HAProxy or
nginx, one thread before one backend on the loopback.

It takes the place of this program. A child of this program says on standard
output when it serves. HAProxy's buffers are as they are by default unless it
is to be tuned, which also lets it splice, and so is all else of the three. The
configuration is in a temporary folder, which the child removes.
"""
import argparse
import os
import shlex
import shutil
import tempfile

from harness import find_service, find_stream, tell_when_it_serves
from serve_haproxy import OPENSSL_CONFIGURATION, write

TUNED_BUFFER = 262144
TICKET_COUNT = 1  # weir sends one

HAPROXY = """
global
    nbthread 1
    maxconn 4000
    tune.bufsize %(buffer)d
    tune.ssl.default-dh-param 2048
    tune.ssl.cachesize 0
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
frontend bench
    bind 127.0.0.1:%(port)d%(tls)s
    default_backend behind
backend behind
    server only 127.0.0.1:%(backend)d
    %(splice)s
"""

NGINX = """
%(load)s
daemon off;
master_process off;
pid %(folder)s/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
stream {
    server {
        listen 127.0.0.1:%(port)d%(listen)s backlog=4096;
        proxy_pass 127.0.0.1:%(backend)d;
        proxy_timeout 1h;
        %(tls)s
    }
}
"""

NGINX_TLS = """
        ssl_certificate %(identity)s;
        ssl_certificate_key %(identity)s;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:P-256;
        ssl_session_cache off;
        ssl_session_tickets on;
        ssl_conf_command NumTickets %(tickets)d;
"""


def weir_command(options, _folder):
    kind = "tcp" if options.identity is None else "tls"
    identity = [] if options.identity is None else ["--cert", options.identity]
    return [options.program, "--threads", "1",
            "--listen", f"{kind}://127.0.0.1:{options.port}", *identity,
            *(["--no-splice"] if options.copying else []),
            "--to", f"tcp://127.0.0.1:{options.to}"]


def haproxy_command(options, folder):
    path = os.path.join(folder, "haproxy.cfg")
    openssl_path = os.path.join(folder, "openssl.cnf")
    write(openssl_path, OPENSSL_CONFIGURATION % TICKET_COUNT)
    os.environ["OPENSSL_CONF"] = openssl_path
    write(path, HAPROXY % {
        "port": options.port, "backend": options.to,
        "buffer": TUNED_BUFFER if options.tuned else 16384,
        "splice": "option splice-auto" if options.tuned else "",
        "tls": "" if options.identity is None else
        f" ssl crt {options.identity} curves X25519:P-256"})
    return [find_service("haproxy"), "-db", "-q", "-f", path]


def nginx_command(options, folder):
    path = os.path.join(folder, "nginx.conf")
    tls = "" if options.identity is None else NGINX_TLS % {
        "identity": options.identity, "tickets": TICKET_COUNT}
    module = find_stream()
    write(path, NGINX % {
        "load": f"load_module {module};" if module else "", "folder": folder,
        "port": options.port, "backend": options.to, "tls": tls,
        "listen": "" if options.identity is None else " ssl"})
    return [find_service("nginx"), "-p", folder, "-c", path]


COMMANDS = {"weir": weir_command, "haproxy": haproxy_command,
            "nginx": nginx_command}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", required=True, choices=COMMANDS)
    parser.add_argument("--program", help="weir-proxy's path")
    parser.add_argument("--to", required=True, type=int, metavar="PORT")
    parser.add_argument("--identity", metavar="PEM")
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--copying", action="store_true",
                        help="weir-proxy is not to splice")
    parser.add_argument("--under", default="", metavar="COMMAND",
                        help="a tool that runs it, with its options")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="weir-bench-")
    command = [*shlex.split(options.under),
               *COMMANDS[options.service](options, folder)]
    tell_when_it_serves(options.service, options.port,
                        lambda: shutil.rmtree(folder))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
