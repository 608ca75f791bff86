"""Names that came with a mail: as people may see them, and as file names of a download (R40).

RFC 6266 (Content-Disposition) and RFC 8187 (its UTF-8 form). Nothing here becomes a path on our disk.
"""

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

from markupsafe import Markup, escape

# Joiners (U+200C, U+200D) stay: Persian words and family emoji need them.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
# Names that Windows takes for devices, whatever their suffix.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?:\..*)?", re.IGNORECASE)
_LONGEST = 180  # octets of UTF-8: file systems take 255, browsers add " (1)" and ".crdownload"
_SUFFIX = 16

# Types a browser may be told; anything else is octet-stream. None of them is a document with scripts.
_SAFE_TYPES = frozenset(
    {
        "application/gzip",
        "application/msword",
        "application/pdf",
        "application/rtf",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        "application/vnd.oasis.opendocument.presentation",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/zip",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "image/bmp",
        "image/gif",
        "image/heic",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "image/webp",
        "message/rfc822",
        "text/calendar",
        "text/csv",
        "text/plain",
        "text/vcard",
        "video/mp4",
        "video/quicktime",
        "video/webm",
    }
)


def visible(text: str, limit: int = 300) -> str:
    """Return one line of at most ``limit`` characters without control, zero-width and direction-changing ones."""
    line = " ".join(_CONTROLS.sub("", text.replace("\n", " ").replace("\t", " ")).split())
    return line if len(line) <= limit else line[: limit - 1] + "\u2026"


def breakable(address: str) -> Markup:
    """Return an address as HTML that may break after its ``@`` and dots, so that it fits a narrow screen."""
    return Markup(re.sub(r"([@.])(?=\w)", r"\1<wbr>", str(escape(address))))  # noqa: S704  # escaped on the spot


def file_name(name: str, fallback: str = "attachment") -> str:
    """Return a name that every file system takes and that shows what it is: no path, device, control or overlength."""
    name = unicodedata.normalize("NFC", name)
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    name = visible(_FORBIDDEN.sub("_", name), limit=1000).strip(". ")
    if not name:
        return fallback
    if _DEVICE.fullmatch(name):
        name = f"_{name}"
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > _SUFFIX:
        suffix = ""
    stem = name.removesuffix(suffix) if suffix else name
    room = _LONGEST - len(suffix.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + suffix


def message_name(subject: str) -> str:
    """Return the file name of a whole mail: its subject, which is no path ("12/03/2026")."""
    return file_name(_FORBIDDEN.sub("_", subject[:80]), "message") + ".eml"


def content_disposition(name: str) -> str:
    """Return the header value that makes a browser save under ``name`` (already a ``file_name``)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    # A percent sign in the plain form is decoded by some browsers; a quoted pair is misread by others.
    plain = re.sub(r'["\\%;]', "_", plain).strip(". ") or "attachment"
    if plain == name:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def safe_type(declared: str) -> str:
    """Return the media type to send for a download: the declared one when it is harmless, else octet-stream."""
    return declared if declared in _SAFE_TYPES else "application/octet-stream"


def kind_label(name: str) -> str:
    """Return the suffix of a file name as a label (``PDF``), empty for none or a long one."""
    suffix = name.rpartition(".")[2] if "." in name else ""
    return suffix.upper() if suffix.isalnum() and len(suffix) <= 5 else ""  # noqa: PLR2004  # "XHTML" is the longest
