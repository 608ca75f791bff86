"""Commands about the session: greeting, extensions, TLS, and the small ones that change nothing."""

import re
from abc import abstractmethod
from dataclasses import replace

from relay.smtp import replies
from relay.smtp.authentication import AuthCommand
from relay.smtp.replies import CommandError

# A domain, an address literal, or the odd names that printers and Windows machines give themselves; never
# anything that could break out of a Received field. RFC 5321 section 4.1.4 forbids to refuse more than syntax.
_HELO = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.:\[\]-]{1,255}", re.ASCII)


def no_argument(argument: str) -> None:
    """Refuse an argument where none is allowed (RFC 5321 section 4.3.2)."""
    if argument:
        raise CommandError(replies.NO_ARGUMENT_TAKEN)


class SessionCommands(AuthCommand):
    """EHLO, HELO, STARTTLS, NOOP, VRFY, EXPN, HELP, QUIT; AUTH is below."""

    @abstractmethod
    def forget_transaction(self) -> None:
        """End the mail transaction without a trace."""

    async def smtp_EHLO(self, argument: str) -> None:  # noqa: N802  # aiosmtpd's naming
        """Begin a session with extensions (RFC 5321 section 4.1.1.1)."""
        self._greeted(argument, esmtp=True)
        *lines, last = self.hostname, *self._extensions()
        await self.push("250-" + "\r\n250-".join(lines) + f"\r\n250 {last}")

    async def smtp_HELO(self, argument: str) -> None:  # noqa: N802
        """Begin a session without extensions (RFC 5321 section 4.1.1.1)."""
        self._greeted(argument, esmtp=False)
        await self.push(f"250 {self.hostname}")

    async def smtp_STARTTLS(self, argument: str) -> None:  # noqa: N802
        """Secure the connection; the client must say EHLO again (RFC 3207)."""
        no_argument(argument)
        if self.client.tls_version:
            raise CommandError(replies.TLS_ALREADY)
        if self.door.tls is None:
            raise CommandError(replies.NO_TLS)
        self.forget_transaction()
        self.say(replies.READY_FOR_TLS)
        await self.flush()
        await self.secure(self.door.tls)

    async def smtp_NOOP(self, argument: str) -> None:  # noqa: ARG002, N802
        """Do nothing; an argument is allowed and ignored (RFC 5321 section 4.1.1.9)."""
        self.say(replies.OK)

    async def smtp_VRFY(self, argument: str) -> None:  # noqa: N802
        """Neither confirm nor deny an address (RFC 5321 sections 3.5.3 and 7.3)."""
        if not argument:
            raise CommandError(replies.ARGUMENT_NEEDED)
        self.say(replies.CANNOT_VERIFY)

    async def smtp_EXPN(self, argument: str) -> None:  # noqa: ARG002, N802
        """Refuse to list members (RFC 5321 section 7.3)."""
        raise CommandError(replies.NOT_OFFERED)

    async def smtp_HELP(self, argument: str) -> None:  # noqa: ARG002, N802
        """Name the commands (RFC 5321 section 4.1.1.8)."""
        self.say(replies.HELP)

    async def smtp_QUIT(self, argument: str) -> None:  # noqa: N802
        """End the session (RFC 5321 section 4.1.1.10)."""
        no_argument(argument)
        self.say(replies.BYE)
        self.leave()

    def _greeted(self, argument: str, *, esmtp: bool) -> None:
        if not _HELO.fullmatch(argument):
            raise CommandError(replies.BAD_HELO)
        self.forget_transaction()
        self.session.host_name = argument
        self.session.extended_smtp = esmtp
        self.client = replace(self.client, helo=argument, esmtp=esmtp)

    def _extensions(self) -> tuple[str, ...]:
        """Return what EHLO announces: only what is true for this session now."""
        offered = (
            "PIPELINING",  # RFC 2920
            f"SIZE {self.door.limits.message_size}",  # RFC 1870
            "8BITMIME",  # RFC 6152
            "SMTPUTF8",  # RFC 6531
            "ENHANCEDSTATUSCODES",  # RFC 2034
            "DSN",  # RFC 3461
            "CHUNKING",  # RFC 3030
            f"LIMITS RCPTMAX={self.door.limits.recipients}",  # RFC 9422
        )
        tls = ("STARTTLS",) if self.door.tls and not self.client.tls_version else ()  # RFC 3207 section 4.2
        auth = (" ".join(("AUTH", *self.mechanisms)),) if self.mechanisms else ()  # RFC 4954 section 3
        return (*offered, *tls, *auth, "HELP")
