"""The stage for dialogues: parses a script, opens a listener, plays the client, checks what the server says."""

import ast
import asyncio
import contextlib
import re
import ssl
import struct
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from itertools import groupby
from socket import SO_LINGER, SOL_SOCKET

import pytest
import trustme
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from relay.config.users import User
from relay.errors import StoreError
from relay.smtp.access import Access, Limits, Occupancy
from relay.smtp.connection import Connection
from relay.smtp.door import Door
from relay.smtp.listener import Listener
from relay.smtp.overflow import OnDisk
from relay.smtp.own_addresses import OwnAddresses
from relay.smtp.signing_in import SignIns
from relay.smtp.strangers import Allowance, Strangers
from relay.smtp.tenants import Tenant
from relay.smtp.values import ClientFacts, Reply, SmtpEnvelope

_SPOKEN = re.compile(r"([CS])(?:\*(\d+))?([:|])(?: (.*))?")

# Anna's password is "correct horse battery", hashed at no cost worth speaking of.
_HASH = Argon2id(salt=b"saltsaltsaltsalt", length=32, iterations=1, lanes=1, memory_cost=8)
_SENDERS = ("anna.baker@staff.example", "jörg@staff.example", "desk.example")
USERS = {"anna": User("anna", _HASH.derive_phc_encoded(b"correct horse battery"), _SENDERS)}

Step = tuple[str, str]  # a mark (C, S, !, =) and what belongs to it; raw octets are kept as latin-1


def parse(text: str) -> tuple[dict[str, str], list[Step]]:
    """Return the listener's options and the steps of a script."""
    options: dict[str, str] = {}
    steps: list[Step] = []
    for line in text.splitlines():
        spoken = _SPOKEN.fullmatch(line)
        if spoken:
            said = spoken[4] or ""
            if spoken[3] == "|":
                said = ast.literal_eval(f'"{said}"')
            elif spoken[1] == "C":
                said = (said + "\r\n").encode().decode("latin-1")
            steps += [(spoken[1], said)] * int(spoken[2] or 1)
        elif line.startswith("@"):
            options |= dict(pair.split("=", 1) for pair in line[1:].split())
        elif line.startswith(("!", "=")):
            steps.append((line[0], line[1:].strip()))
        elif line and not line.startswith("#"):
            raise ValueError(f"cannot read {line!r}")
    return options, steps


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    await asyncio.sleep(0)
    while not condition():  # noqa: ASYNC110  # nothing sleeps, and the server has no event for every step
        await asyncio.sleep(0)


