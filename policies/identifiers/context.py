"""What the words around a number say about it.

A number that passes its check digit is still an order number one time in eleven. People name their numbers, so
the nearest word decides: a *label* ("NHS number") or a *hint* ("patient") speaks for an identifier, a *contrary*
word ("order", "ISBN", "tel") for something else. A contrary word that names the number directly ("Order no.
401…") settles it; one that only stands near on the same line leaves a doubt. An *ambiguous* word ("reference")
leaves a doubt where nothing else speaks.
"""

import re
from dataclasses import dataclass
from enum import Enum

import re2

from policies.identifiers import vocabulary
from policies.model import Confidence

_BEFORE, _AFTER = 80, 40  # bytes of UTF-8 that are read on each side
_AFTER_PENALTY = 20  # bytes: names mostly stand in front of their number
# What may stand between a name and its number: "Order no.: #", "ISBN-10 is", "tracking code of your".
_LINKING = re2.compile(
    r"(?i)^[\s\pP\pS]*(?:(?:no|nr|num|numbers?|nummers?|nummern|numéro|code|id|refs?|reference|is|was|lautet|ist|est"
    r"|are|the|your|le|la|het|de|du|of|10|13)\b[\s\pP\pS]*){0,4}$"
)
_OTHER_NUMBER = re.compile(rb"[0-9](?:[ .()\-]{0,2}[0-9]){4}")


class Reading(Enum):
    """How the words around a candidate read."""

    LABELLED = "a label names it"
    HINTED = "words near it fit"
    SILENT = "nothing near it speaks"
    DOUBTFUL = "a word near it speaks for something else"
    CONTRARY = "it is named as something else"


class Words:
    """A vocabulary compiled for searching UTF-8 bytes at word boundaries, in any case."""

    def __init__(self, words: tuple[str, ...]) -> None:
        options = re2.Options()
        options.log_errors = False
        body = "|".join(words)
        # A word that goes on as a host name or an address (nhs.uk, card@…) names nothing.
        after = r"(?:[^\pL\pN.@]|\.(?:[^\pL\pN]|$)|$)"
        self._expression = re2.compile(rf"(?i)(?:^|[^\pL\pN])({body}){after}", options)

    def occur(self, data: bytes) -> bool:
        """Tell whether one of the words stands anywhere in the text."""
        return self._expression.search(data) is not None

    def last(self, data: bytes) -> int | None:
        """Return where the last of the words ends, None where there is none."""
        end = None
        match = self._expression.search(data)
        while match is not None:
            end = match.end(1)
            match = self._expression.search(data, end)
        return end

    def distance(self, before: bytes, after: bytes) -> int | None:
        """Bytes from the number to the nearest word on either side, None where there is none."""
        last = self.last(before)
        follows = self._expression.search(after)
        ahead = None if last is None else len(before) - last
        behind = None if follows is None else follows.start(1) + _AFTER_PENALTY
        return min((distance for distance in (ahead, behind) if distance is not None), default=None)


_AMBIGUOUS = Words(vocabulary.AMBIGUOUS)


class Context:
    """The words that speak for one kind of identifier and those that speak against it."""

    def __init__(self, *, labels: tuple[str, ...], hints: tuple[str, ...], against: tuple[str, ...] = ()) -> None:
        self._labels = Words(labels)
        self._hints = Words(hints)
        self._contrary = Words((*against, *vocabulary.CONTRARY))

    def read(self, data: bytes, start: int, end: int) -> Reading:
        """Read the words around ``data[start:end]``."""
        before = data[max(0, start - _BEFORE) : start]
        after = data[end : end + _AFTER]
        contrary, named = self._against(before, after)
        label = self._labels.distance(before, after)
        if label is not None and (contrary is None or label < contrary):
            return Reading.LABELLED
        if named:
            return Reading.CONTRARY
        hint = self._hints.distance(before, after)
        if hint is not None and (contrary is None or hint < contrary):
            return Reading.HINTED
        if contrary is not None or _AMBIGUOUS.last(before) is not None:
            return Reading.DOUBTFUL
        return Reading.SILENT

    def labelled_anywhere(self, data: bytes) -> bool:
        """Tell whether a label stands anywhere in the text: a column heading, a subject, a first line."""
        return self._labels.occur(data)

    def _against(self, before: bytes, after: bytes) -> tuple[int | None, bool]:
        """Distance of the nearest contrary word, and whether it names the number."""
        last = self._contrary.last(before)
        if last is not None:
            gap = before[last:]
            if _LINKING.search(gap) is not None:
                return len(gap), True
            # A word on another line, or one that already names another number, does not speak about this one.
            if b"\n" not in gap and _OTHER_NUMBER.search(gap) is None:
                return len(gap), False
        behind = self._contrary.distance(b"", after.partition(b"\n")[0][:15])
        return behind, False


@dataclass(frozen=True, slots=True)
class Weight:
    """How a kind of identifier turns what it knows of a number into a confidence."""

    bare: Confidence  # check digit and prefix are right, and nothing else is known

    def of(self, reading: Reading, *, grouped: bool, labelled_anywhere: bool) -> Confidence | None:
        """Return the confidence; None when the number is named as something else."""
        match reading:
            case Reading.LABELLED:
                return Confidence.HIGH
            case Reading.HINTED:
                return Confidence.HIGH if grouped else Confidence.MEDIUM
            case Reading.SILENT:
                return Confidence.MEDIUM if grouped or labelled_anywhere else self.bare
            case Reading.DOUBTFUL:
                return Confidence.LOW
            case Reading.CONTRARY:
                return None
