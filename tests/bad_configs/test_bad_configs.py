"""Each broken configuration beside this file gives exactly the lines in its .expected file."""

from pathlib import Path

import pytest

from relay.config import inspect, load
from relay.errors import ConfigurationError

HERE = Path(__file__).parent
BROKEN = sorted(path.stem for path in HERE.glob("*.toml"))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_is_explained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mistake is named at its line and column, with what to write instead; nothing is loaded."""
    monkeypatch.chdir(HERE)
    path = Path(f"{name}.toml")
    inspection = inspect(path)
    assert "\n".join(inspection.problems) + "\n" == (HERE / f"{name}.expected").read_text(encoding="utf-8")
    assert inspection.configuration is None
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert caught.value.problems == inspection.problems


def test_each_message_has_its_configuration() -> None:
    """No expected message is left without the file that causes it."""
    assert {path.stem for path in HERE.glob("*.expected")} == set(BROKEN)
