"""The documents are read against the code, so that they cannot go stale unnoticed."""

import importlib.util
import re
from enum import StrEnum
from pathlib import Path

import pytest

from relay.store.tables.queue import EntryState
from relay.store.tables.sealed import BlobState, ReaderState, SealedState
from relay.store.tables.visits import CodeState

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MODULE = re.compile(r"`((?:relay|policies|portal)(?:[./][a-z_]+)*)(?:\.([A-Z]\w+))?(?:\.py)?`")
PICTURE = re.compile(r"### [^\n]*`([\w.]+)`\)\n\n```mermaid\n(.*?)```", re.DOTALL)
STATES: dict[str, type[StrEnum]] = {
    f"{kind.__module__}.{kind.__name__}": kind
    for kind in (EntryState, SealedState, ReaderState, CodeState, BlobState)
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_named_in_documents_exist(document: Path) -> None:
    """Every module or folder of ours that a document names is there."""
    for match in MODULE.finditer(document.read_text()):
        name = match[1].replace("/", ".")
        if name.endswith(".py"):
            name = name.removesuffix(".py")
        assert importlib.util.find_spec(name) is not None or (ROOT / match[1]).exists(), f"{name} is gone"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    """Every relative link points at a file that is there."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), f"{target} is not there"


def test_each_state_machine_has_its_picture() -> None:
    """The pictures in docs/flow.md show exactly the states of the code."""
    pictures = dict(PICTURE.findall((ROOT / "docs" / "flow.md").read_text()))
    assert set(pictures) == set(STATES)
    for name, picture in pictures.items():
        drawn = set(re.findall(r"\b([a-z_]+)(?= -->)|(?<=--> )([a-z_]+)", picture))
        shown = {first or second for first, second in drawn}
        assert shown == {state.value.replace(" ", "_") for state in STATES[name]}, name
