"""Moments and spans of time, as commands print them."""

from datetime import datetime

from relay import clock


def moment(at: datetime) -> str:
    """Return a moment in local time, to the second, with the zone named."""
    return clock.local_text(at)


def span(later: datetime, earlier: datetime) -> str:
    """Return the time between two moments in its largest unit: ``3 h``; never negative."""
    seconds = max(0, int((later - earlier).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def due_in(at: datetime | None, now: datetime) -> str:
    """Return how long it is until a moment: ``now``, ``in 3 h``; empty without one."""
    if at is None:
        return ""
    return "now" if at <= now else f"in {span(at, now)}"
