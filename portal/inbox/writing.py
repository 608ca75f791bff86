"""Mail that the demo's staff write or answer: composed like an ordinary client's and sent through the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid

import aiosmtplib

from relay.config.values import Endpoint
from relay.message.headers import header_value

_TIMEOUT = 30.0  # seconds, for the whole conversation with the gateway


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
