"""Sending over real sockets: what a next hop may do, and what becomes of each recipient."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
import structlog

from relay.config.values import Endpoint
from relay.queue.content import MemoryContent
from relay.queue.outcomes import Deferred, Delivered, Failed, Outcome
from relay.queue.patience import Patience
from relay.queue.routes import Route, TlsMode
from relay.queue.transaction import Path, Transaction
from relay.queue.transport import Transport
from tests.unit.relay.queue.nexthop import DROP, SILENCE, NextHop
from tests.unit.relay.queue.yard import until

ANN, BEN = Path("ann@example.net"), Path("ben@example.net")
LETTER = b"Subject: hello\r\n\r\nDear Ann\r\n"
QUICK = Patience(connect=1, greeting=1, command=1, block=1, final=1, transaction=5, goodbye=1)


def letter(*paths: Path, content: bytes = LETTER, **more: Any) -> Transaction:
    return Transaction("bob@example.org", paths or (ANN,), MemoryContent(content), **more)


def transport(**more: Any) -> Transport:
    return Transport(ehlo_name="gw.example.org", **{"patience": QUICK, **more})


def route(*hops: NextHop, tls: TlsMode = TlsMode.NONE) -> Route:
    return Route("outside", tuple(hop.endpoint for hop in hops), tls)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def send_to(hop: NextHop, mail: Transaction, **more: Any) -> tuple[Outcome, ...]:
    async with hop:
        client = transport(**more)
        outcomes = await client.send(route(hop), mail)
        await client.close()
        return outcomes


PLAIN = ("8BITMIME", "SIZE 10000000", "SMTPUTF8", "DSN")
BOTH_WAYS = pytest.mark.parametrize("offers", [("PIPELINING", *PLAIN), PLAIN], ids=["pipelining", "one by one"])


@BOTH_WAYS
def test_a_message_arrives_as_it_is(offers: tuple[str, ...]) -> None:
    """A message with leading dots, an empty line of dots and a long line arrives byte for byte."""
    content = b"Subject: x\r\n\r\n.\r\n..\r\n.dot\r\n" + b"y" * 5000 + b"\r\n"
    hop = NextHop(offers=offers)
    (outcome,) = run(send_to(hop, letter(content=content)))
    assert isinstance(outcome, Delivered)
    assert (outcome.answer.code, outcome.answer.enhanced, outcome.answer.text) == (250, "2.0.0", "taken")
    assert outcome.answer.next_hop == str(hop.endpoint)
    assert [mail.content for mail in hop.taken] == [content]
    assert hop.seen[0] == "EHLO gw.example.org"


@BOTH_WAYS
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize(("reply", "kind"), [("451 4.3.0 later", Deferred), ("550 5.7.1 never", Failed)])
def test_a_refusal_at_any_verb(offers: tuple[str, ...], verb: str, reply: str, kind: type) -> None:
    """4xx at any verb defers every recipient, 5xx fails them, with the server's own words; nothing arrives."""
    hop = NextHop({verb: reply}, offers)
    outcomes = run(send_to(hop, letter(ANN, BEN)))
    assert [type(one) for one in outcomes] == [kind, kind]
    assert {f"{one.answer.code} {one.answer.enhanced} {one.answer.text}" for one in outcomes} == {reply}
    assert hop.taken == []


@BOTH_WAYS
@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("fate", [DROP, SILENCE, "421 4.3.2 shutting down", "not smtp at all"])
def test_a_broken_dialogue_at_any_stage(offers: tuple[str, ...], verb: str, fate: str) -> None:
    """A lost connection, silence, 421 or nonsense at any stage defers: nobody bounces, nothing hangs."""
    quick = Patience(connect=1, greeting=0.05, command=0.05, final=0.05, transaction=5, goodbye=0.05)
    outcomes = run(send_to(NextHop({verb: fate}, offers), letter(ANN, BEN), patience=quick))
    assert [type(one) for one in outcomes] == [Deferred, Deferred]
    assert all(one.answer.text for one in outcomes)


@pytest.mark.parametrize("verb", ["GREETING", "EHLO"])
def test_a_refused_connection_is_never_a_bounce(verb: str) -> None:
    """554 in the greeting, or 5xx to EHLO and HELO, speaks of us and not of the message: deferred."""
    hop = NextHop({verb: "554 5.7.1 go away", "HELO": "554 5.7.1 go away"})
    (outcome,) = run(send_to(hop, letter()))
    assert isinstance(outcome, Deferred)
    assert (outcome.answer.code, outcome.answer.enhanced) == (554, "4.7.1")


