"""How a connection to a next hop begins: TCP, greeting, EHLO, STARTTLS (RFC 5321 sections 3.1, 3.2; RFC 3207)."""

import asyncio
import ssl
from dataclasses import dataclass, replace

from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.response import SMTPResponse

from relay.fail_points import reached
from relay.queue.dialogue import Dialogue
from relay.queue.exchangers import Hop
from relay.queue.outcomes import Answer, local_answer, remote_answer
from relay.queue.patience import Patience
from relay.queue.routes import Protection, TlsMode
from relay.queue.session import Session, Unusable

READY = 220


class Contexts:
    """The TLS contexts of the client side. ``verifying`` None: the system's certificate authorities."""

    def __init__(self, verifying: ssl.SSLContext | None = None) -> None:
        self._verifying = verifying or ssl.create_default_context()
        self._trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trusting.check_hostname = False
        self._trusting.verify_mode = ssl.CERT_NONE
        for context in (self._verifying, self._trusting):
            context.minimum_version = ssl.TLSVersion.TLSv1_2

    def context_for(self, protection: Protection) -> ssl.SSLContext:
        """Return the context for one connection; OSError (ssl.SSLError too) when the authorities cannot be read.

        A partner's authorities are read anew each time: a file that was replaced counts from the next connection on.
        """
        if protection.tls is not TlsMode.REQUIRED:
            return self._trusting
        if protection.authorities is None:
            return self._verifying
        context = ssl.create_default_context(cafile=str(protection.authorities))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to every next hop: our name in EHLO (ASCII), our time limits, our TLS contexts."""

    ehlo_name: str
    patience: Patience
    contexts: Contexts


async def open_session(hop: Hop, protection: Protection, client: Client) -> Session | Unusable:
    """Connect, greet, and protect the connection as the route asks. Never raises."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(client.patience.connect):
            _, dialogue = await loop.create_connection(lambda: Dialogue(loop), hop.host, hop.port)
    except (OSError, TimeoutError) as error:
        why = "timed out" if isinstance(error, TimeoutError) else (error.strerror or type(error).__name__)
        return Unusable(local_answer("4.4.1", f"no connection: {why}", str(hop)))
    reached("delivery: connected")
    session = Session(hop, dialogue, client.patience)
    try:
        problem = (
            await _greeted(session, dialogue, client)
            or await _hello(session, dialogue, client)
            or await _protected(session, dialogue, protection, client)
        )
    except BaseException:
        session.drop()
        raise
    if problem is None:
        reached("delivery: greeted")
        return session
    session.drop()
    return Unusable(problem)


async def _greeted(session: Session, dialogue: Dialogue, client: Client) -> Answer | None:
    greeting = await dialogue.greeting(client.patience.greeting)
    if greeting is None:
        return local_answer("4.4.2", dialogue.fault, str(session.hop))
    if greeting.code != READY:
        return _for_now(session, greeting)
    return None


async def _hello(session: Session, dialogue: Dialogue, client: Client) -> Answer | None:
    """Say EHLO, or HELO to who does not know it (RFC 5321 section 3.2); return what stood in the way."""
    session.extensions = {}
    for verb in (b"EHLO ", b"HELO "):
        replies = await dialogue.exchange(verb + client.ehlo_name.encode("ascii"), seconds=client.patience.command)
        if not replies:
            return local_answer("4.4.2", dialogue.fault, str(session.hop), session.tls)
        if replies[0].code // 100 == 2:  # noqa: PLR2004
            if verb == b"EHLO ":
                session.extensions = parse_esmtp_extensions(replies[0].message)[0]
            return None
        if replies[0].code // 100 != 5:  # noqa: PLR2004  # only "command unknown" is a reason to try HELO
            break
    return _for_now(session, replies[0])


async def _protected(session: Session, dialogue: Dialogue, protection: Protection, client: Client) -> Answer | None:
    """Take STARTTLS as the route asks; return what stood in the way."""
    hop, tls = str(session.hop), protection.tls
    if tls is TlsMode.NONE or (tls is TlsMode.OPPORTUNISTIC and "starttls" not in session.extensions):
        return None
    if "starttls" not in session.extensions:
        return local_answer("4.7.4", "the next hop does not offer STARTTLS, which this route requires", hop)
    try:
        context = client.contexts.context_for(protection)
    except OSError:
        return local_answer("4.7.5", "the file of this route's certificate authorities cannot be read", hop)
    declined = await dialogue.secure(context, protection.certificate or session.hop.host, client.patience.command)
    if declined is not None:
        return _for_now(session, declined)
    if dialogue.fault:
        return local_answer("4.7.5", dialogue.fault, hop)
    session.tls = _tls_words(dialogue, verified=tls is TlsMode.REQUIRED)
    # RFC 3207 section 4.2: what was said in clear counts no more.
    return await _hello(session, dialogue, client)


def _for_now(session: Session, reply: SMTPResponse) -> Answer:
    """Return a refusal of the whole connection as temporary.

    554 in a greeting speaks of us or of a fault over there, never of the one message that happens to be next.
    """
    answer = remote_answer(reply.code, reply.message, str(session.hop), session.tls)
    return replace(answer, enhanced="4" + answer.enhanced[1:])


def _tls_words(dialogue: Dialogue, *, verified: bool) -> str:
    transport = dialogue.transport
    cipher = transport.get_extra_info("cipher") if transport is not None else None
    name, version = (cipher[0], cipher[1]) if cipher else ("", "")
    return f"{version} {name} ({'verified' if verified else 'not verified'})"
