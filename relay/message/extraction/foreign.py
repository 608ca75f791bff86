"""Formats that kreuzberg reads: old Office files, Outlook's .msg, and the cells of workbooks.

Everything of it that goes beyond reading is switched off: no cache on disk, no recognition of letters in pictures, no
clean-up of the text, no models.
"""

import kreuzberg

from relay.message.extraction.budget import UnreadableError
from relay.message.extraction.findings import Findings

DOC = "application/msword"
XLS = "application/vnd.ms-excel"
PPT = "application/vnd.ms-powerpoint"
MSG = "application/vnd.ms-outlook"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLSB = "application/vnd.ms-excel.sheet.binary.macroEnabled.12"
_SHEETS = frozenset({XLS, XLSX, XLSB})
_SHOWN = ("title", "subject")


def _configuration() -> kreuzberg.ExtractionConfig:
    return kreuzberg.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        ocr=None,
        force_ocr=False,
        images=None,
        postprocessor=kreuzberg.PostProcessorConfig(enabled=False),
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
        content_filter=kreuzberg.ContentFilterConfig(
            include_headers=True, include_footers=True, strip_repeating_text=False, include_watermarks=True
        ),
        output_format="plain",
    )


def read_foreign(data: bytes, type_: str, where: str, found: Findings) -> None:
    """Add the text that kreuzberg finds. Raises UnreadableError: password, damage, or something inside was left out."""
    try:
        result = kreuzberg.extract_bytes_sync(data, type_, _configuration())
    except kreuzberg.KreuzbergError as error:
        if "password" in str(error).lower() or "encrypted" in str(error).lower():
            raise UnreadableError("is protected with a password", encrypted=True) from error
        raise UnreadableError("is damaged, or of a kind that cannot be read") from error
    if type_ in _SHEETS:
        # Cell by cell, so that numbers in neighbouring cells do not look like one.
        for table in result.tables:
            found.add(f"{where} {table.page_number}", "\n".join("\t".join(row) for row in table.cells))
    else:
        found.add(where, result.content)
    metadata = dict(result.metadata)
    found.add(f"{where}, properties", "\n".join(str(metadata[key]) for key in _SHOWN if metadata.get(key)))
    if metadata.get("attachments"):
        found.fail(UnreadableError("holds attachments that were not opened"))
    if result.processing_warnings:
        found.fail(UnreadableError("could be read only in part"))
