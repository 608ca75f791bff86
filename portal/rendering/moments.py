"""Moments as pages name them."""

from datetime import datetime, timedelta


def full_minute(at: datetime) -> datetime:
    """Return the first full minute that is not before ``at``: pages show no seconds, and too early is refused."""
    return at + timedelta(seconds=-(at.second + at.microsecond / 1_000_000) % 60)
