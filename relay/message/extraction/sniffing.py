"""What a document is by its bytes. A declared type or a name is believed only where the bytes leave it open."""

import puremagic

_TEXT_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\x08"))
_SAMPLE = 65_536
_SURE = 0.8
_MOSTLY = 0.8
_PREFIXES = (
    (b"{\\rtf", "rtf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"Rar!\x1a\x07", "archive"),
    (b"MSCF\0\0\0\0", "archive"),
    (b"\x89PNG\r\n\x1a\n", "media"),
    (b"\xff\xd8\xff", "media"),
    (b"GIF87a", "media"),
    (b"GIF89a", "media"),
    (b"II*\0", "media"),
    (b"MM\0*", "media"),
    (b"\0\0\1\0\1\0", "media"),
    (b"\xd7\xcd\xc6\x9a", "media"),
    (b"OggS\0", "media"),
    (b"fLaC\0", "media"),
    (b"ID3", "media"),
    (b"\x1a\x45\xdf\xa3", "media"),
    (b"\0\0\1\xba", "media"),
    (b"\0\x05\x16\x07", "metadata"),
    (b"\0\0\0\1Bud1", "metadata"),
)
_RIFF = (b"WEBP", b"WAVE", b"AVI ")
_MP3 = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")
_OLE_STREAMS = (
    ("EncryptedPackage", "encrypted office"),
    ("WordDocument", "doc"),
    ("PowerPoint Document", "ppt"),
    ("Workbook", "xls"),
    ("Book", "xls"),
    ("__properties_version1.0", "msg"),
)
_MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})
_MESSAGE_NAMES = (".eml", ".mht", ".mhtml")
_ENOUGH_FIELDS = 3  # in the first lines: a header, whatever the file is called
_MESSAGE_FIELDS = (
    "received:",
    "return-path:",
    "from:",
    "date:",
    "message-id:",
    "mime-version:",
    "x-",
    "to:",
    "subject:",
)


def is_media(data: bytes) -> bool:
    """Whether the bytes are a picture, sound or film: nothing that text is looked for in. A few comparisons."""
    head = data[:16]
    if head.startswith(b"RIFF"):
        return head[8:12] in _RIFF
    if head[4:8] == b"ftyp" or (head.startswith(b"BM") and data[6:10] == b"\0\0\0\0"):
        return True
    return any(head.startswith(prefix) for prefix, kind in _PREFIXES if kind == "media")


def sniff(data: bytes, name: str, declared: str) -> str:
    """Return the kind of a document: a word that `documents` has a reader for, or ``unknown``."""
    if not data.strip(b"\0 \t\r\n"):
        return "empty"
    kind = "media" if is_media(data) else _by_prefix(data)
    if kind:
        return _ole(data) if kind == "ole" else kind
    if declared in _MESSAGES or name.lower().endswith(_MESSAGE_NAMES):
        return "message"  # whatever octets stand in it: parts can be binary
    if _is_text(data):
        return _text_kind(data, name.lower(), declared)
    sound = declared.startswith("audio/") and data.startswith(_MP3)
    return "media" if sound else _by_table(data, name)


def _by_prefix(data: bytes) -> str:
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data[257:262] == b"ustar":
        return "tar"
    return next((kind for prefix, kind in _PREFIXES if data.startswith(prefix)), "")


def _ole(data: bytes) -> str:
    for stream, kind in _OLE_STREAMS:
        if stream.encode("utf_16_le") in data:
            return kind
    return "unknown"


def _is_text(data: bytes) -> bool:
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return True
    data = data.rstrip(b"\0")  # the end of a text as C keeps it: Outlook's in a winmail.dat
    sample = data[:_SAMPLE]
    if b"\0" in sample:
        # UTF-16 without a mark: every other octet of ASCII is NUL.
        if max(sample[::2].count(b"\0"), sample[1::2].count(b"\0")) < _MOSTLY * (len(sample) // 2):
            return False
        data = data.replace(b"\0", b"")
    # All of it is looked at: text in front must not cover for something else behind.
    controls = len(data) - len(data.translate(None, _TEXT_CONTROLS))
    return controls * 1000 <= len(data)


def _text_kind(data: bytes, name: str, declared: str) -> str:
    start = data[:4096].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    for kind, holds in (
        ("html", _begins_like_html(start, name, declared)),
        ("xml", start.startswith(b"<?xml") or (start.startswith(b"<") and name.endswith((".xml", ".svg")))),
        ("message", _begins_like_a_message(start)),
        ("calendar", b"begin:vc" in start),
        ("json", start.startswith((b"{", b"["))),
    ):
        if holds:
            return kind
    return "text"


def _begins_like_html(start: bytes, name: str, declared: str) -> bool:
    if start.startswith(b"<?xml"):
        return b"<html" in start
    named = declared == "text/html" or name.endswith((".html", ".htm"))
    return named or any(mark in start for mark in (b"<!doctype html", b"<html", b"<body"))


def _begins_like_a_message(start: bytes) -> bool:
    lines = [line for line in start.decode("latin-1").split("\n")[:8] if line]
    return sum(line.startswith(_MESSAGE_FIELDS) for line in lines) >= _ENOUGH_FIELDS


def _by_table(data: bytes, name: str) -> str:
    """Ask puremagic about rarer pictures and sounds."""
    try:
        matches = puremagic.magic_string(data[:_SAMPLE], name)
    except (puremagic.PureError, ValueError, IndexError):
        return "unknown"
    if not matches or matches[0].confidence < _SURE:
        return "unknown"
    return "media" if matches[0].mime_type.startswith(("image/", "audio/", "video/")) else "unknown"
