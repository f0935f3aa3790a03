"""The pixels of a PNG, without a library for it."""

import functools
import struct
import zlib

from harness import equal


def pixels(path):
    """The rows of a PNG of 8 bits a sample without interlacing."""
    with open(path, "rb") as file:
        data = file.read()
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    equal(depth, 8, "bits of a sample")
    step = {2: 3, 6: 4}[kind]
    packed, at = b"", 8
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at:at + 8])
        packed += data[at + 8:at + 8 + size] if name == b"IDAT" else b""
        at += size + 12
    raw, row, rows = zlib.decompress(packed), bytes(width * step), []
    for y in range(height):
        line = raw[y * (width * step + 1):(y + 1) * (width * step + 1)]
        row = unfilter(line[0], line[1:], row, step)
        rows.append(row)
    return width, step, rows


@functools.lru_cache(maxsize=64)  # most rows are those before, or all white
def unfilter(kind, line, above, step):
    if kind == 0:
        return line
    if kind == 2:
        return bytes((a + b) & 0xFF for a, b in zip(line, above))
    # A call for each of some million bytes would take seconds.
    row, above = bytearray(step), bytes(step) + above
    for i, byte in enumerate(line):
        left, corner, up = row[i], above[i], above[i + step]
        if kind == 1:
            best = left
        elif kind == 3:
            best = (left + up) // 2
        else:
            best = up if left == corner else (
                left if up == corner else paeth(left, up, corner))
        row.append((byte + best) & 0xFF)
    return bytes(row[step:])


def paeth(left, up, corner):
    to_left, to_up = abs(up - corner), abs(left - corner)
    to_corner = abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner
