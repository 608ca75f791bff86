"""Duties that one process at a time has: folding history, signing checkpoints, sweeping. Leases in the meta table."""

import json
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Table, select

from relay.store.tables import Meta

META: Table = cast("Any", Meta).__table__


def hold(connection: Connection, duty: str, owner: bytes, now: datetime, seconds: float) -> bool:
    """Take or renew ``duty`` for ``owner`` until ``seconds`` after ``now``; False while somebody else has it.

    A lease that lapsed may be taken by anybody; one that lies absurdly far ahead (the clock was wrong) too.
    """
    name = f"duty {duty}"
    row = connection.execute(
        select(META.c.value).where(META.c.name == name).with_for_update()  # SQLite has locked everything already
    ).scalar_one_or_none()
    until = (now + timedelta(seconds=seconds)).timestamp()
    value = json.dumps({"owner": owner.hex(), "until": until})
    if row is None:
        connection.execute(META.insert(), [{"name": name, "value": value}])
        return True
    lease = json.loads(row)
    others = lease["owner"] != owner.hex()
    if others and now.timestamp() < lease["until"] < now.timestamp() + 10 * seconds:
        return False
    connection.execute(META.update().where(META.c.name == name).values(value=value))
    return True


def release(connection: Connection, duty: str, owner: bytes) -> None:
    """Give ``duty`` back, so that another process need not wait for the lease to lapse."""
    row = connection.execute(
        select(META.c.value).where(META.c.name == f"duty {duty}").with_for_update()
    ).scalar_one_or_none()
    if row is not None and json.loads(row)["owner"] == owner.hex():
        connection.execute(META.delete().where(META.c.name == f"duty {duty}"))
