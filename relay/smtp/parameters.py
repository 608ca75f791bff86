"""Parameters of MAIL and RCPT, read strictly (RFC 5321 sections 4.1.1.11 and 4.1.2).

SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY and ORCPT (RFC 3461, RFC 6533), AUTH where
a client may sign in (RFC 4954). All else is refused with 555; a known parameter with a wrong value, or standing twice,
with 501.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from relay.message.xtext import decode_xtext
from relay.smtp import replies
from relay.smtp.replies import CommandError
from relay.smtp.values import Notify

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?", re.ASCII)
_SIZE = re.compile(r"[0-9]{1,20}", re.ASCII)  # RFC 1870 section 3: at most 20 digits
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+", re.ASCII)  # RFC 3461 section 4
_ORCPT = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*);(.+)", re.ASCII)
_UTF8_XTEXT = re.compile(r"(?:[!-*,-<>-\[\]-~\x80-\U0010ffff]|\\x\{[0-9A-F]{2,6}\})+")  # RFC 6533 section 3

_OF_MAIL = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID"})
_ENVID_LIMIT = 100  # characters (RFC 3461 section 4.4)
_ORCPT_LIMIT = 500  # characters (RFC 3461 section 4.2)


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What stood behind the reverse-path. ``size`` in octets, 0 for none."""

    size: int = 0
    body: Literal["", "7BIT", "8BITMIME"] = ""
    smtputf8: bool = False
    ret: Literal["", "FULL", "HDRS"] = ""
    envid: str = ""


@dataclass(frozen=True, slots=True)
class RcptParameters:
    """What stood behind a forward-path; fields as in `relay.smtp.values.ForwardPath`."""

    notify: tuple[Notify, ...] = ()
    orcpt: str = ""


def mail_parameters(text: str, *, auth: bool = False) -> MailParameters:
    """Read the parameters of MAIL; raises CommandError with 501 or 555.

    ``auth``: AUTH is offered. Then its parameter is read and dropped: it says for whom the client says that it sends,
    and we believe nobody but who signed in (RFC 4954 section 5: as if it were ``<>``).
    """
    if not text:
        return MailParameters()
    given = _split(text, known=_OF_MAIL | {"AUTH"} if auth else _OF_MAIL)
    size = given.get("SIZE", "0")
    body = _word(given.get("BODY"))
    ret = _word(given.get("RET"))
    envid = given.get("ENVID", "")
    if (
        given.get("SMTPUTF8") is not None
        or size is None
        or not _SIZE.fullmatch(size)
        or ("BODY" in given and body not in {"7BIT", "8BITMIME"})
        or ("RET" in given and ret not in {"FULL", "HDRS"})
        or ("ENVID" in given and not _is_envid(envid))
        or ("AUTH" in given and given["AUTH"] != "<>" and not _is_printable_xtext(given["AUTH"] or ""))
    ):
        raise CommandError(replies.BAD_PARAMETER)
    return MailParameters(
        size=int(size),
        body=cast('Literal["", "7BIT", "8BITMIME"]', body),
        smtputf8="SMTPUTF8" in given,
        ret=cast('Literal["", "FULL", "HDRS"]', ret),
        envid=envid or "",
    )


def rcpt_parameters(text: str, *, smtputf8: bool) -> RcptParameters:
    """Read the parameters of RCPT; ``smtputf8`` is what MAIL said. Raises CommandError with 501 or 555."""
    if not text:
        return RcptParameters()
    given = _split(text, known=frozenset({"NOTIFY", "ORCPT"}))
    orcpt = given.get("ORCPT", "")
    if "ORCPT" in given and not _is_orcpt(orcpt, smtputf8=smtputf8):
        raise CommandError(replies.BAD_PARAMETER)
    return RcptParameters(_notify(given["NOTIFY"]) if "NOTIFY" in given else (), orcpt or "")


def _split(text: str, *, known: frozenset[str]) -> Mapping[str, str | None]:
    given: dict[str, str | None] = {}
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise CommandError(replies.BAD_PARAMETER)
        keyword = match[1].upper()
        if keyword not in known:
            raise CommandError(replies.UNKNOWN_PARAMETER)
        if keyword in given:
            raise CommandError(replies.BAD_PARAMETER)
        given[keyword] = match[2]
    return given


def _word(value: str | None) -> str:
    """Return a word in upper case, empty for what is not ASCII: some other letters become ASCII in upper case."""
    return value.upper() if value is not None and value.isascii() else ""


def _notify(value: str | None) -> tuple[Notify, ...]:
    """Read ``NEVER`` or a list of the other three, each at most once (RFC 3461 section 4.1)."""
    words = tuple(_word(value).split(","))
    once = len(set(words)) == len(words)
    if words != ("NEVER",) and not (once and set(words) <= {"SUCCESS", "FAILURE", "DELAY"}):
        raise CommandError(replies.BAD_PARAMETER)
    return cast("tuple[Notify, ...]", words)


def _is_printable_xtext(value: str) -> bool:
    """Say whether it is xtext for printable ASCII: a decoded CR or LF would break out of a DSN's header."""
    return bool(_XTEXT.fullmatch(value)) and all(" " <= char <= "~" for char in decode_xtext(value))


def _is_envid(value: str | None) -> bool:
    return value is not None and len(value) <= _ENVID_LIMIT and _is_printable_xtext(value)


def _is_orcpt(value: str | None, *, smtputf8: bool) -> bool:
    match = _ORCPT.fullmatch(value or "")
    if match is None or len(match.string) > _ORCPT_LIMIT:
        return False
    if match[1].lower() != "utf-8":
        return _is_printable_xtext(match[2])
    if not _UTF8_XTEXT.fullmatch(match[2]) or not (smtputf8 or match[2].isascii()):
        return False
    points = [int(escape, 16) for escape in re.findall(r"\\x\{([0-9A-F]+)\}", match[2])]
    return all(point <= sys.maxunicode and chr(point).isprintable() for point in points)
