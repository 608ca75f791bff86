"""The shape of relay.toml: frozen, strict models. Every key has a default that suits the demo or none at all.

Sizes are written ``"50 MiB"``, times ``"5d"``, ``"90s"``: a bare number is refused, because its unit would be a guess.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from policies.ruleset import RuleSpec

_SIZE = re.compile(r"(\d+) ?(B|KiB|MiB|GiB)")
_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_TIME = re.compile(r"(\d+) ?([smhd])")
_TIME_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _size(value: object) -> object:
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return int(match[1]) * _SIZE_UNITS[match[2]]
    raise ValueError('write a size such as "128 KiB", "50 MiB" or "1 GiB"')


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and (match := _TIME.fullmatch(value)):
        return timedelta(seconds=int(match[1]) * _TIME_UNITS[match[2]])
    raise ValueError('write a time such as "90s", "15m", "4h" or "30d"')


def _endpoint(value: object) -> object:
    if isinstance(value, str):
        host, colon, port = value.rpartition(":")
        if colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            return Endpoint(host=host.removeprefix("[").removesuffix("]"), port=int(port))
    if isinstance(value, Endpoint):
        return value
    raise ValueError('write an address and a port such as "127.0.0.1:2525" or "[::1]:2525"')


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, arbitrary_types_allowed=True)


class Endpoint(_Strict):
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Size = Annotated[int, BeforeValidator(_size)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[Endpoint, BeforeValidator(_endpoint)]


class Organisation(_Strict):
    """Whose mail this is."""

    name: str
    domains: tuple[str, ...] = Field(min_length=1)  # what "inside" means; sub-domains are named one by one
    contact: str  # how a recipient checks that a notice is genuine, in every notice
    languages: tuple[Literal["en", "nl", "de", "fr"], ...] = ("en",)  # the first is the default


class Gateway(_Strict):
    """Names and processes of this gateway."""

    domain: str  # sub-domain of every address that we write
    hostname: str = ""  # EHLO and Received; default: the gateway's domain
    admin_alert: str = ""
    workers: int = Field(default=2, ge=1, le=64)


class Storage(_Strict):
    """Where things are kept."""

    database: str = "sqlite:///var/letterlock.db"
    blobs: str = "var/blobs"
    inline_limit: Size = Field(default="128 KiB")  # type: ignore[assignment]
    disk_reserve: Size = Field(default="1 GiB")  # type: ignore[assignment]


class Keys(_Strict):
    """Where keys are kept; see docs/sealed-format.md for what each opens."""

    folder: str = "var/keys"
    recovery_public: str = ""  # file with the organisation's recovery public key


class Listener(_Strict):
    """One SMTP front door."""

    address: Address
    tls: Literal["none", "starttls", "implicit"] = "none"
    certificate: str = ""
    key: str = ""
    trusted_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")  # may send without signing in


class Limits(_Strict):
    """What one client and one message may use."""

    message_size: Size = Field(default="50 MiB")  # type: ignore[assignment]
    recipients: int = Field(default=1000, ge=100, le=1000)
    connections: int = Field(default=500, ge=1)
    connections_per_client: int = Field(default=100, ge=1)
    judge_time: Duration = Field(default="60s")  # type: ignore[assignment]


class Route(_Strict):
    """Next hops for one kind of recipients, tried in order."""

    hosts: tuple[Address, ...] = Field(min_length=1)
    tls: Literal["none", "opportunistic", "required"] = "opportunistic"


class Routes(_Strict):
    """Next hops for staff and for the outside world."""

    inside: Route
    outside: Route


class Delivery(_Strict):
    """Patience with next hops (RFC 5321 section 4.5.4.1)."""

    retry: tuple[Duration, ...] = Field(default=("1m", "5m", "15m", "30m", "1h"), min_length=1)  # type: ignore[assignment]
    give_up_after: Duration = Field(default="5d")  # type: ignore[assignment]
    connections_per_host: int = Field(default=10, ge=1)


class Portal(_Strict):
    """The recipient portal."""

    base_url: str
    listen: Address
    expiry: Duration = Field(default="30d")  # type: ignore[assignment]
    notice_subject: Literal["generic", "original"] = "generic"


class WordList(_Strict):
    """A keyword list in a file of its own: one term a line, ``#`` starts a comment."""

    file: str


class Demo(_Strict):
    """The demo inbox, a local stand-in for both next hops; only with the organisation example.org on loopback."""

    smtp: Address = Field(default="127.0.0.1:2526")  # type: ignore[assignment]
    web: Address = Field(default="127.0.0.1:8025")  # type: ignore[assignment]


class Configuration(_Strict):
    """All of relay.toml."""

    organisation: Organisation
    gateway: Gateway
    storage: Storage = Storage()
    keys: Keys = Keys()
    listen: dict[str, Listener] = Field(min_length=1)
    limits: Limits = Limits()
    route: Routes
    delivery: Delivery = Delivery()
    portal: Portal
    lists: dict[str, WordList] = Field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # name -> domains or addresses
    rules: tuple[RuleSpec, ...] = ()
    demo: Demo | None = None
