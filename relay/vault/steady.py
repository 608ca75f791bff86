"""Is the clock to be believed? What expires is gone for ever, so a clock that jumped must not decide it.

The time of the last sweep is kept in the store. When the clock stands more than two days away from where it should
be, nothing is destroyed until it has gone on steadily for an hour: long enough for an alarm, short enough after a
holiday. A clock that is set right again is believed at once.
"""

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from relay.store.remembered import remember, remembered

LONGEST_STEP = timedelta(days=2)
STEADY = timedelta(hours=1)
_NAME = "sweep clock"


def doubt(connection: Connection, now: datetime) -> str:
    """Return why the clock is not to be believed at ``now``, in a sentence; empty when it is. Notes the time."""
    row = remembered(connection, _NAME)
    state: dict[str, str] = {} if row is None else json.loads(row)
    last = _moment(state.get("last"), now)
    since = _moment(state.get("doubted"), now)
    sentence = ""
    if abs(now - last) <= LONGEST_STEP or ("doubted" in state and STEADY <= now - since <= LONGEST_STEP):
        state = {"last": now.isoformat()}
    else:
        if "doubted" not in state or not timedelta(0) <= now - since <= LONGEST_STEP:
            state["doubted"] = now.isoformat()
        sentence = (
            f"the clock went from {last:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC since the last sweep: "
            "nothing is destroyed until it has been steady for an hour"
        )
    remember(connection, _NAME, json.dumps(state))
    return sentence


def _moment(text: str | None, otherwise: datetime) -> datetime:
    return otherwise if text is None else datetime.fromisoformat(text).astimezone(UTC)
