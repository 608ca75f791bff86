"""Identifiers made of digits alone, found in three steps: layout, check digit and prefix, words around."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from policies.identifiers.context import Context, Reading, Weight
from policies.identifiers.shape import (
    RUN_SOURCE,
    Layout,
    Lengths,
    Page,
    Sighting,
    Sightings,
    Stretch,
    beginnings_of,
    stretches,
)
from policies.model import Confidence
from policies.redaction import mask

_SERIES, _SERIES_SHARE, _SERIES_MOST = 4, 0.8, 10_000


class _Series:
    """The different numbers of a text, as a column: no word stands near them, yet nearly all pass the check.

    That is no accident: four random numbers all pass modulo 11 once in 14,641 times. A column with a number that is
    named as something else (every ISBN-10 passes as an NHS number) is none.
    """

    def __init__(self) -> None:
        self.named_otherwise = False
        self._numbers: set[str] = set()
        self._passed = 0

    def add(self, digits: str, *, passed: bool) -> None:
        if digits not in self._numbers and len(self._numbers) < _SERIES_MOST:
            self._numbers.add(digits)
            self._passed += passed

    @property
    def holds(self) -> bool:
        if self.named_otherwise:
            return False
        return self._passed >= _SERIES and self._passed >= _SERIES_SHARE * len(self._numbers)


@dataclass(frozen=True, slots=True)
class DigitIdentifier:
    """One kind of identifier.

    ``valid`` checks check digit and length. ``issued`` says whether the prefix is one that its issuer gives out;
    a number with another prefix, or in a rare layout, counts only with a label. ``usual_spaced_only`` leaves the
    usual groups without weight where marks separate them.
    """

    name: str
    layouts: Mapping[Lengths, Layout]
    valid: Callable[[str], bool]
    issued: Callable[[str], bool]
    context: Context
    weight: Weight
    head: int = 0
    tail: int = 0
    usual_spaced_only: bool = False
    _beginnings: frozenset[Lengths] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_beginnings", beginnings_of(self.layouts))

    @property
    def expression(self) -> str:
        """Hyperscan expression for texts in which the identifier may occur."""
        return RUN_SOURCE

    def find(self, page: Page) -> tuple[Sighting, ...]:
        """Find every number once, at its highest confidence; 1,000 certain ones are enough for any rule."""
        sightings = Sightings()
        series = _Series()
        for stretch in stretches(page, self.layouts, self._beginnings):
            fits = self.valid(stretch.digits)
            if stretch.layout is not Layout.RARE:
                series.add(stretch.digits, passed=fits and self.issued(stretch.digits))
            if not fits or sightings.certain(stretch.digits) or not self._stands_alone(stretch, page):
                continue
            reading = self.context.read(page.data, stretch.start, stretch.end)
            series.named_otherwise |= reading is Reading.CONTRARY
            confidence = self._confidence(stretch, page, reading)
            if confidence is not None:
                written = page.data[stretch.start : stretch.end].decode("ascii")
                evidence = mask(written, head=self.head, tail=self.tail)
                sightings.add(Sighting(stretch.digits, evidence, confidence))
                if sightings.enough:
                    break
        return sightings.all(floor=Confidence.MEDIUM if series.holds else Confidence.LOW)

    def _stands_alone(self, stretch: Stretch, page: Page) -> bool:
        # 1111111111 passes a modulo-11 check and is nobody's number.
        return len(set(stretch.digits)) > 1 and stretch.stands_alone(page.data, self.context.is_label)

    def _confidence(self, stretch: Stretch, page: Page, reading: Reading) -> Confidence | None:
        if stretch.layout is Layout.RARE or not self.issued(stretch.digits):
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
