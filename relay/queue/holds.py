"""Copies that wait for a person: what the question was about, kept under the epoch key, and what was decided.

A hold belongs to one message and names those of its entries that are in state *held*. It is answered copy by copy or
all at once; when no copy waits any more, the hold is decided. Nothing else of the message waits for it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Table, select, update

from relay.clock import new_queue_id
from relay.errors import LetterlockError, OvertakenError
from relay.queue.items import EPOCH_ID
from relay.store.tables import Entry, Hold
from relay.store.tables.queue import EntryState, HoldState
from relay.store.writer import insert_later
from relay.vault.keyring import Keyring

_HOLD: Table = cast("Any", Hold).__table__
_ENTRY: Table = cast("Any", Entry).__table__
_LABEL = "hold"


@dataclass(frozen=True, slots=True)
class HeldCopy:
    """One recipient's copy. ``reasons`` are pairs of rule and reason; ``plain`` says that it may leave unsealed.

    ``visible``: the recipient stands in To or Cc.
    """

    entry_id: bytes
    address: str
    route: str
    reasons: tuple[tuple[str, str], ...]
    plain: bool
    visible: bool


@dataclass(frozen=True, slots=True)
class Held:
    """One hold as it stands. ``copies`` are those that wait still; none when it is decided.

    ``sender`` is who was asked and may answer. ``size`` counts the octets, from the end of what is spooled, that came
    in: what stands in front of them is ours. ``message_id_text`` is the Message-ID of the message in hand, with its
    brackets, empty where it has none.
    """

    id: bytes
    message_id: bytes
    created_at: datetime
    until: datetime
    state: HoldState
    sender: str
    subject: str
    message_id_text: str
    size: int
    copies: tuple[HeldCopy, ...]
    decided_at: datetime | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return for whom it is."""
        return tuple(copy.address for copy in self.copies)


def new_hold(
    *,
    message_id: bytes,
    now: datetime,
    until: datetime,
    sender: str,
    subject: str,
    message_id_text: str,
    size: int,
    copies: Sequence[HeldCopy],
) -> Held:
    """Return a hold that nobody has heard of yet."""
    return Held(
        new_queue_id(), message_id, now, until, HoldState.WAITING, sender, subject, message_id_text, size, tuple(copies)
    )


def insert_hold(conn: Connection, keyring: Keyring, held: Held) -> None:
    """Write a new hold in the transaction that accepts its message."""
    fields = asdict(held)
    payload = {name: fields[name] for name in ("sender", "subject", "message_id_text", "size")}
    payload["copies"] = [asdict(copy) | {"entry_id": copy.entry_id.hex()} for copy in held.copies]
    data = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    sealed = keyring.spool_seal(_LABEL, held.id, data, at=held.created_at)
    row = {
        "id": held.id,
        "message_id": held.message_id,
        "created_at": held.created_at,
        "until": held.until,
        "state": held.state.value,
        "epoch_id": sealed[:EPOCH_ID],
        "payload": sealed,
        "decided_at": None,
    }
    insert_later(conn, _HOLD, [row])


def find_hold(conn: Connection, keyring: Keyring, hold_id: bytes) -> Held | None:
    """Return a hold with the copies that wait still, None when there is none of this id.

    Of one that was decided long ago nothing but the state may be known: its key is destroyed. SealingError (spool) when
    one cannot be read whose copies wait.
    """
    row = conn.execute(select(_HOLD).where(_HOLD.c.id == hold_id)).one_or_none()
    if row is None:
        return None
    try:
        return _opened(conn, keyring, row)
    except LetterlockError:
        if row.state == HoldState.WAITING.value:
            raise
        return _bare(row)


def list_holds(
    conn: Connection, keyring: Keyring, *, due: datetime | None = None, decided: bool = False, limit: int | None = None
) -> tuple[Held, ...]:
    """Return holds, those that end first on top: with ``due`` those whose time has ended, with ``decided`` all.

    One that cannot be read any more is there too, without sender and copies.
    """
    chosen = select(_HOLD)
    if not decided:
        chosen = chosen.where(_HOLD.c.state == HoldState.WAITING.value)
    if due is not None:
        chosen = chosen.where(_HOLD.c.until <= due)
    found = []
    for row in conn.execute(chosen.order_by(_HOLD.c.until, _HOLD.c.id).limit(limit)).all():
        try:
            found.append(_opened(conn, keyring, row))
        except (LetterlockError, KeyError, ValueError):
            found.append(_bare(row))
    return tuple(found)


def settle(
    conn: Connection,
    held: Held,
    copies: Sequence[HeldCopy],
    *,
    entry_state: EntryState,
    state: HoldState,
    now: datetime,
) -> None:
    """Let ``copies`` of a hold go, to ``entry_state``, and call the hold decided as ``state`` when they were the last.

    OvertakenError, with nothing written, when one of them does not wait any more: somebody else was faster. The bytes
    of a message of which nothing waits are let go by the caller (`relay.queue.recording.let_go`).
    """
    ids = [copy.entry_id for copy in copies]
    waiting = (_ENTRY.c.message_id == held.message_id, _ENTRY.c.state == EntryState.HELD.value)
    values: dict[str, Any] = {"state": entry_state.value, "due_at": now, "lease_epoch": _ENTRY.c.lease_epoch + 1}
    # How long delivery is tried counts from here: the time for the answer may have been as long as that for delivery.
    values |= {"created_at": now} if entry_state is EntryState.DUE else {"finished_at": now}
    changed = conn.execute(update(_ENTRY).where(*waiting, _ENTRY.c.id.in_(ids)).values(values)).rowcount
    if changed != len(ids):
        raise OvertakenError("somebody else decided about this copy meanwhile")
    others = [copy.entry_id for copy in held.copies if copy.entry_id not in ids]
    if not others:
        conn.execute(update(_HOLD).where(_HOLD.c.id == held.id).values(state=state.value, decided_at=now))


def _opened(conn: Connection, keyring: Keyring, row: Any) -> Held:
    payload = json.loads(keyring.spool_open(_LABEL, row.id, row.payload).decode("utf-8", "surrogatepass"))
    copies = [
        HeldCopy(
            bytes.fromhex(one["entry_id"]),
            one["address"],
            one["route"],
            tuple((rule, because) for rule, because in one["reasons"]),
            one["plain"],
            one["visible"],
        )
        for one in payload["copies"]
    ]
    ids = [copy.entry_id for copy in copies]
    still = set(
        conn.execute(select(_ENTRY.c.id).where(_ENTRY.c.id.in_(ids), _ENTRY.c.state == EntryState.HELD.value)).scalars()
    )
    return replace(
        _bare(row),
        sender=payload["sender"],
        subject=payload["subject"],
        message_id_text=payload["message_id_text"],
        size=payload["size"],
        copies=tuple(copy for copy in copies if copy.entry_id in still),
    )


def _bare(row: Any) -> Held:
    state = HoldState(row.state)
    return Held(row.id, row.message_id, row.created_at, row.until, state, "", "", "", 0, (), row.decided_at)
