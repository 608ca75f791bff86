"""How long a commit takes: one small row is written now and then, and the time is kept beside it for all processes."""

import json
import threading
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from relay import clock
from relay.errors import StoreError
from relay.store.remembered import remember, remembered
from relay.store.writer import Store

EVERY = timedelta(seconds=10)  # however often somebody asks, the database is written to this often
PATIENCE = 5.0  # seconds; what takes longer is a fault, not a measurement

_NAME = "commit probe"


class CommitProbe:
    """Measures commits of one process. Thread-safe. ``patience`` is in seconds."""

    def __init__(self, store: Store, patience: float = PATIENCE) -> None:
        self._store = store
        self._patience = patience
        self._lock = threading.Lock()
        self._under_way: Future[None] | None = None
        self._began = 0.0

    def seconds(self, now: datetime) -> float | None:
        """Return what the last commit took that was measured; measure anew when that is too long ago.

        Blocking. StoreError when the database refuses, or when no commit ends in time: while one is under way no
        other is begun, so that whoever asks on gets the answer at once.
        """
        row = self._read()
        last: dict[str, Any] = json.loads(row) if row else {"at": 0.0, "seconds": None}
        seconds: float | None = last["seconds"]
        if 0 <= now.timestamp() - last["at"] < EVERY.total_seconds():
            return seconds
        with self._lock:
            began = clock.monotonic()
            if self._under_way is not None and not self._under_way.done():
                if began - self._began < self._patience:
                    return seconds  # somebody else is measuring
                raise StoreError(self._late)
            self._began = began
            self._under_way = under_way = self._store.submit(lambda conn: _write(conn, now, seconds))
        try:
            under_way.result(self._patience)
        except TimeoutError:
            raise StoreError(self._late) from None
        took = clock.monotonic() - began
        self._store.submit(lambda conn: _write(conn, now, took))
        return took

    def _read(self) -> str | None:
        with self._store.read() as conn:
            return remembered(conn, _NAME)

    @property
    def _late(self) -> str:
        return f"no commit has ended within {self._patience:g} seconds: a process or the disk stands still"


def _write(conn: Connection, now: datetime, seconds: float | None) -> None:
    remember(conn, _NAME, json.dumps({"at": now.timestamp(), "seconds": seconds}))
