"""Sockets: limits, TLS, deadlines, stopping, and what is logged."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme
import uvloop
from structlog.testing import capture_logs

from relay.smtp.access import Access, Limits, Occupancy
from relay.smtp.certificates import TlsFiles, tls_context
from relay.smtp.listener import Listener
from relay.smtp.strangers import Allowance, Strangers
from relay.smtp.values import Reply
from tests.dialogues.stage import until
from tests.unit.relay.smtp.in_memory import Intake, door

CERTIFICATES = trustme.CA()
LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Run = Callable[[Awaitable[None]], None]


def issue(folder: Path, name: str = "mx.example") -> tuple[Path, Path]:
    issued = CERTIFICATES.issue_cert(name)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    return certificate, key


async def listening(**options: object) -> Listener:
    listener = Listener(door(Intake(), **options), "127.0.0.1", 0)
    await listener.start()
    return listener


async def connect(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", listener.port)


@LOOPS
def test_connections_per_client(run: Run) -> None:
    """One connection more than a client may have hears 421; when one ends there is room again."""

    async def body() -> None:
        listener = await listening(occupancy=Occupancy(per_client=2))
        first, second, third = [await connect(listener) for _ in range(3)]
        assert (await first[0].readline()).startswith(b"220")
        assert (await second[0].readline()).startswith(b"220")
        assert await third[0].read() == b"421 4.7.0 too many connections from your network, try again later\r\n"
        first[1].close()
        await until(lambda: listener.door.occupancy.connections == 1)
        fourth = await connect(listener)
        assert (await fourth[0].readline()).startswith(b"220")
        for _, writer in (second, third, fourth):
            writer.close()
        await listener.stop()

    run(body())


@LOOPS
def test_no_delay(run: Run) -> None:
    """Replies are not held back by Nagle's algorithm (40 ms each)."""

    async def body() -> None:
        listener = await listening()
        reader, writer = await connect(listener)
        await reader.readline()
        (one,) = listener.conversations
        assert one.transport is not None
        server_side = one.transport.get_extra_info("socket")
        assert server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
        await listener.stop()

    run(body())


@LOOPS
def test_workers_share_a_port(run: Run) -> None:
    """With reuse_port a second listener opens the same port; without it, it cannot."""

    async def body() -> None:
        first = Listener(door(Intake()), "127.0.0.1", 0, reuse_port=True)
        await first.start()
        second = Listener(door(Intake()), "127.0.0.1", first.port, reuse_port=True)
        await second.start()
        with pytest.raises(OSError, match="address already in use"):
            await Listener(door(Intake()), "127.0.0.1", first.port).start()
        await first.stop()
        await second.stop()

    run(body())


@LOOPS
def test_a_client_that_does_not_read(run: Run) -> None:
    """Who asks without reading the answers is not buffered without end: first it waits, then it is cut off."""

    async def body() -> None:
        seconds = [0.0]
        listener = await listening(now=lambda: seconds[0], limits=Limits(commands=10**9))
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", listener.port))
        raw.setblocking(False)
        await until(lambda: bool(listener.conversations))
        (one,) = listener.conversations
        sending = asyncio.create_task(_send_for_ever(raw, b"HELP\r\n" * 1000))
        await until(lambda: not one._writable.is_set())
        seconds[0] += 301
        listener.sweep()
        await until(lambda: not listener.conversations)
        sending.cancel()
        raw.close()
        await listener.stop()

    run(body())


async def _send_for_ever(raw: socket.socket, octets: bytes) -> None:
    try:
        while True:
            await asyncio.get_running_loop().sock_sendall(raw, octets)
    except OSError:
        return


