"""Reports of delivery as other servers write them (RFC 3464, RFC 6533), read with patience.

Every mail server writes these, most of them nearly right: fields in another order, comments behind the action, no
empty line between two recipients, a type parameter that is missing. What counts is read from the machine's part alone;
the words for people beside it are never interpreted, because an out-of-office text can say "failed" too. Only the
message's own parts are looked at: a report that somebody forwarded lies one message deeper and reports nothing here.
"""

import re
from dataclasses import dataclass

from relay.message.block import fields as header_fields
from relay.message.block import unfold, whole_fields
from relay.message.charsets import decode_short
from relay.message.header_facts import Headers, message_ids
from relay.message.structure import Leaf, walk
from relay.message.transfer import decode_transfer
from relay.message.values import header_value
from relay.message.words import header_text

MAX_STATUS = 256 << 10  # octets of one machine part that are read; a report on 1,000 recipients is smaller
MAX_RECIPIENTS = 1_000
_ADDRESS = 320  # characters
_WORDS = 500  # characters of a diagnostic
_RETURNED = frozenset({"message/rfc822", "message/global"})
_RETURNED_HEADERS = frozenset({"text/rfc822-headers", "message/global-headers"})
_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)
_WORD = re.compile(r"[a-z]+")
_UNICODE = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_BETWEEN = re.compile(rb"\n(?:[ \t]*\r?\n)+")
_MENTIONED = re.compile(r"[^\s<>,;\"]{1,256}@[^\s<>,;\"]{1,256}")


@dataclass(frozen=True, slots=True)
class ReportedDelivery:
    """What a report says of one recipient. Everything comes from a stranger: one line each, bounded, not believed.

    ``recipient`` is the final one and ``original`` the one that the sender named, where the report has them (else
    empty); ``action`` is one of RFC 3464's five words; ``status`` is ``class.subject.detail`` or empty; ``diagnostic``
    is what the last server said, without its type.
    """

    recipient: str
    original: str
    action: str
    status: str
    diagnostic: str

    @property
    def failed(self) -> bool:
        """Whether this recipient will not get the mail."""
        return self.action == "failed"


def reported_deliveries(original: bytes) -> tuple[ReportedDelivery, ...]:
    """Return what a message reports, recipient by recipient; nothing for a message that is no report. Never raises."""
    found = walk(original)
    status = [leaf for leaf in found.leaves if leaf.type.word in _TYPES]
    if status:
        reported = [one for leaf in status for one in _of_status(leaf)]
        return tuple(reported[:MAX_RECIPIENTS])
    return _of_old_exim(found.headers)


def returned_message(original: bytes) -> bytes | None:
    """Return the mail that a report brings back whole (RFC 3462 section 2), None where it has at most its header."""
    leaves = [leaf for leaf in walk(original).leaves if leaf.type.word in _RETURNED]
    return decode_transfer(leaves[0].raw, leaves[0].encoding) if leaves else None


def returned_message_id(original: bytes) -> str:
    """Return the Message-ID, with its brackets, of the mail that a report brings back; empty where it does not say."""
    for leaf in walk(original).leaves:
        if leaf.type.word in _RETURNED | _RETURNED_HEADERS:
            octets = (decode_transfer(leaf.raw, leaf.encoding) or b"").lstrip(b"\r\n")
            values = [one.value for one in header_fields(octets) if one.name == b"message-id"]
            return next(iter(message_ids({b"message-id": values}, b"message-id")), "") if values else ""
    return ""


def _of_status(leaf: Leaf) -> list[ReportedDelivery]:
    """Return the recipients of one machine part; the block about the message itself names none."""
    octets = decode_transfer(leaf.raw[: 2 * MAX_STATUS], leaf.encoding) or b""
    reported = []
    for block in _BETWEEN.split(b"\n" + octets[:MAX_STATUS]):
        for fields in _recipients(block):
            one = _delivery(fields)
            if one is not None:
                reported.append(one)
    return reported


def _recipients(block: bytes) -> list[dict[bytes, str]]:
    """Return the fields of one block, lower-case names to text; a second Final-Recipient begins another recipient."""
    found: list[dict[bytes, str]] = [{}]
    for _, name, value in whole_fields(block):
        lower = name.lower()
        if lower == b"final-recipient" and lower in found[-1]:
            found.append({})
        found[-1].setdefault(lower, _text(value))
    return found


def _delivery(fields: dict[bytes, str]) -> ReportedDelivery | None:
    recipient, original = _address(fields, b"final-recipient"), _address(fields, b"original-recipient")
    word = _WORD.match(fields.get(b"action", "").lower())
    status = _STATUS.search(fields.get(b"status", ""))
    action = word[0] if word and word[0] in _ACTIONS else ""
    if not action and (recipient or original) and status and status[0].startswith("5"):
        action = "failed"  # the field is mandatory; where it is missing or unheard of, a permanent status says as much
    if not action:
        return None
    return ReportedDelivery(recipient, original, action, status[0] if status else "", _diagnostic(fields))


def _address(fields: dict[bytes, str], name: bytes) -> str:
    """Return what stands behind the address type, which may be missing; RFC 6533 section 3 escapes code points."""
    kind, semicolon, address = fields.get(name, "").partition(";")
    address = (address if semicolon else kind).strip()
    if address.startswith("<") and address.endswith(">"):
        address = address[1:-1].strip()
    return header_value(_UNICODE.sub(_character, address), _ADDRESS)


def _character(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number <= 0x10FFFF else match[0]  # noqa: PLR2004  # the last code point


def _diagnostic(fields: dict[bytes, str]) -> str:
    text = fields.get(b"diagnostic-code", "")
    kind, semicolon, rest = text.partition(";")
    return header_value(rest if semicolon and _TYPE.fullmatch(kind.strip()) else text, _WORDS)


_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}")


def _text(value: bytes) -> str:
    return " ".join(decode_short(unfold(value)[: 4 * _WORDS]).split())


def _of_old_exim(headers: Headers) -> tuple[ReportedDelivery, ...]:
    """Return what ``X-Failed-Recipients`` names: all that Exim before 4.83 said to machines (no RFC)."""
    values = headers.get(b"x-failed-recipients", ())
    named = _MENTIONED.findall(header_text(values[0])) if values else []
    return tuple(ReportedDelivery(one, "", "failed", "", "") for one in named[:MAX_RECIPIENTS])
