"""Mail that the demo's staff write or answer: composed as an ordinary client does it, and sent through the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid

import aiosmtplib

from relay.config.values import Endpoint
from relay.message.address_list import parse_addresses
from relay.message.block import fields
from relay.message.headers import header_value
from relay.message.parts import Reading

_TIMEOUT = 30.0  # seconds, for the whole conversation with the gateway
_THREAD = 20  # Message-IDs of References that an answer repeats


@dataclass(frozen=True, slots=True)
class Letter:
    """What the form holds. ``answers`` is the Message-ID answered, ``thread`` the References before it."""

    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str = ""
    text: str = ""
    attachments: Sequence[tuple[str, str, bytes]] = ()  # name, type, content
    answers: str = ""
    thread: str = ""

    @property
    def recipients(self) -> tuple[str, ...]:
        """The forward-paths, each once."""
        return tuple(dict.fromkeys(self.to + self.cc + self.bcc))


def answer_to(reading: Reading, original: bytes, owner: str, *, everybody: bool = False) -> Letter:
    """Return the answer that the owner of a mailbox begins to write: addressed, in the thread, the old text below.

    As mail programs do it (RFC 5322 section 3.6.2): it goes to Reply-To where there is one, else to From;
    with ``everybody`` also to those in To and Cc. Commands begin this way: a receipt's Reply-To leads to the gateway.
    """
    replies = [
        str(found.mailbox)
        for one in fields(original)
        if one.name == b"reply-to"
        for found in parse_addresses(one.value)
    ]
    to = tuple(dict.fromkeys(replies or [reading.from_]))
    others = (one for one in reading.to + reading.cc if everybody and one.lower() != owner.lower() and one not in to)
    subject = reading.subject
    return Letter(
        owner,
        to,
        cc=tuple(dict.fromkeys(others)),
        subject=subject if subject.lower().startswith("re:") else f"Re: {subject}",
        text=_quoted(reading),
        answers=reading.message_id,
        thread=" ".join((reading.references or reading.in_reply_to)[-_THREAD:]),
    )


def _quoted(reading: Reading) -> str:
    text = next((part.text for part in reading.parts if part.kind == "text"), "")
    quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return f"\n\n{reading.from_name or reading.from_} wrote:\n{quoted}\n"


def compose(letter: Letter) -> bytes:
    """Return the letter as a mail client would send it (RFC 5322), with CRLF line ends and no Bcc field."""
    message = EmailMessage()
    message["From"] = header_value(letter.sender)
    message["To"] = header_value(", ".join(letter.to))
    if letter.cc:
        message["Cc"] = header_value(", ".join(letter.cc))
    message["Subject"] = header_value(letter.subject)
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=letter.sender.rpartition("@")[2])
    if letter.answers:
        message["In-Reply-To"] = header_value(letter.answers)
        message["References"] = header_value(f"{letter.thread} {letter.answers}".strip())
    message.set_content(letter.text, cte="quoted-printable")
    for name, kind, content in letter.attachments:
        main, _, sub = kind.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub or "octet-stream", filename=header_value(name))
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


async def send(letter: Letter, gateway: Endpoint) -> str:
    """Send the letter through the gateway and return what the gateway said to each recipient, in one sentence.

    A refusal is an answer, not an error: the sentence then begins with the gateway's reply code.
    """
    try:
        refused, said = await aiosmtplib.send(
            compose(letter),
            sender=letter.sender,
            recipients=list(letter.recipients),
            hostname=gateway.host,
            port=gateway.port,
            timeout=_TIMEOUT,
            start_tls=False,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        return "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in error.recipients)
    except aiosmtplib.SMTPResponseException as error:
        return f"{error.code} {error.message}"
    except (aiosmtplib.SMTPException, OSError, ValueError):
        return f"The gateway at {gateway} does not answer. Is `letterlock run` running?"
    sentences = [f"{address}: {reply.code} {reply.message}" for address, reply in refused.items()]
    return "; ".join([f"250 {said}", *sentences])
