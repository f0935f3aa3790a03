"""nginx as a server of the comparison: one process, one file, sendfile.

It takes the place of this program. A child of this program says on standard
output when it serves. What it writes is in the folder of the file.
"""
import argparse
import os
import socket
import sys
import time

from harness import find_nginx

# sendfile_max_chunk and what else concerns sendfile is nginx's default.
CONFIGURATION = """
daemon off;
master_process off;
pid %(folder)s/nginx.pid;
error_log stderr warn;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    sendfile on;
    keepalive_requests 1000000000;
    server {
        listen 127.0.0.1:%(port)d;
        root %(folder)s;
    }
}
"""


def tell_when_it_serves(port):
    """Runs in a process of its own."""
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                print(f"serving http://127.0.0.1:{port}", flush=True)
                return
        time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", required=True)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    folder = os.path.dirname(options.file)
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(CONFIGURATION % {"folder": folder, "port": options.port})
    if os.fork() == 0:
        tell_when_it_serves(options.port)
        os._exit(0)
    nginx = find_nginx()
    os.execv(nginx, [nginx, "-p", folder, "-c", path])


if __name__ == "__main__":
    sys.exit(main())
