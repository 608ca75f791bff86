"""Numbers as they stand in a text: groups of digits, the separators between them, and what they are part of.

Candidates are cut by patterns of our own and validated afterwards: a validator that strips separators would
find numbers anywhere. Digits inside a longer number, a word, a link or an amount are something else.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from policies.identifiers.runs import PUNCTUATION, Numbers, numbers_in
from policies.model import Confidence

_INTERNATIONAL = re.compile(rb"(?:\+|(?<![0-9])00)[0-9]{1,3}[ .\-()0]{0,4}\Z")
_GLUED = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z]+\Z")
_CURRENCY = re.compile("(?:[€£$¥]|EUR|GBP|USD) ?\\Z".encode())
_JOINING = frozenset({b".", b"-"})  # without a space: a decimal, a date, a longer number
_LONG_GROUP = 3
_MOST_TOGETHER = 4096

Lengths = tuple[int, ...]

# A rule asks for at most 1,000 different numbers: who has found as many certain ones may stop reading.
ENOUGH = 1000


class Layout(Enum):
    """How a number is written: in one piece, as its issuer groups it, or in a way that needs a label."""

    PLAIN = "in one piece"
    USUAL = "in the usual groups"
    RARE = "in unusual groups"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One identifier in one text. ``value`` tells different numbers apart and never leaves the judgement."""

    value: str
    evidence: str
    confidence: Confidence


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


class Stretch(NamedTuple):
    """Digit groups at ``data[start:end]`` whose lengths make a layout; ``digits`` are ASCII.

    ``around`` are the separators outside; ``crowded`` says that a group of three digits or more stands a single
    space away, so that all may belong to something longer.
    """

    start: int
    end: int
    digits: bytes
    layout: Layout
    around: tuple[bytes, bytes] = (b"", b"")
    crowded: bool = False

    def stands_alone(self, data: bytes, is_label: Callable[[str], bool]) -> bool:
        """Tell whether it is a number of its own, or glued to its own label ("BSN123456782")."""
        if _JOINING.intersection(self.around):
            return False
        start = self.start
        if data[start - 1 : start].isalpha():
            word = _GLUED.search(data, max(0, start - 24), start)
            if word is not None and is_label(word[0].decode("ascii").lower()):
                start = word.start()
        return not embedded(data, start, self.end)

    @property
    def value(self) -> str:
        """The digits as text."""
        return self.digits.decode("ascii")

    def spaced(self, data: bytes) -> bool:
        """Tell whether only spaces separate the groups."""
        return not data[self.start : self.end].translate(None, b"0123456789 \r\n>")


class Batch(NamedTuple):
    """Numbers of one layout that may be checked together; ``digits`` are those of each, in ASCII."""

    layout: Layout
    digits: Sequence[bytes]
    stretch: Callable[[int], Stretch]  # by position in ``digits``


def batches(page: Page, layouts: Mapping[Lengths, Layout], beginnings: frozenset[Lengths]) -> Iterator[Batch]:
    """Yield every number in a layout: those in one piece first, then the groups in the order of the text.

    ``beginnings`` are those of the layouts (see below). A batch has at most a few thousand numbers.
    """
    data = page.data
    for length, found in page.numbers.single.items():
        layout = layouts.get((length,))
        if layout is not None:
            for first in range(0, len(found), _MOST_TOGETHER):
                starts = found[first : first + _MOST_TOGETHER]
                yield _in_one_piece(data, length, layout, starts)
    for stretch in _in_groups(page, layouts, beginnings):
        yield Batch(stretch.layout, (stretch.digits,), [stretch].__getitem__)


def _in_one_piece(data: bytes, length: int, layout: Layout, starts: Sequence[int]) -> Batch:
    digits = [data[start : start + length] for start in starts]
    return Batch(
        layout, digits, lambda number: Stretch(starts[number], starts[number] + length, digits[number], layout)
    )


def _in_groups(page: Page, layouts: Mapping[Lengths, Layout], beginnings: frozenset[Lengths]) -> Iterator[Stretch]:
    """Yield every stretch of digit groups with the lengths of a layout.

    Linear in the length of the text: a stretch grows only while its lengths begin some layout.
    """
    data = page.data
    for starts, ends in page.numbers.runs:
        count = len(starts)
        for first in range(count):
            if first and ends[first] - starts[first] == 1 == ends[first - 1] - starts[first - 1]:
                continue  # inside a row of single digits: a number begins where the row does
            lengths: Lengths = ()
            for last in range(first, count):
                lengths = (*lengths, ends[last] - starts[last])
                if lengths not in beginnings:
                    break
                layout = layouts.get(lengths)
                if layout is not None:
                    before = data[ends[first - 1] : starts[first]] if first else b""
                    after = data[ends[last] : starts[last + 1]] if last + 1 < count else b""
                    crowded = (before == b" " and ends[first - 1] - starts[first - 1] >= _LONG_GROUP) or (
                        after == b" " and ends[last + 1] - starts[last + 1] >= _LONG_GROUP
                    )
                    digits = data[starts[first] : ends[last]].translate(None, PUNCTUATION)
                    yield Stretch(starts[first], ends[last], digits, layout, (before, after), crowded)


def beginnings_of(layouts: Mapping[Lengths, Layout]) -> frozenset[Lengths]:
    """Return every sequence of lengths with which a layout begins, whole layouts included."""
    return frozenset(lengths[:count] for lengths in layouts for count in range(1, len(lengths) + 1))


def embedded(data: bytes, start: int, end: int) -> bool:
    """Tell whether ``data[start:end]`` is part of a word, an international number, an amount or a link."""
    if _is_word(data[start - 1 : start]) or _is_word(data[end : end + 1]) or data[end : end + 1] == b"%":
        return True
    lead = data[max(0, start - 12) : start]
    # The marks are looked for first: most numbers stand behind a word.
    if (b"+" in lead or b"00" in lead) and (lead.endswith(b"+") or _INTERNATIONAL.search(lead)):
        return True
    return _CURRENCY.search(lead) is not None or in_link(data, start)


def in_link(data: bytes, start: int) -> bool:
    """Tell whether a position stands in a web address: its word, up to 200 bytes back, has "://" or "www."."""
    lead = data[max(0, start - 200) : start]
    if not lead or lead[-1:].isspace():
        return False
    word = lead.rsplit(None, 1)[-1]
    return b"://" in word or b"www." in word


def _is_word(byte: bytes) -> bool:
    return byte.isalnum()  # ASCII letters and digits; a letter of another script ends a number as a space does
