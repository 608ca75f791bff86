"""kill -9 at every named place of the path, under a stream of real mail: nothing is lost, hardly anything comes twice.

`make drill` dies more than a thousand times; without it each place is visited once on SQLite, some on PostgreSQL.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drill import places, rounds
from tests.drill.house import House
from tests.drill.stable import Stable
from tests.postgresql import PostgreSQL

DRILL = bool(os.environ.get("LETTERLOCK_DRILL"))
BY_MAIL, ELSEWHERE, WITH_TWO = (17, 10, 5) if DRILL else (1, 1, 0)
MOST = 12 if DRILL else 1  # the coming to a place that may be the last
SOME = (
    "reception: committed",
    "store: before commit",
    "delivery: final dot sent",
    "outcome: states written",
)

pytestmark = [pytest.mark.story, pytest.mark.timeout(3600 if DRILL else 300)]


@pytest.fixture(scope="module")
def stable() -> Iterator[Stable]:
    """A warm process that all drills fork their gateways from."""
    with Stable() as warm:
        yield warm


@pytest.fixture(scope="module")
def house(stable: Stable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An installation on SQLite on its first day, and the world around it; what one test leaves, the next one finds."""
    built = House.build(tmp_path_factory.mktemp("house"), stable)
    yield built
    built.close()


@pytest.fixture
def two_machines(stable: Stable, tmp_path: Path) -> Iterator[House]:
    """A new installation of two machines on one PostgreSQL."""
    server = PostgreSQL()
    built = House.build(tmp_path, stable, database=server.new_database(), machines=2)
    yield built
    built.close()
    server.stop()


def _print(account: rounds.Account) -> None:
    if DRILL:
        print(f"\n{account}")  # noqa: T201  # the figures of a drill are its result


def test_a_death_under_a_stream_of_mail(house: House) -> None:
    """Every acknowledged copy is delivered, bounced, queued, sealed or held, and what came twice had to."""
    account = rounds.by_mail(house, places.by_mail() * BY_MAIL, MOST)
    _print(account)
    assert account.deaths.keys() == set(places.by_mail())
    assert account.ends.keys() >= {"delivered", "sealed", "held", "bounced", "queued"}


def test_a_death_over_a_readers_answer(house: House) -> None:
    """What the page took reaches the people inside as one mail, whether portal or relay dies over it."""
    account = rounds.by_answers(house, ELSEWHERE)
    _print(account)
    assert account.deaths.keys() == {*places.IN_PORTAL, *places.BY_AN_ANSWER}


def test_a_death_over_the_sweep(house: House) -> None:
    """Of what the tests before have sealed, all goes in the end, however often the sweep dies over it."""
    account = rounds.by_time(house, ELSEWHERE)
    _print(account)
    assert account.deaths.keys() == set(places.BY_THE_SWEEP)


def test_a_death_over_a_new_key(stable: Stable, tmp_path: Path) -> None:
    """The first mail of a day finds a key, or makes one, and is sent."""
    account = rounds.by_new_keys(stable, tmp_path, ELSEWHERE)
    _print(account)
    assert account.deaths.keys() == set(places.BY_A_NEW_KEY)


@pytest.mark.postgresql
def test_a_death_of_two_machines_on_one_database(two_machines: House) -> None:
    """Two relays on PostgreSQL die again and again, each while the other goes on: the accounts are the same."""
    everywhere = [place for place in places.by_mail() if place not in places.RARE]
    account = rounds.by_mail(two_machines, everywhere * WITH_TWO or SOME, MOST)
    _print(account)
    assert account.deaths.total() == len(everywhere * WITH_TWO or SOME)
