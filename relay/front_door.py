"""The front doors, built from the configuration: who may come in, and with which certificate."""

from collections.abc import Mapping

from relay.config.model import Configuration, Listener
from relay.config.users import User, read_users
from relay.errors import ConfigurationError
from relay.queue.return_path import ReturnPaths
from relay.smtp import access
from relay.smtp.certificates import Authority, TlsFiles
from relay.smtp.door import Door
from relay.smtp.listener import Listener as SmtpListener
from relay.smtp.overflow import Disk
from relay.smtp.own_addresses import OwnAddresses
from relay.smtp.signing_in import SignIns
from relay.smtp.strangers import FRUITLESS, MESSAGES, Strangers
from relay.smtp.tenants import Tenant
from relay.smtp.values import Accept


def doors_of(
    configuration: Configuration, accept: Accept, returns: ReturnPaths, sign_ins: SignIns, disk: Disk
) -> dict[str, Door]:
    """Return the doors by name, all with one occupancy; OSError for a certificate that cannot be read."""
    limits = configuration.limits
    # The kernel deals connections out evenly over the processes: each allows its share, rounded up.
    workers = configuration.gateway.workers
    strangers = Strangers(messages=MESSAGES.for_one_of(workers), fruitless=FRUITLESS.for_one_of(workers))
    occupancy = access.Occupancy(
        connections=-(-limits.connections // workers), per_client=-(-limits.connections_per_client // workers)
    )

    own = OwnAddresses(configuration.gateway.domain, returns.genuine)

    def door(name: str, listener: Listener) -> Door:
        files = None
        if listener.tls != "none" and listener.certificate and listener.key:
            authorities = tuple(Authority(one.authorities) for one in listener.trust)
            files = TlsFiles(listener.certificate, listener.key, authorities)
        return Door(
            name=name,
            hostname=configuration.gateway.host_name,
            accept=accept,
            access=_access(listener, own),
            occupancy=occupancy,
            strangers=strangers,
            limits=access.Limits(message_size=limits.message_size, recipients=limits.recipients),
            tls=files.context() if files else None,
            tls_files=files,
            tls_at_once=listener.tls == "implicit",
            users=_users(listener),
            sign_ins=sign_ins,
            postmaster=f"postmaster@{configuration.gateway.domain}",
            disk=disk,
        )

    return {name: door(name, listener) for name, listener in configuration.listen.items()}


def listeners_of(configuration: Configuration, doors: Mapping[str, Door]) -> tuple[SmtpListener, ...]:
    """Return a listener for each door; nothing listens yet."""
    return tuple(
        SmtpListener(doors[name], listener.address.host, listener.address.port, reuse_port=True)
        for name, listener in configuration.listen.items()
    )


def _access(listener: Listener, own: OwnAddresses) -> access.Access:
    tenants = tuple(Tenant(one.tenant, frozenset(one.domains)) for one in listener.trust)
    return access.Access(listener.trusted_networks, tenants, listener.proxy_protocol_from, own)


def _users(listener: Listener) -> Mapping[str, User] | None:
    """Return who may sign in; ConfigurationError when the file was changed since it was checked."""
    try:
        return read_users(listener.users) if listener.users else None
    except ValueError as error:
        raise ConfigurationError((f"{listener.users} {error}",)) from None
