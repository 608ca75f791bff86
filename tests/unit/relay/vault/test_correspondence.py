"""Conversations that grow: who can open a later message, what fresh links and secrets open, what changed meanwhile."""

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from relay.errors import OvertakenError, RefusedError
from relay.store.tables import Blob, Thread
from relay.vault.correspondence import Author
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT
from relay.vault.recovery import create_recovery, read_recovery, recover_original
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import CoreHeader
from relay.vault.threads import by_thread

from .letters import EXPIRES, NOW, reading
from .talk import SEALED, STANZA, Talk

JANE, JOE, BOB, ANNA = "jane@example.net", "joe@example.net", "bob@example.net", "anna@example.org"


def test_link_in_the_mailbox_opens_later_messages(talk: Talk) -> None:
    """Sealing needs no L: the link that Jane got at first opens what is written to her afterwards."""
    jane = talk.begin(JANE).links[JANE]
    assert talk.answer(JANE).links == {}
    talk.answer(JANE)
    assert talk.opens(jane) == "123"


def test_message_is_for_exactly_its_readers(talk: Talk) -> None:
    """A private answer to one reader is sealed to nobody else's link."""
    first = talk.begin(JANE, JOE)
    talk.answer(JANE)
    talk.answer(JANE, JOE)
    assert talk.opens(first.links[JANE]) == "123"
    assert talk.opens(first.links[JOE]) == "13"


def test_fresh_link_without_the_secret_opens_this_and_later_messages(talk: Talk) -> None:
    """Nobody can give what nobody brought; what is missing is named."""
    talk.begin(JANE)
    draft = talk.answer(JANE, fresh_links=True)
    assert draft.missing == {JANE: talk.named("1"), ANNA: talk.named("1")}
    talk.answer(JANE)
    assert talk.opens(draft.links[JANE]) == "23"


def test_fresh_link_gets_what_its_reader_is_entitled_to_and_the_secret_opens(talk: Talk) -> None:
    """Both or nothing: Joe is given no message that was for Jane alone, though Anna's secret opens it."""
    first = talk.begin(JANE, JOE)
    talk.answer(JANE)
    draft = talk.answer(JANE, JOE, brings=talk.brings(talk.secrets[0]), fresh_links=True)
    assert draft.missing == {}
    assert talk.opens(draft.links[JANE]) == "123"
    assert talk.opens(draft.links[JOE]) == "13"
    assert talk.opens(first.links[JOE]) == "13"


def test_older_secret_gives_what_it_opens(talk: Talk) -> None:
    """S opens the message that it was made with, what it was given then, and everything later."""
    talk.begin(JANE)
    talk.answer(JANE)  # its S opens message 2 and what comes later: nobody brought the first
    draft = talk.answer(JANE, brings=talk.brings(talk.secrets[1]), fresh_links=True)
    assert draft.missing == {JANE: talk.named("1"), ANNA: talk.named("1")}
    assert talk.opens(draft.links[JANE]) == "23"
    again = talk.answer(JANE, brings=talk.brings(talk.secrets[0]), fresh_links=True)
    assert again.missing == {}
    assert talk.opens(again.links[JANE]) == "1234"


def test_fresh_secret_opens_everything_when_the_old_one_is_brought(talk: Talk) -> None:
    """With each mail to Anna a new S, which opens the whole conversation as long as she answers the mails she gets."""
    talk.begin(JANE)
    for _ in range(3):
        talk.answer(JANE, brings=talk.brings())
    assert set(talk.brings().messages) == set(talk.names)
    assert len(set(talk.secrets)) == 4
    assert set(talk.brings(talk.secrets[0]).messages) == set(talk.names)


