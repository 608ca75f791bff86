import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from relay import clock
from relay.message.reading import read
from relay.store.checkpoints import checkpoint
from relay.store.events import Event
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring
from relay.vault.vault import Vault
from tests.unit.relay.cli.conftest import Home

LETTER = (
    b"From: anna@example.org\r\nTo: jane@example.net\r\nSubject: Referral\r\nMessage-ID: <77@example.org>\r\n\r\n"
    b"NHS number 999 864 1969\r\n"
)


def seal(home: Home, original: bytes = LETTER, *, recorded: bool = True, signed: bool = True) -> str:
    """Seal a message with the keys of a relay that starts now, as the plan of an accepted message does."""
    now = clock.now()
    with home.opened() as one:
        keyring = Keyring.open(one.configuration.keys.folder, role="relay")
        vault = Vault(keyring, FileBlobs(one.configuration.storage.blobs), one.store, inline_limit=4096)
        draft = vault.seal(
            message_id=clock.new_id(),
            reading=read(original),
            original=original,
            sender="anna@example.org",
            readers=("jane@example.net",),
            now=now,
            expires_at=now + timedelta(days=30),
        )

        def work(conn: Any) -> None:
            vault.insert(conn, draft)
            if recorded:
                one.audit.append(conn, Event.SEALED, draft.message_id, draft.audit_facts, at=now)

        one.store.run(work)
        if signed:  # as the gateway does each minute
            one.store.run(lambda conn: checkpoint(conn, keyring, clock.now()))
    return clock.id_text(draft.message_id)


def recover(home: Home, message: str, *, code: int = 0, output: str = "letter.eml", key: str = "recovery.key") -> Any:
    """Call the command."""
    return home.run("recover", message, "--key", key, "--output", output, code=code)


def tamper(home: Home, statement: str) -> None:
    """Change the database as somebody with access to it could."""
    with home.opened() as one:
        one.store.run(lambda conn: conn.execute(text(statement)) and None)


@pytest.fixture
def keyed(home: Home) -> Home:
    """An installation for which ``letterlock keys recovery`` was called before the next start."""
    home.run("keys", "recovery", "recovery.key")
    return home


@pytest.mark.parametrize("size", [0, 300_000])
def test_what_is_sealed_after_keys_recovery_is_recovered(keyed: Home, size: int) -> None:
    """The key that ``keys recovery`` made opens the message, byte for byte, from rows and from files, for one user."""
    original = LETTER + b"0123456789abcde\n" * (size // 16)
    message = seal(keyed, original)
    said = recover(keyed, message)
    assert f"Wrote message {message} to letter.eml" in said.stdout
    assert "Origin proven" in said.stdout
    assert Path("letter.eml").read_bytes() == original
    assert stat.S_IMODE(Path("letter.eml").stat().st_mode) == 0o600


@pytest.mark.parametrize("spelling", ["<77@example.org>", "77@example.org"])
def test_a_message_is_recovered_by_its_message_id(keyed: Home, spelling: str) -> None:
    """The Message-ID finds the sealed message, though it has no queue row any more; other mail is not meant."""
    seal(keyed)
    keyed.put("jane@example.net", message_id="<77@example.org>")
    recover(keyed, spelling)
    assert Path("letter.eml").read_bytes() == LETTER


def test_two_messages_of_one_message_id_are_told_apart(keyed: Home) -> None:
    """Which of them is meant is asked, with the ids to choose from."""
    first, second = seal(keyed), seal(keyed)
    refused = recover(keyed, "<77@example.org>", code=1).stderr
    assert first in refused
    assert second in refused
    recover(keyed, second)


def test_a_recovery_is_recorded(keyed: Home) -> None:
    """The trace of the message says that it was opened, with which key, and what was known of its origin."""
    message = seal(keyed)
    recover(keyed, message)
    (key,) = (each for each in Path("recovery.key").read_text().split() if len(each) == 32)
    assert f"opened with the recovery key {key[:12]}, origin proven" in keyed.run("trace", message).stdout


@pytest.mark.parametrize(
    ("recorded", "signed", "words"),
    [(False, True, "its sealing is not recorded"), (True, False, "no valid checkpoint covers")],
)
def test_a_message_without_a_signed_record_is_of_unproven_origin(
    keyed: Home, recorded: bool, signed: bool, words: str
) -> None:
    """It is written all the same, and the doubt is said and recorded."""
    message = seal(keyed, recorded=recorded, signed=signed)
    said = recover(keyed, message)
    assert f"Origin unproven: {words}" in said.stderr
    assert "Origin proven" not in said.stdout
    assert Path("letter.eml").exists()
    assert "origin unproven" in keyed.run("trace", message).stdout


def test_a_forged_message_is_not_taken_for_the_recorded_one(keyed: Home) -> None:
    """Who has the database and the public half can put another message in its place, and is found out."""
    seal(keyed)
    forged = seal(keyed, LETTER.replace(b"NHS", b"GP"), recorded=False)
    tamper(keyed, "UPDATE audit SET message_id = (SELECT id FROM sealed ORDER BY created_at DESC LIMIT 1)")
    assert "NOT the message whose sealing was recorded" in recover(keyed, forged).stderr


def test_a_record_that_was_written_to_fit_is_not_believed(keyed: Home) -> None:
    """A record of sealing with the right digests, but without a right signature over it, proves nothing."""
    message = seal(keyed)
    tamper(keyed, "UPDATE audit SET at = at + 1 WHERE event = 'sealed'")
    assert "no valid checkpoint covers" in recover(keyed, message).stderr


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE stanza SET ct = zeroblob(1168) WHERE type = 3", "stanza: "),
        ("UPDATE sealed SET header = zeroblob(96)", "header: "),
        ("UPDATE part SET content = zeroblob(length)", "part: "),
        ("DELETE FROM part", "manifest: "),
        ("UPDATE sealed SET state = 'expired'", "only a backup of the storage from before that day"),
        ("DELETE FROM stanza WHERE type = 3", "was not sealed for this recovery key"),
    ],
)
def test_what_cannot_be_opened_is_a_sentence_and_leaves_no_file(keyed: Home, statement: str, words: str) -> None:
    """A changed or expired message is refused with its reason; nothing is written and nothing recorded."""
    message = seal(keyed)
    tamper(keyed, statement)
    assert words in recover(keyed, message, code=1).stderr
    assert not Path("letter.eml").exists()
    assert "recovery key" not in keyed.run("trace", message).stdout


