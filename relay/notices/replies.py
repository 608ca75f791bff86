"""What we write to staff about readers: one asks for a new link, or an answer of one reached nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.message.headers import header_value
from relay.notices.letterhead import Composed, Letterhead


@dataclass(frozen=True, slots=True)
class ReplyNotices:
    """Writes these two, in the organisation's first language."""

    letterhead: Letterhead

    def new_link(
        self,
        *,
        to: str,
        reader: str,
        written_at: datetime,
        now: datetime,
        message_id: str,
        thread: Sequence[tuple[str, str]] = (),
    ) -> Composed:
        """Return the mail to the sender that ``reader`` asks for a new link to the message of ``written_at``.

        ``thread`` puts it into the thread of the receipt, whose control address does what it tells to do: this mail
        itself carries no secret, so that nobody can make us mail one by losing links.
        """
        tag = self.letterhead.tag()
        language = self.letterhead.languages[tag]
        shown = header_value(reader, 254)
        return self.letterhead.write(
            "new_link",
            tag,
            to=to,
            subject=language.gettext("%(reader)s asks for a new link") % {"reader": shown},
            now=now,
            message_id=message_id,
            more=thread,
            reader=shown,
            date=language.date(written_at, self.letterhead.zone),
            command=language.gettext("resend %(reader)s") % {"reader": shown},
        )

    def undelivered(
        self,
        *,
        to: str,
        reader: str,
        recipient: str,
        why: str,
        now: datetime,
        message_id: str,
        answer: bytes | None,
    ) -> Composed:
        """Return the mail to the organisation's mailbox that a reader's answer could not be handed over.

        ``answer`` is the whole mail, without secrets, to be attached; None where it is not at hand any more.
        """
        tag = self.letterhead.tag()
        shown = header_value(reader, 254)
        title = self.letterhead.languages[tag].gettext("Could not be handed over: answer from %(reader)s")
        return self.letterhead.write(
            "undelivered_reply",
            tag,
            to=to,
            subject=title % {"reader": shown},
            now=now,
            message_id=message_id,
            attached=answer,
            reader=shown,
            recipient=header_value(recipient, 254),
            why=header_value(why, 500),
            has_answer=answer is not None,
        )
