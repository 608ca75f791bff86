"""The sound sections of a configuration of which others are wrong: so that one mistake does not hide the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from policies.ruleset import RuleSpec
from relay.config.model import (
    Configuration,
    Demo,
    DkimKey,
    Gateway,
    Keys,
    Limits,
    Listener,
    Organisation,
    Portal,
    Storage,
    WordList,
)
from relay.config.next_hops import Partner, Route
from relay.config.values import Many, Member

T = TypeVar("T")
_MEMBERS: TypeAdapter[tuple[str, ...]] = TypeAdapter(Many[Member])


@dataclass(frozen=True, slots=True)
class Draft:
    """What could be read of each section; None, or missing in a mapping, where the section itself is wrong.

    ``folder`` is where the file stands. ``rules``, ``partner`` and ``dkim`` are keyed by the index in the file.
    ``whole`` is there when every section is sound by itself. With ``keys_follow`` the folder of the keys is about to
    be filled: files below it are not missed.
    """

    folder: Path
    organisation: Organisation | None = None
    gateway: Gateway | None = None
    storage: Storage | None = None
    keys: Keys | None = None
    listen: Mapping[str, Listener] = field(default_factory=dict)
    limits: Limits | None = None
    route: Mapping[str, Route] = field(default_factory=dict)
    partner: Mapping[int, Partner] = field(default_factory=dict)
    portal: Portal | None = None
    dkim: Mapping[int, DkimKey] = field(default_factory=dict)
    lists: Mapping[str, WordList | None] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    rules: Mapping[int, RuleSpec] = field(default_factory=dict)
    demo: Demo | None = None
    whole: Configuration | None = None
    keys_follow: bool = False

    @classmethod
    def of(cls, whole: Configuration, folder: Path) -> "Draft":
        """Return the draft of a configuration that is sound in every section."""
        return cls(
            folder,
            whole.organisation,
            whole.gateway,
            whole.storage,
            whole.keys,
            whole.listen,
            whole.limits,
            {name: route for name, route in whole.route if route is not None},
            dict(enumerate(whole.partner)),
            whole.portal,
            dict(enumerate(whole.dkim)),
            whole.lists,
            whole.groups,
            dict(enumerate(whole.rules)),
            whole.demo,
            whole,
        )

    def awaits(self, file: Path) -> bool:
        """Tell whether a file is among those that are about to be put into the folder of the keys."""
        return self.keys_follow and self.keys is not None and file.is_relative_to(self.keys.folder)

    def written(self, file: Path) -> str:
        """Return a path as it was most likely written: relative to the folder where it stands below it."""
        return str(file.relative_to(self.folder) if file.is_relative_to(self.folder) else file)


def salvage(document: Mapping[str, Any], folder: Path) -> Draft:
    """Return what is sound in a document that is wrong as a whole."""
    context = {"folder": folder}

    def one(kind: TypeAdapter[T] | type[T], value: object) -> T | None:
        adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
        try:
            return adapter.validate_python(value, context=context)
        except (ValidationError, RecursionError):
            return None

    def table(name: str) -> Mapping[str, Any]:
        value = document.get(name)
        return value if isinstance(value, dict) else {}

    def items(name: str, kind: type[T]) -> dict[str, T]:
        found = {key: one(kind, value) for key, value in table(name).items()}
        return {key: value for key, value in found.items() if value is not None}

    def numbered(name: str, kind: type[T]) -> dict[int, T]:
        value = document.get(name)
        found = enumerate(one(kind, item) for item in (value if isinstance(value, list) else []))
        return {index: item for index, item in found if item is not None}

    return Draft(
        folder=folder,
        organisation=one(Organisation, document.get("organisation")),
        gateway=one(Gateway, document.get("gateway")),
        storage=one(Storage, document.get("storage")),
        keys=one(Keys, document.get("keys")),
        listen=items("listen", Listener),
        limits=one(Limits, document.get("limits")),
        route=items("route", Route),
        partner=numbered("partner", Partner),
        portal=one(Portal, document.get("portal")),
        dkim=numbered("dkim", DkimKey),
        lists={name: one(WordList, value) for name, value in table("lists").items()},
        groups={name: one(_MEMBERS, value) for name, value in table("groups").items()},
        rules=numbered("rules", RuleSpec),
        demo=one(Demo, document["demo"]) if "demo" in document else None,
    )
