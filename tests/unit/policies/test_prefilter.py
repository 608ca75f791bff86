"""The prefilter from several threads at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from policies.prefilter import Expression, Prefilter


def test_scans_side_by_side_do_not_disturb_each_other() -> None:
    """Many threads share one prefilter and each gets its own answer."""
    prefilter = Prefilter([Expression(f"term{number:03}x") for number in range(200)])

    def scan(number: int) -> list[int]:
        data = f"{'filler ' * 20_000}term{number:03}x".encode()
        return prefilter.occurring(data)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(scan, range(200))) == [[number] for number in range(200)]


def test_a_prefilter_without_expressions_finds_nothing() -> None:
    """No expressions, no answer; no text, no answer."""
    assert Prefilter([]).occurring(b"text") == []
    assert Prefilter([Expression("a")]).occurring(b"") == []


def test_an_unreadable_expression_is_refused() -> None:
    """What Hyperscan cannot compile is a ValueError."""
    with pytest.raises(ValueError, match=r"(?i)parenthes"):
        Prefilter([Expression("(")])


def test_what_stands_apart_is_asked_too() -> None:
    """Expressions of both databases answer with their own positions, and what two ask for answers for both."""
    word, shape = Expression("word"), Expression("[A-Z]{2}[0-9]{2}", apart=True)
    prefilter = Prefilter([shape, word, Expression("other"), word, shape])
    assert sorted(prefilter.occurring(b"a word and AB12 and a word")) == [0, 1, 3, 4]
    assert sorted(prefilter.occurring(b"AB12")) == [0, 4]
    assert sorted(prefilter.occurring(b"word")) == [1, 3]
