"""Every `letterlock …` command that a document shows is asked for its help."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from relay.cli import main

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
INLINE = re.compile(r"`letterlock\s+([^`]+)`")
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LINE = re.compile(r"^(?:\$ )?letterlock +(.*?)(?: +#.*)?$", re.MULTILINE)


def _shown(*documents: Path) -> set[str]:
    """Return what stands behind `letterlock` in these documents, in blocks and in the text."""
    found: set[str] = set()
    for document in documents:
        text = document.read_text()
        blocks = "\n".join(BLOCK.findall(text))
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        found |= {" ".join(arguments.split()) for arguments in (*INLINE.findall(prose), *LINE.findall(blocks))}
    return found


def _resolved(arguments: list[str]) -> tuple[list[str], click.Command]:
    """Return the words that name a command, and the command; AssertionError when there is none or no such option."""
    command: click.Command = main
    context = click.Context(main, info_name="letterlock")
    names: list[str] = []
    known = _options(main)
    rest = iter(arguments)
    for word in rest:
        if word.startswith("-"):
            assert word in known, f"no option {word}"
            if not known[word]:
                next(rest, None)  # its value
        elif isinstance(command, click.Group) and not word.isupper():
            found = command.get_command(context, word)
            assert found is not None, f"no command {word}"
            command, names = found, [*names, word]
            context = click.Context(command, context, info_name=word)
            known |= _options(command)
    return names, command


def _options(command: click.Command) -> dict[str, bool]:
    """Return every option of a command, and whether it stands alone."""
    own = {
        name: parameter.is_flag
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    return own | {"--help": True, "-h": True}


@pytest.mark.parametrize("shown", sorted(_shown(*DOCUMENTS)))
def test_a_command_in_a_document_exists(shown: str) -> None:
    """Its words lead to a command that has the options shown, and that command explains itself."""
    names, _ = _resolved(shlex.split(shown))
    answer = CliRunner().invoke(main, [*names, "--help"])
    assert answer.exit_code == 0, answer.output
    assert f"Usage: {' '.join(['main', *names])}" in " ".join(answer.output.split())


def test_the_operators_page_shows_every_command() -> None:
    """docs/operations.md leaves out no command of the relay; what only the demo has may be missing."""
    context = click.Context(main, info_name="letterlock")
    shown = {word for one in _shown(ROOT / "docs" / "operations.md") for word in shlex.split(one)[:1]}
    assert set(main.list_commands(context)) - shown == {"demo", "policy"}


@pytest.mark.parametrize("wrong", ["frobnicate", "queue forget", "report --until 7d"])
def test_a_command_that_is_gone_would_be_noticed(wrong: str) -> None:
    """An unknown command, sub-command or option is an error of the document."""
    with pytest.raises(AssertionError):
        _resolved(shlex.split(wrong))
