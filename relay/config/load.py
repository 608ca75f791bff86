"""From relay.toml to a frozen Configuration, or to every problem at once as ``file:line:col: sentence (hint)``."""

import re
import stat
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from policies.ruleset import Ruleset
from relay.config.checks import CHECKS
from relay.config.doubts import DOUBTS
from relay.config.draft import Draft, salvage
from relay.config.explain import explain
from relay.config.files import check_files
from relay.config.model import Configuration
from relay.config.policy import check_policy
from relay.config.positions import Positions, find_positions
from relay.config.problems import Problem, printable, render
from relay.config.renewal import needs_restart
from relay.errors import ConfigurationError

LARGEST = 4 << 20  # octets of relay.toml; the positions of its keys are kept in memory
DEEPEST = 40  # keys and indices from the top to a value; the checks below walk trees by recursion

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SYNTAX = {
    "Cannot overwrite a value": "this key or table stands twice, or a value stands where a table is needed",
    "Cannot declare": "this table stands twice",
    "Cannot mutate immutable namespace": "a table that was closed with } cannot be continued",
    "Invalid value": 'there is no value here that TOML knows (text stands in "straight quotes")',
    "Invalid statement": "this is neither a key, nor a [table], nor a comment",
    "Unclosed array": "the list is not closed (a comma or ] is missing)",
    "Expected '=' after a key": "there is no = after the key (a name with spaces or umlauts stands in quotes)",
    "Invalid initial character for a key part": "no key stands here (a table in { } stands on one line, no last comma)",
    "Unescaped '\\' in a string": "a backslash in double quotes (write the text in 'single quotes')",
    "Expected newline or end of document after a statement": "there is more on this line than one key and value",
    "Illegal character '\\n'": "the text does not end on its line (a closing quote is missing)",
}


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a configuration file holds: problems and warnings are lines ``file:line:col: sentence (hint)``.

    ``configuration`` and ``ruleset`` are None exactly when there are problems; ``text`` is what was found sound.
    """

    configuration: Configuration | None
    ruleset: Ruleset | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    text: str = field(default="", repr=False)


def load(path: Path, text: str | None = None, *, keys_follow: bool = False) -> Configuration:
    """Return the configuration in a file; ConfigurationError carries every problem at once.

    ``text`` stands for what the file holds, where somebody has read it already. With ``keys_follow`` files below the
    folder of the keys need not be there yet.
    """
    inspection = inspect(path, text, keys_follow=keys_follow)
    if inspection.configuration is None:
        raise ConfigurationError(inspection.problems)
    return inspection.configuration


def inspect(
    path: Path, text: str | None = None, *, running: Configuration | None = None, keys_follow: bool = False
) -> Inspection:
    """Read a configuration file with everything it names; wrong content is reported, never raised.

    ``text`` and ``keys_follow`` as for `load`. With ``running``, the configuration of a gateway that goes on, what it
    cannot change without a restart is a problem too.
    """
    try:
        text = _read(path) if text is None else text
        document, places = _parse(text)
    except _UnreadableError as error:
        return Inspection(None, None, (printable(f"{path}:{error.line}:{error.column}: {error}"),), ())
    draft, problems = _validate(document, path.absolute().parent)
    draft = replace(draft, keys_follow=keys_follow)
    for check in CHECKS:
        problems += check(draft)
    faults, doubts = check_files(draft)
    ruleset, rule_faults, rule_doubts = check_policy(draft)
    problems += [*faults, *rule_faults]
    if running and draft.whole:
        problems += needs_restart(running, draft.whole)
    if problems:
        return Inspection(None, None, render(problems, str(path), places), ())
    for doubt in DOUBTS:
        doubts += doubt(draft)
    doubts += [*rule_doubts, *_exposed(path, draft)]
    return Inspection(draft.whole, ruleset, (), render(doubts, str(path), places), text)


class _UnreadableError(Exception):
    """The text is no TOML: one problem, because nothing after it can be trusted."""

    def __init__(self, sentence: str, line: int = 1, column: int = 1) -> None:
        super().__init__(sentence)
        self.line, self.column = line, column


def _read(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _UnreadableError("this is not a file")
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise _UnreadableError('there is no such file ("letterlock init" writes one)') from None
    except OSError as error:
        raise _UnreadableError(f"the file cannot be read ({error.strerror})") from None
    if len(raw) > LARGEST:
        raise _UnreadableError(f"the file is larger than {LARGEST >> 20} MiB (word lists go into files of their own)")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].rpartition(b"\n")
        column = len(before[2].decode("utf-8-sig", "replace")) + 1
        line = raw.count(b"\n", 0, error.start) + 1
        raise _UnreadableError("the file is not UTF-8 text (save it as UTF-8)", line, column) from None


def _parse(text: str) -> tuple[dict[str, Any], Positions]:
    try:
        document, places = tomllib.loads(text), find_positions(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        message = str(error)[: place.start()] if place else str(error)
        sentence = next((said for known, said in _SYNTAX.items() if message.startswith(known)), "")
        sentence = sentence or f"{message[:1].lower()}{message[1:]}"
        if place and place[1]:
            raise _UnreadableError(sentence, int(place[1]), int(place[2])) from None
        end = text.rstrip()
        raise _UnreadableError(sentence, end.count("\n") + 1, len(end) - end.rfind("\n")) from None
    except RecursionError:
        raise _UnreadableError("lists or tables are nested too deeply") from None
    for path, position in places.values.items():
        if len(path) > DEEPEST:
            raise _UnreadableError("lists or tables are nested too deeply", position.line, position.column)
    return document, places


def _validate(document: dict[str, Any], folder: Path) -> tuple[Draft, list[Problem]]:
    # Paths that stand only as defaults must be taken from the folder as well: the sections must be there.
    for name, section in Configuration.model_fields.items():
        if isinstance(section.default_factory, type) and issubclass(section.default_factory, BaseModel):
            document.setdefault(name, {})
    try:
        whole = Configuration.model_validate(document, context={"folder": folder})
    except ValidationError as error:
        return salvage(document, folder), list(explain(error, document))
    except RecursionError:
        return salvage({}, folder), [Problem(("rules",), "the conditions are nested too deeply")]
    return Draft.of(whole, folder), []


def _exposed(path: Path, draft: Draft) -> list[Problem]:
    """Doubt a file that others may change, or that shows them the password of the database."""
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH:
        return [Problem((), "every user of this machine may change this file", "chmod o-w", at="key")]
    password = draft.storage is not None and re.search(r"//[^/@]*:[^/@]+@", draft.storage.database)
    if password and mode & stat.S_IROTH:
        where = ("storage", "database")
        return [Problem(where, "every user of this machine can read the password of the database", "chmod o-r")]
    return []
