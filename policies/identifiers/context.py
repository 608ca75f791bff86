"""What the words around a number say about it.

A number that passes its check digit is still an order number one time in eleven. People name their numbers, so
the nearest word decides: a *label* ("NHS number") or a *hint* ("patient") speaks for an identifier, a *contrary*
word ("order", "ISBN", "tel") for something else. A contrary word that names the number directly ("Order no.
401…") settles it; one that only stands near on the same line leaves a doubt. An *ambiguous* word ("reference")
leaves a doubt where nothing else speaks.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import NamedTuple

import re2

from policies.identifiers import vocabulary
from policies.model import Confidence
from policies.prefilter import Expression, Prefilter

_BEFORE, _AFTER = 80, 40  # bytes of UTF-8 that are read on each side
_AFTER_PENALTY = 20  # characters: names mostly stand in front of their number
_CONTRARY_AFTER = 15  # characters
_MOST_LINKING = 4
_STEM_HEAD = 3  # letters; every stem has as many
_SHORT_WORD = 3  # letters
_LONGEST_PHRASE, _MOST_WORDS = 40, 5  # characters
_WORD = re.compile(r"[^\W\d_][^\W_]*")
# Between the words of a phrase: the marks of n.i., h&c, s/n, d'identité.
_MARKS = re.compile(r"\. |[.\-/&']| & ")
_JOINING = frozenset({".", "@"})
_OTHER_NUMBER = re.compile(r"[0-9](?:[ .()\-]{0,2}[0-9]){4}")


class Reading(Enum):
    """How the words around a candidate read."""

    LABELLED = "a label names it"
    HINTED = "words near it fit"
    SILENT = "nothing near it speaks"
    DOUBTFUL = "a word near it speaks for something else"
    CONTRARY = "it is named as something else"


class Sense(Enum):
    """What one word says."""

    LABEL = "names this identifier"
    HINT = "fits this identifier"
    CONTRARY = "names something else"
    AMBIGUOUS = "names this or something else"


class _Word(NamedTuple):
    sense: Sense
    start: int
    end: int


class Context:
    """The words that speak for one kind of identifier and those that speak against it.

    One pass over the few words beside a number, and a dictionary: several times faster than expressions.
    """

    def __init__(self, *, labels: tuple[str, ...], hints: tuple[str, ...] = (), against: tuple[str, ...] = ()) -> None:
        self._exact: dict[str, Sense] = {}
        stems: dict[str, Sense] = {}
        for sense, words in (
            (Sense.AMBIGUOUS, vocabulary.AMBIGUOUS),
            (Sense.CONTRARY, vocabulary.CONTRARY),
            (Sense.CONTRARY, against),
            (Sense.HINT, hints),
            (Sense.LABEL, labels),
        ):
            for word in words:
                table = stems if word.endswith("*") else self._exact
                table[word.removesuffix("*")] = sense
        self._stems: dict[str, list[tuple[str, Sense]]] = {}  # by their first letters, the longest first
        for stem in sorted(stems, key=len, reverse=True):
            self._stems.setdefault(stem[:_STEM_HEAD], []).append((stem, stems[stem]))
        self._phrase_ends = frozenset(word.rpartition(" ")[2] for word in self._exact if " " in word)
        self._known = self._phrase_ends.union(self._exact)
        self._labels = labels

    def read(self, data: bytes, start: int, end: int) -> Reading:
        """Read the words around ``data[start:end]``, which is UTF-8."""
        before = data[max(0, start - _BEFORE) : start].decode("utf-8", "ignore").lower()
        after = data[end : end + _AFTER].decode("utf-8", "ignore").lower()
        beside = after.partition("\n")[0][:_CONTRARY_AFTER]
        # Most words near most numbers say nothing: where one stands is only asked where one does.
        telling = self._telling(f"{before}\n{after}\n{beside}")
        if not telling:
            return Reading.SILENT
        nearest: dict[Sense, int] = {}
        last_contrary: _Word | None = None
        for word in self._words(before, telling):
            nearest[word.sense] = len(before) - word.end
            if word.sense is Sense.CONTRARY:
                last_contrary = word
        for word in self._words(after, telling):
            if word.sense is Sense.LABEL or word.sense is Sense.HINT:
                distance = word.start + _AFTER_PENALTY
                nearest[word.sense] = min(distance, nearest.get(word.sense, distance))
        contrary, named = _against(before, last_contrary)
        if contrary is None:
            senses = ((word.sense, word.start) for word in self._words(beside, telling))
            contrary = next((place + _AFTER_PENALTY for sense, place in senses if sense is Sense.CONTRARY), None)
        return _reading(nearest, contrary, named=named)

    def is_label(self, word: str) -> bool:
        """Tell whether this word, in lower case, is a label."""
        return self._sense(word) is Sense.LABEL

    def make_ready(self) -> None:
        """Compile what `labelled_anywhere` asks: some 10 ms, once."""
        self.labelled_anywhere(b"")

    def labelled_anywhere(self, data: bytes) -> bool:
        """Tell whether a label stands anywhere in the text: a column heading, a subject, a first line."""
        words, label = self._label_words, self._label
        return bool(words.occurring(data)) and label.search(data) is not None

    @cached_property
    def _label(self) -> "re2._Regexp":
        return _whole_text(self._labels)

    @cached_property
    def _label_words(self) -> Prefilter:
        """Asked first: several times as fast as RE2."""
        return Prefilter([_may_occur(label) for label in self._labels])

    def _telling(self, text: str) -> set[str]:
        """Return the words of a text that say something, alone or as the last of a phrase."""
        known, stems = self._known, self._stems
        return {
            word
            for word in _WORD.findall(text)
            if word in known or (word[:_STEM_HEAD] in stems and self._sense(word) is not None)
        }

    def _words(self, text: str, telling: set[str]) -> Iterator[_Word]:
        """Yield the words and phrases of the vocabulary in the order of the text; ``telling`` are those to look for."""
        if not any(word in text for word in telling):
            return
        for match in _WORD.finditer(text):
            word = match[0]
            if word not in telling:
                continue
            sense = self._sense(word)
            if word in self._phrase_ends:
                sense = self._phrase(text[: match.end()]) or sense
            if sense is not None:
                start, end = match.span()
                # What goes on as a host name or an address (nhs.uk, card@…) names nothing.
                if text[end : end + 1] not in _JOINING or not text[end + 1 : end + 2].isalnum():
                    yield _Word(sense, start, end)

    def _sense(self, word: str) -> Sense | None:
        sense = self._exact.get(word)
        if sense is None:
            for stem, meant in self._stems.get(word[:_STEM_HEAD], ()):
                if word.startswith(stem):
                    return meant
        return sense

    def _phrase(self, text: str) -> Sense | None:
        """Return what the longest phrase says that ends where the text ends."""
        words = _MARKS.sub(" ", text[-_LONGEST_PHRASE:]).split(" ")
        for length in range(min(len(words), _MOST_WORDS), 1, -1):
            sense = self._exact.get(" ".join(words[-length:]))
            if sense is not None:
                return sense
        return None


def _against(before: str, word: _Word | None) -> tuple[int | None, bool]:
    """Distance of the last contrary word in front of a number, and whether it names the number."""
    if word is None:
        return None, False
    gap = before[word.end :]
    if _OTHER_NUMBER.search(gap) is not None:
        return None, False  # it names another number
    between = _WORD.findall(gap)
    if len(between) <= _MOST_LINKING and vocabulary.LINKING.issuperset(between):
        return len(gap), True
    # A word on another line does not speak about this number.
    return (None if "\n" in gap else len(gap)), False


def _reading(nearest: dict[Sense, int], contrary: int | None, *, named: bool) -> Reading:
    label, hint = nearest.get(Sense.LABEL), nearest.get(Sense.HINT)
    if label is not None and (contrary is None or label < contrary):
        return Reading.LABELLED
    if named:
        return Reading.CONTRARY
    if hint is not None and (contrary is None or hint < contrary):
        return Reading.HINTED
    if contrary is not None or Sense.AMBIGUOUS in nearest:
        return Reading.DOUBTFUL
    return Reading.SILENT


def _may_occur(label: str) -> Expression:
    """Return what Hyperscan is asked for a label: what it finds holds all that RE2 would.

    The longest word of it, wherever that stands: a mere text compiles in microseconds. A short word is a part of too
    many others and is looked for with its borders, which takes a millisecond or more.
    """
    longest = max(label.removesuffix("*").split(" "), key=len)
    if len(longest) > _SHORT_WORD:
        return Expression(longest, ignore_case=True, unicode=not label.isascii())
    words = label.removesuffix("*").replace(" ", r"[ .\-/&]{1,3}")
    after = "" if label.endswith("*") else r"(?:[^A-Za-z0-9]|$)"
    return Expression(rf"(?:^|[^A-Za-z0-9]){words}{after}", ignore_case=True, unicode=not label.isascii())


def _whole_text(labels: tuple[str, ...]) -> "re2._Regexp":
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    words = (label.replace(" ", r"[ .\-/&]{1,3}").replace("*", r"\pL*") for label in labels)
    after = r"(?:[^\pL\pN.@]|\.(?:[^\pL\pN]|$)|$)"
    return re2.compile(rf"(?i)(?:^|[^\pL\pN])(?:{'|'.join(words)}){after}", options)


@dataclass(frozen=True, slots=True)
class Weight:
    """How a kind of identifier turns what it knows of a number into a confidence."""

    bare: Confidence  # check digit and prefix are right, and nothing else is known

    @property
    def looks_for_heading(self) -> bool:
        """Whether a label elsewhere in the text makes a difference to a bare number."""
        return self.bare < Confidence.MEDIUM

    def of(self, reading: Reading, *, grouped: bool, heading: Callable[[], bool]) -> Confidence | None:
        """Return the confidence; None when the number is named as something else.

        ``heading`` is asked only where nothing else speaks: it reads the whole text.
        """
        match reading:
            case Reading.LABELLED:
                return Confidence.HIGH
            case Reading.HINTED:
                return Confidence.HIGH if grouped else Confidence.MEDIUM
            case Reading.SILENT:
                likely = grouped or not self.looks_for_heading or heading()
                return Confidence.MEDIUM if likely else self.bare
            case Reading.DOUBTFUL:
                return Confidence.LOW
            case Reading.CONTRARY:
                return None
