"""xtext: how ENVID and ORCPT write what has no place in an SMTP parameter (RFC 3461 section 4, RFC 6533 section 3)."""

import re

_HEX = re.compile(rb"\+([0-9A-F]{2})")


def decode_xtext(xtext: str) -> str:
    """Return the text that ``xtext`` stands for, read as UTF-8; a malformed ``+`` sequence stays as it is.

    It is printable when the front door took it as a parameter (`relay.smtp.parameters`).
    """
    return _HEX.sub(lambda match: bytes.fromhex(match[1].decode()), xtext.encode()).decode("utf-8", "replace")


def embedded(text: str) -> str:
    r"""Return ``text`` in ASCII, other characters as ``\x{HEX}``: so an address of type utf-8 stands in seven bits."""
    return text if text.isascii() else "".join(char if char.isascii() else f"\\x{{{ord(char):X}}}" for char in text)
