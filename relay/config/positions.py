"""Where each key and value of a TOML file stands, so that an error can point at its line.

``tomllib`` gives values without places. This scanner reads the same text a second time and keeps places only; it
is run after tomllib has accepted the text, so it may trust the grammar (TOML 1.0) and never reports an error
of its own. Dotted keys, inline tables, nested arrays, tables and arrays of tables, and multi-line strings are
followed; comments and all four kinds of strings are skipped as what they are.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

Key = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text: line and column in characters, both counted from 1."""

    line: int
    column: int


NOWHERE = Position(0, 0)  # of what is not written in the file at all


@dataclass(frozen=True, slots=True)
class Positions:
    """Places by key path; an index in a path counts the items of an array, or the tables of ``[[name]]``."""

    keys: Mapping[Key, Position] = field(default_factory=dict)
    values: Mapping[Key, Position] = field(default_factory=dict)

    def of_key(self, path: Key) -> Position:
        """Return the place of a key; of the nearest table around it where the key is not written, else NOWHERE."""
        while path:
            if (found := self.keys.get(path) or self.values.get(path)) is not None:
                return found
            path = path[:-1]
        return NOWHERE

    def of_value(self, path: Key) -> Position:
        """Return the place of a value; of its table where it is not written, else NOWHERE."""
        return self.values.get(path) or self.of_key(path)


def find_positions(text: str) -> Positions:
    """Return the places in a text that tomllib accepts; CRLF counts as one line end."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return Positions(scanner.keys, scanner.values)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.keys: dict[Key, Position] = {}
        self.values: dict[Key, Position] = {}
        self.tables: dict[Key, int] = {}  # how many tables each [[name]] has so far
        self.line, self.line_start = 1, 0  # of the last place that was asked for

    def document(self) -> None:
        table: Key = ()
        self.skip(_GAP)
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                table = self.header()
            else:
                self.assignment(table)
            self.skip(_GAP)

    def header(self) -> Key:
        start = self.here()
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        self.skip(_SPACE)
        path: Key = ()
        names = [name for name, _ in self.dotted()]
        for name in names[:-1]:
            path = self.inside((*path, name))
            self.keys.setdefault(path, start)
        path = (*path, names[-1])
        if array:
            self.tables[path] = self.tables.get(path, 0) + 1
            self.keys.setdefault(path, start)
            path = self.inside(path)
        self.keys[path] = start
        self.at += 2 if array else 1
        return path

    def inside(self, path: Key) -> Key:
        """Return the path of the last table of an array of tables, and any other path as it is."""
        return (*path, self.tables[path] - 1) if path in self.tables else path

    def assignment(self, table: Key) -> None:
        path = table
        for name, place in self.dotted():
            path = (*path, name)
            self.keys.setdefault(path, place)
        self.at += 1  # the equals sign
        self.skip(_SPACE)
        self.value(path)

    def dotted(self) -> list[tuple[str, Position]]:
        names = []
        while True:
            place = self.here()
            names.append((self.key(), place))
            self.skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return names
            self.at += 1
            self.skip(_SPACE)

    def key(self) -> str:
        if match := _BARE.match(self.text, self.at):
            self.at = match.end()
            return match[0]
        start = self.at
        self.string()
        # tomllib knows the escapes of a quoted key; a value of the same spelling has the same text.
        name: str = tomllib.loads(f"name = {self.text[start : self.at]}")["name"]
        return name

    def value(self, path: Key) -> None:
        self.values[path] = self.here()
        match self.text[self.at : self.at + 1]:
            case "[":
                self.array(path)
            case "{":
                self.inline_table(path)
            case '"' | "'":
                self.string()
            case _:
                self.skip(_SCALAR)

    def array(self, path: Key) -> None:
        self.at += 1
        index = 0
        self.skip(_GAP)
        while self.at < len(self.text) and not self.text.startswith("]", self.at):
            self.value((*path, index))
            index += 1
            self.comma()
        self.at += 1

    def inline_table(self, path: Key) -> None:
        self.at += 1
        self.skip(_GAP)
        while self.at < len(self.text) and not self.text.startswith("}", self.at):
            self.assignment(path)
            self.comma()
        self.at += 1

    def comma(self) -> None:
        self.skip(_GAP)
        if self.text.startswith(",", self.at):
            self.at += 1
            self.skip(_GAP)

    def string(self) -> None:
        for kind in _STRINGS:
            if match := kind.match(self.text, self.at):
                self.at = match.end()
                return

    def skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self.text, self.at):
            self.at = match.end()

    def here(self) -> Position:
        # Places are asked for from front to back, so lines are counted once.
        self.line += self.text.count("\n", self.line_start, self.at)
        self.line_start = self.text.rfind("\n", 0, self.at) + 1
        return Position(self.line, self.at - self.line_start + 1)
