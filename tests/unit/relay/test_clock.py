"""Identifiers: what sorts, and what nobody guesses."""

import itertools

import pytest

from relay import clock


def test_queue_ids_sort_by_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later millisecond gives a greater id; within one, all differ behind the time."""
    moments = [1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_256, 1_900_000_000_000]
    drawn = []
    for moment in moments:
        monkeypatch.setattr("relay.clock.time.time_ns", lambda moment=moment: moment * 1_000_000)
        drawn.append([clock.new_queue_id() for _ in range(50)])
    for earlier, later in itertools.pairwise(drawn):
        assert max(earlier) < min(later)
    tails = {one[6:] for ids in drawn for one in ids}
    assert len(tails) == 200
    assert {len(one) for ids in drawn for one in ids} == {clock.ID_LENGTH}
