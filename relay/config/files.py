"""The files that relay.toml names: certificates, keys, DKIM keys, the database. Word lists belong to the policy."""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from errno import EACCES
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relay import clock
from relay.config.certificates import (
    Certificate,
    read_certificate,
    read_public_of_key,
    readable_by_others,
)
from relay.config.contents import ExposedError
from relay.config.draft import Draft
from relay.config.positions import Key
from relay.config.problems import Problem, dotted
from relay.config.signing_keys import read_signing_key
from relay.config.users import User, read_users
from relay.config.values import SQLITE

SOON = timedelta(days=30)  # when an ending certificate is first spoken of

T = TypeVar("T")
_MAKE_USERS = '"letterlock users add NAME --sender ADDRESS" makes it'


def check_files(draft: Draft) -> tuple[list[Problem], list[Problem]]:
    """Return problems and doubts about every file of listeners, DKIM, storage and keys."""
    problems: list[Problem] = []
    doubts: list[Problem] = []
    for name, listener in draft.listen.items():
        path: Key = ("listen", name)
        certificate = _read((*path, "certificate"), listener.certificate, read_certificate, draft, problems)
        key = _read((*path, "key"), listener.key, read_public_of_key, draft, problems)
        if certificate and key and certificate.public != key:
            sentence = f"{dotted(path)}.key does not belong to the certificate"
            problems.append(Problem((*path, "key"), sentence))
        if listener.key and key and readable_by_others(listener.key):
            file = draft.written(listener.key)
            sentence = f"{dotted(path)}.key: every user of this machine may read or change {file}"
            problems.append(Problem((*path, "key"), sentence, f"chmod 600 {file}"))
        users = _read((*path, "users"), listener.users, read_users, draft, problems, if_missing=_MAKE_USERS)
        doubts += _doubt_users((*path, "users"), users or {}, draft)
        for index, trusted in enumerate(listener.trust):
            _read((*path, "trust", index, "authorities"), trusted.authorities, read_certificate, draft, problems)
        if certificate:
            doubts += _doubt_certificate((*path, "certificate"), certificate, draft)
    for index, partner in draft.partner.items():
        _read(("partner", index, "authorities"), partner.authorities, read_certificate, draft, problems)
    doubts += _check_signing_keys(draft, problems)
    problems += _check_storage(draft)
    doubts += _check_keys(draft, problems)
    doubts += _doubt_unwritable(draft)
    return problems, doubts


def _read(
    path: Key,
    file: Path | None,
    read: Callable[[Path], T],
    draft: Draft,
    problems: list[Problem],
    *,
    if_missing: str = "",
) -> T | None:
    """Return what a file holds; None where none is named, or where it cannot be used and a problem was added."""
    if file is None:
        return None
    name = draft.written(file)
    try:
        return read(file)
    except FileNotFoundError:
        if not draft.awaits(file):
            problems.append(Problem(path, f"{dotted(path)}: there is no file {name}", if_missing))
    except OSError as error:
        problems.append(Problem(path, f"{dotted(path)}: {name} cannot be read ({error.strerror})", _whose(error)))
    except ValueError as error:
        hint = f"chmod 600 {name}" if isinstance(error, ExposedError) else ""
        problems.append(Problem(path, f"{dotted(path)}: {name} {error}", hint))
    return None


def _check_signing_keys(draft: Draft, problems: list[Problem]) -> list[Problem]:
    """Add what is wrong with DKIM keys to ``problems``, and return doubts."""
    alone: dict[str, Key] = {}  # domains with Ed25519 keys, and where the first one stands
    others: set[str] = set()
    for index, named in draft.dkim.items():
        path: Key = ("dkim", index, "key")
        make = f'"letterlock keys dkim {named.domain} {named.selector} --file {draft.written(named.key)}" makes it'
        key = _read(path, named.key, read_signing_key, draft, problems, if_missing=make)
        if isinstance(key, Ed25519PrivateKey):
            alone.setdefault(named.domain, path)
        else:
            others.add(named.domain)
    hint = "many receivers check RSA signatures only: add an RSA key under another selector"
    return [
        Problem(path, f"{dotted(path)}: all keys for {domain} are Ed25519", hint)
        for domain, path in alone.items()
        if domain not in others
    ]


def _doubt_users(path: Key, users: Mapping[str, User], draft: Draft) -> list[Problem]:
    """Doubt senders whose copies would be those of strangers: rules, receipts and answers are for people inside."""
    inside = draft.organisation.domains if draft.organisation else ()
    return [
        Problem(path, f'{dotted(path)}: "{user.name}" may send as "{sender}", which is not inside')
        for user in users.values()
        for sender in user.senders
        if inside and sender.rpartition("@")[2] not in inside
    ]


