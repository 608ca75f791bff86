"""Duties that one process at a time has: folding history, signing checkpoints, sweeping. Leases in the meta table."""

import json
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, select

from relay.store.prepared import Prepared
from relay.store.tables import Meta

META: Table = cast("Any", Meta).__table__
# SQLite has locked everything already when it reads here.
_LEASE = Prepared(select(META.c.value).where(META.c.name == bindparam("of_name")).with_for_update())
_RENEW = Prepared(META.update().where(META.c.name == bindparam("of_name")).values(value=bindparam("new_value")))


def hold(connection: Connection, duty: str, owner: bytes, now: datetime, seconds: float) -> bool:
    """Take or renew ``duty`` for ``owner`` until ``seconds`` after ``now``; False while somebody else has it.

    A lease that lapsed may be taken by anybody; one that lies absurdly far ahead (the clock was wrong) too.
    """
    name = f"duty {duty}"
    rows = _LEASE.rows(connection, {"of_name": name})
    until = (now + timedelta(seconds=seconds)).timestamp()
    value = json.dumps({"owner": owner.hex(), "until": until})
    if not rows:
        connection.execute(META.insert(), [{"name": name, "value": value}])
        return True
    lease = json.loads(rows[0][0])
    others = lease["owner"] != owner.hex()
    if others and now.timestamp() < lease["until"] < now.timestamp() + 10 * seconds:
        return False
    _RENEW.run(connection, {"of_name": name, "new_value": value})
    return True
