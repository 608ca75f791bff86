from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from relay import alerts
from relay.alerts import Alerts, Known, clock_jumped, less_confined, news
from relay.config.model import Configuration
from relay.dkim.signer import Signer
from relay.health import Health, Problem, Queue
from relay.queue.items import SPOOL
from relay.queue.routes import Route, Routes, TlsMode
from relay.queue.spooling import Spooler
from relay.store.tables import Entry, Spool
from relay.store.writer import Store, open_store
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DISK = Problem("the disk is full", urgent=True, fault="disk")
SLOW = Problem("a commit took 3 seconds", urgent=False, fault="commit")


def test_a_fault_is_mailed_once_a_day_while_it_is_urgent() -> None:
    """At once, not again for a day, then again; what is not urgent only once."""
    first = news(Known({}), [DISK, SLOW], NOW)
    assert first is not None
    assert first.problems == (DISK, SLOW)
    assert news(first.known, [DISK, SLOW], NOW + 23 * HOUR) is None
    assert news(first.known, [SLOW], NOW + 3 * DAY) is None
    again = news(first.known, [DISK, SLOW], NOW + DAY)
    assert again is not None
    assert again.known.told == {"disk": NOW + DAY, "commit": NOW + DAY}


def test_a_second_fault_brings_a_mail_about_both() -> None:
    """What is new is told at once, together with what is still wrong."""
    known = Known({"disk": NOW}, NOW)
    found = news(known, [DISK, SLOW], NOW + HOUR)
    assert found is not None
    assert found.problems == (DISK, SLOW)


def test_all_is_well_after_an_hour_without_a_fault() -> None:
    """Not at the first quiet minute, once, and never where nothing was wrong."""
    known = Known({"disk": NOW}, NOW)
    assert news(known, [], NOW + 59 * MINUTE) is None
    found = news(known, [], NOW + HOUR)
    assert found is not None
    assert found.problems == ()
    assert news(found.known, [], NOW + DAY) is None


def test_a_fault_that_comes_and_goes_is_one_story() -> None:
    """Back within the hour it is still the fault that was told."""
    known = Known({"disk": NOW}, NOW + 50 * MINUTE)
    assert news(known, [], NOW + 60 * MINUTE) is None
    assert news(known, [DISK], NOW + 61 * MINUTE) is None


def test_what_only_one_process_sees_is_a_fault_too() -> None:
    """A clock that jumped and an extractor that the machine leaves unconfined; small corrections are none."""
    assert clock_jumped(timedelta(seconds=3)) == ()
    (jump,) = clock_jumped(timedelta(days=-365))
    assert "jumped by -31536000 seconds" in jump.sentence
    assert less_confined(()) == ()
    assert "user namespaces" in less_confined(["user namespaces"])[0].sentence


@pytest.fixture
def duty(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The duty over a real store; what is wrong is what the test puts into ``duty.health``."""
    Keyring.create(tmp_path / "keys")
    keyring = Keyring.open(tmp_path / "keys", role="relay")
    store = open_store(sqlite_url)
    configuration = Configuration.model_validate(
        {
            "organisation": {"name": "Example Council", "domains": ["example.org"], "contact": "Help desk"},
            "gateway": {"domain": "letter.example.org", "admin_alert": "it@example.org"},
            "listen": {"submission": {"address": "127.0.0.1:2525"}},
            "route": {"inside": {"hosts": ["127.0.0.1:26"]}, "outside": {"hosts": ["127.0.0.1:26"]}},
            "portal": {"base_url": "https://post.example.org", "listen": "127.0.0.1:8080"},
        },
        context={"folder": tmp_path},
    )
    routes = Routes([Route("inside", (), TlsMode.NONE)], inside_domains=["example.org"])
    spooler = Spooler(store, keyring, FileBlobs(tmp_path / "blobs"), inline_limit=1 << 20, signer=Signer())

    class Stage:
        health = Health(NOW, Queue(), 1 << 40, None, {}, ())
        alerts = Alerts(configuration, store, spooler, routes)

        def mails(self) -> list[str]:
            return _mails(store, keyring)

    stage = Stage()
    monkeypatch.setattr(alerts, "facts", lambda *_, **__: stage.health)
    yield stage
    store.close()


def _mails(store: Store, keyring: Keyring) -> list[str]:
    entry: Any = Entry.__table__  # type: ignore[attr-defined]
    spool: Any = Spool.__table__  # type: ignore[attr-defined]
    with store.read() as conn:
        rows = conn.execute(
            select(spool).join(entry, entry.c.message_id == spool.c.message_id).order_by(entry.c.created_at)
        ).all()
    found = []
    for row in rows:
        mail = message_from_bytes(keyring.spool_open(SPOOL, row.message_id, row.content), policy=policy.default)
        found.append(f"{mail['To']} | {mail['Subject']} | {mail.get_content()}")
    return found


def _health(*problems: Problem, ends: datetime | None = None) -> Health:
    return Health(NOW, Queue(), 1 << 40, None, {"submission": ends} if ends else {}, problems)


def test_the_administrator_is_told_and_told_when_it_is_over(duty: Any) -> None:
    """From a full disk to all is well: two mails, however often the duty looks."""
    assert not duty.alerts.waits(NOW)
    duty.health = _health(DISK)
    for minute in range(30):
        if duty.alerts.waits(NOW + minute * MINUTE):
            duty.alerts.look(NOW + minute * MINUTE)
    duty.health = _health()
    for minute in range(30, 200):
        if duty.alerts.waits(NOW + minute * MINUTE):
            duty.alerts.look(NOW + minute * MINUTE)
    told, over = duty.mails()
    assert told.startswith("it@example.org | letter.example.org: needs somebody now | ")
    assert "- the disk is full" in told
    assert over.startswith("it@example.org | letter.example.org: all is well again | ")


def test_a_certificate_is_mailed_thirty_seven_and_one_day_ahead_and_when_it_ended(duty: Any) -> None:
    """A look every day for two months gives four mails, and one more for each day after the end."""
    ends = NOW + 60 * DAY
    duty.health = _health(ends=ends)
    days = [day for day in range(62) if duty.alerts.look(NOW + day * DAY)]
    assert days == [30, 53, 59, 60, 61]
    assert "ends on 2027-01-21" in duty.mails()[0]


def test_the_next_certificate_is_mailed_too_though_another_fault_never_ended(duty: Any) -> None:
    """While something stays that nobody mends there is no hour without a fault, and all is never well."""
    ends = NOW + 60 * DAY
    days = []
    for day in range(150):
        if day == 40:
            ends += 90 * DAY  # renewed
        duty.health = _health(SLOW, ends=ends)
        if duty.alerts.look(NOW + day * DAY):
            days.append(day)
    assert days == [0, 30, 120, 143, 149]


def test_of_two_processes_one_mails(duty: Any) -> None:
    """What is known is compared in the transaction that writes the mail."""
    duty.health = _health(DISK)
    assert duty.alerts.look(NOW)
    assert not duty.alerts.look(NOW)
    assert len(duty.mails()) == 1
