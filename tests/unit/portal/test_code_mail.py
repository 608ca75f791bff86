"""What the reader is told about the mail with the code."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert

from relay.clock import new_id
from relay.store.tables import Entry
from tests.letters import JANE, letter
from tests.portal_stage import Clock, Stage
from tests.unit.portal.guest import Guest


def queue_code_mail(stage: Stage, participant_id: bytes, at: datetime, **columns: object) -> None:
    """Leave the queue entry that the relay makes of the request."""
    row = {
        "id": new_id(),
        "message_id": new_id(),
        "kind": "code",
        "route": "outside",
        "domain": "example.net",
        "recipient_hash": bytes(16),
        "envelope": b"",
        "state": "due",
        "created_at": at,
        "due_at": at,
        "attempts": 0,
        "lease_epoch": 0,
        "participant_id": participant_id,
        **columns,
    }
    stage.store.run(lambda conn: conn.execute(insert(Entry.__table__).values(row)))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({}, "was handed over at 09:00 GMT and is on its way"),
        ({"state": "leased", "attempts": 1}, "was handed over at 09:00 GMT and is on its way"),
        (
            {"state": "done", "attempts": 1, "finished_at": timedelta(minutes=2)},
            "mail server accepted the mail with the code at 09:02 GMT",
        ),
        ({"attempts": 1, "due_at": timedelta(minutes=5)}, "asked us to wait. We try again at 09:05 GMT"),
        ({"state": "bounced", "attempts": 1}, "refused the mail with the code. Please ask Example Council for help"),
    ],
)
def test_the_page_tells_what_happened(
    stage: Stage, clock: Clock, guest: Guest, columns: dict[str, object], sentence: str
) -> None:
    """On its way, accepted, put off or refused: with the time where there is one."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    guest.ask(link)
    assert "was handed over at 09:00 GMT" in guest.text
    timed = {name: clock.now() + value if isinstance(value, timedelta) else value for name, value in columns.items()}
    queue_code_mail(stage, link.participant_id, clock.now(), **timed)
    guest.get(f"{link.path}/code")
    assert sentence in guest.text


def test_an_older_mail_is_not_taken_for_this_one(stage: Stage, clock: Clock, guest: Guest) -> None:
    """What happened to yesterday's code says nothing about today's."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    queue_code_mail(stage, link.participant_id, clock.now() - timedelta(days=1), state="bounced")
    guest.ask(link)
    assert "is on its way" in guest.text
