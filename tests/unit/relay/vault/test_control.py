"""Recall, restore, remove, extend: what a reader can open afterwards, and what an old backup can."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Row, select, text, update

from relay.errors import NotFoundError, OvertakenError, RefusedError
from relay.store.audit import Audit
from relay.store.writer import open_store
from relay.vault.control import extend, recall, remove, restore
from relay.vault.growth import CONVERSATION
from relay.vault.issuing import insert_links, links_for
from relay.vault.keks import bucket_of
from relay.vault.links import KEY, PARTICIPANT, LinkState, reader_of
from relay.vault.participants import PickupLink
from relay.vault.recovery import create_recovery, read_recovery, recover_original
from relay.vault.retention import _expire as expire
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.links import link_pair
from relay.vault.sealing.message import open_outer_key, open_stanza
from relay.vault.sealing.stanza import Stanza

from .letters import EXPIRES, NOW
from .talk import PART, SEALED, STANZA, Talk

JANE, JOE, ANNA, KIM = "jane@example.net", "joe@example.net", "anna@example.org", "kim@example.org"
LATER = EXPIRES + timedelta(days=40)  # in another month


def taken_back(talk: Talk, *addresses: str) -> None:
    ids = [talk.person(one).participant_id for one in addresses]
    talk.run(lambda connection: recall(connection, ids, NOW))


def removed(talk: Talk, address: str) -> None:
    one = talk.person(address)
    talk.run(lambda connection: remove(connection, talk.keyring, one, talk.now))


def extended(talk: Talk, until: object = LATER) -> object:
    return talk.store.run(
        lambda connection: extend(connection, talk.keyring, talk.conversation_id, until, talk.now)  # type: ignore[arg-type]
    )


# --- recall and restore ---


def test_recall_reaches_the_whole_conversation_and_can_be_undone(talk: Talk) -> None:
    """Earlier and later messages, every link, for the readers named and no other; restored, all is as it was."""
    first = talk.begin(JANE, JOE)
    fresh = talk.answer(JANE, JOE, fresh_links=True)
    taken_back(talk, JANE)
    talk.answer(JANE, JOE)
    for link in (first.links[JANE], fresh.links[JANE]):
        assert talk.opens(link) == "-"
    assert talk.opens(first.links[JOE]) == "123"
    jane = talk.person(JANE)
    assert jane.recalled_at == NOW
    assert talk.store.run(lambda connection: restore(connection, [jane.participant_id])) == 1
    assert talk.opens(first.links[JANE]) == "123"
    assert talk.person(JANE).recalled_at is None


def test_recalled_link_is_told_apart(talk: Talk) -> None:
    """Whoever holds the right secret is told plainly, and is never invited to ask for a new link: none would come."""
    link = talk.begin(JANE).links[JANE]
    taken_back(talk, JANE)

    def states(now: object) -> set[LinkState]:
        with talk.store.read() as connection:
            found = talk.opener.find_link(connection, link.link_id, link.secret, now)  # type: ignore[arg-type]
            known = reader_of(connection, talk.keyring, link.link_id, now)  # type: ignore[arg-type]
        assert found is not None
        assert known is not None
        return {found.state, known.state}

    assert states(NOW) == {LinkState.RECALLED}
    assert states(EXPIRES) == {LinkState.RECALLED}
    talk.revoke(link)
    assert states(NOW) == {LinkState.RECALLED}
    talk.run(lambda c: c.execute(update(PARTICIPANT).values(recalled_at=None)))
    assert states(NOW) == {LinkState.REVOKED}


def test_recall_says_for_how_many_it_is_new(talk: Talk) -> None:
    """The first moment stands; senders and strangers cannot be recalled."""
    talk.begin(JANE, JOE)
    ids = [one.participant_id for one in talk.people().values()]

    def again(connection: Connection) -> int:
        return recall(connection, [*ids, bytes(16)], NOW + timedelta(hours=1))

    taken_back(talk, JANE)
    assert talk.store.run(again) == 1
    assert talk.store.run(again) == 0
    assert talk.person(JANE).recalled_at == NOW
    assert talk.person(ANNA).recalled_at is None
    assert talk.store.run(lambda connection: restore(connection, ids)) == 2
    assert talk.store.run(lambda connection: restore(connection, ids)) == 0


# --- remove ---


def test_removed_reader_opens_nothing_any_more(talk: Talk) -> None:
    """Links are revoked and stanzas gone; the others read on, and later mail is not sealed to the removed."""
    first = talk.begin(JANE, JOE)
    removed(talk, JOE)
    talk.answer(JANE)
    assert talk.opens(first.links[JOE]) == "-"
    assert talk.opens(first.links[JANE]) == "12"
    assert JOE not in talk.people()
    with talk.store.read() as connection:
        keys = select(KEY.c.id).where(KEY.c.participant_id == first.links[JOE].participant_id)
        assert connection.execute(select(STANZA).where(STANZA.c.key_id.in_(keys))).all() == []


def test_putting_the_rows_back_by_hand_does_not_undo_a_removal(talk: Talk) -> None:
    """Who can write the database can say "not removed" again: the stanzas of what was written before are gone."""
    first = talk.begin(JANE, JOE)
    removed(talk, JOE)
    joe = first.links[JOE].participant_id
    talk.run(lambda c: c.execute(update(PARTICIPANT).where(PARTICIPANT.c.id == joe).values(state="read")))
    talk.run(lambda c: c.execute(update(KEY).where(KEY.c.participant_id == joe).values(revoked_at=None)))
    assert talk.opens(first.links[JOE]) == ""


def test_removal_ends_what_the_reader_was_writing(talk: Talk) -> None:
    """An unfinished answer goes with its author; another reader's stays."""
    talk.begin(JANE, JOE)
    joe, parts = talk.person(JOE).participant_id, talk.count(PART)
    draft = talk.answer(JOE, author_id=joe)
    talk.run(lambda c: c.execute(update(SEALED).where(SEALED.c.id == draft.message_id).values(state="draft")))
    removed(talk, JOE)
    with talk.store.read() as connection:
        assert connection.execute(select(SEALED.c.id)).scalars().all() == list(talk.named("1"))
    assert talk.count(PART) == parts


