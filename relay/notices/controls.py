"""Our answers to commands: what was done, how everybody stands now, and what else can be said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from relay.languages import Language
from relay.message.headers import header_value
from relay.notices.holds import Choices
from relay.notices.letterhead import Composed, Letterhead, thread_fields


class Outcome(StrEnum):
    """What came of one command; the value names it in the audit."""

    RECALLED = "recalled"
    RECALLED_BEFORE = "recalled before"
    OUT_OF_REACH = "out of reach"
    RESTORED = "restored"
    NOT_RECALLED = "not recalled"
    RESENT = "resent"
    RESENT_ALONE = "resent, old links ended"
    RESENT_IN_PART = "resent, older messages missing"
    RECALLED_NOT_RESENT = "not resent, recalled"
    EXTENDED = "extended"
    EXTENDED_TO_LIMIT = "extended as far as allowed"
    NOT_SHORTENED = "not extended"
    ADDED = "added"
    READER_BEFORE = "reader before"
    INSIDE = "inside"
    REFUSED = "refused by the rules"
    REMOVED = "removed"
    UNKNOWN = "not a reader"
    NOT_HELD = "not held"
    NOT_SEALED = "not sealed"
    EXPIRED = "expired"


class Progress(StrEnum):
    """How far one recipient's copy has come."""

    WAITING = "waiting"
    NOTIFIED = "notified"
    LINK_OPENED = "link opened"
    READ = "read"
    UNDELIVERABLE = "undeliverable"
    REMOVED = "removed"
    DIRECT_WAITING = "direct, waiting"
    DIRECT = "direct"
    DIRECT_FAILED = "direct, failed"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one command, for one address or date, or as a whole."""

    outcome: Outcome
    about: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """That one message was read for the first time, and by whom where several share a mailbox."""

    at: datetime
    name: str = ""


@dataclass(frozen=True, slots=True)
class RecipientLine:
    """How one recipient stands: ``at`` is the moment of ``progress``; every first reading of a message follows."""

    address: str
    progress: Progress
    at: datetime | None = None
    reads: tuple[Read, ...] = ()
    recalled_at: datetime | None = None


class Misunderstanding(StrEnum):
    """Why an answer held no command."""

    NOTHING = "nothing"
    UNKNOWN = "unknown"
    UNCLEAR = "unclear"
    NO_ADDRESS = "no address"
    NO_DAYS = "no days"
    TOO_MANY = "too many"


@dataclass(frozen=True, slots=True)
class Asked:
    """The mail that is answered: who sent it, its subject, the Message-IDs of its thread, and where to answer next."""

    by: str
    subject: str
    thread: tuple[str, ...]
    control: str


class ControlNotices:
    """Writes them, in the language of the command where the organisation has it."""

    def __init__(self, letterhead: Letterhead) -> None:
        self._letterhead = letterhead

    def tag(self, languages: Sequence[str]) -> str:
        """Return the language to answer in: the organisation's own choice among those that the command was in."""
        return next((tag for tag in self._letterhead.languages if tag in languages), self._letterhead.tag())

    def state(
        self,
        asked: Asked,
        tag: str,
        *,
        done: Sequence[Done],
        recipients: Sequence[RecipientLine],
        until: datetime | None,
        now: datetime,
        message_id: str,
        passed_over: Sequence[str] = (),
    ) -> Composed:
        """Return the answer to commands. ``until`` is when the conversation ends, None where nothing is sealed."""
        language = self._letterhead.languages[tag]
        readers = [one for one in recipients if one.progress in _READERS]
        readable = until is not None and any(one.recalled_at is None for one in readers)
        return self._letterhead.write(
            "control",
            tag,
            **self._frame(asked, language, now, message_id),
            heading=language.gettext("How it stands"),
            done=[self._sentence(one, language, readable=readable) for one in done],
            passed_over=[header_value(line, 200) for line in passed_over],
            recipients=[self._shown(one, language) for one in recipients],
            until=self._moment(until, language) if readable else "",
            reader=header_value(readers[0].address, 254) if until and readers else "",
            misunderstood="",
            line="",
        )

    def said(
        self,
        asked: Asked,
        tag: str,
        sentences: Sequence[str],
        *,
        now: datetime,
        message_id: str,
        passed_over: Sequence[str] = (),
        choices: Choices | None = None,
    ) -> Composed:
        """Return the answer to a decision about a held message; ``sentences`` are finished, in the language ``tag``.

        ``choices`` are the words that decide about what waits still, None where nothing does.
        """
        language = self._letterhead.languages[tag]
        return self._letterhead.write(
            "control",
            tag,
            **(self._frame(asked, language, now, message_id) | {"choices": choices}),
            heading=language.gettext("Your decision"),
            done=[header_value(one, 1000) for one in sentences],
            passed_over=[header_value(line, 200) for line in passed_over],
            recipients=[],
            until="",
            reader="",
            misunderstood="",
            line="",
        )

    def help(
        self,
        asked: Asked,
        tag: str,
        why: Misunderstanding,
        line: str,
        *,
        reader: str,
        now: datetime,
        message_id: str,
        choices: Choices | None = None,
        over: bool = False,
    ) -> Composed:
        """Return the answer to what is no command. ``choices``: the words that decide about what waits.

        ``reader`` is an address for the examples, empty where nothing is sealed; ``over``: it waits no more.
        """
        language = self._letterhead.languages[tag]
        _ = language.gettext
        said = {
            Misunderstanding.NOTHING: _("Nothing was found above the quoted text, so nothing was done."),
            Misunderstanding.UNKNOWN: _("This line is not one of the commands, so nothing was done:"),
            Misunderstanding.UNCLEAR: _("This line may mean more than one thing, so nothing was done:"),
            Misunderstanding.NO_ADDRESS: _("An e-mail address is missing in this line, so nothing was done:"),
            Misunderstanding.NO_DAYS: _("A number of days is missing in this line, so nothing was done:"),
            Misunderstanding.TOO_MANY: _("These are more commands than one mail may have, so nothing was done."),
        }[why]
        return self._letterhead.write(
            "control",
            tag,
            **(self._frame(asked, language, now, message_id) | {"choices": choices}),
            heading=_("Your answer was not understood"),
            done=[_("This was decided before: nothing waits any more.")] if over else [],
            passed_over=[],
            recipients=[],
            until="",
            reader=header_value(reader, 254),
            misunderstood=said,
            line="" if why in {Misunderstanding.NOTHING, Misunderstanding.TOO_MANY} else header_value(line, 200),
        )

    def _frame(self, asked: Asked, language: Language, now: datetime, message_id: str) -> dict[str, Any]:
        """Return what all answers have in common."""
        subject = header_value(asked.subject, 200) or language.gettext("(no subject)")
        return {
            "to": asked.by,
            "subject": subject if subject.lower().startswith(("re:", "aw:", "antw:")) else f"Re: {subject}",
            "now": now,
            "message_id": message_id,
            "answers": True,
            "more": [("Reply-To", self._letterhead.sender_at(asked.control)), *thread_fields(asked.thread)],
            "choices": None,
        }

    def _sentence(self, done: Done, language: Language, *, readable: bool) -> str:
        _ = language.gettext
        words = {
            Outcome.RECALLED: _("%(about)s: taken back. It can no longer be read in the portal."),
            Outcome.RECALLED_BEFORE: _("%(about)s: it was taken back before."),
            Outcome.OUT_OF_REACH: _("%(about)s got an ordinary copy. It is out of reach: nobody can take it back."),
            Outcome.RESTORED: _("%(about)s can read it again."),
            Outcome.NOT_RECALLED: _("%(about)s: it was not taken back."),
            Outcome.RESENT: _("%(about)s: a notice with a new link is on its way."),
            Outcome.RESENT_ALONE: _(
                "%(about)s: a notice with a new link is on its way. The old links are no longer valid."
            ),
            Outcome.RESENT_IN_PART: _(
                "%(about)s: a notice with a new link is on its way. It opens the later messages only; the older ones "
                "are opened by the older link, which stays valid."
            ),
            Outcome.RECALLED_NOT_RESENT: _("%(about)s: nothing was sent, because it is taken back. Restore it first."),
            Outcome.EXTENDED: _("It can now be read until %(until)s."),
            Outcome.EXTENDED_TO_LIMIT: _(
                "It can now be read until %(until)s. That is as long as your organisation allows."
            ),
            Outcome.NOT_SHORTENED: _(
                "It can be read until %(until)s already. That is as long as your organisation allows."
            ),
            Outcome.ADDED: _("%(about)s can read it, too: a notice is on its way."),
            Outcome.READER_BEFORE: _("%(about)s is among the readers already. For a new link, answer with a resend."),
            Outcome.INSIDE: _("%(about)s belongs to your own organisation: forward your message instead."),
            Outcome.REFUSED: _("%(about)s was not added: the organisation's rules do not allow it."),
            Outcome.REMOVED: _("%(about)s was taken out of the conversation and can open nothing of it any more."),
            Outcome.UNKNOWN: _("%(about)s is not among the readers. Nothing was done."),
            Outcome.NOT_HELD: _("%(about)s decides about a message that is held. This one is not; nothing was done."),
            Outcome.NOT_SEALED: _("This message left as an ordinary message: nothing can be done about it any more."),
            Outcome.EXPIRED: _("This message has expired: nobody can open it any more, and nothing was done."),
        }[done.outcome]
        if done.until and not readable:  # everybody was taken back or out, perhaps further down in the same mail
            words = _("It is kept until %(until)s, but nobody can read it: restore it for a reader, or add one.")
        until = language.moment(done.until, self._letterhead.zone) if done.until else ""
        return words % {"about": header_value(done.about, 254), "until": until}

    def _shown(self, line: RecipientLine, language: Language) -> dict[str, object]:
        _ = language.gettext
        words = {
            Progress.WAITING: _("Sealed; the notice is on its way."),
            Progress.NOTIFIED: _("The notice was handed over on %(at)s. Not opened yet."),
            Progress.LINK_OPENED: _("The link was opened on %(at)s. Not read yet."),
            Progress.READ: _("Read."),
            Progress.UNDELIVERABLE: _("The notice could not be delivered: the recipient does not know of it."),
            Progress.REMOVED: _("Taken out of the conversation."),
            Progress.DIRECT_WAITING: _("Sent as an ordinary message, which is on its way."),
            Progress.DIRECT: _("Delivered directly on %(at)s: whether it was opened cannot be seen."),
            Progress.DIRECT_FAILED: _("Sent as an ordinary message, which could not be delivered."),
        }[line.progress]
        # Who has read, and when, says by itself that it was read.
        details = (
            [] if line.reads and line.progress is Progress.READ else [words % {"at": self._moment(line.at, language)}]
        )
        for read in line.reads:
            said = _("Read by %(name)s, %(at)s") if read.name else _("Read on %(at)s")
            details.append(said % {"name": header_value(read.name, 100), "at": self._moment(read.at, language)})
        if line.recalled_at:
            details.append(_("Taken back on %(at)s.") % {"at": self._moment(line.recalled_at, language)})
        # Who reads two messages in one visit reads them in the same minute: said once.
        return {"address": header_value(line.address, 254), "details": list(dict.fromkeys(details))}

    def _moment(self, at: datetime | None, language: Language) -> str:
        return language.moment(at, self._letterhead.zone) if at else ""


_READERS = frozenset({Progress.WAITING, Progress.NOTIFIED, Progress.LINK_OPENED, Progress.READ, Progress.UNDELIVERABLE})
