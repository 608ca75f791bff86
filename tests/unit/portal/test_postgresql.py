"""The portal on PostgreSQL: the same journey, and limits that hold when two processes count at one moment."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from portal.app import Exchangeable, _serve
from relay.config.model import Portal
from relay.config.source import Source
from relay.store.slot import Slot
from relay.store.tables import Code, Throttle
from relay.store.throttle import Limit, ThrottledError, Throttles
from relay.store.writer import open_store
from tests.gateway import free_port
from tests.letters import JANE, letter, photograph
from tests.portal_stage import MONDAY, Clock, Stage
from tests.postgresql import PostgreSQL
from tests.unit.portal.guest import Guest

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A private PostgreSQL server."""
    running = PostgreSQL()
    yield running
    running.stop()


@pytest.fixture
def stage(tmp_path: Path, clock: Clock, server: PostgreSQL) -> Iterator[Stage]:
    """A portal whose store is PostgreSQL."""
    opened = Stage(tmp_path, now=clock.now, database=server.new_database())
    yield opened
    opened.close()


def test_the_journey(stage: Stage, clock: Clock, guest: Guest) -> None:
    """Wrong code, right code, download, leave."""
    content = photograph(300_000)
    link = stage.seal(letter(to=[JANE], attachments=[("p.png", "image/png", content)]))[JANE]
    code = guest.ask(link)
    guest.enter(link, f"{(int(code) + 1) % 10**8:08d}")
    assert "That was not the code" in guest.text
    clock.pass_time(minutes=1)
    guest.post(f"{link.path}/send")
    assert [mail.code for mail in stage.codes] == [code, code]
    path = guest.enter(link, code).url.path
    conversation = guest.page
    assert guest.get(guest.path_of("p.png"), Range="bytes=70000-70009").content == content[70_000:70_010]
    guest.page = conversation
    guest.post(f"{path}/leave")
    assert guest.get(path).status_code == 403


def test_two_portals_count_together(stage: Stage) -> None:
    """Ten uses from two processes against a limit of five: five pass, none is counted twice or lost."""
    limit = Limit("test", 5, timedelta(hours=1))
    throttles = Throttles(lambda label, text: f"{label}{text}".encode()[:16])
    passed: list[int] = []
    until: list[datetime] = []

    def use(number: int) -> None:
        store = open_store(stage.database)
        for _ in range(5):
            try:
                store.run(lambda conn: throttles.take(conn, [(limit, "x")], MONDAY))
                passed.append(number)
            except ThrottledError as error:
                until.append(error.until)
        store.close()

    threads = [threading.Thread(target=use, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(passed) == 5
    assert until == [MONDAY + timedelta(hours=1)] * 5
    table = Throttle.__table__  # type: ignore[attr-defined]
    with stage.store.read() as conn:
        assert conn.execute(select(table.c.count)).scalar_one() == 5


def test_ten_tries_at_one_moment_are_five(stage: Stage, guest: Guest) -> None:
    """Guesses that arrive together through two portals spend the tries of the code once each."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    code = guest.ask(link)
    browsers = [Guest(stage, f"198.51.100.{number}") for number in range(10)]
    for browser in browsers:
        browser.get(f"{link.path}/code")
    wrong = [f"{(int(code) + number) % 10**8:08d}" for number in range(1, 11)]
    threads = [
        threading.Thread(target=browser.enter, args=(link, typed))
        for browser, typed in zip(browsers, wrong, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    table = Code.__table__  # type: ignore[attr-defined]
    with stage.store.read() as conn:
        [row] = conn.execute(select(table.c.tries, table.c.state)).all()
    assert tuple(row) == (5, "exhausted")
    told = [browser.text for browser in browsers]
    assert sum("it was the last try" in text for text in told) == 1
    assert sum("no longer valid" in text for text in told) == 5


def test_a_portal_stops_whose_name_another_took(
    stage: Stage, server: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks after its name while it serves: two that write one audit chain would fork it."""
    monkeypatch.setattr("relay.store.slot._ANEW", 0.0)
    database = server.new_database()
    slot = Slot(database, "portal-0")
    ended = text("SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    stage.store.run(lambda conn: conn.execute(ended).all())
    other = Slot(database, "portal-0")
    portal = Portal.model_validate({"base_url": "http://127.0.0.1", "listen": f"127.0.0.1:{free_port()}"})
    app, source = Exchangeable(stage.app), Source(tmp_path / "relay.toml")
    asyncio.run(asyncio.wait_for(_serve(app, portal, source, stage.store, 0, slot=slot), 20))
    slot.close()
    other.close()