def test_who_can_be_removed(talk: Talk) -> None:
    """Readers only; twice is once; a reader with a changed row is left for somebody to look at."""
    talk.begin(JANE, JOE)
    joe, anna, jane = talk.person(JOE), talk.person(ANNA), talk.person(JANE)
    removed(talk, JOE)
    talk.run(lambda connection: remove(connection, talk.keyring, joe, talk.now))
    with pytest.raises(RefusedError, match="only readers"):
        talk.run(lambda connection: remove(connection, talk.keyring, anna, talk.now))
    talk.mark(JANE, address=talk.keyring.seal_address(ANNA))
    with pytest.raises(SealingError) as caught:
        talk.run(lambda connection: remove(connection, talk.keyring, jane, talk.now))
    assert caught.value.layer is Layer.ROW
    talk.run(lambda connection: connection.execute(PARTICIPANT.delete()))
    with pytest.raises(NotFoundError):
        talk.run(lambda connection: remove(connection, talk.keyring, joe, talk.now))


# --- extend ---


def test_extended_conversation_is_read_longer_by_the_same_links(talk: Talk) -> None:
    """Neither L nor S is needed: links, secrets and the recovery key open what they opened, until the new day."""
    first = talk.begin(JANE, JOE)
    talk.answer(JANE, brings=talk.brings())
    assert extended(talk) == LATER
    just_before = LATER - timedelta(seconds=1)
    assert talk.opens(first.links[JANE], just_before) == "12"
    assert talk.opens(first.links[JOE], just_before) == "1"
    assert talk.opens(first.links[JANE], LATER) == "-"
    assert set(talk.brings(talk.secrets[0]).messages) == set(talk.names)
    with talk.store.read() as connection:
        rows = connection.execute(select(SEALED)).all()
    assert {row.expires_at for row in rows} == {LATER}
    assert {row.kek_id for row in rows} == {talk.keyring.kek_for(LATER).kek_id}


