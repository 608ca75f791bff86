"""How this installation is, for /healthz: front doors, queue, disk, certificates, how long a commit takes (R50).

Nothing personal stands here, so that a monitor may ask without signing in. ``ok`` turns false only for what needs a
person now; what needs one soon is a problem too, and ``status`` says which of both.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, and_, case, func, select

from relay import clock
from relay.config.certificates import read_certificate
from relay.config.model import Configuration
from relay.errors import StoreError
from relay.queue.outages import Standstill, standstills
from relay.queue.pauses import paused_before
from relay.queue.routes import PARTNER, REPLIES
from relay.store.room import disks_of, free_room
from relay.store.tables import Entry
from relay.store.tables.queue import EntryState, Kind
from relay.store.writer import Store

OVERDUE = timedelta(minutes=15)  # an entry that is due this long says that nothing is being sent
FORGOTTEN = timedelta(days=1)  # what an operator has kept back for so long may not be meant to wait any more
RENEW = timedelta(days=7)  # before a certificate ends
SLOW = 2.0  # seconds that a commit may take

_ENTRY = Entry.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: ``urgent`` needs a person now. ``fault`` names it, however far it has gone."""

    sentence: str
    urgent: bool
    fault: str


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits: how many entries, since when the oldest of them is due, and since when it is ours."""

    waiting: int = 0
    overdue: timedelta = timedelta()
    oldest: timedelta = timedelta()
    stranded: int = 0  # readers' answers that the organisation's own mailbox does not take
    forgotten: int = 0  # entries that an operator keeps back, for over a day
    standstills: tuple[Standstill, ...] = ()  # routes by which nothing leaves


@dataclass(frozen=True, slots=True)
class Health:
    """The facts of one moment.

    ``free`` is in octets, on the fullest disk; ``commit`` in seconds; ``certificates`` by listener; ``silent`` are the
    listeners where nobody answers.
    """

    at: datetime
    queue: Queue
    free: int | None
    commit: float | None
    certificates: dict[str, datetime]
    problems: tuple[Problem, ...]
    silent: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing needs a person now."""
        return not any(problem.urgent for problem in self.problems)

    @property
    def status(self) -> Literal["ok", "warning", "failing"]:
        """The same in one word."""
        if not self.ok:
            return "failing"
        return "warning" if self.problems else "ok"

    def as_json(self) -> dict[str, Any]:
        """Return the facts for a monitor; times in seconds, sizes in octets."""
        return {
            "status": self.status,
            "problems": [problem.sentence for problem in self.problems],
            "at": self.at.isoformat(),
            "queue": {
                "waiting": self.queue.waiting,
                "overdue_seconds": int(self.queue.overdue.total_seconds()),
                "oldest_seconds": int(self.queue.oldest.total_seconds()),
            },
            "disk_free": self.free,
            "commit_seconds": None if self.commit is None else round(self.commit, 4),
            "silent_listeners": list(self.silent),
            "certificate_days": {name: (ends - self.at).days for name, ends in self.certificates.items()},
        }


def facts(
    configuration: Configuration,
    store: Store,
    *,
    commit_time: Callable[[datetime], float | None] = lambda _now: None,
    silent: Callable[[], Sequence[str]] = tuple,
) -> Health:
    """Look at everything once; never raises for what it finds. Blocks as long as the two questions do.

    ``commit_time`` measures a commit (`relay.commit_probe`); ``silent`` asks who does not answer (`relay.answering`):
    for those who are not themselves the relay.
    """
    now = clock.now()
    problems: list[Problem] = []
    queue, commit = Queue(), None
    try:
        with store.read() as conn:
            queue = _queue(conn, now, *_routes(configuration))
        commit = commit_time(now)
    except StoreError as error:
        problems.append(Problem(f"the database: {error}", urgent=True, fault="database"))
    try:
        disks = disks_of(configuration.storage.database, configuration.storage.blobs)
        free: int | None = min(map(free_room, disks))
    except StoreError as error:
        free = None
        problems.append(Problem(f"the disk: {error}", urgent=True, fault="disk"))
    unheard = tuple(silent())
    problems += [
        Problem(f"nobody answers at listen.{name}: no mail is taken there", urgent=True, fault=f"listener {name}")
        for name in unheard
    ]
    certificates = dict(_certificates(configuration))
    problems += _problems(configuration, queue, free, commit)
    problems += _ending(certificates, now)
    return Health(now, queue, free, commit, certificates, tuple(problems), unheard)


