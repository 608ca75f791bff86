"""Single byte ranges of a download, exactly as RFC 9110 §14 wants them.

Every part is immutable, so its id is a strong entity tag and ``If-Range`` lets a browser resume after a break. There
is no Last-Modified: a date in ``If-Range`` never matches, and the whole is sent (§13.1.5). Several ranges at once are
answered with the whole, which §14.2 allows.
"""

import re
from dataclasses import dataclass

_BYTES = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Octets ``start`` to ``stop`` (excluded) of ``size``. ``partial`` says whether it answers a Range (206)."""

    start: int
    stop: int
    size: int
    partial: bool

    @property
    def length(self) -> int:
        """Number of octets."""
        return self.stop - self.start

    @property
    def content_range(self) -> str:
        """The Content-Range value of a 206."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def choose_span(size: int, range_value: str | None, if_range: str | None, etag: str) -> Span | None:
    """Return what to send of ``size`` octets, or None when the range cannot be satisfied (416).

    ``etag`` is quoted, as in the field. A malformed Range, and one whose If-Range does not match, count as none.
    """
    whole = Span(0, size, size, partial=False)
    match = _BYTES.fullmatch(range_value.strip()) if range_value else None
    if match is None or (if_range is not None and if_range.strip() != etag):
        return whole
    first, last = match[1], match[2]
    if not first and not last:
        return whole
    if not first:
        # The last octets: "-0" and a range of nothing are unsatisfiable.
        length = min(int(last), size)
        return Span(size - length, size, size, partial=True) if length else None
    if last and int(last) < int(first):
        return whole  # not a valid range: §14.1.1 says to ignore the field
    if int(first) >= size:
        return None
    return Span(int(first), min(int(last) + 1 if last else size, size), size, partial=True)
