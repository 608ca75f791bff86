"""What one 10 KB message costs a relay process, part by part: the least CPU of many rounds, in this process.

No client stands in front: messages are handed to the intake, which judges, signs, commits and hands over; delivery
sends them to the sink. What the front door costs besides is the difference to a run with clients.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay import clock
from relay.config.load import load
from relay.dkim.keys import open_signer
from relay.gateway import Gateway, compile_policy, open_gateway
from relay.judging import Judge, history_of
from relay.logs import configure
from relay.message.reading import read
from relay.smtp.values import ClientFacts, ForwardPath, SmtpEnvelope
from relay.store.folding import fold
from tests.benchmarks.letters import LETTERS
from tests.benchmarks.load import Effort, Sink
from tests.benchmarks.peers import SENDERS, SINK_PORT, example_rules, installed

SENDER, RECIPIENT = f"load@{SENDERS}", "user@rcpt.example"
TOGETHER = 16  # messages that are handed over at the same moment, as busy clients do
ROUNDS = 40


@dataclass
class Line:
    """One relay process without a front door, in this process."""

    gateway: Gateway
    letter: bytes
    _sent: int = 0

    async def deliver(self, into: Sink, together: int = TOGETHER) -> float:
        """Hand over some messages, wait until they have arrived; return the CPU seconds that each took."""
        envelope = SmtpEnvelope(SENDER, (ForwardPath(RECIPIENT),))
        client = ClientFacts("127.0.0.1", 1, helo="load.example", esmtp=True, trusted=True, listener="submission")
        already, begun = into.count(), time.process_time()
        replies = await asyncio.gather(
            *(self.gateway.intake(envelope, letter, client) for letter in self._letters(together))
        )
        assert {reply.code for reply in replies} == {250}, replies
        while into.count() < already + together or self.gateway.delivery.holding:  # noqa: ASYNC110
            await asyncio.sleep(0.002)  # the sink is another process
        return (time.process_time() - begun) / together

    def _letters(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            self._sent += 1
            yield b"Message-ID: <%d.%d@load.example>\r\n" % (self._sent, time.monotonic_ns()) + self.letter


@contextmanager
def line(folder: Path, rules: str, prepare: Callable[[Path], None] = lambda _folder: None) -> Iterator[Line]:
    """Make an installation that forwards to the sink and open one relay process of it here.

    ``prepare`` may change the installation before it is opened.
    """
    installed(folder, rules, sink=SINK_PORT, workers=1)
    prepare(folder)
    letter = (LETTERS / "t10k.eml").read_bytes().replace(b"\n", b"\r\n")
    before = Path.cwd()
    os.chdir(folder)
    try:
        with Path(os.devnull).open("w") as nowhere:
            configure(stream=nowhere)
            gateway = open_gateway(load(Path("relay.toml")), 0)
            yield Line(gateway, letter)
            gateway.intake.close()
            gateway.store.close()
            gateway.slot.close()
    finally:
        os.chdir(before)


async def costs(measured: Line, into: Sink, effort: Effort, crowds: Sequence[int]) -> list[float]:
    """Return the least CPU seconds for one message, delivered, for each number that come at the same moment."""
    await measured.gateway.delivery.start()
    try:
        return [await _cost(measured, into, effort, crowd) for crowd in crowds]
    finally:
        await measured.gateway.delivery.stop()


async def _cost(measured: Line, into: Sink, effort: Effort, crowd: int) -> float:
    least_of_all = math.inf
    for _ in range(effort.of(ROUNDS)):
        least_of_all = min(least_of_all, await measured.deliver(into, crowd))
        await measured.gateway.store.commit(fold)  # a duty of relay processes that nobody has here
    return least_of_all


def least(work: Callable[[], object], rounds: int = ROUNDS * 5) -> float:
    """Return the least CPU seconds of one call."""
    return min(_timed(work) for _ in range(rounds))


def _timed(work: Callable[[], object]) -> float:
    begun = time.process_time()
    for _ in range(TOGETHER):
        work()
    return (time.process_time() - begun) / TOGETHER


def report(home: Path, into: Sink, effort: Effort) -> None:
    """Print the table."""
    with line(home / "parts", example_rules()) as measured:
        gateway, letter = measured.gateway, measured.letter
        configuration = gateway.configuration
        judge = Judge(
            compile_policy(configuration),
            gateway.extractor,
            configuration.organisation.domains,
            seconds=10,
            history=history_of(gateway.store, gateway.keyring),
        )
        signer, reading, now = open_signer(configuration.dkim), read(letter), clock.now()
        assert signer.sign(letter, now) != letter
        together, alone = asyncio.run(costs(measured, into, effort, (TOGETHER, 1)))
        rows = {
            f"accepted, judged, signed, committed, delivered, {TOGETHER} at a time": together,
            "the same, one at a time": alone,
            "of these: reading": least(lambda: read(letter)),
            "of these: judging (content, history, rules)": least(lambda: judge.judge(SENDER, [RECIPIENT], reading)),
            "of these: DKIM (RSA-2048)": least(lambda: signer.sign(letter, now)),
        }
    print("| part | ms |\n|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds * 1e3:.2f} |", flush=True)
