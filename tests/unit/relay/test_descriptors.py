"""How many files a process may have open."""

import json
import os
import resource
from pathlib import Path

import pytest

from relay.config import load
from relay.descriptors import OTHERS, RESERVE, few_left, missing, take_all
from tests.gateway import CONFIGURATION

# The forked process sets limits and says what they are, nothing else.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.mark.parametrize(("hard", "soft"), [(300, 300), (100, 100)])
def test_all_that_is_allowed_is_taken(hard: int, soft: int) -> None:
    """The soft limit goes up to the hard one, which stays."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:  # limits cannot be put back
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        os.write(writing, json.dumps([take_all(), *resource.getrlimit(resource.RLIMIT_NOFILE)]).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123  # a descriptor
        assert json.load(pipe) == [soft, soft, hard]


def test_the_reserve_is_known_by_the_newest_number() -> None:
    """Numbers are given from below: one near the limit says that few are left; -1 is a socket that is gone."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert [few_left(number) for number in (-1, soft - RESERVE - 1, soft - RESERVE, soft - 1)] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("workers", "clients"), [(1, 500), (2, 250), (3, 167)])
def test_too_few_are_counted(tmp_path: Path, workers: int, clients: int) -> None:
    """What a process lacks for its share of limits.connections, rounded up."""
    values = {"smtp": 2525, "portal": 8080, "world": 2526, "workers": workers, "trusted": "127.0.0.0/8"}
    (tmp_path / "var").mkdir()
    (tmp_path / "relay.toml").write_text(CONFIGURATION.format(**values, database="sqlite:///var/letterlock.db"))
    configuration = load(tmp_path / "relay.toml")
    assert missing(configuration, clients + OTHERS) == 0
    assert missing(configuration, clients) == OTHERS