@BOTH_WAYS
def test_each_recipient_has_an_own_outcome(offers: tuple[str, ...]) -> None:
    """One recipient accepted, one refused for good, one for now: three outcomes, one message."""
    cat = Path("cat@example.net")
    answers: dict[str, str | list[str]] = {
        "RCPT TO:<BEN@": "550 5.1.1 no such user",
        "RCPT TO:<CAT@": "451 4.7.1 greylisted",
    }
    hop = NextHop(answers, offers)
    outcomes = run(send_to(hop, letter(ANN, BEN, cat)))
    assert [type(one) for one in outcomes] == [Delivered, Failed, Deferred]
    assert outcomes[1].answer.enhanced == "5.1.1"
    assert len(hop.taken) == 1


def test_refused_recipients_stay_refused_when_the_connection_breaks() -> None:
    """A recipient refused before the connection was lost is not tried again; the other one is."""
    hop = NextHop({"RCPT TO:<BEN@": "550 5.1.1 no", "DATA": DROP}, PLAIN)
    assert [type(one) for one in run(send_to(hop, letter(BEN, ANN)))] == [Failed, Deferred]


def test_too_many_recipients_is_for_now() -> None:
    """552 to RCPT means 452 (RFC 5321 section 4.5.3.1.10)."""
    hop = NextHop({"RCPT TO:<BEN@": "552 5.5.3 too many"})
    assert [type(one) for one in run(send_to(hop, letter(ANN, BEN)))] == [Delivered, Deferred]


@BOTH_WAYS
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_demand_to_sign_in_is_for_now(offers: tuple[str, ...], verb: str) -> None:
    """530 is wrong configuration, not wrong mail: deferred, so that an operator can mend it."""
    assert isinstance(run(send_to(NextHop({verb: "530 5.7.0 sign in first"}, offers), letter()))[0], Deferred)


@pytest.mark.parametrize(("verb", "connections"), [("RCPT", 1), ("MAIL", 2)])
def test_a_server_that_says_354_to_nobody(verb: str, connections: int) -> None:
    """A server that refused all recipients and still says 354 gets an empty message (RFC 2920 section 3.1).

    One that refused the sender might take an empty message for real: it gets nothing.
    """

    async def work() -> None:
        refusals = ["550 5.1.1 no", "250 ok"]
        async with NextHop({verb: refusals, "DATA": "354 go", ".": ["554 nobody"][: 2 - connections]}) as hop:
            client = transport()
            assert isinstance((await client.send(route(hop), letter()))[0], Failed)
            assert isinstance((await client.send(route(hop), letter()))[0], Delivered)
            await client.close()
            assert hop.connections == connections
            assert [mail.content for mail in hop.taken] == [LETTER]

    run(work())


def test_a_connection_is_kept_for_the_next_message() -> None:
    """Three messages, one of them refused: one connection, and RSET after what was not finished."""

    async def work() -> None:
        async with NextHop({"RCPT TO:<BEN@": "550 no"}) as hop:
            client = transport()
            results = [(await client.send(route(hop), letter(to)))[0] for to in (ANN, BEN, ANN)]
            await client.close()
            assert [type(one) for one in results] == [Delivered, Failed, Delivered]
            assert hop.connections == 1
            assert hop.seen.count("RSET") == 1
            assert hop.seen[-1] == "QUIT"

    run(work())


@pytest.mark.parametrize("verb", ["MAIL", "DATA"])
@pytest.mark.parametrize("fate", [DROP, "421 4.4.2 idle for too long"])
def test_a_stale_connection_is_replaced(verb: str, fate: str) -> None:
    """When a kept connection breaks before the data, the message goes over a new one at once, and once."""

    async def work() -> None:
        default = {"MAIL": "250 ok", "DATA": "354 go"}[verb]
        async with NextHop({verb: [default, fate]}) as hop:
            client = transport()
            for _ in range(2):
                assert isinstance((await client.send(route(hop), letter()))[0], Delivered)
            await client.close()
            assert hop.connections == 2
            assert len(hop.taken) == 2

    run(work())


