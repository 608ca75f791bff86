"""The SMTP side of the demo inbox: takes whatever the gateway relays, on loopback."""

import asyncio

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from portal.inbox.deliveries import Deliveries
from relay.errors import StoreError

_LARGEST = 64 << 20  # octets; the gateway's default limit is 50 MiB
_LONGEST_LINE = 1 << 20  # octets; the gateway relays long lines unchanged
_log = structlog.get_logger()


class _Server(SMTP):
    line_length_limit = _LONGEST_LINE


class _Reception:
    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        content = envelope.content
        if not isinstance(content, bytes):
            return "451 4.3.0 no content"
        try:
            self._deliveries.add(envelope.rcpt_tos, (envelope.mail_from or "").strip("<>"), content)
        except StoreError as error:
            _log.warning("the demo inbox takes no mail", reason=str(error))
            return "451 4.3.0 the demo inbox cannot keep it now"  # its own answer to a defect is a 500: a bounce
        return "250 2.0.0 delivered to the demo inbox"


async def listen(deliveries: Deliveries, host: str, port: int) -> asyncio.Server:
    """Start the server and return it; the caller closes it."""
    reception = _Reception(deliveries)
    return await asyncio.get_running_loop().create_server(
        lambda: _Server(
            reception,
            hostname="inbox.demo",
            ident="demo inbox",
            enable_SMTPUTF8=True,
            data_size_limit=_LARGEST,
        ),
        host,
        port,
    )
