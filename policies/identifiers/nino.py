"""UK National Insurance numbers: two prefix letters, six digits, a suffix letter A to D (HMRC manual NIM39110).

There is no check digit, and python-stdnum has no module for it: the prefix rules leave 380 of 676 letter pairs.
Without its suffix a number counts only with a label; in lower case or with marks between the pairs it needs a word
near it that fits.
"""

import re
from dataclasses import dataclass

import re2

from policies.identifiers.context import Context, Reading, Weight
from policies.identifiers.runs import GAP, PUNCTUATION
from policies.identifiers.shape import Page, Sighting, Sightings, embedded
from policies.identifiers.vocabulary import NINO_HINTS, NINO_LABELS
from policies.model import Confidence
from policies.prefilter import Expression

_SOURCE = rf"(?i)\b[A-Z]{{2}}{GAP}[0-9]{{2}}{GAP}[0-9]{{2}}{GAP}[0-9]{{2}}"
_CANDIDATE = re2.compile(_SOURCE)
# For Hyperscan: a number does not go on with a digit, which spares most words before other numbers.
_MAY_OCCUR = rf"{_SOURCE}(?:[^0-9]|$)"
_SUFFIX = re.compile(rf"{GAP}([A-Da-d])(?![A-Za-z0-9])".encode())
_FIRST = frozenset("ABCEGHJKLMNOPRSTWXYZ")
_SECOND = frozenset("ABCEGHJKLMNPRSTWXYZ")
_NEVER_ISSUED = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_WITH_SUFFIX = 9


@dataclass(frozen=True, slots=True)
class NationalInsurance:
    """The detector; ``expression`` is for Hyperscan."""

    name: str
    expression: Expression
    context: Context
    weight: Weight

    def make_ready(self) -> None:
        """Nothing is left to compile."""

    def find(self, page: Page) -> tuple[Sighting, ...]:
        """Find every number once, at its highest confidence; 1,000 certain ones are enough for any rule."""
        data, sightings = page.data, Sightings()
        match = _CANDIDATE.search(data)
        while match is not None and not sightings.enough:
            start, end = match.span()
            suffix = _SUFFIX.match(data, end)
            if suffix is not None:
                end = suffix.end()
            written = data[start:end]
            value = written.translate(None, PUNCTUATION).decode("ascii").upper()
            if not _issued(value) or embedded(data, start, end):
                match = _CANDIDATE.search(data, start + 1)
                continue
            if not sightings.certain(value):
                confidence = self._confidence(written, value, self.context.read(data, start, end))
                if confidence is not None:
                    sightings.add(Sighting(value, written.decode("ascii"), confidence, head=2, tail=1))
            match = _CANDIDATE.search(data, end)
        return sightings.all()

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
    expression=Expression(_MAY_OCCUR, apart=True),
    context=Context(labels=NINO_LABELS, hints=NINO_HINTS),
    weight=Weight(bare=Confidence.MEDIUM),
)
