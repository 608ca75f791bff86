"""The one table of answers: reply code, enhanced code, text, and the section that asks for it.

Codes are those of RFC 5321 section 4.2.3, enhanced codes those of RFC 3463 and its registry. Replies that carry
a number or an id are the small functions below the table.
"""

import unicodedata

from relay.config.amounts import size_text
from relay.smtp.values import Reply

# -- success and intermediate ---------------------------------------------------------------------
BYE = Reply(221, "2.0.0", "goodbye")  # RFC 5321 4.1.1.10
OK = Reply(250, "2.0.0", "OK")  # RFC 5321 4.1.1.5, 4.1.1.9
SENDER_OK = Reply(250, "2.1.0", "sender OK")  # RFC 5321 4.1.1.2
RECIPIENT_OK = Reply(250, "2.1.5", "recipient OK")  # RFC 5321 4.1.1.3
CANNOT_VERIFY = Reply(252, "2.5.2", "cannot verify, but will try to deliver")  # RFC 5321 3.5.3
HELP = Reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT: see RFC 5321")  # 4.1.1.8
SIGNED_IN = Reply(235, "2.7.0", "signed in")  # RFC 4954 section 6
READY_FOR_TLS = Reply(220, "2.0.0", "ready to start TLS")  # RFC 3207 section 4
SEND_DATA = Reply(354, "", "end data with <CRLF>.<CRLF>")  # RFC 5321 4.1.1.4; RFC 2034: no enhanced code on 3xx

# -- the connection -------------------------------------------------------------------------------
TOO_MANY_CONNECTIONS = Reply(421, "4.3.2", "too many connections, try again later")  # RFC 5321 3.8, 4.2.3
TOO_MANY_OF_YOURS = Reply(421, "4.7.0", "too many connections from your network, try again later")
TOO_MANY_VISITS = Reply(421, "4.7.0", "too many conversations without a message, try again in ten minutes")  # 7.8
NO_WEB = Reply(421, "4.7.0", "this is a mail server, not a web server")  # RFC 5321 7.8
SHUTTING_DOWN = Reply(421, "4.3.2", "service shutting down, try again later")  # RFC 5321 3.8
TIMED_OUT = Reply(421, "4.4.2", "timed out waiting for you")  # RFC 5321 3.8, 4.5.3.2.7
TOO_MANY_ERRORS = Reply(421, "4.7.0", "too many errors")  # RFC 5321 4.2.5, 7.8
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "too many commands without a message")  # RFC 5321 7.8
LOST_TRACK = Reply(421, "4.3.0", "cannot tell your message from your commands, closing")  # RFC 3030 section 2

TOO_MANY_SIGN_INS = Reply(421, "4.7.0", "too many failed attempts to sign in")  # RFC 5321 7.8; RFC 4954 section 9

