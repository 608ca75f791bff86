"""Long conversations in random order: nobody ever opens what was not for them, and nobody loses what was."""

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from relay.vault.capability import Capability
from relay.vault.control import extend, remove
from relay.vault.issuing import insert_links, insert_resealed, insert_sender, links_for, renew_sender, reseal
from relay.vault.participants import PickupLink

from .letters import EXPIRES
from .talk import Talk

READERS = ("jane@example.net", "joe@example.net", "bob@example.net")


class Story:
    """What was done, and what must hold after each step."""

    def __init__(self, talk: Talk, seed: int) -> None:
        self.talk = talk
        self.dice = random.Random(seed)
        self.links: dict[str, list[PickupLink]] = {one: [] for one in READERS}
        self.meant: dict[str, set[str]] = {one: set() for one in READERS}  # messages sealed for each
        self.ended: set[str] = set()  # links were revoked though something was missing: may have lost it
        self._note(READERS, talk.begin(*READERS).links)
        self._mean(READERS)

    def step(self) -> None:
        """Do something at random, then look at everybody's links."""
        readers = [one for one in READERS if one in self.talk.people()]
        self.dice.choice([self._answer, self._answer, self._resend, self._renew, self._visit, self._extend])(readers)
        if self.dice.random() < 0.15 and len(readers) > 1:
            self._remove(readers[-1])
        self.check()

    def check(self) -> None:
        """No link opens what was not meant for its reader; what was meant opens with one of the live links."""
        for who, links in self.links.items():
            shown = [set(self.talk.opens(link)) - {"-"} for link in links]
            seen = set().union(*shown)
            assert seen <= self.meant[who]
            if who not in self.talk.people():
                assert seen == set()
            elif who not in self.ended:
                assert seen == self.meant[who]

    def _brings(self) -> Capability | None:
        secret = self.dice.choice([None, *self.talk.secrets])
        return None if secret is None else self.talk.brings(secret)

    def _answer(self, readers: list[str]) -> None:
        to = self.dice.sample(readers, self.dice.randint(1, len(readers)))
        fresh = [self.talk.person(one).participant_id for one in to if self.dice.random() < 0.5]
        draft = self.talk.answer(*to, brings=self._brings(), fresh_links=fresh)
        self._note(to, draft.links)
        self._mean(to)

    def _resend(self, readers: list[str]) -> None:
        who, revoke = self.dice.choice(readers), self.dice.random() < 0.1
        talk, brings = self.talk, self._brings()
        with talk.store.read() as connection:
            new = links_for(connection, talk.keyring, brings, [talk.person(who)], talk.now, revoke=revoke)
        talk.run(lambda connection: insert_links(connection, new))
        self._note([who], new.links)
        if revoke and who in new.missing:
            self.ended.add(who)

    def _renew(self, _readers: list[str]) -> None:
        brings = self._brings()
        if brings is not None:
            with self.talk.store.read() as connection:
                new = renew_sender(connection, self.talk.keyring, brings, self.talk.now)
            self.talk.run(lambda connection: insert_sender(connection, new))
            self.talk.secrets.append(new.secret)

    def _visit(self, readers: list[str]) -> None:
        link = self.dice.choice(self.links[self.dice.choice(readers)])
        with self.talk.store.read() as connection:
            given = reseal(connection, self.talk.keyring, self.talk.visits(link), self.talk.now)
        self.talk.run(lambda connection: insert_resealed(connection, given))

    def _extend(self, _readers: list[str]) -> None:
        talk, until = self.talk, EXPIRES + timedelta(days=self.dice.randint(-9, 99))
        talk.run(lambda connection: extend(connection, talk.keyring, talk.conversation_id, until, talk.now))

    def _remove(self, who: str) -> None:
        one = self.talk.person(who)
        self.talk.run(lambda connection: remove(connection, self.talk.keyring, one, self.talk.now))

    def _note(self, readers: Sequence[str], links: Mapping[str, PickupLink]) -> None:
        for who in readers:
            if who in links:
                self.links[who].append(links[who])

    def _mean(self, to: Sequence[str]) -> None:
        for who in to:
            self.meant[who].add(list(self.talk.names.values())[-1])


@pytest.mark.parametrize("seed", range(3))
def test_nobody_opens_what_is_not_theirs_and_nobody_loses_what_is(talk: Talk, seed: int) -> None:
    """Answers, fresh links, secrets old and new, visits, extensions and removals, in any order."""
    story = Story(talk, seed)
    for _ in range(20):
        story.step()
    assert not talk.people().keys() >= set(READERS), "nobody was removed: take another seed"
