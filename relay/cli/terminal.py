"""What commands print: for a person at a terminal, for a pipe, or as JSON for a script.

Nothing that came from outside (addresses, replies of servers) reaches the terminal with control characters in it.
Colours and lines appear at a terminal only, and never under NO_COLOR.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from relay.config.problems import printable

__all__ = ["examples", "plural", "print_json", "print_table", "printable", "say", "warn"]

_PIPE_WIDTH = 400  # columns: a line in a pipe is not wrapped


def say(line: str = "", *, style: str = "") -> None:
    """Print one line."""
    _console().print(Text(printable(line), style=style), soft_wrap=True)


def warn(line: str) -> None:
    """Print one line on stderr."""
    _console(stderr=True).print(Text(printable(line), style="yellow"), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value for a script: UTF-8, two spaces of indentation, keys in the order given."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """Print rows under columns; those named in ``right`` are numbers and stand to the right.

    Those in ``whole`` are never broken, however narrow the terminal is: they are to be copied.
    In a pipe each row is one line, however long.
    """
    cells = ([printable(str(cell)) for cell in row] for row in rows)
    console = _console()
    if not console.is_terminal:
        click.echo("\n".join(_lines([list(columns), *cells], [column in right for column in columns])))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        justify: JustifyMethod = "right" if column in right else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column in whole)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _lines(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        blanks = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        padded = (
            blank + cell if at_right else cell + blank for cell, blank, at_right in zip(row, blanks, right, strict=True)
        )
        yield "  ".join(padded).rstrip()


def examples(*lines: str) -> str:
    """Return the end of a help page: one ready command a line."""
    title = "Example" if len(lines) == 1 else "Examples"
    return "\n".join(["\b", f"{title}:", *(f"  {line}" for line in lines)])  # \\b keeps click from wrapping it


def plural(count: int, one: str, many: str = "") -> str:
    """Return ``1 message`` or ``3 messages``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _console(*, stderr: bool = False) -> Console:
    # Made for each call: a test, or a command that redirects, replaces the streams.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