def test_extension_never_shortens(talk: Talk) -> None:
    """A message that lives longer already stays as it is; the answer says until when all of it can be read."""
    talk.begin(JANE)
    later = talk.answer(JANE, expires_at=LATER)

    def row(message_id: bytes) -> Row[tuple[object, ...]]:
        with talk.store.read() as connection:
            return connection.execute(select(SEALED).where(SEALED.c.id == message_id)).one()

    before = row(later.message_id)
    between = EXPIRES + timedelta(days=3)
    assert extended(talk, between) == LATER
    assert row(later.message_id) == before
    assert row(talk.named("1")[0]).expires_at == between
    assert extended(talk, EXPIRES) == LATER
    assert row(talk.named("1")[0]).expires_at == between


def test_extended_within_its_month_a_message_has_a_fresh_outer_key_too(talk: Talk) -> None:
    """Old stanzas do not fit the new row, whatever the month."""
    first = talk.begin(JANE)
    with talk.store.read() as connection:
        old = connection.execute(select(SEALED.c.wrapped, SEALED.c.kek_id)).one()
        stanza = connection.execute(select(STANZA).where(STANZA.c.type == 1)).one()
    until = EXPIRES + timedelta(days=1)
    assert bucket_of(until) == bucket_of(EXPIRES)
    extended(talk, until)
    with talk.store.read() as connection:
        new = connection.execute(select(SEALED.c.wrapped, SEALED.c.kek_id)).one()
    assert new.kek_id == old.kek_id
    assert new.wrapped != old.wrapped
    talk.run(lambda c: c.execute(update(STANZA).where(STANZA.c.key_id == stanza.key_id).values(ct=stanza.ct)))
    with pytest.raises(AssertionError):  # refused: the outer layer is of the old key
        talk.opens(first.links[JANE])


def backup(talk: Talk) -> Callable[[PickupLink], bytes]:
    """Copy message and stanza rows as a backup does; return what opens them with a link and the keys of that day."""
    with talk.store.read() as connection:
        rows = {row.id: row for row in connection.execute(select(SEALED))}
        stanzas = connection.execute(select(STANZA)).all()

    def opened(link: PickupLink) -> bytes:
        (row,) = (one for one in stanzas if one.key_id == link.link_id)
        message = rows[row.message_id]
        outer = open_outer_key(message.header, message.kek_id, message.wrapped, talk.keyring.keks)
        pair = link_pair(link.secret, link.link_id)
        return open_stanza(message.header, outer, Stanza(row.type, row.key_id, row.message_id, row.ct), pair).dek

    return opened


def test_removed_readers_stanza_in_an_old_backup_dies_with_the_old_month(talk: Talk) -> None:
    """While the old server key lives, the backup opens; destroyed in its time, it opens to nobody; Jane reads on."""
    first = talk.begin(JANE, JOE)
    from_backup = backup(talk)
    removed(talk, JOE)
    extended(talk)
    assert len(from_backup(first.links[JOE])) == 32
    (old,) = (kek for kek in talk.keyring.keks.files() if kek.bucket == bucket_of(EXPIRES))
    talk.keyring.keks.destroy(old)
    with pytest.raises(SealingError) as caught:
        from_backup(first.links[JOE])
    assert caught.value.layer is Layer.KEK
    assert talk.opens(first.links[JANE], LATER - timedelta(days=1)) == "1"


def test_old_stanzas_put_back_after_an_extension_open_nothing(talk: Talk) -> None:
    """Who has the backup and can write the database puts Joe's stanza back: the outer key is another one."""
    first = talk.begin(JANE, JOE)
    with talk.store.read() as connection:
        joes = connection.execute(select(STANZA).where(STANZA.c.key_id == first.links[JOE].link_id)).one()
    removed(talk, JOE)
    extended(talk)
    row = joes._asdict()
    talk.run(lambda c: c.execute(STANZA.insert().values(row)))
    again = update(KEY).where(KEY.c.id == first.links[JOE].link_id).values(revoked_at=None)
    talk.run(lambda c: c.execute(again))
    link = first.links[JOE]
    with talk.store.read() as connection:
        found = talk.opener.find_link(connection, link.link_id, link.secret, talk.now)
        assert found is not None
        opened = talk.opener.open_messages(connection, found, talk.now)
    assert opened.messages == ()
    assert [one.layer for one in opened.refused] == [Layer.STANZA]


