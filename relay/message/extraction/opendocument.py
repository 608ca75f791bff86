"""OpenDocument texts, sheets and slides (ISO/IEC 26300): content, headers in styles, notes, properties."""

import zipfile

from relay.message.extraction.archives import zip_member, zip_members
from relay.message.extraction.budget import Budget, UnreadableError
from relay.message.extraction.findings import Findings, Inner
from relay.message.extraction.sniffing import is_media
from relay.message.extraction.xml_text import xml_text

_MIMETYPE = "application/vnd.oasis.opendocument."
_MANIFEST = "META-INF/manifest.xml"
_TEXTS = {"content.xml": "text", "styles.xml": "header and footer", "meta.xml": "properties"}
_LAYOUT = ("settings.xml", "META-INF/", "Configurations2/", "mimetype", "Thumbnails/", "manifest.rdf", "layout-cache")


def is_opendocument(archive: zipfile.ZipFile, budget: Budget) -> bool:
    """Whether an archive says that it is an OpenDocument file."""
    try:
        info = archive.getinfo("mimetype")
    except KeyError:
        return False
    return info.file_size < 200 and zip_member(archive, info, budget).startswith(_MIMETYPE.encode())  # noqa: PLR2004


def read_opendocument(archive: zipfile.ZipFile, where: str, found: Findings, budget: Budget) -> list[Inner]:
    """Add the text of an OpenDocument file; return embedded files that `documents` has to read."""
    if _MANIFEST in archive.namelist() and b"encryption-data" in zip_member(
        archive, archive.getinfo(_MANIFEST), budget
    ):
        raise UnreadableError("is protected with a password", encrypted=True)
    embedded: list[Inner] = []
    for info in zip_members(archive):
        name = info.filename
        if name.startswith(_LAYOUT) or name.endswith("/settings.xml"):
            continue
        content = zip_member(archive, info, budget)
        place = _TEXTS.get(name.rpartition("/")[2])
        if place is not None:
            found.add(f"{where}, {place}", xml_text(content))
        elif not is_media(content):
            embedded.append(Inner(name, content))
    return embedded
