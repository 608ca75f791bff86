"""The demo inbox as a service of `letterlock run`: one process with an SMTP side and a web page."""

import asyncio
import logging
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from portal.inbox.deliveries import Deliveries
from portal.inbox.pages import Pages, gone
from portal.inbox.reception import listen
from relay.config.model import Configuration
from relay.config.source import Source
from relay.errors import ConfigurationError
from relay.services import Service

FOLDER = "demo-inbox"  # beside relay.toml: what lies here would lie in people's own mailboxes


def create_app(deliveries: Deliveries, configuration: Configuration) -> Starlette:
    """Return the web page over these deliveries."""
    gateway = next(iter(configuration.listen.values())).address
    domains = configuration.organisation.domains
    pages = Pages(deliveries, gateway, domains, staff=f"anna.baker@{domains[0]}")
    return Starlette(
        routes=pages.routes(),
        exception_handlers={LookupError: gone},
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])],
    )


async def _serve(configuration: Configuration, folder: Path) -> None:
    demo = configuration.demo
    if demo is None:
        raise ConfigurationError(("The demo inbox runs only where relay.toml has a [demo] table.",))
    logging.getLogger("mail.log").disabled = True  # aiosmtpd writes addresses there
    deliveries = Deliveries(folder)
    reception = await listen(deliveries, demo.smtp.host, demo.smtp.port)
    web = uvicorn.Server(
        uvicorn.Config(
            create_app(deliveries, configuration),
            host=demo.web.host,
            port=demo.web.port,
            log_level="warning",
            access_log=False,
            server_header=False,
        )
    )
    try:
        await web.serve()
    finally:
        reception.close()


def _run(configuration: Configuration, source: Source, _number: int) -> None:
    asyncio.run(_serve(configuration, source.path.parent / FOLDER))


service = Service("inbox", instances=lambda configuration: 1 if configuration.demo else 0, serve=_run)
