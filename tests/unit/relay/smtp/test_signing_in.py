"""Failures are counted for each client, exactly, also when they come all at once."""

import asyncio
import threading

from relay.smtp.signing_in import Answer, Credentials, SignIns
from tests.dialogues.stage import USERS, FewFailures

RIGHT = Credentials("Anna", "correct horse battery")
WRONG = Credentials("anna", "guess")


def test_a_hundred_attempts_at_once_are_five_guesses() -> None:
    """Whoever tries in parallel gets no more answers than whoever tries in turn."""

    async def body() -> None:
        sign_ins = SignIns(FewFailures(lambda: 0.0))
        answers = await asyncio.gather(*(sign_ins.attempt("192.0.2.7", USERS, WRONG) for _ in range(100)))
        assert answers[:5] == [Answer.WRONG] * 4 + [Answer.LAST]
        assert set(answers[5:]) == {Answer.SHUT_OUT}
        assert await sign_ins.attempt("192.0.2.7", USERS, RIGHT) is Answer.SHUT_OUT
        assert await sign_ins.attempt("192.0.2.8", USERS, RIGHT) is Answer.WELCOME

    asyncio.run(body())


def test_an_ipv6_client_is_its_64() -> None:
    """Another address of the same /64 is the same client."""

    async def body() -> None:
        sign_ins = SignIns(FewFailures(lambda: 0.0))
        guesses = [await sign_ins.attempt(f"2001:db8::{number}", USERS, WRONG) for number in range(1, 6)]
        assert guesses == [Answer.WRONG] * 4 + [Answer.LAST]
        assert await sign_ins.attempt("2001:db8::77", USERS, RIGHT) is Answer.SHUT_OUT
        assert await sign_ins.attempt("2001:db8:0:1::77", USERS, RIGHT) is Answer.WELCOME

    asyncio.run(body())


def test_success_forgives_nothing() -> None:
    """Somebody with one account cannot buy guesses at another; failures end with their time alone."""

    async def body() -> None:
        seconds = [0.0]
        sign_ins = SignIns(FewFailures(lambda: seconds[0]))
        for guess in (WRONG, WRONG, WRONG, Credentials("nobody", "guess"), RIGHT):
            await sign_ins.attempt("192.0.2.7", USERS, guess)
        assert await sign_ins.attempt("192.0.2.7", USERS, WRONG) is Answer.LAST
        seconds[0] = 299.9
        assert await sign_ins.attempt("192.0.2.7", USERS, RIGHT) is Answer.SHUT_OUT
        seconds[0] = 300.0
        assert await sign_ins.attempt("192.0.2.7", USERS, RIGHT) is Answer.WELCOME

    asyncio.run(body())


class Overtaken(FewFailures):
    """Shuts the client out while its password is being verified, as another process may."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self._asked = threading.local()

    def shut_out(self, client: str) -> bool:  # noqa: ARG002
        if not getattr(self._asked, "once", False):
            self._asked.once = True
            return False
        return True


def test_no_answer_beyond_the_limit() -> None:
    """A client that was shut out elsewhere while its password was verified is told nothing, right or wrong."""

    async def attempt(said: Credentials) -> Answer:
        return await SignIns(Overtaken()).attempt("192.0.2.7", USERS, said)

    assert asyncio.run(attempt(RIGHT)) is Answer.SHUT_OUT
    assert asyncio.run(attempt(WRONG)) is Answer.SHUT_OUT
