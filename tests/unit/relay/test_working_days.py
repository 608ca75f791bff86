"""Working days are counted by the clock on the wall."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from relay.working_days import after_working_days

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-11-23 09:00", 3, "2026-11-26 09:00"),  # Monday to Thursday
        ("2026-11-26 15:00", 3, "2026-12-01 15:00"),  # Thursday to Tuesday
        ("2026-11-27 23:59", 1, "2026-11-30 23:59"),  # Friday to Monday
        ("2026-11-28 10:00", 3, "2026-12-02 10:00"),  # asked on Saturday: Monday is the first
        ("2026-11-29 10:00", 1, "2026-11-30 10:00"),  # on Sunday
        ("2026-03-27 15:00", 1, "2026-03-30 15:00"),  # over the night when the clock goes forward
        ("2026-10-23 15:00", 1, "2026-10-26 15:00"),  # and back
    ],
)
def test_only_monday_to_friday_count(start: str, days: int, end: str) -> None:
    """The time of day stays what it was, whatever the clock did in between."""
    begin = datetime.fromisoformat(start).replace(tzinfo=AMSTERDAM)
    expected = datetime.fromisoformat(end).replace(tzinfo=AMSTERDAM)
    assert after_working_days(begin.astimezone(UTC), days, AMSTERDAM) == expected
