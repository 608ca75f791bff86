import json
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from relay.config import Inspection, inspect, load
from relay.config.schema import json_schema
from relay.config.wordlists import read_lists
from relay.errors import ConfigurationError

Inspect = Callable[..., Inspection]


def test_values_are_typed_and_paths_absolute(tmp_path: Path, inspect_with: Inspect) -> None:
    """What is loaded has units, networks and endpoints as types, and paths from the folder of the file."""
    (tmp_path / "data").mkdir()
    inspect_with(
        ("[portal]", '[storage]\ninline_limit = "64 KiB"\ndatabase = "sqlite:///data/l.db"\n[portal]\nexpiry = "2d"'),
        ('domains = ["example.org"]', 'domains = ["EXAMPLE.org", "bücher.example"]'),
        ('address = "127.0.0.1:2525"', 'address = "[::1]:2525"\ntrusted_networks = ["10.0.0.0/8", "192.0.2.7"]'),
    )
    configuration = load(tmp_path / "relay.toml")
    assert configuration.organisation.domains == ("example.org", "xn--bcher-kva.example")
    assert configuration.storage.inline_limit == 65536
    assert configuration.storage.database == f"sqlite:///{tmp_path}/data/l.db"
    assert configuration.storage.blobs == tmp_path / "var/blobs"
    assert configuration.portal.expiry == timedelta(days=2)
    assert configuration.gateway.host_name == "letter.example.org"
    listener = configuration.listen["submission"]
    assert (listener.address.host, listener.address.port, str(listener.address)) == ("::1", 2525, "[::1]:2525")
    assert listener.trusted_networks == (ip_network("10.0.0.0/8"), ip_network("192.0.2.7/32"))


def test_a_relative_file_name_works_from_any_folder(
    tmp_path: Path, inspect_with: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths belong to the file that names them, not to the folder of the process."""
    inspect_with()
    assert load(Path("relay.toml")).keys.folder == tmp_path / "keys"
    monkeypatch.chdir("/")
    assert load(tmp_path / "relay.toml").keys.folder == tmp_path / "keys"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.toml", 'there is no such file ("letterlock init" writes one)'),
        ("keys", "this is not a file"),
        ("large.toml", "the file is larger than 4 MiB (word lists go into files of their own)"),
        ("deep.toml", "lists or tables are nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
) -> None:
    """Where there is nothing to parse, one sentence says so."""
    monkeypatch.chdir(tmp_path)
    Path("keys").mkdir()
    Path("large.toml").write_text("#" * (4 << 20) + "\n")
    Path("deep.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    assert inspect(Path(name)).problems == (f"{name}:1:1: {problem}",)


def test_conditions_nested_without_end_are_refused(inspect_with: Inspect) -> None:
    """A tree of conditions that is too deep to be meant is a problem, not a crash."""
    deep = "{ not = " * 300 + '{ identifier = "nhs" }' + " }" * 300
    inspection = inspect_with(('when = { identifier = "nhs" }', f"when = {deep}"))
    assert inspection.problems == ("relay.toml:24:312: lists or tables are nested too deeply",)


def test_a_byte_order_mark_is_accepted(tmp_path: Path, inspect_with: Inspect) -> None:
    """Files saved by Windows editors work, with the same line numbers."""
    inspect_with()
    path = tmp_path / "relay.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert inspect(path).problems == ()


def test_a_file_that_others_may_change_is_doubted(tmp_path: Path, inspect_with: Inspect) -> None:
    """Whoever can write the file can switch the policy off, so check says that anybody can."""
    inspect_with()
    (tmp_path / "relay.toml").chmod(0o666)
    [line] = inspect(Path("relay.toml")).warnings
    assert line == "relay.toml: every user of this machine may change this file (chmod o-w)"


def test_a_database_password_that_others_may_read_is_doubted(tmp_path: Path, inspect_with: Inspect) -> None:
    """A password in the file asks for permissions to match, and never stands in the warning."""
    inspect_with(("[portal]", '[storage]\ndatabase = "postgresql+psycopg://u:canary@db/l"\n[portal]'))
    (tmp_path / "relay.toml").chmod(0o644)
    [line] = inspect(Path("relay.toml")).warnings
    assert "password of the database" in line
    assert "canary" not in line


def test_an_error_carries_every_problem(inspect_with: Inspect) -> None:
    """The exception of load has the same lines as the inspection."""
    problems = inspect_with(('name = "Example Council"', "name = 1"), ('["127.0.0.1:2526"]', "[]")).problems
    assert len(problems) == 3
    with pytest.raises(ConfigurationError) as caught:
        load(Path("relay.toml"))
    assert str(caught.value) == "\n".join(problems)


def test_word_lists_are_read_with_their_comments_removed(tmp_path: Path, inspect_with: Inspect) -> None:
    """A list gives each term once, without comments and blank lines."""
    (tmp_path / "words.txt").write_text("# health\n\ndiagnosis\n  blood test # two words\ndiagnosis\n")
    inspection = inspect_with(
        ("[[rules]]", '[lists]\nhealth = { file = "words.txt" }\n[[rules]]'),
        ('{ identifier = "nhs" }', '{ keywords = "health" }'),
    )
    assert inspection.configuration is not None
    assert read_lists(inspection.configuration) == {"health": ("diagnosis", "blood test")}


def test_the_schema_knows_descriptions_and_defaults_as_written() -> None:
    """An editor shows for each key what it means and what holds without it, in the units of the file."""
    schema = json.loads(json.dumps(json_schema()))
    limit = schema["$defs"]["Storage"]["properties"]["inline_limit"]
    assert limit["default"] == "128 KiB"
    assert limit["type"] == "string"
    assert "kept in the database" in limit["description"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Delivery"]["properties"]["retry"]["default"] == ["1m", "5m", "15m", "30m", "1h"]
