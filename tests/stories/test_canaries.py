"""No subject, body, file name, code or link is readable on disk."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.letters import ANNA, JANE, NHS_NUMBER, XLSX, letter, spreadsheet
from tests.postoffice import PostOffice
from tests.reader import Reader
from tests.stories.links import link_in

pytestmark = pytest.mark.story

BODY = "canaryq7body wears yellow feathers"
SUBJECT = "canaryq7subject sings"
FILE_NAME = "canaryq7file.xlsx"
CELL = "canaryq7cell"


def _spellings(secret: str) -> Iterator[bytes]:
    """How a secret could lie on disk: as it is, in UTF-16, in base64 at each of the three offsets, in hex."""
    yield secret.encode()
    yield secret.encode("utf-16-le")
    yield secret.encode("utf-16-be")
    yield secret.encode().hex().encode()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret.encode())
        yield encoded[4 if offset else 0 : -4]


def _finds(folder: Path, secrets: dict[str, str]) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found += [
                f"{name} in {path.name}"
                for name, secret in secrets.items()
                if any(spelling in content for spelling in _spellings(secret))
            ]
    return found


def test_canaries_are_found_nowhere(gateway: Gateway, world: PostOffice, reader: Callable[[str], Reader]) -> None:
    """A sealed and a waiting clean message are on disk; a reader asks for a code and reads: no canary shows."""
    world.refusals["later@example.net"] = "451 4.7.1 later"
    sheet = spreadsheet([[CELL, NHS_NUMBER]])
    sealed = letter(
        to=[JANE], subject=SUBJECT, text=f"{BODY}\nNHS number {NHS_NUMBER}\n", attachments=[(FILE_NAME, XLSX, sheet)]
    )
    gateway.send(ANNA, [JANE], sealed)
    large = letter(to=["later@example.net"], subject=SUBJECT, text=f"{BODY}\n" * 20_000)
    gateway.send(ANNA, ["later@example.net"], large)

    link = link_in(world.wait_for(JANE)[0])
    jane = reader(link)
    jane.ask_for_code()
    code_mail = world.wait_for(JANE, 2)[1]
    code = Reader.code_in(code_mail.text)

    secrets = {
        "subject": SUBJECT,
        "body": BODY,
        "file name": FILE_NAME,
        "cell": CELL,
        "link": link.rsplit("/", 1)[1],
    }
    watched = [gateway.folder / "var", gateway.folder / "log"]
    assert [find for place in watched for find in _finds_in(place, secrets | {"code": code})] == []
    assert SUBJECT in jane.enter(code)
    assert [find for place in watched for find in _finds_in(place, secrets)] == []
    gateway.stop()
    assert _finds_in(gateway.folder / "var", secrets) == []


def _finds_in(place: Path, secrets: dict[str, str]) -> list[str]:
    if place.is_dir():
        return _finds(place, secrets)
    content = place.read_bytes()
    return [name for name, secret in secrets.items() if any(spelling in content for spelling in _spellings(secret))]
