"""What a stranger must be able to trust at a glance: the pickup notice and the code.

The code is not in the subject of its mail. Subjects are kept by message tracking logs and shown on locked
screens; a code is kept by neither when it is the first line of the text, and the preview shows it there all
the same.
"""

from datetime import datetime

from relay.message.headers import header_value, named_address
from relay.notices.letterhead import Composed, Letterhead


class Notices:
    """Writes these two. ``original_subject``: whether a notice may carry the subject of the sealed message."""

    def __init__(self, letterhead: Letterhead, *, original_subject: bool = False) -> None:
        self._letterhead = letterhead
        self._original_subject = original_subject

    def pickup(
        self,
        *,
        reader: str,
        sender: str,
        sender_name: str,
        link_path: str,
        until: datetime,
        now: datetime,
        subject: str = "",
        message_id: str = "",
        thread: str = "",
        further: bool = False,
    ) -> Composed:
        """Return the notice that a sealed message waits for ``reader``.

        ``link_path`` is the path of the pickup link, ``until`` the moment it expires, ``subject`` the
        original subject (used only where the configuration allows it). A reply to the notice goes to the
        sender: a person, not a dead address. ``thread`` is what all notices to this reader refer to, so that
        they lie together; ``further`` says that the message belongs to a conversation that is there already.
        """
        tag = self._letterhead.tag()
        _ = self._letterhead.languages[tag].gettext
        given = header_value(subject, 200) if self._original_subject else ""
        line = given or _("A message for you from %(organisation)s") % {"organisation": self._letterhead.organisation}
        return self._letterhead.write(
            "pickup",
            tag,
            to=reader,
            subject=line,
            now=now,
            message_id=message_id,
            more=[
                *([("References", thread)] if thread else []),
                *([("Reply-To", named_address(sender_name, sender))] if sender.isascii() else []),
            ],
            further=further,
            to_sender=sender.isascii(),
            sender=header_value(sender, 254),
            sender_name=header_value(sender_name, 100),
            reader=header_value(reader, 254),
            link=self._letterhead.base_url + link_path,
            until=self._letterhead.languages[tag].moment(until, self._letterhead.zone),
            original_subject=given,
        )

    def code(
        self, *, reader: str, code: str, until: datetime, now: datetime, language: str = "", message_id: str = ""
    ) -> Composed:
        """Return the mail with the one-time code of eight digits; ``until`` is the moment it lapses."""
        tag = self._letterhead.tag(language)
        _ = self._letterhead.languages[tag].gettext
        return self._letterhead.write(
            "code",
            tag,
            to=reader,
            subject=_("Your code for the message from %(organisation)s")
            % {"organisation": self._letterhead.organisation},
            now=now,
            message_id=message_id,
            code=f"{code[:4]} {code[4:]}",
            minutes=max(1, round((until - now).total_seconds() / 60)),
        )
