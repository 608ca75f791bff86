"""The shape of relay.toml: frozen, strict models. Every key has a default that suits the demo or none at all.

Sizes are written ``"50 MiB"``, times ``"5d"``, ``"90s"``: a bare number is refused, because its unit would be a
guess. The sentence below each key is its description in the JSON schema.
"""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema

from policies.ruleset import RuleSpec
from relay.config.amounts import DAY, HOUR, MINUTE
from relay.config.next_hops import Delivery, Partner, Routes
from relay.config.values import (
    Address,
    Database,
    Domain,
    Duration,
    Endpoint,
    File,
    Line,
    Mailbox,
    Many,
    Member,
    Network,
    OptionalDuration,
    OptionalFile,
    OptionalLabel,
    OptionalMailbox,
    Selector,
    Size,
    Strictly,
    Tenant,
    TimeZone,
    is_loopback,
)

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
REPLY_SHARE = 0.7  # of the largest message: base64 makes 4 octets of 3, and the header needs room


class Organisation(Strictly):
    """Whose mail this is."""

    name: Line = Field(min_length=1, max_length=100)
    """The name that recipients know, shown in notices and in the portal."""
    domains: Many[Domain] = Field(min_length=1)
    """The mail domains of the organisation: what "inside" means. Sub-domains are named one by one."""
    mailing_lists: Many[Member] = ()
    """Addresses or domains behind which many people read; what would be sealed for them is held."""
    delegates: dict[Mailbox, Many[Mailbox]] = Field(default={})
    """Who may answer in somebody's sealed conversations and take them back: an address, and those who act for it."""
    contact: Line = Field(min_length=1, max_length=200)
    """How a recipient checks that a notice is genuine (a telephone number); stands in every notice."""
    languages: Many[Literal["en", "nl", "de", "fr"]] = Field(default=("en",), min_length=1)
    """Languages of notices and portal; the first one is the default."""
    time_zone: TimeZone = "UTC"
    """Time zone of the dates in notices and portal, such as Europe/London."""


class Gateway(Strictly):
    """Names and processes of this gateway."""

    domain: Domain
    """A sub-domain of its own for every address that the gateway writes; never one of organisation.domains."""
    hostname: Domain | Literal[""] = ""
    """Name in EHLO, Received and the greeting; empty means gateway.domain."""
    workers: int = Field(default=2, ge=1, le=64)
    """Relay processes that share the listeners."""
    machine: OptionalLabel = ""
    """Name of this machine among several that share one database; empty where there is one."""
    fallback_mailbox: OptionalMailbox = ""
    """Staff mailbox for what reaches nobody else: undeliverable answers, and mail to postmaster at gateway.domain."""
    admin_alert: OptionalMailbox = ""
    """Who is told by mail of faults of the gateway itself; empty means nobody."""

    @property
    def host_name(self) -> str:
        """The name this gateway calls itself in SMTP (RFC 5321 section 4.1.1.1)."""
        return self.hostname or self.domain

    def process_name(self, service: str, number: int) -> str:
        """Return the name of one process among all that share the database: it signs the audit and owns leases."""
        return f"{service}-{number}@{self.machine}" if self.machine else f"{service}-{number}"


class Storage(Strictly):
    """Where things are kept."""

    database: Database = Field(default="sqlite:///var/letterlock.db", validate_default=True)
    """SQLAlchemy URL: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME."""
    blobs: File = Field(default=Path("var/blobs"), validate_default=True)
    """Folder for sealed content that is too large for a database row."""
    inline_limit: Size = Field(default=128 * KIB, ge=1 * KIB, le=16 * MIB)
    """Sealed content up to this size is kept in the database."""
    disk_reserve: Size = 1 * GIB
    """Below this much free space new mail is put off with 452, so that what was accepted can still be sent."""


class Keys(Strictly):
    """Where keys are kept; docs/sealed-format.md says what each opens."""

    folder: File = Field(default=Path("var/keys"), validate_default=True)
    """Folder of the key files; nobody but the gateway's user may read them."""


