"""Mail to the administrator about faults of the gateway itself, and one when all is well again.

Each fault is mailed when it begins and once a day while it is urgent; what only gets closer (a certificate) at 30, 7
and 1 days. "All is well" is said after an hour without any fault, so that a fault that comes and goes is one story.
Like everything that an operator reads, the text is English, and nothing in it is personal.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from relay.clock import new_queue_id
from relay.config.model import Configuration, Gateway
from relay.health import Problem, facts
from relay.message.headers import named_address
from relay.notices.mime import message, text_part
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import own_message_id
from relay.queue.routes import Routes
from relay.queue.spooling import Draft, NewEntry, Spooler, insert_message
from relay.store.remembered import remember, remembered
from relay.store.tables.queue import Kind
from relay.store.writer import Store

EVERY = 60.0  # seconds
AGAIN = timedelta(days=1)
QUIET = timedelta(hours=1)
JUMP = timedelta(minutes=1)  # of the clock: less is what time servers correct
_STEPS = (1, 7, 30)  # days before a certificate ends
_NAME = "alerts"


@dataclass(frozen=True, slots=True)
class Known:
    """What the administrator knows: when each fault was last mailed, and when one was last seen."""

    told: Mapping[str, datetime]
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What there is to say, and what is known once it was said. Without problems: all is well again."""

    problems: tuple[Problem, ...]
    known: Known


def news(known: Known, problems: Sequence[Problem], now: datetime) -> News | None:
    """Return what is to be mailed now, None when nothing is. Pure."""
    if not problems:
        quiet = known.seen_at is None or now - known.seen_at >= QUIET
        return News((), Known({})) if known.told and quiet else None
    new = [one for one in problems if _due(known.told.get(one.fault), one, now)]
    if not new:
        return None
    told = dict.fromkeys((one.fault for one in problems), now)
    return News(tuple(problems), Known({**_remembered(known, problems, now), **told}, now))


def _remembered(known: Known, problems: Sequence[Problem], now: datetime) -> dict[str, datetime]:
    """Return what was told and still counts: where one fault stays for months, the others must not be told once only.

    A day after it was told, what is not seen any more is over: the next certificate ends as this one did.
    """
    seen = {one.fault for one in problems}
    return {fault: at for fault, at in known.told.items() if fault in seen or now - at < AGAIN}


def _due(told_at: datetime | None, problem: Problem, now: datetime) -> bool:
    return told_at is None or (problem.urgent and now - told_at >= AGAIN)


@dataclass(frozen=True, slots=True)
class Alerts:
    """The duty. ``local`` says what only this process sees: confinement that was refused, a clock that jumped."""

    configuration: Configuration
    store: Store
    spooler: Spooler
    routes: Routes
    local: Callable[[], Sequence[Problem]] = tuple

    def waits(self, now: datetime) -> bool:
        """Tell whether there is something to write. Blocking; StoreError when the store does not answer."""
        if not self.configuration.gateway.admin_alert:
            return False
        known, problems = self._known(), self.problems(now)
        return news(known, problems, now) is not None or _worth_noting(known, problems, now)

    def look(self, now: datetime) -> bool:
        """Mail what is new; return whether a mail was queued. Blocking; StoreError."""
        known, problems = self._known(), self.problems(now)
        found = news(known, problems, now)
        draft = self._draft(found.problems, now) if found else None
        after = found.known if found else _noted(known, problems, now)

        def write(conn: Connection) -> bool:
            if _read(conn) != known:
                return False  # another process was faster
            _write(conn, after)
            if draft is not None:
                insert_message(conn, draft)
            return draft is not None

        return self.store.run(write)

    def problems(self, now: datetime) -> tuple[Problem, ...]:
        """Return everything that is wrong at this moment."""
        health = facts(self.configuration, self.store)
        general = [one for one in health.problems if not one.fault.startswith("certificate")]
        return (*general, *_ending(health.certificates, now), *self.local())

    def _known(self) -> Known:
        with self.store.read() as conn:
            return _read(conn)

    def _draft(self, problems: Sequence[Problem], now: datetime) -> Draft:
        gateway = self.configuration.gateway
        queued_id, to = new_queue_id(), gateway.admin_alert
        organisation, message_id = self.configuration.organisation.name, own_message_id(queued_id, gateway.domain)
        content = alert_mail(organisation, gateway, problems, message_id=message_id, now=now)
        entry = NewEntry(Kind.ALERT, self.routes.name_for(to), EntryEnvelope(to))
        return self.spooler.draft(QueuedEnvelope(""), [entry], content, now=now, message_id=queued_id)


