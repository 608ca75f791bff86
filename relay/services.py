"""What `letterlock run` supervises: long-running services, each in processes of its own.

The portal and the demo inbox register themselves in the entry-point group ``letterlock.services``, so that the
relay starts them without importing them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from relay.config.model import Configuration
from relay.config.source import Source

GROUP = "letterlock.services"


@dataclass(frozen=True, slots=True)
class Service:
    """One kind of process.

    ``instances`` says how many run under a configuration (0: none). ``serve`` takes the configuration, the source it
    was read from and the number of this instance (from 0), blocks until SIGTERM or SIGINT, then finishes what it
    began and returns. SIGHUP is blocked when it is called: a service that can go on under another configuration lets
    it in (`relay.renewing`) and then loads from the source again; for the others it never comes.
    """

    name: str
    instances: Callable[[Configuration], int]
    serve: Callable[[Configuration, Source, int], None]


def find_services() -> dict[str, Service]:
    """Return every registered service by name, in a stable order."""
    found = [entry.load() for entry in entry_points(group=GROUP)]
    return {service.name: service for service in sorted(found, key=lambda service: service.name)}