class Microsoft365(Strictly):
    """One organisation's Exchange Online, told from others by client certificate, tenant and domain together."""

    kind: Literal["microsoft365"]
    """microsoft365, the only kind there is."""
    tenant: Tenant
    """The tenant's id, a UUID; Exchange Online writes it into X-MS-Exchange-CrossTenant-Id."""
    domains: Many[Domain] = Field(min_length=1)
    """Domains of organisation.domains that the tenant sends from."""
    authorities: OptionalFile = None
    """PEM file of the authorities that vouch for its certificate; empty means those of the system."""


class Listener(Strictly):
    """One SMTP front door."""

    address: Address
    """Address and port to listen on."""
    tls: Literal["none", "starttls", "implicit"] = "none"
    """none, starttls (offered to clients) or implicit (TLS from the first byte)."""
    certificate: OptionalFile = None
    """PEM file with the certificate and its chain; needed for starttls and implicit."""
    key: OptionalFile = None
    """PEM file with the private key of the certificate, readable by the gateway's user only."""
    trusted_networks: Many[Network] = LOOPBACK
    """Clients from these networks may send as the organisation. Nobody else may send to the outside."""
    users: OptionalFile = None
    """File of the users that may sign in (AUTH, over TLS only), readable by the gateway's user only."""
    proxy_protocol_from: Many[Network] = ()
    """Proxies that begin each connection with a PROXY header (version 1 or 2) which names the client."""
    trust: Many[Microsoft365] = ()
    """Clients that may send as the organisation because of who they prove to be."""


class Limits(Strictly):
    """What one client and one message may use."""

    message_size: Size = Field(default=50 * MIB, ge=64 * KIB, le=1 * GIB)
    """Largest message that is accepted (RFC 1870); at least the 64 KiB of RFC 5321 section 4.5.3.1.7."""
    recipients: int = Field(default=1000, ge=100, le=1000)
    """Most recipients of one message; at least 100 (RFC 5321 section 4.5.3.1.8)."""
    connections: int = Field(default=500, ge=1, le=100_000)
    """Most connections at a time, over all clients."""
    connections_per_client: int = Field(default=100, ge=1, le=100_000)
    """Most connections at a time from one address (IPv6: from one /64)."""
    judge_time: Duration = Field(default=60 * timedelta(seconds=1), ge=timedelta(seconds=1), le=5 * MINUTE)
    """Longest time for judging one message; what is not read by then counts as not inspectable."""


class Holding(Strictly):
    """Copies that wait for a person, because a rule says hold."""

    return_after: int = Field(default=3, ge=1, le=30)
    """Working days (Monday to Friday) that the sender has for an answer; then the message is returned."""


