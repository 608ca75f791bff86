"""The kinds of values in relay.toml: sizes, times, endpoints, domains, addresses, networks, files.

Each kind takes the text of the file and gives the typed value; ``ValueError`` carries what to write instead.
Each also says how it looks in the JSON schema and how it is written back as text.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import idna
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from relay.config.amounts import duration, duration_text, optional_duration, optional_duration_text, size, size_text
from relay.config.problems import did_you_mean

_WIDEST_PUBLIC = {4: 8, 6: 16}  # prefix lengths
_DOMAIN_LENGTH = 253  # RFC 1035 section 2.3.4, without the final dot
_SELECTOR_LENGTH = 63
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_LOCAL_LENGTH = 64  # RFC 5321 section 4.5.3.1.1
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})  # Unicode: controls, line and paragraph separators
_PORTS = range(1, 65536)
SQLITE = "sqlite:///"
_POSTGRESQL = "postgresql+psycopg://"

T = TypeVar("T")
Many = Annotated[tuple[T, ...], Strict(strict=False)]  # a TOML array; its items stay strict


class Strictly(BaseModel):
    """A table: frozen, without unknown keys, and without conversions (``"25"`` is no number)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Endpoint(Strictly):
    """A host (name or address, without brackets) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether a connection to this endpoint never leaves the machine."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host is ``localhost`` or an address of the loopback network; a name is never looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def one_line(value: object) -> object:
    """Return a text that is one line; a line break or control character is refused: it would stand in notices."""
    if isinstance(value, str) and any(unicodedata.category(sign) in _CONTROLS for sign in value):
        raise ValueError("write it on one line, without control characters")
    return value


def endpoint(value: object) -> Endpoint:
    """Return the endpoint for ``host:port``; an IPv6 address stands in brackets."""
    if isinstance(value, Endpoint):
        return value
    if isinstance(value, str):
        host, colon, port = value.rpartition(":")
        if colon and port.isascii() and port.isdigit() and int(port) in _PORTS and _is_host(host):
            return Endpoint(host=host.removeprefix("[").removesuffix("]"), port=int(port))
    raise ValueError('write an address and a port such as "127.0.0.1:2525", "[::1]:2525" or "mx.example.org:25"')


def optional_server(value: object) -> Endpoint | None:
    """Return an address with a port, or None for the empty text; a name would itself have to be looked up."""
    if value is None or value == "":
        return None
    try:
        found = endpoint(value)
        ipaddress.ip_address(found.host)
    except ValueError:
        raise ValueError('write the address of a DNS server and its port, such as "127.0.0.1:53"') from None
    return found


def _is_host(host: str) -> bool:
    try:
        if host.startswith("[") and host.endswith("]"):
            return ipaddress.ip_address(host[1:-1]).version == 6  # noqa: PLR2004
        if not host.replace(".", "").isdigit():
            return bool(host) and (host == "localhost" or bool(domain(host)))
        return ipaddress.ip_address(host).version == 4  # noqa: PLR2004
    except ValueError:
        return False


def domain(value: object) -> str:
    """Return a domain as lower-case A-labels (RFC 5890); a single label, an address or a wildcard is refused."""
    if isinstance(value, str):
        try:
            name = value.lower() if value.isascii() else idna.encode(value, uts46=True).decode("ascii")
        except idna.IDNAError:
            name = ""
        labels = name.split(".")
        well_formed = len(name) <= _DOMAIN_LENGTH and len(labels) > 1 and all(map(_LABEL.fullmatch, labels))
        if well_formed and not labels[-1].isdigit():
            return name
    raise ValueError('write a domain such as "example.org"')


def selector(value: object) -> str:
    """Return a DKIM selector in lower case: one label of a domain, or several (RFC 6376 section 3.1)."""
    name = value.lower() if isinstance(value, str) else ""
    if len(name) <= _SELECTOR_LENGTH and all(map(_LABEL.fullmatch, name.split("."))):
        return name
    raise ValueError('write letters, digits and hyphens, such as "letterlock-2026"')


def label(value: object) -> str:
    """Return a short name of our own in lower case: one label of a domain."""
    name = value.lower() if isinstance(value, str) else ""
    if _LABEL.fullmatch(name):
        return name
    raise ValueError('write letters, digits and hyphens, such as "city-hospital"')


def optional_label(value: object) -> str:
    """Return a short name, or nothing for an empty one."""
    return label(value) if value else ""


def time_zone(value: object) -> str:
    """Return the name of a time zone that this machine knows; UTC always is."""
    if not isinstance(value, str):
        raise ValueError('write a time zone such as "Europe/London"')  # noqa: TRY004
    try:
        return ZoneInfo(value).key if value != "UTC" else value
    except (ZoneInfoNotFoundError, ValueError, OSError):
        guess = did_you_mean(value, available_timezones())
        raise ValueError(guess or 'write a time zone such as "Europe/London"') from None


def tenant(value: object) -> str:
    """Return a tenant's id: a UUID in lower case, with hyphens."""
    if isinstance(value, str) and _TENANT.fullmatch(value.lower()):
        return value.lower()
    raise ValueError('write the id of the tenant, such as "01234567-89ab-cdef-0123-456789abcdef"')


def mail_address(value: object) -> str:
    """Return an ordinary address (dot-atom ``@`` domain) with its domain as lower-case A-labels."""
    if isinstance(value, str):
        local, _, host = value.rpartition("@")
        if len(local) <= _LOCAL_LENGTH and _LOCAL.fullmatch(local):
            try:
                return f"{local}@{domain(host)}"
            except ValueError:
                pass
    raise ValueError('write an address such as "postmaster@example.org"')


