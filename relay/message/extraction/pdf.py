"""PDF: text of every page, what people filled into forms, notes, bookmarks, properties, files inside, scanned pages.

pdfium reads a page twice as fast as the library for all formats, and that one drops what was typed into form fields: in
a town hall that is the content.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from relay.message.extraction.budget import Budget, UnreadableError
from relay.message.extraction.findings import Findings, Inner

_PASSWORD = 4  # FPDF_ERR_PASSWORD
_DYNAMIC_FORM = 2  # FORMTYPE_XFA_FULL
_MAX_BOOKMARKS = 5_000
_NOTE_KEYS = (b"V", b"Contents", b"TU", b"RC")
_SCAN = 0.5  # of the page, covered by pictures


def read_pdf(data: bytes, where: str, found: Findings, budget: Budget) -> list[Inner]:
    """Add the text of a PDF; return the files embedded in it. Raises UnreadableError: password or damage."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD:
            raise UnreadableError("is protected with a password", encrypted=True) from error
        raise UnreadableError("is damaged") from error
    try:
        return _read(document, where, found, budget)
    except pypdfium2.PdfiumError as error:
        raise UnreadableError("could be read only in part") from error


def _read(document: pypdfium2.PdfDocument, where: str, found: Findings, budget: Budget) -> list[Inner]:
    before = found.characters
    scans = drawn = 0
    for number in range(len(document)):
        page = document[number]
        text = page.get_textpage().get_text_range()
        found.add(f"{where}, page {number + 1}", text)
        found.add(f"{where}, page {number + 1}, fields and notes", "\n".join(_notes(page)))
        if not text.strip():
            picture, anything = _covered(page)
            scans += picture >= _SCAN
            drawn += anything
        page.close()
    if scans:
        found.fail(UnreadableError("shows scanned pages, in which no text can be read"))
    elif drawn and found.characters == before:
        found.fail(UnreadableError("shows no text that can be read"))
    if document.get_formtype() == _DYNAMIC_FORM:
        found.fail(UnreadableError("is a form of a kind that cannot be read"))
    properties = document.get_metadata_dict(skip_empty=True)
    found.add(f"{where}, properties", "\n".join(properties[key] for key in properties if not key.endswith("Date")))
    found.add(f"{where}, bookmarks", "\n".join(_bookmarks(document)))
    embedded = []
    for number in range(document.count_attachments()):
        attachment = document.get_attachment(number)
        content = bytes(attachment.get_data())
        budget.unpacked(len(content))
        embedded.append(Inner(attachment.get_name(), content))
    return embedded


def _notes(page: pypdfium2.PdfPage) -> list[str]:
    """Return what stands in form fields, notes and other annotations of a page."""
    texts = []
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        texts += [_string(pdfium.FPDFAnnot_GetStringValue, annotation, key) for key in _NOTE_KEYS]
        pdfium.FPDFPage_CloseAnnot(annotation)
    return [text for text in texts if text]


def _string(function: Callable[..., int], *arguments: Any) -> str:
    """Call one of pdfium's functions that fill a buffer with UTF-16 and say how long it has to be."""
    length = function(*arguments, None, 0)
    if length <= 2:  # noqa: PLR2004  # the closing NUL alone
        return ""
    buffer = ctypes.create_string_buffer(length)
    function(*arguments, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), length)
    return buffer.raw[: length - 2].decode("utf_16_le", "replace")


def _covered(page: pypdfium2.PdfPage) -> tuple[float, bool]:
    """Return which share of the page pictures cover, and whether anything is drawn on it at all."""
    width, height = page.get_size()
    covered, anything = 0.0, False
    for shape in page.get_objects(max_depth=3):
        anything = True
        if shape.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = shape.get_bounds()
            covered += max(0.0, right - left) * max(0.0, top - bottom)
    return covered / max(width * height, 1.0), anything


def _bookmarks(document: pypdfium2.PdfDocument) -> list[str]:
    titles: list[str] = []
    for item in document.get_toc(max_depth=10):
        titles.append(item.get_title())
        if len(titles) >= _MAX_BOOKMARKS:
            break
    return titles
