"""Small facts of the installation, a text for each name: table `meta`, without the leases (`relay.store.duties`)."""

from typing import Any, cast

from sqlalchemy import Connection, Table, select

from relay.store.tables import Meta

_META: Table = cast("Any", Meta).__table__


def remembered(connection: Connection, name: str) -> str | None:
    """Return what was last remembered under a name, None where nothing was."""
    value: str | None = connection.execute(select(_META.c.value).where(_META.c.name == name)).scalar_one_or_none()
    return value


def remember(connection: Connection, name: str, value: str) -> None:
    """Remember a text under a name, in place of what was."""
    if connection.execute(_META.update().where(_META.c.name == name).values(value=value)).rowcount == 0:
        connection.execute(_META.insert(), [{"name": name, "value": value}])