def test_a_message_from_before_the_recovery_key_stays_closed(home: Home) -> None:
    """The key opens what was sealed after it was made, and nothing else."""
    message = seal(home)
    home.run("keys", "recovery", "recovery.key")
    assert "was not sealed for this recovery key" in recover(home, message, code=1).stderr


def test_a_file_that_is_there_is_not_overwritten(keyed: Home) -> None:
    """Neither a file nor what a link points to is touched, and no recovery is recorded."""
    message = seal(keyed)
    Path("mine.eml").write_text("mine")
    Path("link.eml").symlink_to("elsewhere.eml")
    for output in ("mine.eml", "link.eml"):
        assert "is already there" in recover(keyed, message, output=output, code=1).stderr
    assert Path("mine.eml").read_text() == "mine"
    assert not Path("elsewhere.eml").exists()
    assert "cannot be made" in recover(keyed, message, output="nowhere/letter.eml", code=1).stderr
    assert "recovery key" not in keyed.run("trace", message).stdout


@pytest.mark.parametrize("wanted", ["<nothing@example.org>", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "<>"])
def test_an_unknown_message_is_a_sentence(keyed: Home, wanted: str) -> None:
    """What is not sealed cannot be recovered, and that is said."""
    assert f"No sealed message is known as {wanted}" in recover(keyed, wanted, code=1).stderr


def test_a_wrong_key_file_is_a_sentence(keyed: Home) -> None:
    """A missing or other file is no recovery key."""
    message = seal(keyed)
    assert "cannot be read as a recovery key" in recover(keyed, message, key="none.key", code=1).stderr
    assert "is no recovery key" in recover(keyed, message, key="relay.toml", code=1).stderr


def test_storage_without_its_keys_is_recovered(keyed: Home) -> None:
    """With all server keys lost, storage under a new installation's keys is opened by id; its origin is unproven."""
    message = seal(keyed)
    keyed.put("jane@example.net")  # init makes no keys over a database that holds mail
    Path("var").rename("saved")
    keyed.run("init")
    for file in Path("var").glob("letterlock.db*"):
        file.unlink()
    for file in Path("saved").glob("letterlock.db*"):
        file.rename(Path("var") / file.name)
    said = recover(keyed, message)
    assert "Origin unproven: no valid checkpoint" in said.stderr
    assert Path("letter.eml").read_bytes() == LETTER
