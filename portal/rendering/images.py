"""Inline images of mail as ``data:`` addresses whose type we state ourselves.

The type comes from the first bytes, never from the sender; only raster formats, bounded in octets and in pixels
(a small file can unpack to gigabytes in a browser). SVG is a document with scripts, not a raster image: never.
"""

import base64
import binascii
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

ONE_IMAGE = 3 << 20  # octets
ALL_IMAGES = 10 << 20  # octets in one document
FRAME_WIDTH = 720  # CSS pixels, on a wide screen
PIXELS = 40_000_000  # a 24-megapixel camera passes; 40 MP take 160 MB in the browser

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def raster_type(data: bytes) -> str:
    """Return the media type of a raster image within bounds, told by its own bytes; empty for anything else."""
    found = _raster(data)
    return found[0] if found else ""


def shown_height(beginning: bytes) -> int:
    """Return the height of an image in a frame of ``FRAME_WIDTH``, in CSS pixels, from its first bytes.

    0 for what is not shown, and for an image whose size does not stand there.
    """
    found = _raster(beginning)
    if found is None:
        return 0
    _, width, height = found
    return height * min(width, FRAME_WIDTH) // width


def _raster(data: bytes) -> tuple[str, int, int] | None:
    for sniff in (_png, _gif, _jpeg, _webp):
        if found := sniff(data):
            return found if 0 < found[1] * found[2] <= PIXELS else None
    return None


@dataclass(slots=True)
class InlineImages:
    """The images of one document: finds, checks and counts them.

    ``load`` returns the octets of the part with a Content-ID (without angle brackets) or None, and need not return
    more than ``ONE_IMAGE + 1`` of them.
    """

    load: Callable[[str], bytes | None]
    sources: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    _total: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)

    def take(self, address: str) -> int | None:
        """Return the number of the data address for ``cid:`` or ``data:`` (for ``sources``), or None if not shown."""
        address = address.strip()
        if address in self._numbers:
            return self._numbers[address]
        data = self.octets(address)
        if data is None or len(data) > ONE_IMAGE or self._total + len(data) > ALL_IMAGES:
            return None
        media_type = raster_type(data)
        if not media_type:
            return None
        self._total += len(data)
        self._numbers[address] = len(self.sources)
        self.sources.append(f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}")
        return self._numbers[address]

    def octets(self, address: str) -> bytes | None:
        """Return what ``cid:`` or ``data:`` stands for, unchecked; None for any other address."""
        scheme, _, rest = address.partition(":")
        if scheme.lower() == "cid":
            cid = rest.strip().strip("<>")
            self.used.add(cid)
            return self.load(cid)
        if scheme.lower() == "data" and len(rest) <= ONE_IMAGE * 3 // 2:
            header, comma, body = rest.partition(",")
            if comma and header.lower().replace(" ", "").endswith(";base64"):
                try:
                    return binascii.a2b_base64("".join(body.split()))
                except (binascii.Error, ValueError):
                    return None
        return None


def _png(data: bytes) -> tuple[str, int, int] | None:
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 24:  # noqa: PLR2004  # signature and first chunk
        return None
    return ("image/png", *struct.unpack(">II", data[16:24]))


def _gif(data: bytes) -> tuple[str, int, int] | None:
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 10:  # noqa: PLR2004  # screen descriptor
        return None
    return ("image/gif", *struct.unpack("<HH", data[6:10]))


def _jpeg(data: bytes) -> tuple[str, int, int] | None:
    if data[:3] != b"\xff\xd8\xff":
        return None
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:  # noqa: PLR2004  # 0xFF starts a marker
        marker = data[position + 1]
        if marker in _JPEG_SIZES:
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return "image/jpeg", width, height
        if marker == 0xFF:  # noqa: PLR2004  # fill byte
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def _webp(data: bytes) -> tuple[str, int, int] | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:  # noqa: PLR2004  # first chunk with its sizes
        return None
    match data[12:16]:
        case b"VP8X":
            size = 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            size = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            size = (
                int.from_bytes(data[26:28], "little") & 0x3FFF,
                int.from_bytes(data[28:30], "little") & 0x3FFF,
            )
        case _:
            return None
    return ("image/webp", *size)
