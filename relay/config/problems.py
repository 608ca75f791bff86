"""One problem in relay.toml: where it is, what is wrong, what to write instead."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rapidfuzz import fuzz, process

from relay.config.positions import NOWHERE, Key, Positions

_SHOWN = 40  # characters of a value that are repeated in a sentence
_ALIKE = 65  # percent of likeness from which a guess helps more than it confuses


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence about one key path, and a hint; ``at`` says whether it points at the key or at its value."""

    path: Key
    sentence: str
    hint: str = ""
    at: Literal["key", "value"] = "value"


def render(problems: Iterable[Problem], file: str, places: Positions) -> tuple[str, ...]:
    """Write problems as ``file:line:col: sentence (hint)``, in the order of the file, each once.

    What is about something that is not in the file (a section that is missing) has no line, and stands first.
    """
    lines = {}
    for problem in problems:
        place = places.of_key(problem.path) if problem.at == "key" else places.of_value(problem.path)
        hint = f" ({problem.hint})" if problem.hint else ""
        where = file if place == NOWHERE else f"{file}:{place.line}:{place.column}"
        lines[printable(f"{where}: {problem.sentence}{hint}")] = place
    return tuple(sorted(lines, key=lambda line: lines[line]))


def name_of(path: Key, document: Mapping[str, Any]) -> str:
    """Name a key path as a person would: ``limits.recipients``, ``rule "nhs-numbers": when.any[0]``."""
    if path[:1] == ("rules",) and len(path) > 1:
        rest = dotted(path[2:])
        return f"{_rule_name(path[1], document)}{f': {rest}' if rest else ''}"
    return dotted(path)


def dotted(path: Key) -> str:
    """Write a key path with dots and brackets."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _rule_name(index: int | str, document: Mapping[str, Any]) -> str:
    try:
        name = document["rules"][index]["name"]
    except (LookupError, TypeError):
        name = None
    if isinstance(name, str) and name:
        return f'rule "{name[:_SHOWN]}"'
    return f"rule {index + 1}" if isinstance(index, int) else "rules"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ``did you mean "…"?`` for the likeliest of the known words, or an empty text."""
    if not isinstance(word, str):
        return ""
    best = process.extractOne(word.lower(), sorted(known), scorer=fuzz.ratio, score_cutoff=_ALIKE)
    return f'did you mean "{best[0]}"?' if best else ""


def alternatives(words: Sequence[str]) -> str:
    """Join words as ``"a", "b" or "c"``."""
    quoted = [f'"{word}"' for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def shown(value: object) -> str:
    """Show a value of the file in a sentence: short, on one line; tables and lists only by their kind."""
    match value:
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case bool() | int() | float():
            return json.dumps(value)
        case str():
            return json.dumps(value if len(value) <= _SHOWN else value[:_SHOWN] + "…", ensure_ascii=False)
    return "a date or time"


def printable(text: str) -> str:
    """Escape control characters and invisible marks, so that a file cannot steer the terminal."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)
