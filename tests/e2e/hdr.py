"""Decodes a histogram in HdrHistogram's interchange format, version 2.

Written from the description of the format, so that an independent program reads
weir-load's output.
"""

import base64
import struct
import zlib

from harness import equal


def read_number(data):
    """Returns a zig-zag LEB128 number and the remaining bytes."""
    value = shift = 0
    for place, byte in enumerate(data):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), data[place + 1:]
    raise AssertionError("a number without end")


def decode_hdr(text):
    """Returns counts by bucket, in HdrHistogram's format, version 2."""
    packed = base64.b64decode(text, validate=True)
    cookie, size = struct.unpack(">II", packed[:8])
    equal((cookie, size), (0x1C849314, len(packed) - 8), "the outer header")
    plain = zlib.decompress(packed[8:])
    header = struct.unpack(">IIIIqqd", plain[:40])
    equal(header[:4], (0x1C849313, len(plain) - 40, 0, 3), "the inner header")
    equal((header[4], header[6]), (1, 1.0), "lowest value and ratio")
    counts, index, data = {}, 0, plain[40:]
    while data:
        number, data = read_number(data)
        if number < 0:
            index -= number
        else:
            counts[index] = number
            index += 1
    return counts


def highest_of(index):
    """Returns the largest value in a bucket: 2048 of width 1, then 1024 of each."""
    if index < 2048:
        return index
    shift = index // 1024 - 1
    return ((index - shift * 1024 + 1) << shift) - 1