def test_revoked_links_keep_their_proof_through_an_extension(talk: Talk) -> None:
    """What Jane is entitled to survives, though the link that proves it is revoked."""
    talk.begin(JANE)
    talk.answer(JANE)
    with talk.store.read() as connection:
        brings = talk.brings(talk.secrets[1])
        new = links_for(connection, talk.keyring, brings, [talk.person(JANE)], talk.now, revoke=True)
    talk.run(lambda connection: insert_links(connection, new))
    extended(talk)
    with talk.store.read() as connection:
        brings = talk.brings(talk.secrets[0])
        better = links_for(connection, talk.keyring, brings, [talk.person(JANE)], talk.now)
    talk.run(lambda connection: insert_links(connection, better))
    assert better.missing == {}
    assert talk.opens(better.links[JANE]) == "12"


def test_extension_leaves_out_what_nobody_is_entitled_by(talk: Talk) -> None:
    """A planted or damaged stanza is not carried over; the recovery stanza needs no carrying."""
    talk.begin(JANE, JOE)
    other = talk.answer(JANE)
    joe = talk.person(JOE).participant_id

    def plant(connection: Connection) -> None:
        link = connection.execute(select(KEY).where(KEY.c.participant_id == joe)).one()
        row = connection.execute(
            select(STANZA).where(STANZA.c.message_id == other.message_id, STANZA.c.type == 1)
        ).one()
        values = {"message_id": other.message_id, "key_id": link.id, "type": 1, "ct": row.ct}
        connection.execute(STANZA.insert().values(values))

    talk.run(plant)
    before = talk.count(STANZA)
    extended(talk)
    assert talk.count(STANZA) == before - 1


