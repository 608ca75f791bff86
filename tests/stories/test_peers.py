"""Real peers: swaks as a client, Postfix in front of the gateway and behind it."""

import contextlib
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.gateway import Gateway, free_port, running, wait_for_port
from tests.letters import ANNA, JANE, NHS_NUMBER, letter
from tests.postoffice import PostOffice
from tests.reader import Reader
from tests.replies import Answered, reply
from tests.rootless import AS_ROOT, give, remove
from tests.stories.links import link_in
from tests.stories.test_front_door import PASSWORD, with_users

pytestmark = pytest.mark.story

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/lib
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.org
mydestination =
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{next_hop}
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtp_host_lookup = native
smtp_dns_support_level = disabled
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
syslog_name = story-postfix
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
"""


@contextlib.contextmanager
def postfix(next_hop: int, more: str = "") -> Iterator[int]:
    """Run a private Postfix that hands everything to ``next_hop``; yield its port. ``more`` is added to its main.cf.

    Not in a folder of pytest's: a path of a socket has at most 107 octets, and Postfix's own user must be able to pass.
    """
    port, folder = free_port(), Path(mkdtemp(prefix="postfix-", dir="/tmp"))
    folder.chmod(0o711)
    for name in ("etc", "spool", "lib"):
        (folder / name).mkdir()
    (folder / "etc" / "main.cf").write_text(MAIN.format(folder=folder, next_hop=next_hop) + more)
    (folder / "etc" / "master.cf").write_text(MASTER.format(port=port))
    give(folder / "lib", "postfix")
    command = [*AS_ROOT, "/usr/sbin/postfix", "-c", str(folder / "etc")]
    try:
        subprocess.run([*command, "start"], check=True, capture_output=True, timeout=60)
        yield port
    except BaseException:
        subprocess.run([*AS_ROOT, "cat", folder / "log"], check=False, timeout=60)  # shown where a test fails
        raise
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True, timeout=60)
        remove(folder)


def test_swaks_sends_and_is_told_the_queue_id(gateway: Gateway, world: PostOffice) -> None:
    """The line that the start prints works as it stands."""
    command = ["swaks", "--server", f"127.0.0.1:{gateway.smtp}", "--from", ANNA, "--to", JANE, "--body", "Hello"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "250 2.0.0 Ok: queued as" in done.stdout
    [mail] = world.wait_for(JANE)
    assert "Hello" in mail.text


def test_postfix_in_front_of_the_gateway(gateway: Gateway, world: PostOffice) -> None:
    """A mail server of the organisation hands clean and flagged mail over: one is relayed, one sealed.

    Then its queue grows, and it sends group after group of pipelined commands over kept connections.
    """
    with postfix(gateway.smtp, "smtp_destination_concurrency_limit = 2\n") as port:
        for text in ("Hello\n", f"NHS number {NHS_NUMBER}\n"):
            command = ["swaks", "--server", f"127.0.0.1:{port}", "--from", ANNA, "--to", JANE, "--body", text]
            subprocess.run(command, capture_output=True, timeout=60, check=True)
        first, second = world.wait_for(JANE, 2)
        command = ["/usr/sbin/smtp-source", "-s", "5", "-m", "60", "-l", "2000", "-f", ANNA, "-t", JANE]
        subprocess.run([*command, f"127.0.0.1:{port}"], capture_output=True, timeout=120, check=True)
        assert len(world.wait_for(JANE, 62, 60)) == 62
    notice = first if b"/p/" in first.content else second
    assert link_in(notice)
    assert b"Hello" in (second if notice is first else first).content


def test_postfix_behind_the_gateway(tmp_path: Path, world: PostOffice) -> None:
    """Postfix as the smarthost takes what the gateway sends, and delivers it unchanged below the traces."""
    with postfix(world.port) as port:
        home = tmp_path / "gateway"
        home.mkdir()
        with running(Gateway.install(home, port)) as gateway:
            sent = letter(to=[JANE])
            gateway.send(ANNA, [JANE], sent)
            [mail] = world.wait_for(JANE)
    assert mail.content.endswith(sent)


def test_a_flood_from_postfix(gateway: Gateway, world: PostOffice) -> None:
    """Postfix's own load generator, twenty sessions at once, several recipients in each mail: all is taken and sent."""
    command = ["/usr/sbin/smtp-source", "-s", "20", "-m", "200", "-r", "3", "-l", "4000", "-d", "-f", ANNA, "-t", JANE]
    subprocess.run([*command, f"127.0.0.1:{gateway.smtp}"], capture_output=True, timeout=120, check=True)
    for recipient in (JANE, f"2{JANE}", f"3{JANE}"):
        assert len(world.wait_for(recipient, 200, 60)) == 200