class FewFailures:
    """Counts failures to sign in as `relay.smtp.failed_sign_ins` does (five in 300 s), without a database."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.broken = False
        self._failed: dict[str, list[float]] = {}

    def forget(self) -> None:
        self._failed.clear()

    def shut_out(self, client: str) -> bool:
        if self.broken:
            raise StoreError("/var/secret/path")
        self._failed[client] = [at for at in self._failed.get(client, []) if self.now() - at < 300]
        return len(self._failed[client]) >= 5

    def add(self, client: str) -> int | None:
        if self.shut_out(client):
            return None
        self._failed[client].append(self.now())
        return 5 - len(self._failed[client])


class Stage:
    """One listener, one client, an intake that records, and a clock that moves only when told."""

    def __init__(self, certificates: trustme.CA) -> None:
        self.certificates = certificates
        self.seconds = 1000.0
        self.failures = FewFailures(lambda: self.seconds)
        self.accepted: list[tuple[SmtpEnvelope, bytes, ClientFacts]] = []
        self.answer: Reply | Exception = Reply(250, "2.6.0", "queued")
        self.gate = asyncio.Event()
        self.gate.set()
        self.sent = 0
        self.split = 0

    async def accept(self, envelope: SmtpEnvelope, content: bytes | OnDisk, client: ClientFacts) -> Reply:
        await self.gate.wait()
        assert isinstance(content, bytes)
        self.accepted.append((envelope, content, client))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def open(self, options: dict[str, str]) -> None:
        """Start the listener and connect."""
        trusted = options.get("trusted", "127.0.0.0/8")
        tls = options.get("tls", "none")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificates.issue_cert("mx.example").configure_cert(context)
        tenants: tuple[Tenant, ...] = ()
        if "tenant" in options:
            context.verify_mode = ssl.CERT_OPTIONAL
            self.certificates.configure_trust(context)
            tenants = (Tenant(options["tenant"], frozenset({"staff.example"})),)
        self.door = Door(
            name="dialogue",
            hostname="mx.example",
            accept=self.accept,
            # The only genuine bounce address is the one that is all zeros; what proves real ones is tested elsewhere.
            access=Access(
                () if trusted == "nobody" else (ip_network(trusted),),
                tenants,
                (ip_network(options["proxy"]),) if "proxy" in options else (),
                own=OwnAddresses("own.example", lambda address: not any(address.secret)),
            ),
            users=USERS if "users" in options else None,
            sign_ins=SignIns(self.failures),
            occupancy=Occupancy(
                connections=int(options.get("connections", 64)), memory=int(options.get("memory", 1 << 20))
            ),
            strangers=Strangers(
                messages=Allowance(int(options.get("strangers", 100)), 600),
                fruitless=Allowance(int(options.get("fruitless", 100)), 600),
                now=lambda: self.seconds,
            ),
            limits=Limits(
                message_size=int(options.get("size", 10_000)),
                strangers_size=int(options.get("strangers-size", 10_000)),
                recipients=int(options.get("recipients", 100)),
                errors=int(options.get("errors", 20)),
                commands=int(options.get("commands", 100)),
            ),
            tls=None if tls == "none" else context,
            tls_at_once=tls == "implicit",
            now=lambda: self.seconds,
        )
        self.listener = Listener(self.door, "127.0.0.1", 0)
        await self.listener.start()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.listener.port)
        if options.get("connections") != "0" and tls != "implicit":
            await until(lambda: bool(self.listener.conversations))

    async def close(self) -> None:
        self.gate.set()
        self.writer.transport.abort()
        await self.listener.stop(grace=5)

    async def play(self, steps: list[Step]) -> None:
        for mark, group in groupby(steps, key=lambda step: step[0]):
            said = [what for _, what in group]
            if mark == "C":
                await self.send("".join(said).encode("latin-1"))
            for what in said:
                if mark == "S":
                    await self.expect(what)
                elif mark == "!":
                    name, _, argument = what.partition(" ")
                    await self.directions[name](self, argument)
                elif mark == "=":
                    await self.check(*what.split(" ", 1))

    async def send(self, octets: bytes) -> None:
        for start in range(0, len(octets), self.split or len(octets)):
            piece = octets[start : start + self.split] if self.split else octets
            self.writer.write(piece)
            self.sent += len(piece)
            if self.split:
                await self.settle()

    async def expect(self, pattern: str) -> None:
        if pattern == "...":
            while (await self.line())[3:4] == "-":
                pass
            return
        line = await self.line()
        assert re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), line), f"{line!r} is not {pattern!r}"

    async def line(self) -> str:
        line = await self.reader.readline()
        assert line.endswith(b"\r\n"), f"closed instead of a reply: {line!r}"
        assert len(line) <= 512
        return line[:-2].decode()

    @property
    def conversation(self) -> Connection | None:
        return next(iter(self.listener.conversations), None)

    async def settle(self, _argument: str = "") -> None:
        """Wait until the server has used all that was sent and waits for more (or has left, or is judging)."""
        await until(self._settled)

    def _settled(self) -> bool:
        one = self.conversation
        if one is None or one.leaving or one._shaking_hands:
            return True
        return one.inbox.received == self.sent and (one.inbox.waiting or self.judging)

    @property
    def judging(self) -> bool:
        return self.conversation is not None and not self.conversation.interruptible(transactions_too=True)

    async def half_close(self, _argument: str) -> None:
        self.writer.write_eof()

    async def drop(self, _argument: str) -> None:
        """Leave with a reset, so that the server knows at once that nobody reads any more."""
        await self.settle()
        socket = self.writer.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        await until(lambda: self.conversation is None or self.conversation.leaving)

    async def tls(self, name: str) -> None:
        """Shake hands; with a client certificate for ``name`` where one is given."""
        context = ssl.create_default_context()
        self.certificates.configure_trust(context)
        if name:
            self.certificates.issue_cert(name).configure_cert(context)
        await self.writer.start_tls(context, server_hostname="mx.example")
        await until(lambda: self.conversation is not None)

    async def wait(self, seconds: str) -> None:
        await self.settle()
        self.seconds += float(seconds)
        self.listener.sweep()

    async def set_split(self, octets: str) -> None:
        self.split = int(octets)

    async def silence(self, _argument: str) -> None:
        await self.settle()
        for _ in range(20):  # turns of the loop in which a reply would come
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await self.reader.read(1)

    async def closed(self, _argument: str) -> None:
        with contextlib.suppress(ConnectionResetError):
            assert await self.reader.read() == b""

    async def again(self, _argument: str) -> None:
        """Come back on a new connection."""
        self.writer.transport.abort()
        self.sent = 0
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.listener.port)

    async def users_gone(self, _argument: str) -> None:
        self.door.users = {}

    async def no_database(self, _argument: str) -> None:
        self.failures.broken = True

    async def set_answer(self, reply: str) -> None:
        code, enhanced, text = reply.split(" ", 2)
        self.answer = Reply(int(code), enhanced, text)

    async def fail(self, text: str) -> None:
        self.answer = OSError(28, text)

    async def hold(self, _argument: str) -> None:
        self.gate.clear()

    async def release(self, _argument: str) -> None:
        self.gate.set()

    async def shut_down(self, _argument: str) -> None:
        await self.settle()
        self.stopping = asyncio.create_task(self.listener.stop(grace=600))
        await until(lambda: self.door.stopping)

    directions: dict[str, Callable[["Stage", str], Awaitable[None]]] = {  # noqa: RUF012
        "half-close": half_close,
        "drop": drop,
        "tls": tls,
        "wait": wait,  # seconds on the server's clock
        "settle": settle,
        "split": set_split,  # octets per write, each read by the server before the next
        "silence": silence,  # nothing more was said
        "closed": closed,
        "again": again,
        "users-gone": users_gone,  # no user is left in the file
        "no-database": no_database,  # nobody knows who failed to sign in
        "answer": set_answer,  # of the intake
        "fail": fail,  # the intake raises OSError with this text
        "hold": hold,  # the intake waits
        "release": release,
        "shut-down": shut_down,
    }

    async def check(self, what: str, expected: str = "") -> None:
        """Compare the last accepted message: from, to, content, accepted (how many), or a field of either value."""
        if what == "accepted":
            await self.settle()
            assert len(self.accepted) == int(expected)
            return
        await until(lambda: bool(self.accepted))
        envelope, content, client = self.accepted[-1]
        found = {
            "from": envelope.reverse_path,
            "to": " ".join(path.address for path in envelope.recipients),
            "notify": " ".join(",".join(path.notify) or "-" for path in envelope.recipients),
            "orcpt": " ".join(path.orcpt or "-" for path in envelope.recipients),
            "content": content,
        }
        if what == "content":
            assert content == ast.literal_eval(f'b"{expected}"')
        elif what in found:
            assert found[what] == expected
        else:
            assert str(getattr(envelope if hasattr(envelope, what) else client, what)) == expected
