"""Clients that others wrote talk to the front door: smtplib and aiosmtplib, in the clear and over TLS."""

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Coroutine
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import trustme
import uvloop

from relay.smtp.access import Access
from relay.smtp.certificates import tls_context
from relay.smtp.door import Door
from relay.smtp.listener import Listener
from tests.unit.relay.smtp.in_memory import Intake

TEXT = b"Subject: hello\r\n\r\n.dots\r\n..\r\n" + "grüße".encode() + b"\r\n" + b"x" * 2000 + b"\r\n"
Run = Callable[[Coroutine[Any, Any, None]], None]
LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


async def listening(folder: Path, intake: Intake) -> tuple[Listener, ssl.SSLContext]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    door = Door("peers", "localhost", intake, Access((ip_network("127.0.0.0/8"),)), tls=tls_context(certificate, key))
    listener = Listener(door, "127.0.0.1", 0)
    await listener.start()
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return listener, client


@LOOPS
def test_smtplib(run: Run, tmp_path: Path) -> None:
    """Python's smtplib sends over STARTTLS with DSN and SMTPUTF8 options; the octets arrive as they were given."""
    intake = Intake()

    def send(port: int, context: ssl.SSLContext) -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("localhost", port, source_address=("127.0.0.1", 0)) as client:
            client.starttls(context=context)
            client.ehlo()
            assert {"pipelining", "size", "8bitmime", "smtputf8", "dsn", "chunking"} <= set(client.esmtp_features)
            return client.sendmail(
                "a@c.example",
                ["jörg@there.example", "not an address"],
                TEXT,
                mail_options=["SMTPUTF8", "BODY=8BITMIME", "RET=HDRS"],
                rcpt_options=["NOTIFY=FAILURE"],
            )

    async def body() -> None:
        listener, context = await listening(tmp_path, intake)
        refused = await asyncio.to_thread(send, listener.port, context)
        assert refused["not an address"][0] == 501
        await listener.stop()

    run(body())
    ((envelope, content),) = intake.accepted
    assert content == TEXT
    assert [path.address for path in envelope.recipients] == ["jörg@there.example"]
    assert (envelope.ret, envelope.recipients[0].notify) == ("HDRS", ("FAILURE",))


@LOOPS
def test_aiosmtplib(run: Run, tmp_path: Path) -> None:
    """The aiosmtplib client sends several messages over one connection, upgraded with STARTTLS."""
    intake = Intake()

    async def body() -> None:
        listener, context = await listening(tmp_path, intake)
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=listener.port, start_tls=False)
        await client.connect()
        await client.starttls(server_hostname="localhost", tls_context=context)
        for number in range(20):
            await client.sendmail("a@c.example", ["b@there.example"], TEXT + b"%d\r\n" % number)
        await client.quit()
        await listener.stop()

    run(body())
    assert [content for _, content in intake.accepted] == [TEXT + b"%d\r\n" % number for number in range(20)]
