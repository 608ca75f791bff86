"""UK National Insurance numbers: two prefix letters, six digits, a suffix letter A to D (HMRC manual NIM39110).

There is no check digit, and python-stdnum has no module for it: the prefix rules leave 380 of 676 letter pairs.
Without its suffix a number counts only with a label; in lower case or with marks between the pairs it needs a word
near it that fits.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import re2

from policies.identifiers.context import Context, Reading, Weight
from policies.identifiers.shape import Page, Sighting, embedded
from policies.identifiers.vocabulary import NINO_HINTS, NINO_LABELS
from policies.model import Confidence
from policies.redaction import mask

_GAP = r"(?:[ ]?[.\-][ ]?|[ ]{0,2}|[ ]?\r?\n(?:> ?){0,3})"
_SOURCE = rf"(?i)\b[A-Z]{{2}}{_GAP}[0-9]{{2}}{_GAP}[0-9]{{2}}{_GAP}[0-9]{{2}}"
_CANDIDATE = re2.compile(_SOURCE)
# For Hyperscan: a number does not go on with a digit, which spares most words before other numbers.
_MAY_OCCUR = rf"{_SOURCE}(?:[^0-9]|$)"
_SUFFIX = re.compile(rf"{_GAP}([A-Da-d])(?![A-Za-z0-9])".encode())
_PUNCTUATION = b" .-\r\n>"
_FIRST = frozenset("ABCEGHJKLMNOPRSTWXYZ")
_SECOND = frozenset("ABCEGHJKLMNPRSTWXYZ")
_NEVER_ISSUED = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_WITH_SUFFIX = 9


@dataclass(frozen=True, slots=True)
class NationalInsurance:
    """The detector; ``expression`` is for Hyperscan."""

    name: str
    expression: str
    context: Context
    weight: Weight

    def find(self, page: Page) -> tuple[Sighting, ...]:
        """Find every occurrence, in the order of the text."""
        return tuple(self._sightings(page.data))

    def _sightings(self, data: bytes) -> Iterator[Sighting]:
        match = _CANDIDATE.search(data)
        while match is not None:
            start, end = match.span()
            suffix = _SUFFIX.match(data, end)
            if suffix is not None:
                end = suffix.end()
            written = data[start:end]
            value = written.translate(None, _PUNCTUATION).decode().upper()
            if not _issued(value) or embedded(data, start, end):
                match = _CANDIDATE.search(data, start + 1)
                continue
            reading = self.context.read(data, start, end)
            confidence = self._confidence(written, value, reading)
            if confidence is not None:
                yield Sighting(value, mask(written.decode(), head=2, tail=1), confidence)
            match = _CANDIDATE.search(data, end)

    def _confidence(self, written: bytes, value: str, reading: Reading) -> Confidence | None:
        # Prefix and suffix weigh as much as the usual groups would: no need to look for a heading.
        confidence = self.weight.of(reading, grouped=b" " in written, heading=lambda: True)
        if reading is Reading.LABELLED or confidence is None:
            return confidence
        if len(value) < _WITH_SUFFIX:
            return None
        tidy = written.isupper() and not set(written) & set(b".-")
        return confidence if tidy or reading is Reading.HINTED else Confidence.LOW


def _issued(value: str) -> bool:
    return value[0] in _FIRST and value[1] in _SECOND and value[:2] not in _NEVER_ISSUED


NINO = NationalInsurance(
    name="nino",
    expression=_MAY_OCCUR,
    context=Context(labels=NINO_LABELS, hints=NINO_HINTS),
    weight=Weight(bare=Confidence.MEDIUM),
)
