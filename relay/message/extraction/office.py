"""Word, Excel and PowerPoint files of today (OOXML, ECMA-376): every part of the package that can show text.

A library's text of such a file leaves out what policies must see: headers, comments, deleted and hidden text, notes,
defined names, what pivot tables remember. So every XML part is read here; only the cells of sheets come from the
library, which knows dates and numbers as Excel keeps them, hidden sheets and rows included.
"""

import zipfile

from relay.message.extraction.archives import zip_member, zip_members
from relay.message.extraction.budget import Budget
from relay.message.extraction.findings import Findings, Inner
from relay.message.extraction.foreign import XLSB, XLSX, read_foreign
from relay.message.extraction.sniffing import is_media
from relay.message.extraction.xml_text import BREAKS, xml_text

CONTENT_TYPES = "[Content_Types].xml"
# Looks of the document, not words in it.
_LOOKS = (
    "/theme/",
    "/styles",
    "fonttable",
    "websettings",
    "word/settings.xml",
    "presprops",
    "viewprops",
    "tablestyles",
    "/slidelayouts/",
    "_xmlsignatures/",
)
_VALUES = ("/docprops/", "/customxml/")
_CELLS = ("v", "is")  # of a sheet: the library reads them
_EXTERNAL = b'TargetMode="External"'


def is_office(names: list[str]) -> bool:
    """Whether these are the parts of an OOXML package."""
    return CONTENT_TYPES in names


def read_office(data: bytes, archive: zipfile.ZipFile, where: str, found: Findings, budget: Budget) -> list[Inner]:
    """Add the text of an OOXML package; return the embedded files that `documents` has to read."""
    embedded: list[Inner] = []
    for info in zip_members(archive):
        name = info.filename
        lower = f"/{name.lower().lstrip('/')}"
        if any(part in lower for part in _LOOKS) or name == CONTENT_TYPES:
            continue
        content = zip_member(archive, info, budget)
        if lower.endswith(".rels"):
            if _EXTERNAL in content:
                found.add(f"{where}, links", xml_text(content, attributes=("Target",)))
        elif lower.endswith((".xml", ".vml")):
            skip = _CELLS if "/worksheets/" in lower else ()
            # Elsewhere than in running text an element is a value of its own: "0100" and "14" are not "010014".
            breaks = () if lower.startswith(_VALUES) or lower.endswith(".vml") else BREAKS
            found.add(f"{where}, {_place(lower)}", xml_text(content, breaks=breaks, skip=skip))
        elif _may_be_a_file(lower) and not is_media(content):
            embedded.append(Inner(name, content))
    if _is_workbook(archive):
        binary = any(info.filename.lower().endswith("workbook.bin") for info in archive.infolist())
        read_foreign(data, XLSB if binary else XLSX, f"{where}, sheet", found)
    return embedded


def _may_be_a_file(part: str) -> bool:
    """Whether a part that is not XML is something to open: printer settings and signatures are not."""
    return "/embeddings/" in part or not part.endswith((".bin", ".sigs"))


def _is_workbook(archive: zipfile.ZipFile) -> bool:
    return any(name.lower().startswith("xl/") for name in archive.namelist())


def _place(part: str) -> str:
    """Say where in the document a part shows, in words."""
    for piece, words in (
        ("/comments", "comments"),
        ("/header", "header"),
        ("/footer", "footer"),
        ("footnotes", "footnotes"),
        ("endnotes", "endnotes"),
        ("/notesslides/", "speaker's notes"),
        ("/slides/slide", "slide " + "".join(filter(str.isdigit, part.rpartition("/")[2]))),
        ("pivotcache", "what a pivot table remembers"),
        ("/worksheets/", "formulas and headings of a sheet"),
        ("/charts/", "chart"),
        ("/docprops/", "properties"),
        ("/workbook", "names"),
    ):
        if piece in part:
            return words
    return "text"