def optional_mail_address(value: object) -> str:
    """Return a mail address, or an empty string for none."""
    return "" if value == "" else mail_address(value)  # 0 and None are mistakes, not "none"


def member(value: object) -> str:
    """Return one member of a group: a domain or an address."""
    try:
        return mail_address(value) if isinstance(value, str) and "@" in value else domain(value)
    except ValueError:
        raise ValueError('write a domain ("nhs.example") or an address ("records@nhs.example")') from None


def too_wide(found: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Tell whether trusting a network would make an open relay: no organisation holds that much of the internet."""
    return found.prefixlen < _WIDEST_PUBLIC[found.version] and not found.is_private


def network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return the network for ``10.0.0.0/8`` or a single address; the whole internet is refused (open relay)."""
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        found = ipaddress.ip_network(value, strict=False) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or not isinstance(value, str):
        raise ValueError('write a network such as "10.0.0.0/8", "192.0.2.7" or "2001:db8::/32"')
    if found.prefixlen == 0:
        raise ValueError("this is the whole internet: anybody could send as the organisation (open relay)")
    if too_wide(found):
        raise ValueError("this is too wide a part of the public internet: strangers could send as the organisation")
    if "/" in value and str(found.network_address) != str(ipaddress.ip_address(value.split("/")[0])):
        raise ValueError(f'the address has bits beyond its prefix: write "{found}"')
    return found


def file(value: object, info: ValidationInfo) -> Path:
    """Return a path; a relative one is taken from the folder of the configuration file (in the context)."""
    if isinstance(value, str) and (not value or "\0" in value):
        raise ValueError("write the path of a file or folder")
    if not isinstance(value, str | Path):
        raise ValueError("write the path of a file or folder in quotes")  # noqa: TRY004
    return _folder(info) / value


def optional_file(value: object, info: ValidationInfo) -> Path | None:
    """Return a path, or None for the empty text."""
    return None if value is None or value == "" else file(value, info)


def database(value: object, info: ValidationInfo) -> str:
    """Return the SQLAlchemy URL of a SQLite file (made absolute) or of a PostgreSQL database."""
    if isinstance(value, str):
        path = value.removeprefix(SQLITE)
        if path != value and path and not path.startswith(":") and "?" not in path and "\0" not in path:
            return f"{SQLITE}{_folder(info) / Path(path)}"
        if value.startswith(_POSTGRESQL) and value != _POSTGRESQL:
            return _url(value)
        if value.startswith(("postgresql:", "postgres:", "postgresql+")):
            raise ValueError(f'write "{_POSTGRESQL}user@host/name": psycopg is the driver that is used')
    raise ValueError('write "sqlite:///var/letterlock.db" or "postgresql+psycopg://user@host/name"')


def _url(value: str) -> str:
    try:
        # Imported only here: that takes as long as a short command, and SQLite is what most have.
        import_module("sqlalchemy.engine").make_url(value)
    except ValueError:
        raise ValueError(f'write "{_POSTGRESQL}user@host:5432/name": the port is a number') from None
    return value


def _folder(info: ValidationInfo) -> Path:
    context: dict[str, Any] = info.context or {}
    folder: Path = context.get("folder", Path())
    return folder


def _as_text(pattern: str, write: Callable[[Any], str] = str) -> tuple[WithJsonSchema, PlainSerializer]:
    shape = {"type": "string", "pattern": pattern} if pattern else {"type": "string"}
    return WithJsonSchema(shape), PlainSerializer(write, when_used="json")


Line = Annotated[str, BeforeValidator(one_line)]
Size = Annotated[int, BeforeValidator(size), *_as_text(r"^\d{1,9} ?(B|KiB|MiB|GiB)$", size_text)]
Duration = Annotated[timedelta, BeforeValidator(duration), *_as_text(r"^\d{1,9} ?[smhd]$", duration_text)]
OptionalDuration = Annotated[
    timedelta | None,
    BeforeValidator(optional_duration),
    *_as_text(r"^(\d{1,9} ?[smhd]|never)$", optional_duration_text),
]
Address = Annotated[Endpoint, BeforeValidator(endpoint), *_as_text(r"^.+:\d{1,5}$")]
OptionalServer = Annotated[
    Endpoint | None,
    BeforeValidator(optional_server),
    *_as_text(r"^(.+:\d{1,5})?$", lambda server: str(server or "")),
]
Domain = Annotated[str, BeforeValidator(domain), *_as_text(r"^[^@\s.]+(\.[^@\s.]+)+$")]
Selector = Annotated[str, BeforeValidator(selector), *_as_text(r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$")]
Label = Annotated[str, BeforeValidator(label), *_as_text(r"^[A-Za-z0-9-]+$")]
OptionalLabel = Annotated[str, BeforeValidator(optional_label), *_as_text(r"^[A-Za-z0-9-]*$")]
TimeZone = Annotated[str, BeforeValidator(time_zone), *_as_text("")]
Member = Annotated[str, BeforeValidator(member), *_as_text("")]
Mailbox = Annotated[str, BeforeValidator(mail_address), *_as_text(r"^[^@\s]+@[^@\s]+$")]
OptionalMailbox = Annotated[str, BeforeValidator(optional_mail_address), *_as_text(r"^([^@\s]+@[^@\s]+)?$")]
Tenant = Annotated[str, BeforeValidator(tenant), *_as_text(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Network = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network,
    BeforeValidator(network),
    *_as_text(r"^[0-9a-fA-F.:]+(/\d+)?$"),
]
File = Annotated[Path, BeforeValidator(file), *_as_text("")]
OptionalFile = Annotated[Path | None, BeforeValidator(optional_file), *_as_text("", lambda path: str(path or ""))]
Database = Annotated[str, BeforeValidator(database), *_as_text(r"^(sqlite:///|postgresql\+psycopg://).+")]
