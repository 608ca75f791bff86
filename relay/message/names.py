"""Names of attachments as a person reads them, and what else a part is called by."""

import re

from relay.message.header_facts import subject
from relay.message.structure import Leaf
from relay.message.values import header_value
from relay.message.words import header_text

MAX_NAME = 200  # characters
_NESTED = frozenset({"message/rfc822", "message/global", "message/news"})
_SUBJECT = re.compile(rb"^subject[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)
_EXTENSIONS = {
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/rtf": ".rtf",
    "application/json": ".json",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/vcard": ".vcf",
    "text/xml": ".xml",
}


def declared_name(leaf: Leaf) -> str:
    """Return the file name that the header gives, ``filename`` before ``name``, or an empty string."""
    return leaf.disposition.parameters.get("filename", "") or leaf.type.parameters.get("name", "")


def name_of(leaf: Leaf, data: bytes, number: int) -> str:
    """Return a name for an attachment: the declared one, a nested message's subject, or its number and kind."""
    declared = clean_name(declared_name(leaf))
    if declared:
        return declared
    if leaf.type.word in _NESTED:
        match = _SUBJECT.search(data[:65_536])
        title = clean_name(subject({b"subject": [match[1]]})) if match else ""
        return f"{title or 'message'}.eml"
    return f"attachment {number}{_EXTENSIONS.get(leaf.type.word, '')}"


def clean_name(name: str) -> str:
    """Return a file name without path, control or direction-turning characters, at most MAX_NAME long."""
    return header_value(name.replace("\\", "/").rstrip("/").rpartition("/")[2], MAX_NAME)


def content_id(leaf: Leaf) -> str:
    """Return the Content-ID without angle brackets, by which HTML refers to a picture (RFC 2392)."""
    values = leaf.headers.get(b"content-id")
    return header_value(header_text(values[0]), MAX_NAME).strip("<> ") if values else ""