def _routes(configuration: Configuration) -> tuple[list[str], list[str]]:
    """Return the routes with next hops of relay.toml, and those whose next hops the DNS names."""
    route = configuration.route
    ways = {"inside": route.inside, "outside": route.outside, REPLIES: route.for_replies}
    partners = [PARTNER + one.name for one in configuration.partner]
    return [name for name, one in ways.items() if not one.mx] + partners, [name for name, one in ways.items() if one.mx]


def _queue(conn: Connection, now: datetime, routes: Sequence[str], by_mx: Sequence[str]) -> Queue:
    # What a person let go on, or made due, is in the past on purpose: of the one counts when, of the other nothing.
    since = case(
        (_ENTRY.c.due_at < _ENTRY.c.created_at, _ENTRY.c.created_at),
        ((_ENTRY.c.due_at > _ENTRY.c.created_at) | (_ENTRY.c.attempts == 0), _ENTRY.c.due_at),
    )
    to_mailbox = and_(_ENTRY.c.kind == Kind.REPLY.value, _ENTRY.c.route != REPLIES, _ENTRY.c.attempts > 0)
    counted = select(
        func.count().label("entries"),
        func.min(_ENTRY.c.created_at).label("created"),
        func.min(since).label("due_at"),
        func.count(case((to_mailbox, 1))).label("stranded"),
    )
    # State by state: asked for two at once, SQLite reads all that was sent within a month.
    due, leased = (
        conn.execute(counted.where(_ENTRY.c.state == state.value)).one()
        for state in (EntryState.DUE, EntryState.LEASED)
    )
    created = min((one.created for one in (due, leased) if one.created is not None), default=None)
    forgotten = paused_before(conn, now - FORGOTTEN)
    still = standstills(conn, routes, by_mx, now, OVERDUE)
    waiting = due.entries + leased.entries
    return Queue(waiting, _since(now, due.due_at), _since(now, created), due.stranded, forgotten, still)


def _since(now: datetime, moment: datetime | None) -> timedelta:
    return max(now - moment, timedelta()) if moment else timedelta()


def _certificates(configuration: Configuration) -> Iterator[tuple[str, datetime]]:
    for name, listener in configuration.listen.items():
        if listener.certificate and listener.tls != "none":
            try:
                yield name, read_certificate(listener.certificate).ends
            except (OSError, ValueError):
                yield name, datetime.fromtimestamp(0, clock.now().tzinfo)  # a file that vanished is as good as ended


def _problems(configuration: Configuration, queue: Queue, free: int | None, commit: float | None) -> Iterator[Problem]:
    if queue.overdue > OVERDUE:
        sentence = f"mail has been due for {_minutes(queue.overdue)} minutes and is not being sent"
        yield Problem(sentence, urgent=True, fault="queue")
    for one in queue.standstills:
        waiting = f"{one.entries:,} {'entry waits' if one.entries == 1 else 'entries wait'}"
        sentence = f"nothing leaves by the route {one.route}: {waiting}, the oldest for {_minutes(one.oldest)} minutes"
        hint = ' ("letterlock queue summary" says why)'
        theirs = one.route.startswith(PARTNER)  # to mend
        yield Problem(sentence + hint, urgent=not theirs, fault=f"route {one.route}")
    if queue.stranded:
        sentence = "the mailbox of gateway.fallback_mailbox does not take what readers wrote and nobody else got"
        yield Problem(sentence, urgent=True, fault="fallback mailbox")
    if queue.forgotten:
        entries = "1 entry" if queue.forgotten == 1 else f"{queue.forgotten} entries"
        sentence = f'an operator has kept {entries} back for over a day ("letterlock queue list --paused")'
        yield Problem(sentence, urgent=False, fault="paused mail")
    if free is not None and free < configuration.storage.disk_reserve:
        yield Problem(
            "the disk is fuller than storage.disk_reserve allows: new mail is put off", urgent=True, fault="disk"
        )
    if commit is not None and commit > SLOW:
        yield Problem(f"a commit took {commit:.1f} seconds", urgent=False, fault="commit")


def _minutes(time: timedelta) -> int:
    return int(time.total_seconds() // 60)


def _ending(certificates: dict[str, datetime], now: datetime) -> Iterator[Problem]:
    for name, ends in certificates.items():
        fault = f"certificate of listen.{name}"
        if ends <= now:
            yield Problem(f"the certificate of listen.{name} has ended", urgent=True, fault=fault)
        elif ends <= now + RENEW:
            sentence = f"the certificate of listen.{name} ends on {ends:%Y-%m-%d}"
            yield Problem(sentence, urgent=False, fault=fault)