def test_postfix_delivers_a_bounce_back(tmp_path: Path, world: PostOffice) -> None:
    """A smarthost that took a notice and could not deliver it reports to us, as a stranger: Anna is told once."""
    world.refusals[JANE] = "550 5.1.1 no such person"
    home = tmp_path / "gateway"
    home.mkdir()
    ours = free_port()
    back = (
        f"transport_maps = inline:{{letter.example.org=smtp:[127.0.0.1]:{ours}}}\nsmtp_bind_address = 127.0.0.3\n"
        "bounce_queue_lifetime = 0\n"
    )
    with postfix(world.port, back) as next_hop:
        gateway = Gateway.install(home, next_hop, trusted="127.0.0.1/32", smtp=ours)
        with running(gateway):
            gateway.send(ANNA, [JANE], letter(to=[JANE], text=f"NHS number {NHS_NUMBER}\n"))
            told = world.wait_for(ANNA, 2)
            [report] = [mail for mail in told if "no such person" in mail.content.decode()]
    assert JANE in report.text
    assert report.reverse_path == ""


def test_postfix_signs_in(tmp_path: Path, world: PostOffice) -> None:
    """Postfix as a client of a listener with users: STARTTLS, AUTH, and its AUTH parameter of MAIL."""
    home = tmp_path / "gateway"
    home.mkdir()
    gateway, users = with_users(home, world.port)
    signing_in = (
        f"smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = inline:{{ {{ [127.0.0.1]:{users} = anna:{PASSWORD} }} }}\n"
        "smtp_sasl_security_options = noanonymous\nsmtp_tls_security_level = encrypt\n"
    )
    with running(gateway), postfix(users, signing_in) as port:
        wait_for_port(users)
        command = ["swaks", "--server", f"127.0.0.1:{port}", "--from", ANNA, "--to", JANE, "--h-From", ANNA]
        subprocess.run(command, capture_output=True, timeout=60, check=True)
        [mail] = world.wait_for(JANE)
    assert " with ESMTPSA id " in " ".join(mail.message["Received"].split())


def test_a_conversation_with_postfix_on_both_sides(
    tmp_path: Path, world: PostOffice, reader: Callable[[str], Reader]
) -> None:
    """Letter, answer, answer and a command by reply: Anna's mail goes through one Postfix, ours through another."""

    def enter(mails: int) -> Reader:
        person = reader(link_in(world.wait_for(JANE, mails)[-1]))
        person.ask_for_code()
        person.enter(Reader.code_in(world.wait_for(JANE, mails + 1)[-1].text))
        return person

    with postfix(world.port) as next_hop:
        home = tmp_path / "gateway"
        home.mkdir()
        gateway = Gateway.install(home, next_hop)
        with running(gateway), postfix(gateway.smtp) as port:

            def send(recipient: str, content: bytes) -> None:
                with smtplib.SMTP("127.0.0.1", port, local_hostname="desk.example.org", timeout=60) as client:
                    assert client.sendmail(ANNA, [recipient], content) == {}

            send(JANE, letter(to=[JANE], text=f"firstword, NHS number {NHS_NUMBER}\n"))
            enter(1).answer("secondword")
            [receipt, answer] = sorted(world.wait_for(ANNA, 2), key=lambda mail: "secondword" in mail.text)
            assert "secondword" in answer.text  # each came through Postfix at its own time
            to_jane = answer.message["From"].addresses[0].addr_spec
            send(to_jane, letter(to=[to_jane], subject="Re: Thursday", text="thirdword\n"))
            page = enter(3).page
            assert [word for word in ("firstword", "secondword", "thirdword") if word not in page] == []
            control = Answered.of(receipt)
            send(control.control, reply("thunderbird-plain", f"recall {JANE}", control))
            assert f"{JANE}: taken back" in world.wait_for(ANNA, 3)[2].text
