"""The JSON schema of relay.toml, for editors (``letterlock check --schema``)."""

from typing import Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from relay.config import model
from relay.config.values import Strictly

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema; descriptions and defaults come from the model, defaults as they are written."""
    schema = model.Configuration.model_json_schema()
    for name, definition in schema["$defs"].items():
        table = getattr(model, name, None)
        if isinstance(table, type) and issubclass(table, Strictly):
            _write_defaults(table, definition["properties"])
    return {"$schema": DIALECT, "title": "relay.toml of Letterlock", **_without_titles(schema)}


def as_written(field: FieldInfo, value: object) -> Any:
    """Return a value of this key as it is written in the file: ``64 KiB`` for 65536."""
    return TypeAdapter(field.rebuild_annotation()).dump_python(value, mode="json")


def _write_defaults(table: type[Strictly], properties: dict[str, Any]) -> None:
    for key, field in table.model_fields.items():
        if not field.is_required() and field.default_factory is None:
            properties[key]["default"] = as_written(field, field.default)


def _without_titles(node: Any) -> Any:
    """Drop the titles that pydantic derives from names: they only repeat them."""
    if isinstance(node, dict):
        return {
            key: _without_titles(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    return node
