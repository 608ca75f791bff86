"""Numbers in the groups in which people write an identifier.

A layout is a sequence of lengths: (3, 3, 4) is 943 476 5919. Candidates are cut by patterns of our own and validated
afterwards: a validator that strips separators would find numbers anywhere.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from typing import NamedTuple

from policies.identifiers.runs import PUNCTUATION
from policies.identifiers.shape import Page, embedded

_GLUED = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z]+\Z")
_JOINING = frozenset({b".", b"-"})  # without a space: a decimal, a date, a longer number
_LONG_GROUP = 3
_MOST_TOGETHER = 4096

Lengths = tuple[int, ...]


class Layout(Enum):
    """How a number is written: in one piece, as its issuer groups it, or in a way that needs a label."""

    PLAIN = "in one piece"
    USUAL = "in the usual groups"
    RARE = "in unusual groups"


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

    def spaced(self, data: bytes) -> bool:
        """Tell whether only spaces separate the groups."""
        return not data[self.start : self.end].translate(None, b"0123456789 \r\n>")


class Batch(NamedTuple):
    """Numbers that may be checked together: the digits of each, in ASCII, and by position where it is.

    ``rare`` are the positions of those in a rare layout.
    """

    digits: Sequence[bytes]
    rare: Collection[int]
    stretch: Callable[[int], Stretch]


class Layouts:
    """The layouts of one identifier, ready to be looked for; no group of one has as many as 255 digits."""

    def __init__(self, layouts: Mapping[Lengths, Layout]) -> None:
        self._layouts = {bytes(lengths): layout for lengths, layout in layouts.items()}
        self._single = {lengths[0]: layout for lengths, layout in layouts.items() if len(lengths) == 1}
        self._counts = sorted(set(map(len, layouts)))
        # Where a layout may begin. Inside a row of single digits none does: a number begins where the row does.
        self._begins = re.compile(
            b"(?=%s)"
            % b"|".join(
                (rb"(?<!\x01)" if lengths.startswith(b"\x01") else b"") + re.escape(lengths)
                for lengths in self._layouts
            )
        )

    def may_stand_in(self, page: Page) -> bool:
        """Say whether a text has numbers of one of these lengths, or numbers in groups."""
        return bool(page.numbers.runs) or not self._single.keys().isdisjoint(page.numbers.single)

    def batches(self, page: Page) -> Iterator[Batch]:
        """Yield every number in a layout: those in one piece by length, then the groups in the order of the text.

        At most a few thousand at a time; linear in the length of the text.
        """
        for length, found in page.numbers.single.items():
            layout = self._single.get(length)
            if layout is not None:
                for first in range(0, len(found), _MOST_TOGETHER):
                    yield _in_one_piece(page.data, length, layout, found[first : first + _MOST_TOGETHER])
        if not page.numbers.runs:
            return
        grouped = self._in_groups(page)
        while some := list(islice(grouped, _MOST_TOGETHER)):
            rare = {number for number, one in enumerate(some) if one.layout is Layout.RARE}
            yield Batch([one.digits for one in some], rare, some.__getitem__)

    def _in_groups(self, page: Page) -> Iterator[Stretch]:
        data = page.data
        for starts, ends, lengths in page.numbers.runs:
            for begin in self._begins.finditer(lengths):
                first = begin.start()
                for count in self._counts:
                    layout = self._layouts.get(lengths[first : first + count])
                    last = first + count - 1
                    if layout is None or last >= len(lengths):
                        continue
                    before = data[ends[first - 1] : starts[first]] if first else b""
                    after = data[ends[last] : starts[last + 1]] if last + 1 < len(lengths) else b""
                    crowded = (before == b" " and lengths[first - 1] >= _LONG_GROUP) or (
                        after == b" " and lengths[last + 1] >= _LONG_GROUP
                    )
                    digits = data[starts[first] : ends[last]].translate(None, PUNCTUATION)
                    yield Stretch(starts[first], ends[last], digits, layout, (before, after), crowded)


def _in_one_piece(data: bytes, length: int, layout: Layout, starts: Sequence[int]) -> Batch:
    digits = [data[start : start + length] for start in starts]
    return Batch(
        digits,
        range(len(digits)) if layout is Layout.RARE else (),
        lambda number: Stretch(starts[number], starts[number] + length, digits[number], layout),
    )
