"""What a Reading holds: the message as the policies, the vault and the portal take it, nothing of it re-encoded."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from policies.model import Text

Kind = Literal["text", "html", "inline", "attachment"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part as a recipient would get it.

    ``kind``: a body (``text``, ``html``), a picture that HTML refers to by ``cid`` (``inline``; without angle
    brackets), or an ``attachment``. ``where`` says in words where a person finds it. ``name`` is a decoded file name
    without path or control characters, never empty for attachments. ``type`` is the declared media type in lower
    case. ``data`` are the octets without transfer encoding. ``text`` is the decoded text of a body (HTML source for
    ``html``); ``other`` another reading of the same octets that some mail program shows, judged but never displayed.
    ``problem`` completes the sentence "this attachment ..." when it could not be read; ``encrypted`` says that the
    sender encrypted it (S/MIME, OpenPGP): a fact, not a failure.
    """

    kind: Kind
    where: str
    name: str = ""
    type: str = ""
    data: bytes = b""
    text: str = ""
    cid: str = ""
    problem: str = ""
    encrypted: bool = False
    other: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A message that was read.

    ``message_id`` with its angle brackets, empty where there is none; ``from_`` is the first author's addr-spec
    (empty where none could be read); ``to`` and ``cc`` are addr-specs; ``date`` is aware, in the sender's offset.
    ``subject`` is the first Subject, on one line. ``auto_submitted`` is true for anything that must not be answered by
    a machine (RFC 3834, Precedence bulk, reports); ``read_receipt`` where the sender asks to be told when it is read.
    ``also`` are texts that only some programs show, or nobody shows at first sight: a second Subject, text before and
    after the parts. ``problems`` are clauses in plain words for what could not be read for certain; each seals.
    """

    message_id: str = ""
    from_: str = ""
    from_name: str = ""
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    date: datetime | None = None
    subject: str = ""
    auto_submitted: bool = False
    read_receipt: bool = False
    parts: tuple[Part, ...] = ()
    problems: tuple[str, ...] = ()
    also: tuple[Text, ...] = ()
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