def test_a_lost_final_reply_is_never_sent_again_at_once() -> None:
    """After the final dot nothing is repeated within the attempt, not even over a kept connection's successor."""

    async def work() -> None:
        async with NextHop({".": ["250 ok", DROP]}) as hop, NextHop() as spare:
            client = transport()
            both = route(hop, spare)
            assert isinstance((await client.send(both, letter()))[0], Delivered)
            (outcome,) = await client.send(both, letter())
            await client.close()
            assert isinstance(outcome, Deferred)
            assert "may have arrived" in outcome.answer.text
            assert hop.seen.count(".") == 2
            assert spare.connections == 0

    run(work())


def test_the_next_hop_of_the_route_takes_over() -> None:
    """With the first next hop down the second one gets the mail; the first is then left alone for a while."""
    clock = [0.0]

    async def work() -> None:
        async with NextHop() as spare, NextHop({"GREETING": "421 not now"}) as first:
            client = transport(monotonic=lambda: clock[0])
            for _ in range(3):
                assert isinstance((await client.send(route(first, spare), letter()))[0], Delivered)
            assert (first.connections, len(spare.taken)) == (1, 3)
            clock[0] += QUICK.avoid
            first.answers.clear()
            await client.send(route(first, spare), letter())
            await client.close()
            assert len(first.taken) == 1

    run(work())


def test_one_message_at_a_time_finds_out_whether_a_next_hop_is_back() -> None:
    """While it waits for a host that accepts and says nothing, all others go to the next host of the route at once."""
    clock = [0.0]

    async def work() -> None:
        async with NextHop({"GREETING": [DROP, SILENCE]}) as first, NextHop() as spare:
            client = transport(monotonic=lambda: clock[0], patience=replace(QUICK, greeting=60))
            both = route(first, spare)
            await client.send(both, letter())
            clock[0] += QUICK.avoid
            client.tidy()
            finding_out = asyncio.create_task(client.send(both, letter()))
            await until(lambda: first.connections == 2)
            for _ in range(3):
                assert isinstance((await client.send(both, letter()))[0], Delivered)
            assert (first.connections, len(spare.taken)) == (2, 4)
            finding_out.cancel()
            await asyncio.gather(finding_out, return_exceptions=True)
            for _ in range(2):
                await client.send(both, letter())
            await client.close()
            assert len(first.taken) == 2

    run(work())


@pytest.mark.parametrize("verb", ["MAIL", "."])
def test_a_host_that_falls_silent_is_tried_after_the_others(verb: str) -> None:
    """What waited is lost time for one message; those behind it go to the next host of the route."""
    clock = [0.0]

    async def work() -> None:
        async with NextHop({verb: [SILENCE]}) as first, NextHop() as spare:
            client = transport(monotonic=lambda: clock[0], patience=replace(QUICK, command=0.05, final=0.05))
            both = route(first, spare)
            await client.send(both, letter())
            for _ in range(2):
                assert isinstance((await client.send(both, letter()))[0], Delivered)
            assert first.connections == 1
            clock[0] += QUICK.avoid
            for _ in range(2):
                await client.send(both, letter())
            await client.close()
            assert len(first.taken) == 2

    run(work())


def test_a_kept_connection_that_falls_silent_is_the_first_sign() -> None:
    """One message finds out on a new connection what its silence meant; those behind it go to the next host."""

    async def work() -> None:
        answers: dict[str, str | list[str]] = {"MAIL": ["250 ok", SILENCE], "GREETING": ["220 hop.test", SILENCE]}
        async with NextHop(answers) as first, NextHop() as spare:
            client = transport(patience=replace(QUICK, command=0.1, greeting=60))
            both = route(first, spare)
            await client.send(both, letter())
            finding_out = asyncio.create_task(client.send(both, letter()))
            await until(lambda: first.connections == 2)
            assert isinstance((await client.send(both, letter()))[0], Delivered)
            finding_out.cancel()
            await asyncio.gather(finding_out, return_exceptions=True)
            await client.close()
            assert (first.connections, len(spare.taken)) == (2, 1)

    run(work())


@pytest.mark.parametrize("reply", ["451 4.3.0 full", "421 4.3.2 bye"])
def test_a_sender_refused_for_now_is_offered_to_the_next_hop(reply: str) -> None:
    """4xx to MAIL decides about nobody: the next host of the route is asked in the same attempt."""

    async def work() -> None:
        async with NextHop({"MAIL": reply}) as first, NextHop() as spare:
            client = transport()
            assert isinstance((await client.send(route(first, spare), letter()))[0], Delivered)
            await client.close()

    run(work())


