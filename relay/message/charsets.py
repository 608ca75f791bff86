"""Bytes to text under a charset label that may be wrong, odd or missing, as mail programs do it.

Labels follow the Encoding standard of the WHATWG where it is wider than the registered name (``iso-8859-1`` means
windows-1252). Python's codecs that are no charsets (``rot13``, ``unicode_escape``, ``zlib`` ...) are never reached:
labels are looked up in a fixed table, not in the codec registry.
"""

from encodings.aliases import aliases
from typing import NamedTuple

_WIDER = {
    "ascii": "cp1252",
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
_NO_CHARSET = {"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
_OWN_NAMES = ("koi8_u", "cp874", "cp1006", "koi8_t", "cp720", "cp737", "cp856", "cp875")
_EXTRA = {
    "x_sjis": "cp932",
    "windows_31j": "cp932",
    "x_gbk": "gb18030",
    "x_mac_roman": "mac_roman",
    "iso_8859_8_i": "iso8859_8",
    "x_cp1250": "cp1250",
    "x_cp1251": "cp1251",
    "x_cp1252": "cp1252",
    "windows_874": "cp874",
    "dos_874": "cp874",
    "unicode": "utf_16_le",
    "ansi": "cp1252",
}


def _table() -> dict[str, str]:
    known = {alias: codec for alias, codec in aliases.items() if codec not in _NO_CHARSET}
    known |= {codec: codec for codec in known.values()} | {name: name for name in _OWN_NAMES} | _EXTRA
    return {name: _WIDER.get(codec, codec) for name, codec in known.items()}


_CODECS = _table()
# Under these, plain ASCII bytes do not mean what they look like.
_NOT_ASCII = frozenset(
    {"utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be", "utf_7", "hz"}
    | {codec for codec in _CODECS.values() if codec.startswith("iso2022")}
    | {"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"}
)
_MARKS = ((b"\xef\xbb\xbf", "utf_8"), (b"\xff\xfe\x00\x00", "utf_32"), (b"\x00\x00\xfe\xff", "utf_32"))
_MARKS_16 = (b"\xff\xfe", b"\xfe\xff")
_LABEL_LENGTH = 60


class Decoded(NamedTuple):
    """Text, and another reading of the same bytes that some mail program would show (empty where there is none).

    ``sure`` is false when the label is unknown and the bytes are not ASCII: the text is then a guess.
    """

    text: str
    other: str = ""
    sure: bool = True


def codec_of(label: str) -> str:
    """Return the codec that a charset label stands for, or an empty string for an unknown or missing label."""
    name = label[:_LABEL_LENGTH].strip("\"' \t;,.").lower().replace("-", "_").replace(" ", "_").replace(":", "_")
    return _CODECS.get(name, "") or _CODECS.get(name.replace("_", ""), "")


def decode(data: bytes, label: str = "") -> Decoded:
    """Decode a text body. Never raises; bytes that fit nothing become U+FFFD."""
    codec = codec_of(label)
    if data.isascii() and codec not in _NOT_ASCII:
        return Decoded(data.decode("ascii"), _without_nul(data) if b"\0" in data else "")
    for mark, marked in _MARKS:
        if data.startswith(mark):
            return Decoded(data.decode(marked, "replace").removeprefix("\ufeff"), _plain(data))
    if data.startswith(_MARKS_16):
        return Decoded(data.decode("utf_16", "replace"), "" if codec.startswith("utf_16") else _plain(data))
    if codec in _NOT_ASCII:
        text = data.decode(codec, "replace")
        # A label such as utf-7 over plain text hides it from a reader that believes the label, and the reverse.
        other = _plain(data) if data.isascii() or "\ufffd" in text else ""
        return Decoded(text, "" if other == text else other)
    utf8 = _strictly(data, "utf_8")
    padded = _without_nul(data) if b"\0" in data else ""
    if codec in {"", "utf_8"}:
        text = data.decode("cp1252", "replace") if utf8 is None and not codec else data.decode("utf_8", "replace")
        return Decoded(text, padded, sure=bool(codec) or utf8 is not None or not label)
    strict = _strictly(data, codec)
    text = strict if strict is not None else (utf8 or data.decode(codec, "replace"))
    return Decoded(text, padded or (utf8 if utf8 is not None and utf8 != text else ""))


def decode_short(data: bytes, label: str = "") -> str:
    """Decode a header value or a file name: one reading only."""
    if data.isascii() and not label:
        return data.decode("ascii")
    return decode(data, label).text


def _strictly(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeDecodeError, LookupError):
        return None


def _plain(data: bytes) -> str:
    """Read the bytes as a program does that ignores the label."""
    utf8 = _strictly(data, "utf_8")
    return data.decode("cp1252", "replace") if utf8 is None else utf8


def _without_nul(data: bytes) -> str:
    """Read UTF-16 without a mark, in which every other octet of ASCII text is NUL; else what is left without NUL."""
    if data.count(b"\0") * 3 < len(data):
        return _plain(data.replace(b"\0", b""))
    return data.decode("utf_16_be" if data[:1] == b"\0" else "utf_16_le", "replace")