def test_recovery_key_opens_an_extended_message(talk: Talk, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its stanza has no outer layer and stays."""
    folder = tmp_path_factory.mktemp("recovery")
    create_recovery(talk.keyring.folder, folder / "private")
    draft = talk.begin(JANE)
    extended(talk)
    with talk.store.read() as connection:
        private = read_recovery(folder / "private")
        assert recover_original(connection, talk.opener._blobs, draft.message_id, private).data.endswith(b"1\r\n")


def test_what_cannot_be_extended(talk: Talk) -> None:
    """What has expired is gone; a conversation that never was has nothing; a changed row stops it whole."""
    talk.begin(JANE, JOE)
    with pytest.raises(RefusedError, match="cannot be undone"):
        talk.run(lambda c: extend(c, talk.keyring, talk.conversation_id, LATER, EXPIRES))
    with pytest.raises(NotFoundError):
        talk.run(lambda c: extend(c, talk.keyring, bytes(16), LATER, NOW))
    with talk.store.read() as connection:
        before = connection.execute(select(SEALED)).all()
    talk.mark(JOE, flags=1)
    with pytest.raises(SealingError) as caught:
        extended(talk)
    assert caught.value.layer is Layer.ROW
    with talk.store.read() as connection:
        assert connection.execute(select(SEALED)).all() == before


def test_expired_messages_stay_expired_when_the_rest_is_extended(talk: Talk) -> None:
    """An extension brings nothing back."""
    talk.begin(JANE, expires_at=NOW + timedelta(minutes=1))
    link = talk.answer(JANE, fresh_links=True).links[JANE]
    talk.answer(JANE)
    extended(talk)
    assert talk.opens(link) == "23"
    with talk.store.read() as connection:
        first = connection.execute(select(SEALED.c.expires_at).where(SEALED.c.id == talk.named("1")[0])).scalar_one()
    assert first == NOW + timedelta(minutes=1)


# --- two at once ---


def wait_until_met(connection: Connection, submitted: threading.Event) -> None:
    """Return when the other side was submitted and, on PostgreSQL, stands at a lock; on SQLite at the gate."""
    assert submitted.wait(30)
    if connection.dialect.name == "postgresql":
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        assert any(connection.execute(waiting).scalar_one() or _pause(connection) for _ in range(1000))


def _pause(connection: Connection) -> bool:
    return bool(connection.execute(text("SELECT pg_sleep(0.01)")).scalar_one())


def test_message_sealed_while_somebody_extends_is_sealed_anew(talk: Talk) -> None:
    """Older stanzas for fresh links were made under the old outer key: they must not be written."""
    talk.begin(JANE)
    draft = talk.seal(JANE, brings=talk.brings(), fresh_links=True)
    extended(talk)
    with pytest.raises(OvertakenError):
        talk.insert(draft)
    again = talk.answer(JANE, brings=talk.brings(), fresh_links=True)
    assert talk.opens(again.links[JANE]) == "12"


def test_removal_and_answer_in_one_batch_in_either_order(talk: Talk) -> None:
    """First removed: the answer is not written. First answered: the removal takes its stanzas away, too."""
    first = talk.begin(JANE, JOE)
    joe = talk.person(JOE)
    drafts = [talk.seal(JANE, JOE), talk.seal(JANE, JOE)]
    answered = talk.store.submit(lambda connection: talk.vault.insert(connection, drafts[0]))
    taken = talk.store.submit(lambda connection: remove(connection, talk.keyring, joe, talk.now))
    late = talk.store.submit(lambda connection: talk.vault.insert(connection, drafts[1]))
    answered.result()
    taken.result()
    talk.names[drafts[0].message_id] = "2"
    with pytest.raises(OvertakenError):
        late.result()
    assert talk.opens(first.links[JANE]) == "12"
    with talk.store.read() as connection:
        keys = select(KEY.c.id).where(KEY.c.participant_id == joe.participant_id)
        assert connection.execute(select(STANZA).where(STANZA.c.key_id.in_(keys))).all() == []


def test_conversation_that_ended_meanwhile_grows_no_more(talk: Talk) -> None:
    """Swept between planning and commit, there is nothing to write into."""
    talk.begin(JANE)
    draft = talk.seal(JANE)
    talk.run(lambda connection: connection.execute(CONVERSATION.delete()))
    with pytest.raises(OvertakenError, match="has ended"):
        talk.insert(draft)


def test_two_processes_wait_for_each_other(talk: Talk, database_url: str) -> None:
    """While one process removes a reader and has not committed, another cannot write what it sealed to them."""
    talk.begin(JANE, JOE)
    joe = talk.person(JOE)
    draft = talk.seal(JANE, JOE)
    removing, submitted = threading.Event(), threading.Event()

    def slowly(connection: Connection) -> None:
        remove(connection, talk.keyring, joe, talk.now)
        removing.set()
        wait_until_met(connection, submitted)

    other = open_store(database_url)
    try:
        removal = other.submit(slowly)
        assert removing.wait(30)
        late = talk.store.submit(lambda connection: talk.vault.insert(connection, draft))
        submitted.set()
        removal.result()
        with pytest.raises(OvertakenError):
            late.result()
    finally:
        submitted.set()
        other.close()


@pytest.mark.parametrize("first", ["extend", "sweep"])
def test_extension_and_expiry_at_the_same_moment(talk: Talk, database_url: str, first: str) -> None:
    """Whichever comes first, the other sees it: extended means not swept, swept means gone and refused."""
    link = talk.begin(JANE).links[JANE]
    audit, waits, submitted = Audit(talk.keyring, "relay-0"), threading.Event(), threading.Event()
    just_before = EXPIRES - timedelta(microseconds=1)

    def extending(connection: Connection) -> object:
        return extend(connection, talk.keyring, talk.conversation_id, LATER, just_before)

    def sweeping(connection: Connection) -> object:
        return expire(connection, audit, EXPIRES)

    def slowly(connection: Connection) -> object:
        done = (extending if first == "extend" else sweeping)(connection)
        waits.set()
        wait_until_met(connection, submitted)
        return done

    other = open_store(database_url)
    try:
        one = other.submit(slowly)
        assert waits.wait(30)
        two = talk.store.submit(sweeping if first == "extend" else extending)
        submitted.set()
        one.result()
        if first == "extend":
            assert two.result() == 0
            assert talk.opens(link, EXPIRES) == "1"
        else:
            with pytest.raises(RefusedError, match="cannot be undone"):
                two.result()
            assert talk.count(STANZA) == 0
    finally:
        submitted.set()
        other.close()