def test_nobody_listens() -> None:
    """A refused connection is a deferral with a reason, also on the second call, which does not knock again."""

    async def work() -> None:
        async with NextHop() as hop:
            pass
        client = transport()
        for _ in range(2):
            (outcome,) = await client.send(route(hop), letter())
            assert isinstance(outcome, Deferred)
            assert (outcome.answer.code, outcome.answer.enhanced) == (0, "4.4.1")
        await client.close()

    run(work())


def test_the_log_says_when_an_outage_begins_and_ends() -> None:
    """Once each, however many messages meet it: what an operator looks for, between the lines of single mails."""

    async def work() -> None:
        async with NextHop() as hop:
            pass
        seconds = 0.0
        client = transport(monotonic=lambda: seconds)
        for _ in range(3):
            await client.send(route(hop), letter())
            seconds += 60  # a hop that was left alone is asked again
        async with NextHop(port=hop.port):
            for _ in range(2):
                await client.send(route(hop), letter())
            await client.close()

    with structlog.testing.capture_logs() as lines:
        run(work())
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("next hop cannot be used", "warning"),
        ("next hop can be used again", "warning"),
    ]
    assert lines[0]["next_hop"] == lines[1]["next_hop"]
    assert (lines[0]["code"], lines[0]["status"], lines[1]["after_seconds"]) == (0, "4.4.1", 180)


def test_an_unknown_host_is_deferred() -> None:
    """A name that does not resolve defers the message."""

    async def work() -> None:
        client = transport()
        nowhere = Route("outside", (Endpoint(host="no-such-host.invalid", port=25),), TlsMode.NONE)
        assert isinstance((await client.send(nowhere, letter()))[0], Deferred)

    run(work())


def test_a_next_hop_that_takes_fewer_connections() -> None:
    """421 to a second connection while the first one works means: wait for the first; nothing is deferred."""

    async def work() -> None:
        async with NextHop({"GREETING": ["220 one", *["421 4.7.0 too many connections"] * 5]}) as hop:
            client = transport()
            outcomes = await asyncio.gather(*(client.send(route(hop), letter()) for _ in range(6)))
            await client.close()
            assert {type(one) for (one,) in outcomes} == {Delivered}

    run(work())


def test_a_connection_that_fell_idle_serves_whoever_was_refused_another() -> None:
    """421 to a second connection just as the first one has done its work: it carries the next message, too."""

    class OneAtATime(NextHop):
        turned_away = asyncio.Event()

        async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self.connections:
                await self.turned_away.wait()
            await super()._met(reader, writer)

    async def work() -> None:
        async with OneAtATime({"GREETING": ["220 one", *["421 4.7.0 too many connections"] * 5]}) as hop:
            client = transport()
            both = [asyncio.ensure_future(client.send(route(hop), letter())) for _ in range(2)]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            hop.turned_away.set()
            outcomes = await asyncio.gather(*both)
            await client.close()
            assert {type(one) for (one,) in outcomes} == {Delivered}
            assert hop.connections == 2

    run(work())


def test_connections_to_one_next_hop_are_bounded() -> None:
    """Twenty messages at once open no more connections than allowed."""

    async def work() -> None:
        async with NextHop() as hop:
            client = transport(connections=3)
            outcomes = await asyncio.gather(*(client.send(route(hop), letter()) for _ in range(20)))
            await client.close()
            assert {type(one) for (one,) in outcomes} == {Delivered}
            assert hop.most_open <= 3

    run(work())


def test_a_kept_connection_ends_after_its_uses_and_its_idle_time() -> None:
    """A connection carries a bounded number of messages and is given up when it was idle too long."""
    clock = [0.0]

    async def work() -> None:
        patience = Patience(uses=2, keep=10, goodbye=1)
        async with NextHop() as hop:
            client = transport(patience=patience, monotonic=lambda: clock[0])
            for _ in range(3):
                await client.send(route(hop), letter())
            assert hop.connections == 2
            clock[0] += 11
            client.tidy()
            await client.close()
            assert hop.seen[-1] == "QUIT"

    run(work())


def test_a_tarpit_is_left_in_the_end() -> None:
    """A next hop that takes the data one octet at a time is left when the transaction's time is over."""

    async def work() -> None:
        async with NextHop({".": SILENCE}) as hop:
            client = transport(patience=Patience(transaction=0.05, slowest=1 << 40))
            (outcome,) = await client.send(route(hop), letter())
            await client.close()
            assert isinstance(outcome, Deferred)

    run(work())


