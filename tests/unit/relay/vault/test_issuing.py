"""New links, new readers, new secrets: exactly what their holder may have and what was brought, and what is missing."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from relay.errors import OvertakenError, RefusedError
from relay.vault.capability import Capability
from relay.vault.control import extend, remove
from relay.vault.issuing import (
    NewLinks,
    NewSender,
    add_readers,
    insert_links,
    insert_resealed,
    insert_sender,
    links_for,
    renew_sender,
    reseal,
)
from relay.vault.links import KEY
from relay.vault.sealing.errors import Layer, SealingError

from .letters import EXPIRES, NOW
from .talk import SEALED, STANZA, Talk

JANE, JOE, BOB, ANNA, KIM = (
    "jane@example.net",
    "joe@example.net",
    "bob@example.net",
    "anna@example.org",
    "kim@example.org",
)


def drawn(talk: Talk, *addresses: str, brings: Capability | None, revoke: bool = False) -> NewLinks:
    with talk.store.read() as connection:
        persons = [talk.person(one) for one in addresses]
        return links_for(connection, talk.keyring, brings, persons, talk.now, revoke=revoke)


def resend(talk: Talk, *addresses: str, brings: Capability | None, revoke: bool = False) -> NewLinks:
    new = drawn(talk, *addresses, brings=brings, revoke=revoke)
    talk.run(lambda connection: insert_links(connection, new))
    return new


def added(talk: Talk, *addresses: str, brings: Capability, answered: bytes | None = None) -> NewLinks:
    with talk.store.read() as connection:
        return add_readers(connection, talk.keyring, brings, addresses, answered=answered, now=talk.now)


def add(talk: Talk, *addresses: str, brings: Capability, answered: bytes | None = None) -> NewLinks:
    new = added(talk, *addresses, brings=brings, answered=answered)
    talk.run(lambda connection: insert_links(connection, new))
    return new


def renewed(talk: Talk, brings: Capability | None, address: str | None = None) -> NewSender:
    with talk.store.read() as connection:
        sender = None if address is None else talk.person(address)
        new = renew_sender(connection, talk.keyring, brings, talk.now, sender=sender)
    talk.run(lambda connection: insert_sender(connection, new))
    return new


# --- resend ---


def test_new_link_opens_everything_and_the_old_one_nothing(talk: Talk) -> None:
    """Nothing is missing, so the lost link stops working, and its stanzas are gone."""
    first = talk.begin(JANE, JOE)
    talk.answer(JANE)
    new = resend(talk, JANE, brings=talk.brings(talk.secrets[0]))
    assert new.missing == {}
    assert new.revoked == (first.links[JANE].link_id,)
    assert talk.opens(new.links[JANE]) == "12"
    assert talk.opens(first.links[JANE]) == "-"
    assert talk.opens(first.links[JOE]) == "1"
    with talk.store.read() as connection:
        rows = connection.execute(select(STANZA).where(STANZA.c.key_id == first.links[JANE].link_id)).all()
    assert rows == []


def test_old_link_stays_while_it_alone_opens_something(talk: Talk) -> None:
    """What S cannot open the new link cannot either: it is named, and the old link goes on."""
    first = talk.begin(JANE)
    talk.answer(JANE)
    new = resend(talk, JANE, brings=talk.brings(talk.secrets[1]))
    assert new.missing == {JANE: talk.named("1")}
    assert new.revoked == ()
    assert talk.opens(first.links[JANE]) == "12"
    assert talk.opens(new.links[JANE]) == "2"


def test_revoke_ends_the_old_link_whatever_is_missing(talk: Talk) -> None:
    """A link in wrong hands must go; that its reader was entitled is remembered, for a better S."""
    first = talk.begin(JANE)
    talk.answer(JANE)
    new = resend(talk, JANE, brings=talk.brings(talk.secrets[1]), revoke=True)
    assert new.missing == {JANE: talk.named("1")}
    assert talk.opens(first.links[JANE]) == "-"
    assert talk.opens(new.links[JANE]) == "2"
    with talk.store.read() as connection:
        kept = select(STANZA.c.message_id).where(STANZA.c.key_id == first.links[JANE].link_id)
        assert connection.execute(kept).scalars().all() == list(talk.named("1"))
    better = resend(talk, JANE, brings=talk.brings(talk.secrets[0]))
    assert better.missing == {}
    assert talk.opens(better.links[JANE]) == "12"
    with talk.store.read() as connection:
        assert connection.execute(kept).all() == []


def test_new_link_without_anything_brought_opens_what_comes(talk: Talk) -> None:
    """A capability of nothing gives nothing; later messages reach the link all the same."""
    talk.begin(JANE)
    new = resend(talk, JANE, brings=None)
    assert new.missing == {JANE: talk.named("1")}
    talk.answer(JANE)
    assert talk.opens(new.links[JANE]) == "2"


def test_several_readers_get_what_is_theirs(talk: Talk) -> None:
    """One command, two readers: each link opens what its own reader was given."""
    talk.begin(JANE, JOE)
    talk.answer(JANE)
    new = resend(talk, JANE, JOE, brings=talk.brings(talk.secrets[0]))
    assert (talk.opens(new.links[JANE]), talk.opens(new.links[JOE])) == ("12", "1")
    assert len(new.revoked) == 2


def test_link_with_an_unfinished_answer_is_not_revoked_unasked(talk: Talk) -> None:
    """What Jane is writing opens with the link she writes it under, and no other."""
    first = talk.begin(JANE)
    written = talk.answer(JANE, brings=talk.brings())
    row = update(SEALED).where(SEALED.c.id == written.message_id).values(state="draft")
    talk.run(lambda connection: connection.execute(row))
    assert resend(talk, JANE, brings=talk.brings(talk.secrets[0])).revoked == ()
    assert talk.opens(first.links[JANE]) == "1"
    assert resend(talk, JANE, brings=talk.brings(talk.secrets[0]), revoke=True).revoked != ()


def test_links_of_nobody_and_of_expired_mail_are_refused(talk: Talk) -> None:
    """A removed reader has to be added again; what has expired is gone for good."""
    talk.begin(JANE, JOE)
    joe = talk.person(JOE)
    talk.run(lambda connection: remove(connection, talk.keyring, joe, talk.now))
    with talk.store.read() as connection:
        with pytest.raises(RefusedError, match="add them again"):
            links_for(connection, talk.keyring, None, [joe], talk.now)
        with pytest.raises(RefusedError, match="no reader"):
            links_for(connection, talk.keyring, None, [talk.person(ANNA)], talk.now)
        with pytest.raises(RefusedError, match="has expired"):
            links_for(connection, talk.keyring, None, [talk.person(JANE)], EXPIRES)


def test_new_link_lives_as_long_as_the_conversation(talk: Talk) -> None:
    """It expires with the last message that can be read."""
    talk.begin(JANE)
    talk.answer(JANE, expires_at=EXPIRES + timedelta(days=9))
    new = resend(talk, JANE, brings=talk.brings())
    assert talk.opens(new.links[JANE], EXPIRES + timedelta(days=8)) == "2"
    assert talk.opens(new.links[JANE], EXPIRES + timedelta(days=9)) == "-"


# --- add ---


def test_added_reader_gets_the_answered_message_and_what_went_to_all(talk: Talk) -> None:
    """Not what was written to one reader alone, though S opens it."""
    talk.begin(JANE, JOE)  # 1: to all
    talk.answer(JANE, brings=talk.brings())  # 2: to Jane alone
    talk.answer(JANE, JOE, brings=talk.brings(), to_all=True)  # 3
    new = add(talk, BOB, brings=talk.brings())
    assert talk.opens(new.links[BOB]) == "13"
    other = add(talk, "max@example.net", brings=talk.brings(), answered=talk.named("2")[0])
    assert talk.opens(other.links["max@example.net"]) == "123"


def test_added_readers_count_as_readers_from_then_on(talk: Talk) -> None:
    """What Bob was given at his coming is to all still; later messages are sealed to his link."""
    talk.begin(JANE)
    new = add(talk, BOB, brings=talk.brings())
    assert new.missing == {}
    talk.answer(JANE, BOB, to_all=True)
    assert talk.opens(new.links[BOB]) == "12"
    assert add(talk, JOE, brings=talk.brings(talk.secrets[0])).links.keys() == {JOE}


def test_note_in_a_row_alone_shows_nobody_a_private_message(talk: Talk) -> None:
    """Who can write the database may note "to all" on anything; every reader must have been given it, too."""
    talk.begin(JANE, JOE)
    private = talk.answer(JANE, brings=talk.brings())
    row = update(SEALED).where(SEALED.c.id == private.message_id).values(to_all=True)
    talk.run(lambda connection: connection.execute(row))
    new = add(talk, BOB, brings=talk.brings())
    assert talk.opens(new.links[BOB]) == "1"


def test_blind_reader_does_not_make_a_message_private(talk: Talk) -> None:
    """What went to all whom others can see went to all."""
    talk.begin(JANE, BOB, blind=(BOB,))
    talk.answer(JANE, brings=talk.brings(), to_all=True)
    new = add(talk, JOE, brings=talk.brings())
    assert talk.opens(new.links[JOE]) == "12"


def test_what_was_not_brought_is_missing_for_the_added_too(talk: Talk) -> None:
    """An S that opens the newer mail only gives the newer mail only, and says so."""
    talk.begin(JANE)
    talk.answer(JANE, to_all=True)
    new = add(talk, JOE, brings=talk.brings(talk.secrets[1]), answered=talk.named("1")[0])
    assert talk.opens(new.links[JOE]) == "2"
    assert new.missing == {JOE: talk.named("1")}


def test_somebody_who_reads_already_gets_the_answered_message_as_well(talk: Talk) -> None:
    """Adding a reader to a private message shows it to them; they are not entered twice."""
    first = talk.begin(JANE, JOE)
    private = talk.answer(JANE, brings=talk.brings())
    new = add(talk, "JOE@example.net", brings=talk.brings(), answered=private.message_id)
    assert new.links[JOE].participant_id == first.links[JOE].participant_id
    assert talk.opens(new.links[JOE]) == "12"


def test_removed_reader_is_entered_anew(talk: Talk) -> None:
    """Who was removed and is added again is a new participant; the old link stays dead."""
    first = talk.begin(JANE, JOE)
    joe = talk.person(JOE)
    talk.run(lambda connection: remove(connection, talk.keyring, joe, talk.now))
    new = add(talk, JOE, brings=talk.brings())
    assert new.links[JOE].participant_id != joe.participant_id
    assert talk.opens(new.links[JOE]) == "1"
    assert talk.opens(first.links[JOE]) == "-"


# --- fresh S ---


def test_fresh_secret_opens_what_the_old_one_opened(talk: Talk) -> None:
    """Each answer to a command carries a new S, as good as the one that was brought."""
    talk.begin(JANE)
    talk.answer(JANE, brings=talk.brings())
    new = renewed(talk, talk.brings())
    assert (new.participant_id, new.missing) == (talk.person(ANNA).participant_id, ())
    assert talk.brings(new.secret).messages.keys() == talk.names.keys()
    assert new.secret.hex() not in repr(new)
    assert repr(new.secret) not in repr(new)


def test_secret_for_a_visit_gets_what_the_visit_opened(talk: Talk) -> None:
    """A mail about what Jane did carries S for Anna, who gets what both may see."""
    first = talk.begin(JANE, JOE)
    talk.answer(JOE)
    new = renewed(talk, talk.visits(first.links[JANE]), ANNA)
    assert set(talk.brings(new.secret).messages) == set(talk.named("1"))
    assert new.missing == talk.named("2")


def test_colleague_is_entitled_to_nothing_older(talk: Talk) -> None:
    """A first S for a colleague opens later messages only, whoever brings the older ones: she had no key."""
    talk.begin(JANE, colleagues=(KIM,))
    new = renewed(talk, talk.brings(), KIM)
    talk.answer(JANE)
    assert set(talk.brings(new.secret).messages) == set(talk.named("2"))
    assert new.missing == ()


def test_only_a_sender_has_a_reply_address(talk: Talk) -> None:
    """No S for readers, and none for nobody."""
    talk.begin(JANE)
    with talk.store.read() as connection:
        with pytest.raises(RefusedError, match="from inside"):
            renew_sender(connection, talk.keyring, None, talk.now, sender=talk.person(JANE))
        with pytest.raises(ValueError, match="whose secret"):
            renew_sender(connection, talk.keyring, None, talk.now)


# --- a visit with an old link ---


def test_visit_with_an_old_link_gives_newer_links_the_older_mail(talk: Talk) -> None:
    """What the old link opens the newer ones open afterwards; a second visit has nothing more to give."""
    first = talk.begin(JANE)
    second, third = (talk.answer(JANE, fresh_links=True).links[JANE] for _ in range(2))
    assert [talk.opens(link) for link in (second, third)] == ["23", "3"]
    for link in (first.links[JANE], second):
        with talk.store.read() as connection:
            given = reseal(connection, talk.keyring, talk.visits(link), talk.now)
        talk.run(lambda connection, given=given: insert_resealed(connection, given))  # type: ignore[misc]
        assert given.messages == (talk.named("1", "2") if link is not second else ())
    assert [talk.opens(link) for link in (second, third)] == ["123", "123"]


def test_visit_gives_only_its_readers_own_links(talk: Talk) -> None:
    """Jane's keys go to Jane's links, and only for messages that one of her stanzas vouches for."""
    first = talk.begin(JANE, JOE)
    talk.answer(JANE)
    with talk.store.read() as connection:
        given = reseal(connection, talk.keyring, talk.visits(first.links[JANE]), talk.now)
    assert given.messages == ()
    assert talk.opens(first.links[JOE]) == "1"


def test_broken_stanza_is_mended_by_a_visit(talk: Talk) -> None:
    """A stanza that does not open is replaced when another link of the reader still opens the message."""
    first = talk.begin(JANE)
    second = resend(talk, JANE, brings=None).links[JANE]
    talk.answer(JANE)
    broken = update(STANZA).where(STANZA.c.key_id == second.link_id).values(ct=bytes(108))
    talk.run(lambda connection: connection.execute(broken))
    with talk.store.read() as connection:
        given = reseal(connection, talk.keyring, talk.visits(first.links[JANE]), talk.now)
    talk.run(lambda connection: insert_resealed(connection, given))
    assert talk.opens(second) == "12"


def test_link_says_what_other_links_of_its_reader_have(talk: Talk) -> None:
    """The page can name the older mail, and ask for what others lack only when one lacks something."""
    first = talk.begin(JANE, JOE).links
    second = talk.answer(JANE, fresh_links=True).links[JANE]
    with talk.store.read() as connection:
        old = talk.opener.find_link(connection, first[JANE].link_id, first[JANE].secret, talk.now)
        new = talk.opener.find_link(connection, second.link_id, second.secret, talk.now)
        joe = talk.opener.find_link(connection, first[JOE].link_id, first[JOE].secret, talk.now)
        assert old is not None
        assert new is not None
        assert joe is not None
        by_old, by_new, by_joe = (talk.opener.open_messages(connection, one, talk.now) for one in (old, new, joe))
    assert (by_old.elsewhere, set(by_old.to_share)) == ((), set(talk.named("1")))
    assert (by_new.elsewhere, by_new.to_share) == ((NOW,), {})
    assert (by_joe.elsewhere, by_joe.to_share) == ((), {})


# --- meanwhile ---


@pytest.mark.parametrize("what", ["removed", "link", "message", "extended"])
def test_links_drawn_for_what_has_changed_are_not_written(talk: Talk, what: str) -> None:
    """Between the drawing and the commit a reader was removed, a link drawn, a message sealed, all prolonged."""
    talk.begin(JANE)
    new = drawn(talk, JANE, brings=talk.brings())
    if what == "removed":
        talk.run(lambda connection: remove(connection, talk.keyring, talk.person(JANE), talk.now))
    elif what == "link":
        resend(talk, JANE, brings=talk.brings())
    elif what == "message":
        talk.answer(JANE)
    else:
        until = EXPIRES + timedelta(days=40)
        talk.run(lambda connection: extend(connection, talk.keyring, talk.conversation_id, until, talk.now))
    before = talk.count(KEY)
    with pytest.raises(OvertakenError):
        talk.run(lambda connection: insert_links(connection, new))
    assert talk.count(KEY) == before


def test_same_reader_added_twice_at_once_is_entered_once(talk: Talk) -> None:
    """Two commands in one batch: the second is worked out again and finds the reader there."""
    talk.begin(JANE)
    both = [added(talk, JOE, brings=talk.brings()) for _ in range(2)]
    futures = [talk.store.submit(lambda connection, one=one: insert_links(connection, one)) for one in both]  # type: ignore[misc]
    futures[0].result()
    with pytest.raises(OvertakenError, match="was added"):
        futures[1].result()
    assert [one for one in talk.people() if one == JOE] == [JOE]


def test_links_secrets_and_extension_go_into_one_commit(talk: Talk) -> None:
    """An answer to several commands: new links for one, another added, a fresh S, then everything prolonged."""
    talk.begin(JANE)
    until = EXPIRES + timedelta(days=40)
    links, joe = drawn(talk, JANE, brings=talk.brings()), added(talk, JOE, brings=talk.brings())
    with talk.store.read() as connection:
        sender = renew_sender(connection, talk.keyring, talk.brings(), talk.now)

    def everything(connection: object) -> None:
        insert_links(connection, links)  # type: ignore[arg-type]
        insert_links(connection, joe)  # type: ignore[arg-type]
        insert_sender(connection, sender)  # type: ignore[arg-type]
        extend(connection, talk.keyring, talk.conversation_id, until, talk.now)  # type: ignore[arg-type]

    talk.run(everything)
    late = until - timedelta(seconds=1)
    assert talk.opens(links.links[JANE], late) == talk.opens(joe.links[JOE], late) == "1"
    assert set(talk.brings(sender.secret).messages) == set(talk.names)


def test_changed_row_stops_every_hand_out(talk: Talk) -> None:
    """A planted address gets no link, and while it stands there nobody gets one."""
    talk.begin(JANE, JOE)
    brings = talk.brings()
    jane = talk.person(JANE)
    talk.mark(JOE, address=talk.keyring.seal_address("thief@example.com"))
    with talk.store.read() as connection:
        for hand_out in (
            lambda: links_for(connection, talk.keyring, brings, [jane], talk.now),
            lambda: add_readers(connection, talk.keyring, brings, [BOB], answered=None, now=talk.now),
            lambda: renew_sender(connection, talk.keyring, brings, talk.now),
        ):
            with pytest.raises(SealingError) as caught:
                hand_out()
            assert caught.value.layer is Layer.ROW
