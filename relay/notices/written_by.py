"""The line above a reader's answer that names the person who wrote it, as that person called themself.

It is for staff, in the language of the organisation. Pages take it off again and say the same in the reader's language.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from relay.languages import Language, load_languages
from relay.notices.letterhead import LOCALE

_NAME = "\0"  # stands in no name


@dataclass(frozen=True, slots=True)
class WrittenBy:
    """Knows the line in each language of an organisation."""

    patterns: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, tags: Iterable[str]) -> "WrittenBy":
        """Return what knows the line in the languages ``tags``."""
        languages = load_languages([LOCALE / "replies"], tuple(tags)).values()
        lines = [
            re.escape(written_by(language, _NAME)).replace(re.escape(_NAME), r"([^\r\n]{1,200})")
            for language in languages
        ]
        return cls(tuple(re.compile(rf"{line}\r?\n\r?\n") for line in lines))

    def parted(self, text: str) -> tuple[str, str]:
        """Return the name above the text of an answer, and the text below; no name and all of it where none is."""
        match = next(filter(None, (pattern.match(text) for pattern in self.patterns)), None)
        return (match[1], text[match.end() :]) if match else ("", text)


def written_by(language: Language, name: str) -> str:
    """Return the line, in ``language``."""
    return language.gettext("Written by %(name)s in the portal") % {"name": name}
