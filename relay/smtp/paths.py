"""Reverse-path and forward-path, as MAIL and RCPT write them (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

What is inside the angle brackets must be exactly one mailbox (`relay.message.addresses`). One liberty is taken,
because too many clients need it: spaces between the colon and ``<``. A source route is read and ignored, as
section 3.3 and appendix C ask.
"""

import re

from relay.message.addresses import parse_mailbox
from relay.smtp import replies
from relay.smtp.replies import CommandError
from relay.smtp.values import Reply

# A ">" inside a quoted local part does not close the path. Nothing here can backtrack: the classes are disjoint.
_PATH = re.compile(r'<((?:[^<>"\\ ]|"(?:[^"\\]|\\.)*")*)>(?: +(.*))?')
_ROUTE = re.compile(r"@[A-Za-z0-9.\[\]:-]+(?:,@[A-Za-z0-9.\[\]:-]+)*:", re.ASCII)


def split_path(argument: str, keyword: str, syntax: Reply) -> tuple[str, str]:
    """Cut ``FROM:<path> parameters`` into path and parameters; raises CommandError(syntax) when it is not that."""
    given, rest = argument[: len(keyword)], argument[len(keyword) :]
    match = _PATH.fullmatch(rest.lstrip(" "))
    if not given.isascii() or given.upper() != keyword or match is None:
        raise CommandError(syntax)
    return match[1], match[2] or ""


def reverse_path(path: str, *, smtputf8: bool) -> str:
    """Return the sender's mailbox, or an empty string for ``<>`` (RFC 5321 section 4.5.5)."""
    if not path:
        return ""
    if not path.isascii() and not smtputf8:
        raise CommandError(replies.UTF8_SENDER)
    return _mailbox(path, replies.BAD_SENDER, smtputf8=smtputf8)


def forward_path(path: str, *, postmaster: str, smtputf8: bool) -> str:
    """Return the recipient's mailbox; ``<Postmaster>`` in any case is ``postmaster`` (RFC 5321 section 4.1.1.3)."""
    if path.isascii() and path.upper() == "POSTMASTER":
        return postmaster
    if not path.isascii() and not smtputf8:
        raise CommandError(replies.UTF8_RECIPIENT)
    return _mailbox(path, replies.BAD_RECIPIENT, smtputf8=smtputf8)


def _mailbox(path: str, refusal: Reply, *, smtputf8: bool) -> str:
    route = _ROUTE.match(path)
    try:
        return str(parse_mailbox(path[route.end() :] if route else path, smtputf8=smtputf8))
    except ValueError:
        raise CommandError(refusal) from None
