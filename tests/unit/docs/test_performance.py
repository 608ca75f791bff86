"""docs/performance.md names the tables that `make bench` prints, and how to take each alone."""

import re
from pathlib import Path

from tests.benchmarks.compare import SECTIONS

ROOT = Path(__file__).parents[3]


def test_every_table_of_the_bench_can_be_repeated() -> None:
    """The commands in the document are exactly the tables there are, and `make bench` runs that module."""
    text = (ROOT / "docs" / "performance.md").read_text()
    named = re.findall(r"python -m tests\.benchmarks\.compare --only (\w+)`", text)
    assert sorted(named) == sorted(SECTIONS)
    assert "-m tests.benchmarks.compare" in (ROOT / "Makefile").read_text()
