r"""Plays each ``*.smtp`` file against a real listener over a real socket, on asyncio and on uvloop.

# RFC 5321 §4.1.1.4: ...     what the file shows; the first line names the section
@ recipients=2 tls=starttls  the listener (see Stage.open)
C: NOOP                      the client sends a line; lines in a row leave in one write
C| .\r\n\x00                   the same without CRLF added, with escapes
S: 250 2.0.0 *               the server's next line; * is anything
S: ...                       what is left of this reply
C*3: NOOP, S*3: 250 *        three times
! ACTION                     a stage direction: see Stage.directions
= from a@b.example           what was accepted last: see Stage.check
"""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import uvloop

from tests.dialogues import catalogue
from tests.dialogues.stage import Stage, parse

SCRIPTS = sorted(Path(__file__).parent.glob("*.smtp"))
_SOURCE = re.compile(r"# (RFC \d+ §[\d.]+|R\d+)")


@pytest.fixture(scope="module")
def certificates() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_dialogue(script: Path, run: Callable[[object], None], certificates: trustme.CA) -> None:
    """The server says what the script says, and accepts what the script says."""
    options, steps = parse(script.read_text(encoding="utf-8"))

    async def play() -> None:
        stage = Stage(certificates)
        async with asyncio.timeout(20):
            await stage.open(options)
            try:
                await stage.play(steps)
            finally:
                await stage.close()
        assert not stage.listener.conversations
        assert stage.door.occupancy.connections == 0
        assert stage.door.occupancy.memory.left == int(options.get("memory", 1 << 20))

    run(play())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_names_its_source(script: Path) -> None:
    """Each dialogue begins with the standard's section, or our requirement, that it shows."""
    assert _SOURCE.match(script.read_text(encoding="utf-8"))


def test_the_page_lists_them_all() -> None:
    """docs/smtp.md has every dialogue under its standard; `python -m tests.dialogues.catalogue` writes it anew."""
    assert catalogue.PAGE.read_text(encoding="utf-8") == catalogue.kept() + catalogue.written()


def test_there_are_many() -> None:
    """A glob that finds nothing would be a test that never fails."""
    assert len(SCRIPTS) >= 150
