"""All detectors over all texts of a message, each once: fold, one Hyperscan pass, exact work for what may be there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from policies.attachments import attachment_place
from policies.identifiers import IDENTIFIERS
from policies.identifiers.shape import Page, Sighting
from policies.keywords import Term
from policies.model import Confidence, Content
from policies.patterns import Pattern
from policies.prefilter import Expression, Prefilter
from policies.redaction import place
from policies.text import encode, fold, odd_characters


@dataclass(frozen=True, slots=True)
class Detector:
    """What to look for: an identifier by name, a term, or a pattern with how many different matches are enough."""

    what: str | Term | Pattern
    enough: int = 1

    @property
    def expression(self) -> Expression | None:
        """What Hyperscan is asked; None where every text has to be searched."""
        if isinstance(self.what, str):
            return IDENTIFIERS[self.what].expression
        return self.what.expression

    def make_ready(self) -> None:
        """Compile what `find` needs for few texts only."""
        if isinstance(self.what, str):
            IDENTIFIERS[self.what].make_ready()

    def find(self, page: Page) -> tuple[Sighting, ...]:
        """Find what is there."""
        if isinstance(self.what, str):
            return IDENTIFIERS[self.what].find(page)
        if isinstance(self.what, Term):
            return self.what.find(page.data)
        return self.what.find(page.data, self.enough)


Seen = tuple[str, Sighting]  # where (long numbers masked), what
_ONE_NAME, _TOGETHER = "name of ", "names of attachments"


class Scanner:
    """Detectors with their prefilter; safe to share between threads."""

    def __init__(self, detectors: tuple[Detector, ...]) -> None:
        """Compile the prefilter, about 0.1 s for a few hundred terms."""
        self._detectors = detectors
        asked = [(number, detector.expression) for number, detector in enumerate(detectors)]
        self._filtered = [number for number, expression in asked if expression is not None]
        self._always = [number for number, expression in asked if expression is None]
        self._prefilter = Prefilter([expression for _, expression in asked if expression is not None])

    def make_ready(self) -> None:
        """Compile what `scan` needs for some texts only: some 40 ms, once in a process, that no message waits for.

        A term is still compiled when its longest word first occurs, which takes microseconds.
        """
        odd_characters()
        for detector in self._detectors:
            detector.make_ready()

    def scan(self, content: Content) -> Mapping[int, Sequence[Seen]]:
        """Return what each detector saw, keyed by its position; detectors that saw nothing are absent."""
        seen: dict[int, list[Seen]] = {}
        for where, text in _texts(content):
            data = encode(fold(text))
            occurring = self._prefilter.occurring(data)
            if not occurring and not self._always:
                continue
            page = Page(data)
            for number in (*sorted([self._filtered[number] for number in occurring]), *self._always):
                sightings = self._detectors[number].find(page)
                if sightings and where == _TOGETHER:
                    sightings = _unsaid(sightings, seen.get(number, ()))
                if sightings:
                    spot = place(where)
                    seen.setdefault(number, []).extend((spot, sighting) for sighting in sightings)
        return seen


def _texts(content: Content) -> Iterator[tuple[str, str]]:
    """Yield everything that a recipient reads: the subject, the bodies, the names of attachments."""
    yield "subject", content.subject
    for text in content.texts:
        yield text.where, text.text
    for number, attachment in enumerate(content.attachments, 1):
        if attachment.name:
            yield f"{_ONE_NAME}{attachment_place(number, attachment)}", attachment.name.replace("_", " ")
    # And side by side, as they are written: files that are called by numbers are a column, and one may be its heading.
    if names := "\n".join(attachment.name for attachment in content.attachments):
        yield _TOGETHER, names


def _unsaid(sightings: Sequence[Sighting], seen: Sequence[Seen]) -> tuple[Sighting, ...]:
    """Return what all names together show and none of them by itself, or none as surely: nothing is told twice."""
    surest: dict[str, Confidence] = {}
    for spot, one in seen:
        if spot.startswith(_ONE_NAME):
            surest[one.value] = max(one.confidence, surest.get(one.value, one.confidence))
    return tuple(one for one in sightings if one.value not in surest or surest[one.value] < one.confidence)
