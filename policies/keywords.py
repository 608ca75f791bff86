"""Terms of a word list: whole words in any case, in every script; "*" at either end stands for the rest of a word.

A space or hyphen in a term stands for any run of spaces, hyphens and line breaks, quotation marks of a mail
included ("mental" at the end of one quoted line, "health" on the next). Letters and digits are what words are made
of: an underscore ends one, so that file names are read too. Umlauts and accents count; a term
written with "ß" also finds "ss".
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import re2

from policies.identifiers.shape import Sighting
from policies.model import Confidence
from policies.prefilter import Expression
from policies.text import fold

_GAP = re.compile(r"[\s\-]+")
_GAP_EXPRESSION = r"[\s>\-]{1,12}"
_SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Term:
    """One term as its list has it. ``body`` is its expression, in the syntax that RE2 and Hyperscan share."""

    term: str
    body: str
    open_start: bool
    open_end: bool

    @property
    def expression(self) -> Expression:
        """The same words over bytes, where "é" ends a word: a little more than the exact work will find."""
        if self.body.isascii():
            start = "" if self.open_start else "(?:^|[^0-9A-Za-z])"
            end = "" if self.open_end else "(?:[^0-9A-Za-z]|$)"
            return Expression(f"{start}{self.body}{end}", ignore_case=True)
        return Expression(self.body, ignore_case=True, unicode=True)

    def find(self, data: bytes) -> tuple[Sighting, ...]:
        """Say whether the term occurs in folded UTF-8: one sighting or none, and the term itself as evidence."""
        start = "" if self.open_start else r"(?:^|[^\pL\pN])"
        end = "" if self.open_end else r"(?:[^\pL\pN]|$)"
        if _exact(f"(?i){start}(?:{self.body}){end}").search(data) is None:
            return ()
        return (Sighting(self.term, self.term, Confidence.HIGH),)


def read_term(written: str) -> Term:
    """Read one term of a list; ValueError with a sentence when it could never be searched for with sense."""
    term = " ".join(fold(written).split())
    core = term.strip("*")
    letters = [character for character in core if character.isalnum()]
    if not letters or (len(core) < _SHORTEST and core.isascii()):
        raise ValueError(f'the term "{term}" is too short: it needs a letter or digit, and two characters')
    if "*" in core:
        raise ValueError(f'the term "{term}" has a "*" inside: it can only stand at the start or the end')
    return Term(term, _body(core), open_start=term.startswith("*"), open_end=term.endswith("*"))


def _body(core: str) -> str:
    words = (re.escape(word).replace("ß", "(?:ß|ss|ẞ)") for word in _GAP.split(core) if word)
    return _GAP_EXPRESSION.join(words)


@lru_cache(maxsize=4096)
def _exact(source: str) -> "re2._Regexp":
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    return re2.compile(source, options)
