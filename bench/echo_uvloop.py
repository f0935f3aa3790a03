"""The echo server on uvloop's protocols, the fastest that Python has.

Takes the command line of the other servers as far as it serves: echo alone.
"""
import argparse
import asyncio
import resource
import socket

import uvloop

BACKLOG = 4096


class Echo(asyncio.Protocol):
    """asyncio's own example, without its prints."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


def listen(port):
    """As the other servers listen: accepted sockets inherit TCP_NODELAY."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", port))
    return listener


async def serve(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, sock=listen(port),
                                      backlog=BACKLOG)
    print(f"serving tcp://127.0.0.1:{port}", flush=True)
    await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=["echo"], default="echo")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.install()
    asyncio.run(serve(options.port))


main()