def test_a_sweep_goes_on() -> None:
    """A connection that cannot be dismissed is logged and does not keep the sweep from the others."""

    async def body() -> None:
        seconds = [0.0]
        listener = await listening(now=lambda: seconds[0])
        clients = [await connect(listener) for _ in range(3)]
        for reader, _ in clients:
            await reader.readline()
        broken = next(iter(listener.conversations))
        broken.expire = lambda: 1 / 0  # type: ignore[method-assign, assignment]
        seconds[0] += 301
        listener.sweep()
        await until(lambda: listener.conversations == {broken})
        for _, writer in clients:
            writer.close()
        await listener.stop()

    with capture_logs() as logs:
        asyncio.run(body())
    assert [entry["error"] for entry in logs if entry["event"] == "internal-error"] == ["ZeroDivisionError"]


@LOOPS
def test_tls_versions(run: Run, tmp_path: Path) -> None:
    """TLS 1.2 and 1.3 are spoken; a client that knows only 1.1 is refused."""
    context = tls_context(*issue(tmp_path))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2

    async def speak(listener: Listener, version: ssl.TLSVersion) -> str:
        client = ssl.create_default_context()
        CERTIFICATES.configure_trust(client)
        client.set_ciphers("ALL:@SECLEVEL=0")  # or the client itself would refuse to say TLS 1.1
        client.minimum_version = client.maximum_version = version
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", listener.port, ssl=client, server_hostname="mx.example"
        )
        assert (await reader.readline()).startswith(b"220")
        spoken = writer.get_extra_info("ssl_object").version()
        writer.close()
        await writer.wait_closed()
        return str(spoken)

    async def body() -> None:
        listener = await listening(tls=context, tls_at_once=True)
        assert await speak(listener, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        assert await speak(listener, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises(OSError):
            await speak(listener, ssl.TLSVersion.TLSv1_1)
        await listener.stop()

    run(body())


def test_tls_material_must_fit(tmp_path: Path) -> None:
    """A key that does not belong to the certificate is noticed when it is loaded."""
    certificate, _ = issue(tmp_path, "one.example")
    _, key = issue(tmp_path, "two.example")
    with pytest.raises(ssl.SSLError):
        tls_context(certificate, key)
    with pytest.raises(OSError):
        tls_context(tmp_path / "missing.pem", key)


@LOOPS
def test_a_new_certificate_while_running(run: Run, tmp_path: Path) -> None:
    """A certificate whose files were replaced is used from the next handshake on; half a pair changes nothing."""

    async def body() -> None:
        files = TlsFiles(tmp_path / "mx.pem", tmp_path / "mx.key")

        def install(name: str) -> None:
            certificate, key = issue(tmp_path, name)
            certificate.rename(files.certificate)
            key.rename(files.key)

        async def greeted(name: str) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=client, server_hostname=name)
            assert (await reader.readline()).startswith(b"220")
            writer.close()
            await writer.wait_closed()

        install("old.example")
        listener = await listening(tls=files.context(), tls_files=files, tls_at_once=True)
        client = ssl.create_default_context()
        CERTIFICATES.configure_trust(client)
        assert not listener.renew_certificate()
        await greeted("old.example")
        issue(tmp_path, "new.example")[0].rename(files.certificate)  # its key is not there yet
        assert not listener.renew_certificate()
        await greeted("old.example")
        files.certificate.unlink()
        assert not listener.renew_certificate()
        install("new.example")
        assert listener.renew_certificate()
        assert not listener.renew_certificate()
        await greeted("new.example")
        await listener.stop()

    run(body())


@LOOPS
def test_silent_in_the_handshake(run: Run, tmp_path: Path) -> None:
    """Who connects to implicit TLS and says nothing is cut off when the service stops, and counted out."""

    async def body() -> None:
        listener = await listening(tls=tls_context(*issue(tmp_path)), tls_at_once=True)
        reader, writer = await connect(listener)
        await until(lambda: listener.door.occupancy.connections == 1)
        await listener.stop()
        assert listener.door.occupancy.connections == 0
        assert await reader.read() == b""
        writer.close()

    run(body())


@LOOPS
def test_handshakes_that_fail_are_counted(run: Run, tmp_path: Path) -> None:
    """A network of strangers that comes to implicit TLS with anything but a handshake is not listened to for long."""
    said: list[bytes] = []

    async def body() -> None:
        strangers = Strangers(fruitless=Allowance(2, 600))
        tls = tls_context(*issue(tmp_path))
        listener = await listening(access=Access(), tls=tls, tls_at_once=True, strangers=strangers)
        for _ in range(2):
            reader, writer = await connect(listener)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.read()
            writer.close()
            await until(lambda: listener.door.occupancy.connections == 0)
        reader, writer = await connect(listener)
        said.append(await reader.read())
        writer.close()
        await listener.stop()

    with capture_logs() as logs:
        run(body())
    assert said == [b""]
    assert [entry["event"] for entry in logs].count("tls-handshake-failed") == 2
    assert [entry["code"] for entry in logs if entry["event"] == "connection-refused"] == [421]


def test_nobody_waits_for_a_client_that_never_pauses() -> None:
    """While one client's thousands of pipelined commands are obeyed, another one is greeted and answered."""

    async def body() -> None:
        listener = await listening(limits=Limits(recipients=100))
        busy_reader, busy = await connect(listener)
        busy.write(
            b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\n" + b"RCPT TO:<b@there.example>\r\n" * 9000 + b"QUIT\r\n"
        )
        await until(lambda: any(one.inbox.received > 100_000 for one in listener.conversations))
        (first,) = listener.conversations
        reader, writer = await connect(listener)
        writer.write(b"NOOP\r\n")
        assert (await reader.readline()).startswith(b"220 ")
        assert (await reader.readline()).startswith(b"250 ")
        assert not first.ended.done()
        assert (await busy_reader.read()).count(b"\r\n452 4.5.3 ") == 8900
        busy.close()
        writer.close()
        await listener.stop()

    asyncio.run(body())


@LOOPS
def test_a_message_that_is_refused_leaves_a_line(run: Run) -> None:
    """The log has the codes that the client heard, not the words: a rule's reason stands in the audit."""

    async def refuse(*_: object) -> Reply:
        return Reply(550, "5.7.1", "Not accepted: it speaks of canaries")

    async def body() -> None:
        listener = Listener(door(refuse), "127.0.0.1", 0)
        await listener.start()
        reader, writer = await connect(listener)
        writer.write(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@there.example>\r\nDATA\r\n.\r\nQUIT\r\n")
        assert b"550 5.7.1" in await reader.read()
        writer.close()
        await listener.stop()

    with capture_logs() as logs:
        run(body())
    [line] = [entry for entry in logs if entry["event"] == "message-refused"]
    assert (line["code"], line["enhanced"], line["network"]) == (550, "5.7.1", "127.0.0.0/24")
    assert "canaries" not in str(logs)


@LOOPS
def test_logs_hold_no_addresses(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Sessions good and bad leave what was refused in the log, once, but neither a mailbox nor a full client address."""
    caplog.set_level(logging.DEBUG)

    async def body() -> None:
        listener = await listening(access=Access())
        reader, writer = await connect(listener)
        writer.write(b"EHLO c.example\r\nMAIL FROM:<canary@c.example>\r\nRCPT TO:<canary@there.example>\r\n")
        writer.write(b"canary\r\n" * 30)
        assert b"421" in await reader.read()
        writer.close()
        await listener.stop()

    with capture_logs() as logs:
        run(body())
    assert {"too-many-errors", "conversation-ended"} <= {entry["event"] for entry in logs}
    told = [entry["said"] for entry in logs if entry["event"] == "command-refused"]
    assert told == ["you may not send through this server", "command not recognised"]
    logged = str(logs) + caplog.text
    assert "canary" not in logged
    assert "127.0.0.1" not in logged
    assert not logging.getLogger("mail.log").isEnabledFor(logging.CRITICAL)