def test_readers_answer_reaches_everybody_it_is_for(talk: Talk) -> None:
    """Jane's answer is sealed for her, the reader she also writes to, and the sender; her visit gives older mail."""
    first = talk.begin(JANE, JOE)
    jane = talk.person(JANE)
    draft = talk.answer(
        JANE,
        JOE,
        brings=talk.visits(first.links[JANE]),
        author=Author.READER,
        author_id=jane.participant_id,
        fresh_links=[talk.person(JOE).participant_id],
    )
    assert set(draft.links) == {JOE}
    assert talk.opens(first.links[JANE]) == talk.opens(draft.links[JOE]) == "12"
    assert set(talk.brings(draft.sender_secret).messages) == set(talk.names)
    with talk.store.read() as connection:
        row = connection.execute(select(SEALED).where(SEALED.c.id == draft.message_id)).one()
    assert CoreHeader.decode(row.header).author is Author.READER
    assert (row.author_id, row.to_all, row.notify_read) == (jane.participant_id, False, False)


def test_secret_for_a_colleague_is_hers(talk: Talk) -> None:
    """The fresh S belongs to whom the mail goes to; a colleague who had no key so far has one now."""
    talk.begin(JANE, colleagues=("kim@example.org",))
    kim = talk.person("kim@example.org")
    draft = talk.answer(JANE, secrets_for=[kim.participant_id], author=Author.READER, author_id=None)
    assert talk.brings(draft.sender_secret).holder.address == "kim@example.org"
    assert set(talk.brings(draft.sender_secret).messages) == set(talk.named("2"))
    talk.answer(JANE)
    assert set(talk.brings(draft.sender_secret).messages) == set(talk.named("2", "3"))


def test_each_sender_who_gets_a_mail_has_a_secret_of_their_own(talk: Talk) -> None:
    """Two copies inside, two secrets; nobody's where nobody is mailed to; a stranger's is planned again."""
    talk.begin(JANE, colleagues=("kim@example.org",))
    both = [talk.person(one).participant_id for one in (ANNA, "kim@example.org")]
    draft = talk.answer(JANE, secrets_for=both)
    assert list(draft.secrets) == both
    assert {talk.brings(one).holder.address for one in draft.secrets.values()} == {ANNA, "kim@example.org"}
    without = talk.answer(JANE, secrets_for=())
    assert (without.secrets, without.sender_secret, without.sender_participant_id) == ({}, b"", None)
    assert set(talk.brings(draft.secrets[both[1]]).messages) == set(talk.named("2", "3"))
    with pytest.raises(OvertakenError):
        talk.seal(JANE, secrets_for=[talk.person(JANE).participant_id])


def test_new_reader_gets_this_message_and_nothing_older(talk: Talk) -> None:
    """Who joins with a message has a link of their own; the Bcc among them is marked blind."""
    first = talk.begin(JANE)
    draft = talk.answer(JANE, brings=talk.brings(), add=[JOE], blind=[BOB])
    assert set(draft.links) == {JOE, BOB}
    assert talk.opens(draft.links[JOE]) == talk.opens(draft.links[BOB]) == "2"
    assert talk.opens(first.links[JANE]) == "12"
    assert draft.missing == {}
    assert (talk.person(JOE).blind, talk.person(BOB).blind) == (False, True)
    assert draft.audit_facts["readers"] == 3


def test_new_reader_who_is_one_already_is_not_entered_twice(talk: Talk) -> None:
    """Adding somebody who reads already, in whatever spelling, gives them a fresh link."""
    first = talk.begin(JANE)
    draft = talk.answer(brings=talk.brings(), add=["Jane@EXAMPLE.net", JANE, JOE, "joe@Example.net"], blind=[JOE])
    assert set(draft.links) == {JANE, JOE}
    assert talk.opens(draft.links[JANE]) == "12"
    assert draft.links[JANE].participant_id == first.links[JANE].participant_id
    assert sorted(talk.people()) == [ANNA, JANE, JOE]
    assert not talk.person(JOE).blind


def test_at_most_eight_live_links_and_none_is_retired_that_alone_opens_something(talk: Talk) -> None:
    """The ninth link retires the oldest that others make needless; not the first, which alone opens message 1."""
    links = [talk.begin(JANE).links[JANE]]
    links += [talk.answer(JANE, fresh_links=True).links[JANE] for _ in range(9)]  # nobody brings anything
    shown = [talk.opens(link) for link in links]
    assert shown == ["123456789a", "-", "-", "456789a", "56789a", "6789a", "789a", "89a", "9a", "a"]
    links.append(talk.answer(JANE, brings=talk.visits(links[0]), fresh_links=True).links[JANE])
    shown = [talk.opens(link) for link in links]
    assert shown == ["-", "-", "-", "456789ab", "56789ab", "6789ab", "789ab", "89ab", "9ab", "ab", "123456789ab"]


