"""Turns what pydantic reports into sentences for the person who writes relay.toml."""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from relay.config.model import Configuration
from relay.config.positions import Key
from relay.config.problems import Problem, alternatives, did_you_mean, dotted, name_of, shown
from relay.config.schema import as_written

_ARRAYS = {"rules", "dkim"}  # [[tables]]: the name with its number says more than brackets
_EMPTY = {"too_short", "string_too_short"}
_KINDS = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list in square brackets",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}


def explain(error: ValidationError, document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield one problem for each thing that pydantic found wrong in the document."""
    problems = []
    for found in error.errors(include_url=False):
        path = _existing(found["loc"], document, keep_last=found["type"] == "missing")
        if found["type"] == "too_short" and found["input"]:
            continue  # it has items; each of them has a problem of its own
        problems.append((found, path))
    for found, path in problems:
        others = [other for one, other in problems if one is not found]
        if found["type"] == "string_type" and any(other[: len(path)] == path for other in others):
            continue  # text or a list may stand here, and the list has a problem of its own
        if found["type"] == "literal_error" and path in others and not any(_words(path)):
            continue  # nothing or a value may stand here, and the value has a problem of its own
        yield _problem(found, path, document)


def _problem(found: ErrorDetails, path: Key, document: Mapping[str, Any]) -> Problem:
    match found["type"]:
        case "missing":
            return _missing(path, document)
        case "extra_forbidden":
            return _unknown(path, document)
        case "literal_error" if found["ctx"]["expected"] == "True":
            sentence = f"{name_of(path, document)} must be true, not {shown(found['input'])}"
            return Problem(path, sentence, "for the contrary write not = { … } around the condition")
        case "literal_error" | "enum":
            words = tuple(_words(path)) or (found["msg"],)
            sentence = f"{name_of(path, document)} must be {alternatives(words)}, not {shown(found['input'])}"
            return Problem(path, sentence, did_you_mean(found["input"], words))
    hint = _description(path) if found["type"] in _EMPTY else _brackets(found, path)
    return Problem(path, name_of(path, document) + _clause(found, path, document), hint)


def _brackets(found: ErrorDetails, path: Key) -> str:
    """Return how the header of a table is written where its brackets are the mistake; else nothing."""
    match found["type"], found["input"]:
        case "tuple_type", dict():
            return f"write [[{dotted(path)}]]" if len(path) == 1 else ""
        case "model_type" | "model_attributes_type" | "dict_type", [dict(), *_]:
            return f"write [{dotted(path)}]"
        case "model_type" | "model_attributes_type", _ if path[:-1] == ("listen",):
            return "a listener has a name: write [listen.submission] above its keys"
        case _:
            return ""


def _clause(found: ErrorDetails, path: Key, document: Mapping[str, Any]) -> str:
    """Complete the sentence that begins with the name of a key."""
    kind, context = found["type"], found.get("ctx", {})
    match kind:
        case _ if kind in _EMPTY:
            clause = " must not be empty"
        case "too_long" | "string_too_long":
            clause = f" is longer than {context['max_length']}"
        case "greater_than_equal":
            clause = f" must be at least {_limit(path, 'ge')}, not {_written(path, document)}"
        case "less_than_equal":
            clause = f" must be at most {_limit(path, 'le')}, not {_written(path, document)}"
        case "value_error":
            clause = f": {context['error']}"
        case _ if kind in _KINDS:
            clause = f" {_KINDS[kind]}, not {shown(found['input'])}"
        case _:
            clause = f": {found['msg'][:1].lower()}{found['msg'][1:]}"
    return clause


def _missing(path: Key, document: Mapping[str, Any]) -> Problem:
    name = f"the section [{path[0]}]" if len(path) == 1 else name_of(path, document)
    return Problem(path, f"{name} is missing", _description(path), at="key")


def _description(path: Key) -> str:
    """Return what the schema says of a key or section, without its full stop."""
    field = _field(path)
    table = next(iter(_models(Configuration, path)), None)
    said = (field.description if field else None) or (table.__doc__ if table else None) or ""
    return said.split("\n")[0].rstrip(".")


def _unknown(path: Key, document: Mapping[str, Any]) -> Problem:
    *around, key = path
    table: Any = document
    for part in around:
        table = table[part]
    models = list(_models(Configuration, tuple(around)))
    fitting = [model for model in models if _names(model) & set(table)] or models
    known = {name for model in fitting for name in _names(model)}
    # A section is guessed though it stands in the file: one without any key, or one of several [[rules]].
    guess = did_you_mean(key, known - set(table) if around else known) or f"known: {', '.join(sorted(known))}"
    if not around:
        return Problem(path, f'there is no section or key "{key}"', guess, at="key")
    where = name_of(tuple(around), document) if around[0] in _ARRAYS else f"[{dotted(tuple(around))}]"
    return Problem(path, f'{where} has no key "{key}"', guess, at="key")


def _existing(loc: Key, document: Mapping[str, Any], *, keep_last: bool) -> Key:
    """Drop from pydantic's location what is no key of the document (names of union members)."""
    path: list[str | int] = []
    node: Any = document
    for index, part in enumerate(loc):
        inside = (isinstance(node, dict) and part in node) or (
            isinstance(node, list | tuple) and isinstance(part, int) and part < len(node)
        )
        if inside:
            path.append(part)
            node = node[part]
        elif keep_last and index == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _written(path: Key, document: Mapping[str, Any]) -> str:
    node: Any = document
    for part in path:
        node = node[part]
    return shown(node)


def _limit(path: Key, which: str) -> str:
    """Write the limit of a number, size or time as it would be written in the file (``64 KiB``)."""
    field = _field(path)
    limits = [getattr(note, which, None) for note in (field.metadata if field else ())]
    limit = next((limit for limit in limits if limit is not None), None)
    return str(as_written(field, limit) if field else limit)


def _words(path: Key) -> Iterator[str]:
    field = _field(path)
    members = list(_flat(field.annotation if field else None))
    items = [inner for member in members if get_origin(member) is tuple for inner in _flat(get_args(member)[0])]
    for member in members + items:
        yield from (word for word in get_args(member) if isinstance(word, str) and word)
        yield from (str(word) for word in getattr(member, "__members__", {}).values())


def _field(path: Key) -> FieldInfo | None:
    names = [part for part in path if not isinstance(part, int)]
    if not names:
        return None
    around = path[: len(path) - 1 - next(i for i, part in enumerate(reversed(path)) if not isinstance(part, int))]
    for model in _models(Configuration, around):
        for name, field in model.model_fields.items():
            if names[-1] in {name, field.alias}:
                return field
    return None


def _names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _models(annotation: Any, path: Key) -> Iterator[type[BaseModel]]:
    """Yield the models that may stand at a path below an annotation."""
    for member in _flat(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            if not path:
                yield member
            for name, field in member.model_fields.items() if path else ():
                if path[0] in {name, field.alias}:
                    yield from _models(field.annotation, path[1:])
        elif path and get_origin(member) is dict:
            yield from _models(get_args(member)[1], path[1:])
        elif path and get_origin(member) is tuple:
            yield from _models(get_args(member)[0], path[1:])


def _flat(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union, without Annotated around them."""
    if get_origin(annotation) is Annotated:
        yield from _flat(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for member in get_args(annotation):
            yield from _flat(member)
    else:
        yield annotation
