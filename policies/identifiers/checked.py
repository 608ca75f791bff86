"""Identifiers made of digits alone, found in three steps: layout, check digit and prefix, words around."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from policies.identifiers.context import Context, Reading, Weight
from policies.identifiers.shape import RUN_SOURCE, Candidate, Layout, Lengths, Sighting, candidates
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

    @property
    def expression(self) -> str:
        """Hyperscan expression for texts in which the identifier may occur."""
        return RUN_SOURCE

    def find(self, data: bytes) -> tuple[Sighting, ...]:
        """Find every occurrence in folded UTF-8, in the order of the text."""
        sightings: list[Sighting] = []
        plain = passed = 0
        heading: bool | None = None
        for candidate in candidates(data, self.layouts):
            fits = self.valid(candidate.digits)
            if candidate.layout is not Layout.RARE:
                plain += 1
                passed += fits
            if not fits:
                continue
            reading = self.context.read(data, candidate.start, candidate.end)
            if reading is Reading.SILENT and heading is None:
                heading = self.context.labelled_anywhere(data)
            confidence = self._confidence(candidate, reading, heading=bool(heading))
            if confidence is not None:
                evidence = data[candidate.start : candidate.end].decode("utf-8", "replace")
                sightings.append(Sighting(candidate.digits, mask(evidence, head=self.head, tail=self.tail), confidence))
        if passed >= _SERIES and passed >= _SERIES_SHARE * plain:
            return tuple(_raised(sightings))
        return tuple(sightings)

    def _confidence(self, candidate: Candidate, reading: Reading, *, heading: bool) -> Confidence | None:
        if candidate.layout is Layout.RARE or not self.issued(candidate.digits):
            return Confidence.HIGH if reading is Reading.LABELLED else None
        grouped = (
            candidate.layout is Layout.USUAL
            and not candidate.crowded
            and (candidate.spaced or not self.usual_spaced_only)
        )
        return self.weight.of(reading, grouped=grouped, labelled_anywhere=heading)


def _raised(sightings: list[Sighting]) -> Iterator[Sighting]:
    for sighting in sightings:
        yield replace(sighting, confidence=max(sighting.confidence, Confidence.MEDIUM))
