"""nginx as a server of the comparison: one process, one file or a folder.

Without TLS files are sent by sendfile over HTTP/1.1. Over HTTP/2 they are read
and written, so that an answer is one piece: by sendfile its data follow its
headers as a second one, which TCP holds back until the client's delayed
acknowledgement, 40 ms later. With TLS, a small file is written into the
configuration, so that no request touches a disk's cache, and a larger one is
read from there through a descriptor that stays open.

It takes the place of this program. A child of this program says on standard
output when it serves. What it writes is beside the file or the folder.
"""
import argparse
import os
import shlex

from harness import find_service, tell_when_it_serves

# Maximum length of a text in the configuration; nginx allows a little more.
TEXT_MAX = 2048

# sendfile_max_chunk and the other settings of sendfile are nginx's defaults.
CONFIGURATION = """
daemon off;
master_process off;
pid %(folder)s/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    default_type text/plain;
    sendfile %(sendfile)s;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    server {
        listen 127.0.0.1:%(port)d%(listen)s;
        %(answer)s
        %(tls)s
    }
}
"""

# Without NumTickets OpenSSL would send TLS 1.3 tickets that cannot be used.
TLS = """
        open_file_cache max=16 inactive=1h;
        ssl_certificate %(identity)s;
        ssl_certificate_key %(identity)s;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:P-256;
        ssl_session_cache off;
        ssl_session_tickets %(tickets)s;
        ssl_conf_command NumTickets %(ticket_count)d;
        %(cipher)s
"""


def tls_part(options):
    if options.identity is None:
        return ""
    return TLS % {"identity": options.identity,
                  "tickets": "on" if options.tickets else "off",
                  "ticket_count": 1 if options.tickets else 0,
                  "cipher": f"ssl_conf_command Ciphersuites {options.cipher};"
                  if options.cipher else ""}


def answer_part(options):
    if options.folder is not None:
        return f"location / {{ root {options.folder}; }}"
    return f"location = /file {{ {answer_of_file(options)} }}"


def answer_of_file(options):
    if options.identity is None or os.path.getsize(options.file) > TEXT_MAX:
        return f"alias {options.file};"
    with open(options.file, encoding="ascii") as file:
        return f"return 200 {file.read()};"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    served = parser.add_mutually_exclusive_group(required=True)
    served.add_argument("--file")
    served.add_argument("--folder")
    parser.add_argument("--identity")
    parser.add_argument("--tickets", action="store_true")
    parser.add_argument("--cipher", default="", help="of TLS 1.3, the only one")
    parser.add_argument("--http2", action="store_true")
    parser.add_argument("--under", default="", metavar="COMMAND",
                        help="a tool that runs it")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    folder = os.path.dirname(options.file or options.folder)
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(CONFIGURATION % {
            "folder": folder, "port": options.port, "tls": tls_part(options),
            "sendfile": "off" if options.http2 else "on",
            "listen": ("" if options.identity is None else " ssl")
            + (" http2" if options.http2 else ""),
            "answer": answer_part(options)})
    tell_when_it_serves("nginx", options.port)
    nginx = find_service("nginx")
    command = [*shlex.split(options.under), nginx, "-p", folder, "-c", path]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
