import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from relay.cli import main
from relay.cli.root import Commands
from relay.cli.terminal import print_table
from relay.errors import DEFECT, RefusedError
from tests.unit.relay.cli.conftest import Home


def pages(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that does something, with the words that call it."""
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None
            yield from pages(inner, (*path, name))
    else:
        yield path, command


def groups(command: click.Command) -> Iterator[click.Group]:
    """Yield every group of commands, the root first."""
    if isinstance(command, click.Group):
        yield command
        ctx = click.Context(command)
        for inner in (command.get_command(ctx, name) for name in command.list_commands(ctx)):
            assert inner is not None
            yield from groups(inner)


def test_short_helps_are_whole_and_plain() -> None:
    """On the page of a group, no line about a command is cut, and no help shows the marks of another format."""
    for group in groups(main):
        ctx = click.Context(group)
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            assert not command.get_short_help_str(70).endswith("..."), name
            assert "``" not in (command.help or ""), name


def test_every_command_of_the_relay_is_on_the_help_page() -> None:
    """The help page lists all commands, with one line about each and first steps."""
    text = CliRunner().invoke(main, ["--help"]).stdout
    for name in ("init", "check", "run", "policy", "queue", "trace", "report", "audit", "keys", "recover", "version"):
        assert f"\n  {name} " in text
    assert "letterlock init --demo" in text
    assert "..." not in text.partition("Commands:")[2]


@pytest.mark.parametrize("path", [path for path, _ in pages(main)], ids=" ".join)
def test_each_help_page_says_what_it_does(path: tuple[str, ...]) -> None:
    """Every command explains itself, and those of the relay show an example that calls that very command."""
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    commands = dict(pages(main))
    assert commands[path].help
    callback = commands[path].callback
    if callback is not None and callback.__module__.startswith("relay."):
        assert "Example" in result.stdout
        assert f" {' '.join(path)}" in result.stdout.rpartition("\n  Example")[2]


def test_a_mistyped_command_is_answered_with_the_likeliest() -> None:
    """Whoever types chekc is asked about check."""
    result = CliRunner().invoke(main, ["chekc"])
    assert result.exit_code == 2
    assert 'Did you mean "check"?' in result.stderr


def test_a_missing_configuration_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without relay.toml a command says which file is missing and what writes it."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["queue", "list"])
    assert result.exit_code == 1
    assert result.stderr == 'relay.toml:1:1: there is no such file ("letterlock init" writes one)\n'
    assert result.stdout == ""


def test_the_configuration_can_come_from_the_environment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """LETTERLOCK_CONFIG names the file for commands that are not told otherwise."""
    monkeypatch.chdir("/")
    monkeypatch.setenv("LETTERLOCK_CONFIG", str(home.folder / "relay.toml"))
    assert "Nothing is waiting." in home.run("queue", "list").stdout


def test_a_database_that_is_not_there_is_one_sentence(home: Home) -> None:
    """Commands that need the database say so and change nothing."""
    (home.folder / "var/letterlock.db").unlink()
    result = home.run("queue", "list", code=1)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert not (home.folder / "var/letterlock.db").exists()


def failing(error: Exception) -> click.Group:
    """Return a root whose command fails."""

    @click.group(cls=Commands)
    @click.option("--debug", is_flag=True)
    def root(debug: bool) -> None:
        del debug

    @root.command("fail")
    def fail() -> None:
        raise error

    return root


def test_an_error_of_ours_becomes_a_sentence() -> None:
    """The sentence stands on stderr, with control characters made visible, and the exit code is that of the error."""
    result = CliRunner().invoke(failing(RefusedError("no \x1b[31mred")), ["fail"])
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "No \\u001b[31mred\n")


def test_an_unexpected_error_is_named_without_its_content() -> None:
    """A fault gets an id, kind and place; its message could hold personal data and is shown under --debug only."""
    result = CliRunner().invoke(failing(KeyError("jane@example.net")), ["fail"])
    assert result.exit_code == DEFECT
    assert "KeyError at test_root.py:" in result.stderr
    assert "jane" not in result.output
    assert "Traceback" not in result.output
    again = CliRunner().invoke(failing(KeyError("jane@example.net")), ["--debug", "fail"])
    assert "Traceback" in again.stderr


def test_colours_are_for_terminals_only(home: Home) -> None:
    """A pipe gets plain text."""
    assert "\x1b" not in home.run("check").output


def test_a_row_in_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """However long a server's reply is, so that grep and awk find what belongs together; columns stand in line."""
    why = "please come again " * 40
    print_table(("id", "size", "why"), [("a", "72 B", why), ("漢字", "1 B", "first try")], right=("size",))
    assert capsys.readouterr().out.splitlines() == [
        "id    size  why",
        f"a     72 B  {why.strip()}",
        "漢字   1 B  first try",
    ]


def test_a_narrow_terminal_breaks_no_id(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be copied stands in one piece, whatever that costs the other columns."""
    identifier = "4ig7yxbkzvv2pcsxhxeyzxuuym"
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    monkeypatch.setattr("relay.cli.terminal._PIPE_WIDTH", 50)
    print_table(("id", "why"), [(identifier, "waits for its next try after 47 attempts")], whole=("id",))
    assert identifier in capsys.readouterr().out


def test_version_tells_what_runs(home: Home) -> None:
    """The version can be read by people and by scripts."""
    assert home.run("version").stdout.startswith("Letterlock 0.")
    assert set(home.json("version")) == {"letterlock", "python", "sqlite", "cryptography"}


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR switches colours off at a terminal too."""
    from relay.cli import terminal  # noqa: PLC0415

    primary, secondary = os.openpty()
    with os.fdopen(secondary, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
        terminal.say("sealed", style="red")
        stream.flush()
        plain = os.read(primary, 100)
        monkeypatch.delenv("NO_COLOR")
        terminal.say("sealed", style="red")
        stream.flush()
        coloured = os.read(primary, 100)
    os.close(primary)
    assert b"\x1b[31m" not in plain
    assert b"\x1b[31m" in coloured
