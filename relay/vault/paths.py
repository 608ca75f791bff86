"""The path of a pickup link: ``/p/<link id, 26 characters>/<secret, 52 characters>`` in lower-case base32.

Base32 survives mail programs that change letter case or break lines at punctuation.
"""

from relay import base32
from relay.clock import ID_LENGTH, id_from_text, id_text

SECRET_LENGTH = 32
_SECRET_TEXT = 52


def link_path(link_id: bytes, secret: bytes) -> str:
    """Return the path that only the reader gets; it must stand in no log."""
    return f"/p/{id_text(link_id)}/{base32.encode(secret)}"


def parse_link(id_part: str, secret_part: str) -> tuple[bytes, bytes] | None:
    """Return link id and secret from the two parts of a path; None when they cannot be a link of ours.

    Letter case does not matter. Exactly one text stands for each secret otherwise.
    """
    identifier, text = id_part.lower(), secret_part.lower()
    if len(text) != _SECRET_TEXT or not (identifier + text).isascii():
        return None
    try:
        link_id = id_from_text(identifier)
        secret = base32.decode(text)
    except ValueError:
        return None
    if len(link_id) != ID_LENGTH or len(secret) != SECRET_LENGTH:
        return None
    return (link_id, secret) if link_path(link_id, secret) == f"/p/{identifier}/{text}" else None
