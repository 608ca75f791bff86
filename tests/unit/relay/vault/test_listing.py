"""From a reading to parts and manifest: whatever the message, the manifest is a valid one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.clock import new_id
from relay.message.parts import Kind, Part, Reading
from relay.vault.listing import author, clean, contents, manifest
from relay.vault.sealing.manifest import MAX_LENGTH, MAX_PARTS, Manifest, PartRole

_TEXT = st.text(st.characters(), max_size=30)
_KINDS: tuple[Kind, ...] = ("text", "html", "inline", "attachment")


def written(reading: Reading, original: bytes = b"") -> Manifest:
    parts = contents(reading, original)
    made = manifest(reading, [part.entry(new_id()) for part in parts])
    assert Manifest.decode(made.encode()) == made
    return made


@given(
    st.builds(
        Reading,
        from_=_TEXT,
        from_name=_TEXT,
        to=st.lists(_TEXT, max_size=3).map(tuple),
        cc=st.lists(_TEXT, max_size=3).map(tuple),
        subject=_TEXT,
        date=st.none() | st.datetimes(timezones=st.timezones() | st.just(timezone(timedelta(seconds=3661)))),
        parts=st.lists(
            st.builds(
                Part, kind=st.sampled_from(_KINDS), where=st.just(""), name=_TEXT, type=_TEXT, text=_TEXT, cid=_TEXT
            ),
            max_size=5,
        ).map(tuple),
    )
)
def test_every_reading_has_a_valid_manifest(reading: Reading) -> None:
    """Half surrogates, control characters, odd types and odd dates never make a message unsealable."""
    assert len(written(reading).parts) == len(reading.parts) + 1


def test_thousands_of_parts_and_people_still_fit() -> None:
    """What exceeds a manifest is left out of the list; the original has it."""
    parts = tuple(Part("attachment", "", name="\U0001f4ce" * 300, type="a/b", data=b"") for _ in range(3000))
    people = tuple(f"{'ü' * 60}{number}@example.net" for number in range(9000))
    made = written(Reading(from_="a@example.org", to=people, cc=people, parts=parts))
    assert len(made.encode()) <= MAX_LENGTH
    assert len(made.parts) <= MAX_PARTS
    assert made.parts[-1].kind is PartRole.ORIGINAL
    assert made.to == people[: len(made.to)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\r\nBcc: x", "aBcc: x"), ("\ud800x\x00", "x"), ("é\u2028", "é"), ("x" * 2000, "x" * 998)],
)
def test_text_of_the_manifest_is_one_clean_line(text: str, expected: str) -> None:
    """Nothing that breaks a line or a JSON reader stays."""
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Anna Baker", "Anna Baker <anna@example.org>"),
        ("J\u00f6rg\r\nM\u00fcller", "J\u00f6rg M\u00fcller <anna@example.org>"),
        ("", "anna@example.org"),
        ("\u202e \x00", "anna@example.org"),
        ("ceo@example.com", "anna@example.org"),
        ("ceo\uff20example.com", "anna@example.org"),
        ("Chief <ceo", "anna@example.org"),
        ("x" * 300, "x" * 99 + "\u2026 <anna@example.org>"),
    ],
)
def test_the_author_has_a_name_unless_it_could_be_an_address(name: str, expected: str) -> None:
    """Name with the address behind it; a name that could pass for another address is left out."""
    assert author(name, "anna@example.org") == expected
    assert written(Reading(from_=("anna@example.org"), from_name=name)).sender == expected


def test_unusual_type_becomes_octets_and_bodies_become_utf8() -> None:
    """A type that is none is not repeated, and a body is stored as UTF-8 whatever it was."""
    parts = (
        Part("attachment", "", name="x", type="weird", data=b"x"),
        Part("text", "", type="text/plain", text="\ud83d odd ü"),
    )
    strange, text, _ = contents(Reading(parts=parts), b"")
    assert strange.type == "application/octet-stream"
    assert text.data == "? odd ü".encode()


def test_date_keeps_the_senders_offset() -> None:
    """The reader sees the hour that the sender's clock showed."""
    moment = datetime(2026, 11, 22, 14, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert written(Reading(date=moment)).date == "2026-11-22T14:00:00-05:00"
    assert written(Reading(date=moment.astimezone(UTC))).date == "2026-11-22T19:00:00+00:00"
    assert written(Reading(date=None)).date == ""
