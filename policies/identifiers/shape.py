"""Numbers as they stand in a text: groups of digits, the separators between them, and what they are part of.

Candidates are cut by patterns of our own and validated afterwards: a validator that strips separators would
find numbers anywhere. Digits inside a longer number, a word, a link or an amount are something else.
"""

import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import NamedTuple

import re2

from policies.model import Confidence

# Between two groups: one mark, at most two spaces, or the line break of a wrapped (and quoted) line.
_SEPARATOR = r"(?:[ ]?[.\-][ ]?|[ ]{1,2}|[ ]?\r?\n(?:> ?){0,3})"
# Eight digits or more. The first is for Hyperscan, which only says whether.
RUN_SOURCE = rf"[0-9](?:{_SEPARATOR}?[0-9]){{7}}"
_RUN = re2.compile(rf"[0-9](?:{_SEPARATOR}?[0-9]){{7,}}")
_GROUP = re.compile(rb"[0-9]+")
_INTERNATIONAL = re.compile(rb"(?:\+|(?<![0-9])00)[0-9]{1,3}[ .\-()0]{0,4}\Z")
_GLUED = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z]+\Z")
_CURRENCY = re.compile("(?:[€£$¥]|EUR|GBP|USD) ?\\Z".encode())
_SEPARATORS = b" .-\r\n>"
_JOINING = frozenset({b".", b"-"})  # without a space: a decimal, a date, a longer number
_ALONE = (b"", b"")
_LONG_GROUP = 3

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

    @cached_property
    def numbers(self) -> "Numbers":
        """Every run of digit groups in the text."""
        single: dict[int, list[int]] = {}
        runs: list[tuple[Sequence[int], Sequence[int]]] = []
        for run in _RUN.finditer(self.data):
            start, end = run.span()
            if self.data[start:end].isdigit():
                single.setdefault(end - start, []).append(start)
            else:
                runs.append(_groups(self.data, start, end))
        return Numbers(single, runs)


class Numbers(NamedTuple):
    """Where numbers stand: those in one piece by length, and the starts and ends of the groups of the others."""

    single: Mapping[int, Sequence[int]]
    runs: Sequence[tuple[Sequence[int], Sequence[int]]]


def _groups(data: bytes, start: int, end: int) -> tuple[Sequence[int], Sequence[int]]:
    starts, ends = array("q"), array("q")  # not lists: a hostile run has millions of groups
    for group in _GROUP.finditer(data, start, end):
        starts.append(group.start())
        ends.append(group.end())
    return starts, ends


class Stretch(NamedTuple):
    """Digit groups at ``data[start:end]`` whose lengths make a layout.

    ``around`` are the separators outside; ``crowded`` says that a group of three digits or more stands a single
    space away, so that all may belong to something longer.
    """

    start: int
    end: int
    digits: str
    layout: Layout
    around: tuple[bytes, bytes]
    crowded: bool

    def stands_alone(self, data: bytes, is_label: Callable[[str], bool]) -> bool:
        """Tell whether it is a number of its own, or glued to its own label ("BSN123456782")."""
        if _JOINING.intersection(self.around):
            return False
        word = _GLUED.search(data, max(0, self.start - 24), self.start)
        start = word.start() if word is not None and is_label(word[0].decode("ascii").lower()) else self.start
        return not embedded(data, start, self.end)

    def spaced(self, data: bytes) -> bool:
        """Tell whether only spaces separate the groups."""
        return not data[self.start : self.end].translate(None, b"0123456789 \r\n>")


def stretches(page: Page, layouts: Mapping[Lengths, Layout], beginnings: frozenset[Lengths]) -> Iterator[Stretch]:
    """Yield every stretch of digit groups with the lengths of a layout: numbers in one piece first, then groups.

    ``beginnings`` are those of the layouts (see below). Linear in the length of the text: a stretch grows only
    while its lengths begin some layout.
    """
    data, (single, runs) = page.data, page.numbers
    for length, found in single.items():
        layout = layouts.get((length,))
        if layout is not None:
            for start in found:
                digits = data[start : start + length].decode("ascii")
                yield Stretch(start, start + length, digits, layout, _ALONE, crowded=False)
    for starts, ends in runs:
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
                    written = data[starts[first] : ends[last]]
                    digits = written.translate(None, _SEPARATORS).decode("ascii")
                    yield Stretch(starts[first], ends[last], digits, layout, (before, after), crowded)


def beginnings_of(layouts: Mapping[Lengths, Layout]) -> frozenset[Lengths]:
    """Return every sequence of lengths with which a layout begins, whole layouts included."""
    return frozenset(lengths[:count] for lengths in layouts for count in range(1, len(lengths) + 1))


def embedded(data: bytes, start: int, end: int) -> bool:
    """Tell whether ``data[start:end]`` is part of a word, an international number, an amount or a link."""
    if _is_word(data[start - 1 : start]) or _is_word(data[end : end + 1]) or data[end : end + 1] == b"%":
        return True
    lead = data[max(0, start - 12) : start]
    if lead.endswith(b"+") or _INTERNATIONAL.search(lead) or _CURRENCY.search(lead):
        return True
    return in_link(data, start)


def in_link(data: bytes, start: int) -> bool:
    """Tell whether a position stands in a web address: its word, up to 200 bytes back, has "://" or "www."."""
    lead = data[max(0, start - 200) : start]
    if not lead or lead[-1:].isspace():
        return False
    word = lead.rsplit(None, 1)[-1]
    return b"://" in word or b"www." in word


def _is_word(byte: bytes) -> bool:
    return byte.isalnum()  # ASCII letters and digits; a letter of another script ends a number as a space does
