"""New keys beside old ones: what ``letterlock keys list``, ``new`` and ``activate`` do.

Two kinds of keys can be changed at any time without losing anything, because what they made names the version:

- ``kek-YYYY-MM``: a server key. Messages that expire in that month are then sealed under the new version; older
  ones open under theirs until the bucket is destroyed, one grace period after the month.
- ``row``: the MAC key over participants and keys. New rows are MACed under the new version, old rows are checked
  under theirs.

Epoch keys change by themselves every day. The other keys have one version for now; asking for a new one is refused.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from relay.errors import NotFoundError, RefusedError
from relay.vault.keks import active_version
from relay.vault.keyfiles import key_names, new_key, read_key, replace, require_private_folder, write_key

_FOLDERS = ("relay", "shared", "portal")
_CHANGEABLE = re.compile(r"row|kek-2[0-9]{3}-(0[1-9]|1[0-2])")  # the end of the last month must be a moment, too
_ALONE = {
    "address": "addresses at rest",
    "audit": "personal facts of the audit",
    "signing": "checkpoints of the audit",
    "queue": "requests of the portal",
    "index": "keyed hashes of addresses and message ids",
    "enqueue": "MAC of the portal's requests",
    "ticket": "tickets of drafts",
    "code": "one-time codes",
    "page": "forms of the portal",
}


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key as ``letterlock keys list`` shows it; never the key itself.

    ``activated_at`` is when a person made this version the active one: processes that were started before then go
    on with the one they know. It is None where nobody ever chose.
    """

    name: str
    folder: str
    id: bytes
    purpose: str
    active: bool
    activated_at: datetime | None = None


def list_keys(folder: Path) -> tuple[KeyLine, ...]:
    """Return all keys under the keyring ``folder``; KeyringError as for the keyring itself."""
    lines: list[KeyLine] = []
    for place in _FOLDERS:
        require_private_folder(folder / place)
        names = key_names(folder / place, "")
        lines += [_line(folder / place, name) for name in names if read_key(folder / place, name) is not None]
    return tuple(lines)


def new_version(folder: Path, series: str) -> KeyLine:
    """Make the next version of ``row`` or ``kek-YYYY-MM``; it is used after ``activate``.

    RefusedError for a key that has one version only.
    """
    place = _place(folder, series)
    number = max(_versions(place, series), default=0) + 1
    while not write_key(place, new_key(f"{series}-{number}")):
        number += 1
    return _line(place, f"{series}-{number}")


def activate(folder: Path, name: str) -> KeyLine:
    """Make ``row-N`` or ``kek-YYYY-MM-N`` the one that is used from the next start of each process on.

    NotFoundError when there is no such key, RefusedError for a key that has one version only.
    """
    series, _, number = name.rpartition("-")
    one_version = name if name in _ALONE else series
    known = one_version in _ALONE or (_CHANGEABLE.fullmatch(series) and number.isascii() and number.isdigit())
    place = _place(folder, one_version) if known else None
    if place is None or read_key(place, name) is None:
        raise NotFoundError(
            f'there is no key "{name}": "letterlock keys list" shows them, "letterlock keys new" makes one'
        )
    replace(place / f"{series}.active", f"{int(number)}\n".encode("ascii"))
    return _line(place, name)


def _place(folder: Path, series: str) -> Path:
    if _CHANGEABLE.fullmatch(series):
        return folder / ("relay" if series == "row" else "shared")
    if series in _ALONE:
        raise RefusedError(
            f'the key "{series}" ({_ALONE[series]}) has one version: what it made would not open any more'
        )
    raise RefusedError(
        f'"{series}" is no series of keys: write "row", or "kek-YYYY-MM" for messages expiring that month'
    )


def _versions(place: Path, series: str) -> list[int]:
    tails = [name.removeprefix(f"{series}-") for name in key_names(place, f"{series}-")]
    return [int(tail) for tail in tails if tail.isdigit()]


def _line(place: Path, name: str) -> KeyLine:
    key = read_key(place, name)
    if key is None:
        raise NotFoundError(f'the key "{name}" vanished')
    active = _is_active(place, name)
    return KeyLine(name, place.name, key.id, _purpose(name), active, _activated_at(place, name) if active else None)


def _activated_at(place: Path, name: str) -> datetime | None:
    try:
        return datetime.fromtimestamp((place / f"{name.rpartition('-')[0]}.active").stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def _is_active(place: Path, name: str) -> bool:
    series, _, number = name.rpartition("-")
    if series == "row" or name.startswith("kek-"):
        return active_version(place, series) == int(number)
    return True


def _purpose(name: str) -> str:
    if name.startswith("kek-"):
        return f"server key of messages that expire in {name.removeprefix('kek-').rpartition('-')[0]}"
    if name.startswith("row-"):
        return "MAC over participants and their keys"
    if name.startswith("epoch-"):
        return f"mail in the queue, spooled on {name.removeprefix('epoch-')}"
    return _ALONE.get(name, "unknown")