def _base_url(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('write the address of the portal, such as "https://letter.example.org"')  # noqa: TRY004
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not value.isascii() or any(sign <= " " for sign in value):
        raise ValueError('write the address of the portal, such as "https://letter.example.org"')
    if parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("write scheme, host and port only: the portal needs a host name of its own, without a path")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("recipients would send their codes in clear: write https:// (http is for 127.0.0.1 only)")
    return value.removesuffix("/").lower()


BaseUrl = Annotated[
    str, BeforeValidator(_base_url), WithJsonSchema({"type": "string", "pattern": "^https?://[^/]+/?$"})
]


class Receipts(Strictly):
    """What senders are told."""

    wait: Duration = Field(default=MINUTE, ge=timedelta(0), le=HOUR)
    """How long a receipt waits for further parts of the same message, which clients may send one by one."""


class Reminders(Strictly):
    """Patience with readers."""

    after: OptionalDuration = Field(default=3 * DAY, ge=HOUR, le=20 * DAY)
    """After this time the reader of an unread message is reminded and its sender told, once; or never."""


class Portal(Strictly):
    """The recipient portal."""

    base_url: BaseUrl
    """Where recipients reach the portal, without a final slash; https outside 127.0.0.1."""
    listen: Address
    """Address and port of the portal; a web server with TLS stands in front of it."""
    forwarded_from: Many[Network] = LOOPBACK
    """Where that web server connects from: its X-Forwarded-For names the client, nobody else's does."""
    expiry: Duration = Field(default=30 * DAY, ge=DAY, le=3650 * DAY)
    """How long a sealed message can be opened; then it is destroyed."""
    longest_expiry: Duration = Field(default=365 * DAY, ge=DAY, le=3650 * DAY)
    """How far from now a sender may put that off with the command "extend"."""
    reply_size: Size = Field(default=25 * MIB, ge=64 * KIB, le=512 * MIB)
    """Largest answer of a reader, files included; at most 0.7 of limits.message_size, as it grows on its way."""
    notice_subject: Literal["generic", "original"] = "generic"
    """generic (says only who wrote) or original (repeats the subject of the message in clear)."""


class DkimKey(Strictly):
    """A key that signs mail from one domain (DKIM, RFC 6376); with several for a domain, each signs."""

    domain: Domain
    """The domain in the From field: gateway.domain, or one of organisation.domains."""
    selector: Selector
    """The name under which the public key is published: SELECTOR._domainkey.DOMAIN."""
    key: File
    """PEM file with an RSA or Ed25519 private key, readable by the gateway's user only."""


class WordList(Strictly):
    """A keyword list in a file of its own: one term a line, ``#`` starts a comment."""

    file: File
    """UTF-8 text file."""


class Demo(Strictly):
    """The demo inbox, a local stand-in for both next hops; only with the organisation example.org on loopback."""

    smtp: Address = Endpoint(host="127.0.0.1", port=2526)
    """Where the inbox receives mail."""
    web: Address = Endpoint(host="127.0.0.1", port=8025)
    """Where the inbox shows it."""


class Configuration(Strictly):
    """All of relay.toml. Paths are absolute after ``relay.config.load``."""

    organisation: Organisation
    gateway: Gateway
    storage: Storage = Field(default_factory=Storage)
    keys: Keys = Field(default_factory=Keys)
    listen: dict[str, Listener] = Field(min_length=1)
    """Front doors by name: [listen.submission]."""
    limits: Limits = Field(default_factory=Limits)
    route: Routes
    partner: Many[Partner] = ()
    """Partners whose transport is proven: a rule may let their mail pass there instead of sealing it."""
    delivery: Delivery = Field(default_factory=Delivery)
    holding: Holding = Field(default_factory=Holding)
    receipts: Receipts = Field(default_factory=Receipts)
    reminders: Reminders = Field(default_factory=Reminders)
    portal: Portal
    dkim: Many[DkimKey] = ()
    """Keys for DKIM signatures; mail from a domain without one leaves unsigned."""
    lists: dict[str, WordList] = Field(default_factory=dict)
    """Keyword lists by name, for conditions such as { keywords = "health" }."""
    groups: dict[str, Many[Member]] = Field(default_factory=dict)
    """Named groups of domains or addresses, for rules with to = "group:NAME"."""
    rules: Many[RuleSpec] = ()
    """The policy. The strictest rule that holds decides for each recipient; docs/rules.md has examples."""
    demo: Demo | None = None

    @property
    def reply_size(self) -> int:
        """Octets that a reader's answer may have: portal.reply_size, and never more than goes on its way by mail."""
        return min(self.portal.reply_size, int(self.limits.message_size * REPLY_SHARE))

    @property
    def partner_names(self) -> dict[str, str]:
        """The domains of all partners, each with its partner's name."""
        return {domain: one.name for one in self.partner for domain in one.domains}

    @property
    def fallback_mailbox(self) -> str:
        """The staff mailbox for what reaches nobody else."""
        return self.gateway.fallback_mailbox or f"postmaster@{self.organisation.domains[0]}"
