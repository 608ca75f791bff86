"""``letterlock recover``: opens a sealed message with the organisation's recovery key."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
from sqlalchemy import Connection, select

from relay import clock
from relay.cli.opened import Opened, messages_named, opened
from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, say, warn
from relay.config.amounts import size_words
from relay.errors import NotFoundError, RefusedError
from relay.store.checkpoints import records
from relay.store.events import Event
from relay.store.tables import Sealed
from relay.vault.blobs import FileBlobs
from relay.vault.recovery import Original, read_recovery, recover_original

_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_KEY_SHOWN = 12  # hex digits of the key's id, as "letterlock keys recovery" says it


@click.command(
    epilog=examples(
        "letterlock recover 4ig7yxbkzvv2pcsxhxeyzxuuym --key /media/usb/letterlock-recovery.key --output letter.eml",
        "letterlock recover '<20261122.4711@mail.example.org>' --key recovery.key --output letter.eml",
    )
)
@click.argument("message")
@click.option(
    "--key",
    "private_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help='The private half that "letterlock keys recovery" wrote.',
)
@click.option(
    "--output",
    required=True,
    metavar="FILE.eml",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the message goes, readable by you alone; a file that is there is not overwritten.",
)
@pass_session
def command(session: Session, message: str, private_file: Path, output: Path) -> None:
    """Open one sealed message with the recovery key.

    MESSAGE is the id of the 250 reply, or the Message-ID (with or without <>). The original is written as it was
    sealed; neither link nor server key is needed. That it was opened is recorded in the audit first.

    Everybody who has the public half of the key can seal to it, so the message is compared with the signed record of
    its sealing. "Origin unproven" means that somebody else may have written it.
    """
    private = read_recovery(private_file)
    with opened(session) as one:
        with one.store.read() as conn:
            message_id = _named(conn, one, message)
            original = recover_original(conn, FileBlobs(one.configuration.storage.blobs), message_id, private)
            doubt = doubt_of(conn, one, message_id, original)
        facts = {"key": private.public.key_id.hex()[:_KEY_SHOWN], "origin": "unproven" if doubt else "proven"}
        with _new_file(output) as file:
            one.store.run(lambda conn: one.audit.append(conn, Event.RECOVERED, message_id, facts, at=clock.now()))
            file.write(original.data)
    say(f"Wrote message {clock.id_text(message_id)} to {output} ({size_words(len(original.data))}).")
    if doubt:
        warn(f"Origin unproven: {doubt}.")
    else:
        say("Origin proven: it is the message whose sealing was recorded and signed.")


def doubt_of(conn: Connection, one: Opened, message_id: bytes, original: Original) -> str:
    """Return why the origin of a recovered message is unproven; empty when it is proven.

    Proven: header and sealed manifest are those of the record of sealing, and a checkpoint that this installation
    signed covers that record (docs/sealed-format.md, "What is promised, and what is not").
    """
    found = records(conn, one.keyring.signing_public, Event.SEALED, message_id)
    if not found:
        return "its sealing is not recorded in the audit"
    seen = (original.header_digest.hex(), original.manifest_digest.hex())
    same = [record for record in found if (record.facts.get("header"), record.facts.get("manifest")) == seen]
    if not same:
        return "it is NOT the message whose sealing was recorded"
    if not any(record.signed_at for record in same):
        return "no valid checkpoint covers the record of its sealing"
    return ""


def _named(conn: Connection, one: Opened, text: str) -> bytes:
    """Return the one sealed message that a person means."""
    named = messages_named(conn, one, text)
    sealed = [each for each in named if conn.execute(select(_SEALED.c.id).where(_SEALED.c.id == each)).first()]
    if not sealed:
        raise NotFoundError(f"no sealed message is known as {text}: only messages that were sealed are kept")
    if len(sealed) > 1:
        ids = ", ".join(map(clock.id_text, sealed))
        raise RefusedError(f"{len(sealed)} sealed messages are known as {text}: name one by its id ({ids})")
    return sealed[0]


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Make a file that only its owner reads, synced when the block ends and gone when it fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise RefusedError(f"{path} is already there and stays as it is: name a new file") from None
    except OSError as error:
        raise RefusedError(f"{path} cannot be made: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RefusedError(f"{path} cannot be written: {error.strerror}") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
