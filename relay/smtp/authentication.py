"""AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN, over TLS only."""

import binascii
from abc import abstractmethod
from base64 import b64encode
from dataclasses import replace

import structlog

from relay.config.users import folded
from relay.errors import StoreError
from relay.smtp import replies
from relay.smtp.connection import Connection
from relay.smtp.door import NEVER
from relay.smtp.failures import failure
from relay.smtp.replies import CommandError
from relay.smtp.signing_in import Answer, Credentials
from relay.smtp.values import Reply

MECHANISMS = ("PLAIN", "LOGIN")
_CANCEL = b"*"
_log = structlog.get_logger()


class AuthCommand(Connection):
    """AUTH. Who signs in sends as one of the users of this listener, under the addresses that the user has."""

    @abstractmethod
    async def next_line(self, too_long: Reply = replies.LINE_TOO_LONG) -> bytes:
        """Return the client's next line without its CRLF; waits for it no longer than the client's patience allows.

        CommandError with ``too_long`` for a line that is longer than any may be.
        """

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What EHLO announces: nothing without TLS, and nothing to who has signed in (RFC 4954 section 4)."""
        return MECHANISMS if self.auth_offered and not self.client.authenticated else ()

    @property
    def auth_offered(self) -> bool:
        """Whether a client of this connection may sign in, or could have done so before it did."""
        return self.door.users is not None and self.door.sign_ins is not None and bool(self.client.tls_version)

    async def smtp_AUTH(self, argument: str) -> None:  # noqa: N802  # aiosmtpd's naming
        """Sign in (RFC 4954 section 4)."""
        users, sign_ins = self.door.users, self.door.sign_ins
        if users is None or sign_ins is None:
            raise CommandError(replies.NOT_OFFERED)
        if not self.client.esmtp:
            raise CommandError(replies.HELO_FIRST)
        if not self.client.tls_version:
            raise CommandError(replies.TLS_FIRST)
        if self.client.authenticated or not self.interruptible():
            raise CommandError(replies.AUTH_NOT_NOW)
        mechanism, _, initial = argument.partition(" ")
        if not mechanism:
            raise CommandError(replies.ARGUMENT_NEEDED)
        said = await self._credentials(mechanism.upper() if mechanism.isascii() else "", initial)
        self.deadline = NEVER  # the client waits for us now
        try:
            answer = await sign_ins.attempt(self.client.ip, users, said)
        except StoreError as error:
            raise CommandError(replace(replies.SIGN_IN_UNKNOWN, text=failure(error, **self.who()).text)) from None
        if answer is Answer.WELCOME:
            self.client = replace(self.client, authenticated=folded(said.name))
            self.vouch()
            self.say(replies.SIGNED_IN)
            return
        _log.warning("sign-in-failed", **self.who(), answer=answer.value)
        if answer is Answer.SHUT_OUT:
            raise CommandError(replies.SIGN_IN_LATER)
        if answer is Answer.LAST:
            self.say(replies.BAD_CREDENTIALS)
            self.say(replies.TOO_MANY_SIGN_INS)
            self.leave()
            return
        raise CommandError(replies.BAD_CREDENTIALS)

    async def _credentials(self, mechanism: str, initial: str) -> Credentials:
        match mechanism:
            case "PLAIN":
                return _plain(await self._response("", initial))
            case "LOGIN":
                name = _text(await self._response("Username:", initial))
                return Credentials(name, _text(await self._response("Password:", "")))
        raise CommandError(replies.UNKNOWN_MECHANISM)

    async def _response(self, challenge: str, initial: str) -> bytes:
        """Return the client's answer to a challenge, or its initial response (``=`` stands for an empty one)."""
        if initial:
            return b"" if initial == "=" else _decoded(initial.encode())
        self.say(Reply(334, "", b64encode(challenge.encode()).decode()))
        line = await self.next_line(replies.RESPONSE_TOO_LONG)
        if line == _CANCEL:
            raise CommandError(replies.AUTH_CANCELLED)
        return _decoded(line)


def _decoded(line: bytes) -> bytes:
    try:
        return binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error:
        raise CommandError(replies.BAD_BASE64) from None


def _text(octets: bytes) -> str:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise CommandError(replies.BAD_CREDENTIALS) from None
    if "\0" in text:
        raise CommandError(replies.BAD_CREDENTIALS)
    return text


def _plain(message: bytes) -> Credentials:
    """Read ``[authzid] NUL authcid NUL passwd`` (RFC 4616 section 2): nobody signs in to act for somebody else."""
    parts = message.split(b"\0")
    if len(parts) != 3:  # noqa: PLR2004  # as the RFC says
        raise CommandError(replies.BAD_CREDENTIALS)
    acting_for, name, password = map(_text, parts)
    if acting_for and folded(acting_for) != folded(name):
        raise CommandError(replies.BAD_CREDENTIALS)
    return Credentials(name, password)
