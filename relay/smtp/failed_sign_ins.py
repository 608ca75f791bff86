"""Failures to sign in, counted in the database: five in five minutes for one client (R16), whichever process it met."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay import clock
from relay.store.throttle import Limit, Throttles
from relay.store.writer import Store

FAILURES = Limit("failures to sign in", 5, timedelta(seconds=300))


@dataclass(frozen=True, slots=True)
class FailedSignIns:
    """Counts over all relay processes and machines that share the database; a restart forgives nothing.

    A client is what `relay.store.throttle.network_of` says. Both methods block, and raise StoreError when the database
    does not answer: then nobody signs in.
    """

    store: Store
    throttles: Throttles
    now: Callable[[], datetime] = clock.now

    def shut_out(self, client: str) -> bool:
        """Say whether a client has failed so often that it must wait. Reads, and writes nothing."""
        with self.store.read() as conn:
            return self.throttles.reached(conn, FAILURES, client, self.now())

    def add(self, client: str) -> int | None:
        """Count one more failure; return how many the client has left, None when it was shut out already."""
        now = self.now()
        return self.store.run(lambda conn: self.throttles.note(conn, FAILURES, client, now))
