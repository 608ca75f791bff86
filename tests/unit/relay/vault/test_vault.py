"""Sealing and opening: what a link opens, what it does not, and what a tampered database gives away."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from relay.errors import StoreError
from relay.message.parts import Part
from relay.store.tables import Blob, Participant, Sealed, Stanza
from relay.store.tables import Part as PartTable
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, LinkState
from relay.vault.opener import Link, Opened, Opener
from relay.vault.recovery import create_recovery, read_recovery, recover
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.manifest import PartRole
from relay.vault.vault import SealedDraft, Vault

from .conftest import EXPIRES, NOW, reading

Seal = Callable[..., SealedDraft]
Arrive = Callable[..., Link | None]
OpenAll = Callable[..., Opened]

SEALED = Sealed.__table__  # type: ignore[attr-defined]
STANZA = Stanza.__table__  # type: ignore[attr-defined]
PART = PartTable.__table__  # type: ignore[attr-defined]


def test_reader_sees_exactly_what_was_sent(seal: Seal, open_all: OpenAll, opener: Opener) -> None:
    """Header facts, texts, files and the original come out as they went in."""
    opened = open_all(seal())
    assert opened.refused == ()
    (message,) = opened.messages
    manifest = message.manifest
    assert (manifest.sender, manifest.to, manifest.cc) == (
        "anna@example.org",
        ("jane@example.net",),
        ("kim@example.org",),
    )
    assert (manifest.subject, manifest.date) == ("Your appointment ✓", "2026-11-22T13:29:58+00:00")
    parts = {entry.kind: b"".join(opener.read_part(message, entry.id)) for entry in manifest.parts}
    assert parts[PartRole.TEXT] == "Grüße, Jane".encode()
    assert parts[PartRole.HTML] == "<p>Grüße</p>".encode()
    assert parts[PartRole.INLINE] == b"\x89PNG"
    assert parts[PartRole.ATTACHMENT] == bytes(range(256)) * 40
    assert parts[PartRole.ORIGINAL].endswith(b"Jane\r\n")
    assert [entry.name for entry in manifest.parts] == ["", "", "logo.png", "report.pdf", ""]


def test_large_parts_lie_in_blobs_and_ranges_are_exact(
    seal: Seal, open_all: OpenAll, opener: Opener, tmp_path: Path
) -> None:
    """What is larger than a row takes is a file; any range of it reads as if the file were plain."""
    data = bytes(range(251)) * 2000
    parts = (Part("attachment", "big", name="big.bin", type="application/octet-stream", data=data),)
    (message,) = open_all(seal(reading=reading(parts=parts), original=b"x" * 300_000)).messages
    assert len([file for file in (tmp_path / "blobs").rglob("*") if file.is_file()]) == 2
    (entry,) = (entry for entry in message.manifest.parts if entry.name == "big.bin")
    for start, stop in ((0, len(data)), (0, 1), (65_535, 65_537), (400_000, len(data)), (7, 7)):
        assert b"".join(opener.read_part(message, entry.id, start, stop)) == data[start:stop]
    with pytest.raises(ValueError, match="outside the part"):
        list(opener.read_part(message, entry.id, 0, len(data) + 1))


def test_each_reader_has_a_link_of_their_own(seal: Seal, arrive: Arrive, open_all: OpenAll) -> None:
    """Two readers get different links to the same message, and one link does not serve the other reader."""
    draft = seal(readers=("jane@example.net", "joe@example.net"))
    assert len({link.path for link in draft.links.values()}) == 2
    for address in draft.links:
        assert len(open_all(draft, address).messages) == 1
    jane, joe = arrive(draft, "jane@example.net"), arrive(draft, "joe@example.net")
    assert jane is not None
    assert joe is not None
    assert jane.participant_id != joe.participant_id


def test_blind_copy_is_named_nowhere(seal: Seal, open_all: OpenAll) -> None:
    """A reader who stands in no header is in the manifest of nobody, not even in their own."""
    draft = seal(readers=("jane@example.net", "secret@example.net"))
    for address in draft.links:
        (message,) = open_all(draft, address).messages
        assert b"secret@example.net" not in message.manifest.encode()


@pytest.mark.parametrize("change", ["first", "last", "other id", "other secret"])
def test_wrong_link_is_nothing(seal: Seal, store: Store, opener: Opener, change: str) -> None:
    """A link that is not exactly right is a value, and looks like one that never was."""
    link, other = seal().links["jane@example.net"], seal().links["jane@example.net"]
    link_id, secret = {
        "first": (link.link_id, bytes([link.secret[0] ^ 1]) + link.secret[1:]),
        "last": (link.link_id, link.secret[:-1] + bytes([link.secret[-1] ^ 1])),
        "other id": (other.link_id, link.secret),
        "other secret": (link.link_id, other.secret),
    }[change]
    with store.read() as connection:
        assert opener.find_link(connection, link_id, secret, NOW) is None
        assert opener.find_link(connection, bytes(16), secret, NOW) is None
        assert opener.find_link(connection, link_id, b"", NOW) is None


def test_sender_key_is_no_link(seal: Seal, store: Store, opener: Opener) -> None:
    """The key row of a sender is never found as a link."""
    draft = seal()
    with store.read() as connection:
        row = connection.execute(select(KEY).where(KEY.c.participant_id == draft.sender_participant_id)).one()
        assert opener.find_link(connection, row.id, draft.sender_secret.ljust(32, b"\0"), NOW) is None
    assert len(draft.sender_secret) == 20


def test_expired_and_revoked_links_are_recognised_and_open_nothing(
    seal: Seal, store: Store, arrive: Arrive, open_all: OpenAll
) -> None:
    """Who holds the right secret is told plainly, and sees nothing."""
    draft = seal()
    late = arrive(draft, now=EXPIRES)
    assert late is not None
    assert late.state is LinkState.EXPIRED
    assert open_all(draft, now=EXPIRES) == Opened((), ())
    link_id = draft.links["jane@example.net"].link_id
    store.run(
        lambda connection: connection.execute(update(KEY).where(KEY.c.id == link_id).values(revoked_at=NOW)) and None
    )
    revoked = arrive(draft)
    assert revoked is not None
    assert revoked.state is LinkState.REVOKED
    assert open_all(draft) == Opened((), ())


def test_message_expires_even_when_the_link_lives_longer(seal: Seal, store: Store, open_all: OpenAll) -> None:
    """The message's own expiry counts."""
    draft = seal()
    store.run(
        lambda connection: connection.execute(update(KEY).values(expires_at=EXPIRES + timedelta(days=99))) and None
    )
    assert open_all(draft, now=EXPIRES - timedelta(seconds=1)).messages
    assert open_all(draft, now=EXPIRES) == Opened((), ())


