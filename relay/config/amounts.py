"""Sizes and times as relay.toml writes them: "50 MiB", "90s". A bare number is refused, its unit would be a guess."""

import re
from datetime import timedelta

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

_SIZE = re.compile(r"(\d{1,9}) ?(B|KiB|MiB|GiB)", re.ASCII)
_SIZE_UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_TIME = re.compile(r"(\d{1,9}) ?([smhd])", re.ASCII)
_TIME_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def size(value: object) -> int:
    """Return octets for a text such as ``50 MiB``; a bare number is refused, its unit would be a guess."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return int(match[1]) * _SIZE_UNITS[match[2]]
    raise ValueError('write a size such as "128 KiB", "50 MiB" or "1 GiB"')


def size_text(octets: int) -> str:
    """Write octets in the largest unit that fits without a remainder: the inverse of ``size``."""
    unit = next(unit for unit, factor in _SIZE_UNITS.items() if octets % factor == 0)
    return f"{octets // _SIZE_UNITS[unit]} {unit}"


def size_words(octets: int) -> str:
    """Return octets for a person, rounded: ``3.1 MiB``."""
    if octets < _SIZE_UNITS["KiB"]:
        return f"{octets} B"
    unit, factor = next((unit, factor) for unit, factor in _SIZE_UNITS.items() if octets >= factor)
    return f"{octets / factor:.1f} {unit}"


def duration(value: object) -> timedelta:
    """Return the time for a text such as ``90s``, ``15m``, ``4h`` or ``30d``."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and (match := _TIME.fullmatch(value)):
        seconds = int(match[1]) * _TIME_UNITS[match[2]]
        if seconds <= timedelta(days=36500).total_seconds():
            return timedelta(seconds=seconds)
    raise ValueError('write a time such as "90s", "15m", "4h" or "30d"')


def duration_text(value: timedelta) -> str:
    """Write a time in the largest unit that fits without a remainder: the inverse of ``duration``."""
    seconds = int(value.total_seconds())
    unit = next(unit for unit, factor in _TIME_UNITS.items() if seconds % factor == 0)
    return f"{seconds // _TIME_UNITS[unit]}{unit}"


def optional_duration(value: object) -> timedelta | None:
    """Return a time, or None for ``never``."""
    if value is None or value == "never":
        return None
    try:
        return duration(value)
    except ValueError:
        raise ValueError('write a time such as "15m" or "4h", or "never"') from None


def optional_duration_text(value: timedelta | None) -> str:
    """Write a time, or ``never`` for None: the inverse of ``optional_duration``."""
    return "never" if value is None else duration_text(value)
