import asyncio
import gc
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from relay import logs


@pytest.fixture
def written() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """Collect what a process logs, as parsed lines."""
    stream = io.StringIO()
    logs.configure(stream=stream, json=True)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


@pytest.mark.parametrize(
    "fact",
    [
        {"recipient": "jane@example.net"},
        {"recipient_address": "jane@example.net"},
        {"subject": "Your referral"},
        {"code": "12345678"},
        {"code": 12345678},
        {"link_secret": "abcdef"},
        {"to": ["jane@example.net"]},
        {"reason": "550 5.1.1 <jane@example.net>: unknown"},
        {"facts": {"sender": "anna@example.org", "note": ["anna@example.org"]}},
        {"data": b"canary"},
        {"url": "https://letter.example.org/p/abcdef234567/s3cr3t-canary"},
    ],
)
def test_personal_data_and_secrets_are_masked(
    written: Callable[[], list[dict[str, object]]], fact: dict[str, object]
) -> None:
    """Whatever a caller hands over by mistake, no address, subject, code or secret is written."""
    structlog.get_logger().info("something happened", **fact)
    line = json.dumps(written())
    for canary in ("jane", "anna@", "referral", "12345678", "abcdef'", "canary"):
        assert canary not in line


def test_what_helps_to_find_a_fault_stays(written: Callable[[], list[dict[str, object]]]) -> None:
    """Identifiers, counts, reply codes and the id in a pickup path are written as they are."""
    structlog.get_logger().info("page served", queue_id="abc", count=3, code=550, path="/p/abcdef234567/s3cr3t")
    [line] = written()
    assert (line["queue_id"], line["count"]) == ("abc", 3)
    assert line["code"] == 550
    assert line["path"] == "/p/abcdef234567/[masked]"


def test_a_library_logs_through_the_same_processors(written: Callable[[], list[dict[str, object]]]) -> None:
    """Records of the logging module are masked too, and only warnings and errors come through."""
    logging.getLogger("some.library").info("peer jane@example.net")
    logging.getLogger("some.library").warning("peer %s said hello", "<jane@example.net>")
    [line] = written()
    assert line["event"] == "peer <[masked]> said hello"


def test_an_exception_is_told_by_kind_and_place_only(written: Callable[[], list[dict[str, object]]]) -> None:
    """The message of an exception may hold content, so only its type and where it came from are written."""
    for logger in (structlog.get_logger(), logging.getLogger("library")):
        try:
            try:
                int("Dear Jane")
            except ValueError as error:
                raise RuntimeError("about Jane") from error
        except RuntimeError:
            logger.exception("could not finish")
    for line in written():
        assert "Jane" not in json.dumps(line)
        assert str(line["exception"]).startswith("RuntimeError at test_logs.py:")
        assert "from ValueError at" in str(line["exception"])


def test_the_same_warning_is_written_once_a_minute() -> None:
    """What is tried again each second says how often it was; other reasons, duties and levels are written at once."""
    now = 0.0
    repeats = logs.Repeats(lambda: now)

    def kept(method: str = "warning", **facts: object) -> object:
        try:
            return repeats(None, method, {"event": "duty not done", **facts}).get("repeated", "written")
        except structlog.DropEvent:
            return "dropped"

    assert [kept(reason="gone", entries=number) for number in range(3)] == ["written", "dropped", "dropped"]
    assert (kept(reason="full"), kept(reason="gone", duty="sweep"), kept()) == ("written", "written", "written")
    assert [kept("info", reason="gone") for _ in range(2)] == ["written", "written"]
    now = 60.0
    assert kept(reason="gone") == 2
    now = 200.0
    assert kept(reason="gone") == "written"


@pytest.fixture
def strays() -> Iterator[None]:
    """Have what nobody catches logged for the test, as in a service."""
    before = threading.excepthook, sys.excepthook, sys.unraisablehook
    logs.catch_strays()
    yield
    threading.excepthook, sys.excepthook, sys.unraisablehook = before


@pytest.mark.usefixtures("strays")
def test_what_nobody_catches_is_told_without_its_text(written: Callable[[], list[dict[str, object]]]) -> None:
    """A task that nobody waits for, a callback, a thread and a destructor: one line each, and no word of the text."""

    def fail(*_arguments: str) -> None:
        raise ValueError("Dear Jane")

    class Fragile:
        def __del__(self) -> None:
            fail()

    async def fail_later() -> None:
        fail()

    async def work() -> None:
        asyncio.get_running_loop().call_soon(fail, "Dear Jane")
        task = asyncio.create_task(fail_later())
        await asyncio.wait([task])

    asyncio.run(work())
    gc.collect()
    thread = threading.Thread(target=fail, name="store-writer")
    thread.start()
    thread.join()
    Fragile()
    lines = written()
    assert "Jane" not in json.dumps(lines)
    assert [(line["event"], line.get("thread")) for line in lines[-2:]] == [
        ("a thread ended by a defect", "store-writer"),
        ("an exception that nobody could be told", None),
    ]
    assert {str(line["event"])[:21] for line in lines[:-2]} == {"Exception in callback", "Task exception was ne"}
    assert {str(line["exception"]).partition(":")[0] for line in lines} == {"ValueError at test_logs.py"}


def test_a_terminal_gets_one_line_without_control_characters() -> None:
    """Line ends and escape sequences in a value cannot forge a line or steer the terminal."""
    stream = io.StringIO()
    logs.configure(stream=stream, json=False)
    structlog.get_logger().warning("refused", reason="no\r\n12:00 info forged \x1b[2J\u202e")
    structlog.reset_defaults()
    assert stream.getvalue().endswith(r"warning refused  reason=no\r\n12:00 info forged \u001b[2J\u202e" + "\n")


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    """On a full disk lines are lost, without an error for whoever logs; then the log says how many."""

    class Disk(io.StringIO):
        full = True

        def flush(self) -> None:
            if self.full:
                self.truncate(0)
                self.seek(0)
                raise OSError(28, "No space left on device")

    disk = Disk()
    logs.configure(stream=disk, json=True)
    try:
        log = structlog.get_logger()
        log.info("accepted")
        log.error("put off")
        logging.getLogger("a.library").warning("its own line")
        disk.full = False
        log.info("delivered")
    finally:
        structlog.reset_defaults()
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    lines = [json.loads(line) for line in disk.getvalue().splitlines()]
    assert [(line["event"], line.get("lines")) for line in lines] == [
        ("delivered", None),
        ("lines of this log could not be written", 2),
    ]