def alert_mail(
    organisation: str, gateway: Gateway, problems: Sequence[Problem], *, message_id: str, now: datetime
) -> bytes:
    """Return the mail to ``gateway.admin_alert`` about these problems; without any: that all is well again."""
    return message(
        from_=named_address(organisation, f"alerts@{gateway.domain}"),
        to=gateway.admin_alert,
        subject=f"{gateway.host_name}: {_subject(problems)}",
        now=now,
        message_id=message_id,
        body=text_part("plain", _text(gateway.host_name, problems)),
    )


def _ending(certificates: Mapping[str, datetime], now: datetime) -> Iterator[Problem]:
    """Return a fault of its own for each step towards the end of a certificate."""
    for name, ends in certificates.items():
        if ends <= now:
            sentence = f"the certificate of listen.{name} has ended: clients that check it send nothing"
            yield Problem(sentence, urgent=True, fault=f"certificate {name} ended")
            continue
        step = next((days for days in _STEPS if ends - now <= timedelta(days=days)), None)
        if step is not None:
            sentence = f"the certificate of listen.{name} ends on {ends:%Y-%m-%d}"
            yield Problem(sentence, urgent=False, fault=f"certificate {name} {step}")


def clock_jumped(jump: timedelta) -> tuple[Problem, ...]:
    """Return the fault of a clock that has jumped further than time servers correct, if it has."""
    if abs(jump) < JUMP:
        return ()
    seconds = round(jump.total_seconds())
    sentence = f"the clock of this machine has jumped by {seconds} seconds; restart the gateway when it is right"
    return (Problem(sentence, urgent=True, fault="clock"),)


def less_confined(refused: Sequence[str]) -> tuple[Problem, ...]:
    """Return the fault of attachments that are not read behind every wall, if the machine refused one."""
    if not refused:
        return ()
    sentence = f"attachments are read less confined than they should be; this machine refuses: {', '.join(refused)}"
    return (Problem(sentence, urgent=False, fault="confinement"),)


def _worth_noting(known: Known, problems: Sequence[Problem], now: datetime) -> bool:
    """Whether to note that a known fault is still there: once in a while is enough to measure the quiet after it."""
    return bool(problems) and (known.seen_at is None or now - known.seen_at >= QUIET / 4)


def _noted(known: Known, problems: Sequence[Problem], now: datetime) -> Known:
    return Known(_remembered(known, problems, now), now) if problems else known


def _subject(problems: Sequence[Problem]) -> str:
    if not problems:
        return "all is well again"
    return "needs somebody now" if any(one.urgent for one in problems) else "needs somebody soon"


def _text(host_name: str, problems: Sequence[Problem]) -> str:
    if not problems:
        return f"The mail gateway {host_name} has had no fault for an hour.\n"
    lines = [f"The mail gateway {host_name} reports:", ""]
    lines += [f"  - {one.sentence}" for one in sorted(problems, key=lambda one: not one.urgent)]
    lines += ["", "/healthz of the portal and the log say more. This mail comes once a day while it is urgent."]
    return "\n".join(lines) + "\n"


def _read(conn: Connection) -> Known:
    value = remembered(conn, _NAME)
    if value is None:
        return Known({})
    kept = json.loads(value)
    told = {fault: datetime.fromtimestamp(at, UTC) for fault, at in kept["told"].items()}
    return Known(told, datetime.fromtimestamp(kept["seen_at"], UTC) if kept["seen_at"] else None)


def _write(conn: Connection, known: Known) -> None:
    seen = known.seen_at.timestamp() if known.seen_at else None
    told = {fault: at.timestamp() for fault, at in known.told.items()}
    remember(conn, _NAME, json.dumps({"told": told, "seen_at": seen}))
