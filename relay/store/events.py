"""What the audit can say: a closed vocabulary, and the sentence of each word for ``letterlock trace``.

A sentence is made of segments; one whose facts are not known is left out, so that a trace whose personal facts were
forgotten still reads.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from relay import clock


class Event(StrEnum):
    """Everything that is recorded. Words are never reused for something else."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    JUDGED = "judged"
    REPEATED = "repeated"
    HELD = "held"
    DECIDED = "decided"
    COMMAND = "command"
    COMMAND_DROPPED = "command dropped"
    COMMAND_NOT_UNDERSTOOD = "command not understood"
    SEALED = "sealed"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    CAME_BACK = "came back"
    REPORT_DROPPED = "report dropped"
    PASSED_ON = "passed on"
    REMINDED = "reminded"
    RETRIED = "retried"
    PAUSED = "paused"
    RESUMED = "resumed"
    DROPPED = "dropped"
    LINK_OPENED = "link opened"
    LINK_ASKED = "new link asked for"
    CODE_SENT = "code sent"
    CODE_WRONG = "code wrong"
    CODES_EXHAUSTED = "codes exhausted"
    REQUEST_REFUSED = "request refused"
    RESEALED = "resealed"
    VISIT_STARTED = "visit started"
    READ = "read"
    DOWNLOADED = "downloaded"
    LEFT = "left"
    REFUSED_MESSAGE = "message not opened"
    REFUSED_PART = "part not opened"
    EXPIRED = "expired"
    DESTROYED = "destroyed"
    KEY_DESTROYED = "key destroyed"
    RECOVERED = "recovered"
    RESTORED = "restored"


_FIELD = re.compile(r"\{(\w+)\}")
_SENTENCES: dict[Event, tuple[str, ...]] = {
    Event.ACCEPTED: ("accepted", " from {sender}", " for {recipients}", ", {size}", " (listener {listener})"),
    Event.REFUSED: ("refused", " from {sender}", " for {recipients}", " with {reply}", ", by rule {rules}"),
    Event.JUDGED: ("decided: {way}", " for {recipients}", ", by rule {rules}"),
    Event.REPEATED: ("came again, and was taken for what it is",),
    Event.HELD: ("waits for an answer of {sender}", " about the copy for {recipients}", ", until {until}"),
    Event.DECIDED: ("the held copy", " for {recipients}", " was {outcome}", ", as {by} decided"),
    Event.COMMAND: ("{sender} answered: {commands}", " ({recipients})", "; {outcomes}"),
    Event.COMMAND_DROPPED: ("an answer was dropped: {reason}",),
    Event.COMMAND_NOT_UNDERSTOOD: ("an answer was not understood", " (from {sender})", ": {reason}"),
    Event.SEALED: ("sealed", " for {readers}", " in {parts}", ", can be read until {until}"),
    Event.DELIVERED: ("{kind} handed over", " for {recipient}", " to {next_hop}", " ({answer})"),
    Event.DEFERRED: (
        "{kind} put off",
        " for {recipient}",
        " {times}",
        " at {next_hop}",
        " ({answer})",
        ", next try {due_at}",
    ),
    Event.BOUNCED: ("{kind} given up", " for {recipient}", " at {next_hop}", " ({answer})"),
    Event.CAME_BACK: ("{kind} came back after it was handed over", " for {recipient}", " ({answer})"),
    Event.REPORT_DROPPED: ("what arrived at its return address was dropped", ": {reason}"),
    Event.PASSED_ON: ("passed on", " from {sender}", " to {recipients}", ", {size}"),
    Event.REMINDED: ("still unread: the reader was reminded", ", {told}"),
    Event.RETRIED: (
        "put back into the queue by hand",
        " for {recipient}",
        ": all that waits for {domain}",
        ": all that leaves by {route}",
    ),
    Event.PAUSED: ("kept back by hand", " for {recipient}", ": all mail for {domain}"),
    Event.RESUMED: ("let go on by hand", " for {recipient}", ": all mail for {domain}"),
    Event.DROPPED: ("taken out of the queue by hand", " for {recipient}"),
    Event.LINK_OPENED: ("the button on the link's page was pressed", " (reader {participant})"),
    Event.LINK_ASKED: ("the sender is asked for a new link", " by reader {participant}"),
    Event.CODE_SENT: ("a code was sent", " to reader {participant}"),
    Event.CODE_WRONG: ("a wrong code was entered", " by reader {participant}"),
    Event.CODES_EXHAUSTED: ("no more codes today", " for reader {participant}"),
    Event.REQUEST_REFUSED: ("a request of the portal was refused", ": {reason}"),
    Event.RESEALED: ("older messages were given to another link", " of reader {participant}"),
    Event.VISIT_STARTED: ("the right code was entered", " by reader {participant}"),
    Event.READ: ("read", " by reader {participant}"),
    Event.DOWNLOADED: ("part {part} was downloaded", " by reader {participant}", ", {size}"),
    Event.LEFT: ("reader {participant} left",),
    Event.REFUSED_MESSAGE: ("was NOT opened because it failed its check ({layer})", " for reader {participant}"),
    Event.REFUSED_PART: ("part {part} was NOT opened because it failed its check", " for reader {participant}"),
    Event.EXPIRED: ("expired: its keys were destroyed, nobody can open it any more",),
    Event.DESTROYED: ("its content was deleted",),
    Event.KEY_DESTROYED: ("server key {key}", " for messages that expired in {bucket}", " was destroyed"),
    Event.RESTORED: ("a backup took over", ": {kept_back} entries of its queue are kept back"),
    Event.RECOVERED: ("opened with the recovery key", " {key}", ", origin {origin}"),
}
# What stands in the facts as a bare number or in ISO 8601, and how it is said.
_COUNTED = {"readers": "reader", "parts": "part", "size": "octet"}
_MOMENTS = frozenset({"due_at", "until"})


def sentence(event: str, facts: Mapping[str, object]) -> str:
    """Return an event in words; ``facts`` are its facts and, where still known, the personal ones.

    ``times`` may say that one line stands for several equal events.
    """
    try:
        segments = _SENTENCES[Event(event)]
    except ValueError:
        return event  # of a newer version
    shown = {name: _shown(name, value) for name, value in facts.items()}
    # The code is 0 where no server answered and the words are our own.
    shown["answer"] = " ".join(str(part) for part in (facts.get("code"), facts.get("status")) if part)
    known = [segment for segment in segments if all(shown.get(name) for name in _FIELD.findall(segment))]
    return "".join(segment.format_map(shown) for segment in known) or event


def _shown(name: str, value: object) -> str:
    if name in _COUNTED:
        return f"{value} {_COUNTED[name]}{'' if value == 1 else 's'}"
    if name in _MOMENTS:
        return _moment(str(value))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _moment(text: str) -> str:
    try:
        return clock.local_text(datetime.fromisoformat(text))
    except ValueError:
        return text
