"""What goes through the pipes between relay and helper: a length, JSON of that length, and raw octets. No pickle.

request   u32 length | {"name", "type", "size", "seconds"} | size octets
answer    u32 length | {"texts": [[where, text]], "members": [[name, size]], "problem", "encrypted", "last"}
greeting  u32 length | {"barred": whether the network is, "refused": [clause]}

Integers are big-endian. Both sides refuse more than MAX_FRAME octets of JSON.
"""

import json
import struct
from typing import Any

LENGTH = struct.Struct(">I")
MAX_FRAME = 128 << 20  # octets of JSON: 20 million characters in four octets each, and room


def pack(content: dict[str, Any]) -> bytes:
    """Return a frame. Halves of surrogate pairs become question marks."""
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return LENGTH.pack(len(data)) + data


def length_of(head: bytes) -> int:
    """Return the length that the first four octets announce. Raises ValueError when it is too large."""
    length: int = LENGTH.unpack(head)[0]
    if length > MAX_FRAME:
        raise ValueError("the frame is too large")
    return length


def unpack(data: bytes) -> dict[str, Any]:
    """Return the content of a frame. Raises ValueError when it is not a JSON object."""
    content = json.loads(data)
    if not isinstance(content, dict):
        raise ValueError("the frame holds no object")  # noqa: TRY004  # one error for every wrong frame
    return content
