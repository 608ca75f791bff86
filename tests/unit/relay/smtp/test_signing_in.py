"""Failures are counted for each client, exactly, also when they come all at once."""

import asyncio

from relay.smtp.signing_in import Answer, Credentials, SignIns
from tests.dialogues.stage import USERS

RIGHT = Credentials("Anna", "correct horse battery")
WRONG = Credentials("anna", "guess")


def test_a_hundred_attempts_at_once_are_five_guesses() -> None:
    """Whoever tries in parallel gets no more answers than whoever tries in turn."""

    async def body() -> None:
        sign_ins = SignIns(now=lambda: 0.0)
        answers = await asyncio.gather(*(sign_ins.attempt("192.0.2.7", USERS, WRONG) for _ in range(100)))
        assert answers[:5] == [Answer.WRONG] * 4 + [Answer.LAST]
        assert set(answers[5:]) == {Answer.SHUT_OUT}
        assert await sign_ins.attempt("192.0.2.7", USERS, RIGHT) is Answer.SHUT_OUT
        assert await sign_ins.attempt("192.0.2.8", USERS, RIGHT) is Answer.WELCOME

    asyncio.run(body())


def test_an_ipv6_client_is_its_64() -> None:
    """Another address of the same /64 is the same client."""

    async def body() -> None:
        sign_ins = SignIns(failures=2, now=lambda: 0.0)
        assert await sign_ins.attempt("2001:db8::1", USERS, WRONG) is Answer.WRONG
        assert await sign_ins.attempt("2001:db8::2", USERS, WRONG) is Answer.LAST
        assert await sign_ins.attempt("2001:db8::3", USERS, RIGHT) is Answer.SHUT_OUT
        assert await sign_ins.attempt("2001:db8:0:1::3", USERS, RIGHT) is Answer.WELCOME

    asyncio.run(body())


def test_success_forgives_nothing() -> None:
    """Somebody with one account cannot buy guesses at another; failures end with their time alone."""

    async def body() -> None:
        seconds = [0.0]
        sign_ins = SignIns(failures=3, now=lambda: seconds[0])
        for guess in (WRONG, Credentials("nobody", "guess"), RIGHT):
            await sign_ins.attempt("192.0.2.7", USERS, guess)
        assert await sign_ins.attempt("192.0.2.7", USERS, WRONG) is Answer.LAST
        seconds[0] = 299.9
        assert await sign_ins.attempt("192.0.2.7", USERS, RIGHT) is Answer.SHUT_OUT
        seconds[0] = 300.0
        assert await sign_ins.attempt("192.0.2.7", USERS, RIGHT) is Answer.WELCOME

    asyncio.run(body())