def test_message_without_a_known_sender_is_sealed(seal: Seal, open_all: OpenAll) -> None:
    """No sender, no sender key: the readers read all the same."""
    draft = seal(sender="")
    assert (draft.sender_secret, draft.sender_participant_id) == (b"", None)
    assert open_all(draft).messages


def test_opening_takes_the_server_key(seal: Seal, open_all: OpenAll, keyring: Keyring) -> None:
    """When the key of the month is destroyed, the right link opens nothing, in running processes too."""
    draft = seal()
    assert open_all(draft).messages
    for kek in keyring.keks.files():
        keyring.keks.destroy(kek)
    opened = open_all(draft)
    assert [refused.layer for refused in opened.refused] == [Layer.KEK]
    assert opened.messages == ()


TAMPERED = [
    ("reserved", Layer.RESERVED, lambda row: {"header": row.header[:60] + b"\x01" + row.header[61:]}),
    ("commitment", Layer.OUTER_KEY, lambda row: {"header": row.header[:95] + bytes([row.header[95] ^ 1])}),
    (
        "created",
        Layer.OUTER_KEY,
        lambda row: {"header": row.header[:55] + bytes([row.header[55] ^ 1]) + row.header[56:]},
    ),
    ("wrapped", Layer.OUTER_KEY, lambda row: {"wrapped": row.wrapped[:-1] + bytes([row.wrapped[-1] ^ 1])}),
    ("no wrapped", Layer.OUTER_KEY, lambda _row: {"wrapped": b""}),
    ("kek id", Layer.KEK, lambda _row: {"kek_id": bytes(15) + b"\x01"}),
    ("manifest part", Layer.MANIFEST, lambda _row: {"manifest_part": bytes(16)}),
]


@pytest.mark.parametrize(("what", "layer", "change"), TAMPERED, ids=[one[0] for one in TAMPERED])
def test_tampered_message_row_is_refused_and_named(
    *,
    seal: Seal,
    store: Store,
    open_all: OpenAll,
    what: str,
    layer: Layer,
    change: Callable[[object], dict[str, bytes]],
) -> None:
    """Each changed column is found at its own layer; the other message of the database still opens."""
    assert what
    draft, other = seal(), seal()
    with store.read() as connection:
        row = connection.execute(select(SEALED).where(SEALED.c.id == draft.message_id)).one()
    statement = update(SEALED).where(SEALED.c.id == draft.message_id).values(change(row))
    store.run(lambda connection: connection.execute(statement) and None)
    opened = open_all(draft)
    assert opened.messages == ()
    assert [(refused.message_id, refused.layer) for refused in opened.refused] == [(draft.message_id, layer)]
    assert open_all(other).messages


def test_transplanted_stanza_or_row_opens_nothing(seal: Seal, store: Store, open_all: OpenAll) -> None:
    """Who can write the database cannot hand one reader another message."""
    mine, theirs = seal(), seal()
    link_id = mine.links["jane@example.net"].link_id

    def transplant(connection: object) -> None:
        execute = connection.execute  # type: ignore[attr-defined]
        row = execute(select(STANZA).where(STANZA.c.message_id == mine.message_id, STANZA.c.key_id == link_id)).one()
        execute(STANZA.insert().values(message_id=theirs.message_id, key_id=link_id, type=row.type, ct=row.ct))

    store.run(transplant)
    opened = open_all(mine)
    assert [message.header.message_id for message in opened.messages] == [mine.message_id]
    assert [(one.message_id, one.layer) for one in opened.refused] == [(theirs.message_id, Layer.HEADER)]


