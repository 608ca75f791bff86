"""docs/sealed-format.md, the vectors and the code say the same; the sealing code touches nothing outside."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relay.vault.sealing import (
    bundle,
    chunks,
    header,
    hpke,
    kek,
    manifest,
    parts,
    primitives,
    queue_item,
    recovery,
    spool,
    stanza,
    ticket,
    visit,
)
from relay.vault.sealing.errors import Layer
from relay.vault.sealing.header import Author
from relay.vault.sealing.rows import Role

ROOT = Path(__file__).parents[5]
VECTORS = ROOT / "tests" / "vectors"
DOCUMENT = (ROOT / "docs" / "sealed-format.md").read_text()
SIZES = {
    "header": header.HEADER_LENGTH,
    "wrapped O of a file KEK": kek.FILE_WRAPPED_LENGTH,
    "wrapped O, at most": kek.MAX_WRAPPED,
    "link or sender stanza": stanza.STANZA_LENGTH,
    "recovery stanza": stanza.RECOVERY_STANZA_LENGTH,
    "recovery public key": recovery.PUBLIC_LENGTH,
    "chunk": chunks.CHUNK,
    "sealed chunk": chunks.SEALED_CHUNK,
    "padding": parts.PAD,
    "shortest part": parts.stored_length(0),
    "manifest, at most": manifest.MAX_LENGTH,
    "parts, at most": manifest.MAX_PARTS,
    "queue item payload, at most": queue_item.MAX_PAYLOAD,
    "queue item overhead": hpke.OVERHEAD + primitives.MAC_LENGTH,
    "spooled item overhead": spool.spooled_length(0),
    "ticket": ticket.TICKET_LENGTH,
    "visit row": visit.VISIT_LENGTH,
}


def section(title: str) -> str:
    """Return the text below a heading, up to the next one."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert found is not None, f"the document has no section {title}"
    return found[1]


def test_the_document_names_every_label_and_no_other() -> None:
    """The table of labels is the code's."""
    documented = re.findall(r"^\| `([a-z ]+)` \|", section("Labels"), re.MULTILINE)
    assert sorted(primitives.lab(name) for name in documented) == sorted(primitives.LABELS)
    used = set(re.findall(r'lab\("([a-z ]+)"\)', DOCUMENT))
    assert used == set(documented)


def test_labels_are_not_prefixes_of_each_other() -> None:
    """No label begins another, so that no input of one use is an input of another."""
    for one in primitives.LABELS:
        assert sum(other.startswith(one) for other in primitives.LABELS) == 1


def test_the_document_gives_every_size() -> None:
    """The table of sizes is the code's."""
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \|$", section("Sizes and limits"), re.MULTILINE)
    assert {name: int(size) for name, size in rows} == SIZES


def test_the_document_lays_the_header_out() -> None:
    """The table of the header has no gap and ends at 96."""
    rows = re.findall(r"^\| (\d+) \| (\d+) \|", section("The core header"), re.MULTILINE)
    position = 0
    for at, length in rows:
        assert int(at) == position
        position += int(length)
    assert position == header.HEADER_LENGTH
    assert f"`{header.MAGIC.decode()}`" in section("The core header")
    assert f'"{bundle.MAGIC.decode()}"' in section("Export bundles")


def test_the_document_names_every_error() -> None:
    """The list of errors is the code's."""
    named = re.findall(r"\*([a-z ]+)\*", section("Errors").split("Which word")[0].replace("\n", " "))
    assert named == [layer.value for layer in Layer]


def test_the_document_names_authors_roles_types_and_kinds() -> None:
    """Every number with a meaning is written down."""
    for author in Author:
        assert f"{author.value} {author.name.lower()}" in section("The core header")
    assert (Role.SENDER, Role.READER) == (1, 2)
    for kind in stanza.StanzaType:
        assert f"{kind.value} {'sender' if kind == 2 else kind.name.lower()}" in section("Stanzas").replace("\n", " ")
    for role in manifest.PartRole:
        assert f"`{role.value}`" in section("The manifest")


def test_the_generator_makes_the_vectors_that_are_there() -> None:
    """Vectors never change: generating them again gives the same bytes."""
    command = [sys.executable, str(VECTORS / "generate.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_independent_reader_agrees() -> None:
    """A second implementation opens, recomputes and refuses every vector as this one does."""
    command = [sys.executable, str(VECTORS / "independent_reader.py")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.fullmatch(r"agrees on \d{3,} vectors\n", result.stdout)


def test_the_independent_reader_would_disagree(tmp_path: Path) -> None:
    """One digit of a vector changed is noticed, so that its agreement means something."""
    for path in VECTORS.glob("*.json"):
        shutil.copy(path, tmp_path)
    target = tmp_path / "records.json"
    text = target.read_text()
    digit = re.search(r'"payload": "([0-9a-f])', text)
    assert digit is not None
    changed = "0" if digit[1] != "0" else "1"
    target.write_text(text[: digit.start(1)] + changed + text[digit.end(1) :])
    command = [sys.executable, str(VECTORS / "independent_reader.py"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "queue item: refused as wrong\n")


def test_the_independent_reader_shares_no_code() -> None:
    """It imports nothing of ours."""
    assert not any(
        name.startswith(("relay", "portal", "policies")) for name in imports(VECTORS / "independent_reader.py")
    )


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "relay/vault/sealing").glob("*.py")), ids=lambda path: path.stem)
def test_sealing_is_pure(path: Path) -> None:
    """The format reads no file, no clock and no network: nothing but bytes, and randomness from secrets."""
    allowed = {"base64", "collections.abc", "dataclasses", "datetime", "enum", "functools", "hashlib", "hmac", "json"}
    allowed |= {"re", "secrets", "struct", "typing", "relay.errors"}
    for name in imports(path):
        assert name in allowed or name.startswith(("relay.vault.sealing", "cryptography.")), f"{name} is not pure"
    text = path.read_text()
    assert "open(" not in re.sub(r"\w+\.open\(|_open\(|\bdef open", "", text)
    assert ".now(" not in text
