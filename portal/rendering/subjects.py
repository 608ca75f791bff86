"""Subjects as headings: without the tags that staff type to have a message sealed, and without repeated ``Re:``."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from policies.labels import tag_key

_LONGEST = 100  # characters that a tag may take up in a subject
# "Answer" and "forward" in English, Dutch, German, French and in what their programs write.
_PREFIX = re.compile(r"(?:(?:re|aw|antw|sv|rép|rif|r|fw|fwd|wg|doorst|tr)(?:\[\d{1,3}\])?\s?:\s*)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Subjects:
    """Knows the organisation's tags, in the form in which they are compared (``policies.labels.tag_key``)."""

    tags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tags: Iterable[str]) -> "Subjects":
        """Return the subjects of an organisation whose rules look for ``tags``."""
        return cls(frozenset(filter(None, map(tag_key, tags))))

    def shown(self, subject: str) -> str:
        """Return the subject without tags at its beginning (after ``Re:``) and end; it may become empty."""
        prefix = _PREFIX.match(subject)
        lead, rest = (prefix[0], subject[prefix.end() :]) if prefix else ("", subject)
        while (shorter := self._without_tag(rest)) != rest:
            rest = shorter
        return f"{lead}{rest}".strip() if rest else ""

    def same_topic(self, one: str, other: str) -> bool:
        """Say whether two subjects differ in nothing but tags and the marks of answers."""
        return self._topic(one) == self._topic(other)

    def _topic(self, subject: str) -> str:
        shown = self.shown(subject)
        prefix = _PREFIX.match(shown)
        return (shown[prefix.end() :] if prefix else shown).casefold().strip()

    def _without_tag(self, subject: str) -> str:
        for length in range(1, min(len(subject), _LONGEST) + 1) if self.tags else ():
            if tag_key(subject[:length]) in self.tags:
                return subject[length:].strip()
            if tag_key(subject[-length:]) in self.tags:
                return subject[:-length].strip()
        return subject