def test_missing_or_foreign_part_is_refused(seal: Seal, store: Store, open_all: OpenAll) -> None:
    """A message opens with exactly the parts that its manifest lists."""
    short, swapped = seal(), seal()
    with store.read() as connection:
        parts = connection.execute(select(PART).where(PART.c.message_id == short.message_id)).all()
        manifest = connection.execute(
            select(SEALED.c.manifest_part).where(SEALED.c.id == short.message_id)
        ).scalar_one()
    part = next(part for part in parts if part.id != manifest)
    moved = update(PART).where(PART.c.id == part.id).values(message_id=swapped.message_id)
    store.run(lambda connection: connection.execute(moved) and None)
    assert [one.layer for one in open_all(short).refused] == [Layer.PART]
    assert [one.layer for one in open_all(swapped).refused] == [Layer.PART]


def test_damaged_part_breaks_off_before_its_bytes_leave(
    seal: Seal, store: Store, open_all: OpenAll, opener: Opener
) -> None:
    """A flipped bit in a part shows when it is read; nothing of that chunk is handed out."""
    draft = seal()
    with store.read() as connection:
        rows = connection.execute(select(PART).where(PART.c.message_id == draft.message_id)).all()
        manifest = connection.execute(select(SEALED.c.manifest_part)).scalar_one()
    for row in rows:
        if row.id != manifest:
            flipped = row.content[:-1] + bytes([row.content[-1] ^ 1])
            store.run(
                lambda connection, row=row, flipped=flipped: (
                    connection.execute(  # type: ignore[misc]
                        update(PART).where(PART.c.id == row.id).values(content=flipped)
                    )
                    and None
                )
            )
    (message,) = open_all(draft).messages
    for entry in message.manifest.parts:
        with pytest.raises(SealingError) as caught:
            list(opener.read_part(message, entry.id))
        assert caught.value.layer is Layer.PART


def test_unknown_part_is_refused(seal: Seal, open_all: OpenAll, opener: Opener) -> None:
    """A part id that the manifest does not list leads nowhere."""
    (message,) = open_all(seal()).messages
    with pytest.raises(SealingError) as caught:
        opener.read_part(message, bytes(16))
    assert caught.value.layer is Layer.PART


def test_insert_refuses_blobs_that_were_swept_meanwhile(vault: Vault, store: Store) -> None:
    """Rows never refer to a blob that is gone: the message is not accepted then."""
    draft = vault.seal(
        message_id=bytes(16),
        reading=reading(),
        original=b"x" * 500_000,
        sender="",
        readers=("jane@example.net",),
        now=NOW,
        expires_at=EXPIRES,
    )
    assert len(draft.blobs) == 1
    store.run(lambda connection: connection.execute(Blob.__table__.delete()) and None)  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="was swept"):
        store.run(lambda connection: vault.insert(connection, draft))
    with store.read() as connection:
        assert connection.execute(select(SEALED)).all() == []


def test_bundle_opens_with_the_recovery_key_alone(
    key_folder: Path, tmp_path: Path, store: Store, blobs: object, opener: Opener
) -> None:
    """Sealed with a recovery key configured, an exported message opens without link, server key or database."""
    create_recovery(key_folder, tmp_path / "recovery.private")
    vault = Vault(Keyring.open(key_folder, role="relay"), blobs, store)  # type: ignore[arg-type]
    draft = vault.seal(
        message_id=bytes(range(16)),
        reading=reading(),
        original=b"o" * 200_000,
        sender="anna@example.org",
        readers=("jane@example.net",),
        now=NOW,
        expires_at=EXPIRES,
    )
    store.run(lambda connection: vault.insert(connection, draft))
    link = draft.links["jane@example.net"]
    with store.read() as connection:
        found = opener.find_link(connection, link.link_id, link.secret, NOW)
        assert found is not None
        (message,) = opener.open_messages(connection, found, NOW).messages
        bundle = opener.export(connection, message)
    recovered = recover(bundle, read_recovery(tmp_path / "recovery.private"))
    assert recovered.parts[-1] == b"o" * 200_000
    assert recovered.manifest.subject == "Your appointment ✓"
    assert recovered.header_digest.hex() == draft.audit_facts["header"]
    assert recovered.manifest_digest.hex() == draft.audit_facts["manifest"]


def test_addresses_and_secrets_stand_nowhere_in_clear(seal: Seal, store: Store) -> None:
    """The rows hold no address, and a draft or link that is logged by mistake shows no secret."""
    draft = seal()
    link = draft.links["jane@example.net"]
    with store.read() as connection:
        (*rows,) = connection.execute(select(Participant.__table__)).all()  # type: ignore[attr-defined]
    assert all(b"jane" not in row.address and b"anna" not in row.address for row in rows)
    shown = repr(draft) + repr(link)
    assert repr(link.secret) not in shown
    assert link.path not in shown
    assert repr(draft.sender_secret) not in shown