# -- syntax and sequence --------------------------------------------------------------------------
LINE_TOO_LONG = Reply(500, "5.5.2", "command line too long")  # RFC 5321 4.5.3.1.4, 4.5.3.1.9
BARE_LINE_END = Reply(500, "5.5.2", "a command ends in <CRLF>, nothing else")  # RFC 5321 2.3.8, 4.1.1
NOT_TEXT = Reply(500, "5.5.2", "a command is printable text")  # RFC 5321 2.4, 4.1.1
UNKNOWN_COMMAND = Reply(500, "5.5.1", "command not recognised")  # RFC 5321 4.2.4
NO_ARGUMENT_TAKEN = Reply(501, "5.5.4", "this command takes no argument")  # RFC 5321 4.3.2
ARGUMENT_NEEDED = Reply(501, "5.5.4", "this command needs an argument")  # RFC 5321 4.1.1
BAD_HELO = Reply(501, "5.5.4", "say EHLO with your domain or [address]")  # RFC 5321 4.1.1.1
BAD_MAIL = Reply(501, "5.5.4", "write MAIL FROM:<address>, then parameters")  # RFC 5321 4.1.1.2
BAD_RCPT = Reply(501, "5.5.4", "write RCPT TO:<address>, then parameters")  # RFC 5321 4.1.1.3
BAD_BDAT = Reply(501, "5.5.4", "write BDAT SIZE or BDAT SIZE LAST")  # RFC 3030 section 2
BAD_PARAMETER = Reply(501, "5.5.4", "a parameter has a value that is not allowed or stands twice")  # RFC 5321 4.1.2
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "a parameter is not recognised")  # RFC 5321 4.1.1.11
NOT_OFFERED = Reply(502, "5.5.1", "command not implemented")  # RFC 5321 4.2.4
NO_TLS = Reply(502, "5.5.1", "TLS is not offered here")  # RFC 5321 4.2.4
TLS_ALREADY = Reply(503, "5.5.1", "TLS is already active")  # RFC 3207 section 4.2
HELO_FIRST = Reply(503, "5.5.1", "say EHLO first")  # RFC 5321 4.1.4
MAIL_FIRST = Reply(503, "5.5.1", "send MAIL first")  # RFC 5321 4.1.4
NESTED_MAIL = Reply(503, "5.5.1", "one MAIL at a time, RSET ends it")  # RFC 5321 4.1.4
NO_RECIPIENTS = Reply(503, "5.5.1", "no valid recipients")  # RFC 5321 3.3
CHUNKS_BEGUN = Reply(503, "5.5.1", "this message comes in BDAT chunks")  # RFC 3030 section 2

# -- signing in -----------------------------------------------------------------------------------
TLS_FIRST = Reply(538, "5.7.11", "sign in over TLS only: say STARTTLS first")  # RFC 4954 section 4; X.7.11 of RFC 5248
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "sign in with PLAIN or LOGIN")  # RFC 4954 section 4
AUTH_NOT_NOW = Reply(503, "5.5.1", "sign in once, and not during a transaction")  # RFC 4954 section 4
RESPONSE_TOO_LONG = Reply(500, "5.5.6", "that is longer than any name or password")  # RFC 4954 sections 4 and 6
AUTH_CANCELLED = Reply(501, "5.7.0", "cancelled")  # RFC 4954 section 4
BAD_BASE64 = Reply(501, "5.5.2", "that is not base64")  # RFC 4954 section 4
BAD_CREDENTIALS = Reply(535, "5.7.8", "name or password is wrong")  # RFC 4954 section 6
SIGN_IN_FIRST = Reply(530, "5.7.0", "sign in over TLS to send through this server")  # RFC 4954 section 6
SIGN_IN_LATER = Reply(454, "4.7.0", "too many failed attempts, sign in again in five minutes")  # RFC 4954 section 6
SIGN_IN_UNKNOWN = Reply(454, "4.7.0", "cannot verify that now, try again later")  # RFC 4954 section 6
NOT_YOUR_SENDER = Reply(553, "5.7.1", "you may not send from this address")  # RFC 6409 section 6.1
NOT_YOUR_AUTHOR = Reply(550, "5.7.1", "the message is not from an address that you may send from")  # RFC 6409 6.1

# -- addresses ------------------------------------------------------------------------------------
BAD_SENDER = Reply(501, "5.1.7", "that is not an address")  # RFC 5321 4.1.2; RFC 3463 3.2
BAD_RECIPIENT = Reply(501, "5.1.3", "that is not an address")  # RFC 5321 4.1.2; RFC 3463 3.2
UTF8_SENDER = Reply(550, "5.6.7", "the address is not ASCII, and your program did not say SMTPUTF8")  # RFC 6531 3.5
UTF8_RECIPIENT = Reply(553, "5.6.7", "the address is not ASCII, and your program did not say SMTPUTF8")  # RFC 6531 3.5
NO_SUCH_ADDRESS = Reply(550, "5.1.1", "there is no such address here")  # RFC 5321 3.3, 4.2.3
STAFF_ONLY = Reply(550, "5.7.1", "only the organisation's own people may write to this address")
RELAYING_DENIED = Reply(550, "5.7.1", "you may not send through this server")  # RFC 5321 7.9
MENDED_BY_SIGNING_IN = frozenset({STAFF_ONLY, RELAYING_DENIED})  # where users do, SIGN_IN_FIRST stands in their place
TOO_MUCH_MAIL = Reply(450, "4.7.1", "too much mail from your network, try again in ten minutes")  # RFC 5321 7.8
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "too many recipients in one message, send the rest again")  # 4.5.3.1.10

