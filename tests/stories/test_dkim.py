"""Whoever gets mail from the gateway can check that it is genuine: DKIM signatures that verify."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway import Gateway, running
from tests.letters import ANNA, JANE, NHS_NUMBER, letter, photograph
from tests.postoffice import PostOffice
from tests.reader import Reader
from tests.replies import Answered, reply
from tests.signatures import Receiver
from tests.stories.links import link_in

pytestmark = pytest.mark.story

OURS = ["rsa.letter.example.org rsa-sha256", "ed.letter.example.org ed25519-sha256"]
STAFF = ["staff.example.org rsa-sha256"]


def make_key(gateway: Gateway, domain: str, selector: str, kind: str) -> str:
    """Make a key as IT does: publish the record that is printed, put the table that is printed into relay.toml.

    Return the line of the zone file.
    """
    printed = gateway.letterlock("keys", "dkim", domain, selector, "--type", kind)
    [record] = re.findall(r"^  (\S+ IN TXT .*)$", printed, re.MULTILINE)
    table = re.sub(r"^  ", "", printed[printed.index("  [[dkim]]") :], flags=re.MULTILINE)
    with (gateway.folder / "relay.toml").open("a") as configuration:
        configuration.write(f"\n{table}")
    return str(record)


def warnings(gateway: Gateway) -> str:
    """What `letterlock check` finds doubtful."""
    return "\n".join(json.loads(gateway.letterlock("check", "--json"))["warnings"])


def test_everything_that_leaves_is_signed(
    installed: Gateway, world: PostOffice, reader: Callable[[str], Reader]
) -> None:
    """Letters, notices, codes, receipts, readers' answers, answers to commands and reports verify as published."""
    assert "no [[dkim]] key" in warnings(installed)
    receiver = Receiver.knowing(
        [
            make_key(installed, "letter.example.org", "rsa", "rsa"),
            make_key(installed, "letter.example.org", "ed", "ed25519"),
            make_key(installed, "example.org", "staff", "rsa"),
        ]
    )
    assert "dkim" not in warnings(installed)
    with running(installed):
        sent = letter(to=[JANE], attachments=[("view.png", "image/png", photograph(3 << 20))])
        installed.send(ANNA, [JANE], sent)
        [clean] = world.wait_for(JANE)
        assert clean.content.endswith(sent)
        assert receiver.verified(clean.content) == STAFF

        installed.send(ANNA, [JANE], letter(to=[JANE], text=f"NHS number {NHS_NUMBER}\n"))
        notice = world.wait_for(JANE, 2)[1]
        assert receiver.verified(notice.content) == OURS
        jane = reader(link_in(notice))
        jane.ask_for_code()
        code = world.wait_for(JANE, 3)[2]
        assert receiver.verified(code.content) == OURS
        [receipt] = world.wait_for(ANNA)
        assert receiver.verified(receipt.content) == OURS

        jane.enter(Reader.code_in(code.text))
        jane.answer("Thank you ✓", files=[("résumé.txt", b"x" * 2000)])
        answer = world.wait_for(ANNA, 2)[1]
        assert receiver.verified(answer.content) == OURS
        to_jane = answer.message["From"].addresses[0].addr_spec
        assert to_jane.startswith("r.")
        installed.send(ANNA, [to_jane], letter(to=[to_jane]))
        assert receiver.verified(world.wait_for(JANE, 4)[3].content) == OURS
        asked = Answered.of(receipt)
        installed.send(ANNA, [asked.control], reply("outlook-desktop", "status", asked))
        told = world.wait_for(ANNA, 3)[2]
        assert told.message["Auto-Submitted"] == "auto-replied"
        assert receiver.verified(told.content) == OURS

        world.refusals[JANE] = "550 5.1.1 nobody of that name here"
        installed.send(ANNA, [JANE], letter(to=[JANE]))
        report = world.wait_for(ANNA, 4)[3]
        assert report.message.get_content_type() == "multipart/report"
        assert receiver.verified(report.content) == OURS


def test_a_signature_that_is_there_is_kept(installed: Gateway, world: PostOffice) -> None:
    """A letter that another server of the organisation signed is relayed as it is."""
    make_key(installed, "example.org", "staff", "ed25519")
    signed = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=exchange;\r\n h=from; bh=AAAA; b=AAAA\r\n"
    sent = signed + letter(to=[JANE])
    with running(installed):
        installed.send(ANNA, [JANE], sent)
        [mail] = world.wait_for(JANE)
    assert mail.content.endswith(sent)
    assert Receiver.signatures(mail.content) == 1


def test_a_key_that_cannot_be_read_stops_the_start(installed: Gateway) -> None:
    """Nothing ever leaves unsigned because a key file was lost: the gateway says what is missing and does not start."""
    make_key(installed, "example.org", "staff", "ed25519")
    Path(installed.folder / "var/keys/dkim/example.org.staff.pem").unlink()
    said = installed.letterlock("run", expect=1)
    assert "there is no file var/keys/dkim/example.org.staff.pem" in said, said
