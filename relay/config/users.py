"""The users of a listener, as a file: who may sign in, and as whom they may send.

    [users."anna.baker@example.org"]
    password = "$argon2id$v=19$m=19456,t=2,p=1$…"
    senders = ["anna.baker@example.org", "front-desk@example.org"]

Names are compared without regard to case. ``senders`` are addresses, or domains for whatever address is in them.
"""

import json
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from relay.config.contents import contents
from relay.config.positions import NOWHERE, Key, find_positions
from relay.config.problems import dotted
from relay.config.values import Many, Strictly, domain, mail_address

LARGEST = 4 << 20  # octets of a users file: ten thousand users have less
NAME_LENGTH = 255  # octets of a name (RFC 4616 section 2)
_PHC = re.compile(r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}")
_MEMORY = 1 << 20  # KiB that one verification may ask for
_PASSES = 100
_SAID = {"missing": "is missing", "extra_forbidden": "is no key of this file"}
_SPECIAL = frozenset('()<>[]:;@\\,"')  # what a local part would have to quote (RFC 5322 section 3.2.3)
_LOCAL_LENGTH = 64  # octets, RFC 5321 section 4.5.3.1.1


@dataclass(frozen=True, slots=True)
class User:
    """One account. ``password`` is an Argon2id hash in PHC form; ``senders`` are addresses and domains (A-labels)."""

    name: str
    password: str = field(repr=False)
    senders: tuple[str, ...]

    def may_send_as(self, local: str, domain: str) -> bool:
        """Say whether this user may write as an address; ``domain`` in lower-case A-labels."""
        address = f"{local.casefold()}@{domain}"
        return any(address == one.casefold() if "@" in one else domain == one for one in self.senders)


def folded(name: str) -> str:
    """Return the spelling under which a user's name is looked up: case and Unicode forms do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def sender(value: object) -> str:
    """Return one sender: an address, also one beyond ASCII (RFC 6531), or a domain."""
    if isinstance(value, str):
        local, at, host = value.rpartition("@")
        try:
            if not at:
                return domain(value)
            return mail_address(value) if local.isascii() else f"{_international(local)}@{domain(host)}"
        except ValueError:
            pass
    raise ValueError('write an address ("anna@example.org") or a domain ("example.org")')


def _international(local: str) -> str:
    spoiled = not local.isprintable() or any(sign.isspace() or sign in _SPECIAL for sign in local)
    if spoiled or len(local.encode()) > _LOCAL_LENGTH or not unicodedata.is_normalized("NFC", local):
        raise ValueError("no local part")
    return local


def user_name(value: object) -> str:
    """Return the name of a user: one printable line without space at its ends."""
    if isinstance(value, str) and value.strip() == value and value.isprintable():
        name = unicodedata.normalize("NFC", value)
        if 0 < len(name.encode()) <= NAME_LENGTH:
            return name
    raise ValueError(f"a name is printable text of at most {NAME_LENGTH} octets")


def _phc(value: object) -> str:
    match = _PHC.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) > _MEMORY or int(match[2]) > _PASSES:
        raise ValueError('is no Argon2id hash ("letterlock users password NAME" writes one)')
    return match[0]


class _Entry(Strictly):
    password: Annotated[str, BeforeValidator(_phc)]
    senders: Many[Annotated[str, BeforeValidator(sender)]] = Field(min_length=1)


class _File(Strictly):
    users: dict[Annotated[str, BeforeValidator(user_name)], _Entry] = Field(default_factory=dict)


def read_users(path: Path) -> Mapping[str, User]:
    """Return the users of a file by their folded names.

    ``ValueError`` says in a clause, with the line, what is wrong with the content (`ExposedError`: others may read or
    change the file); ``OSError`` leaves as it is.
    """
    raw = contents(path, LARGEST + 1, secret=True)
    if len(raw) > LARGEST:
        raise ValueError(f"is larger than {LARGEST >> 20} MiB")
    try:
        text = raw.decode("utf-8-sig")
        document = tomllib.loads(text)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"is not TOML: {error}") from None
    return _by_name(document, text)


def _by_name(document: Mapping[str, Any], text: str) -> dict[str, User]:
    try:
        found = _File.model_validate(document).users
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path: Key = tuple(part for part in first["loc"] if part != "[key]")
        said = first.get("ctx", {}).get("error") or _SAID.get(first["type"]) or first["msg"]
        place = find_positions(text).of_value(path)
        where = "" if place == NOWHERE else f"at line {place.line} "
        raise ValueError(f"{where}is wrong: {dotted(path)}: {said}") from None
    users: dict[str, User] = {}
    for name, entry in found.items():
        if folded(name) in users:
            raise ValueError(f'names "{name}" twice: names are compared without regard to case')
        users[folded(name)] = User(name, entry.password, entry.senders)
    return users


def users_text(users: Iterable[User]) -> str:
    """Return the content of a file for these users: what `read_users` reads."""
    lines = ['# Written by "letterlock users". Senders may be changed by hand; then: letterlock check']
    for user in sorted(users, key=lambda one: folded(one.name)):
        senders = ", ".join(map(_quoted, user.senders))
        lines += ["", f"[users.{_quoted(user.name)}]", f"password = {_quoted(user.password)}", f"senders = [{senders}]"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # what is printable is the same in JSON and in a TOML string
