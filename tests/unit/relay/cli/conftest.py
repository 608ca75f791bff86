"""A demo installation on disk, and the command line called as a person would."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from relay import clock
from relay.cli import main
from relay.cli.opened import Opened, opened
from relay.cli.session import Session
from relay.dkim.signer import Signer
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.spooling import NewEntry, Spooler, insert_message
from relay.store.events import Event
from relay.store.tables import Decision
from relay.store.tables.queue import Direction, Kind
from relay.vault.blobs import FileBlobs

MAIL = b"From: anna@example.org\r\nTo: jane@example.net\r\nSubject: Canary\r\n\r\nHello\r\n"


@dataclass(frozen=True)
class Home:
    """The folder of one installation."""

    folder: Path

    def run(self, *arguments: str, code: int = 0, typed: str = "") -> Result:
        """Call ``letterlock``; the exit code must be ``code``."""
        result = CliRunner().invoke(main, arguments, input=typed)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    def json(self, *arguments: str) -> Any:
        """Call ``letterlock … --json`` and return what it printed."""
        return json.loads(self.run(*arguments, "--json").stdout)

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """Open keys and store as a command does."""
        with opened(Session(self.folder / "relay.toml")) as one:
            yield one

    def put(
        self,
        *recipients: str,
        message_id: str = "<4711@example.org>",
        at: datetime | None = None,
        sender: str = "anna@example.org",
        kind: Kind = Kind.MAIL,
        route: str = "outside",
    ) -> bytes:
        """Queue one accepted message, due in an hour, with its audit; return its id."""
        now = at or clock.now()
        with self.opened() as one:
            blobs = FileBlobs(one.configuration.storage.blobs)
            draft = Spooler(one.store, one.keyring, blobs, inline_limit=1 << 20, signer=Signer()).draft(
                QueuedEnvelope(sender),
                [NewEntry(kind, route, EntryEnvelope(recipient)) for recipient in recipients],
                MAIL,
                now=now,
                direction=Direction.OUT,
                message_id_hash=one.keyring.text_hash("message-id", message_id),
            )
            for row in draft.entry_rows:
                row["due_at"] = now + timedelta(hours=1)

            def work(conn: Any) -> None:
                insert_message(conn, draft)
                people = {"sender": sender, "recipients": ", ".join(recipients)}
                one.audit.append(conn, Event.ACCEPTED, draft.message_id, {"size": len(MAIL)}, people, at=now)

            one.store.run(work)
        return draft.message_id

    def decide(
        self,
        action: str,
        *,
        rules: Sequence[str] = (),
        shadow: Sequence[tuple[str, str]] = (),
        inside: bool = False,
        at: datetime | None = None,
    ) -> None:
        """Record one decision about one recipient."""
        row = {
            "message_id": clock.new_id(),
            "position": 0,
            "at": at or clock.now(),
            "recipient_hash": b"hash",
            "domain": "example.net",
            "inside": inside,
            "action": action,
            "rules": json.dumps(rules),
            "shadow": json.dumps(shadow),
        }
        with self.opened() as one:
            one.store.run(lambda conn: conn.execute(Decision.__table__.insert(), [row]) and None)  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one demo installation with ``letterlock init --demo``."""
    folder = tmp_path_factory.mktemp("template")
    Home(folder).run("-c", str(folder / "relay.toml"), "init", "--demo")
    return folder


@pytest.fixture
def home(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Copy the demo installation and stand in its folder: every path in relay.toml is relative."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LETTERLOCK_CONFIG", raising=False)
    return Home(tmp_path)
