"""The configuration texts that Letterlock writes or ships: demo, starter, example."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from relay.config import inspect, load
from relay.config.demo import demo_text, word_lists
from relay.config.model import Configuration, DkimKey, Microsoft365
from relay.config.next_hops import Partner
from relay.config.schema import as_written
from relay.config.starter import starter_text
from relay.config.values import Endpoint

ROOT = Path(__file__).parents[4]
EXAMPLE = ROOT / "relay.toml.example"
_OPEN_SECTIONS = {"listen": ("submission",), "lists": ("health",)}


def write_lists(folder: Path) -> None:
    for name, text in word_lists().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def uncommented() -> str:
    """Return the example with every commented key as if it were written."""
    return re.sub(r"^#(?=[\w\[])", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def keys_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield every key below a model with its field; open sections under the name that the example gives them."""
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
        tables = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if name == "trust" or (path == () and name in {"groups", "rules", "dkim", "partner"}):
            continue  # tables in a list
        if tables and tables[0] is not Endpoint:
            yield from keys_of(tables[0], (*path, name, *_OPEN_SECTIONS.get(name, ())))
        else:
            yield (*path, name), field


def test_the_example_is_accepted_as_it_is(tmp_path: Path) -> None:
    """relay.toml.example is a configuration that works, without a warning except for the missing keys."""
    (tmp_path / "relay.toml").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    write_lists(tmp_path)
    inspection = inspect(tmp_path / "relay.toml")
    assert inspection.problems == ()
    assert {line.split(": ", 1)[1].split(" ")[0] for line in inspection.warnings} <= {
        "the",
        "there",
        "no",
    }


def test_the_example_names_every_key_and_nothing_else() -> None:
    """Every key of the model stands in the example, live or commented, and no other key does."""
    document = tomllib.loads(uncommented())
    [dkim] = document.pop("dkim")
    assert set(dkim) == set(DkimKey.model_fields)
    [partner] = document.pop("partner")
    assert set(partner) == set(Partner.model_fields)
    [trust] = document["listen"]["submission"].pop("trust")
    assert set(trust) == set(Microsoft365.model_fields)
    del document["rules"], document["groups"]
    assert set(_keys_in(document)) == {path for path, _ in keys_of(Configuration)}


def _keys_in(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _keys_in(value, (*path, key))
        else:
            yield (*path, key)


def test_a_commented_key_shows_its_default() -> None:
    """What a line #key = value says is what holds when the line is left out."""
    live = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    every = tomllib.loads(uncommented())
    checked = 0
    for path, field in keys_of(Configuration):
        written, table = every, live
        for name in path:
            written = written[name]
            table = table.get(name, {}) if isinstance(table, dict) else table
        if field.is_required():
            assert table == written, path
        elif table == {}:
            assert as_written(field, field.default) == written, path
            checked += 1
    assert checked > 20


def test_the_example_shows_every_condition() -> None:
    """Each condition of a rule stands in the example."""
    text = EXAMPLE.read_text(encoding="utf-8")
    conditions = (
        "identifier keywords pattern unfamiliar recipient_domain visible_outside subject_tag attachment not_inspectable"
    )
    for condition in [*conditions.split(), "when.any", "when.all", "not"]:
        assert re.search(rf"(\{{ |^){re.escape(condition)} = ", text, re.MULTILINE), condition


def test_the_demo_works(tmp_path: Path) -> None:
    """The demo is accepted without a doubt once its keys are there, and stays on this machine."""
    (tmp_path / "relay.toml").write_text(demo_text(), encoding="utf-8")
    write_lists(tmp_path)
    (tmp_path / "var/keys").mkdir(parents=True)
    inspection = inspect(tmp_path / "relay.toml")
    assert (inspection.problems, inspection.warnings) == ((), ())
    configuration = load(tmp_path / "relay.toml")
    assert configuration.storage.blobs == tmp_path / "var/blobs"
    assert configuration.storage.database == f"sqlite:///{tmp_path}/var/letterlock.db"
    assert configuration.demo is not None


@pytest.mark.parametrize("name", ["Example Council", 'The "Old" Mill\\', "Gemeente Súdwest-Fryslân {x}"])
def test_the_starter_works_for_any_name(tmp_path: Path, name: str) -> None:
    """The first relay.toml of an organisation is sound, whatever its name is."""
    (tmp_path / "relay.toml").write_text(
        starter_text(name=name, domain="council.example", contact="+44 20 7946 0000"), encoding="utf-8"
    )
    assert load(tmp_path / "relay.toml").organisation.name == name
