"""Regular expressions of the organisation, in RE2 syntax, over folded text: linear time whatever they say.

RE2 decides; Hyperscan is asked first where both are certain to read the expression alike. Where they might not
(Unicode classes, multi-line anchors, long repetitions), RE2 searches every text: correct, 15 microseconds per 10 KB.
"""

import re
from dataclasses import dataclass, replace

import re2

from policies.identifiers.shape import Sighting
from policies.model import Confidence
from policies.prefilter import Expression, Prefilter

_MEMORY = 16 << 20  # bytes per pattern and direction, for the automaton that RE2 builds while it searches
# Every match starts a new search, and one search may read to the end of the text: without a bound the work on a
# hostile text would be quadratic. A text with more matches than this counts as full of them.
MOST_MATCHES = 1000

_PROBES = ("", "a", "A 1", "-\n ")  # a pattern that matches nothing in one of these can match nothing anywhere

# Syntax on which RE2 (UTF-8) and Hyperscan (UTF-8, no UCP) agree, piece by piece.
_REPEAT = r"(?:[*+?]|\{[0-9]{1,2}(?:,(?:[0-9]{1,3})?)?\})\??"
_CLASS_MEMBER = r"(?:[^\\\[\]^\-\u0080-\U0010ffff]|\\[dws\-\]\[\\./+*?(){}|$^]|[0-9A-Za-z]-[0-9A-Za-z])"
_PIECE = (
    rf"(?:[^\\\[\](){{}}*+?|^$.\u0080-\U0010ffff]|\\[dDwWsSb]|\\[^0-9A-Za-z\u0080-\U0010ffff]|\.|\||\^|\$"
    rf"|\(\?:|\((?!\?)|\)|\[\^?{_CLASS_MEMBER}+\])"
)
_SHARED = re.compile(rf"(?:\(\?i\))?(?:{_PIECE}(?:{_REPEAT})?)+")
_LONGEST_SHARED = 500


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. ``expression`` is None where only RE2 may read it."""

    source: str
    expression: Expression | None
    exact: "re2._Regexp"

    def find(self, data: bytes, enough: int) -> tuple[Sighting, ...]:
        """Find matches in folded UTF-8 until ``enough`` different ones are known.

        After 1,000 matches the text counts as holding enough: sightings are made up for the rest, so that a rule
        that asks for many fails closed.
        """
        seen: dict[str, Sighting] = {}
        for number, match in enumerate(self.exact.finditer(data), 1):
            value = match[0].decode("utf-8", "replace")
            if value:
                seen.setdefault(value, Sighting(value, value, Confidence.HIGH, head=2))
            if len(seen) >= enough:
                break
            if number >= MOST_MATCHES:
                last = next(reversed(seen.values()), Sighting("", "***", Confidence.HIGH, public=True))
                missing = range(enough - len(seen))
                return (*seen.values(), *(replace(last, value=f"{count}\0") for count in missing))
        return tuple(seen.values())


def read_pattern(source: str) -> Pattern:
    """Compile a pattern; ValueError with a sentence when RE2 cannot read it or it matches nothing in particular."""
    options = re2.Options()
    options.log_errors = False  # RE2 would write to stderr
    options.never_capture = True  # groups cost time and nobody asks for them
    options.max_mem = _MEMORY
    try:
        exact = re2.compile(source, options)
    except re2.error as problem:
        raise ValueError(_sentence(problem)) from problem
    if any(match.start() == match.end() for probe in _PROBES for match in exact.finditer(probe)):
        raise ValueError("this pattern matches where nothing is written, so it would hold for every message")
    return Pattern(source, _shared(source), exact)


def _shared(source: str) -> Expression | None:
    if len(source) > _LONGEST_SHARED or _SHARED.fullmatch(source) is None:
        return None
    expression = Expression(source, unicode=True, approximate=True)
    try:
        Prefilter([expression])
    except ValueError:
        return None
    return expression


def _sentence(problem: Exception) -> str:
    raw = problem.args[0] if problem.args else ""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    reason, _, what = text.partition(": ")
    hint = ""
    if "perl operator" in reason or "(?" in what:
        hint = "; RE2 has no look-ahead and no look-behind"
    elif "escape" in reason:
        hint = "; RE2 has no back-references, and \\z instead of \\Z"
    elif "too large" in reason or "repetition size" in reason:
        hint = "; write shorter repetitions"
    return f"RE2 cannot read this pattern: {text}{hint}"
