"""Compressed RTF as Outlook keeps bodies in winmail.dat ([MS-OXRTFCP] section 2.2): back to plain RTF."""

import struct

MAX_SIZE = 2 << 20  # octets of RTF: about a second, step by step; pictures in a body can make it larger
_HEADER = struct.Struct("<IIII")  # compressed size, raw size, kind, checksum
_COMPRESSED, _PLAIN = 0x75465A4C, 0x414C454D
_WINDOW = 4096
_PREFILL = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor "
    rb"MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


def decompress_rtf(data: bytes) -> bytes:
    """Return the RTF. Raises ValueError when the stream is damaged or larger than MAX_SIZE."""
    if len(data) < _HEADER.size:
        raise ValueError("the header is cut off")
    _, size, kind, _ = _HEADER.unpack_from(data)
    if size > MAX_SIZE:
        raise ValueError("too large")
    if kind == _PLAIN:
        return data[_HEADER.size : _HEADER.size + size]
    if kind != _COMPRESSED:
        raise ValueError("of an unknown kind")
    return _unpack(data[_HEADER.size :], size)


def _unpack(data: bytes, size: int) -> bytes:
    window = bytearray(_PREFILL.ljust(_WINDOW, b"\0"))
    write = len(_PREFILL)
    out = bytearray()
    position = 0
    while position < len(data) and len(out) < size:
        control = data[position]
        position += 1
        for bit in range(8):
            if not control >> bit & 1:
                run = data[position : position + 1]
                position += 1
            else:
                reference = int.from_bytes(data[position : position + 2], "big")
                position += 2
                offset, length = reference >> 4, (reference & 0xF) + 2
                if offset == write:
                    return bytes(out[:size])
                # The source may overlap what is being written: octet by octet.
                run = b""
                for step in range(length):
                    octet = window[(offset + step) % _WINDOW]
                    window[(write + step) % _WINDOW] = octet
                    run += bytes([octet])
                out += run
                write = (write + length) % _WINDOW
                continue
            if not run:
                return bytes(out[:size])
            window[write] = run[0]
            write = (write + 1) % _WINDOW
            out += run
    return bytes(out[:size])