def _check_storage(draft: Draft) -> list[Problem]:
    """Return problems of the places for database and blobs; the folder of the blobs is made by "letterlock init"."""
    storage = draft.storage
    if storage is None:
        return []
    problems: list[Problem] = []
    _is_folder(("storage", "blobs"), storage.blobs, draft, problems)
    if not storage.database.startswith(SQLITE):
        return problems
    path: Key = ("storage", "database")
    file = Path(storage.database.removeprefix(SQLITE))
    name = draft.written(file.parent)
    there = _is_folder(path, file.parent, draft, problems)
    if there and file.is_dir():
        problems.append(Problem(path, f"storage.database: {draft.written(file)} is a folder", "name a file in it"))
    elif there is False and file.parent not in (storage.blobs, *storage.blobs.parents):
        problems.append(Problem(path, f"storage.database: there is no folder {name}", f"mkdir -p {name}"))
    return problems


def _check_keys(draft: Draft, problems: list[Problem]) -> list[Problem]:
    """Add what is wrong with the folder of the keys to ``problems``, and return doubts."""
    if draft.keys is None:
        return []
    path: Key = ("keys", "folder")
    folder = draft.keys.folder
    there = _is_folder(path, folder, draft, problems)
    if there is False:
        sentence = f"the folder of the keys is not there yet: {draft.written(folder)}"
        return [Problem(path, sentence, '"letterlock init" makes it')]
    if not there or draft.demo or _is_folder(path, folder / "public", draft, problems) is None:
        return []
    if (folder / "public" / "recovery.pub").is_file():
        return []
    sentence = "there is no recovery key: a message whose links are lost cannot be opened by anybody"
    return [Problem(path, sentence, '"letterlock keys recovery" makes one')]


def _doubt_unwritable(draft: Draft) -> list[Problem]:
    """Doubt places that whoever asks cannot write to: whoever only looks needs not, the gateway must."""
    places: list[tuple[Key, Path]] = []
    if draft.storage and draft.storage.database.startswith(SQLITE):
        file = Path(draft.storage.database.removeprefix(SQLITE))
        places += [(("storage", "database"), file.parent), (("storage", "database"), file)]
    if draft.storage:
        places.append((("storage", "blobs"), draft.storage.blobs))
    if draft.keys:
        places += [(("keys", "folder"), draft.keys.folder / name) for name in ("", "relay", "shared")]
    return [
        Problem(path, f"{dotted(path)}: {draft.written(place)} cannot be written", "the gateway's user must be able to")
        for path, place in places
        if os.access(place, os.F_OK) and not os.access(place, os.R_OK | os.W_OK, effective_ids=True)
    ]


def _is_folder(path: Key, folder: Path, draft: Draft, problems: list[Problem]) -> bool | None:
    """Return whether a folder is there and can be entered; None where it cannot be used and a problem was added."""
    try:
        (folder / "..").stat()  # refused where the folder may be seen and not entered
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        problems.append(Problem(path, f"{dotted(path)}: {draft.written(folder)} is not a folder", "name a folder"))
        return None
    except OSError as error:
        sentence = f"{dotted(path)}: {draft.written(folder)} cannot be opened ({error.strerror})"
        problems.append(Problem(path, sentence, _whose(error)))
        return None
    return True


def _whose(error: OSError) -> str:
    return "call letterlock as the gateway's user; that user must have access" if error.errno == EACCES else ""


def _doubt_certificate(path: Key, certificate: Certificate, draft: Draft) -> list[Problem]:
    now = clock.now()
    doubts = []
    name = dotted(path)
    if certificate.ends <= now:
        doubts.append(Problem(path, f"{name} ended on {certificate.ends:%Y-%m-%d}", "clients will refuse it"))
    elif certificate.ends <= now + SOON:
        doubts.append(Problem(path, f"{name} ends on {certificate.ends:%Y-%m-%d}", "renew it in time"))
    if certificate.begins > now:
        doubts.append(Problem(path, f"{name} is not valid before {certificate.begins:%Y-%m-%d}"))
    host = draft.gateway.host_name if draft.gateway else ""
    if host and not certificate.covers(host):
        names = ", ".join(certificate.names) or "no name"
        doubts.append(Problem(path, f'{name} is not for "{host}"', f"it is for {names}"))
    return doubts
