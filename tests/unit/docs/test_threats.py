"""docs/threats.md is read against the code: a claim without its test is not a claim."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "threats.md").read_text()
ENTRY = re.compile(r"^\*\*R(\d+) · (met|in part|not yet)\.\*\* (.*?)(?=\n\n)", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement as the page tells it; ``parts`` by the words How, Test and Missing."""

    number: int
    state: str
    asked: str
    parts: dict[str, str]

    @property
    def files(self) -> list[str]:
        """The test files that are named."""
        return [span for span in SPAN.findall(self.parts.get("Test", "")) if span.startswith("tests/")]

    @property
    def functions(self) -> list[str]:
        """The test functions that are named."""
        return [span for span in SPAN.findall(self.parts.get("Test", "")) if span.startswith("test_")]


def _requirements() -> Iterator[Requirement]:
    for number, state, text in ENTRY.findall(PAGE + "\n\n"):
        asked, *rest = re.split(r"\n(How|Test|Missing)(?:, [\w ]+)?: ", text)
        yield Requirement(int(number), state, asked, dict(zip(rest[::2], rest[1::2], strict=True)))


REQUIREMENTS = list(_requirements())


@cache
def _functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_each_requirement_stands_there_once() -> None:
    """R1 to R50 are there, in order, and no number is named a second time anywhere on the page."""
    assert [one.number for one in REQUIREMENTS] == list(range(1, 51))
    named = Counter(re.findall(r"\bR(\d+)\b", PAGE))
    assert {number for number, times in named.items() if times > 1} == set()


@pytest.mark.parametrize("one", REQUIREMENTS, ids=lambda one: f"R{one.number}")
def test_a_requirement_says_how_and_shows_it(one: Requirement) -> None:
    """What is met names code and tests and lacks nothing; what is met in part says what is missing as well."""
    expected = {
        "met": {"How", "Test"},
        "in part": {"How", "Test", "Missing"},
        "not yet": {"Missing"},
    }
    assert set(one.parts) == expected[one.state]
    assert one.asked
    if one.state != "not yet":
        assert one.files
        assert re.search(r"`(?:relay|policies|portal)[.\w]*`", one.parts["How"])


@pytest.mark.parametrize("one", REQUIREMENTS, ids=lambda one: f"R{one.number}")
def test_the_tests_that_are_named_exist(one: Requirement) -> None:
    """Every file is there, and every function stands in one of the files that its requirement names."""
    missing = [file for file in one.files if not (ROOT / file).is_file()]
    assert missing == []
    there = {name for file in one.files if file.endswith(".py") for name in _functions_of(file)}
    assert set(one.functions) <= there
