"""Names of attachments as a person reads them, and what else a part is called by."""

import re

from relay.message.header_facts import subject
from relay.message.structure import Leaf
from relay.message.values import header_value
from relay.message.words import header_text

MAX_NAME = 200  # characters
_LONGEST_SUFFIX = 16  # characters behind the last dot; more is no suffix
_NESTED = frozenset({"message/rfc822", "message/global", "message/news"})
_SUBJECT = re.compile(rb"^subject[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)
_SLASHES = re.compile(r"[/\\]")  # a subject is no path: "12/03/2026"
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
        title = clean_name(_SLASHES.sub("_", subject({b"subject": [match[1]]}))) if match else ""
        return f"{title or 'message'}.eml"
    return f"attachment {number}{_EXTENSIONS.get(leaf.type.word, '')}"


def clean_name(name: str) -> str:
    """Return a file name without path, control or direction-turning characters, at most MAX_NAME long.

    A longer one loses the end of its stem, never its suffix: by that a person and a program know what it is.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = header_value(last, max(len(last), MAX_NAME))
    stem, dot, suffix = clean.rpartition(".")
    if len(clean) <= MAX_NAME or not stem or len(suffix) > _LONGEST_SUFFIX:
        return header_value(clean, MAX_NAME)
    return header_value(stem, MAX_NAME - len(dot + suffix)) + dot + suffix


def content_id(leaf: Leaf) -> str:
    """Return the Content-ID without angle brackets, by which HTML refers to a picture (RFC 2392)."""
    values = leaf.headers.get(b"content-id")
    return header_value(header_text(values[0]), MAX_NAME).strip("<> ") if values else ""
