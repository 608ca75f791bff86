"""Language negotiation, dates and sizes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from relay.languages import load_languages, negotiate
from relay.notices.letterhead import catalogue_folders


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-CH, en;q=0.5", "de"),
        ("en;q=0.2, nl;q=0.9", "nl"),
        ("fr;q=0, nl;q=0.1", "nl"),
        ("xx, yy;q=", "en"),
        ("nl;q=bogus, de;q=0.4", "de"),
        ("," * 2000 + "de", "en"),
    ],
)
def test_negotiation(header: str, chosen: str) -> None:
    """The best offered language wins; nonsense counts as no wish."""
    assert negotiate(header, ("en", "nl", "de", "fr")) == chosen


def test_english_is_british_and_needs_no_file() -> None:
    """Dates and sizes in English read the British way without a catalogue."""
    english = load_languages((), ("en",))["en"]
    moment = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
    assert english.date(moment, ZoneInfo("Europe/London")) == "22 November 2026"
    assert "14:02" in english.moment(moment, ZoneInfo("Europe/London"))
    assert english.size(812) == "812 bytes"
    assert english.size(1) == "1 byte"
    assert english.size(3 << 20) == "3 MB"
    assert english.size(1_500_000) == "1.4 MB"


@pytest.mark.parametrize(
    ("tag", "zone", "shown"),
    [
        ("en", "Europe/London", "14:02 GMT"),
        ("de", "Europe/London", "14:02 GMT"),
        ("de", "Europe/Berlin", "15:02 MEZ"),
        ("nl", "Europe/Amsterdam", "15:02 CET"),
        ("fr", "Europe/Paris", "15:02 UTC+01:00"),
        ("en", "Asia/Kolkata", "19:32 GMT+05:30"),
    ],
)
def test_a_zone_has_a_name_that_people_know(tag: str, zone: str, shown: str) -> None:
    """Where a language has no short name for a zone, its offset stands there as calendars write it."""
    moment = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
    language = load_languages(catalogue_folders(), (tag,))[tag]
    assert language.moment(moment, ZoneInfo(zone)).endswith(f", {shown}")
