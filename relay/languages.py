"""The reader's language: catalogues read from .po files at start, so that a checkout needs no build step."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, get_timezone_gmt
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


@dataclass(frozen=True, slots=True)
class Language:
    """One language with its translations; ``tag`` is what stands in relay.toml and in ``lang=""``."""

    tag: str
    translations: NullTranslations

    @property
    def gettext(self) -> Callable[[str], str]:
        """Return the translating function for templates (``_``)."""
        return self.translations.gettext

    @property
    def ngettext(self) -> Callable[[str, str, int], str]:
        """Return the translating function for counted phrases."""
        return self.translations.ngettext

    def moment(self, moment: datetime, zone: tzinfo) -> str:
        """Return a date with its time of day, to the minute, and the short name of ``zone``."""
        return f"{self.date(moment, zone)}, {self.clock(moment, zone)}"

    def date(self, moment: datetime, zone: tzinfo) -> str:
        """Return the day, in words, in ``zone``."""
        return _day_in_words(moment.astimezone(zone).date(), self._locale())

    def clock(self, moment: datetime, zone: tzinfo) -> str:
        """Return the time of day in ``zone``, with its short name (``14:02 GMT``): readers may be in another."""
        return f"{format_time(moment, 'short', tzinfo=zone, locale=self._locale())} {self._name_of(zone, moment)}"

    def size(self, octets: int) -> str:
        """Return a size as people read it: ``812 bytes``, ``1.4 MB`` (1 MB is 1,048,576 octets)."""
        for unit, name in _UNITS:
            if octets >= unit:
                return f"{format_decimal(round(octets / unit, 1), locale=self._locale())} {name}"
        return f"{octets} {self.ngettext('byte', 'bytes', octets)}"

    def _name_of(self, zone: tzinfo, moment: datetime) -> str:
        name = format_datetime(moment, "z", tzinfo=zone, locale=self._locale())
        if not name.startswith(("+", "-")):
            return name
        # Languages have no short name for most zones abroad, and "+0100" is for machines: "UTC+01:00" is in calendars.
        there = moment.astimezone(zone)
        offset = there.utcoffset()
        return get_timezone_gmt(there, "long", self._locale()) if offset else self._locale().zone_formats["gmt"] % ""

    def _locale(self) -> Locale:
        return _locale_of(self.tag)


@cache
def _locale_of(tag: str) -> Locale:
    # "en" alone would write dates the American way; the house's English is British.
    return Locale.parse("en_GB" if tag == "en" else tag)


@lru_cache(maxsize=256)  # what is written in a day names the same few days
def _day_in_words(day: date, locale: Locale) -> str:
    return format_date(day, "long", locale=locale)


def load_languages(folders: Iterable[Path], tags: Sequence[str]) -> Mapping[str, Language]:
    """Return a Language for each tag, its translations read from ``<folder>/<tag>.po`` of every folder.

    English is the language of the source and needs no file. A missing catalogue of another language raises
    FileNotFoundError: a half-translated page is a defect, not a fall-back.
    """
    folders = tuple(folders)
    return {tag: Language(tag, _translations(tag, folders)) for tag in tags}


def _translations(tag: str, folders: Sequence[Path]) -> NullTranslations:
    merged: NullTranslations = NullTranslations()
    if tag == "en":
        return merged
    for folder in folders:
        compiled = io.BytesIO()
        with (folder / f"{tag}.po").open("rb") as source:
            write_mo(compiled, read_po(source, locale=tag))
        compiled.seek(0)
        translations = GNUTranslations(compiled)
        translations.add_fallback(merged)
        merged = translations
    return merged


def negotiate(accept_language: str, offered: Sequence[str]) -> str:
    """Return the offered tag that an Accept-Language value likes best (RFC 9110 §12.5.4), else the first.

    Only primary tags count: ``de-CH`` asks for ``de``. A malformed value is the same as none.
    """
    wishes: list[tuple[float, int, str]] = []
    for position, item in enumerate(accept_language[:1000].split(",")):
        tag, _, parameter = item.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        if weight > 0:
            wishes.append((-weight, position, tag.strip().split("-")[0].lower()))
    for _, _, tag in sorted(wishes):
        if tag in offered:
            return tag
    return offered[0]
