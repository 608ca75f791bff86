r"""Addresses of links in mail: which may be followed, and what a reader is told about where they lead.

What is shown and what is opened come from one normalised string, because people and browsers read
``https://bank.example\@evil.example`` differently.
"""

import re
from urllib.parse import urlsplit

import idna

_LIMIT = 4000  # characters
# Browsers drop tab and line ends inside an address and blanks and controls around it (WHATWG URL Standard).
_DROPPED = re.compile(r"[\t\n\r]")
_AROUND = "".join(map(chr, range(0x21)))
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\"<>`\\^{|}\u2028\u2029]")
_MAIL = re.compile(r"mailto:[^?&%\s\"<>]{1,254}@[a-z0-9.-]{1,253}", re.IGNORECASE)
_PHONE = re.compile(r"tel:\+?[0-9 ().-]{3,30}", re.IGNORECASE)


def followable(address: str) -> str:
    """Return ``address`` normalised when it is an absolute web, mail or telephone address; else empty.

    Relative addresses would lead into the portal, ``mailto:`` with fields would fill in a mail: neither is kept.
    """
    address = _DROPPED.sub("", address).strip(_AROUND)
    if not address or len(address) > _LIMIT:
        return ""
    scheme = address.partition(":")[0].lower()
    if scheme == "mailto":
        match = _MAIL.match(address)
        return match[0] if match else ""
    if scheme == "tel":
        return address.replace(" ", "") if _PHONE.fullmatch(address) else ""
    if scheme not in ("http", "https"):
        return ""
    normal = f"{scheme}://" + address.partition(":")[2].replace("\\", "/").lstrip("/")
    normal = _UNSAFE.sub(lambda match: "".join(f"%{octet:02X}" for octet in match[0].encode()), normal)
    return normal if _host(normal) else ""


def destination(address: str) -> str:
    """Return where a followable address leads, for a reader: the host (A-label), mail address or number."""
    scheme, _, rest = address.partition(":")
    return _host(address) if scheme in ("http", "https") else rest


def _host(address: str) -> str:
    try:
        host = urlsplit(address).hostname or ""
        port = urlsplit(address).port
    except ValueError:
        return ""
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return ""
    if not re.fullmatch(r"[a-z0-9._:-]{1,253}", host):
        return ""
    return host if port in (None, 80, 443) else f"{host}:{port}"
