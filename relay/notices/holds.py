"""The question about a copy that a rule holds, what came of the answer, and the news of what somebody else decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from relay.message.headers import header_value
from relay.notices.letterhead import Composed, Letterhead, thread_fields


@dataclass(frozen=True, slots=True)
class Waiting:
    """One recipient whose copy waits, and why: pairs of rule and reason."""

    address: str
    reasons: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """Which words decide about what waits: ``plain``: "send" is one; ``several``: "to" needs two addresses."""

    plain: bool
    several: bool


class Decision(Enum):
    """What became of held copies, or why nothing did."""

    SEALED = auto()
    SENT = auto()
    DROPPED = auto()
    CORRECTED_SEALED = auto()
    CORRECTED_SENT = auto()
    CORRECTED_HELD = auto()
    CORRECTED_REFUSED = auto()
    ONLY_SEALED = auto()  # "send" where the rules want the seal
    WHICH = auto()  # "to" with one address, and several copies wait
    NOT_WAITING = auto()
    KNOWN = auto()  # "to" somebody who was among the recipients
    WRONG_COMMAND = auto()  # one that is not for held copies
    OVER = auto()


class HoldNotices:
    """Writes them."""

    def __init__(self, letterhead: Letterhead) -> None:
        self._letterhead = letterhead

    def why_returned(self, reasons: Sequence[tuple[str, str]], *, days: int | None) -> str:
        """Return why held copies come back, as one sentence in the organisation's language.

        ``reasons`` are pairs of rule and reason; ``days`` says how many working days nobody answered the question, None
        that the administrator returned them.
        """
        _ = self._letterhead.languages[self._letterhead.tag()].gettext
        said = "; ".join(f"{because} ({rule})" for rule, because in reasons)
        if days is None:
            return _("The administrator returned it. It was held because: %(reasons)s") % {"reasons": said}
        words = _(
            "Nobody answered the question about it within %(days)s working days. It was held because: %(reasons)s"
        )
        return words % {"days": days, "reasons": said}

    def question(
        self,
        *,
        to: str,
        control: str,
        waiting: Sequence[Waiting],
        plain: bool,
        until: datetime,
        subject: str,
        original_message_id: str,
        now: datetime,
        message_id: str = "",
    ) -> Composed:
        """Return the question to the sender: which copies wait, why, until when, and the words that decide.

        ``control`` is the address that an answer goes to; ``plain`` says that "send" is among the words. It is written
        in the thread of the original.
        """
        tag = self._letterhead.tag()
        spoken = self._letterhead.languages[tag]
        return self._letterhead.write(
            "hold",
            tag,
            to=to,
            subject=self._titled(spoken.gettext("Waits for your answer: %(subject)s"), subject, tag),
            now=now,
            message_id=message_id,
            more=[("Reply-To", self._letterhead.sender_at(control)), *thread_fields([original_message_id])],
            waiting=[
                {
                    "address": header_value(one.address, 254),
                    "reasons": [
                        {"rule": header_value(rule, 100), "because": header_value(because, 300)}
                        for rule, because in one.reasons
                    ],
                }
                for one in waiting
            ],
            choices=Choices(plain, several=len(waiting) > 1),
            until=spoken.moment(until, self._letterhead.zone),
            original_subject=header_value(subject, 200),
        )

    def decided(
        self,
        *,
        to: str,
        said: Sequence[str],
        subject: str,
        original_message_id: str,
        now: datetime,
        message_id: str = "",
    ) -> Composed:
        """Return the news that an administrator decided; ``said`` are sentences of ``say``."""
        tag = self._letterhead.tag()
        title = self._letterhead.languages[tag].gettext("Decided: %(subject)s")
        return self._letterhead.write(
            "hold_decided",
            tag,
            to=to,
            subject=self._titled(title, subject, tag),
            now=now,
            message_id=message_id,
            more=thread_fields([original_message_id]),
            said=[header_value(one, 1000) for one in said],
            original_subject=header_value(subject, 200),
        )

    def say(
        self,
        decision: Decision,
        addresses: Sequence[str] = (),
        *,
        right: str = "",
        reasons: str = "",
        language: str = "",
    ) -> str:
        """Return one sentence about a decision. ``right`` is the address that took the place of ``addresses``."""
        _ = self._letterhead.languages[self._letterhead.tag(language)].gettext
        sentence = {
            Decision.SEALED: _("Sealed for %(addresses)s, with a notice that leads to it."),
            Decision.SENT: _("Sent to %(addresses)s as it was."),
            Decision.DROPPED: _("Not sent to %(addresses)s. The copy was destroyed."),
            Decision.CORRECTED_SEALED: _(
                "Sealed for %(right)s instead of %(addresses)s, with a notice that leads to it."
            ),
            Decision.CORRECTED_SENT: _("Sent to %(right)s instead of %(addresses)s."),
            Decision.CORRECTED_HELD: _(
                "A rule holds the copy for %(right)s, too: there is another question for you. "
                "The copy for %(addresses)s was destroyed."
            ),
            Decision.CORRECTED_REFUSED: _(
                "Not sent to %(right)s: %(reasons)s. The copy for %(addresses)s was destroyed."
            ),
            Decision.ONLY_SEALED: _(
                "The rules do not let the copy for %(addresses)s leave as it is. "
                "It waits still, and can be sent sealed."
            ),
            Decision.WHICH: _(
                "Several copies wait, for %(addresses)s. Write the wrong address first and the right one behind it."
            ),
            Decision.NOT_WAITING: _("No copy for %(addresses)s is waiting."),
            Decision.KNOWN: _("%(right)s was among the recipients already. Nothing was changed."),
            Decision.WRONG_COMMAND: _("That cannot be done with a message that waits for your answer."),
            Decision.OVER: _("This was decided before: nothing waits any more."),
        }[decision]
        return sentence % {
            "addresses": ", ".join(header_value(one, 254) for one in addresses),
            "right": header_value(right, 254),
            "reasons": header_value(reasons, 500),
        }

    def _titled(self, title: str, subject: str, tag: str) -> str:
        _ = self._letterhead.languages[tag].gettext
        return title % {"subject": header_value(subject, 200) or _("(no subject)")}
