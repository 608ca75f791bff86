"""The documents are read against the code, so that they cannot go stale unnoticed."""

import importlib.util
import re
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from relay.config.model import Portal
from relay.store.tables.queue import BEGINNINGS, ENDINGS, FOLLOWS, EntryState, HoldState
from relay.store.tables.sealed import BlobState, ReaderState, SealedState
from relay.store.tables.visits import CodeState
from tests.drill.places import places

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MODULE = re.compile(r"`((?:relay|policies|portal)(?:[./][a-z_]+)*)(?:\.([A-Z]\w+))?(?:\.py)?`")
# What looks like a module and is none: the configuration file, and the keys of its table [portal].
KEYS = {"relay.toml", *(f"portal.{key}" for key in Portal.model_fields)}
PICTURE = re.compile(r"### [^\n]*`([\w.]+)`\)\n\n```mermaid\n(.*?)```", re.DOTALL)
STATES: dict[str, type[StrEnum]] = {
    f"{kind.__module__}.{kind.__name__}": kind
    for kind in (EntryState, HoldState, SealedState, ReaderState, CodeState, BlobState)
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_named_in_documents_exist(document: Path) -> None:
    """Every module or folder of ours that a document names is there."""
    for match in MODULE.finditer(document.read_text()):
        if match[1] in KEYS:
            continue
        name = match[1].removesuffix(".py").replace("/", ".")
        found = importlib.util.find_spec(name)
        assert found is not None or (ROOT / match[1]).exists(), f"{name} is gone"
        if found and match[2]:
            assert hasattr(importlib.import_module(name), match[2]), f"{name} has no {match[2]}"


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


def test_the_picture_of_an_entry_has_the_arrows_of_the_code() -> None:
    """What may follow which, where an entry begins and where it may end, as the table beside the states says it."""
    picture = dict(PICTURE.findall((ROOT / "docs" / "flow.md").read_text()))["relay.store.tables.queue.EntryState"]
    drawn = re.findall(r"^ *(\S+) --> ([^\s:]+)", picture, re.MULTILINE)
    arrows = {(state.value, after.value) for state, following in FOLLOWS.items() for after in following}
    arrows |= {("[*]", state.value) for state in BEGINNINGS} | {(state.value, "[*]") for state in ENDINGS}
    assert set(drawn) == arrows
    assert len(drawn) == len(arrows)


def test_each_fail_point_has_its_line() -> None:
    """The table in docs/flow.md names exactly the places where the code may be killed by a drill, each once."""
    listed = re.findall(r"^\| `(\w+: [^`]+)` \|", (ROOT / "docs" / "flow.md").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(places())


def test_the_readme_names_every_package() -> None:
    """The map of modules in the README has each package of the three, one level down."""
    named = set(re.findall(r"^\| `([\w.]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    there = {
        f"{top}.{init.parent.name}"
        for top in ("relay", "policies", "portal")
        for init in (ROOT / top).glob("*/__init__.py")
    }
    assert there <= named


def test_decisions_are_numbered_and_end_in_an_outcome() -> None:
    """Pages count from 1 without a gap, carry their number, say context, decision and proof, and how it ended."""
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, 1):
        text = page.read_text()
        assert text.startswith(f"# {number}. "), page.name
        for word in ("**Context.**", "**Decision.**", "**Proof.**", "**Consequence.**"):
            assert word in text, f"{page.name} has no {word}"
        assert re.search(r"\bOutcome:\s(?:accepted|replaced|withdrawn)", text), page.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_named_in_documents_exist(document: Path) -> None:
    """Every file or folder of tests, docs and tools that a document names in code style is there."""
    for path in re.findall(r"`((?:tests|docs|tools)/[\w./-]*)`", document.read_text()):
        assert (ROOT / path).exists(), f"{path} is not there"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_named_in_documents_exist(document: Path) -> None:
    """Every test function that a document names in code style is defined somewhere under tests/."""
    named = set(re.findall(r"`(test_\w+)`", document.read_text()))
    assert named <= _defined_tests()


@cache
def _defined_tests() -> frozenset[str]:
    defined = re.compile(r"^ *(?:async )?def (test_\w+)", re.MULTILINE)
    sources = (path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    return frozenset(name for source in sources for name in defined.findall(source))