# -- content --------------------------------------------------------------------------------------
NO_ROOM = Reply(452, "4.3.1", "no room for this message now, try again later")  # RFC 1870 6.1; RFC 5321 4.5.3.1.9
BARE_CR = Reply(550, "5.5.2", "the message holds a bare <CR>: lines end in <CRLF>")  # RFC 5321 2.3.8
BARE_LF = Reply(550, "5.5.2", "the message holds a bare <LF>: lines end in <CRLF>")  # RFC 5321 2.3.8, 4.1.1.4
NUL = Reply(550, "5.5.2", "the message holds a NUL")  # RFC 5321 4.5.2; RFC 5322 section 4

_LINE_ROOM = 480  # octets of text in one reply line; the line itself is at most 512 (RFC 5321 4.5.3.1.5)


class CommandError(Exception):
    """A command is refused; ``reply`` says why. The session goes on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.code} {reply.enhanced}")
        self.reply = reply


def greeting(hostname: str) -> Reply:
    """Return the first line of a session (RFC 5321 section 4.3.1); RFC 2034 gives it no enhanced code."""
    return Reply(220, "", f"{hostname} ESMTP")


def chunk_ok(octets: int) -> Reply:
    """Return the answer to a BDAT that is not the last (RFC 3030 section 2)."""
    return Reply(250, "2.0.0", f"{octets} octets received")


def too_large(limit: int) -> Reply:
    """Return the answer to a message over ``limit`` octets, for people who see files only (RFC 1870 section 6)."""
    return Reply(552, "5.3.4", f"message too large: at most {size_text(limit)}; attachments grow by a third in mail")


def internal_error(identifier: str) -> Reply:
    """Return the answer to any failure of ours: its id, found in the log too, and nothing else."""
    return Reply(451, "4.3.0", f"internal error {identifier}, try again later")


def storage_full(identifier: str) -> Reply:
    """Return the answer when nothing can be kept any more (RFC 5321 section 4.5.3.1.9)."""
    return Reply(452, "4.3.1", f"no storage left ({identifier}), try again later")


def final(reply: Reply) -> Reply:
    """Return a reply that may end a transaction (2xx, 4xx, 5xx); raises TypeError for anything else."""
    if not isinstance(reply, Reply) or reply.code // 100 not in {2, 4, 5}:
        raise TypeError("accept must return a final reply")
    return reply


def encode(reply: Reply, *, utf8: bool = False) -> bytes:
    """Return the reply as it goes over the wire: printable lines of at most 512 octets, each ending in CRLF.

    With ``utf8`` (the client said SMTPUTF8, RFC 6531 section 3.7.4.2) the text stays as it is; otherwise letters
    lose their accents and what still is not ASCII becomes ``?``. Control characters become spaces. A reply without
    enhanced code has none on the wire.
    """
    head = f"{reply.code} {reply.enhanced} " if reply.enhanced else f"{reply.code} "
    text = reply.text
    if len(text) <= _LINE_ROOM and text.isascii() and text.isprintable():
        return f"{head}{text}\r\n".encode("ascii")
    more = head.replace(" ", "-", 1)
    *first, last = _fold(_printable(text, utf8=utf8))
    return "".join([*(f"{more}{line}\r\n" for line in first), f"{head}{last}\r\n"]).encode()


def _printable(text: str, *, utf8: bool) -> str:
    if not utf8:
        bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
        text = bare.encode("ascii", "replace").decode("ascii")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _fold(text: str) -> list[str]:
    """Cut text between words where possible, so that no piece is over the room of one line in UTF-8."""
    lines: list[str] = []
    while len(text.encode()) > _LINE_ROOM:
        head = text.encode()[:_LINE_ROOM].decode("utf-8", "ignore")
        head = head[: head.rfind(" ")] if " " in head else head
        lines.append(head)
        text = text[len(head) :].lstrip()
    return [*lines, text]
