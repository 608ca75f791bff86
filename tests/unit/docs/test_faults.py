"""docs/faults.md names a test for each fault, and they are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = [row for row in (ROOT / "docs/faults.md").read_text().splitlines() if row.startswith("| ")]
PROVED = [row.split(" | ") for row in ROWS if not row.startswith("| fault ")]


@pytest.mark.parametrize("row", PROVED, ids=lambda row: row[0].removeprefix("| "))
def test_a_fault_has_its_test(row: list[str]) -> None:
    """Each row names at least one file, and every function that stands behind a file is in it."""
    _fault, _what, tests = row
    named = re.findall(r"`(tests/[\w/.]+)`(?: \(([^)]*)\))?", tests)
    assert named
    for file, functions in named:
        assert (ROOT / file).is_file(), file
        if file.endswith(".py"):
            tree = ast.parse((ROOT / file).read_text())
            there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert set(re.findall(r"`(test_\w+)`", functions)) <= there
