"""What a running gateway takes from a changed file, and what its processes read when they start again."""

import os
from pathlib import Path

import pytest

from relay.config import inspect, load
from relay.config.demo import demo_text, word_lists
from relay.config.source import Source
from relay.errors import ConfigurationError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "relay.toml"
    path.write_text(demo_text(), encoding="utf-8")
    for name, text in word_lists().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("workers = 1", "workers = 7", "gateway.workers"),
        ("127.0.0.1:8080", "127.0.0.1:8081", "portal.listen"),
        ("[portal]\n", '[portal]\nforwarded_from = ["192.0.2.80"]\n', "portal.forwarded_from"),
        ("127.0.0.1:2525", "127.0.0.1:2599", "listen.submission.address"),
        ("[listen.submission]", "[listen.other]", "listen.other"),
        ("127.0.0.1:8025", "127.0.0.1:8026", "demo.web"),
        ('disk_reserve = "64 MiB"', 'disk_reserve = "65 MiB"', "storage.disk_reserve"),
        ('folder = "var/keys"', 'folder = "var/others"', "keys.folder"),
    ],
)
def test_what_waits_for_a_restart(file: Path, before: str, after: str, key: str) -> None:
    """Where things are kept and where it listens cannot change; the line is named, and nothing of the file is taken."""
    running = load(file)
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
    inspection = inspect(file, running=running)
    assert inspection.configuration is None
    said = [problem for problem in inspection.problems if "cannot change while the gateway runs" in problem]
    assert f"{key} cannot" in " ".join(said)
    assert all(problem.startswith(f"{file}:") for problem in said)


def test_what_does_not_wait(file: Path) -> None:
    """A file that says the same, or changes anything else, is taken."""
    running = load(file)
    assert inspect(file, running=running).configuration == running
    text = file.read_text(encoding="utf-8")
    text = text.replace("[organisation]\n", '[limits]\nmessage_size = "1 MiB"\n\n[organisation]\n')
    file.write_text(text, encoding="utf-8")
    inspection = inspect(file, running=running)
    assert inspection.configuration is not None
    assert inspection.configuration.limits.message_size == 1 << 20
    assert inspection.text == text


def test_a_process_reads_what_was_accepted(file: Path) -> None:
    """However the file looks meanwhile, longer or shorter texts replace each other whole."""
    good = file.read_text(encoding="utf-8")
    source = Source.shared(file)
    source.accept(good + "# " + "x" * 10_000 + "\n")
    source.accept(good)
    file.write_text("[half a fi", encoding="utf-8")
    inherited = Source(file, source.accepted)
    assert inherited.load().organisation.domains == ("example.org",)
    assert inherited.load().storage.blobs == file.parent / "var/blobs"  # the folder is the file's
    with pytest.raises(ConfigurationError):
        Source(file).load()
    assert source.accepted is not None
    os.close(source.accepted)
