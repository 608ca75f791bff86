"""What the detectors of identifiers share: the text they read, what they saw in it, and what a number is part of.

Digits inside a longer number, a word, a link or an amount are something else.
"""

import re
from dataclasses import dataclass, replace

from policies.identifiers.runs import Numbers, numbers_in
from policies.model import Confidence
from policies.redaction import mask

_INTERNATIONAL = re.compile(rb"(?:\+|(?<![0-9])00)[0-9]{1,3}[ .\-()0]{0,4}\Z")
_CURRENCIES = tuple(symbol.encode() for symbol in ("€", "£", "$", "¥", "EUR", "GBP", "USD"))

# A rule asks for at most 1,000 different numbers: who has found as many certain ones may stop reading.
ENOUGH = 1000


@dataclass(frozen=True, slots=True)
class Sighting:
    """One identifier, term or match in one text.

    ``value`` tells different numbers apart; neither it nor what was ``written`` leaves the judgement. ``head`` and
    ``tail`` characters of that may be shown, all of it where ``public``.
    """

    value: str
    written: str
    confidence: Confidence
    head: int = 0
    tail: int = 0
    public: bool = False

    @property
    def evidence(self) -> str:
        """What a receipt may show; made when it is asked for, because of a hundred numbers one is shown."""
        return self.written if self.public else mask(self.written, head=self.head, tail=self.tail)


class Sightings:
    """Every number once, at its highest confidence, in the order in which each was first seen."""

    def __init__(self) -> None:
        self._by_value: dict[str, Sighting] = {}
        self._certain = 0

    @property
    def enough(self) -> bool:
        """Whether so many are certain that no rule could ask for more."""
        return self._certain >= ENOUGH

    def certain(self, value: str) -> bool:
        """Tell whether nothing more can be learnt about this number."""
        known = self._by_value.get(value)
        return known is not None and known.confidence is Confidence.HIGH

    def add(self, sighting: Sighting) -> None:
        """Add a sighting, unless the number is already known as surely."""
        known = self._by_value.get(sighting.value)
        if known is None or known.confidence < sighting.confidence:
            self._by_value[sighting.value] = sighting
            self._certain += sighting.confidence is Confidence.HIGH

    def all(self, floor: Confidence = Confidence.LOW) -> tuple[Sighting, ...]:
        """Return them; those below ``floor`` are raised to it."""
        return tuple(
            sighting if sighting.confidence >= floor else replace(sighting, confidence=floor)
            for sighting in self._by_value.values()
        )


class Page:
    """One folded text (UTF-8) while the detectors read it; what several of them need is worked out once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.headings: dict[str, bool] = {}  # identifier -> whether a label of it stands anywhere in the text
        self._numbers: Numbers | None = None

    @property
    def numbers(self) -> Numbers:
        """Every run of digits in the text."""
        if self._numbers is None:
            self._numbers = numbers_in(self.data)
        return self._numbers


def embedded(data: bytes, start: int, end: int) -> bool:
    """Tell whether ``data[start:end]`` is part of a word, an international number, an amount or a link."""
    if _is_word(data[start - 1 : start]) or _is_word(data[end : end + 1]) or data[end : end + 1] == b"%":
        return True
    lead = data[max(0, start - 12) : start]
    # The marks are looked for first: most numbers stand behind a word.
    if (b"+" in lead or b"00" in lead) and (lead.endswith(b"+") or _INTERNATIONAL.search(lead)):
        return True
    return lead.removesuffix(b" ").endswith(_CURRENCIES) or in_link(data, start)


def in_link(data: bytes, start: int) -> bool:
    """Tell whether a position stands in a web address: its word, up to 200 bytes back, has "://" or "www."."""
    lead = data[max(0, start - 200) : start]
    if not lead or lead[-1:].isspace():
        return False
    word = lead.rsplit(None, 1)[-1]
    return b"://" in word or b"www." in word


def _is_word(byte: bytes) -> bool:
    return byte.isalnum()  # ASCII letters and digits; a letter of another script ends a number as a space does
