"""An echo server as one first writes it with asyncio: a coroutine for each
connection, on streams. The port is in PORT.
"""
import asyncio
import os


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1",
                                        int(os.environ["PORT"]))
    async with server:
        await server.serve_forever()


asyncio.run(main())
