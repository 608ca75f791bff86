"""The configuration changes while mail is on its way: all of it or nothing, and nobody is cut off (R8)."""

import os
import re
import signal
import smtplib
import ssl
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
import trustme

from tests.gateway import Gateway, running
from tests.letters import ANNA, JANE, letter
from tests.postoffice import PostOffice
from tests.signatures import Receiver
from tests.stories.test_dkim import make_key

pytestmark = pytest.mark.story

PASSWORD = "correct horse battery"
RULE = """
[[rules]]
name = "new-project"
because = "the message names the project that began today"
to = "outside"
when = { keywords = ["project osprey"] }
action = "refuse"
"""


def issue(authority: trustme.CA, folder: Path, name: str) -> None:
    """Put the certificate for a name, and its key, where relay.toml says."""
    issued = authority.issue_cert(name)
    (folder / "mx.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key = folder / "mx.key"
    key.touch(0o600)
    issued.private_key_pem.write_to_path(key)


def add_user(gateway: Gateway, name: str, sender: str) -> None:
    """Add a user as IT does from a script: the password comes through a pipe."""
    program = Path(sys.executable).parent / "letterlock"
    arguments = ["users", "add", name, "--sender", sender]
    subprocess.run([program, *arguments], cwd=gateway.folder, input=f"{PASSWORD}\n", text=True, check=True)


def secured(gateway: Gateway, authority: trustme.CA, name: str) -> smtplib.SMTP:
    """Connect and begin TLS with a server that must prove to be ``name``."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    client = smtplib.SMTP("127.0.0.1", gateway.smtp, local_hostname="desk.example.org", timeout=60)
    client._host = name  # type: ignore[attr-defined]  # smtplib has no other way to say whose certificate it must be
    client.starttls(context=context)
    client.ehlo()
    return client


def hang_up(gateway: Gateway) -> None:
    """Ask the gateway to read its configuration again."""
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)


def change(gateway: Gateway, before: str, after: str) -> None:
    file = gateway.folder / "relay.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def prepared(installed: Gateway, authority: trustme.CA) -> Gateway:
    """A gateway with TLS, a user, a DKIM key and two workers."""
    issue(authority, installed.folder, "old.example.org")
    tls = 'tls = "starttls"\ncertificate = "mx.pem"\nkey = "mx.key"\nusers = "users.toml"\n'
    change(installed, "[route.inside]", f"{tls}\n[route.inside]")
    change(installed, "workers = 1", "workers = 2")
    add_user(installed, "anna", ANNA)
    return installed


def test_a_mistake_changes_nothing(prepared: Gateway, world: PostOffice) -> None:
    """The log says where the mistake is; mail goes on, also through a process that had to start again meanwhile."""
    good = (prepared.folder / "relay.toml").read_text()
    with running(prepared):
        with smtplib.SMTP("127.0.0.1", prepared.smtp, local_hostname="desk.example.org", timeout=60) as client:
            client.sendmail(ANNA, [JANE], letter(to=[JANE]))
            world.wait_for(JANE)

            with (prepared.folder / "relay.toml").open("a") as file:
                file.write(RULE.replace("refuse", "refuze"))
            line = good.count("\n") + RULE[: RULE.index("action")].count("\n") + 1
            prepared.letterlock("check", expect=1)
            hang_up(prepared)
            prepared.until(lambda: f"relay.toml:{line}:" in prepared.log())
            assert "did you mean" in prepared.log()
            client.sendmail(ANNA, [JANE], letter(to=[JANE], text="project osprey\n"))
            world.wait_for(JANE, 2)

            (prepared.folder / "relay.toml").write_text(good.replace("workers = 2", "workers = 3"))
            hang_up(prepared)
            prepared.until(lambda: "gateway.workers cannot change while the gateway runs" in prepared.log())
            (prepared.folder / "relay.toml").write_text("[half a fi")
            client.sendmail(ANNA, [JANE], letter(to=[JANE]))
            world.wait_for(JANE, 3)

        before = set(prepared.worker_ids())
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        prepared.until(lambda: len(set(prepared.worker_ids()) - before) == len(before))
        prepared.until(lambda: _greets(prepared))
        prepared.send(ANNA, [JANE], letter(to=[JANE]))
        world.wait_for(JANE, 4)
        assert "configuration renewed" not in prepared.log()


def _greets(gateway: Gateway) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=5) as client:
            return client.noop()[0] == 250
    except OSError:
        return False


def test_everything_new_while_a_connection_stays(prepared: Gateway, world: PostOffice, authority: trustme.CA) -> None:
    """A new rule, certificate, DKIM key, user and name take effect; who was connected notices only the rule."""
    published = [make_key(prepared, "example.org", "first", "ed25519")]
    with running(prepared):
        with secured(prepared, authority, "old.example.org") as client:
            client.sendmail(ANNA, [JANE], letter(to=[JANE], text="project osprey\n"))
            [first] = world.wait_for(JANE)
            assert Receiver.knowing(published).verified(first.content) == ["first.example.org ed25519-sha256"]
            with secured(prepared, authority, "old.example.org") as unknown, pytest.raises(smtplib.SMTPException):
                unknown.login("jane", PASSWORD)

            issue(authority, prepared.folder, "new.example.org")
            add_user(prepared, "jane", "jane@example.org")
            text = (prepared.folder / "relay.toml").read_text()
            (prepared.folder / "relay.toml").write_text(re.sub(r"\[\[dkim\]\].*", "", text, flags=re.DOTALL))
            published = [make_key(prepared, "example.org", "second", "ed25519")]
            change(prepared, 'name = "Example Council"', 'name = "Example City"')
            with (prepared.folder / "relay.toml").open("a") as file:
                file.write(RULE)
            hang_up(prepared)
            prepared.until(lambda: prepared.log().count("configuration renewed") == 3)  # two relays and the portal

            with pytest.raises(smtplib.SMTPDataError, match="the project that began today"):
                client.sendmail(ANNA, [JANE], letter(to=[JANE], text="project osprey\n"))
            client.sendmail(ANNA, [JANE], letter(to=[JANE]))
            second = world.wait_for(JANE, 2)[1]
            assert Receiver.knowing(published).verified(second.content) == ["second.example.org ed25519-sha256"]

        with secured(prepared, authority, "new.example.org") as client:
            client.login("jane", PASSWORD)
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.sendmail(ANNA, [JANE], letter(to=[JANE]))
            client.sendmail("jane@example.org", [JANE], letter(to=[JANE]).replace(ANNA.encode(), b"jane@example.org"))
            third = world.wait_for(JANE, 3)[2]
            assert re.search(rb"with ESMTPSA\s", third.content)
        page = httpx2.get(f"http://127.0.0.1:{prepared.portal}/").text
        assert "Example City" in page
        assert "Example Council" not in page
