"""Mail from one organisation's Microsoft 365: told from everybody else's by certificate, tenant and domain together.

The certificate alone says no more than "some customer of Microsoft"; the tenant alone, a header field, anybody can
write. Exchange Online writes the field itself, and whoever wrote one before it would leave two.
"""

from dataclasses import dataclass

from relay.message.block import BlockField, unfold
from relay.smtp.senders import authors_of, header_of, mailbox_of
from relay.smtp.values import ClientFacts

_HOST = "mail.protection.outlook.com"  # in the client certificate of Exchange Online
_FIELD = b"x-ms-exchange-crosstenant-id"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant: its id (a UUID in lower case) and the domains that it writes from (A-labels)."""

    id: str
    domains: frozenset[str]

    def may_be(self, client: ClientFacts, reverse_path: str) -> bool:
        """Say whether a transaction that begins so may turn out to be this tenant's; `wrote` decides.

        A report or an out-of-office answer has no reverse-path: its author alone counts.
        """
        from_microsoft = any(name == _HOST or name.endswith(f".{_HOST}") for name in client.certificate)
        return from_microsoft and (not reverse_path or mailbox_of(reverse_path).domain in self.domains)

    def wrote(self, content: bytes) -> bool:
        """Say whether a message bears this tenant's id, once, and has authors in its domains only."""
        header = header_of(content)
        if header is None or self.id != _tenant_in(header):
            return False
        authors = authors_of(header)
        return authors is not None and all(one.domain in self.domains for one in authors)


def _tenant_in(header: tuple[BlockField, ...]) -> str:
    found = [unfold(field.value).strip().lower() for field in header if field.name == _FIELD]
    return found[0].decode("ascii", "replace") if len(found) == 1 else ""
