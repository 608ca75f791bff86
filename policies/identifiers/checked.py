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

# In a column of numbers no word stands near. Where nearly all of several numbers pass the check, it is no accident:
# four random numbers all pass modulo 11 once in 14,641 times.
_SERIES, _SERIES_SHARE = 4, 0.8


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
        whole = passed = 0
        for stretch in stretches(page, self.layouts, self._beginnings):
            fits = self.valid(stretch.digits)
            if stretch.layout is not Layout.RARE:
                whole += 1
                passed += fits
            if fits and not sightings.certain(stretch.digits):
                sighting = self._sighting(stretch, page)
                if sighting is not None:
                    sightings.add(sighting)
                if sightings.enough:
                    break
        series = passed >= _SERIES and passed >= _SERIES_SHARE * whole
        return sightings.all(floor=Confidence.MEDIUM if series else Confidence.LOW)

    def _sighting(self, stretch: Stretch, page: Page) -> Sighting | None:
        # 1111111111 passes a modulo-11 check and is nobody's number.
        if len(set(stretch.digits)) == 1 or not stretch.stands_alone(page.data, self.context.is_label):
            return None
        confidence = self._confidence(stretch, page)
        if confidence is None:
            return None
        written = page.data[stretch.start : stretch.end].decode("ascii")
        return Sighting(stretch.digits, mask(written, head=self.head, tail=self.tail), confidence)

    def _confidence(self, stretch: Stretch, page: Page) -> Confidence | None:
        reading = self.context.read(page.data, stretch.start, stretch.end)
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
