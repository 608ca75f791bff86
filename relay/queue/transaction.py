"""One mail transaction as it is to be offered: what it needs of a next hop, and the commands that say so."""

from collections.abc import Callable, Container, Hashable, Mapping
from dataclasses import dataclass, field, replace

from relay.message.xtext import embedded
from relay.queue.content import Content
from relay.queue.items import Consignment

Extensions = Mapping[str, str]  # keyword in lower case -> parameters, of the last EHLO


@dataclass(frozen=True, slots=True)
class Path:
    """One RCPT command: the address, and its DSN parameters as they were received (RFC 3461)."""

    address: str
    orcpt: str = ""
    notify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is sent to one next hop for recipients that share reverse-path and content.

    ``eight_bit`` says that the content really has octets above 127, ``utf8`` that its header section has
    (RFC 6531). At least one and at most 100 ``paths``. ``ours`` says whether it is still ours to send: it is asked
    again before the final dot.
    """

    reverse_path: str
    paths: tuple[Path, ...]
    content: Content
    eight_bit: bool = False
    utf8: bool = False
    ret: str = ""
    envid: str = ""
    ours: Callable[[], bool] = field(default=lambda: True, compare=False, repr=False)

    @property
    def needs_utf8(self) -> bool:
        """Tell whether the next hop must understand SMTPUTF8."""
        return self.utf8 or not (self.reverse_path.isascii() and all(path.address.isascii() for path in self.paths))


def transaction_of(consignment: Consignment, ours: Callable[[], bool]) -> Transaction:
    """Return the transaction that a consignment asks for."""
    envelope = consignment.envelope
    return Transaction(
        reverse_path=envelope.reverse_path,
        paths=tuple(
            Path(entry.envelope.recipient, entry.envelope.orcpt, entry.envelope.notify) for entry in consignment.entries
        ),
        content=consignment.content,
        eight_bit=envelope.body == "8BITMIME",
        utf8=envelope.smtputf8,
        ret=envelope.ret,
        envid=envelope.envid,
        ours=ours,
    )


def divided(mail: Transaction, by: Callable[[Path], Hashable]) -> list[tuple[Transaction, list[int]]]:
    """Return one transaction for each value of ``by``, with the places of its paths in the whole one."""
    places: dict[Hashable, list[int]] = {}
    for place, path in enumerate(mail.paths):
        places.setdefault(by(path), []).append(place)
    if len(places) == 1:
        return [(mail, list(range(len(mail.paths))))]
    return [(replace(mail, paths=tuple(mail.paths[place] for place in some)), some) for some in places.values()]


def unfit(mail: Transaction, extensions: Extensions) -> tuple[str, str] | None:
    """Return status and reason why a next hop cannot carry the message as it stands: it is never re-encoded."""
    if mail.needs_utf8 and "smtputf8" not in extensions:
        return "5.6.7", "the next hop does not support internationalised mail (SMTPUTF8)"
    if mail.eight_bit and "8bitmime" not in extensions:
        return "5.6.3", "the next hop does not support 8-bit mail (8BITMIME), and mail is never re-encoded"
    limit = extensions.get("size", "")[:20]
    if limit.isascii() and limit.isdigit() and 0 < int(limit) < mail.content.size:
        return "5.3.4", f"the message is larger than the next hop takes ({int(limit)} octets)"
    return None


def mail_command(mail: Transaction, extensions: Container[str]) -> bytes:
    """Return the MAIL command with the parameters that the next hop understands."""
    words = [b"MAIL FROM:<" + mail.reverse_path.encode() + b">"]
    if "size" in extensions:
        words.append(b"SIZE=%d" % mail.content.size)
    if mail.eight_bit:
        words.append(b"BODY=8BITMIME")
    if mail.needs_utf8:
        words.append(b"SMTPUTF8")
    if "dsn" in extensions:
        words += [b"RET=" + mail.ret.encode()] if mail.ret else []
        words += [b"ENVID=" + mail.envid.encode()] if mail.envid else []
    return b" ".join(words)


def rcpt_command(path: Path, extensions: Container[str], *, utf8: bool) -> bytes:
    """Return the RCPT command with the parameters that the next hop understands.

    ``utf8`` is what MAIL says: without SMTPUTF8 an ORCPT beyond ASCII is written in seven bits (RFC 6533 section 3).
    """
    words = [b"RCPT TO:<" + path.address.encode() + b">"]
    if "dsn" in extensions:
        words += [b"NOTIFY=" + ",".join(path.notify).encode()] if path.notify else []
        words += [b"ORCPT=" + (path.orcpt if utf8 else embedded(path.orcpt)).encode()] if path.orcpt else []
    return b" ".join(words)
