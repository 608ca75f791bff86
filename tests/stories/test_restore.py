"""The machine burns down, or its database does: what a backup brings back, and what must not leave twice (R49)."""

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway import Gateway, running
from tests.launcher import launch
from tests.letters import ANNA, JANE, NHS_NUMBER, letter, photograph
from tests.postoffice import PostOffice
from tests.reader import Reader
from tests.stories.links import link_in

pytestmark = pytest.mark.story

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
LATER, AFTER = "later@example.net", "after@example.net"
PHOTOGRAPH = photograph(300 << 10)  # lies beside the database


def commands(heading: str, folder: Path) -> list[list[str]]:
    """Return the first list of commands below a heading of docs/operations.md; media lie in ``folder``."""
    section = OPERATIONS.read_text().split(f"\n## {heading}\n")[1]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found
    lines = re.sub(r"/(media/usb|backup)/", f"{folder}/", found[1]).splitlines()
    return [shlex.split(line.removeprefix("letterlock ")) for line in lines]


@pytest.fixture
def gateway(tmp_path: Path, world: PostOffice) -> Iterator[Gateway]:
    """A gateway of this test's own, which runs."""
    folder = tmp_path / "first"
    folder.mkdir()
    with running(Gateway.install(folder, world.port)) as one:
        yield one


def test_a_backup_on_an_empty_machine_and_beside_a_running_gateway(
    gateway: Gateway, world: PostOffice, reader: Callable[[str], Reader], tmp_path: Path
) -> None:
    """Every sealed message opens by its old link, nothing that left is sent again, and nothing starts by mistake."""
    media = tmp_path / "media"
    media.mkdir()
    gateway.send(ANNA, [JANE], _sealed("The first", [("x-ray.jpg", "image/jpeg", PHOTOGRAPH)]))
    first = link_in(world.wait_for(JANE)[0])
    gateway.send(ANNA, [JANE], _sealed("The second"))
    second = link_in(world.wait_for(JANE, 2)[1])
    world.refusals[LATER] = "451 4.7.1 later"
    gateway.send(ANNA, [LATER], letter(to=[LATER]))
    gateway.until(lambda: _one_waits(gateway))

    for command in commands("Backup", media):
        gateway.letterlock(*command)
    del world.refusals[LATER]
    assert len(world.wait_for(LATER)) == 1, "what left after the backup was made"

    restore, *others, start = commands("Restore", media)
    assert start == ["run"]
    assert "nother process works as supervisor-0" in _refused(gateway, "restore")
    twin = _machine(tmp_path / "second", gateway)
    assert "There are no keys" in _refused(twin, *restore[:1], *restore[3:])
    assert not (twin.folder / "var").exists()
    gateway.kill()

    said = twin.letterlock(*restore)
    assert "2 sealed messages not expired." in said
    assert "1 entry of the queue kept back." in said
    assert "No key here opens 1 of them" in said
    for command in others:
        twin.letterlock(*command)
    with running(twin):
        for link, text in ((first, "The first"), (second, "The second")):
            jane = reader(link)
            mails = len(world.of(JANE))
            jane.ask_for_code()
            page = jane.enter(Reader.code_in(world.wait_for(JANE, mails + 1)[-1].text))
            assert text in page
            if link == first:
                assert jane.download("x-ray.jpg") == PHOTOGRAPH
        twin.send(ANNA, [AFTER], letter(to=[AFTER]))
        world.wait_for(AFTER)
        assert len(world.of(LATER)) == 1
        assert len(world.of(JANE)) == 4, "two notices and two codes"


def test_a_backup_on_the_machine_whose_database_broke(gateway: Gateway, world: PostOffice, tmp_path: Path) -> None:
    """Its epoch keys would open the queue of the backup: nothing starts before that is kept back."""
    world.refusals[LATER] = "451 4.7.1 later"
    gateway.send(ANNA, [LATER], letter(to=[LATER]))
    gateway.until(lambda: _one_waits(gateway))
    _, storage = commands("Backup", tmp_path)
    gateway.letterlock(*storage)
    del world.refusals[LATER]
    world.wait_for(LATER)
    gateway.stop()
    shutil.rmtree(gateway.folder / "var/blobs")
    for file in (gateway.folder / "var").glob("letterlock.db*"):
        file.unlink()

    shutil.copy(tmp_path / Path(storage[-1]).name / "letterlock.db", gateway.folder / "var")  # by hand
    assert "This database is a backup made" in _refused(gateway, "run")
    assert "1 entry of the queue kept back." in gateway.letterlock("restore")
    with running(gateway):
        gateway.send(ANNA, [AFTER], letter(to=[AFTER]))
        world.wait_for(AFTER)
        assert LATER in gateway.letterlock("queue", "list", "--paused")
        assert len(world.of(LATER)) == 1
        gateway.letterlock("queue", "resume", "--to", "example.net")
        world.wait_for(LATER, 2)


def _sealed(text: str, attachments: list[tuple[str, str, bytes]] | None = None) -> bytes:
    return letter(
        to=[JANE], subject=text, text=f"{text}: your NHS number is {NHS_NUMBER}.\n", attachments=attachments or ()
    )


def _one_waits(gateway: Gateway) -> bool:
    """Say whether all notices and receipts have left, and the outcome is recorded."""
    return "1 entry waiting." in gateway.letterlock("queue", "list").splitlines()


def _machine(folder: Path, like: Gateway) -> Gateway:
    """An empty machine with the relay.toml of another."""
    folder.mkdir()
    shutil.copy(like.folder / "relay.toml", folder)
    return Gateway(folder, like.smtp, like.portal)


def _refused(gateway: Gateway, *arguments: str) -> str:
    """Call a command that refuses; return what it says."""
    errors = gateway.folder / "errors"
    errors.write_text("")
    assert launch(arguments, gateway.folder, gateway.folder / "output", errors).wait(60) == 1
    return errors.read_text()
