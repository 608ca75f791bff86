"""Planted strings are found nowhere on disk: no subject, body, file name, link or sender secret, in no spelling."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from relay.message.parts import Part
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.tables import Spool
from relay.store.writer import Store, open_store
from relay.vault.blobs import FileBlobs
from relay.vault.capability import by_sender_secret
from relay.vault.control import extend, remove
from relay.vault.correspondence import Author, Correspondence
from relay.vault.keyring import Keyring
from relay.vault.paths import link_path
from relay.vault.people import people
from relay.vault.vault import Vault

from .conftest import EXPIRES, NOW, reading

CANARIES = ("KANARIE-SUBJECT-4711", "KANARIE-BODY-4712", "KANARIE-HTML-4713", "KANARIE-FILE-4714", "KANARIE-DATA-4715")
ADDRESSES = ("anna.canary@example.org", "jane.canary@example.net", "joe.canary@example.net")
MESSAGE_ID = "<canary-4716@example.org>"


def spellings(text: str) -> Iterator[bytes]:
    """Yield a text as it could stand in a file; base64 at each of its three places, without the cut ends."""
    yield text.encode()
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + text.encode())[4 : 4 + 4 * ((len(text) - 4) // 3)]


def found_on_disk(folder: Path, secrets: list[bytes]) -> list[str]:
    """Return the files below ``folder``, the keys excepted, that hold one of the secrets."""
    return [
        f"{file.name}: {secret!r}"
        for file in folder.rglob("*")
        if file.is_file() and "keys" not in file.parts
        for secret in secrets
        if secret in file.read_bytes()
    ]


@pytest.fixture
def seal_everywhere(sqlite_url: str, keyring: Keyring, blobs: FileBlobs) -> Iterator[Callable[[], list[bytes]]]:
    """Seal, spool and record a message full of canaries; return everything that must not be found."""
    store = open_store(sqlite_url)

    def do() -> list[bytes]:
        subject, body, html, name, data = CANARIES
        parts = (
            Part("text", "", type="text/plain", text=body),
            Part("html", "", type="text/html", text=html),
            Part("attachment", name, name=f"{name}.pdf", type="application/pdf", data=data.encode() * 20_000),
        )
        original = "\r\n".join([f"Subject: {subject}", "", body, html, name]).encode()
        vault = Vault(keyring, blobs, store)
        draft = vault.seal(
            message_id=bytes(range(16)),
            reading=reading(subject=subject, parts=parts, from_=ADDRESSES[0], to=(ADDRESSES[1],)),
            original=original,
            sender=ADDRESSES[0],
            readers=[ADDRESSES[1]],
            now=NOW,
            expires_at=EXPIRES,
        )
        link = draft.links[ADDRESSES[1]]
        notice = f"Pick it up: http://127.0.0.1:8080{link.path}\r\n".encode() + original
        spooled = keyring.spool_seal("notice", draft.message_id, notice, at=NOW)
        audit = Audit(keyring, "relay-0")

        def work(connection: object) -> None:
            vault.insert(connection, draft)  # type: ignore[arg-type]
            row = {"message_id": draft.message_id, "epoch_id": spooled[:16], "content": spooled, "blob_id": None}
            connection.execute(Spool.__table__.insert(), [row])  # type: ignore[attr-defined]
            personal = {"sender": ADDRESSES[0], "recipients": ADDRESSES[1]}
            audit.append(connection, Event.ACCEPTED, draft.message_id, {"size": 1}, personal, at=NOW)  # type: ignore[arg-type]

        store.run(work)
        correspondence = Correspondence(keyring, blobs, store)
        with store.read() as connection:
            brings = by_sender_secret(connection, keyring, draft.conversation_id, draft.sender_secret, NOW)
            (anna, *readers) = people(connection, keyring, draft.conversation_id)
        later = correspondence.seal_into(
            capability=brings,
            conversation_id=draft.conversation_id,
            message_id=bytes(range(16, 32)),
            reading=reading(subject=subject, parts=parts, message_id=MESSAGE_ID),
            original=original,
            author=Author.STAFF,
            author_id=anna.participant_id,
            to=readers,
            add=[ADDRESSES[2]],
            fresh_links=True,
            now=NOW,
            expires_at=EXPIRES,
        )
        store.run(lambda connection: vault.insert(connection, later))
        until = EXPIRES + timedelta(days=60)
        store.run(lambda connection: extend(connection, keyring, draft.conversation_id, until, NOW))
        store.run(lambda connection: remove(connection, keyring, readers[0], NOW))
        links = [link, *later.links.values()]
        texts = [*CANARIES, *ADDRESSES, MESSAGE_ID]
        texts += [link_path(one.link_id, one.secret).rpartition("/")[2] for one in links]
        raw = [one.secret for one in links]
        for secret in (draft.sender_secret, later.sender_secret):
            raw += [secret, base64.b32encode(secret).lower()]
        return [one for text in texts for one in spellings(text)] + raw

    do.store = store  # type: ignore[attr-defined]
    yield do
    store.close()


def test_nothing_is_readable_while_running_and_after(
    seal_everywhere: Callable[[], list[bytes]], tmp_path: Path
) -> None:
    """Neither database, write-ahead log nor blobs show anything, before and after the log was cut."""
    secrets = seal_everywhere()
    assert len(list((tmp_path / "blobs").rglob("*"))) > 1
    assert (tmp_path / "letterlock.db-wal").stat().st_size > 0
    assert found_on_disk(tmp_path, secrets) == []
    store: Store = seal_everywhere.store  # type: ignore[attr-defined]
    store.close()
    assert found_on_disk(tmp_path, secrets) == []


def test_this_test_would_find_them(tmp_path: Path) -> None:
    """Each spelling that is looked for is found where it stands."""
    (tmp_path / "plain").write_bytes(b"xx" + base64.b64encode(b"ab" + CANARIES[0].encode() + b"cd"))
    assert found_on_disk(tmp_path, list(spellings(CANARIES[0]))) != []
    (tmp_path / "plain").write_bytes(CANARIES[1].encode("utf-16"))
    assert found_on_disk(tmp_path, list(spellings(CANARIES[1]))) != []
