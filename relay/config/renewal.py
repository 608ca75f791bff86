"""What a gateway that runs cannot take from a changed relay.toml: where things are kept, and where it listens."""

from collections.abc import Iterator
from typing import Any

from relay.config.model import Configuration
from relay.config.positions import Key
from relay.config.problems import Problem, dotted

_SECTIONS = ("storage", "keys", "demo")
_KEYS: tuple[Key, ...] = (
    ("gateway", "workers"),
    ("gateway", "machine"),
    ("portal", "listen"),
    ("portal", "forwarded_from"),
)


def needs_restart(running: Configuration, wanted: Configuration) -> list[Problem]:
    """Return one problem for each key whose change waits for a restart.

    Nothing of a file is taken then: a gateway that runs half of its configuration could be described by no file.
    """
    hint = "restart the gateway; until then it goes on as it is"
    return [
        Problem(path, f"{dotted(path)} cannot change while the gateway runs", hint)
        for path in _changed(running, wanted)
    ]


def _changed(running: Configuration, wanted: Configuration) -> Iterator[Key]:
    for section in _SECTIONS:
        before, after = getattr(running, section), getattr(wanted, section)
        if before is None or after is None:
            if before is not after:
                yield (section,)
            continue
        for key in type(after).model_fields:
            if getattr(before, key) != getattr(after, key):
                yield (section, key)
    yield from (path for path in _KEYS if _at(running, path) != _at(wanted, path))
    for name in sorted({*running.listen, *wanted.listen}):
        was, becomes = running.listen.get(name), wanted.listen.get(name)
        if was is None or becomes is None:
            yield ("listen", name)
            continue
        if was.address != becomes.address:
            yield ("listen", name, "address")
        if (was.tls == "implicit") != (becomes.tls == "implicit"):
            yield ("listen", name, "tls")


def _at(configuration: Configuration, path: Key) -> Any:
    found: Any = configuration
    for name in path:
        found = getattr(found, str(name))
    return found
