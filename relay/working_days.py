"""How long people have for an answer: working days, Monday to Friday, by the clock on their wall."""

from datetime import UTC, datetime, timedelta, tzinfo

_SATURDAY = 5


def after_working_days(start: datetime, days: int, zone: tzinfo) -> datetime:
    """Return the moment, in UTC, when so many working days have passed since ``start`` (aware).

    Counted in ``zone``: from Thursday 15:00, three days end on Tuesday at 15:00, whatever the clock did in between.
    Saturday and Sunday do not count; who asks on one of them begins on Monday at the same time of day. A time of day
    that daylight saving leaves out is read as the one an hour later (PEP 495).
    """
    local = start.astimezone(zone)
    while days > 0:
        local += timedelta(days=1)  # arithmetic on the wall clock
        days -= local.weekday() < _SATURDAY
    return local.astimezone(UTC)
