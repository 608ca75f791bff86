"""The attributes that mail HTML may have, and the last word on the value of each."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from portal.rendering.links import followable
from portal.rendering.styles import safe_declarations

_CELL = set("align valign bgcolor width height colspan rowspan nowrap headers scope abbr".split())  # noqa: SIM905
ATTRIBUTES: dict[str, set[str]] = {
    "*": {"style", "class", "dir", "lang", "title", "align"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "border"},
    "font": {"color", "face", "size"},
    "table": {"border", "cellpadding", "cellspacing", "bgcolor", "width", "height", "summary"},
    "tr": {"bgcolor", "valign", "height"},
    "td": _CELL,
    "th": _CELL,
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "li": {"type", "value"},
    "hr": {"size", "width", "color", "noshade"},
    "br": {"clear"},
}
_LENGTH = re.compile(r"\d{1,4}(?:\.\d+)?(?:px|%)?")
_CLASS = re.compile(r"[\w -]{1,500}")
_DIRECTION = re.compile(r"ltr|rtl|auto", re.IGNORECASE)
_IMAGE = re.compile(r"image:(\d{1,6})")


@dataclass(frozen=True, slots=True)
class AttributeFilter:
    """Decides on the parsed tree, as nh3 calls it: the value to write, or None for no attribute.

    ``sources`` are the data addresses that ``image:0``, ``image:1``, ... stand for. An attribute without a rule here
    passes: nh3 escapes it, and ``ATTRIBUTES`` holds none that loads or runs anything.
    """

    sources: list[str]

    def __call__(self, tag: str, name: str, value: str) -> str | None:
        """Return the value for attribute ``name`` of an element ``tag``."""
        if name == "src":
            return self._source(value)
        if name == "align" and tag == "img":
            return None
        rule = _RULES.get(name)
        return rule(value) if rule else value

    def _source(self, value: str) -> str | None:
        match = _IMAGE.fullmatch(value)
        return self.sources[int(match[1])] if match and int(match[1]) < len(self.sources) else None


def _when(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda value: value if pattern.fullmatch(value.strip()) else None


_RULES: dict[str, Callable[[str], str | None]] = {
    "style": lambda value: safe_declarations(value) or None,
    "href": lambda value: value if followable(value) == value else None,
    "width": _when(_LENGTH),
    "height": _when(_LENGTH),
    "class": _when(_CLASS),
    "dir": _when(_DIRECTION),
}
