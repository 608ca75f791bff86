"""The rounds of a drill: at every place so many deaths, then the accounts."""

import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from relay.clock import now
from tests.drill import places
from tests.drill.answers import EACH, Answers
from tests.drill.house import House
from tests.drill.stable import Stable


@dataclass
class Account:
    """What a drill came to: deaths by place, recipients of acknowledged letters by end, copies beyond the first."""

    deaths: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    extra: int = 0
    answers: int = 0

    def add(self, other: "Account") -> None:
        """Add what another part came to."""
        self.deaths += other.deaths
        self.ends += other.ends
        self.extra += other.extra
        self.answers += other.answers

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        return (
            f"{self.deaths.total()} kills at {len(self.deaths)} places; {ends}, 0 lost; "
            f"{self.answers} answers of readers; {self.extra} extra copies"
        )


def by_mail(house: House, deaths: Sequence[str], most: int = 1) -> Account:
    """Kill relays under a stream of mail at these places, in any order, at the first to ``most``-th coming there.

    Each machine of several lives until it comes to its next place, whatever the others do.
    """
    chance, before = random.Random(len(deaths)), Counter(house.kills)
    orders = [
        (place, 1 if place in places.RARE else chance.randint(1, most)) for place in chance.sample(deaths, len(deaths))
    ]
    clients = house.clients
    clients.start()
    doomed: dict[int, str] = {}
    while orders or doomed:
        for number in range(len(house.machines)):
            if number not in doomed and orders:
                doomed[number], times = orders.pop()
                house.start(number, f"{doomed[number]}:{times}")
        dead = house.next_death(doomed)
        del doomed[dead]
    house.start_all()
    accepted = clients.stop()
    house.settle()
    ends = house.ledger.check_letters(accepted, house.sink.copies)
    return Account(Counter(house.kills) - before, ends, house.ledger.check_copies(house.sink.copies))


def by_answers(house: House, rounds: int) -> Account:
    """Kill the portal that takes readers' answers, and the relay that carries them out."""
    answers, before = Answers(house.sink), Counter(house.kills)
    # First the relay: then the portal can go on.
    for turn, place in enumerate([*places.BY_AN_ANSWER * rounds, *places.IN_PORTAL * rounds]):
        if turn % EACH == 0:
            house.start_all()
            house.open_portal()
            answers.invite(house.machines[0].smtp)
            house.cut_power()
        if place in places.IN_PORTAL:
            house.end_portal()
            portal = house.open_portal(place)
            assert not answers.give()
            house.await_death(portal, place)
        house.open_portal()
        assert answers.give()
        if place in places.BY_AN_ANSWER:
            house.die(place)
    house.start_all()
    house.settle()
    answers.check()
    answers.end()
    extra = house.ledger.check_copies(house.sink.copies)
    return Account(Counter(house.kills) - before, extra=extra, answers=len(answers.given))


def by_new_keys(stable: Stable, folder: Path, rounds: int) -> Account:
    """Kill relays while they write the first key of a day or month, each round on an installation of its first day."""
    account = Account()
    for number in range(rounds):
        home = folder / str(number)
        home.mkdir()
        house = House.build(home, stable)
        try:
            account.add(by_mail(house, places.BY_A_NEW_KEY))
        finally:
            house.close()
        shutil.rmtree(home)
    return account


def by_time(house: House, rounds: int) -> Account:
    """Kill the sweep two months later; in the end everything that was sealed is gone, with files and keys."""
    ledger, before = house.ledger, Counter(house.kills)
    for months in range(2, 2 + 4 * rounds):  # a key for each death that destroys one
        ledger.keyring.kek_for(now() - timedelta(days=30 * months))
    moment = now() + timedelta(days=75)
    for place in places.BY_THE_SWEEP:
        for _ in range(rounds):
            moment += timedelta(minutes=2)
            life = house.begin("sweep", fail_at=place, now=moment.isoformat())
            house.await_death(life, place)
    last = house.begin("sweep", now=(moment + timedelta(minutes=2)).isoformat())
    assert last.wait(60) == 0, house.log()[-4000:]
    ledger.check_nothing_is_left(house.machines[0].folder / "var")
    return Account(Counter(house.kills) - before)
