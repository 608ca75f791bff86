"""Form bodies, bounded in octets, fields and time (R44). Urlencoded only: nothing is ever written to disk."""

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

BODY_LIMIT = 16 << 10  # octets
_FIELDS = 20
_FIELD_LIMIT = 2000  # characters
_PATIENCE = 20.0  # seconds for a whole body
_TYPE = "application/x-www-form-urlencoded"


class FormError(Exception):
    """A body that is no form of ours. ``status`` is the response's (400, 408, 413 or 415)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"form refused with {status}")
        self.status = status


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a urlencoded body, the first of each name; raise FormError for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise FormError(415)
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for piece in request.stream():
                body += piece
                if len(body) > BODY_LIMIT:
                    raise FormError(413)
    except TimeoutError:
        raise FormError(408) from None
    except ClientDisconnect:
        raise FormError(400) from None
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="replace")
    except ValueError:
        raise FormError(400) from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name[:100], value[:_FIELD_LIMIT].replace("\x00", ""))
    return fields