def test_link_under_which_something_is_being_written_is_not_retired(talk: Talk) -> None:
    """An unfinished answer opens with its own link only: retiring that link would lose it."""
    links = [talk.begin(JANE).links[JANE]]
    draft = talk.answer(JANE, brings=talk.brings())  # stands for a draft: made one by hand
    row = update(SEALED).where(SEALED.c.id == draft.message_id).values(state="draft")
    talk.run(lambda connection: connection.execute(row))
    links += [talk.answer(JANE, brings=talk.brings(talk.secrets[0]), fresh_links=True).links[JANE] for _ in range(8)]
    assert [talk.opens(link) == "-" for link in links] == [False, True] + [False] * 7


def test_retired_links_keep_no_stanza_that_another_link_has(talk: Talk) -> None:
    """What a revoked row says can be undone by who writes the database; a stanza that is gone cannot."""
    talk.begin(JANE)
    for _ in range(9):
        talk.answer(JANE, brings=talk.brings(), fresh_links=True)
    with talk.store.read() as connection:
        revoked = select(KEY.c.id).where(KEY.c.revoked_at.is_not(None))
        assert len(connection.execute(revoked).all()) == 2
        assert connection.execute(select(STANZA).where(STANZA.c.key_id.in_(revoked))).all() == []


def test_eight_newest_secrets_are_sealed_to(talk: Talk) -> None:
    """A secret that is nine mails old opens what it opened, and nothing newer; it is not forgotten."""
    talk.begin(JANE)
    for _ in range(9):
        talk.answer(JANE, brings=talk.brings())
    assert len(talk.brings(talk.secrets[0]).messages) == 8
    assert len(talk.brings(talk.secrets[2]).messages) == 10


def test_links_live_as_long_as_what_they_open(talk: Talk) -> None:
    """A later message prolongs the links and secrets that it is sealed to."""
    first = talk.begin(JANE, JOE)
    later = EXPIRES + timedelta(days=20)
    talk.answer(JANE, expires_at=later)
    assert talk.opens(first.links[JANE], EXPIRES + timedelta(days=1)) == "2"
    assert talk.opens(first.links[JOE], EXPIRES + timedelta(days=1)) == "-"
    talk.answer(JANE, JOE, expires_at=EXPIRES - timedelta(days=5))
    assert talk.opens(first.links[JANE], EXPIRES + timedelta(days=1)) == "2"


def test_every_message_is_found_by_its_message_id(talk: Talk) -> None:
    """An answer to any message of the thread leads here; sealing one Message-ID twice is no error."""
    talk.begin(JANE)
    talk.answer(JANE)
    talk.answer(JANE, reading=reading(message_id="<2@example.org>"))
    with talk.store.read() as connection:
        for name in ("1", "2"):
            assert by_thread(connection, talk.keyring, [f"<{name}@example.org>"]) == talk.conversation_id
    assert talk.count(Thread.__table__) == 2  # type: ignore[attr-defined]


