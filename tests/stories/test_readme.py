"""The README is run as a newcomer would: the demo, then each command of the tour."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.inbox.app import FOLDER
from tests.demo_inbox import DemoInbox
from tests.reader import Reader

ANNA = "anna.baker@example.org"
JANE = "jane@example.net"
ROOT = Path(__file__).parents[2]
TOUR = re.compile(r"<!-- tour -->\n```sh\n(.*?)```", re.DOTALL)

# The demo has fixed ports: nothing else may use it (the runner keeps one file in one process).
pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The running demo, started as `make run` starts it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo")
    command = Path(sys.executable).parent / "letterlock"
    subprocess.run([command, "init", "--demo"], cwd=folder, check=True, capture_output=True, timeout=60)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen([command, "run"], cwd=folder, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while "Ctrl-C stops it." not in (folder / "output").read_text():
            assert process.poll() is None and time.monotonic() < deadline, (folder / "output").read_text()  # noqa: PT018
            time.sleep(0.1)  # between looks at another process
        yield folder
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0, (folder / "output").read_text()


def _run(demo: Path, script: str) -> str:
    """Run a block of the README in the demo's folder, with the environment that the tour activates."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shutil.copytree(ROOT / "tests" / "mail", demo / "tests" / "mail", dirs_exist_ok=True)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=demo,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_start_says_what_to_do_next(demo: Path) -> None:
    """`letterlock run` prints a swaks line, a Python line and where to look; both lines work."""
    output = (demo / "output").read_text()
    assert "http://127.0.0.1:8025" in output
    for beginning in ("  swaks ", "  python3 -c "):
        [line] = [line for line in output.splitlines() if line.startswith(beginning)]
        _run(demo, line)


def test_the_tour_works_as_written(demo: Path) -> None:
    """Each command of the tour runs and shows what the README promises."""
    commands = TOUR.findall((ROOT / "README.md").read_text())
    assert len(commands) >= 6
    outputs = {command: _run(demo, command) for command in commands}
    said = "\n".join(outputs.values())
    assert "Ok: queued as" in said
    assert said.count("http://127.0.0.1:8080/p/") >= 4
    assert "nhs-numbers" in said
    assert "999 864 1969" not in outputs[next(command for command in commands if "report" in command)]


def test_the_inbox_shows_what_arrived(demo: Path) -> None:
    """Both sides of the demo have their mail: Jane a notice, Anna a receipt."""
    _run(demo, "letterlock demo")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        files = [path.read_bytes() for path in (demo / FOLDER).glob("*.eml")]
        if any(b"Delivered-To: jane@example.net" in one and b"/p/" in one for one in files):
            break
        time.sleep(0.2)  # between looks at another process
    assert any(b"Delivered-To: anna.baker@example.org" in one and b"nhs-numbers" in one for one in files)


@pytest.fixture
def inbox(demo: Path) -> Iterator[DemoInbox]:
    """The demo inbox in a browser."""
    assert demo
    window = DemoInbox("http://127.0.0.1:8025")
    yield window
    window.close()


def _send(demo: Path, subject: str, text: str) -> None:
    """Send one mail from Anna to Jane with the command that the README shows."""
    _run(demo, f"swaks --server 127.0.0.1:2525 --from {ANNA} --to {JANE} --header 'Subject: {subject}' --body '{text}'")


def test_the_conversation_works_as_told(demo: Path, inbox: DemoInbox) -> None:
    """Jane reads and answers, Anna answers her, asks how it stands and takes it back: each from the page that is named."""
    before = inbox.known(ANNA) | inbox.known(JANE)
    _send(demo, "Your blood test", "NHS number 999 864 1969. Please call us.")
    notice = inbox.wait_for(JANE, "A message for you", after=before)
    link = re.search(r"http://127\.0\.0\.1:8080/p/\S+", notice.text)
    assert link
    jane = Reader(link[0])
    jane.ask_for_code()
    jane.enter(Reader.code_in(inbox.wait_for(JANE, "Your code", after=before).text), "Jane")
    assert "Thank you. Your answer was sent." in jane.answer("Dear Anna,\nmay I call on Friday?")

    answer = inbox.wait_for(ANNA, "Re: Your blood test", after=before)
    assert "may I call on Friday?" in answer.text
    read = inbox.known(ANNA) | inbox.known(JANE)
    assert inbox.answer(answer, "Friday is fine.").startswith("The gateway answered: 250")
    inbox.wait_for(JANE, "A message for you", after=read)
    assert "Friday is fine." in jane.look_again()

    receipt = inbox.wait_for(ANNA, "Sealed: Your blood test", after=before)
    inbox.answer(receipt, "status")
    state = inbox.wait_for(ANNA, "Re: Sealed: Your blood test", after=read)
    assert "Read" in state.text
    inbox.answer(receipt, "recall")
    inbox.wait_for(ANNA, "Re: Sealed: Your blood test", after=read | {state.id})
    assert "Friday is fine." not in jane.look_again()
    jane.client.close()


def test_a_held_mail_is_let_go_as_told(demo: Path, inbox: DemoInbox) -> None:
    """[hold] in the subject: Anna is asked, nobody else has anything; she answers "send", and Jane has it."""
    before = inbox.known(ANNA) | inbox.known(JANE)
    _send(demo, "[hold] The offer", "We can do it for less.")
    question = inbox.wait_for(ANNA, "Waits for your answer: [hold] The offer", after=before)
    assert inbox.known(JANE) <= before
    inbox.answer(question, "send")
    assert "for less" in inbox.wait_for(JANE, "The offer", after=before).text
