"""The root of the command line: finds commands, and turns every error into one sentence and an exit code."""

import traceback
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NoReturn

import click

from relay.cli.session import Session
from relay.cli.terminal import examples, printable
from relay.config.problems import did_you_mean
from relay.errors import DEFECT, ConfigurationError, LetterlockError
from relay.logs import fault

GROUP = "letterlock.commands"  # entry points of click groups whose commands are added
_OWN = (
    "init",
    "check",
    "run",
    "policy",
    "queue",
    "held",
    "trace",
    "report",
    "audit",
    "keys",
    "users",
    "backup",
    "restore",
    "recover",
    "version",
)


class Commands(click.Group):
    """The relay's own commands by name, and those of other packages through entry points.

    A module is imported when its command is asked for, so that ``letterlock version`` does not wait for the policies.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every command, in the order of the help page."""
        return [*_OWN, *sorted(set(self._added(ctx)) - set(_OWN))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name; its module is imported now."""
        if cmd_name in _OWN:
            command: click.Command = import_module(f"relay.cli.{cmd_name}").command
            return command
        return super().get_command(ctx, cmd_name) or self._added(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a mistyped one is answered with the likeliest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            guess = did_you_mean(args[0], self.list_commands(ctx)) if args else ""
            raise click.UsageError(f"{error.message} {guess.capitalize()}".strip(), ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever it raises leaves as a sentence."""
        try:
            return super().invoke(ctx)
        except LetterlockError as error:
            _say(_sentence(error))
            raise click.exceptions.Exit(error.exit_code) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001  # the edge: nobody is shown a traceback unasked
            _unexpected(error, debug=bool(ctx.params.get("debug")))

    def _added(self, ctx: click.Context) -> Mapping[str, click.Command]:
        found: dict[str, click.Command] = {}
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            group = _loaded(entry)
            if group is not None:
                names = [name for name in group.list_commands(ctx) if name not in found]
                found.update((name, command) for name in names if (command := group.get_command(ctx, name)))
        return found


@cache
def _loaded(entry: EntryPoint) -> click.Group | None:
    try:
        group = entry.load()
    except ImportError as error:
        click.echo(f"The commands of {entry.name} are not available ({error})", err=True)
        return None
    return group if isinstance(group, click.Group) else None


def _unexpected(error: Exception, *, debug: bool) -> NoReturn:
    """Name a fault of ours by kind and place only: its message may hold content."""
    number, place = fault(error)
    if debug:
        traceback.print_exception(error)
    hint = "" if debug else "; --debug before the command shows where"
    _say(f"Letterlock met a fault of its own (error {number}: {place}){hint}")
    raise click.exceptions.Exit(DEFECT) from error


def _sentence(error: LetterlockError) -> str:
    """Return the words of an error as a sentence; what begins with a file or a quotation stays as it is."""
    text = str(error)
    begins_with_a_word = not isinstance(error, ConfigurationError) and text.partition(" ")[0].isalpha()
    return text[:1].upper() + text[1:] if begins_with_a_word else text


def _say(message: str) -> None:
    """Print a message on stderr; lines of a configuration error begin with file and line and stay lines."""
    click.echo("\n".join(map(printable, message.splitlines())), err=True)


@click.group(
    cls=Commands,
    epilog=examples(
        "letterlock init --demo          writes a demo configuration, keys and database",
        "letterlock run                  starts the gateway",
        "letterlock policy test m.eml    shows what the rules make of a message",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("relay.toml"),
    envvar="LETTERLOCK_CONFIG",
    show_envvar=True,
    show_default=True,
    help="The configuration file.",
)
@click.option("--debug", is_flag=True, help="Show where an unexpected fault happened.")
@click.pass_context
def main(ctx: click.Context, config_path: Path, debug: bool) -> None:
    """Run and look after Letterlock, the secure-mail gateway."""
    del debug  # `Commands.invoke` asks for it where a fault is named
    ctx.obj = Session(config_path)