def test_later_messages_open_with_the_recovery_key(talk: Talk, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The organisation's recovery key opens each message, not only the first."""
    folder = tmp_path_factory.mktemp("recovery")
    create_recovery(talk.keyring.folder, folder / "private")
    talk.begin(JANE)
    draft = talk.answer(JANE, original=b"o" * 300_000)
    with talk.store.read() as connection:
        original = recover_original(
            connection,
            talk.opener._blobs,
            draft.message_id,
            read_recovery(folder / "private"),
        )
    assert original.data == b"o" * 300_000
    assert original.manifest_digest.hex() == draft.audit_facts["manifest"]


# --- somebody changed the conversation between the reading and the commit ---


def expect_overtaken(talk: Talk, draft: object) -> None:
    before = [talk.count(table) for table in (SEALED, STANZA, KEY, PARTICIPANT)]
    with pytest.raises(OvertakenError):
        talk.store.run(lambda connection: talk.vault.insert(connection, draft))  # type: ignore[arg-type]
    assert [talk.count(table) for table in (SEALED, STANZA, KEY, PARTICIPANT)] == before


def test_reader_removed_meanwhile_is_not_sealed_to(talk: Talk) -> None:
    """The row says removed by the time of the commit: nothing is written, and sealed anew it is for the others."""
    first = talk.begin(JANE, JOE)
    draft = talk.seal(JANE, JOE)
    talk.mark(JOE, state="removed")
    expect_overtaken(talk, draft)
    talk.answer(JANE)
    assert talk.opens(first.links[JANE]) == "12"
    assert talk.opens(first.links[JOE]) == "1"


def test_removed_reader_is_refused_when_named_again(talk: Talk) -> None:
    """Whoever plans with an old list of people is told."""
    talk.begin(JANE, JOE)
    joe = talk.person(JOE)
    talk.mark(JOE, state="removed")
    with pytest.raises(RefusedError, match="add them again"):
        talk.seal(to=[joe])


@pytest.mark.parametrize("what", ["link revoked", "link given", "message", "expired", "reader entered"])
def test_anything_else_that_matters_is_noticed_too(talk: Talk, what: str) -> None:
    """A link that came or went, a message that came or went, the same reader added by somebody else."""
    first = talk.begin(JANE, JOE)
    draft = talk.seal(JANE, add=[BOB] if what == "reader entered" else [])
    if what == "link revoked":
        talk.revoke(first.links[JANE])
    elif what == "link given":
        talk.answer(JANE, fresh_links=True)
    elif what == "message":
        talk.answer(JOE)
    elif what == "expired":
        gone = update(SEALED).values(state="expired", wrapped=b"")
        talk.run(lambda connection: connection.execute(gone))
    else:
        talk.answer(add=[BOB])
    expect_overtaken(talk, draft)


def test_what_does_not_matter_is_no_reason_to_plan_again(talk: Talk) -> None:
    """Another reader's link, a recall, reading, and other conversations change nothing for this message."""
    first = talk.begin(JANE, JOE)
    draft = talk.seal(JANE)
    talk.revoke(first.links[JOE])
    talk.mark(JANE, state="read", read_at=NOW, recalled_at=NOW)
    dataclasses.replace(talk).begin(JANE)
    talk.insert(draft)
    assert draft.message_id in talk.names


def test_two_of_one_batch_know_of_each_other(talk: Talk) -> None:
    """Planned from one snapshot and committed together, the second is overtaken though nothing was committed yet."""
    talk.begin(JANE)
    drafts = [talk.seal(JANE), talk.seal(JANE)]
    futures = [talk.store.submit(lambda connection, one=draft: talk.vault.insert(connection, one)) for draft in drafts]  # type: ignore[misc]
    futures[0].result()
    with pytest.raises(OvertakenError):
        futures[1].result()


def test_swept_blobs_stop_a_later_message_as_they_stop_the_first(talk: Talk) -> None:
    """Rows never refer to a blob that is gone."""
    talk.begin(JANE)
    draft = talk.seal(JANE, original=b"x" * 500_000)
    assert len(draft.blobs) == 1
    talk.run(lambda connection: connection.execute(Blob.__table__.delete()))  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="was swept"):
        talk.insert(draft)
    assert talk.count(SEALED) == 1


# --- rows that were changed by hand ---