class Disk:
    """A content, and its pieces, that lies on a disk: what reading it does is a test's."""

    size = len(LETTER)

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read

    def pieces(self) -> "Disk":
        return self

    def at_hand(self) -> bool:
        return False

    def __iter__(self) -> "Disk":
        return self

    def __next__(self) -> bytes:
        return self._read()


@pytest.mark.parametrize("verb", ["GREETING", "MAIL", "RCPT", "DATA", "."])
def test_the_end_of_all_patience_comes_at_any_verb(verb: str) -> None:
    """The limit of a whole transaction holds while each reply may still come, and not for the greeting before it."""

    async def work() -> None:
        async with NextHop({verb: SILENCE}, offers=PLAIN) as hop:
            patience = Patience(greeting=0.05, transaction=0.05, slowest=1 << 40)
            client = transport(patience=patience)
            (outcome,) = await client.send(route(hop), letter())
            assert isinstance(outcome, Deferred)
            assert ("too slow altogether" in outcome.answer.text) == (verb != "GREETING")
            hop.answers.clear()
            client = transport(patience=QUICK)
            assert isinstance((await client.send(route(hop), letter()))[0], Delivered)
            await client.close()

    run(work())


def test_a_disk_that_stands_still_is_waited_for_no_longer_than_a_next_hop() -> None:
    """The transaction ends when its time is over, whoever takes it; the thread that reads is left to end by itself."""
    goes_on = threading.Event()

    def stuck() -> bytes:
        goes_on.wait(10)
        raise OSError

    async def work() -> None:
        async with NextHop() as hop:
            client = transport(patience=Patience(transaction=0.05, slowest=1 << 40))
            (outcome,) = await client.send(route(hop), replace(letter(), content=Disk(stuck)))
            goes_on.set()
            assert isinstance(outcome, Deferred)
            assert "too slow altogether" in outcome.answer.text
            assert hop.taken == []

    run(work())


def test_a_disk_that_times_out_is_named() -> None:
    """A disk over a network that gives up is no fault of the next hop."""

    def gives_up() -> bytes:
        raise TimeoutError

    async def work() -> None:
        async with NextHop() as hop:
            (outcome,) = await transport().send(route(hop), replace(letter(), content=Disk(gives_up)))
            assert isinstance(outcome, Deferred)
            assert outcome.answer.text == "the stored message could not be read"
            assert hop.taken == []

    run(work())


@pytest.mark.parametrize("flood", ["250-" + "x" * 70_000, "\r\n".join(["250-x"] * 9000), "x" * 100_000])
def test_an_endless_reply_is_not_swallowed(flood: str) -> None:
    """A reply of megabytes ends the connection after 32 KiB: deferred."""
    assert isinstance(run(send_to(NextHop({"MAIL": flood}), letter()))[0], Deferred)


def test_a_reply_that_nobody_asked_for_spoils_the_connection() -> None:
    """An extra reply is not taken for the answer to the next command (it could turn a refusal into 250)."""
    hop = NextHop({"MAIL": "250 ok\r\n250 for the recipient\r\n354 go\r\n250 taken", "RCPT": "550 no"})
    (outcome,) = run(send_to(hop, letter()))
    assert not isinstance(outcome, Delivered)


def test_control_characters_in_a_reply_do_not_reach_the_outcome() -> None:
    """What a next hop says is one printable line of bounded length."""
    hop = NextHop({"RCPT": "550-5.1.1 no\x1b[31m\x00\r\n550 5.1.1 \u202euser " + "z" * 2000})
    (outcome,) = run(send_to(hop, letter()))
    assert outcome.answer.text.isprintable()
    assert "\u202e" not in outcome.answer.text
    assert len(outcome.answer.text) <= 500


# --- what a next hop must be able to carry ---


def test_eight_bit_mail_needs_8bitmime() -> None:
    """Without 8BITMIME, mail with 8-bit octets fails with 5.6.3; it is never re-encoded."""
    content = "Subject: x\r\n\r\nGrüße\r\n".encode()
    (outcome,) = run(send_to(NextHop(offers=("PIPELINING",)), letter(content=content, eight_bit=True)))
    assert isinstance(outcome, Failed)
    assert outcome.answer.enhanced == "5.6.3"
    hop = NextHop()
    run(send_to(hop, letter(content=content, eight_bit=True)))
    assert "BODY=8BITMIME" in hop.taken[0].commands[0]


