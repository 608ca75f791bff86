"""What the front door hands to the intake, and what it gets back: plain frozen values."""

from dataclasses import dataclass
from typing import Literal, Protocol

from relay.smtp.overflow import OnDisk

Notify = Literal["NEVER", "SUCCESS", "FAILURE", "DELAY"]


@dataclass(frozen=True, slots=True)
class ForwardPath:
    """One accepted RCPT command.

    ``address`` is a complete mailbox (``<Postmaster>`` has got its domain). ``notify`` is empty when the
    client said nothing; ``NEVER`` stands alone (RFC 3461 section 4.1). ``orcpt`` is ``addr-type;xtext``
    exactly as received, or empty (RFC 3461 section 4.2): pass it on so, decode it with
    `relay.message.xtext.decode_xtext`.
    """

    address: str
    notify: tuple[Notify, ...] = ()
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class SmtpEnvelope:
    """The SMTP envelope of one message (RFC 5321 section 2.3.1); at least one recipient.

    ``reverse_path`` is empty for ``<>``. ``envid`` is xtext exactly as received (RFC 3461 section 4.4),
    ``ret`` says what a DSN returns. ``size`` is what the client declared in octets (RFC 1870), 0 when it
    said nothing. The same recipient may stand twice when the client named it twice.
    """

    reverse_path: str
    recipients: tuple[ForwardPath, ...]
    smtputf8: bool = False
    body: Literal["", "7BIT", "8BITMIME"] = ""
    ret: Literal["", "FULL", "HDRS"] = ""
    envid: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """Who is talking to us, as far as the connection itself shows it.

    ``ip`` is canonical text (an IPv4-mapped IPv6 address is written as IPv4). ``helo`` is what the client
    claims, at most 255 printable ASCII characters without spaces. ``tls_version`` and ``cipher`` are empty
    without TLS; ``certificate`` are the DNS names, in lower case, of a client certificate that was verified.
    ``authenticated`` names the account that signed in, or is empty. ``trusted`` says that the client may send as
    the organisation without signing in: by its network, or because its certificate, its tenant and its domain are
    those of [[listen.NAME.trust]]. ``listener`` is its name in relay.toml.
    """

    ip: str
    port: int
    helo: str = ""
    esmtp: bool = False
    tls_version: str = ""
    cipher: str = ""
    certificate: tuple[str, ...] = ()
    authenticated: str = ""
    trusted: bool = False
    listener: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: reply code (RFC 5321 section 4.2), enhanced status code (RFC 3463), text for people.

    The text may hold anything: what a reply line cannot carry is replaced, and long text is folded, when
    it is sent.
    """

    code: int
    enhanced: str
    text: str


class Accept(Protocol):
    """What becomes of one received message; awaited once for each end of data.

    ``content`` is exactly what stood between 354 and the final dot (dots unstuffed), or what the BDAT
    chunks held: empty, or octets that end in CRLF, without bare CR, bare LF or NUL. A large message lies on disk
    (`relay.smtp.overflow`) and is dropped when the reply is there. A 2xx reply promises that the message is durable.
    The call is shielded: it runs to its end even when the client has gone.
    An exception that leaves it becomes 451 (452 for StoreFullError) with an id; nobody sees its text.
    """

    async def __call__(self, envelope: SmtpEnvelope, content: bytes | OnDisk, client: ClientFacts) -> Reply:
        """Make the message durable, or refuse it, and say so."""
        ...