@pytest.mark.parametrize("what", ["address", "key", "foreign key", "planted reader", "planted key", "type"])
def test_nothing_is_sealed_into_a_conversation_with_a_changed_row(talk: Talk, what: str) -> None:
    """One row that the relay did not write, whoever's it is, and nobody gets anything."""
    talk.begin(JANE, JOE)
    other = dataclasses.replace(talk, names={}).begin(JANE)
    joe = talk.person(JOE).participant_id
    own_key, row = KEY.c.participant_id == joe, PARTICIPANT.c.id == joe
    statement = {
        "address": update(PARTICIPANT).where(row).values(address=talk.keyring.seal_address("thief@example.com")),
        "key": update(KEY).where(own_key).values(pk=bytes(31) + b"\x09"),
        "foreign key": update(KEY)
        .where(KEY.c.id == other.links[JANE].link_id)
        .values(conversation_id=talk.conversation_id),
        "planted reader": PARTICIPANT.insert().from_select(
            ["id", "conversation_id", "role", "flags", "address", "address_hash", "mac", "mac_version", "state"],
            select(
                KEY.c.id, PARTICIPANT.c.conversation_id, PARTICIPANT.c.role, PARTICIPANT.c.flags, PARTICIPANT.c.address,
                PARTICIPANT.c.address_hash, PARTICIPANT.c.mac, PARTICIPANT.c.mac_version, PARTICIPANT.c.state,
            ).join_from(PARTICIPANT, KEY, own_key).where(row),
        ),
        "planted key": KEY.insert().values(
            id=bytes(16), type=1, conversation_id=talk.conversation_id, participant_id=joe, pk=bytes(32),
            mac=bytes(32), mac_version=1, created_at=NOW, expires_at=EXPIRES,
        ),
        "type": update(KEY).where(own_key).values(type=2),
    }[what]  # fmt: skip
    talk.run(lambda connection: connection.execute(statement))
    with pytest.raises(SealingError) as caught:
        talk.seal(to=[])
    assert caught.value.layer is Layer.ROW


def test_stanza_written_by_hand_makes_nobody_entitled(talk: Talk) -> None:
    """Without the server's key there is no outer layer: a copied or invented stanza is none."""
    talk.begin(JANE, JOE)
    private = talk.answer(JANE)
    joe = talk.person(JOE).participant_id

    def plant(connection: object) -> None:
        execute = connection.execute  # type: ignore[attr-defined]
        link = execute(select(KEY).where(KEY.c.participant_id == joe)).one()
        row = execute(select(STANZA).where(STANZA.c.message_id == private.message_id, STANZA.c.type == 1)).one()
        execute(STANZA.insert().values(message_id=private.message_id, key_id=link.id, type=1, ct=row.ct))

    talk.run(plant)
    draft = talk.answer(JOE, brings=talk.brings(talk.secrets[0]), fresh_links=True)
    assert talk.opens(draft.links[JOE]) == "13"
    assert draft.missing == {}


def test_capability_of_another_conversation_serves_none(talk: Talk) -> None:
    """Keys of one conversation are not mixed into another."""
    other = dataclasses.replace(talk, names={}, secrets=[])
    other.begin(JANE)
    talk.begin(JANE)
    with pytest.raises(ValueError, match="another conversation"):
        talk.seal(JANE, brings=other.brings())


def test_message_whose_server_key_is_gone_hides_no_other(talk: Talk) -> None:
    """What cannot be opened any more is nobody's; the conversation goes on."""
    talk.begin(JANE, expires_at=NOW + timedelta(days=1))
    (kek,) = talk.keyring.keks.files()
    talk.answer(JANE, expires_at=EXPIRES + timedelta(days=60))
    talk.keyring.keks.destroy(kek)
    draft = talk.answer(JANE, brings=talk.brings(), fresh_links=True, expires_at=EXPIRES + timedelta(days=60))
    assert draft.missing == {}
    assert talk.opens(draft.links[JANE]) == "23"


def test_secrets_stand_in_no_repr(talk: Talk, keyring: Keyring) -> None:
    """A draft that is logged by mistake shows no key, secret or path."""
    talk.begin(JANE)
    draft = talk.seal(JANE, brings=talk.brings(), fresh_links=True)
    shown = repr(draft) + repr(talk.brings()) + repr(keyring)
    link = draft.links[JANE]
    assert link.path not in shown
    for secret in (link.secret, draft.sender_secret, *(key.dek for key in talk.brings().messages.values())):
        assert repr(secret) not in shown
        assert secret.hex() not in shown