@pytest.mark.parametrize(
    "mail",
    [letter(utf8=True), letter(Path("jürgen@example.net")), replace(letter(), reverse_path="bjørn@example.org")],
    ids=["header", "recipient", "sender"],
)
def test_international_mail_needs_smtputf8(mail: Transaction) -> None:
    """Without SMTPUTF8, a message with UTF-8 in its header or an address fails with 5.6.7."""
    (outcome,) = run(send_to(NextHop(offers=("PIPELINING", "8BITMIME")), mail))
    assert isinstance(outcome, Failed)
    assert outcome.answer.enhanced == "5.6.7"
    hop = NextHop()
    run(send_to(hop, mail))
    assert hop.taken[0].commands[0].endswith("SMTPUTF8")


def test_a_message_above_the_announced_size_is_not_offered() -> None:
    """SIZE smaller than the message fails it with 5.3.4 before MAIL (RFC 1870)."""
    hop = NextHop(offers=("SIZE 20",))
    (outcome,) = run(send_to(hop, letter()))
    assert isinstance(outcome, Failed)
    assert outcome.answer.enhanced == "5.3.4"
    assert not [line for line in hop.seen if line.startswith("MAIL")]


def test_dsn_parameters_are_passed_on() -> None:
    """RET, ENVID, NOTIFY and ORCPT travel as they came where DSN is offered, and the duty to report with them."""
    path = Path("ann@example.net", "rfc822;Ann+2Bx@example.net", ("SUCCESS", "FAILURE"))
    hop = NextHop()
    (outcome,) = run(send_to(hop, letter(path, ret="HDRS", envid="QQ+3D1")))
    assert hop.taken[0].commands[0].endswith("RET=HDRS ENVID=QQ+3D1")
    assert hop.taken[0].commands[1].endswith("NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Ann+2Bx@example.net")
    assert isinstance(outcome, Delivered)
    assert outcome.dsn_passed_on
    plain = NextHop(offers=("PIPELINING",))
    (outcome,) = run(send_to(plain, letter(path, ret="HDRS", envid="QQ+3D1")))
    assert plain.taken[0].commands == ("MAIL FROM:<bob@example.org>", "RCPT TO:<ann@example.net>")
    assert isinstance(outcome, Delivered)
    assert not outcome.dsn_passed_on


def test_an_original_recipient_beyond_ascii_is_told_in_seven_bits_where_mail_did_not_say_smtputf8() -> None:
    """An ORCPT of letters beyond ASCII stays as it came with SMTPUTF8, and is embedded without (RFC 6533 section 3)."""
    known = "utf-8;jürgen@example.net"
    paths = (Path("ann@example.net", known), Path("jürgen@example.net", known))
    for offers in (("PIPELINING", "DSN"), ("PIPELINING", "DSN", "8BITMIME", "SMTPUTF8")):
        hop = NextHop(offers=offers)
        run(send_to(hop, letter(*paths)))
        assert hop.taken[0].commands[1] == r"RCPT TO:<ann@example.net> ORCPT=utf-8;j\x{FC}rgen@example.net"
    assert hop.taken[1].commands[0].endswith("SMTPUTF8")
    assert hop.taken[1].commands[1] == f"RCPT TO:<jürgen@example.net> ORCPT={known}"


@pytest.mark.parametrize("bad", [b"a\rb\r\n", b"a\nb\r\n", b"a\0b\r\n", b"\n.\n", b"a\r\n\r"])
def test_a_bare_cr_lf_or_nul_never_leaves(bad: bytes) -> None:
    """Such a message fails; the connection ends without the final dot, so that nothing can be taken for it."""
    hop = NextHop()
    (outcome,) = run(send_to(hop, letter(content=b"Subject: x\r\n\r\n" + bad)))
    assert isinstance(outcome, Failed)
    assert outcome.answer.enhanced == "5.6.0"
    assert hop.taken == []
    assert b"\0" not in hop.received


def test_helo_where_ehlo_is_unknown() -> None:
    """A next hop of RFC 821 gets HELO and plain commands."""
    hop = NextHop({"EHLO": "502 5.5.1 what?"})
    assert isinstance(run(send_to(hop, letter()))[0], Delivered)
    assert hop.seen[:2] == ["EHLO gw.example.org", "HELO gw.example.org"]
    assert hop.taken[0].commands[0] == "MAIL FROM:<bob@example.org>"
