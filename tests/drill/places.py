"""The fail points, read out of the code, and when each of them is reached."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CALLS = {"reached", "reached_on_wire"}


@cache
def places() -> tuple[str, ...]:
    """Every name that the code passes to `relay.fail_points`, in the order of the modules."""
    return tuple(dict.fromkeys(_named()))


def _named() -> Iterator[str]:
    for file in sorted([*(ROOT / "relay").rglob("*.py"), *(ROOT / "portal").rglob("*.py")]):
        text = file.read_text()
        if "relay.fail_points import" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
                [name] = node.args
                assert isinstance(name, ast.Constant), f"{file}: the name of a fail point stands in the call"
                yield str(name.value)


# Reached when a reader answers: in the portal, and in the relay that carries the answer out.
IN_PORTAL = ("answer: pieces bound", "answer: handed over")
BY_AN_ANSWER = ("answer: sealed message written", "errand: prepared", "errand: request taken", "errand: committed")
# Reached by the first mail of a day or month; a death at either leaves the other to be reached.
BY_A_NEW_KEY = ("key: draft synced", "key: named")
# Reached when time has passed.
BY_THE_SWEEP = (
    "retention: stanzas deleted",
    "retention: parts deleted",
    "retention: server key buried",
    "retention: server key destroyed",
    "key: condemned",
    "key: overwritten",
)

# Reached once or twice in a life, and but for the first by one machine of several.
RARE = (
    "queue: leases recovered",
    "receipt: composed",
    "receipt: parts merged",
    "receipt: committed",
    "retention: blobs purged",
    "blob: file removed",
)


def by_mail() -> tuple[str, ...]:
    """The places that ordinary mail reaches."""
    others = {*IN_PORTAL, *BY_AN_ANSWER, *BY_A_NEW_KEY, *BY_THE_SWEEP}
    return tuple(name for name in places() if name not in others)
