import gzip
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.clock import monotonic
from relay.message.extraction import Extracted, Extractor
from relay.message.extraction.__main__ import answer_to
from relay.message.extraction.extractor import CLOSED, DIED, LATE, UNCONFINED
from relay.message.extraction.frames import MAX_FRAME, length_of, pack, unpack
from relay.message.extraction.helper import Helper, HelperDiedError, HelperLateError
from relay.message.parts import Part

SECONDS = 60.0


def _part(data: bytes, name: str = "a.txt", type_: str = "text/plain") -> Part:
    return Part("attachment", name, name, type_, data)


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    """A pool of one helper, shared by tests that leave it alive."""
    pool = Extractor(1)
    pool.start()
    yield pool
    pool.close()


def _one(pool: Extractor, part: Part, seconds: float = SECONDS) -> Extracted:
    (result,) = pool.extract([part], seconds)
    return result


def test_attachments_are_read_in_their_order(extractor: Extractor) -> None:
    """One answer for each part; a picture needs no helper."""
    answers = extractor.extract(
        [_part(b"one"), _part(b"\x89PNG\r\n\x1a\n"), _part(gzip.compress(b"three"), "a.gz")], SECONDS
    )
    assert [[text.text for text in answer.texts] for answer in answers] == [["one"], [], ["three"]]
    assert [answer.problem for answer in answers] == ["", "", ""]
    assert answers[2].members == (("a", 5),)


def test_a_killed_helper_is_a_problem_and_the_next_document_works(extractor: Extractor) -> None:
    """Death between two documents costs the next one at most, and never raises."""
    assert _one(extractor, _part(b"one")).problem == ""
    os.kill(extractor.pids[0], signal.SIGKILL)
    assert _one(extractor, _part(b"two")).problem == DIED
    assert _one(extractor, _part(b"three")).texts[0].text == "three"


def test_a_helper_that_hangs_is_killed_in_time(extractor: Extractor) -> None:
    """A stopped process is not waited for; its successor works."""
    assert _one(extractor, _part(b"one")).problem == ""
    [stopped] = extractor.pids
    os.kill(stopped, signal.SIGSTOP)
    assert _one(extractor, _part(b"two"), 0.5).problem == LATE
    assert stopped not in extractor.pids
    assert _one(extractor, _part(b"three")).texts[0].text == "three"


def test_all_attachments_share_the_time(extractor: Extractor) -> None:
    """What does not fit is a problem each, without an exception."""
    assert {answer.problem for answer in extractor.extract([_part(b"x")] * 3, -1.0)} == {LATE}


def test_threads_take_turns(extractor: Extractor) -> None:
    """Many callers share few helpers and get their own answers."""
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = _one(extractor, _part(b"number %d" % number)).texts[0].text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"number {number}" for number in range(12)}


def test_memory_is_limited(extractor: Extractor) -> None:
    """A document that wants more memory than is allowed is a problem; the relay's own memory is not touched."""
    assert "judged" in _one(extractor, _part(b"x" * 40_000_000)).problem
    assert _one(extractor, _part(b"next")).problem == ""


def test_a_closed_pool_answers_at_once() -> None:
    """Whoever still asks gets a problem, and no helper is left behind."""
    pool = Extractor(1)
    pool.start()
    (pid,) = pool.pids
    pool.close()
    assert _one(pool, _part(b"x"), 5).problem in {CLOSED, DIED}
    assert not Path(f"/proc/{pid}").exists()


def test_a_pool_that_was_never_started_answers_at_once() -> None:
    """The same for one that was not started."""
    assert _one(Extractor(1), _part(b"x"), 0.01).problem == CLOSED


def test_a_helper_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and proxies in the relay's environment stay there."""
    monkeypatch.setenv("LETTERLOCK_CANARY", "secret")
    show = "import os, sys; from relay.message.extraction.frames import pack; sys.stdout.buffer.write(pack(dict(os.environ)))"
    helper = Helper(program=(sys.executable, "-I", "-c", show))
    try:
        assert not {name for name in helper.greeting(monotonic() + SECONDS) if "CANARY" in name}
    finally:
        helper.end()


def test_frames_are_refused_when_they_make_no_sense() -> None:
    """Both sides check lengths and shapes."""
    assert unpack(pack({"a": "\ud800"})[4:]) == {"a": "?"}
    with pytest.raises(ValueError):
        length_of((MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(ValueError):
        unpack(b"[]")


class _Impostor(Helper):
    """A helper that answers whatever it is told to, as one that was taken over could."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(
            program=(
                sys.executable,
                "-I",
                "-c",
                f"import sys; sys.stdout.buffer.write({answer!r}); sys.stdout.flush(); sys.stdin.read()",
            )
        )


@pytest.mark.parametrize("answer", [b"\xff\xff\xff\xff", b"\0\0\0\x02[]", b"\0\0\0\x02{", b"\0\0\0\x05{oops", b""])
def test_an_answer_without_sense_is_a_death(answer: bytes) -> None:
    """Lengths, JSON and its shape are not believed."""
    helper = _Impostor(answer)
    try:
        with pytest.raises((HelperDiedError, HelperLateError)):
            helper.ask({"size": 1}, b"x", monotonic() + 1)
    finally:
        helper.end()


GREETING = """
import sys
from relay.message.extraction.frames import *
out = sys.stdout.buffer
out.write(pack({"barred": False, "refused": ["namespaces"]}))
out.flush()
request = unpack(sys.stdin.buffer.read(length_of(sys.stdin.buffer.read(4))))
out.write(pack({"texts": [["a", "read"]], "members": [], "problem": "", "encrypted": False, "last": True}))
"""


@pytest.mark.parametrize(("required", "problem"), [(True, UNCONFINED), (False, "")])
def test_without_confinement_nothing_is_opened(required: bool, problem: str) -> None:
    """Unless somebody decided otherwise; what was refused is told in either case."""
    pool = Extractor(1, require_confinement=required, program=(sys.executable, "-I", "-c", GREETING))
    pool.start()
    try:
        assert _one(pool, _part(b"x")).problem == problem
        assert pool.refused == ("namespaces",)
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("fault", "problem"),
    [(MemoryError, "more memory"), (RecursionError, "could not be read"), (KeyError, "could not be read")],
)
def test_a_fault_in_a_parser_is_a_fact_about_the_document(fault: type[Exception], problem: str) -> None:
    """The helper says so and ends, because nobody knows what state it is in."""

    class Broken:
        @staticmethod
        def read_document(*_: object) -> None:
            raise fault

    answer = answer_to(Broken, {"name": "a", "type": ""}, b"")
    assert problem in answer["problem"]
    assert answer["last"] is True
