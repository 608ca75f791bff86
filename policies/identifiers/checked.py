"""Identifiers made of digits alone, found in three steps: layout, check digit and prefix, words around."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

from policies.identifiers.checksum import Checksum
from policies.identifiers.context import Context, Reading, Weight
from policies.identifiers.layouts import Layout, Layouts, Lengths, Stretch
from policies.identifiers.runs import RUN_SOURCE
from policies.identifiers.shape import Page, Sighting, Sightings
from policies.model import Confidence
from policies.prefilter import Expression

_RUN = Expression(RUN_SOURCE)
_SERIES, _SERIES_SHARE, _SERIES_MOST = 4, 0.8, 10_000


class _Series:
    """The different numbers of a text, as a column: no word stands near them, yet nearly all pass the check.

    That is no accident: four random numbers all pass modulo 11 once in 14,641 times. A column with a number that is
    named as something else (every ISBN-10 passes as an NHS number) is none.
    """

    def __init__(self) -> None:
        self.named_otherwise = False
        self._numbers: set[bytes] = set()
        self._passed = 0

    def add(self, numbers: Sequence[bytes], passed: set[bytes]) -> None:
        """Add numbers, and which of them passed; the first 10,000 different ones of a text count."""
        room = _SERIES_MOST - len(self._numbers)
        if room > 0:
            fresh = [number for number in dict.fromkeys(numbers) if number not in self._numbers][:room]
            self._numbers.update(fresh)
            self._passed += len(passed.intersection(fresh))

    @property
    def holds(self) -> bool:
        if self.named_otherwise:
            return False
        return self._passed >= _SERIES and self._passed >= _SERIES_SHARE * len(self._numbers)


@dataclass(frozen=True, slots=True)
class DigitIdentifier:
    """One kind of identifier.

    ``checksum`` sorts most numbers out, ``valid`` decides about check digit and length. ``issued`` says whether the
    prefix is one that its issuer gives out; a number with another prefix, or in a rare layout, counts only with a
    label. ``usual_spaced_only`` leaves the usual groups without weight where marks separate them.
    """

    name: str
    layouts: Mapping[Lengths, Layout]
    checksum: Checksum
    valid: Callable[[str], bool]
    issued: Callable[[str], bool]
    context: Context
    weight: Weight
    head: int = 0
    tail: int = 0
    usual_spaced_only: bool = False
    _layouts: Layouts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_layouts", Layouts(self.layouts))

    @property
    def expression(self) -> Expression:
        """What Hyperscan is asked: it occurs in every text in which the identifier does."""
        return _RUN

    def make_ready(self) -> None:
        """Compile the look for a heading, where there may be one."""
        if self.weight.looks_for_heading:
            self.context.make_ready()

    def find(self, page: Page) -> tuple[Sighting, ...]:
        """Find every number once, at its highest confidence; 1,000 certain ones are enough for any rule."""
        if not self._layouts.may_stand_in(page):
            return ()
        sightings, series = Sightings(), _Series()
        for batch in self._layouts.batches(page):
            passed: set[bytes] = set()
            looked_at = len(batch.digits)
            for number in compress(range(looked_at), self.checksum.passing(batch.digits)):
                stretch = batch.stretch(number)
                value = stretch.digits.decode("ascii")
                if not self.valid(value):
                    continue
                if self.issued(value):
                    passed.add(stretch.digits)
                series.named_otherwise |= self._read(value, stretch, page, sightings) is Reading.CONTRARY
                if sightings.enough:
                    looked_at = number + 1
                    break
            numbers = batch.digits[:looked_at]
            if batch.rare:
                numbers = [digits for number, digits in enumerate(numbers) if number not in batch.rare]
            series.add(numbers, passed)
            if sightings.enough:
                break
        return sightings.all(floor=Confidence.MEDIUM if series.holds else Confidence.LOW)

    def _read(self, value: str, stretch: Stretch, page: Page, sightings: Sightings) -> Reading | None:
        """Add what the words around say of a valid number; return that, None where they were not read."""
        if sightings.certain(value) or not self._stands_alone(stretch, page):
            return None
        reading = self.context.read(page.data, stretch.start, stretch.end)
        confidence = self._confidence(value, stretch, page, reading)
        if confidence is not None:
            written = page.data[stretch.start : stretch.end].decode("ascii")
            sightings.add(Sighting(value, written, confidence, self.head, self.tail))
        return reading

    def _stands_alone(self, stretch: Stretch, page: Page) -> bool:
        # 1111111111 passes a modulo-11 check and is nobody's number.
        return len(set(stretch.digits)) > 1 and stretch.stands_alone(page.data, self.context.is_label)

    def _confidence(self, value: str, stretch: Stretch, page: Page, reading: Reading) -> Confidence | None:
        if stretch.layout is Layout.RARE or not self.issued(value):
            return Confidence.HIGH if reading is Reading.LABELLED else None
        grouped = (
            stretch.layout is Layout.USUAL
            and not stretch.crowded
            and (not self.usual_spaced_only or stretch.spaced(page.data))
        )
        return self.weight.of(reading, grouped=grouped, heading=lambda: self._heading(page))

    def _heading(self, page: Page) -> bool:
        if self.name not in page.headings:
            page.headings[self.name] = self.context.labelled_anywhere(page.data)
        return page.headings[self.name]
